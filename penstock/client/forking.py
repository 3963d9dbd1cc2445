"""Forking a run: a new one that takes over what came out above a node, and runs from that node on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from penstock.client import publishing, reading
from penstock.client.errors import NoFork
from penstock.client.publishing import Input, Published
from penstock.client.runs import RunState
from penstock.client.workflows import Workflow
from schemas.claims import PREFIX
from schemas.codec import CodecError, decode, dumps, encode, loads
from schemas.ids import traceparent_of
from schemas.records import TERMINAL, Json, NodeRow, Spent, Started, Succeeded, Terminal
from streams.core.merge_patch import merge_patch
from streams.core.submissions import EXPIRED
from streams.core.transition import send
from streams.engine.partitions import partition_of
from topology.naming import input_topic, journal_topic, run_topic
from topology.plan import INPUT


@dataclass(frozen=True, slots=True)
class Fork:
    """What a fork is made of: the input, and the ends of the nodes that are not run again."""

    input: Json
    ends: Mapping[str, Succeeded]

    @property
    def sees(self) -> tuple[str, ...]:
        """What an edit may change."""
        return INPUT, *sorted(self.ends)

    def edited(self, edit: Mapping[str, Any] | None) -> Fork:
        """Return the fork with a JSON merge patch of `sees` applied."""
        if edit is None:
            return self
        claimed = [INPUT] if PREFIX in self.input else []
        claimed += [node for node, end in self.ends.items() if PREFIX in end.output]
        if touched := sorted(set(claimed) & set(edit)):
            raise NoFork(
                f"{touched[0]!r} is in a claim store: it cannot be edited; publish a corrected input as a new run"
            )
        before = {INPUT: loads(self.input)} | {node: loads(end.output) for node, end in self.ends.items()}
        after = merge_patch(before, edit)
        lost = sorted(set(before) - set(after))
        if lost:
            raise NoFork(f"the edit leaves nothing of {lost[0]!r}")
        ends = {
            node: end if node in claimed else replace(end, output=dumps(after[node])) for node, end in self.ends.items()
        }
        return Fork(self.input if INPUT in claimed else dumps(after[INPUT]), ends)


def above(state: RunState, node: str) -> set[str]:
    """Return the nodes that succeeded and do not depend on `node`. Which do is in their rows: those have what each source gave.

    Raises:
        NoFork: the run has not ended, its rows were dropped, or it has no such node.
    """
    if state.row.status == "running":
        raise NoFork(f"run {state.row.run_id!r} has not ended")
    if state.row.retired:
        raise NoFork(f"run {state.row.run_id!r}: {EXPIRED}")
    if node not in state.nodes:
        raise NoFork(f"run {state.row.run_id!r} has no node {node!r}: {', '.join(sorted(state.nodes))}")
    below, grown = {node}, True
    while grown:
        found = {name for name, row in state.nodes.items() if name not in below and below & row.gathered.keys()}
        below, grown = below | found, bool(found)
    return {name for name, row in state.nodes.items() if name not in below and _succeeded(row)}


def _succeeded(row: NodeRow) -> bool:
    return row.status == "success" and row.output is not None


async def fork_of(reader: AIOKafkaConsumer, state: RunState, node: str) -> Fork:
    """Read what a fork of the run from `node` on is made of."""
    workflow, run_id = state.workflow, state.row.run_id
    ends: dict[str, Terminal] = {}
    kept = above(state, node)
    partition = partition_of(run_id.encode(), workflow.partitions)
    topics = [run_topic(workflow.id), *(journal_topic(workflow.id, name) for name in sorted(kept))]
    started: Started | None = None
    async for record in reading.to_end(reader, [TopicPartition(topic, partition) for topic in topics]):
        if record.key != run_id.encode():
            continue
        try:
            found = decode(record.value or b"")
        except CodecError:
            continue  # somebody else's: its own dead letter says so
        if isinstance(found, Started):
            started = started or found
        elif isinstance(found, TERMINAL) and found.node in kept and found.epoch == state.nodes[found.node].epoch:
            ends.setdefault(found.node, found)  # the first one counts
    if started is None or ends.keys() != kept:
        raise NoFork(f"the journals do not have all of run {run_id!r} any more: retention has deleted some")
    return Fork(started.input, {name: end for name, end in ends.items() if isinstance(end, Succeeded)})


async def start(producer: AIOKafkaProducer, workflow: Workflow, fork: Fork, run_id: str, now_ms: int) -> Published:
    """Write the copies and then, once they stand, the input: a fork that breaks off in between has not begun."""
    copies = [_copy(end, run_id, now_ms) for end in fork.ends.values()]
    partition = partition_of(run_id.encode(), workflow.partitions)
    sends = [
        send(journal_topic(workflow.id, copy.node), copy, copy.node, 0, 0, traceparent_of(workflow.id, run_id))
        for copy in copies
    ]
    sent = [
        await producer.send(each.topic, encode(copy), key=each.key, partition=partition, headers=list(each.headers))
        for each, copy in zip(sends, copies, strict=True)
    ]
    await asyncio.gather(*sent)
    new = Input(run_id, fork.input, tuple(sorted(fork.ends)))
    async for published in publishing.publish(producer, input_topic(workflow.id), [new]):
        return published
    raise AssertionError("one input is one place")


def _copy(end: Succeeded, run_id: str, now_ms: int) -> Succeeded:
    """Return a node's end as another run's: it cost that one nothing."""
    return replace(
        end,
        run_id=run_id,
        epoch=0,
        seq=0,
        attempt=0,
        spent=Spent(),
        started_at=now_ms,
        finished_at=now_ms,
        launch=0,
        metered=True,
        first_token_ms=None,
        reused=True,
    )
