"""The function node with `executor: process`: its handler works beside the worker's process, and may be ended at any time."""

from __future__ import annotations

import asyncio
import sys

from schemas.quick import replace
from streams.core.outcome import Failed, NodeError, NodeInput, Outcome
from streams.nodes.function import inputs_for
from streams.nodes.handler_loader import load_handler
from streams.nodes.process_frames import Call, Hello
from streams.nodes.process_pool import PROCESSES, START_MS, HandlerProcess, ProcessEnded
from streams.nodes.resources import Resources
from streams.providers.redact import safe_message
from topology.plan import NodePlan


class ProcessNode:
    """One such node of a plan; its handler is loaded here too, for what cannot be loaded must be said at the start.

    It has its own processes, at most `concurrency` or one for each processor, made when they are first needed.
    """

    def __init__(self, node: NodePlan, workflow_id: str, resources: Resources) -> None:
        assert node.function is not None, node.id  # noqa: S101 - the compiler's promise
        self._node = node
        self._plan = node.function
        self._workflow_id = workflow_id
        self._handler = load_handler(node.function, workflow_id, resources.module_paths)
        self._resources = resources
        self._secrets = resources.providers.secrets
        self._slots = asyncio.Semaphore(min(node.concurrency, PROCESSES))
        self._idle: list[HandlerProcess] = []

    async def execute(self, node_input: NodeInput) -> Outcome:
        """Make one attempt; when it is given up its process ends with it."""
        async with self._slots:
            try:
                process = self._idle_one() or await self._started()
            except ProcessEnded as ended:
                return self._failed(f"its process ended before it was ready, {ended}")
            except TimeoutError:
                return self._failed(f"its process was not ready within {START_MS} ms")
            return process if isinstance(process, Failed) else await self._called(process, node_input)

    async def _called(self, process: HandlerProcess, node_input: NodeInput) -> Outcome:
        call = Call(replace(node_input, inputs={}), inputs_for(self._node, node_input))
        try:
            async with asyncio.timeout(self._node.timeout_ms / 1000):
                outcome: Outcome = await process.ask(call)
        except BaseException as error:
            self._resources.processes.end(process)
            match error:
                case TimeoutError():
                    return Failed(NodeError("timeout", f"no result within timeout_ms: {self._node.timeout_ms}"))
                case ProcessEnded():
                    return self._failed(f"its process ended {error}")
            raise
        self._idle.append(process)
        return outcome

    def _idle_one(self) -> HandlerProcess | None:
        """Return the one used last: the others' memory may rest."""
        while self._idle:
            process = self._idle.pop()
            if process.alive:
                return process
            self._resources.processes.end(process)
        return None

    async def _started(self) -> HandlerProcess | Failed:
        paths = tuple(str(path) for path in self._resources.module_paths)
        hello = Hello(list(sys.path), self._plan, self._workflow_id, paths, frozenset(self._secrets))
        process, problem = await self._resources.processes.start(hello, self._resources.logger)
        if problem is None:
            return process
        self._resources.processes.end(process)
        return self._failed(problem)

    def _failed(self, said: str) -> Failed:
        text = f"{self._handler.place}: {self._handler.name}(): {said}"
        return Failed(NodeError("handler", safe_message(text, self._secrets)))
