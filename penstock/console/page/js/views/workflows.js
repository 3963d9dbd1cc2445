// All workflows at a glance.
import { get } from "../api.js";
import { h } from "../dom.js";
import { distance, duration, money, number, percent } from "../format.js";
import { empty, head, panel } from "../parts.js";
import { to } from "../route.js";

const ORDER = ["success", "failed", "stopped", "cancelled", "running"];

export function workflowsView() {
  return {
    title: "Workflows",
    load: () => get("v1/workflows"),
    ticks: () => true,
    draw() {
      const own = this.data.items.filter((one) => !one.shadow_of);
      return [head({ title: "Workflows" }), own.length ? totals(own) : null, own.length ? table(own) : nothing()];
    },
  };
}

function nothing() {
  return panel(null, empty("No workflow yet.", h("span", {}, "Start a worker: ", h("code", {}, "penstock worker FILE"), ". Its topics appear here.")));
}

function totals(items) {
  const sum = (of) => items.reduce((all, one) => all + (of(one) ?? 0), 0);
  return h("div", { class: "totals", key: "totals" }, [
    ["Running", number(sum((one) => one.runs.running))],
    ["Finished", number(sum((one) => one.runs.total - one.runs.running))],
    ["Failed", number(sum((one) => one.runs.failed))],
    ["Reviews waiting", number(sum((one) => one.reviews_waiting))],
    ["Dead letters open", number(sum((one) => one.dead_letters_open))],
    ["Spent today (UTC)", money(sum((one) => one.spend_today_usd))],
  ].map(([name, value]) => h("dl", { class: "total", key: name }, h("dt", {}, name), h("dd", {}, value))));
}

function table(items) {
  return h("section", { class: "panel scroll", key: "table" }, h("table", {},
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Workflow"), h("th", { scope: "col" }, "Runs"),
      ["Running", "Success", "p50", "p95", "Spent today", "Reviews", "Dead letters"].map((name) => h("th", { class: "num", scope: "col" }, name)), h("th", { scope: "col" }, "Last start"))),
    h("tbody", {}, items.map(row))));
}

function row(one) {
  const waiting = one.reviews_waiting ? h("a", { href: to(["reviews"], { workflow: one.id }) }, number(one.reviews_waiting)) : "0";
  const dead = one.dead_letters_open ? h("a", { class: "wrong", href: to(["dead-letters"], { workflow: one.id }) }, number(one.dead_letters_open)) : "0";
  return h("tr", { key: one.id },
    h("td", {}, h("a", { class: "cover", href: to(["workflows", one.id]) }, one.id), h("div", { class: "tiny muted" }, [one.version ? `version ${one.version}` : null, `${one.nodes.length} nodes`].filter(Boolean).join(" · ")),
      one.unreadable ? h("div", { class: "tiny wrong" }, `Left out: ${one.unreadable}`) : null),
    h("td", {}, share(one.runs)),
    h("td", { class: "num" }, h("span", { class: one.runs.running ? "state" : null, "data-state": "running" }, number(one.runs.running))),
    h("td", { class: "num" }, percent(one.success_ratio)),
    h("td", { class: "num nowrap" }, duration(one.duration_ms?.p50)),
    h("td", { class: "num nowrap" }, duration(one.duration_ms?.p95)),
    h("td", { class: "num" }, money(one.spend_today_usd), one.unpriced_calls_today ? h("div", { class: "tiny muted" }, `${number(one.unpriced_calls_today)} calls without a price`) : null),
    h("td", { class: "num" }, waiting),
    h("td", { class: "num" }, dead),
    h("td", { class: "nowrap" }, distance(one.last_started_at)));
}

/** Return a bar of how runs ended, with the figures for those who do not see it. */
export function share(runs, order = ORDER) {
  const total = order.reduce((all, status) => all + (runs[status] ?? 0), 0);
  const told = order.filter((status) => runs[status]).map((status) => `${number(runs[status])} ${status}`);
  return h("div", { class: "share-cell" },
    h("div", { class: "share", "aria-hidden": "true" }, order.filter((status) => runs[status]).map((status) =>
      h("span", { "data-state": status, key: status, style: { "flex-grow": String(runs[status] / total) } }))),
    h("span", { class: "tiny muted" }, told.join(" · ") || "none yet"));
}
