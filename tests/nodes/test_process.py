"""Handlers in processes of their own: real processes, which return, raise, die, are ended, and leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from streams.core.outcome import Done, Failed
from streams.nodes import Node, Resources, build
from streams.nodes.process_pool import PROCESSES
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


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_processes_do_not_outlive_a_worker_that_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    """A real worker of one node, killed while its handler computes."""
    handler, said = tmp_path / "handler.py", tmp_path / "pid"
    handler.write_text(
        "import os, pathlib\n"
        f"def handle(inputs, context):\n    pathlib.Path({str(said)!r}).write_text(str(os.getpid()))\n    while True: pass\n"
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
        worker.send_signal(number)
    pid = int(said.read_text())
    while not gone(pid):
        pass  # the test's timeout is the limit


async def test_no_process_is_started_before_one_is_needed(in_process: InProcess, resources: Resources) -> None:
    node = in_process("def handle(inputs, context): return {}")
    assert resources.processes.pids == set()
    await node.execute(attempt())
    assert len(resources.processes.pids) == 1
    await resources.aclose()
    assert resources.processes.pids == set()


async def test_no_more_processes_than_processors(in_process: InProcess, resources: Resources) -> None:
    node = in_process("def handle(inputs, context): return {}")
    await asyncio.gather(*(node.execute(attempt()) for _ in range(3 * PROCESSES)))
    assert 1 <= len(resources.processes.pids) <= PROCESSES


async def test_what_it_logs_is_the_workers_and_what_it_prints_is_not_on_stdout(
    in_process: InProcess, capfd: pytest.CaptureFixture[str]
) -> None:
    node = in_process("""
        import os
        def handle(inputs, context):
            context.logger.warning("looked up %s", "x", where=os)
            print("printed")
            os.write(1, b"written\\n")
            return {}
    """)
    with structlog.testing.capture_logs() as logged:
        assert isinstance(await node.execute(attempt(attempt=2)), Done)
    (entry,) = logged
    assert (entry["event"], entry["log_level"], entry["run_id"], entry["attempt"]) == (
        "looked up x",
        "warning",
        "r1",
        2,
    )
    assert entry["where"].startswith("<module 'os'")
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.split() == ["printed", "written"]


async def test_signals_for_the_worker_do_not_end_its_handlers(in_process: InProcess) -> None:
    """Ctrl-C reaches the whole group: the worker drains, and waits for the result."""
    node = in_process("""
        import os, signal
        def handle(inputs, context):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            return {"cancelled": context.cancelled}
    """)
    outcome = await node.execute(attempt())
    assert isinstance(outcome, Done)
    assert outcome.output == {"cancelled": False}


async def test_one_that_was_killed_while_idle_is_replaced(in_process: InProcess, resources: Resources) -> None:
    node = in_process("import os\ndef handle(inputs, context): return {'pid': os.getpid()}")
    first = await node.execute(attempt())
    (process,) = resources.processes._all
    os.kill(process.pid, signal.SIGKILL)
    await process.ended()
    second = await node.execute(attempt())
    assert isinstance(first, Done)
    assert isinstance(second, Done)
    assert first.output["pid"] != second.output["pid"]


async def test_a_handler_that_no_longer_loads_is_a_failed_attempt(in_process: InProcess, tmp_path: Path) -> None:
    node = in_process("def handle(inputs, context): return {}")
    (tmp_path / "handler.py").write_text("import no_such_module_anywhere\n")
    failed = await failure(node)
    assert (failed.error.kind, failed.error.retryable) == ("handler", True)
    assert "no_such_module_anywhere" in failed.error.message


async def test_something_to_await_is_refused(in_process: InProcess) -> None:
    failed = await failure(in_process("async def real(): return {}\ndef handle(inputs, context): return real()"))
    assert not failed.error.retryable
    assert "something to await" in failed.error.message


async def test_an_async_handler_is_refused(in_process: InProcess) -> None:
    with pytest.raises(Exception, match="async"):
        in_process("async def handle(inputs, context):\n    return {}\n")
