"""The graph of a workflow: what there is to tell of its nodes and edges."""

from __future__ import annotations

import sqlite3
from collections import defaultdict

from penstock.client.errors import UnknownWorkflow
from penstock.client.workflows import Workflow, unknown
from penstock.console.api import shapes
from schemas.codec import loads
from topology.describe import edges as edges_of
from topology.plan import NodePlan, WorkflowPlan


def workflow_of(db: sqlite3.Connection, workflow_id: str) -> Workflow:
    """Return a workflow as the client knows it; raise `UnknownWorkflow`."""
    row = db.execute("select * from workflows where id = ?", (workflow_id,)).fetchone()
    if row is None:
        raise unknown_workflow(db, workflow_id)
    return Workflow(row["id"], row["partitions"], tuple(loads(row["nodes"])))


def unknown_workflow(db: sqlite3.Connection, workflow_id: str) -> UnknownWorkflow:
    """Return the error that says which workflows there are."""
    return unknown(workflow_id, [row["id"] for row in db.execute("select id from workflows order by id")])


def dag_of(db: sqlite3.Connection, workflow: Workflow, plan: WorkflowPlan | None, *, counted: bool) -> shapes.Dag:
    """Return the graph: of the plan, else of what has run; with `counted`, how many runs stand how at each node."""
    counts = _counts(db, workflow.id) if counted else {}
    if plan is not None:
        planned = [_node(node, counts.get(node.id, {})) for node in plan.nodes]
        return shapes.Dag(source="plan", nodes=planned, edges=[shapes.DagEdge(**edge) for edge in edges_of(plan)])
    rows = db.execute("select source, node from edges where workflow = ? order by source, node", (workflow.id,))
    edges = [shapes.DagEdge(from_=row["source"], to=row["node"], kind=None) for row in rows]
    nodes = [shapes.DagNode(id=node, type=None, model=None, counts=counts.get(node, {})) for node in workflow.nodes]
    return shapes.Dag(source="rows", nodes=nodes, edges=edges)


def _node(node: NodePlan, counts: dict[str, int]) -> shapes.DagNode:
    model = None if node.llm is None else node.llm.models[0]
    return shapes.DagNode(id=node.id, type=node.kind, model=model, counts=counts)


def _counts(db: sqlite3.Connection, workflow: str) -> dict[str, dict[str, int]]:
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    asked = "select node, status, count(*) as n from nodes where workflow = ? group by node, status"
    for row in db.execute(asked, (workflow,)):
        found[row["node"]][row["status"]] = row["n"]
    return found
