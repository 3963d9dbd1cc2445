"""Handlers in processes of their own: real processes, which return, raise, die, are ended, and leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from streams.core.outcome import Done, Failed
from streams.nodes import Node, Resources, build
from tests.nodes.conftest import API_KEY, attempt, function_plan

InProcess = Callable[..., Node]


@pytest.fixture
def in_process(tmp_path: Path, resources: Resources) -> InProcess:
    """Write a handler file and build the node that runs it in a process."""

    def make(source: str, timeout_ms: int = 20_000) -> Node:
        path = tmp_path / "handler.py"
        path.write_text(textwrap.dedent(source))
        plan = function_plan(path)
        assert plan.function is not None
        function = replace(plan.function, executor="process")
        return build(replace(plan, function=function, timeout_ms=timeout_ms), "wf", resources)

    return make


async def failure(node: Node, **inputs: object) -> Failed:
    outcome = await node.execute(attempt(**inputs))
    assert isinstance(outcome, Failed)
    return outcome


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_it_works_beside_the_worker_and_is_used_again(in_process: InProcess) -> None:
    node = in_process("""
        import os
        def handle(inputs, context):
            return {"pid": os.getpid(), "text": inputs["input"]["text"], "key": context.idempotency_key}
    """)
    first = await node.execute(attempt("a", idempotency_key="k"))
    second = await node.execute(attempt("b"))
    assert isinstance(first, Done)
    assert isinstance(second, Done)
    assert (first.output["text"], first.output["key"], second.output["text"]) == ("a", "k", "b")
    assert first.output["pid"] == second.output["pid"] != os.getpid()


@pytest.mark.parametrize(
    ("line", "retryable", "said"),
    [
        ("raise ValueError('no such thing')", True, "ValueError: no such thing"),
        ("from streams.errors import NonRetryable; raise NonRetryable('never')", False, "never"),
        (f"raise ValueError('key {API_KEY}')", True, "ValueError: key"),
        ("return 3", False, "not a JSON object"),
    ],
)
async def test_what_it_raises_or_returns_comes_across(
    in_process: InProcess, line: str, retryable: bool, said: str
) -> None:
    failed = await failure(in_process(f"def handle(inputs, context):\n    {line}\n"))
    assert (failed.error.kind, failed.error.retryable) == ("handler", retryable)
    assert said in failed.error.message
    assert API_KEY not in failed.error.message


async def test_how_long_to_wait_comes_across(in_process: InProcess) -> None:
    source = "from streams.errors import RetryAfter\ndef handle(inputs, context):\n    raise RetryAfter(7)\n"
    assert (await failure(in_process(source))).error.retry_after_ms == 7_000


async def test_one_that_dies_is_a_failed_attempt_and_the_next_one_works(in_process: InProcess) -> None:
    node = in_process("""
        import os
        def handle(inputs, context):
            if context.attempt == 1:
                os._exit(3)
            return {"ok": True}
    """)
    failed = await failure(node)
    assert failed.error.retryable
    assert "its process ended with exit code 3" in failed.error.message
    assert isinstance(await node.execute(attempt(attempt=2)), Done)


async def test_a_timeout_ends_the_process(in_process: InProcess, resources: Resources) -> None:
    node = in_process("def handle(inputs, context):\n    while True: pass\n", timeout_ms=200)
    failed = await failure(node)
    assert failed.error.kind == "timeout"
    await resources.aclose()
    assert resources.processes.pids == set()


async def test_so_does_a_cancellation(in_process: InProcess, resources: Resources, tmp_path: Path) -> None:
    said = tmp_path / "pid"
    source = f"""
        import os, pathlib
        def handle(inputs, context):
            pathlib.Path({str(said)!r}).write_text(str(os.getpid()))
            while True: pass
    """
    task = asyncio.ensure_future(in_process(source).execute(attempt()))
    while not said.exists() or not said.read_text():  # noqa: ASYNC110 - another process writes it
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await resources.aclose()
    assert gone(int(said.read_text()))


def test_processes_do_not_outlive_a_worker_that_is_killed(tmp_path: Path) -> None:
    """A real worker of one node, killed with -9 while its handler runs."""
    handler, said = tmp_path / "handler.py", tmp_path / "pid"
    handler.write_text(
        "import os, pathlib, time\n"
        f"def handle(inputs, context):\n    pathlib.Path({str(said)!r}).write_text(str(os.getpid()))\n    time.sleep(600)\n"
    )
    script = textwrap.dedent(f"""
        import asyncio
        from dataclasses import replace
        from pathlib import Path
        from streams.nodes import Resources, build
        from tests.nodes.conftest import attempt, function_plan
        plan = function_plan(Path({str(handler)!r}))
        node = build(replace(plan, function=replace(plan.function, executor="process")), "wf", Resources())
        asyncio.run(node.execute(attempt()))
    """)
    with subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[2]) as worker:
        while not said.exists() or not said.read_text():
            assert worker.poll() is None
        worker.kill()
    pid = int(said.read_text())
    while not gone(pid):
        pass  # the test's timeout is the limit


async def test_an_async_handler_is_refused(in_process: InProcess) -> None:
    with pytest.raises(Exception, match="async"):
        in_process("async def handle(inputs, context):\n    return {}\n")
