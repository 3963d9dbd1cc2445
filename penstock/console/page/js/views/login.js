// Signing in with the token that `penstock console` printed.
import { post } from "../api.js";
import { h, patch } from "../dom.js";
import { field, refusal } from "../parts.js";

/** Return the form; `entered()` is called once the token was right. */
export function loginView(entered) {
  const input = h("input", { type: "password", name: "token", autocomplete: "current-password", required: true, spellcheck: "false" });
  const said = h("div", { key: "said", "data-island": true });
  const submit = async (event) => {
    event.preventDefault();
    try {
      await post("v1/session", { token: input.value.trim() });
      await entered();
    } catch (error) {
      input.setAttribute("aria-invalid", "true");
      patch(said, refusal(error.status === 401 ? new Error("That is not the token of this console. It stands after “token:” where `penstock console` was started, or in PENSTOCK_CONSOLE_TOKEN.") : error));
      input.select();
    }
  };
  return h("main", { class: "login", id: "main", tabindex: "-1", "data-island": true },
    h("form", { class: "panel", onsubmit: submit },
      h("div", { class: "body stack" },
        h("div", { class: "brand" }, h("img", { src: "favicon.svg", alt: "" }), h("h1", {}, "Penstock")),
        field("Token", input, "Printed by `penstock console` when it starts, after “token:”."),
        said,
        h("button", { class: "button main", type: "submit" }, "Sign in"))));
}
