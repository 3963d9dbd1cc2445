// The review inbox, and one review: what the reviewer must see, and the decision.
import { get } from "../api.js";
import { h } from "../dom.js";
import { distance, number, when } from "../format.js";
import { decisionForm } from "../decision.js";
import { empty, facts, head, jsonBlock, link, note, panel } from "../parts.js";
import { go, to } from "../route.js";

function hrefOf(review) {
  return to(["reviews", review.workflow_id, review.run_id, review.node]);
}

export function reviewsView() {
  return {
    title: "Reviews",
    load() { return get("v1/reviews", { workflow: this.query.workflow }); },
    concerns: (change) => change.what.includes("reviews"),
    ticks: () => true,
    draw() {
      const { items } = this.data;
      const all = this.query.workflow ? [link("Of all workflows", "#/reviews")] : [];
      return [head({ title: this.query.workflow ? `Reviews of ${this.query.workflow}` : "Reviews", actions: all }), panel(null, items.length ? table(items) : empty("Nothing waits for a decision.", "Runs that reach a review node, or an answer in doubt, wait here."), { key: "inbox", flush: true })];
    },
  };
}

function table(items) {
  return h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, ["Run", "Workflow", "Node", "Asked", "Why", "Since", "Due"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, items.map((review) => h("tr", { key: `${review.workflow_id} ${review.run_id} ${review.node}`, class: "open-row", onclick: (event) => { if (!event.target.closest("a")) go(hrefOf(review)); } },
      h("td", { class: "clip" }, h("a", { class: "cover mono", href: hrefOf(review) }, review.run_id)),
      h("td", {}, review.workflow_id), h("td", { class: "mono" }, review.node), h("td", {}, review.assignees.join(", ") || "anybody"), h("td", {}, reasonOf(review)),
      h("td", { class: "nowrap" }, distance(review.requested_at)), h("td", { class: "nowrap" }, distance(review.due_at)))))));
}

function reasonOf(review) {
  return [review.reason === "low_confidence" ? "the model was not sure" : review.reason, review.escalation ? "escalated" : null].filter(Boolean).join(", ");
}

export function reviewView(context, workflow, run, node) {
  return {
    title: `Review ${node}`,
    async load() {
      const { items } = await get("v1/reviews", { workflow });
      return { review: items.find((one) => one.run_id === run && one.node === node) ?? null };
    },
    concerns: (change) => change.what.includes("reviews"),
    ticks: () => true,
    draw() {
      const { review } = this.data;
      const runHref = to(["workflows", workflow, "runs", run], { node });
      const top = head({ crumbs: [["Reviews", "#/reviews"], [workflow, to(["reviews"], { workflow })]], title: `Review: ${node}`, beside: h("a", { class: "mono tiny", href: runHref }, run), actions: [link("The run", runHref)] });
      if (!review) return [top, panel(null, empty("No decision is waited for here.", h("span", {}, "It was taken, ran out of time, or has not been asked for. ", h("a", { href: runHref }, "The run"), " tells.")), { key: "none" })];
      return [top, panel(null, figures(review), { key: "facts" }), h("div", { class: "halves", key: review.hash },
        panel("What is decided on", shown(review), { key: "shown" }),
        h("div", { class: "stack" },
          panel("Decision", context.mayWrite ? decisionForm(review, () => go(runHref)) : empty("Sign in to decide."), { key: `decide-${review.hash}` }),
          madeBy(review)))];
    },
  };
}

function figures(review) {
  return facts({ Asked: review.assignees.join(", ") || "anybody", Why: reasonOf(review), Since: `${when(review.requested_at)} (${distance(review.requested_at)})`, Due: `${when(review.due_at)} (${distance(review.due_at)})`, Escalation: review.escalation ? number(review.escalation) : null, Epoch: review.epoch ? number(review.epoch) : null });
}

/** Show each part by itself, the input last: what the workflow made of it is what a reviewer is here for. */
function shown(review) {
  const parts = Object.entries(review.shown ?? {});
  if (typeof review.shown !== "object" || Array.isArray(review.shown)) return jsonBlock("Shown", review.shown);
  const ordered = [...parts.filter(([name]) => name !== "input").reverse(), ...parts.filter(([name]) => name === "input")];
  return h("div", { class: "stack" }, ordered.map(([name, value]) => jsonBlock(name, value, { beside: review.made_by?.[name]?.model ? h("span", { class: "tiny muted" }, `by ${review.made_by[name].model}`) : null })));
}

function madeBy(review) {
  const parts = Object.entries(review.made_by ?? {});
  if (!parts.length) return null;
  return panel("Where it comes from", [h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, ["Node", "Model", "Prompt hash", "Response hash"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, parts.map(([name, by]) => h("tr", {}, h("td", { class: "mono" }, name), h("td", {}, by.model), ...[by.prompt_hash, by.response_hash].map((hash) => h("td", { class: "mono tiny", title: hash }, hash?.slice(0, 12) ?? "–"))))))),
    note(h("span", {}, "Your decision is bound to what is shown here by the hash ", h("code", { class: "tiny" }, review.hash.slice(0, 16)), "…: if it changes meanwhile, the decision is refused."))], { flush: true });
}
