"""Stories of routers, external nodes, reviews and the rest: crashed at every point, and judged by the auditor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streams.core.outcome import Done, NodeInput, Outcome, Usage
from streams.core.prompt import Prompt
from tests.engine.scripts import (
    Step,
    Story,
    advance,
    answer,
    broken,
    cancel,
    copied,
    decision,
    doubtful,
    fixed_by_an_edit,
    flaky,
    redrive,
    replay,
    start,
)
from tests.plans import CHAIN, cached, external, for_each, llm, once, plan_of, review, router
from topology.plan import Budget


def routing(node_input: NodeInput) -> Outcome:
    """Choose as a model does."""
    return Done({"route": "other", "confidence": 0.9, "by": "model"}, Usage(3, 5), 0.00001, "m1")


FORM = {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False}
DOUBT = {**llm("m1", output_schema=FORM, on_low_confidence="review"), "review": review(FORM)["review"]}


def keyed(run_id: str, **more: Any) -> Step:
    """Return a step that starts a run whose work has the key "k"."""
    return start(run_id, {"n": 1, "key": "k", **more})


def keyed_items(key: str = "${item}") -> dict[str, Any]:
    """Return the fields that make node `b` do the work of each item once per key."""
    return {**for_each("b"), **once("b", key)}


def listed(*items: Any, run_id: str = "r1") -> Step:
    """Return a step that starts a run over items."""
    return start(run_id, {"n": 1, "list": list(items)})


def picky(node_input: NodeInput) -> Outcome:
    """Fail for items called "bad", once for those called "slow"."""
    match node_input.inputs["item"]:
        case "bad":
            return broken(node_input)
        case "slow" if node_input.attempt == 1:
            return flaky(1)(node_input)
        case item:
            return Done({"index": node_input.inputs["index"], "item": item}, Usage(3, 5), 0.00001, "m1")


ASKING = Prompt(plan_of({"b": ()}, nodes={"b": llm()}).node("b"))


def answering(node_input: NodeInput) -> Outcome:
    """Answer as a model does, with the hash of what it was asked."""
    asked = ASKING.request_hash(ASKING.messages(node_input.inputs, None)[0])
    return Done({"n": node_input.inputs["input"]["n"]}, Usage(3, 5), 0.00001, "m1", request_hash=asked)


ITEMS_ASK = {**llm(prompt="Say {{ item }}"), **for_each("b")}
ASKING_ITEMS = Prompt(plan_of({"b": ()}, nodes={"b": ITEMS_ASK}).node("b"))


def answering_items(node_input: NodeInput) -> Outcome:
    """Answer for an item as a model does."""
    asked = ASKING_ITEMS.request_hash(ASKING_ITEMS.messages(node_input.inputs, None)[0])
    return Done({"said": node_input.inputs["item"]}, Usage(3, 5), 0.00001, "m1", request_hash=asked)


BEHIND = {"c": {"background": True}}

STORIES: Mapping[str, Story] = {
    "behind the result": Story(CHAIN, [start(), advance(1)], {"c": flaky(2)}, BEHIND),
    "failed behind the result": Story(CHAIN, [start(), advance(1)], {"c": flaky(9)}, BEHIND),
    "failed behind the result, and redriven": Story(
        CHAIN, [start(), redrive("c", edit={"input": {"ok": True}})], {"c": fixed_by_an_edit}, BEHIND
    ),
    "cancelled before what is behind": Story(
        {"b": (), "c": ("b",)}, [start(), cancel(), advance(1)], {"b": flaky(1)}, BEHIND
    ),
    "forked": Story(CHAIN, [copied("a"), start(reused="a")]),
    "forked, and the copy is read late": Story(CHAIN, [start(reused="a,b"), copied("b"), copied("a")]),
    "forked, and replayed": Story(CHAIN, [copied("a"), start(reused="a"), replay()]),
    "forked, and cancelled without its copy": Story(CHAIN, [start(reused="a"), cancel()]),
    "replayed": Story(CHAIN, [start(), replay()]),
    "replayed from a node on": Story(CHAIN, [start(), replay(node="b")]),
    "replayed after a failure": Story(CHAIN, [start(), replay()], {"b": broken}),
    "replayed twice for one epoch": Story(CHAIN, [start(), replay(epoch=0), replay(epoch=0)]),
    "replayed, and cancelled": Story(CHAIN, [start(), replay(), cancel(), advance(1)], {"b": flaky(1)}),
    "replayed before its end": Story(CHAIN, [start(), replay(), advance(1), advance(1)], {"b": flaky(1)}),
    "replayed, asking again": Story(CHAIN, [start(), replay()], {"b": answering}, {"b": llm()}),
    "replayed, reusing the answer": Story(
        CHAIN, [start(), replay(reuse=True), replay(reuse=True)], {"b": answering}, {"b": llm()}
    ),
    "replayed, reusing within a budget": Story(
        {"b": ()},
        [start(), replay(reuse=True), replay()],
        {"b": answering},
        {"b": llm()},
        {"budget": Budget(1_000, None)},
    ),
    "replayed, items again": Story(
        CHAIN, [listed("x", "slow"), advance(1), replay(), advance(1)], {"b": picky}, {"b": for_each("b")}
    ),
    "replayed, items reusing their answers": Story(
        CHAIN, [listed("x", "y"), replay(reuse=True)], {"b": answering_items}, {"b": ITEMS_ASK}
    ),
    "replayed, done once": Story(CHAIN, [keyed("r1"), replay()], nodes={"b": once("b")}),
    "replayed, asked for approval again": Story(
        CHAIN, [start(), decision("b"), replay(), decision("b"), advance(2)], nodes={"b": review()}
    ),
    "item by item": Story(CHAIN, [listed("x", "y", "z")], {"b": picky}, {"b": for_each("b")}),
    "no items": Story(CHAIN, [listed()], {"b": picky}, {"b": for_each("b")}),
    "too many items": Story(CHAIN, [listed(1, 2, 3)], {"b": picky}, {"b": for_each("b", most=2)}),
    "no list": Story(CHAIN, [listed()], {"b": picky}, {"b": for_each("b", "input.n")}),
    "an item is tried again": Story(CHAIN, [listed("x", "slow", "z"), advance(1)], {"b": picky}, {"b": for_each("b")}),
    # Alone: how far the others come before it fails is a race.
    "an item fails the node": Story({"b": ()}, [listed("bad")], {"b": picky}, {"b": for_each("b")}),
    "an item is dropped": Story(
        CHAIN, [listed("x", "bad", "slow"), advance(1)], {"b": picky}, {"b": for_each("b", on_error="drop")}
    ),
    "an item's error is kept": Story(
        CHAIN, [listed("bad", "x", "bad"), advance(1)], {"b": picky}, {"b": for_each("b", on_error="keep_error")}
    ),
    "cancelled between items": Story(
        {"b": ()}, [listed("slow", "slow"), cancel(), advance(1)], {"b": picky}, {"b": for_each("b")}
    ),
    "items within a budget": Story(
        {"b": ()},
        [listed("x", "slow"), advance(1)],
        {"b": picky},
        {"b": {**llm(), **for_each("b")}},
        {"budget": Budget(3_000, None)},
    ),
    "items done once, within a run and over two": Story(
        {"b": ()},
        [listed("slow", "x", "slow"), listed("x", "slow", run_id="r2"), advance(1)],
        {"b": picky},
        {"b": keyed_items()},
    ),
    "items that hold keys, cancelled": Story(
        {"b": ()},
        [listed("slow", "slow"), listed("slow", run_id="r2"), cancel("r1"), advance(1)],
        {"b": picky},
        {"b": keyed_items()},
    ),
    "items again after a failure": Story(
        {"b": ()},
        [listed("bad"), redrive("b", edit={"input": {"list": ["y", "slow"]}}), advance(1)],
        {"b": picky},
        {"b": for_each("b")},
    ),
    "done once, for two runs": Story(CHAIN, [keyed("r1"), keyed("r2")], nodes={"b": once("b")}),
    "done once, for four that ask at the same time": Story(
        {"b": ()}, [keyed("r1"), keyed("r2"), keyed("r3"), keyed("r4"), advance(1)], {"b": flaky(2)}, {"b": once("b")}
    ),
    "done by the next after a cancel": Story(
        {"b": ()}, [keyed("r1"), keyed("r2"), keyed("r3"), cancel("r1"), advance(1)], {"b": flaky(1)}, {"b": once("b")}
    ),
    "cancelled while another does it": Story(
        {"b": ()},
        [keyed("r1"), keyed("r2"), keyed("r3"), cancel("r2"), cancel("r1"), advance(1)],
        {"b": flaky(1)},
        {"b": once("b")},
    ),
    "failed for all that wait, and tried again by the next": Story(
        {"b": ()}, [keyed("r1"), keyed("r2"), advance(1), keyed("r3"), advance(1)], {"b": flaky(9)}, {"b": once("b")}
    ),
    "routed from the cache": Story(
        {"a": (), "b": ("a",)},
        [start("r1"), start("r2"), start("r3", {"n": 9}), start("r4", {"n": 2}), advance(1), start("r5"), advance(1)],
        {"a": routing},
        {"a": cached("a", 30_000), "b": {"when": 'a.route == "other"'}},
    ),
    "routed within a budget": Story(
        {"a": ()},
        [start("r1"), start("r2")],
        {"a": routing},
        {"a": cached("a", 30_000)},
        {"budget": Budget(3_000, None)},
    ),
    "too dear to route, but for the cache": Story(
        {"a": ()}, [start("r1"), start("r2")], {"a": routing}, {"a": cached("a", 30_000)}, {"budget": Budget(20, None)}
    ),
    "approved": Story(CHAIN, [start(), decision("b")], nodes={"b": review()}),
    "approved with an edit": Story(CHAIN, [start(), decision("b", edit={"n": 2})], nodes={"b": review(FORM)}),
    "rejected": Story(CHAIN, [start(), decision("b", decision="reject", comment="no")], nodes={"b": review()}),
    "decided twice": Story(CHAIN, [start(), decision("b"), decision("b", decision="reject")], nodes={"b": review()}),
    "decided too early, wrongly, and late": Story(
        CHAIN,
        [
            decision("b"),
            start(),
            decision("b", epoch=7),
            decision("b", hash="ab"),
            decision("b", edit={"n": 1}),
            advance(2),
            decision("b"),
        ],
        nodes={"b": review()},
    ),
    "not decided, so rejected": Story(CHAIN, [start(), advance(2), decision("b")], nodes={"b": review()}),
    "not decided, so approved": Story(CHAIN, [start(), advance(2)], nodes={"b": review(on_timeout="approve")}),
    "escalated, then approved": Story(
        CHAIN,
        [start(), advance(1.5), decision("b")],
        nodes={"b": review(on_timeout="escalate", escalate_to=("bob",))},
    ),
    "escalated in vain": Story(
        CHAIN, [start(), advance(3)], nodes={"b": review(on_timeout="escalate", escalate_to=("bob",))}
    ),
    "cancelled under review": Story({"b": ()}, [start(), cancel(), decision("b")], nodes={"b": review()}),
    "rejected, and asked again": Story(
        CHAIN,
        [start(), decision("b", decision="reject"), redrive("b"), decision("b"), advance(2)],
        nodes={"b": review()},
    ),
    "in doubt, approved with an edit": Story(
        CHAIN, [start(), decision("b", edit={"n": 4})], {"b": doubtful}, nodes={"b": DOUBT}
    ),
    "in doubt, rejected": Story(
        CHAIN, [start(), decision("b", decision="reject")], {"b": doubtful}, nodes={"b": DOUBT}
    ),
    "in doubt, within a budget": Story(
        {"b": ()},
        [start(), decision("b", edit={"n": "x"}), decision("b")],
        {"b": doubtful},
        nodes={"b": DOUBT},
        plan={"budget": Budget(10_000, None)},
    ),
    "routed by a rule": Story(
        {"a": (), "b": ("a",), "c": ("a",)},
        [start()],
        nodes={
            "a": router(("input.n == 2", "x"), ("input.n == 1", "y")),
            "b": {"when": 'a.route == "x"'},
            "c": {"when": 'a.route == "y"'},
        },
    ),
    "routed by default": Story({"a": (), "b": ("a",)}, [start()], nodes={"a": router(("input.n == 2", "x"))}),
    "a rule that errs": Story({"a": (), "b": ("a",)}, [start()], nodes={"a": router(("input.m.n == 2", "x"))}),
    "answered by an app": Story(CHAIN, [start(), answer("b")], nodes={"b": external("b")}),
    "answered twice": Story(
        CHAIN, [start(), answer("b"), answer("b", output={"score": 8})], nodes={"b": external("b")}
    ),
    "answered too early, for another attempt, and late": Story(
        CHAIN,
        [start(), answer("b", attempt=2), answer("b", epoch=3), advance(1), answer("b"), answer("b", attempt=2)],
        nodes={"b": {**external("b"), "timeout_ms": 30_000}},
    ),
    "an app that fails, then answers": Story(
        CHAIN,
        [start(), answer("b", error="not now"), advance(0.1), answer("b", attempt=2)],
        nodes={"b": external("b")},
    ),
    "an app that gives up": Story(
        CHAIN, [start(), answer("b", error={"message": "no", "retryable": False})], nodes={"b": external("b")}
    ),
    "an app that never answers": Story(
        CHAIN, [start(), advance(2), answer("b", attempt=3)], nodes={"b": external("b")}
    ),
    "cancelled while an app works": Story({"b": ()}, [start(), cancel(), answer("b")], nodes={"b": external("b")}),
    "an app's failure, redriven": Story(
        CHAIN,
        [start(), answer("b", error={"message": "no", "retryable": False}), redrive("b"), advance(1)],
        nodes={"b": external("b")},
    ),
}
