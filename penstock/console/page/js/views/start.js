// Starting a run: its input as JSON, checked here for form and by the console for the rest.
import { get, path, post } from "../api.js";
import { h, patch } from "../dom.js";
import { parse, pretty } from "../format.js";
import { skeleton } from "../skeleton.js";
import { button, field, head, jsonBlock, link, note, panel, refusal } from "../parts.js";
import { go, to } from "../route.js";

export function startView(_context, id) {
  return {
    title: `Start a run of ${id}`,
    load: () => get(path("v1", "workflows", id)),
    concerns: () => false,
    draw() {
      return [
        head({ crumbs: [["Workflows", "#/workflows"], [id, to(["workflows", id])]], title: "Start a run" }),
        h("div", { class: this.data.input_schema ? "halves" : "stack", key: "halves" },
          panel("Input", startForm(id, this.data.input_schema), { key: "form" }),
          this.data.input_schema ? panel("What is expected", jsonBlock("Input schema", this.data.input_schema)) : null),
      ];
    },
  };
}

/** Wait until the run has begun or its input became a dead letter, for ten seconds at most. In a list, not to be there is no error. */
async function takenUp(workflow, run) {
  for (const until = Date.now() + 10_000; Date.now() < until;) {
    const [runs, letters] = await Promise.all([get("v1/runs", { workflow, q: run, limit: 5 }), get("v1/dead-letters", { workflow, run_id: run, limit: 1 })]);
    if (runs.items.some((one) => one.run_id === run)) return { there: true };
    if (letters.items.length) return { letter: letters.items[0] };
    await new Promise((resolve) => { setTimeout(resolve, 250); });
  }
  return {};
}

function startForm(id, schema) {
  const input = h("textarea", { class: "mono", name: "input", rows: 14, spellcheck: "false", autocapitalize: "off", value: pretty(skeleton(schema)), oninput: () => check() });
  const runId = h("input", { type: "text", name: "run_id", spellcheck: "false", autocomplete: "off", maxlength: 200 });
  const said = h("div", { "data-island": true, "aria-live": "polite" });
  let key = crypto.randomUUID();
  const check = () => {
    const { error } = parse(input.value);
    input.toggleAttribute("aria-invalid", false);
    if (error) input.setAttribute("aria-invalid", "true");
    patch(said, error ? h("p", { class: "wrong" }, error) : null);
    return !error;
  };
  const submit = async (event) => {
    event?.preventDefault();
    if (!check()) { input.focus(); return; }
    try {
      const named = runId.value.trim() ? { run_id: runId.value.trim() } : {};
      // Pressed twice, or sent again after an answer got lost, it is one run.
      const started = await post(path("v1", "workflows", id, "runs"), { input: parse(input.value).value, ...named }, { "Idempotency-Key": key });
      patch(said, note("Published; it is being taken up…"));
      const { there, letter } = await takenUp(id, started.run_id);
      if (there) go(to(["workflows", id, "runs", started.run_id]));
      else if (letter) patch(said, refusal({ message: `Refused by intake: ${letter.message}` }));
      else patch(said, note(`Run ${started.run_id} is published at ${started.topic} ${started.partition}/${started.offset}. No worker has taken it up yet: is one running?`));
    } catch (error) {
      if (error.status) key = crypto.randomUUID();
      patch(said, refusal(error));
      input.focus();
    }
  };
  const tidy = () => { const { value, error } = parse(input.value); if (!error) input.value = pretty(value); };
  return h("form", { class: "form", onsubmit: submit, "data-island": true, key: "start", onkeydown: (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event); } },
    field("Input (JSON)", input, "Ctrl + Enter starts the run."),
    field("Run id (optional)", runId, "The same id with the same input is the same run. Without one, a new id is made."),
    said,
    h("div", { class: "actions" }, h("button", { class: "button main", type: "submit" }, "Start the run"), button("Tidy", tidy), link("Back", to(["workflows", id]))));
}
