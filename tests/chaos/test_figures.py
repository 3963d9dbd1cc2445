"""The figures of a chaos run, from small histories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.chaos.actions import Blow
from benchmarks.chaos.feeder import Published
from benchmarks.chaos.figures import executions, latencies, rebalances, worst_pause


def _call(key: str, began: float, ended: float | None) -> dict[str, Any]:
    return {"key": key, "started_at": began, "finished_at": ended}


def test_a_repeat_is_explained_by_a_kill_during_the_call_before() -> None:
    calls = [_call("a", 10, 11), _call("b", 10, 11), _call("a", 14, 15), _call("b", 30, 31), _call("c", 30, 31)]
    assert executions(calls, [Blow("kill", 0, 10.5), Blow("term", 0, 30.5)]).unexplained == ()
    found = executions(calls, [Blow("zombie", 0, 30.5)])
    assert (found.total, found.repeated, found.in_flight) == (5, 2, 2)
    assert len(found.unexplained) == 2


def test_a_call_without_an_end_was_in_flight_ever_since() -> None:
    assert executions([_call("a", 10, None)], [Blow("kill", 0, 99.0)]).in_flight == 1


def test_what_ends_while_the_broker_is_away_is_in_flight_until_it_is_back() -> None:
    calls = [_call("a", 10, 11), _call("a", 40, 41)]
    away, cut_elsewhere, kill = (
        Blow("broker", None, 10.5, 20.0),
        Blow("blackhole", 1, 10.5, 20.0),
        Blow("kill", 0, 18.0),
    )
    assert executions(calls, [away, kill]).unexplained == ()
    assert len(executions(calls, [Blow("latency", 1, 10.5, 20.0), kill]).unexplained) == 1
    assert executions(calls, [cut_elsewhere, kill]).in_flight == 1


def test_a_zombie_that_wakes_makes_the_call_it_was_about_to_make() -> None:
    calls = [_call("a", 30, 31), _call("a", 40.2, 41)]
    assert executions(calls, [Blow("zombie", 0, 25.0, 40.0)]).unexplained == ()


def test_latency_and_the_worst_pause_with_runs_pending() -> None:
    published = Published(sent={"a": 0.0, "b": 1.0, "c": 50.0})
    results = {"a": [(2.0, "success"), (60.0, "success")], "b": [(9.0, "success")], "c": [(51.0, "failed")]}
    assert worst_pause(published, results) == 7.0
    assert latencies(published, results)["p50_s"] == 2.0
    assert latencies(published, {}) == {}


def test_takeovers_close_together_are_one_rebalance(tmp_path: Path) -> None:
    for name, seconds in (("one", ("00.1", "00.9")), ("two", ("01.5", "08.0"))):
        lines = [f"2026-11-23T07:45:{at}00000Z [info     ] partitions taken over   partitions=[1]\n" for at in seconds]
        (tmp_path / name).write_text("".join(lines) + "worker ready\n")
    assert rebalances(tmp_path.iterdir()) == (2, 4)
