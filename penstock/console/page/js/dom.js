// Builds elements and brings a tree up to date. Text is only ever set as text: there is no way to pass HTML in here.

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "g", "path", "rect", "circle", "line", "text", "tspan", "title", "defs", "marker", "polyline"]);

/** Return an element. `on...` are handlers, `style` an object, `key` names it among its siblings for `patch`; null and false leave out. */
export function h(tag, attributes = {}, ...children) {
  const drawn = SVG_TAGS.has(tag) || tag === "svg:a";
  const element = drawn ? document.createElementNS(SVG, tag.replace("svg:", "")) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) set(element, name, value);
  element.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false).map(asNode));
  return element;
}

function asNode(child) {
  return child instanceof Node ? child : document.createTextNode(String(child));
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) {
    element[name] = value;
    (element.handlers ??= new Set()).add(name);
  } else if (name === "style") {
    for (const [property, to] of Object.entries(value)) element.style.setProperty(property, to);
  } else if (name === "key") {
    element.key = String(value);
  } else if (name === "value") {
    element.value = value;
    element.given = String(value);
  } else {
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

/** Make `root`'s children equal to `wanted`, keeping what is there: focus, scroll positions, open details and typed text stay. */
export function patch(root, ...wanted) {
  patchChildren(root, h("div", {}, ...wanted).childNodes);
}

function patchChildren(parent, wanted) {
  const known = new Map([...parent.childNodes].filter((node) => node.key !== undefined).map((node) => [node.key, node]));
  let at = parent.firstChild;
  for (const next of [...wanted]) {
    const same = next.key === undefined ? at : known.get(next.key);
    if (same && alike(same, next)) {
      if (same === at) at = at.nextSibling;
      else parent.insertBefore(same, at);
      update(same, next);
    } else {
      parent.insertBefore(next, at);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

function alike(node, next) {
  return node.nodeType === next.nodeType && node.nodeName === next.nodeName && node.key === next.key;
}

function update(node, next) {
  if (node.nodeType === Node.TEXT_NODE) {
    if (node.nodeValue !== next.nodeValue) node.nodeValue = next.nodeValue;
    return;
  }
  if (node.hasAttribute("data-island")) return; // made once, then its own: a form somebody is filling in
  updateAttributes(node, next);
  updateHandlers(node, next);
  if (next.given !== undefined && next.given !== node.given) {
    if (document.activeElement !== node) node.value = next.given; // what somebody is typing is theirs
    node.given = next.given;
  }
  if (node.nodeName !== "TEXTAREA") patchChildren(node, next.childNodes);
  if (node.nodeName === "SELECT" && document.activeElement !== node) node.value = next.value;
}

function updateAttributes(node, next) {
  for (const { name, value } of [...next.attributes]) {
    if (name === "style") continue;
    if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  for (const { name } of [...node.attributes]) {
    const owned = name === "style" || (name === "open" && node.nodeName !== "DIV");
    if (!owned && !next.hasAttribute(name)) node.removeAttribute(name);
  }
  // The style attribute may not be set under our content security policy; its object model may.
  if (node.style && node.style.cssText !== next.style.cssText) node.style.cssText = next.style.cssText;
}

function updateHandlers(node, next) {
  for (const name of node.handlers ?? []) if (!next.handlers?.has(name)) node[name] = null;
  for (const name of next.handlers ?? []) node[name] = next[name];
  node.handlers = next.handlers;
}
