"""The API on real Kafka, with a worker beside it: what it shows, and what comes of what is asked of it."""

from typing import Any

import pytest

from tests.console.conftest import Console

pytestmark = pytest.mark.kafka


def _status(console: Console, run_id: str, status: str) -> Any:
    return console.until(f"/v1/runs/{run_id}", lambda run: run["status"] == status and run)


def _node(run: Any, node: str) -> Any:
    return next(one for one in run["node_details"] if one["id"] == node)


def test_a_run_from_its_start_over_a_review_to_its_result(console: Console, workflow: str) -> None:
    run_id = console.start_run(workflow, {"n": 1, "note": 'Grüß "Gott"'})
    (review,) = console.until("/v1/reviews", lambda said: [r for r in said["items"] if r["run_id"] == run_id])
    assert review["shown"] == {"input": {"n": 1, "note": 'Grüß "Gott"'}, "twice_it": {"n": 4}}
    assert (review["node"], review["assignees"]) == ("gate", ["ann"])
    decision = {
        "decision": "approve",
        "comment": "fine",
        "reviewer": "ann",
        "epoch": review["epoch"],
        "hash": review["hash"],
    }
    assert console.post(f"/v1/reviews/{run_id}/gate", decision, 200)["status"] == "approved"
    run = _status(console, run_id, "success")
    assert run["input"] == {"n": 1, "note": 'Grüß "Gott"'}
    assert run["outputs"]["gate"]["decision"] == "approve"
    assert run["nodes"] == {"add": "success", "twice_it": "success", "gate": "success"}
    assert [call["outcome"] for call in _node(run, "twice_it")["calls"]] == ["success"]
    assert _node(run, "twice_it")["inputs"]["add"] == {"n": 2}
    assert {(edge["from"], edge["to"]) for edge in run["dag"]["edges"]} == {("add", "twice_it"), ("twice_it", "gate")}
    assert "Decided" in {event["type"] for event in run["history"]}
    refused = console.post(f"/v1/reviews/{run_id}/gate", {"decision": "reject"}, 409)
    assert "decided before" in refused["detail"]


def test_a_dead_letter_is_edited_and_redriven_once(console: Console, workflow: str) -> None:
    run_id = console.start_run(workflow, {"n": -7})
    run = _status(console, run_id, "failed")
    assert run["error"]["node"] == "twice_it"
    assert [call["outcome"] for call in _node(run, "twice_it")["calls"]] == ["failed", "failed"]
    (letter,) = console.get("/v1/dead-letters", run_id=run_id)["items"]
    assert (letter["status"], letter["node"], letter["redrivable"]) == ("open", "twice_it", True)
    detail = console.get(f"/v1/dead-letters/{workflow}/{letter['place']}")
    assert detail["value"] == {"input": {"n": -7}, "add": {"n": -6}}
    assert (len(detail["attempts"]), detail["sees"]) == (2, ["input", "add"])
    (group,) = console.get("/v1/dead-letters/groups", workflow=workflow)["items"]
    assert (group["node"], group["kind"], group["open"]) == ("twice_it", "handler", 1)
    asked = {"workflow": workflow, "places": [letter["place"]]}
    unknown = console.post("/v1/dead-letters/redrive", {**asked, "edit": {"other": 1}}, 422)
    assert "it sees input, add" in unknown["detail"]
    (sent,) = console.post("/v1/dead-letters/redrive", {**asked, "edit": {"add": {"n": 3}}}, 200)["items"]
    assert (sent["status"], sent["reopened"]) == ("redriven", ["twice_it", "gate"])
    console.until("/v1/reviews", lambda said: [r for r in said["items"] if r["run_id"] == run_id])
    (again,) = console.post("/v1/dead-letters/redrive", asked, 200)["items"]
    assert again["status"] == "already redriven"
    assert console.get("/v1/dead-letters", run_id=run_id)["items"][0]["status"] == "redriven"
    console.post(f"/v1/reviews/{run_id}/gate", {"decision": "reject"}, 200)
    run = _status(console, run_id, "failed")
    assert _node(run, "twice_it")["inputs"]["add"] == {"n": 3}


def test_a_run_that_waits_is_cancelled(console: Console, workflow: str) -> None:
    run_id = console.start_run(workflow, {"n": 2})
    console.until("/v1/reviews", lambda said: [r for r in said["items"] if r["run_id"] == run_id])
    assert console.post(f"/v1/runs/{run_id}/cancel", None, 202)["status"] == "cancelling"
    _status(console, run_id, "cancelled")
    assert "has ended already" in console.post(f"/v1/runs/{run_id}/cancel", None, 409)["detail"]


def test_one_key_is_one_run(console: Console, workflow: str) -> None:
    path, named = f"/v1/workflows/{workflow}/runs", {"Idempotency-Key": "order-1"}
    first = console.post(path, {"input": {"n": 5, "a": 1}}, 202, **named)
    assert console.post(path, {"input": {"a": 1, "n": 5}}, 202, **named) == first
    assert "another body" in console.post(path, {"input": {"n": 6}}, 409, **named)["detail"]
    assert console.post(path, {"input": {"n": 5}}, 202)["run_id"] != first["run_id"]
    console.until("/v1/runs", lambda said: first["run_id"] in [run["run_id"] for run in said["items"]])
    named_run = {"input": {"n": 6}, "run_id": first["run_id"]}
    assert "another body" in console.post(path, named_run, 409)["detail"]
    letters = console.get("/v1/dead-letters", workflow=workflow)["items"]
    assert "run_id_conflict" not in {letter["kind"] for letter in letters}


def test_runs_are_filtered_and_paged(console: Console, workflow: str) -> None:
    ids = [console.start_run(workflow, {"n": n, "what": f"Überweisung {n}_of%"}) for n in range(5)]
    found = console.until("/v1/runs", lambda said: len(said["items"]) == 5 and said, q="überweisung")
    assert {run["run_id"] for run in found["items"]} == set(ids)

    def ids_of(**asked: Any) -> list[str]:
        return [run["run_id"] for run in console.get("/v1/runs", workflow=workflow, **asked)["items"]]

    assert ids_of(q="3_OF%") == [ids[3]]
    assert ids_of(q="3xOF%") == []
    assert ids_of(q=ids[2]) == [ids[2]]
    assert set(ids) <= set(ids_of(node="twice_it", node_status="success", limit=200))
    assert ids_of(node="twice_it", node_status="failed", q="überweisung") == []
    assert ids_of(status="failed", q="überweisung") == []
    assert ids_of(min_cost=0.01) == []
    assert ids_of(started_before="2020-01-01T00:00:00Z") == []
    paged, cursor = [], None
    while True:
        page = console.get("/v1/runs", q="überweisung", limit=2, **({"cursor": cursor} if cursor else {}))
        paged += [run["run_id"] for run in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert paged == [run["run_id"] for run in found["items"]]


def test_a_workflow_with_its_figures(console: Console, workflow: str) -> None:
    run_id = console.start_run(workflow, {"n": 9})
    console.until("/v1/reviews", lambda said: [r for r in said["items"] if r["run_id"] == run_id])
    told = console.get(f"/v1/workflows/{workflow}")
    assert told["version"] == "1.0.0"
    assert told["runs"]["running"] >= 1
    assert told["runs"]["total"] == sum(count for name, count in told["runs"].items() if name != "total")
    assert told["reviews_waiting"] >= 1
    counts = {node["id"]: node["counts"] for node in told["dag"]["nodes"]}
    assert counts["gate"]["waiting"] == told["reviews_waiting"]
    assert workflow in [one["id"] for one in console.get("/v1/workflows")["items"]]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/runs/nobody", 404),
        ("/v1/runs?workflow=nobody", 404),
        ("/v1/workflows/nobody", 404),
        ("/v1/nothing", 404),
        ("/v1/runs?limit=0", 422),
        ("/v1/runs?status=odd", 422),
        ("/v1/runs?colour=red", 422),
        ("/v1/runs?started_after=yesterday", 422),
        ("/v1/runs?cursor=xyz", 404),
        ("/v1/status?x=1", 422),
    ],
)
def test_what_cannot_be_answered(console: Console, path: str, status: int) -> None:
    answer = console.http.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["detail"]
