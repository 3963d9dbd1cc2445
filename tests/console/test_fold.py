"""The fold of the console: one workflow's broken row is that workflow's, and no more than that row."""

from __future__ import annotations

from pathlib import Path

from aiokafka import ConsumerRecord, TopicPartition

from penstock.console.readmodel.fold import fold
from penstock.console.readmodel.sources import Source
from penstock.console.readmodel.store import Store
from schemas.codec import encode
from schemas.records import Position, RunRow

TOPIC = "penstock.wf-run-changelog"


def record(offset: int, key: str, value: bytes, headers: tuple[tuple[str, bytes], ...] = ()) -> ConsumerRecord:
    return ConsumerRecord(TOPIC, 0, offset, 7, 0, key.encode(), value, None, len(key), len(value), headers)


def row(run_id: str) -> bytes:
    return encode(RunRow(run_id, "success", source=Position("wf.input", 0, 1), started_at=1, finished_at=2))


def test_a_row_that_cannot_be_read_is_left_out_and_the_others_are_shown(tmp_path: Path) -> None:
    store = Store(tmp_path / "console.sqlite3")
    broken = [
        record(1, "r2", b"garbage"),
        record(2, "r3", b"\0\0\0\0\1what"),
        record(3, "r4", row("r4"), (("penstock.owner.epoch", b"x"), ("penstock-owner-epoch", b"x"))),
    ]
    batch = {TopicPartition(TOPIC, 0): [record(0, "r1", row("r1")), *broken, record(4, "r5", row("r5"))]}
    fold(store.writer, {TOPIC: Source(TOPIC, 1, "wf", "run rows", "run")}, batch)
    with store.reading() as db:
        shown = {found["run_id"] for found in db.execute("select run_id from runs")}
        (place,) = db.execute("select next_offset from places").fetchall()
    store.close()
    assert {"r1", "r5"} <= shown <= {"r1", "r4", "r5"}
    assert place["next_offset"] == 5
