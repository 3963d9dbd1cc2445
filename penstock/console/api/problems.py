"""From what went wrong to a problem document (RFC 9457): which status, and a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from aiokafka.errors import KafkaError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from penstock.client.errors import AmbiguousRun, NoReview, UnknownRun, UnknownWorkflow
from penstock.console.api.shapes import Problem
from penstock.console.queries.letters import UnknownLetter
from penstock.console.queries.paging import BadCursor
from penstock.console.traces import trace_of
from streams.errors import BrokerUnreachable

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"


class Refused(Exception):
    """A request that is not carried out, with the status and the sentence of its answer."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


def problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None, workflows: list[str] | None = None
) -> Response:
    """Return a problem document."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, workflows=workflows)
    content = body.model_dump_json(exclude_none=True)
    return Response(content, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (UnknownWorkflow, 404),
    (UnknownRun, 404),
    (UnknownLetter, 404),
    (BadCursor, 404),
    (NoReview, 404),
    (AmbiguousRun, 409),
)


def answer_to(error: Exception) -> Response:
    """Return the answer to what was raised; a defect of ours is logged, and says nothing of itself to the outside."""
    match error:
        case Refused():
            return problem(error.status, error.detail, error.headers)
        case HTTPException():
            return problem(error.status_code, error.detail or HTTPStatus(error.status_code).description, error.headers)
        case ValidationError():
            return problem(422, explained(error))
        case BrokerUnreachable() | KafkaError():
            return problem(503, str(error) or type(error).__name__, {"Retry-After": "5"})
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return problem(status, str(error), workflows=getattr(error, "workflows", None))
    log.error("a request failed", traceback=trace_of(error))
    return problem(500, "a defect of the console's: its log says more")


async def on_error(request: Request, error: Exception) -> Response:
    """Answer for Starlette."""
    return answer_to(error)


def explained(error: ValidationError) -> str:
    """Return what is wrong, field by field, without repeating what was sent."""
    return "; ".join(_line(problem) for problem in error.errors(include_input=False, include_url=False))


def _line(said: Any) -> str:
    where = ".".join(map(str, said["loc"]))
    message = "not known here" if said["type"] == "extra_forbidden" else said["msg"]
    return f"{where}: {message}" if where else str(message)
