// The JSON merge patch (RFC 7386) that makes one value of another. Pure.

/** Return `{patch}`, undefined where both are equal; `{impossible}` says why no patch can do it. */
export function mergePatch(before, after) {
  try {
    return { patch: difference(before, after, "") };
  } catch (error) {
    if (error instanceof Impossible) return { impossible: error.message };
    throw error;
  }
}

class Impossible extends Error {}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function difference(before, after, path) {
  if (!isObject(after)) return equal(before, after) ? undefined : whole(after, path);
  if (!isObject(before)) return whole(after, path);
  const changed = {};
  for (const key of Object.keys(before)) if (!(key in after)) changed[key] = null;
  for (const [key, value] of Object.entries(after)) {
    const part = key in before ? difference(before[key], value, `${path}.${key}`) : whole(value, `${path}.${key}`);
    if (part !== undefined) changed[key] = part;
  }
  return Object.keys(changed).length ? changed : undefined;
}

/** A null in a patch means "leave this key out": it cannot be a value, outside of lists. */
function whole(value, path) {
  if (value === null) throw new Impossible(`${path.slice(1) || "the value"} cannot be set to null by an edit: leave the key out, or give it a value`);
  if (isObject(value)) for (const [key, inner] of Object.entries(value)) whole(inner, `${path}.${key}`);
  return value;
}

function equal(one, other) {
  if (Array.isArray(one) && Array.isArray(other)) return one.length === other.length && one.every((value, index) => equal(value, other[index]));
  if (isObject(one) && isObject(other)) {
    const keys = Object.keys(one);
    return keys.length === Object.keys(other).length && keys.every((key) => key in other && equal(one[key], other[key]));
  }
  return one === other;
}
