"use strict";
// Whatever comes from the data becomes text, never markup: every element is made here.
const data = (id) => JSON.parse(document.getElementById(id).textContent);
const about = data("data-about"), lines = data("data-lines"), summary = data("data-summary");
const byId = (id) => document.getElementById(id);

function make(tag, properties = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made && !name.startsWith("aria")) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...inside);
  return made;
}

// ---- figures --------------------------------------------------------------------------------------------------------

const number = (value) => (value === null || value === undefined ? "unknown" : value.toLocaleString("en", { maximumFractionDigits: 6 }));
const times = (ratio) => (ratio === null || ratio === undefined ? "no ratio" : `× ${ratio.toLocaleString("en", { maximumFractionDigits: 3 })}`);
const ratioOf = (pair) => (pair.before && pair.after !== null ? pair.after / pair.before : null);
const failed = (line) => line.status.after !== "success";
const NAMES = { tokens: "Tokens", cost_usd: "Cost, USD", duration_ms: "Latency, ms" };

function showTotals() {
  byId("about").textContent = Object.entries(about).map(([name, value]) => `${name} ${value}`).join(" · ");
  document.querySelector("h1").textContent = document.title;
  const cards = [["Runs", number(summary.runs)], ["Changed", number(summary.changed)], ["Equal", number(summary.equal)],
    ["Failed", number(summary.failed)], ["Answers reused", number(summary.reused)]];
  for (const [name, value] of cards) byId("totals").append(make("div", {}, make("dt", {}, name), make("dd", {}, value)));
  for (const [key, name] of Object.entries(NAMES)) {
    const of = summary[key];
    const small = make("small", {}, `${number(of.before)} → ${number(of.after)}`);
    byId("totals").append(make("div", {}, make("dt", {}, name), make("dd", {}, times(of.ratio), small)));
  }
}

// ---- which runs -----------------------------------------------------------------------------------------------------

const FILTERS = { All: () => true, Changed: (l) => l.changed, Equal: (l) => !l.changed, Failed: failed };
const SORTS = {
  "as they ended": null,
  "most differences": (l) => -l.diff.length,
  "cost ratio": (l) => -(ratioOf(l.cost_usd) ?? -1),
  "latency ratio": (l) => -(ratioOf(l.duration_ms) ?? -1),
  "run id": "run_id",
};
const general = (path) => path.replace(/\[\d+\]/g, "[*]");
const state = { filter: summary.changed ? "Changed" : "All", place: null, shown: [], at: -1 };
const texts = new WeakMap();
const textOf = (line) => {
  if (!texts.has(line)) texts.set(line, JSON.stringify([line.run_id, line.outputs, line.diff, line.status]).toLowerCase());
  return texts.get(line);
};

function showFilters() {
  for (const [name, fits] of Object.entries(FILTERS)) {
    const button = make("button", { type: "button" }, `${name} ${lines.filter(fits).length}`);
    button.dataset.filter = name;
    button.onclick = () => filterBy(name);
    byId("filters").append(button);
  }
  for (const name of Object.keys(SORTS)) byId("sort").append(make("option", {}, name));
  const counts = new Map();
  for (const line of lines) {
    for (const path of new Set(line.diff.map((d) => general(d.path)))) counts.set(path, (counts.get(path) ?? 0) + 1);
  }
  const most = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 40);
  for (const [path, count] of most) {
    const button = make("button", { type: "button", title: "Only runs that differ here" }, `${path} ${count}`);
    button.dataset.place = path;
    button.onclick = () => { state.place = state.place === path ? null : path; list(); };
    byId("places").append(button);
  }
}

function filterBy(name) {
  state.filter = name;
  list();
}

function list() {
  const words = byId("search").value.toLowerCase(), by = SORTS[byId("sort").value];
  let found = lines.filter(FILTERS[state.filter]);
  if (state.place) found = found.filter((l) => l.diff.some((d) => general(d.path) === state.place));
  if (words) found = found.filter((l) => textOf(l).includes(words));
  if (by === "run_id") found = [...found].sort((a, b) => (a.run_id < b.run_id ? -1 : 1));
  else if (by) found = [...found].sort((a, b) => by(a) - by(b));
  state.shown = found;
  for (const button of document.querySelectorAll("[data-filter]")) button.setAttribute("aria-pressed", button.dataset.filter === state.filter);
  for (const button of document.querySelectorAll("[data-place]")) button.setAttribute("aria-pressed", button.dataset.place === state.place);
  byId("count").textContent = `${found.length} of ${lines.length}`;
  byId("runs").replaceChildren(...found.map(row));
  select(found.length ? 0 : -1);
}

const verdict = (line) => make("i", { className: `is ${failed(line) ? "failed" : line.changed ? "changed" : "equal"}` },
  failed(line) ? line.status.after : line.changed ? "changed" : "equal");

function row(line, index) {
  const places = `${line.diff.length} difference${line.diff.length === 1 ? "" : "s"}`;
  const said = make("span", {}, verdict(line), ` · ${places} · cost ${times(ratioOf(line.cost_usd))} · latency ${times(ratioOf(line.duration_ms))}`);
  const made = make("div", { className: "row", role: "option", id: `run-${index}`, "aria-selected": "false" }, make("b", {}, line.run_id), said);
  made.onclick = () => select(index);
  return made;
}

function select(index) {
  byId("runs").children[state.at]?.setAttribute("aria-selected", "false");
  state.at = index;
  const made = byId("runs").children[index];
  made?.setAttribute("aria-selected", "true");
  made?.scrollIntoView({ block: "nearest" });
  if (made) byId("runs").setAttribute("aria-activedescendant", made.id);
  byId("run").replaceChildren(...(made ? detail(state.shown[index]) : [make("p", { className: "absent" }, "No run fits.")]));
  byId("run").scrollTop = 0;
}

// ---- one run --------------------------------------------------------------------------------------------------------

const pretty = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));

function detail(line) {
  const facts = [["Status", line.status.before, line.status.after, ""],
    ["Route", line.route.before.join(" → "), line.route.after.join(" → "), ""],
    ...Object.entries(NAMES).map(([key, name]) => [name, number(line[key].before), number(line[key].after), times(ratioOf(line[key]))])];
  const table = make("table", { className: "facts" }, head("", "before", "after", "ratio"));
  for (const [name, before, after, ratio] of facts) {
    const differs = before !== after ? ["gone", "new"] : ["", ""];
    table.append(make("tr", {}, make("th", { scope: "row" }, name), make("td", { className: differs[0] }, String(before)),
      make("td", { className: differs[1] }, String(after)), make("td", {}, ratio)));
  }
  const found = [make("b", {}, line.run_id), " ", verdict(line), make("h2", {}, "What it took"), table];
  if (line.reused.length) found.push(make("p", { className: "absent" }, `Production's answers served again: ${line.reused.join(", ")}`));
  found.push(make("h2", {}, `Differences: ${line.diff.length}`));
  if (line.diff.length) found.push(paths(line.diff));
  found.push(make("h2", {}, "Outputs"), sides(line.outputs.before, line.outputs.after));
  return found;
}

const head = (...names) => make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)));

function paths(diff) {
  const table = make("table", { className: "paths" }, make("colgroup", {}, make("col"), make("col"), make("col")), head("path", "before", "after"));
  for (const each of diff) {
    const before = "before" in each ? pretty(each.before) : null, after = "after" in each ? pretty(each.after) : null;
    const [one, other] = inner(before, after);
    table.append(make("tr", {}, make("td", {}, each.path), side("gone", one), side("new", other)));
  }
  return table;
}

function side(name, parts) {
  if (parts === null) return make("td", {}, make("span", { className: "absent" }, "not there"));
  return make("td", { className: name }, parts[0], parts[1] ? make("mark", {}, parts[1]) : "", parts[2]);
}

/** What differs inside two texts: what they begin and end with alike stays as it is. */
function inner(before, after) {
  if (before === null || after === null) return [before === null ? null : ["", before, ""], after === null ? null : ["", after, ""]];
  const least = Math.min(before.length, after.length);
  let start = 0, end = 0;
  while (start < least && before[start] === after[start]) start++;
  while (end < least - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  return [before, after].map((text) => [text.slice(0, start), text.slice(start, text.length - end), text.slice(text.length - end)]);
}

const LIMIT = 2000;

/** Two values as JSON, line beside line. */
function sides(before, after) {
  const one = pretty(before ?? null).split("\n"), other = pretty(after ?? null).split("\n");
  const table = make("table", { className: "sides" }, head("before", "after"));
  for (const [left, right] of aligned(one.slice(0, LIMIT), other.slice(0, LIMIT))) {
    const differs = left !== right;
    table.append(make("tr", {}, make("td", { className: differs && left !== null ? "gone" : "" }, left ?? ""),
      make("td", { className: differs && right !== null ? "new" : "" }, right ?? "")));
  }
  const left = Math.max(one.length, other.length) - LIMIT;
  return left > 0 ? make("div", {}, table, make("p", { className: "absent" }, `${left} more lines: the JSON lines have them`)) : table;
}

/** Pairs of lines: equal ones beside each other (the longest common subsequence, within reason), what is between them in order. */
function aligned(one, other) {
  if (one.length * other.length > 1e6) return Array.from({ length: Math.max(one.length, other.length) }, (_, i) => [one[i] ?? null, other[i] ?? null]);
  const width = other.length + 1, best = new Uint16Array((one.length + 1) * width);
  for (let i = one.length - 1; i >= 0; i--) {
    for (let j = other.length - 1; j >= 0; j--) {
      best[i * width + j] = one[i] === other[j] ? best[(i + 1) * width + j + 1] + 1 : Math.max(best[(i + 1) * width + j], best[i * width + j + 1]);
    }
  }
  const found = [];
  let i = 0, j = 0, gone = [], fresh = [];
  const flush = () => {
    for (let n = 0; n < Math.max(gone.length, fresh.length); n++) found.push([gone[n] ?? null, fresh[n] ?? null]);
    gone = []; fresh = [];
  };
  while (i < one.length || j < other.length) {
    if (i < one.length && j < other.length && one[i] === other[j]) { flush(); found.push([one[i++], other[j++]]); }
    else if (j >= other.length || (i < one.length && best[(i + 1) * width + j] >= best[i * width + j + 1])) gone.push(one[i++]);
    else fresh.push(other[j++]);
  }
  flush();
  return found;
}

// ---- keys -----------------------------------------------------------------------------------------------------------

const move = (by) => state.shown.length && select(Math.max(0, Math.min(state.shown.length - 1, state.at + by)));

function moveToChanged(by) {
  for (let at = state.at + by; at >= 0 && at < state.shown.length; at += by) {
    if (state.shown[at].changed) return select(at);
  }
}

const KEYS = {
  j: () => move(1), ArrowDown: () => move(1), k: () => move(-1), ArrowUp: () => move(-1), Home: () => move(-Infinity), End: () => move(Infinity),
  PageDown: () => move(10), PageUp: () => move(-10), n: () => moveToChanged(1), p: () => moveToChanged(-1), "/": () => byId("search").focus(),
  ...Object.fromEntries(Object.keys(FILTERS).map((name, index) => [String(index + 1), () => filterBy(name)])),
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select");
  if (event.key === "Escape") byId("runs").focus();
  else if (event.ctrlKey || event.metaKey || event.altKey || (typing && !(event.target.id === "search" && event.key.startsWith("Arrow")))) return;
  else if (byId("run").contains(event.target) && !/^[a-z/1-4]$/.test(event.key)) return; // the keys scroll what is read
  else if (KEYS[event.key]) { event.preventDefault(); KEYS[event.key](); }
});
byId("search").oninput = list;
byId("sort").onchange = list;

showTotals();
showFilters();
list();
byId("runs").focus();
