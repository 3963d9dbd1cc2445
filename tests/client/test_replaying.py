"""What a replay hears of its runs, and how it recognizes what it has sent before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from penstock.client.replay_plan import Wanted
from penstock.client.replaying import Progress
from schemas.codec import encode
from schemas.records import EpochOpened, Finished, Position, Record, Refused

AT = Position("wf.control", 0, 3)


@dataclass
class Read:
    """A consumed record, as far as it is looked at."""

    value: bytes | None


def taken(progress: Progress, *records: Record | bytes | None) -> list[Any]:
    values = [encode(r) if not isinstance(r, bytes | None) else r for r in records]  # type: ignore[arg-type]
    return [progress.take(Read(value), "mine") for value in values]  # type: ignore[arg-type]


def opened(run_id: str, epoch: int, replay: str | None = "mine") -> EpochOpened:
    return EpochOpened(run_id, epoch, 0, "a", ("a",), None, "hash", "1", "ada", 0, 0, AT, replay)


def test_a_run_ends_with_the_epoch_that_was_opened_for_it() -> None:
    progress = Progress(2, dict.fromkeys(["r1", "r2"]))
    assert taken(
        progress,
        None,
        b"not ours",
        Finished("r1", 0, "failed", 1),
        opened("r1", 4, "another's"),
        Finished("r1", 4, "success", 1),
        opened("r1", 7),
        opened("r3", 8),
        Finished("r3", 8, "success", 1),
        Finished("r1", 7, "success", 1),
        Finished("r1", 7, "success", 1),
    ) == [None] * 8 + [{"run_id": "r1", "epoch": 7, "status": "success"}, None]
    assert (progress.ended, progress.open) == (1, {"r2": None})


def test_a_refusal_counts_if_it_is_of_this_replay() -> None:
    progress = Progress(1, {"r1": None})
    refused = [
        Refused("r1", "a", 0, "replay", "gone on", "ada", 0, AT, replay) for replay in (None, "another's", "mine")
    ]
    assert taken(progress, *refused) == [
        None,
        None,
        {"run_id": "r1", "epoch": None, "status": "refused", "reason": "gone on"},
    ]


def test_a_repeat_that_is_refused_does_not_end_a_run_that_was_opened() -> None:
    progress = Progress(1, {"r1": None})
    assert taken(progress, opened("r1", 4), Refused("r1", "a", 0, "replay", "gone on", "ada", 0, AT, "mine")) == [
        None,
        None,
    ]


def test_the_same_command_has_the_same_id() -> None:
    one = Wanted(("r1", "r2"), "failed", None, "a", reuse=True)
    assert one.id_with("wf", "0", None) == Wanted(("r2", "r1"), "failed", None, "a", reuse=True).id_with(
        "wf", "0", None
    )
    others = [
        one.id_with("wf", "1", None),
        one.id_with("other", "0", None),
        Wanted(("r1",), "failed", None, "a", reuse=True).id_with("wf", "0", None),
        Wanted(("r1", "r2"), "failed", None, "a").id_with("wf", "0", None),
        Wanted(("r1", "r2"), "failed", None, None, reuse=True).id_with("wf", "0", None),
    ]
    assert len({one.id_with("wf", "0", None), *others}) == 6
