"""Endpoints that change something: each publishes what the command line would, and says what became of it."""

from __future__ import annotations

import socket
from functools import partial
from typing import Any
from uuid import uuid4

from pydantic import BaseModel
from starlette.responses import Response

from penstock.client import connections, publishing, redriving
from penstock.client import reviews as deciding
from penstock.client.dead_letter import DeadLetter
from penstock.client.dead_letters import Selection, Status
from penstock.client.redrive_records import why_not
from penstock.client.runs import RunState
from penstock.client.workflows import Workflow, input_of
from penstock.console.api import shapes
from penstock.console.api.endpoint import Call, json_of
from penstock.console.api.problems import Refused
from penstock.console.api.requests import Redrive
from penstock.console.idempotency import run_id_of
from penstock.console.queries import letters, plans, reviews, run_detail, structure
from schemas.codec import dumps
from schemas.ids import content_hash
from schemas.records import RunRow

IDEMPOTENCY_KEY = "Idempotency-Key"
REPEATED = {"Idempotency-Replayed": "true"}


def _requester() -> str:
    """Return who asks, for the journal: whoever has the token."""
    return f"console@{socket.gethostname()}"


# ---- start a run ----------------------------------------------------------------------------------------------------


async def start_run(call: Call) -> Response:
    """Publish an input; the same one under the same key or run id is one run."""
    workflow: Workflow = await call.console.ask(partial(structure.workflow_of, workflow_id=call.path["workflow_id"]))
    text, content = _written(call.body.input)
    if faults := await call.console.ask(partial(plans.faults_of, workflow=workflow.id, value=call.body.input)):
        raise Refused(422, f"the input does not fit the workflow's input_schema: {'; '.join(faults)}")
    key = call.request.headers.get(IDEMPOTENCY_KEY)
    run_id = call.body.run_id or (run_id_of(workflow.id, key) if key else uuid4().hex)
    asked = call.console.recent.of(workflow.id, run_id if key is None else f"key {key}")
    async with asked.lock:
        if asked.content not in (None, content) or (asked.answer and asked.answer.run_id != run_id):
            raise _other_input(key, run_id)
        if asked.answer is None:
            asked.content, asked.answer = content, await _known(call, workflow, run_id, key, content)
        if asked.answer is not None:
            return _accepted(asked.answer, repeated=True)
        topic = input_of(workflow.id, call.console.topics)
        plan = await call.console.ask(partial(plans.current_plan, workflow=workflow.id))
        text = await publishing.claimed(text, None if plan is None else plan.claim_check, call.console.config.claims)
        async with call.console.producer() as producer:
            async for stands in publishing.publish(producer, topic, [publishing.Input(run_id, text)]):
                asked.answer = shapes.PublishedRun(
                    run_id=run_id,
                    workflow_id=workflow.id,
                    topic=topic,
                    partition=stands.partition,
                    offset=stands.offset,
                )
    assert asked.answer is not None  # noqa: S101 - one input, one answer
    call.console.recent.publish(run_id)
    return _accepted(asked.answer, repeated=False)


def _written(value: Any) -> tuple[str, str]:
    try:
        return dumps(value), content_hash(value)
    except TypeError as error:
        raise Refused(422, f"input: it cannot be written as JSON: {error}") from None


async def _known(
    call: Call, workflow: Workflow, run_id: str, key: str | None, content: str
) -> shapes.PublishedRun | None:
    """Return where the run's input stands if there is a run; refuse another input: the engine would bury it."""
    row: RunRow | None = await call.console.ask(lambda db: run_detail.row_of(db, workflow.id, run_id))
    if row is None or row.source is None:
        return None
    if row.input_hash != content:
        raise _other_input(key, run_id)
    at = row.source
    return shapes.PublishedRun(
        run_id=run_id, workflow_id=workflow.id, topic=at.topic, partition=at.partition, offset=at.offset
    )


def _other_input(key: str | None, run_id: str) -> Refused:
    named = f"run {run_id!r}" if key is None else f"{IDEMPOTENCY_KEY} {key!r}"
    return Refused(409, f"{named} was used before, with another body: take a new one for a new run")


def _accepted(answer: shapes.PublishedRun, *, repeated: bool) -> Response:
    response = json_of(answer, 202)
    if repeated:
        response.headers.update(REPEATED)
    return response


# ---- cancel ---------------------------------------------------------------------------------------------------------


async def cancel(call: Call) -> BaseModel:
    """Publish a cancel."""
    state = await _state(call)
    if state.row.status != "running":
        raise Refused(409, f"run {state.row.run_id!r} has ended already: {state.row.status}")
    of = {"run_id": state.row.run_id}
    async with call.console.producer() as producer:
        await publishing.command(
            producer, state.workflow.id, state.row.run_id, {"type": "cancel", **of}, state.row.traceparent
        )
    return shapes.Cancelling(**of, workflow_id=state.workflow.id, status="cancelling")


async def _state(call: Call) -> RunState:
    return await call.console.run(call.path["run_id"], call.query.workflow)


# ---- redrive --------------------------------------------------------------------------------------------------------


async def redrive(call: Call) -> BaseModel:
    """Send dead letters back, and say what became of each."""
    asked: Redrive = call.body
    selection = Selection(asked.run_id, asked.node, asked.kind)
    workflow: Workflow = await call.console.ask(partial(structure.workflow_of, workflow_id=asked.workflow))
    found = await call.console.ask(
        partial(letters.selected, workflow=workflow.id, selection=selection, places=asked.places)
    )
    going = [letter for letter, status in found if status == "open" and letter.redrivable]
    why = None if asked.edit is None else why_not(going, asked.edit)
    if why is not None:
        raise Refused(422, f"edit: {why}")
    outcomes = [left for letter, status in found if (left := _left_alone(letter, status))]
    if going:
        how = redriving.How(_requester(), asked.edit, asked.rate, asked.timeout_s)
        async with call.console.producer() as producer, connections.reader(call.console.config) as reader:
            topics = dict(call.console.topics)
            async for outcome in redriving.redrive(reader, producer, workflow, topics, going, how):
                outcomes.append(outcome)
    return shapes.RedriveOutcomes(items=[shapes.RedriveOutcome(**outcome) for outcome in outcomes])


def _left_alone(letter: DeadLetter, status: Status) -> dict[str, Any] | None:
    if not letter.redrivable:
        reason = f"a record of kind {letter.kind} can only be looked at"
        return redriving.outcome_of(letter, "not redrivable", reason=reason)
    return None if status == "open" else redriving.outcome_of(letter, "already redriven")


# ---- review ---------------------------------------------------------------------------------------------------------


async def decide(call: Call) -> Response:
    """Publish a decision on what waits now, and say what became of it; where nothing waits the workers say so."""
    state, node = await _state(call), call.path["node"]
    run_id, workflow = state.row.run_id, state.workflow
    if node not in workflow.nodes:
        raise Refused(404, f"workflow {workflow.id!r} has no node {node!r}; it has {', '.join(sorted(workflow.nodes))}")
    waits = await call.console.ask(lambda db: reviews.review_at(db, workflow.id, run_id, node))
    current: dict[str, Any] = {} if waits is None else {"epoch": waits.request.epoch, "hash": waits.request.hash}
    own = call.body.model_dump(exclude={"timeout_s"}, exclude_none=True)
    command = {"type": "review", "run_id": run_id, "node": node, "reviewer": _requester(), **current, **own}
    async with call.console.producer() as producer, connections.reader(call.console.config) as reader:
        within_s = call.body.timeout_s
        said = await deciding.decide(reader, producer, workflow, call.console.topics, command, within_s)
    if said["status"] == "refused":
        raise Refused(409, f"the decision was refused: {said['reason']}")
    return json_of(shapes.DecisionOutcome(**said), 202 if said["status"] == "unanswered" else 200)
