// Replays, and the shadows that run.
import { get } from "../api.js";
import { h } from "../dom.js";
import { money, number, percent, when } from "../format.js";
import { empty, head, panel } from "../parts.js";
import { to } from "../route.js";

export function replaysView() {
  return {
    title: "Replays",
    async load() {
      const [replays, shadows] = await Promise.all([get("v1/replays", { workflow: this.query.workflow }), get("v1/shadows")]);
      return { replays: replays.items, shadows: shadows.items };
    },
    concerns: (change) => ["replays", "workflows", "runs"].some((what) => change.what.includes(what)),
    draw() {
      const { replays, shadows } = this.data;
      return [
        head({ title: "Replays" }),
        panel("Replays", replays.length ? table(replays) : empty("No replay yet.", h("span", {}, h("code", {}, "penstock replay WORKFLOW --from -7d --dry-run"), " says what one would take.")), { flush: true }),
        panel("Shadows", shadows.length ? shadowTable(shadows) : empty("No shadow runs now.", h("span", {}, h("code", {}, "penstock replay WORKFLOW --from -1d --shadow next/workflow.yaml"), " runs another version beside this one; while it runs its report is here.")), { flush: true }),
      ];
    },
  };
}

function table(replays) {
  return h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, ["Replay", "Workflow", "Began", "By", "From node", "Progress"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, replays.map((one) => h("tr", { key: `${one.workflow_id} ${one.replay_id}` },
      h("td", { class: "clip mono" }, one.replay_id), h("td", {}, h("a", { href: to(["workflows", one.workflow_id]) }, one.workflow_id)), h("td", { class: "nowrap" }, when(one.began_at)), h("td", {}, one.requested_by ?? "–"),
      h("td", {}, h("span", { class: "mono" }, one.node ?? "all of it"), one.reuse ? h("div", { class: "tiny muted" }, "answers reused") : null), h("td", {}, progress(one)))))));
}

function progress(one) {
  const ended = Object.entries(one.ended).filter(([, count]) => count);
  const done = ended.reduce((all, [, count]) => all + count, 0) + one.refused;
  const told = [`${number(done)} of ${number(one.runs)}`, ...ended.map(([status, count]) => `${number(count)} ${status}`), one.refused ? `${number(one.refused)} refused` : null];
  const pieces = [...ended, ["stopped", one.refused], ["pending", Math.max(0, one.runs - done)]].filter(([, count]) => count);
  return [
    h("div", { class: "progress", "aria-hidden": "true" }, pieces.map(([status, count]) => h("span", { "data-state": status, key: status, style: { "flex-grow": String(count), opacity: status === "pending" ? "0" : "1" } }))),
    h("span", { class: "tiny muted" }, told.filter(Boolean).join(" · ")),
  ];
}

function shadowTable(shadows) {
  return h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Shadow"), h("th", { scope: "col" }, "Of"), ["Runs", "Changed", "Failed", "Cost before", "Cost after", "Ratio"].map((name) => h("th", { class: "num", scope: "col" }, name)))),
    h("tbody", {}, shadows.map(({ shadow_id, workflow_id, summary }) => h("tr", { key: shadow_id },
      h("td", {}, h("a", { class: "cover mono", href: to(["replays", shadow_id]) }, shadow_id)), h("td", {}, workflow_id),
      [number(summary.runs), number(summary.changed), number(summary.failed), money(summary.cost_usd.before), money(summary.cost_usd.after), percent(summary.cost_usd.ratio)].map((text) => h("td", { class: "num" }, text)))))));
}
