// One dead letter: why it failed, what it saw, and sending it back, edited or as it is.
import { get, path, post } from "../api.js";
import { h, patch } from "../dom.js";
import { parse, pretty, when } from "../format.js";
import { mergePatch } from "../patch_json.js";
import { block, button, empty, facts, field, head, jsonBlock, link, note, panel, refusal, toast } from "../parts.js";
import { to } from "../route.js";

export function letterView(context, workflow, partition, offset) {
  return {
    title: `Dead letter ${partition}/${offset}`,
    async load() {
      return { letter: await get(path("v1", "dead-letters", workflow, partition, offset)) };
    },
    concerns: (change) => change.what.includes("dead_letters"),
    draw() {
      const { letter } = this.data;
      return [
        head({
          crumbs: [["Dead letters", "#/dead-letters"], [workflow, to(["dead-letters"], { workflow })]],
          title: `${letter.kind} in ${letter.node ?? "the input"}`,
          beside: h("span", { class: "state badge", "data-state": letter.status === "open" ? "failed" : "success" }, letter.status),
          actions: letter.run_id && !letter.is_input ? [link("The run", to(["workflows", workflow, "runs", letter.run_id], { node: letter.node }))] : [],
        }),
        note(letter.message, "bad"),
        panel(null, facts({ Run: letter.run_id ? h("code", {}, letter.run_id) : null, Node: letter.node, Attempt: letter.attempt, Epoch: letter.epoch ? letter.epoch : null, At: when(letter.at), Place: h("code", {}, `${workflow}.dead-letter ${letter.place}`) }), { key: "facts" }),
        h("div", { class: "halves", key: "halves" },
          panel("Send it back", redriveForm(letter, workflow, context), { key: `redrive-${letter.status}` }),
          h("div", { class: "stack" }, attempts(letter), redrives(letter), evidence(letter))),
      ];
    },
  };
}

function redriveForm(letter, workflow, context) {
  if (letter.status !== "open") return empty("It was sent back already.", "A dead letter is redriven once; if it fails again there is a new one.");
  if (!letter.redrivable) return empty("It cannot be sent back.", letter.message);
  if (!context.mayWrite) return empty("Sign in to send it back.");
  // The letter of a node holds what the node saw, that of an input the input itself.
  const seen = letter.value;
  const editable = typeof seen === "object" && seen !== null;
  const area = h("textarea", { class: "mono", name: "edit", rows: 16, spellcheck: "false", value: editable ? pretty(seen) : "", oninput: () => tell() });
  const said = h("div", { "aria-live": "polite" });
  const change = () => {
    const { value, error } = parse(area.value);
    if (!editable) return {};
    return error ? { error } : mergePatch(seen, value);
  };
  const tell = () => {
    const { error, impossible, patch: edit } = change();
    patch(said, error || impossible ? h("p", { class: "wrong" }, error ?? impossible) : edit ? jsonBlock("The edit that is sent", edit) : h("p", { class: "muted tiny" }, "Unchanged: it is sent back as it is."));
    area.toggleAttribute("aria-invalid", false);
    if (error || impossible) area.setAttribute("aria-invalid", "true");
    return !(error || impossible);
  };
  const submit = async (event) => {
    event.preventDefault();
    if (!tell()) { area.focus(); return; }
    const { patch: edit } = change();
    const pressed = event.submitter;
    pressed.disabled = true;
    try {
      const { items } = await post("v1/dead-letters/redrive", { workflow, places: [letter.place], ...(edit ? { edit } : {}) });
      const [one] = items;
      if (["redriven", "published"].includes(one?.status)) toast(one.status === "published" ? "The input was published again." : "Sent back.");
      else patch(said, note(`${one?.status ?? "Nothing was sent"}${one?.reason ? `: ${one.reason}` : ""}`, "bad"));
    } catch (error) {
      patch(said, refusal(error));
    }
    pressed.disabled = false;
    context.reload();
  };
  tell();
  return h("form", { class: "form", "data-island": true, key: "redrive", onsubmit: submit },
    editable ? field(letter.is_input ? "The input, to be edited" : "What the node sees, to be edited", area, "Only what you change is sent, as a JSON merge patch.") : note("What it holds is not JSON, and cannot be edited here; it can be sent back as it is."),
    said,
    h("div", { class: "actions" }, h("button", { class: "button main", type: "submit" }, "Redrive"), editable ? button("Undo edits", () => { area.value = pretty(seen); tell(); }) : null));
}

function attempts(letter) {
  if (!letter.attempts?.length) return null;
  return panel("Attempts", h("ol", { class: "calls" }, letter.attempts.map((one) => h("li", { class: "call", "data-state": "failed" },
    h("div", { class: "first" }, h("strong", {}, `attempt ${one.attempt}`), one.model ? h("span", { class: "mono" }, one.model) : null, h("span", { class: "muted" }, when(one.started_at))),
    h("p", { class: "wrong" }, `${one.error.kind}: ${one.error.message}`),
    one.raw ? block(`Raw response of attempt ${one.attempt}`, one.raw) : null))));
}

function redrives(letter) {
  if (!letter.redrives?.length) return null;
  return panel("Redrives", h("ol", { class: "calls" }, letter.redrives.map((one) => h("li", { class: "call", "data-state": "running" },
    h("div", { class: "first" }, h("strong", {}, `epoch ${one.epoch}`), one.requested_by ? h("span", {}, `by ${one.requested_by}`) : null, h("span", { class: "muted" }, when(one.opened_at))),
    one.edit ? jsonBlock(`Edit of epoch ${one.epoch}`, one.edit) : null))));
}

function evidence(letter) {
  return panel("What is kept", h("div", { class: "stack" },
    letter.traceback ? block("Traceback", letter.traceback) : null,
    typeof letter.value === "string" ? block("Value", letter.value) : jsonBlock("Value", letter.value),
    h("details", {}, h("summary", {}, "Headers"), jsonBlock("Headers", letter.headers ?? {}))));
}
