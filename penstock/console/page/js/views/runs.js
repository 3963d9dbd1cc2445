// Runs of all workflows.
import { get } from "../api.js";
import { head } from "../parts.js";
import { drawRuns, loadRuns } from "../run_list.js";

export function runsView() {
  return {
    title: "Runs",
    async load() {
      const [page, workflows] = await Promise.all([loadRuns(this.query), get("v1/workflows")]);
      return { page, workflows: workflows.items };
    },
    concerns: (change) => change.what.includes("runs"),
    ticks() { return this.data?.page.items.some((run) => run.status === "running"); },
    draw() {
      const { page, workflows } = this.data;
      const chosen = workflows.find((one) => one.id === this.query.workflow);
      return [head({ title: "Runs" }), drawRuns(page, { query: this.query, place: ["runs"], nodes: chosen?.nodes ?? [], workflows: workflows.map((one) => one.id) })];
    },
  };
}
