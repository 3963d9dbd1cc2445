"""What the API is asked: query parameters and bodies."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from schemas.records import NodeStatus, RunStatus

MAX_LIMIT = 200

_RFC_3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII)


def _time(text: Any) -> Any:
    """Return a time of RFC 3339; a leap second is the one before it."""
    found = _RFC_3339.match(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("no time: RFC 3339, such as 2026-05-01T12:00:00Z")
    day, minute, second, fraction, zone = found.groups()
    try:
        at = datetime.fromisoformat(f"{day}T{minute}:{min(int(second), 59):02}{(fraction or '.0')[:7]}{zone.upper()}")
        return at.astimezone(UTC)
    except OverflowError:  # a zone that leads out of the years there are
        return datetime.fromisoformat(f"{day}T{minute}:00+00:00")


def _whole(value: Any) -> Any:
    """Return 2.0 as 2, as JSON Schema has it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, Field(ge=0, le=2**53), BeforeValidator(_whole)]
Time = Annotated[datetime, BeforeValidator(_time)]
RunId = Annotated[str, Field(pattern=r"^[!-.0-~]([ -.0-~]{0,198}[!-.0-~])?$")]
"""Of those that the engine knows, the ones that are ASCII: they stand in addresses."""
Text = Annotated[str, Field(max_length=200)]
Comment = Annotated[str, Field(max_length=8000)]


class Asked(BaseModel):
    """A request: what is not known is refused."""

    model_config = ConfigDict(extra="forbid")


class OfWorkflow(Asked):
    """`workflow` says which is meant, should two have a run of that id; in a list: of which."""

    workflow: Text | None = None


class Page(OfWorkflow):
    """A page of a list: `cursor` is `next_cursor` of the one before."""

    limit: int = Field(50, ge=1, le=MAX_LIMIT)
    cursor: Annotated[str, Field(max_length=500)] | None = None


class RunsAsked(Page):
    """Filters of runs. `node`: runs in which it has run, runs or waits; with `node_status` those in which it stands so.

    `q` is looked for in run ids, inputs, outputs and errors, whatever its case.
    """

    status: RunStatus | None = None
    node: Text | None = None
    node_status: NodeStatus | None = None
    q: Text | None = None
    started_after: Time | None = None
    started_before: Time | None = None
    min_cost: float | None = Field(None, ge=0, allow_inf_nan=False)
    max_cost: float | None = Field(None, ge=0, allow_inf_nan=False)


class LetterGroupsAsked(OfWorkflow):
    """Filters of causes."""

    status: Literal["open", "redriven"] | None = None


class LettersAsked(Page):
    """Filters of dead letters."""

    node: Text | None = None
    kind: Text | None = None
    run_id: Text | None = None
    status: Literal["open", "redriven"] | None = None


class StreamAsked(OfWorkflow):
    """`last_event_id` serves as the header Last-Event-ID does, which goes before it."""

    last_event_id: Annotated[str, Field(pattern=r"^[0-9]{1,19}$")] | None = None


class Login(Asked):
    """The token that the console printed."""

    token: Annotated[str, Field(max_length=1000)]


class NewRun(Asked):
    """A run to start: `run_id` names it, else it gets an id (of the Idempotency-Key, if there is one)."""

    input: Any
    run_id: RunId | None = None


class Redrive(Asked):
    """Which dead letters go back: those of all filters given; without any, all that are open. `edit` is a JSON merge patch."""

    workflow: Annotated[str, Field(min_length=1, max_length=200)]
    run_id: Text | None = None
    node: Text | None = None
    kind: Text | None = None
    places: list[Annotated[str, Field(pattern=r"^[0-9]{1,9}/[0-9]{1,18}$")]] | None = Field(None, max_length=1000)
    edit: dict[str, Any] | None = None
    rate: float | None = Field(None, ge=0.001, le=1_000_000)
    timeout_s: float = Field(30, ge=0, le=300)


class Decision(Asked):
    """A reviewer's decision; without `epoch` and `hash` on what waits now. `edit` is a JSON merge patch of what is shown."""

    decision: Literal["approve", "reject"]
    comment: Comment | None = None
    edit: dict[str, Any] | None = None
    reviewer: Text | None = None
    epoch: Whole | None = None
    hash: Annotated[str, Field(max_length=100)] | None = None
    timeout_s: float = Field(30, ge=0, le=300)
