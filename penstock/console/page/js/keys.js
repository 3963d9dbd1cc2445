// Keyboard shortcuts. They can be switched off: single letters get in the way of some who speak to their computer.
import { h } from "./dom.js";
import { switchTheme } from "./frame.js";
import { button } from "./parts.js";
import { go } from "./route.js";

const PLACES = { w: "workflows", r: "runs", v: "reviews", d: "dead-letters", p: "replays" };
const TOLD = [
  ["g then w, r, v, d, p", "workflows, runs, reviews, dead letters, replays"],
  ["j, k", "next and previous row"],
  ["Enter", "open the row"],
  ["/", "search"],
  ["n", "start a run of this workflow"],
  ["t", "light or dark"],
  ["?", "this list"],
];
let leader = 0;

function areOn() {
  try { return localStorage.getItem("penstock.keys") !== "off"; } catch { return true; }
}

export function installKeys() {
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, dialog, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !areOn()) return;
    if (press(event.key)) event.preventDefault();
  });
}

function press(key) {
  const led = Date.now() - leader < 1200;
  leader = 0;
  if (led && PLACES[key]) { go(`#/${PLACES[key]}`); return true; }
  switch (key) {
    case "g": leader = Date.now(); return true;
    case "j": return step(1);
    case "k": return step(-1);
    case "/": return focus('main input[type="search"]');
    case "n": return follow("main a[data-start]");
    case "t": switchTheme(); return true;
    case "?": showHelp(); return true;
    default: return false;
  }
}

function step(by) {
  const rows = [...document.querySelectorAll("main a.cover")];
  if (!rows.length) return false;
  const at = rows.indexOf(document.activeElement);
  rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + by))].focus();
  return true;
}

function focus(selector) {
  const found = document.querySelector(selector);
  found?.focus();
  return Boolean(found);
}

function follow(selector) {
  const found = document.querySelector(selector);
  found?.click();
  return Boolean(found);
}

/** Show the list of shortcuts. */
export function showHelp() {
  if (document.querySelector("dialog[open]")) return;
  const box = h("input", { type: "checkbox", onchange: () => remember(box.checked) });
  box.checked = areOn();
  const dialog = h("dialog", { "aria-labelledby": "keys-title", onclose: () => dialog.remove() },
    h("h2", { id: "keys-title" }, "Keyboard"),
    h("table", {}, h("tbody", {}, TOLD.map(([keys, does]) => h("tr", {}, h("td", { class: "nowrap" }, h("kbd", {}, keys)), h("td", {}, does))))),
    h("label", {}, box, " Shortcuts of single letters are on"),
    h("div", { class: "actions" }, button("Close", () => dialog.close())));
  document.body.append(dialog);
  dialog.showModal();
}

function remember(on) {
  try { localStorage.setItem("penstock.keys", on ? "on" : "off"); } catch { /* on, then */ }
}
