// A first JSON value that has the shape a schema asks for. Pure.

/** Return a value to begin with: examples and defaults where the schema has them, empty ones elsewhere. */
export function skeleton(schema, depth = 0) {
  if (typeof schema !== "object" || schema === null || depth > 6) return {};
  if (schema.default !== undefined) return schema.default;
  if (schema.const !== undefined) return schema.const;
  if (schema.examples?.length) return schema.examples[0];
  if (schema.enum?.length) return schema.enum[0];
  const type = [schema.type].flat().find((one) => one !== "null") ?? (schema.properties || schema.required ? "object" : null);
  switch (type) {
    case "string": return "";
    case "integer": case "number": return schema.minimum ?? 0;
    case "boolean": return false;
    case "array": return [];
    case "null": return null;
    default: return properties(schema, depth);
  }
}

function properties({ properties: known = {}, required = [] }, depth) {
  const names = required.length ? required : Object.keys(known);
  return Object.fromEntries(names.map((name) => [name, known[name] ? skeleton(known[name], depth + 1) : ""]));
}
