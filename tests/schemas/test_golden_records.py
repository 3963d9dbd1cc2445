"""Records once written decode for ever."""

from __future__ import annotations

import json
import struct
from importlib import resources

import pytest

from schemas.codec import decode
from tests import golden_records
from tests.golden_records import ALL, FOLDER, path_of

IDS = {
    "started": 1_000_000,
    "cancel_requested": 1_000_001,
    "finished": 1_000_002,
    "succeeded": 1_000_003,
    "attempt_failed": 1_000_004,
    "attempt_due": 1_000_005,
    "failed": 1_000_006,
    "skipped": 1_000_007,
    "cancelled": 1_000_008,
    "retry_scheduled": 1_000_009,
    "node_row": 1_000_010,
    "run_row": 1_000_011,
    "timer_row": 1_000_012,
    "owner_marker": 1_000_013,
    "succeeded_2": 1_000_014,
    "attempt_failed_2": 1_000_015,
    "skipped_2": 1_000_016,
    "cancelled_2": 1_000_017,
    "node_row_2": 1_000_018,
    "run_row_2": 1_000_019,
    "attempt_deferred": 1_000_020,
    "call_lost": 1_000_021,
    "model_switched": 1_000_022,
    "epoch_opened": 1_000_023,
    "redrive_requested": 1_000_024,
    "refused": 1_000_025,
    "ledger_row": 1_000_026,
    "day_row": 1_000_027,
    "succeeded_3": 1_000_028,
    "attempt_failed_3": 1_000_029,
    "retry_scheduled_2": 1_000_030,
    "node_row_3": 1_000_031,
    "run_row_3": 1_000_032,
    "timed_out": 1_000_033,
    "review_requested": 1_000_034,
    "review_submitted": 1_000_035,
    "decided": 1_000_036,
    "result_received": 1_000_037,
    "item_started": 1_000_038,
    "lease_granted": 1_000_039,
    "lease_requested": 1_000_040,
    "lease_returned": 1_000_041,
    "lease_row": 1_000_042,
    "waiter_row": 1_000_043,
    "failed_2": 1_000_044,
    "succeeded_4": 1_000_045,
    "redrive_requested_2": 1_000_046,
    "epoch_opened_2": 1_000_047,
    "node_row_4": 1_000_048,
    "run_row_4": 1_000_049,
    "started_2": 1_000_050,
    "refused_2": 1_000_051,
    "run_row_5": 1_000_052,
    "run_row_6": 1_000_053,
    "node_row_5": 1_000_054,
}


@pytest.mark.parametrize("name", ALL)
def test_a_record_once_written_decodes(name: str) -> None:
    assert decode(path_of(name).read_bytes()) == ALL[name]


@pytest.mark.parametrize("name", ALL)
def test_a_schema_keeps_its_id(name: str) -> None:
    assert struct.unpack_from(">bI", path_of(name).read_bytes()) == (0, IDS[name])


def test_every_schema_has_a_golden_record() -> None:
    index = json.loads((resources.files("schemas") / "avro" / "index.json").read_text())
    assert set(index.values()) == {folder.name for folder in FOLDER.iterdir()}


def test_the_writer_never_overwrites() -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in FOLDER.rglob("*.bin")}
    assert golden_records.main() == 0
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in FOLDER.rglob("*.bin")} == before
