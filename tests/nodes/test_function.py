"""Handlers: what they get, what they may return, what becomes of what they raise."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

import pytest

from streams.core.outcome import Done, Failed, NodeError
from tests.nodes.conftest import API_KEY, HandlerNode, attempt


async def failure(node: Any, **inputs: Any) -> NodeError:
    outcome = await node.execute(attempt(**inputs))
    assert isinstance(outcome, Failed), outcome
    assert outcome.error.kind == "handler"
    return outcome.error


async def output(node: Any, **inputs: Any) -> Any:
    outcome = await node.execute(attempt(**inputs))
    assert isinstance(outcome, Done), outcome
    return outcome.output


@pytest.mark.parametrize("prefix", ["", "async "])
async def test_a_handler_gets_inputs_and_context(handler: HandlerNode, prefix: str) -> None:
    node = handler(f"""
        {prefix}def handle(inputs, context):
            who = [context.run_id, context.workflow_id, context.node, context.epoch, context.attempt, context.seq]
            return {{"text": inputs["input"]["text"], "who": who, "key": context.idempotency_key}}
    """)
    assert await output(node, seq=7, attempt=2, idempotency_key="k") == {
        "text": "hello",
        "who": ["r1", "wf", "classify", 0, 2, 7],
        "key": "k",
    }


@pytest.mark.parametrize("package", ["penstock", "streams"])
async def test_a_handler_can_say_what_it_takes_and_trace_what_it_does(handler: HandlerNode, package: str) -> None:
    node = handler(f"""
        from {package} import HandlerContext, NonRetryable, RetryAfter
        def handle(inputs, context: HandlerContext):
            with context.tracer.start_as_current_span("looked up") as span:
                return {{"recording": span.is_recording(), "is one": isinstance(context, HandlerContext)}}
    """)
    assert await output(node) == {"recording": False, "is one": True}, "there is no SDK that records"


@pytest.mark.parametrize("package", ["penstock", "streams"])
def test_nothing_else_is_there_to_import(package: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nonsense'"):
        getattr(importlib.import_module(package), "nonsense")  # noqa: B009 - mypy knows that it is not there


async def test_the_context_cannot_be_changed(handler: HandlerNode) -> None:
    error = await failure(handler("def handle(inputs, context): context.run_id = 'x'"))
    assert "AttributeError" in error.message


CALLABLES = {
    "class": "class Handle:\n    def __call__(self, inputs, context): return {'ok': 1}\nhandle = Handle()",
    "async class": "class Handle:\n    async def __call__(self, inputs, context): return {'ok': 1}\nhandle = Handle()",
    "partial": "import functools\nasync def real(x, inputs, context): return {'ok': x}\nhandle = functools.partial(real, 1)",
    "lambda around async": "async def real(i, c): return {'ok': 1}\nhandle = lambda i, c: real(i, c)",
    "kwargs": "def handle(*args, **kwargs): return {'ok': len(args) - 1}",
    "defaults": "def handle(inputs, context=None, more=1): return {'ok': more}",
}


@pytest.mark.parametrize("source", CALLABLES.values(), ids=CALLABLES.keys())
async def test_anything_callable_is_a_handler(handler: HandlerNode, source: str) -> None:
    assert await output(handler(source)) == {"ok": 1}


NOT_OBJECTS = [
    ("None", "None"),
    ("[1, 2]", "list [1, 2]"),
    ("'text'", "str 'text'"),
    ("7", "int 7"),
    ("{1: 2}", "not JSON"),
    ("{'a': {1, 2}}", "not JSON"),
    ("{'a': object()}", "not JSON"),
    ("{'a': 2**70}", "not JSON"),
    ("{'a': '\\ud800'}", "not JSON"),
    ("{'a': [1.0, float('nan')]}", "output.a[1] is NaN or infinite"),
    ("{'a': {'b': float('inf')}}", "output.a.b is NaN or infinite"),
    ("(x for x in [])", "generator"),
    ("Odd()", "a value without a repr"),
]


@pytest.mark.parametrize(("returned", "said"), NOT_OBJECTS, ids=[row[0] for row in NOT_OBJECTS])
@pytest.mark.parametrize("prefix", ["", "async "])
async def test_only_json_objects_are_taken(handler: HandlerNode, prefix: str, returned: str, said: str) -> None:
    node = handler(f"""
        class Odd:
            def __repr__(self): raise ValueError
        {prefix}def handle(inputs, context):
            return {returned}
    """)
    error = await failure(node)
    assert not error.retryable
    assert said in error.message
    assert "handler.py:4: handle() returned" in error.message


async def test_dates_and_tuples_become_json(handler: HandlerNode) -> None:
    node = handler("import datetime\ndef handle(i, c): return {'d': datetime.date(2026, 1, 2), 't': (1, None)}")
    assert await output(node) == {"d": "2026-01-02", "t": [1, None]}


async def test_a_nested_structure_too_deep_is_refused(handler: HandlerNode) -> None:
    node = handler("def handle(i, c):\n    x = {}\n    for _ in range(5000): x = {'x': x}\n    return x")
    assert not (await failure(node)).retryable


async def test_an_output_is_private(handler: HandlerNode) -> None:
    node = handler("kept = {'a': []}\ndef handle(i, c):\n    kept['a'].append(1)\n    return kept")
    first = await output(node)
    await output(node)
    assert first == {"a": [1]}


@pytest.mark.parametrize("prefix", ["", "async "])
async def test_an_exception_is_named_with_file_and_line(handler: HandlerNode, prefix: str) -> None:
    node = handler(f"""
        def inner():
            raise KeyError("nope")
        {prefix}def handle(inputs, context):
            return inner()
    """)
    error = await failure(node)
    assert error.retryable
    assert error.message.endswith("handler.py:3: KeyError: 'nope'")
    assert error.traceback is not None
    assert "in inner" in error.traceback
    assert "streams/nodes" not in error.traceback


async def test_an_exception_within_a_library_names_the_handlers_line(handler: HandlerNode) -> None:
    node = handler("import json\ndef handle(i, c):\n    return json.loads('{')")
    assert "handler.py:3: JSONDecodeError" in (await failure(node)).message


RAISED = [
    ("raise NonRetryable('no use')", False, None),
    ("raise RetryAfter(1.5, 'busy')", True, 1_500),
    ("raise RetryAfter(-1)", True, 0),
    ("raise RetryAfter(float('nan'))", True, 0),
    ("sys.exit(3)", True, None),
    ("raise KeyboardInterrupt", True, None),
    ("raise GeneratorExit", True, None),
    ("raise StopIteration", True, None),
    ("raise asyncio.CancelledError", True, None),
    ("raise TimeoutError", True, None),
    ("raise Exception(Odd())", True, None),
    ("handle(inputs, context)", True, None),
    ("1 / 0", True, None),
]


@pytest.mark.parametrize(("statement", "retryable", "wait"), RAISED, ids=[row[0] for row in RAISED])
@pytest.mark.parametrize("prefix", ["", "async "])
async def test_whatever_is_raised_is_a_failed_attempt(
    handler: HandlerNode, prefix: str, statement: str, retryable: bool, wait: int | None
) -> None:
    if prefix and statement.startswith("handle("):
        statement = "await " + statement
    node = handler(f"""
        import asyncio, sys
        from streams import NonRetryable, RetryAfter
        class Odd:
            def __str__(self): raise ValueError
            __repr__ = __str__
        {prefix}def handle(inputs, context):
            {statement}
    """)
    error = await failure(node)
    assert (error.retryable, error.retry_after_ms) == (retryable, wait)
    line = 7 if prefix and statement == "raise StopIteration" else 8  # Python itself replaces it at the function's line
    assert f"handler.py:{line}: " in error.message


async def test_the_pool_survives_a_handler_that_exits(handler: HandlerNode) -> None:
    node = handler(
        "import sys\ndef handle(inputs, context):\n    sys.exit(1) if inputs['input']['text'] else 0\n    return {}"
    )
    for _ in range(100):
        await failure(node)
    assert await output(node, text="") == {}


async def test_secrets_are_not_in_errors(handler: HandlerNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "correct-horse-battery")
    node = handler(f"""
        import os
        def handle(inputs, context):
            raise ValueError("login " + os.environ["DB_PASSWORD"] + " {API_KEY}")
    """)
    error = await failure(node)
    for text in (error.message, error.traceback or ""):
        assert "correct-horse-battery" not in text
    assert API_KEY not in error.message


async def test_errors_have_an_end(handler: HandlerNode) -> None:
    node = handler("def handle(i, c): raise ValueError('x' * 10_000_000)")
    error = await failure(node)
    assert len(error.message) < 3_000
    assert len(error.traceback or "") <= 4_000


async def test_a_huge_output_is_passed_on_whole(handler: HandlerNode) -> None:
    assert len((await output(handler("def handle(i, c): return {'x': 'y' * 20_000_000}")))["x"]) == 20_000_000


async def test_sync_handlers_run_side_by_side(handler: HandlerNode) -> None:
    node = handler("""
        import threading
        met = threading.Barrier(16)
        def handle(inputs, context):
            met.wait(20)
            return {}
    """)
    assert await asyncio.gather(*(output(node) for _ in range(16))) == [{}] * 16


async def test_a_given_up_thread_sees_it(handler: HandlerNode) -> None:
    node = handler("""
        import threading
        started, seen = threading.Event(), threading.Event()
        def handle(inputs, context):
            match inputs["input"]["text"]:
                case "has it started?":
                    return {"yes": started.wait(10) and not context.cancelled}
                case "has it seen?":
                    return {"yes": seen.wait(10)}
            started.set()
            if context.wait(20) and context.cancelled:
                seen.set()
            return {}
    """)
    given_up = asyncio.create_task(node.execute(attempt()))
    assert await output(node, text="has it started?") == {"yes": True}
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert await output(node, text="has it seen?") == {"yes": True}


async def test_an_async_handler_is_cancelled(handler: HandlerNode) -> None:
    node = handler("""
        import asyncio
        seen = []
        async def handle(inputs, context):
            if inputs["input"]["text"] == "ask":
                return {"seen": seen}
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append(context.cancelled)
                raise
    """)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await node.execute(attempt())
    assert await output(node, text="ask") == {"seen": [False]}


async def test_an_inner_cancellation_is_not_the_attempts(handler: HandlerNode) -> None:
    node = handler("""
        import asyncio
        async def handle(inputs, context):
            inner = asyncio.ensure_future(asyncio.Event().wait())
            asyncio.get_running_loop().call_soon(inner.cancel)
            await inner
    """)
    assert "CancelledError" in (await failure(node)).message
