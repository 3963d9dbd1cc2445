"""Chaos in short: every kind of event at least once, then the auditor."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.chaos.drive import Wanted, drive
from benchmarks.chaos.schedule import KINDS, plan
from benchmarks.chaos.verdict import verdict

SECONDS = 55
"""As many events as in 70 s, every kind among them, with less quiet between."""

SEED = 4


@pytest.mark.kafka
@pytest.mark.timeout(360)
async def test_every_run_ends_exactly_once(tmp_path: Path) -> None:
    events = plan(SEED, SECONDS, workers=2, zombie_s=10)
    wanted = Wanted(events, SEED, SECONDS, rate=12, workers=2)
    outcome = await drive(wanted, tmp_path)
    figures = verdict(wanted, outcome)
    assert set(outcome.chronicle.counts()) == set(KINDS)
    assert outcome.results.keys() == outcome.published.acknowledged.keys()
    assert figures["codes"] == {}, (
        "one result per run: repeats of a cut-off worker have the same id and bytes, or it is a violation"
    )
    assert (outcome.chronicle.deaths, outcome.chronicle.bad_ends) == ([], [])
    assert figures["ok"]
