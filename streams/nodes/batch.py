"""The batch node: attempts of many runs wait for each other, and one handler call answers them all.

Each stays an attempt of its own, with its own row, retries and dead letter; nothing outside this file knows who shared a call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streams.core.outcome import Failed, NodeError, NodeInput, Outcome
from streams.errors import RetryAfter
from streams.nodes.context import HandlerContext, context_of
from streams.nodes.function import inputs_for, outcome_of, unusable
from streams.nodes.handler_call import Raised, call_handler
from streams.nodes.handler_loader import load_handler
from streams.nodes.json_output import json_object, shown
from streams.nodes.resources import Resources
from topology.plan import NodePlan

Later = Callable[[float, Callable[[], None]], asyncio.TimerHandle]
"""Has a function called after so many seconds; a test's clock may do it."""


@dataclass(slots=True, eq=False)
class _Entry:
    """An attempt in a batch; its future is done once it has its outcome, or nobody waits for it any more."""

    node_input: NodeInput
    context: HandlerContext
    outcome: asyncio.Future[Outcome]


@dataclass(slots=True, eq=False)
class _Batch:
    """Entries that share a call: `timer` runs from the first one, `work` begins when it is full or the time is over."""

    entries: list[_Entry] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None
    work: asyncio.Task[None] | None = None

    @property
    def live(self) -> list[_Entry]:
        """The entries somebody waits for."""
        return [entry for entry in self.entries if not entry.outcome.done()]


@dataclass(frozen=True, slots=True)
class _NotAList:
    """Why an answer is none to a list of inputs, to be read after the handler's name."""

    said: str


class BatchNode:
    """One function node with `batch`; at most `concurrency` calls of its handler are made at once."""

    def __init__(self, node: NodePlan, workflow_id: str, resources: Resources, later: Later | None = None) -> None:
        assert node.function is not None and node.batch is not None, node.id  # noqa: S101, PT018 - the compiler's promise
        self._node = node
        self._size, self._wait_s = node.batch.max_size, node.batch.max_wait_ms / 1000
        self._handler = load_handler(node.function, workflow_id, resources.module_paths)
        self._threads = resources.threads
        self._logger = resources.logger
        self._secrets = resources.providers.secrets
        self._later = later
        self._calls = asyncio.Semaphore(node.concurrency)
        self._open: _Batch | None = None

    async def execute(self, node_input: NodeInput) -> Outcome:
        """Make one attempt, in company."""
        loop = asyncio.get_running_loop()
        entry = _Entry(node_input, context_of(node_input, self._logger), loop.create_future())
        batch = self._joined(entry)
        try:
            return await entry.outcome
        except asyncio.CancelledError:
            entry.context.give_up()
            self._left(batch)
            raise

    # ---- filling ----------------------------------------------------------------------------------------------------

    def _joined(self, entry: _Entry) -> _Batch:
        """Put an entry into the open batch. One that is due but waits for a call to end goes on filling."""
        batch = self._open
        if batch is None:
            batch = self._open = _Batch()
            later = self._later or asyncio.get_running_loop().call_later
            batch.timer = later(self._wait_s, lambda: self._due(batch))
        batch.entries.append(entry)
        if len(batch.live) >= self._size:
            self._close(batch)
            self._due(batch)
        return batch

    def _left(self, batch: _Batch) -> None:
        """See whether a batch that lost an entry is still needed."""
        if batch.live:
            return
        self._close(batch)
        if batch.work is not None:
            batch.work.cancel()

    def _due(self, batch: _Batch) -> None:
        if batch.work is None:
            batch.work = asyncio.get_running_loop().create_task(self._work(batch))

    def _close(self, batch: _Batch) -> None:
        if batch.timer is not None:
            batch.timer.cancel()
        if self._open is batch:
            self._open = None

    # ---- calling ----------------------------------------------------------------------------------------------------

    async def _work(self, batch: _Batch) -> None:
        """Give every entry of a batch its outcome; a bug of ours is every entry's, for none may wait for ever."""
        try:
            async with self._calls:
                self._close(batch)
                await self._call(batch.entries)
        except Exception as error:
            for entry in batch.live:
                entry.outcome.set_exception(error)

    async def _call(self, entries: Sequence[_Entry]) -> None:
        """Call the handler for those still waiting; should it raise, one of them may be to blame: call it for each half."""
        live = [entry for entry in entries if not entry.outcome.done()]
        if not live:
            return
        answer = await self._answer(live)
        if _one_may_be_to_blame(answer) and len(live) > 1:
            middle = (len(live) + 1) // 2
            await self._call(live[:middle])
            await self._call(live[middle:])
            return
        answers = answer if isinstance(answer, list) else [answer] * len(live)
        for entry, each in zip(live, answers, strict=True):
            if not entry.outcome.done():
                entry.outcome.set_result(self._outcome(each))

    async def _answer(self, entries: Sequence[_Entry]) -> Any:
        """Return a list of what each entry gets (a JSON object, NotJson or Raised), or what they all get."""
        # Copies: a half of these may be handed over again, after whatever the handler did to them.
        inputs = [_copied(inputs_for(self._node, entry.node_input)) for entry in entries]
        contexts = [entry.context for entry in entries]
        timeout_ms = self._node.timeout_ms
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                return await call_handler(self._handler, self._threads, _each_of(len(entries)), inputs, contexts)
        except TimeoutError:
            for context in contexts:
                context.give_up()
            text = f"no result within timeout_ms: {timeout_ms}, in a batch of {len(entries)}"
            return Failed(NodeError("timeout", text))

    def _outcome(self, answer: Any) -> Outcome:
        if isinstance(answer, Failed):
            return answer
        if isinstance(answer, _NotAList):
            return unusable(self._handler, answer.said, self._secrets)
        return outcome_of(answer, self._handler, self._secrets)


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(inner) for inner in value]
    return value


def _one_may_be_to_blame(answer: Any) -> bool:
    """Say whether a call failed by an exception that may be about one item; RetryAfter is about all of them."""
    return isinstance(answer, Raised) and not isinstance(answer.error, RetryAfter)


def _each_of(count: int) -> Callable[[Any], list[Any] | _NotAList]:
    """Return what makes a handler's answer to `count` inputs a list of what each of them gets."""

    def convert(returned: Any) -> list[Any] | _NotAList:
        if not isinstance(returned, list | tuple):
            return _NotAList(f"returned {shown(returned)}, not a list: one entry for each of {count} inputs")
        if len(returned) != count:
            return _NotAList(
                f"returned a list of {len(returned)} for {count} inputs: one entry for each, in their order"
            )
        return [Raised(each) if isinstance(each, BaseException) else json_object(each) for each in returned]

    return convert
