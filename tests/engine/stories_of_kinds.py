"""Stories of routers, external nodes, reviews and the rest: crashed at every point, and judged by the auditor."""

from __future__ import annotations

from collections.abc import Mapping

from tests.engine.scripts import Story, advance, answer, cancel, redrive, start
from tests.plans import CHAIN, external, router

STORIES: Mapping[str, Story] = {
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
