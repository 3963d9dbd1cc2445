// A shadow's report: what another version answers where this one answered something else.
import { get, path } from "../api.js";
import { h } from "../dom.js";
import { duration, money, number, percent } from "../format.js";
import { empty, facts, head, panel, state } from "../parts.js";
import { to } from "../route.js";

export function shadowView(_context, id) {
  return {
    title: `Shadow ${id}`,
    load: () => get(path("v1", "shadows", id)),
    draw() {
      const { workflow_id: workflow, summary, lines } = this.data;
      const wanted = this.query.all ? lines : lines.filter((line) => line.changed);
      const href = to(["replays", id], this.query.all ? {} : { all: 1 });
      return [
        head({ crumbs: [["Replays", "#/replays"]], title: id, mono: true }),
        panel(null, facts({
          Of: h("a", { href: to(["workflows", workflow]) }, workflow), Runs: number(summary.runs), Changed: number(summary.changed), Equal: number(summary.equal), Failed: number(summary.failed),
          Cost: `${money(summary.cost_usd.before)} → ${money(summary.cost_usd.after)} (${percent(summary.cost_usd.ratio)})`,
          Duration: `${duration(summary.duration_ms.before)} → ${duration(summary.duration_ms.after)} (${percent(summary.duration_ms.ratio)})`,
        }), { key: "summary" }),
        panel("Runs", wanted.length ? h("div", { class: "stack" }, wanted.map((line) => drawLine(line, workflow))) : empty("No difference so far."), { beside: h("a", { class: "tiny", href }, this.query.all ? "Those that changed" : "All runs") }),
      ];
    },
  };
}

function drawLine(line, workflow) {
  return h("article", { class: "call", key: line.run_id, "data-state": line.changed ? "stopped" : "success" },
    h("div", { class: "first" }, h("a", { class: "mono", href: to(["workflows", workflow, "runs", line.run_id]) }, line.run_id), state(line.status.before), "→", state(line.status.after),
      h("span", { class: "muted" }, `${money(line.cost_usd.before)} → ${money(line.cost_usd.after)}`)),
    line.diff.length ? h("div", { class: "diff" }, line.diff.map((one) => h("div", {}, h("code", {}, one.path), "before" in one ? h("del", {}, JSON.stringify(one.before)) : h("span"), "after" in one ? h("ins", {}, JSON.stringify(one.after)) : h("span")))) : null);
}
