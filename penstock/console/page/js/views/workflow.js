// One workflow: its DAG as it stands now, and its runs.
import { get, path } from "../api.js";
import { h } from "../dom.js";
import { duration, money, number, percent } from "../format.js";
import { drawDag } from "../graph.js";
import { facts, head, link, panel } from "../parts.js";
import { to } from "../route.js";
import { drawRuns, loadRuns } from "../run_list.js";
import { share } from "./workflows.js";

export function workflowView(context, id) {
  return {
    title: id,
    async load() {
      const [workflow, page] = await Promise.all([get(path("v1", "workflows", id)), loadRuns(this.query, id)]);
      return { workflow, page };
    },
    concerns: (change) => !change.workflows || change.workflows.includes(id),
    ticks() { return this.data?.page.items.some((run) => run.status === "running"); },
    draw() {
      const { workflow, page } = this.data;
      return [
        head({ crumbs: [["Workflows", "#/workflows"]], title: id, actions: actions(workflow, context) }),
        panel(null, [figures(workflow)], { key: "figures" }),
        panel("Now", drawDag(workflow.dag, { label: `Nodes of ${id} and what they are doing now`, look: (node) => look(node, id, this.query) }), { flush: true, beside: h("span", { class: "tiny muted" }, "Counts are runs per node; a node leads to its runs.") }),
        drawRuns(page, { query: this.query, place: ["workflows", id], nodes: workflow.nodes }),
      ];
    },
  };
}

function actions(workflow, { mayWrite }) {
  return [
    workflow.reviews_waiting ? link(`Reviews (${workflow.reviews_waiting})`, to(["reviews"], { workflow: workflow.id })) : null,
    workflow.dead_letters_open ? link(`Dead letters (${workflow.dead_letters_open})`, to(["dead-letters"], { workflow: workflow.id })) : null,
    mayWrite ? h("a", { class: "button main", href: to(["workflows", workflow.id, "start"]), "data-start": true }, "Start a run") : null,
  ];
}

function figures(workflow) {
  return facts({
    Version: workflow.version,
    "Success ratio": percent(workflow.success_ratio),
    "Duration p50": duration(workflow.duration_ms?.p50),
    "Duration p95": duration(workflow.duration_ms?.p95),
    "Spent today (UTC)": money(workflow.spend_today_usd),
    "Tokens today": number(workflow.tokens_today),
    Partitions: number(workflow.partitions),
    Runs: share(workflow.runs),
  });
}

const ENDED = ["success", "failed", "skipped", "cancelled"];

/** Say how a node looks: what is under way colours it, how runs ended stands at its foot. */
export function look(node, workflow, query) {
  const { counts } = node;
  const state = ["running", "waiting"].find((status) => counts[status]) ?? null;
  const now = ["running", "waiting", "failed"].filter((status) => counts[status]).map((status) => `${number(counts[status])} ${status}`).join(" · ");
  const total = ENDED.reduce((all, status) => all + (counts[status] ?? 0), 0);
  const pieces = ENDED.filter((status) => counts[status]).map((status) => [status, counts[status] / total]);
  const already = query.node === node.id;
  return { state, now, pieces, current: already, href: to(["workflows", workflow], { ...query, cursor: "", node: already ? "" : node.id, node_status: "" }) };
}
