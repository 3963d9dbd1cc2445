"""(b) An event-driven mesh: six agents with an inbox each, and a router that asks a model which agents act next. No DAG.

As people write it on a framework of agents: an agent works on a message, puts its answer on the task's board and hands over; the
router names one or more agents, so they may work side by side. Answers are checked against a schema, and an agent that
answers nonsense is told so and asked again, as such frameworks do. Agents and router share a process; the
inboxes are queues.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from openai import AsyncOpenAI

from benchmarks.patterns.ask import LARGE, SMALL, render
from benchmarks.patterns.documents import STEPS, Document, problems

TRIES = 3
MOST_HANDOFFS = 20
FINISH = "finish"
LAST = "report"
_ROUTER = """Task: {step}
Document: {document}
Done: {done}
Running: {running}

You lead a team of agents that work on a bill: classify, parties, amounts and risk read the bill; decide needs what classify,
amounts and risk found; report needs what parties, amounts and decide found.
Which agents should act now? Answer with a JSON object: next (a list of names, empty to wait for those that run, ["finish"]
when the report is there), confidence (0 to 1)."""


class MeshError(Exception):
    """A task that the agents could not do."""


@dataclass
class Task:
    """A task's board: what is known, who works on it, and its end."""

    document: Document
    ended: asyncio.Future[dict[str, Any]]
    board: dict[str, Any] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    handoffs: int = 0


class Mesh:
    """The agents. `async with` starts them."""

    def __init__(self, client: AsyncOpenAI, scale: float) -> None:
        self._client = client
        self._scale = scale
        self._inboxes: dict[str, asyncio.Queue[Task]] = {name: asyncio.Queue() for name in STEPS}
        self._jobs: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        for name in STEPS:
            self._spawn(self._agent(name))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)

    async def run(self, document: Document) -> dict[str, Any]:
        """Bring a task in; return what is on its board at the end."""
        task = Task(document, asyncio.get_running_loop().create_future())
        self._spawn(self._guarded(task, self._hand_over(task, "start")))
        return await task.ended

    async def _agent(self, name: str) -> None:
        """Take messages from the inbox; each is worked on in its own time."""
        while True:
            task = await self._inboxes[name].get()
            self._spawn(self._guarded(task, self._act(task, name)))

    async def _act(self, task: Task, name: str) -> None:
        prompt = render(name, task.document, task.board)
        task.board[name] = await self._ask(LARGE, prompt, lambda answer: problems(name, answer))
        task.running.discard(name)
        await self._hand_over(task, name)

    async def _hand_over(self, task: Task, after: str) -> None:
        """Ask the router until there is somebody to wait for."""
        while not task.ended.done():
            task.handoffs += 1
            if task.handoffs > MOST_HANDOFFS:
                raise MeshError("the agents hand over without end")
            chosen = await self._route(task, after)
            if FINISH in chosen and LAST in task.board:  # no framework takes an end without the result it is typed for
                self._end(task, task.board)
                return
            for name in chosen:
                if name in self._inboxes and name not in task.board and name not in task.running:
                    task.running.add(name)
                    self._inboxes[name].put_nowait(task)
            if task.running:
                return

    async def _route(self, task: Task, after: str) -> list[str]:
        prompt = _ROUTER.format(
            step=f"handoff_{after}",
            document=task.document.id,
            done=" ".join(task.board),
            running=" ".join(sorted(task.running)),
        )
        answer = await self._ask(SMALL, prompt, _bad_route)
        return list(answer["next"])

    async def _ask(self, model: str, prompt: str, check: Any) -> dict[str, Any]:
        messages = [{"role": "user", "content": prompt}]
        for attempt in range(TRIES):
            try:
                response = await self._client.chat.completions.create(
                    model=model,
                    messages=messages,  # type: ignore[arg-type]
                    response_format={"type": "json_object"},
                )
                answer = json.loads(response.choices[0].message.content or "")
                if found := check(answer):
                    raise MeshError("; ".join(found))
            except (MeshError, ValueError) as error:
                messages = [messages[0], {"role": "user", "content": f"Your answer was not valid: {error}. Try again."}]
                if attempt == TRIES - 1:
                    raise
            except Exception:
                if attempt == TRIES - 1:
                    raise
                await asyncio.sleep(2**attempt / self._scale)
            else:
                return dict(answer)
        raise AssertionError("unreachable")

    def _end(self, task: Task, board: dict[str, Any]) -> None:
        if not task.ended.done():
            task.ended.set_result(board)

    async def _guarded(self, task: Task, work: Any) -> None:
        try:
            await work
        except Exception as error:
            if not task.ended.done():
                task.ended.set_exception(error)

    def _spawn(self, work: Any) -> None:
        job = asyncio.create_task(work)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)


def _bad_route(answer: Mapping[str, Any]) -> list[str]:
    chosen = answer.get("next") if isinstance(answer, dict) else None
    named = isinstance(chosen, list) and all(name in (*STEPS, FINISH) for name in chosen)
    return [] if named else [f"next must be a list of {', '.join((*STEPS, FINISH))}"]
