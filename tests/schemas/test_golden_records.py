"""Records written by the first version decode for ever."""

from __future__ import annotations

import json
import struct
from importlib import resources

import pytest

from schemas.codec import decode
from tests import golden_records
from tests.golden_records import FOLDER, LATER, V1, path_of

FIRST_IDS = {
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
}


@pytest.mark.parametrize("name", V1)
def test_the_first_version_decodes(name: str) -> None:
    assert decode(path_of(name).read_bytes()) == V1[name]


@pytest.mark.parametrize("name", LATER)
def test_what_came_later_decodes(name: str) -> None:
    assert decode(path_of(name).read_bytes()) == LATER[name]


@pytest.mark.parametrize("name", V1)
def test_the_first_version_keeps_its_id(name: str) -> None:
    assert struct.unpack_from(">bI", path_of(name).read_bytes()) == (0, FIRST_IDS[name])


def test_every_schema_has_a_golden_record() -> None:
    index = json.loads((resources.files("schemas") / "avro" / "index.json").read_text())
    assert set(index.values()) == {folder.name for folder in FOLDER.iterdir()}


def test_the_writer_never_overwrites() -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in FOLDER.rglob("*.bin")}
    assert golden_records.main() == 0
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in FOLDER.rglob("*.bin")} == before
