// The text of nodes that are answering right now, piece by piece. EventSource resumes with Last-Event-ID by itself.
import { asQuery, path } from "./api.js";

/** Take a delta into `texts` (node -> {launch, text}): a new epoch, attempt or launch begins the text anew. Pure but for `texts`. */
export function take(texts, { node, epoch, attempt, launch, delta }) {
  const of = `${epoch}/${attempt}/${launch}`;
  const known = texts.get(node);
  texts.set(node, { of, attempt, text: (known?.of === of ? known.text : "") + delta });
}

/** Follow a run until it is done; `onText()` after each piece, `onChange()` when a node or the run changed. Return how to stop. */
export function follow(workflow, run, texts, { onText, onChange }) {
  const source = new EventSource(`${path("v1", "runs", run)}/stream${asQuery({ workflow })}`);
  source.addEventListener("token", (event) => { take(texts, JSON.parse(event.data)); onText(); });
  source.addEventListener("node", onChange);
  source.addEventListener("done", () => { source.close(); onChange(); });
  return () => source.close();
}
