// Dead letters: by cause, and those of the cause that is looked at.
import { get, post } from "../api.js";
import { h } from "../dom.js";
import { distance, number, when } from "../format.js";
import { button, confirm, empty, field, head, panel, select, toast } from "../parts.js";
import { go, to } from "../route.js";

const PLACE = ["dead-letters"];

export function deadLettersView(context) {
  return {
    title: "Dead letters",
    async load() {
      const { workflow, node, kind, run_id, cursor, status = "open" } = this.query;
      const wanted = status === "all" ? null : status;
      const [groups, letters] = await Promise.all([
        get("v1/dead-letters/groups", { workflow, status: wanted }),
        get("v1/dead-letters", { workflow, node, kind, run_id, cursor, status: wanted, limit: 50 }),
      ]);
      return { groups: groups.items, letters };
    },
    concerns: (change) => change.what.includes("dead_letters"),
    draw() {
      const { groups, letters } = this.data;
      const { query } = this;
      const chosen = groups.find((group) => isChosen(group, query));
      return [
        head({ title: "Dead letters", actions: [filter(query)] }),
        panel("Causes", groups.length ? causes(groups, query) : empty("No dead letters.", "What fails for good arrives here, with what it needs to be sent back."), { flush: true }),
        letters.items.length ? panel(chosen ? `${chosen.kind} in ${chosen.node ?? "the input"}` : "Letters", [table(letters.items), pages(letters, query)], {
          key: "letters", flush: true, beside: chosen && chosen.open && context.mayWrite ? redriveAll(chosen, context) : selection(query),
        }) : null,
      ];
    },
  };
}

function filter(query) {
  const options = [["open", "open"], ["redriven", "redriven"], ["all", "all"]];
  return field("Show", select("letters", query.status ?? "open", options, (status) => go(to(PLACE, { ...query, status: status === "open" ? "" : status, cursor: "" }))));
}

function selection(query) {
  const by = ["workflow", "node", "kind", "run_id"].filter((name) => query[name]);
  return by.length ? button("Show all", () => go(to(PLACE, { status: query.status })), { kind: "plain slim" }) : null;
}

function isChosen(group, query) {
  return query.workflow === group.workflow_id && (query.node ?? null) === group.node && query.kind === group.kind;
}

function causes(groups, query) {
  return h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, ["Cause", "Workflow", "Node", "Newest message"].map((name) => h("th", { scope: "col" }, name)), h("th", { class: "num", scope: "col" }, "Open"), h("th", { class: "num", scope: "col" }, "All"), h("th", { scope: "col" }, "Last"))),
    h("tbody", {}, groups.map((group) => {
      const href = to(PLACE, { workflow: group.workflow_id, node: group.node, kind: group.kind, status: query.status });
      return h("tr", { key: `${group.workflow_id} ${group.node} ${group.kind}`, class: "open-row", "aria-current": isChosen(group, query) ? "true" : null, onclick: (event) => { if (!event.target.closest("a")) go(href); } },
        h("td", {}, h("a", { class: "cover", href }, group.kind)),
        h("td", {}, group.workflow_id), h("td", { class: "mono" }, group.node ?? "(input)"), h("td", { class: "clip", title: group.message }, group.message),
        h("td", { class: "num" }, number(group.open)), h("td", { class: "num" }, number(group.count)), h("td", { class: "nowrap" }, distance(group.last_at)));
    }))));
}

function redriveAll(group, context) {
  return button(`Redrive all ${number(group.open)} open`, async (event) => {
    const sure = await confirm(`Redrive ${number(group.open)} dead letters?`, `Every open letter of “${group.kind}” in ${group.node ?? "the input"} of ${group.workflow_id} is sent back as it is. Nodes that call a model call it again, and that costs.`, "Redrive");
    if (!sure) return;
    event.target.disabled = true;
    await post("v1/dead-letters/redrive", { workflow: group.workflow_id, kind: group.kind, ...(group.node ? { node: group.node } : {}) }).then(({ items }) => toast(summary(items)), (error) => toast(error.message, "bad"));
    event.target.disabled = false;
    context.reload();
  }, { kind: "slim" });
}

/** Say what became of a redrive: "3 redriven, 1 refused". */
export function summary(items) {
  const counts = new Map();
  for (const { status } of items) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts].map(([status, count]) => `${count} ${status}`).join(", ") || "nothing to redrive";
}

/** Return the address of a letter. */
export function placeOf(letter) {
  return to([...PLACE, letter.workflow_id, ...letter.place.split("/")]);
}

function table(letters) {
  return h("div", { class: "scroll", key: "table" }, h("table", {},
    h("thead", {}, h("tr", {}, ["Letter", "Run", "Node", "Message", "At", "Stands"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, letters.map((letter) => h("tr", { key: `${letter.workflow_id} ${letter.place}`, class: "open-row", onclick: (event) => { if (!event.target.closest("a")) go(placeOf(letter)); } },
      h("td", { class: "nowrap" }, h("a", { class: "cover mono", href: placeOf(letter), "aria-label": `Dead letter ${letter.place} of ${letter.workflow_id}` }, letter.place)),
      h("td", { class: "clip mono" }, letter.run_id && !letter.is_input ? h("a", { href: to(["workflows", letter.workflow_id, "runs", letter.run_id]) }, letter.run_id) : (letter.run_id ?? "–")),
      h("td", { class: "mono" }, letter.node ?? "(input)"), h("td", { class: "clip", title: letter.message }, letter.message),
      h("td", { class: "nowrap" }, when(letter.at)), h("td", {}, h("span", { class: "state", "data-state": letter.status === "open" ? "failed" : "success" }, letter.status)))))));
}

function pages(letters, query) {
  if (!letters.next_cursor && !query.cursor) return null;
  return h("div", { class: "pages", key: "pages" },
    query.cursor ? h("a", { class: "button slim", href: to(PLACE, { ...query, cursor: "" }) }, "Newest") : null,
    letters.next_cursor ? h("a", { class: "button slim", href: to(PLACE, { ...query, cursor: letters.next_cursor }) }, "Older") : null);
}
