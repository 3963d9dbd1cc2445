// A list of runs with its filters; the filters stand in the address, so that a search can be sent to a colleague.
import { get } from "./api.js";
import { h } from "./dom.js";
import { duration, money, number, when } from "./format.js";
import { button, empty, field, select, state } from "./parts.js";
import { go, to } from "./route.js";

const STATUSES = ["running", "success", "failed", "stopped", "cancelled"];
const NODE_STATUSES = ["running", "waiting", "success", "failed", "skipped", "cancelled", "pending"];
const MORE = ["after", "before", "min_cost", "max_cost"];
const FILTERS = ["workflow", "status", "node", "node_status", "q", "after", "before", "min_cost", "max_cost"];

/** Load a page of runs for a query of the address. */
export function loadRuns(query, workflow = query.workflow) {
  const { after, before, cursor, status, node, node_status, q, min_cost, max_cost } = query;
  return get("v1/runs", { workflow, status, node, node_status, q, min_cost, max_cost, cursor, started_after: asTime(after), started_before: asTime(before), limit: 50 });
}

function asTime(local) {
  const at = local ? new Date(local) : null;
  return at && !Number.isNaN(at.getTime()) ? at.toISOString() : null;
}

/** Return filters and table; `place` is the address without its query, `nodes` the ids to choose from, `workflows` likewise (none: one workflow's list). */
export function drawRuns(page, { query, place, nodes = [], workflows = null }) {
  return h("section", { class: "panel", key: "runs" },
    h("header", {}, h("h2", {}, "Runs"), FILTERS.some((name) => query[name]) ? button("Clear filters", () => go(to(place)), { kind: "plain slim" }) : null),
    drawFilters(query, place, nodes, workflows),
    page.items.length ? table(page.items, workflows !== null) : none(query),
    pages(page, query, place));
}

function drawFilters(query, place, nodes, workflows) {
  const change = (name, quietly = false) => (value) => go(to(place, { ...query, [name]: value, cursor: "", ...(name === "node" && !value ? { node_status: "" } : {}) }), quietly);
  const any = [["", "any"]];
  const typed = (name, type, extra = {}) => h("input", { type, id: `filter-${name}`, name, value: query[name] ?? "", oninput: later(change(name, true)), ...extra });
  return h("form", { class: "filters", role: "search", "aria-label": "Filter runs", onsubmit: (event) => event.preventDefault() },
    field("Text", typed("q", "search", { placeholder: "run id, input, output, error", maxlength: 200 }), null, { class: "field wide" }),
    workflows ? field("Workflow", select("workflow", query.workflow ?? "", [...any, ...workflows.map((id) => [id, id])], change("workflow"))) : null,
    field("Status", select("status", query.status ?? "", [...any, ...STATUSES.map((one) => [one, one])], change("status"))),
    nodes.length ? field("Node", select("node", query.node ?? "", [...any, ...nodes.map((id) => [id, id])], change("node"))) : null,
    query.node ? field("Node is", select("node_status", query.node_status ?? "", [...any, ...NODE_STATUSES.map((one) => [one, one])], change("node_status"))) : null,
    h("details", { open: MORE.some((name) => query[name]) }, h("summary", {}, "Time and cost"), h("div", { class: "more" },
      field("Started after", typed("after", "datetime-local", { step: 1 })),
      field("Started before", typed("before", "datetime-local", { step: 1 })),
      field("Cost from $", typed("min_cost", "number", { min: 0, step: "any" })),
      field("Cost to $", typed("max_cost", "number", { min: 0, step: "any" })))));
}

let typing = null;

function later(change) {
  return (event) => {
    clearTimeout(typing);
    const { value } = event.target;
    typing = setTimeout(() => change(value), 250);
  };
}

function none(query) {
  const filtered = FILTERS.some((name) => name !== "workflow" && query[name]);
  return empty(filtered ? "No run is like that." : "No run yet.", filtered ? "Loosen a filter, or clear them." : "Start one here, or publish an event to the input topic.");
}

function table(items, withWorkflow) {
  return h("div", { class: "scroll", key: "table" }, h("table", {},
    h("thead", {}, h("tr", {}, ["Run", withWorkflow ? "Workflow" : null, "Status", "Nodes", "Started"].filter(Boolean).map((name) => h("th", { scope: "col" }, name)),
      ["Duration", "Tokens", "Cost"].map((name) => h("th", { class: "num", scope: "col" }, name)), h("th", { scope: "col" }, "Error"))),
    h("tbody", {}, items.map((run) => row(run, withWorkflow)))));
}

function row(run, withWorkflow) {
  const href = to(["workflows", run.workflow_id, "runs", run.run_id]);
  return h("tr", { key: `${run.workflow_id} ${run.run_id}`, class: "open-row", "data-run": run.run_id, onclick: (event) => { if (!event.target.closest("a") && !String(getSelection())) go(href); } },
    h("td", { class: "clip" }, h("a", { class: "cover mono", href }, run.run_id)),
    withWorkflow ? h("td", { class: "clip" }, run.workflow_id) : null,
    h("td", {}, state(run.status)),
    h("td", {}, dots(run.nodes)),
    h("td", { class: "nowrap" }, when(run.started_at)),
    h("td", { class: "num nowrap" }, duration(run.duration_ms ?? (run.status === "running" && run.started_at ? Date.now() - new Date(run.started_at) : null))),
    h("td", { class: "num" }, number(run.usage?.total_tokens)),
    h("td", { class: "num" }, money(run.cost_usd)),
    h("td", { class: "clip", title: run.error ? run.error.message : null }, run.error ? [h("span", { class: "mono" }, run.error.node), ` ${run.error.kind}: ${run.error.message}`] : ""));
}

function dots(nodes) {
  const known = Object.entries(nodes ?? {});
  return h("span", { class: "dots", role: "img", "aria-label": known.map(([id, status]) => `${id} ${status}`).join(", ") || "no node yet" },
    known.map(([id, status]) => h("i", { key: id, "data-state": status, title: `${id}: ${status}` })));
}

function pages(page, query, place) {
  if (!page.next_cursor && !query.cursor) return null;
  return h("div", { class: "pages", key: "pages" },
    query.cursor ? h("a", { class: "button slim", href: to(place, { ...query, cursor: "" }) }, "Newest") : null,
    page.next_cursor ? h("a", { class: "button slim", href: to(place, { ...query, cursor: page.next_cursor }) }, "Older") : null);
}
