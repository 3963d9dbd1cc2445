// A run's timings: a line for each node, in it the time it took and each attempt.
import { h } from "./dom.js";
import { duration, when } from "./format.js";

const time = (iso) => (iso ? new Date(iso).getTime() : null);

/** Return the span of time that an epoch of a run covers, in epoch milliseconds. Pure. */
export function windowOf(nodes, calls, now) {
  const begins = [...nodes, ...calls].map((one) => time(one.started_at)).filter((at) => at !== null);
  const ends = [...nodes, ...calls].map((one) => (one.started_at ? (time(one.finished_at) ?? now) : null)).filter((at) => at !== null);
  const from = begins.length ? Math.min(...begins) : now;
  return { from, to: Math.max(from + 1, ...ends) };
}

/** Return the chart of the nodes of one epoch; `hrefOf(id)` is where a line leads, `chosen` the node that is shown. */
export function drawGantt(details, { epoch, hrefOf, chosen, now = Date.now() }) {
  const own = details.filter((node) => node.epoch === epoch || node.started_at === null);
  const calls = details.flatMap((node) => node.calls.filter((call) => call.epoch === epoch));
  const span = windowOf(own, calls, now);
  return h("div", { class: "gantt", key: "gantt" },
    axis(span),
    details.map((node) => line(node, { epoch, span, now, href: hrefOf(node.id), current: node.id === chosen })));
}

function axis({ from, to }) {
  const marks = [0, 0.25, 0.5, 0.75, 1];
  return h("div", { class: "axis", "aria-hidden": "true", key: "axis" }, h("span", {}, ""),
    h("div", { class: "ticks" }, marks.map((part) => h("span", { class: part % 0.5 ? "fine" : part % 1 ? "mid" : null, style: { left: `${part * 100}%` } }, duration((to - from) * part)))), h("span", {}, ""));
}

function line(node, { epoch, span, now, href, current }) {
  const older = node.started_at && node.epoch !== epoch;
  const calls = node.calls.filter((call) => call.epoch === epoch);
  const took = node.started_at ? (time(node.finished_at) ?? (node.status === "running" || node.status === "waiting" ? now : time(node.started_at))) - time(node.started_at) : null;
  const said = older ? "kept" : duration(took);
  const told = [node.id, node.status, older ? `kept from epoch ${node.epoch}` : took === null ? "not started" : `took ${duration(took)}`, calls.length > 1 ? `${calls.length} attempts` : null];
  return h("a", { class: "line", key: node.id, href, "data-state": node.status, "data-node": node.id, "aria-current": current ? "true" : null, "aria-label": told.filter(Boolean).join(", ") },
    h("span", { class: "name", "data-state": node.status }, h("span", { class: "clip" }, node.id)),
    h("div", { class: "track" },
      !older && node.started_at ? bar("span", node.status, time(node.started_at), time(node.finished_at) ?? time(node.started_at) + took, span, null) : null,
      calls.filter((call) => call.started_at).map((call) => bar("bar", OUTCOMES[call.outcome] ?? call.outcome, time(call.started_at), time(call.finished_at) ?? now, span,
        `${call.node}, attempt ${call.attempt}: ${call.outcome}, ${duration(call.duration_ms)}, from ${when(call.started_at)}`))),
    h("span", { class: "time" }, said));
}

const OUTCOMES = { lost: "stopped", deferred: "waiting" };

function bar(kind, state, from, to, span, title) {
  const whole = span.to - span.from;
  const left = Math.max(0, ((from - span.from) / whole) * 100);
  const width = Math.min(100 - left, ((to - from) / whole) * 100);
  return h("span", { class: kind, "data-state": state, title, style: { left: `${Math.min(left, 99.5).toFixed(3)}%`, width: `${Math.max(0, width).toFixed(3)}%` } });
}
