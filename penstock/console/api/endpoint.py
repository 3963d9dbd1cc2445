"""An endpoint: what it takes and answers, said once, for the router and for the OpenAPI document alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pydantic_core
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from penstock.console.api.problems import Refused, answer_to, explained
from penstock.console.api.requests import Asked

if TYPE_CHECKING:
    from penstock.console.console import Console

EVENTS = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read: `query` and `body` are of the endpoint's models."""

    request: Request
    console: Console
    path: Mapping[str, Any]
    query: Any
    body: Any


Handle = Callable[[Call], Awaitable[BaseModel | Response | None]]


@dataclass(frozen=True, slots=True)
class Header:
    """A request header that an endpoint heeds."""

    name: str
    pattern: str
    description: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method and a path. `problems` are the statuses of its problem documents beside those that any may have."""

    method: str
    path: str
    summary: str
    handle: Handle
    answer: type[BaseModel] | None
    status: int = 200
    also: tuple[int, ...] = ()
    query: type[Asked] | None = None
    body: type[Asked] | None = None
    headers: tuple[Header, ...] = ()
    problems: tuple[int, ...] = ()
    media_type: str = "application/json"
    public: bool = False

    async def serve(self, request: Request) -> Response:
        """Read a request, have it handled, write the answer; whatever goes wrong becomes a problem document."""
        try:
            return await self._answer(request)
        except Exception as error:
            return answer_to(error)

    async def _answer(self, request: Request) -> Response:
        call = Call(
            request=request,
            console=request.app.state.console,
            path=request.path_params,
            query=_query(self.query, request),
            body=None if self.body is None else _body(self.body, request, await request.body()),
        )
        found = await self.handle(call)
        if isinstance(found, Response):
            return found
        return Response(status_code=204) if found is None else json_of(found, self.status)


def json_of(value: BaseModel, status: int = 200) -> Response:
    """Return an answer; JSON of users that UTF-8 cannot say (a lone surrogate) is said with a replacement."""
    try:
        content = value.model_dump_json(by_alias=True).encode()
    except pydantic_core.PydanticSerializationError as error:
        raise Refused(500, f"what is recorded cannot be written as JSON: {error}") from None
    return Response(content, status, media_type="application/json")


def _query(model: type[Asked] | None, request: Request) -> Asked | None:
    sent = dict(request.query_params)
    if model is None:
        if sent:
            raise Refused(422, f"query: {sorted(sent)[0]!r} is not known here")
        return None
    try:
        return model.model_validate(sent)
    except ValidationError as error:
        raise Refused(422, f"query: {explained(error)}") from None


def _body(model: type[Asked], request: Request, sent: bytes) -> Asked:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(415, "the body is JSON: send it with `Content-Type: application/json`")
    try:
        return model.model_validate_json(sent, strict=True)
    except ValidationError as error:
        raise Refused(422, f"body: {explained(error)}") from None
