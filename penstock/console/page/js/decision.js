// The form in which a review is decided. What may be edited is what the node's form schema says.
import { asQuery, path, post } from "./api.js";
import { h, patch } from "./dom.js";
import { parse, pretty } from "./format.js";
import { mergePatch } from "./patch_json.js";
import { field, note, refusal, toast } from "./parts.js";

/** Return the form; `done()` is called once the decision counts. */
export function decisionForm(review, done) {
  const reviewer = h("input", { type: "text", name: "reviewer", required: true, autocomplete: "username", value: remembered(), maxlength: 200 });
  const comment = h("textarea", { name: "comment", rows: 3, class: "short" });
  const edits = editFields(review);
  const said = h("div", { "aria-live": "polite" });
  const submit = async (event) => {
    event.preventDefault();
    const decision = event.submitter.value;
    const { edit, error } = decision === "approve" ? edits.read() : {};
    if (error) { patch(said, note(error, "bad")); return; }
    const body = { decision, reviewer: reviewer.value.trim(), epoch: review.epoch, hash: review.hash, ...(comment.value.trim() ? { comment: comment.value.trim() } : {}), ...(edit ? { edit } : {}) };
    remember(body.reviewer);
    event.submitter.disabled = true;
    try {
      const answer = await post(`${path("v1", "reviews", review.run_id, review.node)}${asQuery({ workflow: review.workflow_id })}`, body);
      if (answer.status === "unanswered") patch(said, note("The decision is recorded; it counts once a worker runs."));
      else { toast(`${answer.status === "approved" ? "Approved" : "Rejected"}.`); done(); }
    } catch (problem) {
      patch(said, refusal(problem));
    }
    event.submitter.disabled = false;
  };
  return h("form", { class: "form", "data-island": true, key: "decision", onsubmit: submit },
    edits.fields,
    field("Comment", comment),
    field("Reviewer", reviewer, "Recorded with the decision as you write it."),
    said,
    h("div", { class: "actions" },
      h("button", { class: "button main", type: "submit", name: "decision", value: "approve" }, "Approve"),
      h("button", { class: "button danger", type: "submit", name: "decision", value: "reject" }, "Reject")));
}

/** What is approved is the output of the only node that leads here; where there are several, nobody can tell, and fields begin empty. */
function approved(review) {
  const made = Object.entries(review.shown ?? {}).filter(([name]) => name !== "input");
  if (made.length === 1) return made[0][1];
  return made.length ? {} : (review.shown?.input ?? {});
}

function editFields(review) {
  const { form_schema: schema } = review;
  const now = approved(review) ?? {};
  if (!schema) {
    const { fields, read } = jsonField({}, now);
    return { fields: h("details", {}, h("summary", {}, "Edit what is approved"), fields), read };
  }
  const properties = Object.entries(schema.properties ?? {});
  const simple = properties.length && properties.every(([, of]) => of.enum || ["string", "integer", "number", "boolean"].includes(of.type));
  return simple ? simpleFields(properties, now) : jsonField(schema, now);
}

function simpleFields(properties, now) {
  const controls = properties.map(([name, of]) => [name, of, control(name, of, now[name])]);
  const read = () => {
    const edit = {};
    for (const [name, of, element] of controls) {
      const { value, error } = valueOf(element, of);
      if (error) return { error: `${name}: ${error}` };
      if (value !== undefined && value !== now[name]) edit[name] = value;
    }
    return { edit: Object.keys(edit).length ? edit : null };
  };
  const fields = h("fieldset", { class: "edits" }, h("legend", {}, "May be edited"), controls.map(([name, of, element]) => field(of.title ?? name, element, of.description ?? null)));
  return { fields, read };
}

function control(name, of, value) {
  const options = of.enum ?? (of.type === "boolean" ? [true, false] : null);
  if (options) {
    return h("select", { name }, value === undefined ? h("option", { value: "" }, "as it is") : null, options.map((one) => h("option", { value: JSON.stringify(one), selected: one === value }, String(one))));
  }
  const given = value === undefined || value === null ? "" : String(value);
  if (of.type === "string" && (given.length > 60 || (of.maxLength ?? 0) > 200)) return h("textarea", { name, rows: 4, class: "short", value: given });
  return h("input", { type: of.type === "string" ? "text" : "number", step: of.type === "integer" ? "1" : "any", name, value: given });
}

function valueOf(element, of) {
  if (element.nodeName === "SELECT") return { value: element.value ? JSON.parse(element.value) : undefined };
  if (of.type === "string") return { value: element.value === "" ? undefined : element.value };
  if (element.validity.badInput) return { error: "a number is expected" };
  return { value: element.value === "" ? undefined : Number(element.value) };
}

function jsonField(schema, now) {
  const names = Object.keys(schema.properties ?? {});
  const start = names.length ? Object.fromEntries(names.filter((name) => name in now).map((name) => [name, now[name]])) : now;
  const area = h("textarea", { class: "mono", name: "edit", rows: 8, spellcheck: "false", value: pretty(start) });
  const read = () => {
    const { value, error } = parse(area.value);
    if (error) return { error };
    const { patch: edit, impossible } = mergePatch(start, value);
    return impossible ? { error: impossible } : { edit };
  };
  return { fields: field("What is approved (JSON)", area, "Only what you change is sent. What the form_schema of the node does not allow is refused."), read };
}

function remembered() {
  try { return localStorage.getItem("penstock.reviewer") ?? ""; } catch { return ""; }
}

function remember(name) {
  try { localStorage.setItem("penstock.reviewer", name); } catch { /* they type it again */ }
}
