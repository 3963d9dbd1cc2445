"""What each role has to be allowed on Kafka: the fewest ACLs it works with, and the lines that grant them.

A worker asks the broker for the same list before it starts (`streams/engine/access.py`): what is printed is what is checked.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from topology.naming import consumer_group, plans_topic, provider_states_topic
from topology.plan import WorkflowPlan
from topology.sizes import Sizes, Wanted, shared_config, wanted

Role = Literal["worker", "publisher", "consumer", "console"]
ROLES: tuple[str, ...] = get_args(Role)

Resource = Literal["topic", "group", "cluster"]
Operation = Literal["Read", "Write", "Create", "Describe", "DescribeConfigs"]

_BY_WORKER: Mapping[str, tuple[Operation, ...]] = {
    "input": ("Read",),
    "control": ("Read",),
    "requests": ("Write",),
    "dead-letter": ("Write",),
    "tokens": ("Write",),
}
"""What a worker does with a topic, by purpose; with all others both."""


@dataclass(frozen=True, slots=True, order=True)
class Acl:
    """One thing that a principal has to be allowed."""

    resource: Resource
    name: str
    operation: Operation

    def __str__(self) -> str:
        """Return it as a message says it."""
        return (
            f"{self.operation} on {self.resource} {self.name!r}"
            if self.resource != "cluster"
            else f"{self.operation} on the cluster"
        )


def acls_of(plan: WorkflowPlan, role: Role, sizes: Sizes, *, creates: bool = True) -> tuple[Acl, ...]:
    """Return what a role needs for a workflow; `creates`: a worker makes the topics that are missing."""
    by_role: dict[Role, Callable[[], Iterable[Acl]]] = {
        "worker": lambda: _worker(plan, sizes, creates=creates),
        "publisher": lambda: _publisher(plan),
        "consumer": lambda: _consumer(plan),
        "console": lambda: _console(plan),
    }
    return tuple(dict.fromkeys(by_role[role]()))


def used_topics(plan: WorkflowPlan, sizes: Sizes) -> tuple[Wanted, ...]:
    """Return all topics that a worker uses, those of all workflows among them; `purpose` of those is changelog: they are compacted."""
    shared = [plans_topic(), *([provider_states_topic()] if calls_models(plan) else [])]
    return (*wanted(plan, sizes), *(Wanted(name, "changelog", shared_config(sizes)) for name in shared))


def calls_models(plan: WorkflowPlan) -> bool:
    """Say whether the workflow has breakers whose states are told."""
    return any(node.llm is not None for node in plan.nodes)


def _worker(plan: WorkflowPlan, sizes: Sizes, *, creates: bool) -> Iterable[Acl]:
    for topic in wanted(plan, sizes):
        for operation in _BY_WORKER.get(topic.purpose, ("Read", "Write")):
            yield Acl("topic", topic.name, operation)
    yield Acl("topic", plans_topic(), "Read")
    yield Acl("topic", plans_topic(), "Write")
    if calls_models(plan):
        yield Acl("topic", provider_states_topic(), "Write")
    yield Acl("group", consumer_group(plan.id), "Read")
    if creates:
        for topic in used_topics(plan, sizes):
            yield Acl("topic", topic.name, "Create")
        if sizes.replication_factor is None:  # the broker's default is asked for
            yield Acl("cluster", CLUSTER, "DescribeConfigs")


CLUSTER = "kafka-cluster"


def _consumer(plan: WorkflowPlan) -> Iterable[Acl]:
    yield Acl("topic", plan.topic("output"), "Read")
    for topic in plan.topics:
        if topic.purpose == "tokens":
            yield Acl("topic", topic.name, "Read")


def _publisher(plan: WorkflowPlan) -> Iterable[Acl]:
    yield Acl("topic", plan.topic("input"), "Write")
    if plan.claim_check is not None:  # the recorded version says where large inputs go
        yield Acl("topic", plans_topic(), "Read")


def _console(plan: WorkflowPlan) -> Iterable[Acl]:
    """Whoever looks at runs, audits them, decides reviews, redrives, replays and cancels: the console, and the commands that do the same."""
    for topic in plan.topics:
        yield Acl("topic", topic.name, "Read")
    for table in plan.tables:
        yield Acl("topic", table.changelog, "Read")
    yield Acl("topic", plans_topic(), "Read")
    if calls_models(plan):
        yield Acl("topic", provider_states_topic(), "Read")
    yield Acl("topic", plan.topic("input"), "Write")
    yield Acl("topic", plan.topic("control"), "Write")
    yield Acl("group", consumer_group(plan.id), "Describe")


# ---- as lines for people --------------------------------------------------------------------------------------------


def principal_of(text: str) -> str:
    """Return a principal as Kafka writes it: a name alone is a user's."""
    return text if ":" in text else f"User:{text}"


def acl_lines(acls: Iterable[Acl], principal: str, broker: str) -> list[str]:
    """Return `kafka-acls.sh` lines: one per set of operations, with all resources that it holds for. `broker`: options that reach it."""
    operations: dict[tuple[Resource, str], list[Operation]] = {}
    for acl in acls:
        operations.setdefault((acl.resource, acl.name), []).append(acl.operation)
    grouped: dict[tuple[Resource, tuple[Operation, ...]], list[str]] = {}
    for (resource, name), allowed in operations.items():
        grouped.setdefault((resource, tuple(allowed)), []).append(name)
    head = f"kafka-acls.sh {broker} --add --allow-principal {shlex.quote(principal)}"
    return [f"{head} {_allowed(allowed)} {_named(resource, names)}" for (resource, allowed), names in grouped.items()]


def _allowed(operations: Iterable[Operation]) -> str:
    return " ".join(f"--operation {operation}" for operation in operations)


def _named(resource: Resource, names: Iterable[str]) -> str:
    return "--cluster" if resource == "cluster" else " ".join(f"--{resource} {shlex.quote(name)}" for name in names)


def topic_line(topic: Wanted, partitions: int, sizes: Sizes, broker: str) -> str:
    """Return the `kafka-topics.sh` line that creates a topic; without a replication factor the broker takes its own."""
    copies = "" if sizes.replication_factor is None else f" --replication-factor {sizes.replication_factor}"
    config = "".join(f" --config {shlex.quote(f'{key}={value}')}" for key, value in topic.config.items())
    return f"kafka-topics.sh {broker} --create --topic {topic.name} --partitions {partitions}{copies}{config}"
