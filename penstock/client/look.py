"""Looking at workflows: at the one that is named, or at all; of all, those that cannot be read are left out, and it is said why."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from aiokafka.errors import KafkaError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError

from penstock.client.workflows import Workflow, uneven, workflow_called, workflows_among
from streams.errors import PenstockError, Unreadable

T = TypeVar("T")

UNREADABLE = (Unreadable, TopicAuthorizationFailedError, UnknownTopicOrPartitionError)
"""What is the matter with one workflow, and not with the broker: another team's key, rows of nobody's, an ACL, a topic just deleted."""


@dataclass(slots=True)
class Look:
    """The workflows that are looked at. Without `tell` it is one that was named: what is wrong with it raises.

    `left_out` are those among all that cannot be read, with the reason; each was told.
    """

    workflows: Mapping[str, Workflow]
    tell: Callable[[str], None] | None = None
    left_out: dict[str, str] = field(default_factory=dict)

    async def each(self, ask: Callable[[Workflow], Awaitable[list[T]]]) -> list[T]:
        """Return what `ask` finds in each workflow; one that was named and cannot be read raises."""
        found: list[T] = []
        for workflow in self.workflows.values():
            try:
                found += await ask(workflow)
            except UNREADABLE as error:
                if self.tell is None:
                    raise
                self.leave_out(workflow.id, why(error), self.tell)
        return found

    async def together(self, ask: Callable[[Iterable[Workflow]], Awaitable[list[T]]]) -> list[T]:
        """Return what `ask` finds in all workflows at once, which is quicker than in each; in each if one cannot be read."""
        try:
            return await ask(self.workflows.values())
        except UNREADABLE:
            return await self.each(lambda workflow: ask([workflow]))

    def leave_out(self, workflow_id: str, reason: str, tell: Callable[[str], None]) -> None:
        """Note a workflow that cannot be read, and tell."""
        self.left_out[workflow_id] = reason
        tell(f"workflow {workflow_id!r} is left out: {reason}")


def look_at(workflow_id: str | None, topics: Mapping[str, int], tell: Callable[[str], None]) -> Look:
    """Return a look at the one workflow named, else at all; raise `UnknownWorkflow` if the one is not there."""
    if workflow_id is not None:
        return Look({workflow_id: workflow_called(workflow_id, topics)})
    all_ = workflows_among(topics)
    reasons = {id_: reason for id_, one in all_.items() if (reason := uneven(one, topics)) is not None}
    found = Look({id_: one for id_, one in all_.items() if id_ not in reasons}, tell)
    for id_, reason in reasons.items():
        found.leave_out(id_, reason, tell)
    return found


def why(error: Exception) -> str:
    """Say why a workflow cannot be read."""
    match error:
        case TopicAuthorizationFailedError():
            return f"this client may not read topic {topic_of(error) or '(unknown)'!r}"
        case UnknownTopicOrPartitionError():
            return "a topic of it is gone"
        case KafkaError():
            return f"Kafka: {error}"
        case PenstockError():
            return str(error).removesuffix(". Nothing was skipped")  # true of a record, not of what is left out
    return f"{type(error).__name__}: {error}"


def topic_of(error: Exception) -> str | None:
    """Return the topic that an error is about, None if it does not say."""
    if isinstance(error, Unreadable):
        return error.topic
    said = error.args[0] if isinstance(error, UNREADABLE) and error.args else None
    said = getattr(said, "topic", said)
    return said if isinstance(said, str) else None
