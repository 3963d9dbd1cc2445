// What every view is made of.
import { h } from "./dom.js";
import { pretty } from "./format.js";

/** Return a state in words with its colour and shape. */
export function state(status, badge = false) {
  return h("span", { class: badge ? "state badge" : "state", "data-state": status ?? "pending" }, status ?? "–");
}

/** Return name and value pairs; those without a value are left out. */
export function facts(pairs, big = false) {
  const given = Object.entries(pairs).filter(([, value]) => value !== null && value !== undefined && value !== false);
  return h("dl", { class: big ? "facts big" : "facts" }, given.map(([name, value]) => h("div", { key: name }, h("dt", {}, name), h("dd", {}, value))));
}

export function head({ crumbs = [], title, mono = false, beside = null, actions = [] }) {
  return h("div", { class: "head" },
    h("div", { class: "titles" },
      crumbs.length ? h("p", { class: "crumbs" }, crumbs.map(([text, href]) => [h("a", { href }, text), h("span", { "aria-hidden": "true" }, "/")])) : null,
      h("h1", { class: mono ? "mono" : null }, title), beside),
    h("div", { class: "actions" }, actions));
}

export function panel(title, body, { beside = null, flush = false, key = title, ...attributes } = {}) {
  return h("section", { class: "panel", key, ...attributes },
    title ? h("header", {}, h("h2", {}, title), beside) : null,
    flush ? body : h("div", { class: "body" }, body));
}

export function button(text, onclick, { kind = "", ...attributes } = {}) {
  return h("button", { type: "button", class: `button ${kind}`, onclick, ...attributes }, text);
}

export function link(text, href, kind = "") {
  return h("a", { class: `button ${kind}`, href }, text);
}

export function empty(title, more = null) {
  return h("div", { class: "empty" }, h("strong", {}, title), more);
}

export function note(text, kind = "", list = []) {
  return h("div", { class: `note ${kind}`, role: kind === "bad" ? "alert" : "status" }, text,
    list.length ? h("ul", {}, list.map((entry) => h("li", {}, entry))) : null);
}

export function refusal(error) {
  return note(error.message, "bad", (error.errors ?? []).map((one) => (typeof one === "string" ? one : `${one.path || "$"}: ${one.message}`)));
}

let serial = 0;

/** Return a field with its label; `control` gets an id. */
export function field(label, control, hint = null, attributes = {}) {
  control.id ||= `field-${(serial += 1)}`;
  return h("div", { class: "field", ...attributes }, h("label", { for: control.id }, label), control, hint ? h("span", { class: "hint" }, hint) : null);
}

export function select(name, value, options, onchange) {
  return h("select", { id: `filter-${name}`, name, onchange: (event) => onchange(event.target.value), "data-value": value },
    options.map(([of, text]) => h("option", { value: of, selected: of === value }, text)));
}

/** Return a titled text with a button to copy it. What people or models wrote is shown as it is: text. */
export function block(title, text, { json = false, beside = null } = {}) {
  return h("div", { class: "block", key: title },
    h("div", { class: "bar" }, h("h3", {}, title), h("span", {}, beside, button("Copy", (event) => copy(event.currentTarget, text), { kind: "plain slim", "aria-label": `Copy ${title}` }))),
    h("pre", { class: "text", tabindex: "0", role: "region", "aria-label": title }, json ? coloured(text) : text));
}

export function jsonBlock(title, value, options = {}) {
  return block(title, pretty(value), { json: true, ...options });
}

async function copy(from, text) {
  await navigator.clipboard.writeText(text);
  from.textContent = "Copied";
  setTimeout(() => { from.textContent = "Copy"; }, 1200);
}

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/g;

/** Return JSON with its keys, strings and numbers in colours; long texts stay plain, so that they are drawn at once. */
function coloured(text) {
  if (text.length > 40_000) return text;
  const out = [];
  let from = 0;
  for (const found of text.matchAll(TOKEN)) {
    out.push(text.slice(from, found.index));
    const [whole, string, colon] = found;
    if (string !== undefined) out.push(h("span", { class: colon ? "k" : "s" }, string), colon ?? "");
    else out.push(h("span", { class: "n" }, whole));
    from = found.index + whole.length;
  }
  out.push(text.slice(from));
  return out.filter((part) => part !== "");
}

/** Return tabs; `tabs` is a list of [id, title, body()], the body of the chosen one is made. */
export function tabs(label, list, chosen, choose) {
  const current = list.find(([id]) => id === chosen) ?? list[0];
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = list[(list.indexOf(current) + step + list.length) % list.length];
    choose(next[0]);
    event.currentTarget.parentElement.querySelector(`[data-tab="${next[0]}"]`)?.focus();
  };
  return [
    h("div", { class: "tabs", role: "tablist", "aria-label": label, key: "tabs" }, list.map(([id, title]) =>
      h("button", {
        type: "button", role: "tab", id: `tab-${id}`, "data-tab": id, key: id, "aria-selected": String(id === current[0]),
        "aria-controls": "tab-body", tabindex: id === current[0] ? "0" : "-1", onclick: () => choose(id), onkeydown: move,
      }, title))),
    h("div", { class: "body stack", role: "tabpanel", id: "tab-body", "aria-labelledby": `tab-${current[0]}`, key: `body-${current[0]}` }, current[2]()),
  ];
}

/** Say something at the edge of the page for a while; the live region is always there, so that it is read aloud. */
export function toast(text, kind = "good") {
  const said = note(text, kind);
  document.querySelector(".toasts").append(said);
  setTimeout(() => said.remove(), kind === "bad" ? 9000 : 4500);
}

/** Ask before something that costs; resolve to whether it was confirmed. */
export function confirm(title, text, yes, kind = "main") {
  return new Promise((resolve) => {
    const dialog = h("dialog", { "aria-labelledby": "dialog-title", onclose: () => { dialog.remove(); resolve(dialog.returnValue === "yes"); } },
      h("form", { method: "dialog" }, h("h2", { id: "dialog-title" }, title), h("p", {}, text),
        h("div", { class: "actions" }, h("button", { class: "button", value: "no" }, "Back"), h("button", { class: `button ${kind}`, value: "yes" }, yes))));
    document.body.append(dialog);
    dialog.showModal();
  });
}
