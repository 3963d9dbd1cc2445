// Which view stands where.
import { h } from "../dom.js";
import { empty } from "../parts.js";
import { deadLettersView } from "./dead_letters.js";
import { letterView } from "./letter.js";
import { replaysView } from "./replays.js";
import { reviewView, reviewsView } from "./reviews.js";
import { runView } from "./run.js";
import { runsView } from "./runs.js";
import { shadowView } from "./shadow.js";
import { startView } from "./start.js";
import { workflowView } from "./workflow.js";
import { workflowsView } from "./workflows.js";

/** Return a new view. It has `title`, `load()`, `draw()`, and if it likes `concerns(change)`, `ticks()`, `close()`. */
export function viewOf(parts, context) {
  const [place = "workflows", ...rest] = parts;
  const key = `${place}/${rest.length}`;
  if (place === "workflows" && rest.length === 2 && rest[1] === "start") return startView(context, rest[0]);
  if (place === "workflows" && rest.length === 3 && rest[1] === "runs") return runView(context, rest[0], rest[2]);
  switch (key) {
    case "workflows/0": return workflowsView(context);
    case "workflows/1": return workflowView(context, rest[0]);
    case "runs/0": return runsView(context);
    case "reviews/0": return reviewsView(context);
    case "reviews/3": return reviewView(context, ...rest);
    case "dead-letters/0": return deadLettersView(context);
    case "dead-letters/3": return letterView(context, ...rest);
    case "replays/0": return replaysView(context);
    case "replays/1": return shadowView(context, rest[0]);
    default: return nowhere();
  }
}

function nowhere() {
  return { title: "Not found", load: async () => ({}), draw: () => empty("There is nothing here.", h("a", { href: "#/workflows" }, "To the workflows")) };
}
