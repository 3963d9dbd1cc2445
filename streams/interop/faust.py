"""A faust agent as an external node: it takes requests from `{wf}.{node}.requests` and answers on `{wf}.control`.

    app = faust.App("scoring", broker="kafka://127.0.0.1:9092")

    @external_node(app, workflow="loans", node="score")
    async def score(inputs, request):
        return {"score": len(inputs["input"]["text"])}

Only this and faust are needed where the app runs; nothing of the engine is imported.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from faust import App
from faust.serializers import codecs
from faust.types import AgentT, StreamT

from schemas import headers as names
from schemas.claims import Claim, Holding, value_of
from schemas.codec import dumps
from schemas.sealed import is_sealed
from streams.errors import NonRetryable, RetryAfter
from streams.sealing.keyring import Keyring
from streams.sealing.records import bound, seal
from topology.naming import control_topic, requests_topic, use_prefix

MAX_MESSAGE = 8_000
"""Characters of an error's message; the engine would cut it, too."""

CODEC = "penstock_json"
"""The name of Penstock's JSON among faust's serializers."""


class PenstockJson(codecs.Codec):  # type: ignore[misc]
    """JSON as Penstock writes it: UTF-8, no blanks, no NaN."""

    def _dumps(self, obj: Any) -> bytes:
        return dumps(obj).encode()

    def _loads(self, s: bytes) -> Any:
        return value_of(s.decode())


codecs.register(CODEC, PenstockJson())


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: one attempt of a node of a run. A repeat of the same request is answered again, with the same ids."""

    run_id: str
    workflow_id: str
    node: str
    epoch: int
    attempt: int
    idempotency_key: str | None
    due_at: str

    def answer(self, **said: Any) -> dict[str, Any]:
        """Return the record for the control topic: `output`, or `error`."""
        same = {"run_id": self.run_id, "node": self.node, "epoch": self.epoch, "attempt": self.attempt}
        return {"type": "result", **same, **said}


Handler = Callable[[dict[str, Any], Request], Awaitable[dict[str, Any]]]


def external_node(
    app: App,
    workflow: str,
    node: str,
    concurrency: int = 1,
    topic_prefix: str | None = None,
    keyring: Keyring | None = None,
) -> Callable[[Handler], AgentT[Any]]:
    """Make an async function the external `node` of `workflow`, as an agent of `app`.

    It is given what the node sees and the request, and returns the output, a JSON object, or the `Claim` of one that it has put into a
    claim store (docs/large-payloads.md; what it sees may hold claims, too). What it raises is an error that is
    retried by the node's policy, after `seconds` for `RetryAfter`; `NonRetryable` is not. Offsets are committed once the answer is
    acknowledged, so a request is answered at least once; of several answers the first counts. `topic_prefix` is that of the
    workers' settings, should they have one; `keyring` has their keys where payloads are encrypted (docs/encryption.md).
    """
    if topic_prefix is not None:
        use_prefix(topic_prefix)
    as_value = CODEC if keyring is None else "raw"
    asked = requests_topic(workflow, node)
    requests = app.topic(asked, key_serializer="raw", value_serializer=as_value, allow_empty=True)
    control = app.topic(control_topic(workflow), key_serializer="raw", value_serializer=as_value)

    def register(handler: Handler) -> AgentT[Any]:
        async def answered(stream: StreamT[Any]) -> None:
            async for body in _bodies(stream, keyring):
                request = _request_of(body)
                if request is None:
                    continue  # none of ours
                answer = await _answer(handler, Holding(body.get("inputs") or {}), request)
                key = request.run_id.encode()
                sent = await control.send(key=key, **_sealed(keyring, control_topic(workflow), key, answer))
                await sent  # acknowledged, before the request counts as done

        return app.agent(requests, name=f"{workflow}.{node}", concurrency=concurrency)(answered)

    return register


async def _bodies(stream: StreamT[Any], keyring: Keyring | None) -> AsyncIterator[Any]:
    """Yield what comes, decrypted; what is not for this place is nothing of ours."""
    if keyring is None:
        async for body in stream:
            yield body
        return
    async for event in stream.events():
        yield _opened(keyring, event.message.topic, event.message.key, event.value)


def _opened(keyring: Keyring, topic: str, key: bytes | None, value: bytes | None) -> Any:
    try:
        plain = keyring.open(value, bound(topic, key), topic) if is_sealed(value) and value is not None else value
        return value_of((plain or b"null").decode())
    except ValueError:
        return None


def _sealed(keyring: Keyring | None, topic: str, key: bytes, answer: dict[str, Any]) -> dict[str, Any]:
    """Return value and headers of an answer, encrypted if a key is there to do so; a claim in the place of an output is said to be one."""
    said = ((names.CLAIM, b"1"),) if isinstance(answer.get("output"), Claim) else ()
    if keyring is None:
        return {"value": answer, "headers": list(said)}
    text = dumps(answer).encode()
    if keyring.current is None:
        return {"value": text, "headers": list(said)}
    value, headers = seal(keyring, topic, key, text, said)
    return {"value": value, "headers": list(headers)}


def _request_of(body: Any) -> Request | None:
    fields = Request.__dataclass_fields__
    if not isinstance(body, dict) or any(name not in body for name in fields):
        return None
    return Request(**{name: body[name] for name in fields})


async def _answer(handler: Handler, inputs: dict[str, Any], request: Request) -> dict[str, Any]:
    try:
        output = await handler(inputs, request)
    except Exception as error:
        return request.answer(error=_error_of(error))
    if not isinstance(output, dict):
        said = f"the handler returned {type(output).__name__}, not a JSON object (a dict)"
        return request.answer(error={"kind": "handler", "message": said, "retryable": False})
    try:
        dumps(output)
    except TypeError as error:
        message = f"the output cannot be written as JSON: {error}"
        return request.answer(error={"kind": "handler", "message": message, "retryable": False})
    return request.answer(output=output)


def _error_of(error: Exception) -> dict[str, Any]:
    message = f"{type(error).__name__}: {error}".encode(errors="replace").decode()[:MAX_MESSAGE]
    found: dict[str, Any] = {"kind": "handler", "message": message, "retryable": not isinstance(error, NonRetryable)}
    if isinstance(error, RetryAfter) and math.isfinite(error.seconds):
        found["retry_after_s"] = error.seconds
    return found
