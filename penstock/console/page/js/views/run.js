// One run: its path through the DAG, its timings, and everything of the node that is looked at.
import { get, path, post } from "../api.js";
import { h } from "../dom.js";
import { distance, duration, money, number, pretty, when } from "../format.js";
import { drawGantt } from "../gantt.js";
import { drawDag } from "../graph.js";
import { drawNodePanel } from "../node_panel.js";
import { button, confirm, empty, facts, head, jsonBlock, link, note, panel, state, toast } from "../parts.js";
import { go, to } from "../route.js";
import { follow } from "../streaming.js";
import { isAbout, soon } from "../live.js";

export function runView(context, workflow, id) {
  const texts = new Map();
  const view = {
    title: id,
    stop: null,
    async load() {
      const run = await get(path("v1", "runs", id), { workflow });
      run.node_details = inOrder(run);
      if (run.status === "running" && !view.stop) {
        view.stop = follow(workflow, id, texts, { onText: soon(context.redraw, 60), onChange: context.reload });
      }
      if (run.status !== "running") view.close();
      return run;
    },
    concerns: (change) => isAbout(change, workflow, id),
    ticks: () => view.data?.status === "running",
    close() { view.stop?.(); view.stop = null; },
    draw: () => drawRun(view.data, { workflow, texts, context, query: view.query }),
  };
  return view;
}

function drawRun(run, { workflow, texts, context, query }) {
  const place = ["workflows", workflow, "runs", run.run_id];
  const hrefOf = (node) => to(place, { ...query, node });
  const chosen = run.node_details.find((node) => node.id === query.node) ?? interesting(run);
  const details = new Map(run.node_details.map((node) => [node.id, node]));
  return [
    head({
      crumbs: [["Workflows", "#/workflows"], [workflow, to(["workflows", workflow])]], title: run.run_id, mono: true,
      beside: state(run.status, true), actions: actions(run, workflow, context),
    }),
    run.error ? note([h("strong", {}, `${run.error.node} failed: ${run.error.kind}. `), run.error.message], "bad") : null,
    panel(null, figures(run), { key: "figures" }),
    panel("Path", drawDag(run.dag, {
      label: `Nodes of run ${run.run_id}`,
      look: (node) => look(details.get(node.id), { href: hrefOf(node.id), current: node.id === chosen?.id }),
      edge: (from, to) => taken(details.get(from), details.get(to)),
    }), { flush: true }),
    streamed(texts, details),
    h("div", { class: "split", key: "split" },
      h("div", { class: "stack" }, timings(run, chosen, hrefOf), data(run)),
      chosen ? drawNodePanel(chosen, { run, workflow, tab: query.tab, choose: (tab) => go(to(place, { ...query, node: chosen.id, tab }), true) }) : panel("Nodes", empty("No node has begun."))),
    history(run),
  ];
}

/** Return the nodes as they began, and after them those that have not, in the order of the workflow. */
function inOrder({ node_details: nodes, dag }) {
  const place = new Map(dag.nodes.map((node, index) => [node.id, index]));
  return [...nodes.filter((node) => node.started_at), ...nodes.filter((node) => !node.started_at).sort((one, other) => place.get(one.id) - place.get(other.id))];
}

/** Choose what somebody most likely came for: what failed, what runs or waits, else the last that ended. */
function interesting({ node_details: nodes }) {
  const of = (...statuses) => nodes.find((node) => statuses.includes(node.status));
  return of("failed") ?? of("waiting") ?? of("running") ?? nodes.findLast((node) => node.status === "success") ?? nodes[0];
}

function actions(run, workflow, { mayWrite, reload }) {
  const waiting = run.node_details.find((node) => node.review && node.status === "waiting");
  const cancel = async () => {
    if (!(await confirm("Cancel this run?", "Calls under way are paid for; their answers are dropped. What has succeeded stays recorded.", "Cancel the run", "danger fill"))) return;
    await post(`${path("v1", "runs", run.run_id, "cancel")}?workflow=${encodeURIComponent(workflow)}`).then(() => toast("The run is being cancelled."), (error) => toast(error.message, "bad"));
    reload();
  };
  return [
    waiting ? link("Decide the review", to(["reviews", workflow, run.run_id, waiting.id]), "main") : null,
    run.status === "failed" ? link("Dead letters", to(["dead-letters"], { workflow, run_id: run.run_id })) : null,
    run.status === "running" && mayWrite ? button("Cancel run", cancel, { kind: "danger" }) : null,
  ];
}

function figures(run) {
  const { ledger } = run;
  const took = run.duration_ms ?? (run.started_at ? Date.now() - new Date(run.started_at).getTime() : null);
  return facts({
    Started: h("time", { datetime: run.started_at, title: run.started_at }, when(run.started_at)),
    Duration: duration(took),
    Cost: money(run.cost_usd),
    Tokens: run.usage ? h("span", { title: `${number(run.usage.prompt_tokens)} in, ${number(run.usage.completion_tokens)} out` }, number(run.usage.total_tokens)) : null,
    Budget: ledger?.max_cost_usd != null ? `${money(ledger.spent_cost_usd + ledger.reserved_cost_usd)} of ${money(ledger.max_cost_usd)}` : null,
    "Token budget": ledger?.max_tokens != null ? `${number(ledger.spent_tokens + ledger.reserved_tokens)} of ${number(ledger.max_tokens)}` : null,
    Version: run.workflow_version,
    Epoch: run.epoch ? number(run.epoch) : null,
    Trace: run.trace_id ? h("code", { class: "tiny" }, run.trace_id) : null,
    Next: run.timers?.length && run.status === "running" ? run.timers.map((timer) => `${timer.node ?? "run"}: ${timer.kind} ${distance(timer.due_at)}`).join(", ") : null,
  });
}

function look(node, { href, current }) {
  if (!node) return { state: "pending", now: "", href, current };
  const attempts = node.attempts > 1 ? ` · ${node.attempts}×` : "";
  const took = node.started_at && node.finished_at ? ` · ${duration(new Date(node.finished_at) - new Date(node.started_at))}` : "";
  return { state: node.status, now: `${node.status}${took}${attempts}`, href, current };
}

function taken(from, to) {
  if (!from || !to || from.status !== "success") return "";
  if (["running", "waiting"].includes(to.status)) return "next";
  return ["success", "failed"].includes(to.status) ? "taken" : "";
}

/** Show what streams now: text, and nothing but text. */
function streamed(texts, details) {
  const running = [...texts].filter(([node]) => ["running", "waiting", undefined].includes(details.get(node)?.status));
  if (!running.length) return null;
  return h("div", { class: "stack streaming", key: "streaming" }, running.map(([node, { text, attempt }]) => panel(`${node} is answering`,
    h("pre", { class: "text", tabindex: "0", role: "region", "aria-label": `Answer of ${node}, still growing`, "data-streaming": "yes", "data-stream": node }, text),
    { key: node, beside: h("span", { class: "tiny muted" }, `attempt ${attempt} · ${number(text.length)} characters`) })));
}

function timings(run, chosen, hrefOf) {
  const older = [...new Set(run.node_details.flatMap((node) => node.calls.map((call) => call.epoch)))].filter((epoch) => epoch !== run.epoch);
  return panel("Timings", drawGantt(run.node_details, { epoch: run.epoch, hrefOf, chosen: chosen?.id }), {
    flush: true, beside: older.length ? h("span", { class: "tiny muted" }, `of epoch ${run.epoch}; earlier attempts stand with their node`) : null,
  });
}

function data(run) {
  const outputs = run.outputs && Object.keys(run.outputs).length ? jsonBlock("Outputs", run.outputs) : null;
  return panel("Run", h("div", { class: "stack" }, outputs, jsonBlock("Input", run.input)));
}

function history(run) {
  if (!run.history?.length) return null;
  return panel(null, h("details", {}, h("summary", {}, `What else was recorded (${run.history.length})`),
    h("div", { class: "scroll" }, h("table", {},
      h("thead", {}, h("tr", {}, ["At", "Node", "Record", "Detail"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, run.history.map((event) => h("tr", {}, h("td", { class: "nowrap" }, when(event.at)), h("td", { class: "mono" }, event.node ?? "run"), h("td", {}, event.type),
        h("td", {}, h("code", { class: "tiny" }, pretty(event.detail).replace(/\s+/g, " "))))))))), { key: "history" });
}
