// Everything that is known of one node of a run, in tabs.
import { h } from "./dom.js";
import { duration, money, number, when } from "./format.js";
import { block, empty, facts, jsonBlock, link, note, panel, state, tabs } from "./parts.js";
import { to } from "./route.js";

/** Return the panel of a node; `choose(tab)` opens another tab. */
export function drawNodePanel(node, { run, workflow, tab, choose }) {
  const list = [
    ["output", "Output", () => output(node, run, workflow)],
    ["inputs", "Inputs", () => [node.inputs ? jsonBlock("What the node sees", node.inputs) : empty("Its inputs are not there yet.")]],
    node.prompt || node.type === "llm" || node.type === "router" ? ["prompt", "Prompt", () => prompt(node)] : null,
    node.calls.some((call) => call.raw !== null) ? ["response", "Raw response", () => response(node)] : null,
    ["attempts", `Attempts (${node.calls.length})`, () => [attempts(node)]],
  ].filter(Boolean);
  const beside = state(node.status, true);
  return h("section", { class: "panel", key: `node-${node.id}`, "aria-label": `Node ${node.id}` },
    h("header", {}, h("h2", { class: "mono" }, node.id), h("span", { class: "tiny muted" }, [node.type, node.model].filter(Boolean).join(" · ")), beside),
    tabs(`Node ${node.id}`, list, tab, choose));
}

function output(node, run, workflow) {
  return [
    node.error ? note([h("strong", {}, `${node.error.kind}: `), node.error.message], "bad") : null,
    node.review && node.status === "waiting" ? h("div", { class: "actions" }, link("Decide the review", to(["reviews", workflow, run.run_id, node.id]), "main")) : null,
    node.output !== null && node.output !== undefined ? jsonBlock("Output", node.output) : node.error ? null : empty(node.status === "skipped" ? "Skipped: its condition did not hold, or what it needs did not succeed." : "No output yet."),
    facts({
      Started: node.started_at ? when(node.started_at) : null,
      Took: node.started_at && node.finished_at ? duration(new Date(node.finished_at) - new Date(node.started_at)) : null,
      Tokens: node.usage?.total_tokens ? `${number(node.usage.prompt_tokens)} in, ${number(node.usage.completion_tokens)} out` : null,
      Cost: node.cost_usd ? money(node.cost_usd) : null,
      Epoch: node.epoch ? number(node.epoch) : null,
      "Idempotency key": node.idempotency_key ? h("code", { class: "tiny" }, node.idempotency_key) : null,
    }),
  ];
}

function prompt(node) {
  const { prompt: made } = node;
  if (!made) return [empty("No prompt: no call was made yet.")];
  return [
    made.note || !made.verified ? note(made.note ?? "Rendered anew from the recorded inputs; it is not the text that was sent: its hash differs from the recorded one.", made.verified ? "" : "bad") : null,
    ...(made.messages ?? []).map((message, index) => block(`${index + 1}. ${message.role}`, typeof message.content === "string" ? message.content : JSON.stringify(message.content, null, 2))),
  ];
}

function response(node) {
  const said = node.calls.filter((call) => call.raw !== null).reverse();
  return said.map((call) => block(`${call.node}, attempt ${call.attempt}${call.epoch ? `, epoch ${call.epoch}` : ""}: ${call.outcome}`, call.raw, { beside: call.model ? h("span", { class: "tiny muted" }, call.model) : null }));
}

function attempts(node) {
  if (!node.calls.length) return empty("No attempt has ended yet.");
  return h("ol", { class: "calls" }, node.calls.map((call) => h("li", { class: "call", key: `${call.node} ${call.epoch} ${call.seq} ${call.launch}`, "data-state": STATES[call.outcome] ?? call.outcome },
    h("div", { class: "first" },
      h("strong", {}, `${call.node === node.id ? "" : `${call.node}: `}attempt ${call.attempt}`),
      state(STATES[call.outcome] ?? call.outcome),
      STATES[call.outcome] ? h("span", {}, call.outcome) : null,
      call.reused ? h("span", {}, "reused, no call made") : null,
      call.model ? h("span", { class: "mono" }, call.model) : null,
      h("span", { class: "muted" }, `${when(call.started_at)} · ${duration(call.duration_ms)}`),
      call.first_token_ms ? h("span", { class: "muted" }, `first token ${duration(call.first_token_ms)}`) : null,
      call.usage?.total_tokens ? h("span", { class: "muted" }, `${number(call.usage.total_tokens)} tokens`) : null,
      call.cost_usd ? h("span", { class: "muted" }, money(call.cost_usd)) : null,
      call.epoch ? h("span", { class: "muted" }, `epoch ${call.epoch}`) : null),
    call.error ? h("p", { class: "wrong" }, `${call.error.kind}: ${call.error.message}`) : null)));
}

const STATES = { lost: "stopped", deferred: "waiting" };
