"""Which rows of a changelog count (PROTOCOL.md 8)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.records import NodeRow, OwnerMarker, Row
from streams.core.changelog import MARKER_KEY, ChangelogFold
from streams.errors import UndecodableRecord

Written = tuple[str, int, int | None]
"""Key, owner epoch, and a value that tells rows apart (None: a tombstone)."""


def row(seq: int) -> NodeRow:
    return NodeRow("r", seq=seq)


def folded(*steps: Written | int) -> ChangelogFold:
    """Return the fold of rows and of markers (a bare number)."""
    fold = ChangelogFold()
    for at, step in enumerate(steps):
        if isinstance(step, int):
            fold.take(MARKER_KEY, encode(OwnerMarker(step, f"w{step}")), step, f"t/0/{at}")
        else:
            key, owner, value = step
            fold.take(key.encode(), None if value is None else encode(row(value)), owner, f"t/0/{at}")
    return fold


def rows(**values: int) -> dict[str, Row]:
    return {key: row(value) for key, value in values.items()}


def test_the_last_row_of_a_key_counts() -> None:
    fold = folded(1, ("a", 1, 1), ("b", 1, 2), ("a", 1, 3))
    assert (fold.rows, fold.overwritten) == (rows(a=3, b=2), set())


def test_a_tombstone_deletes() -> None:
    assert folded(1, ("a", 1, 1), ("a", 1, None), ("never", 1, None)).rows == {}


def test_rows_of_an_earlier_owner_count_up_to_the_next_marker() -> None:
    fold = folded(1, ("a", 1, 1), 2, ("b", 2, 2))
    assert (fold.rows, fold.overwritten, fold.highest) == (rows(a=1, b=2), set(), 2)


def test_a_zombie_s_row_is_ignored_and_listed() -> None:
    fold = folded(1, ("a", 1, 1), 2, ("a", 2, 2), ("a", 1, 3))
    assert (fold.rows, fold.overwritten) == (rows(a=2), {"a"})


def test_a_zombie_s_tombstone_is_ignored_and_listed() -> None:
    fold = folded(1, ("a", 1, 1), 2, ("a", 1, None))
    assert (fold.rows, fold.overwritten) == (rows(a=1), {"a"})


def test_a_zombie_s_new_key_is_listed_so_that_it_gets_a_tombstone() -> None:
    fold = folded(2, ("a", 1, 1))
    assert (fold.rows, fold.overwritten) == ({}, {"a"})


def test_a_key_written_again_by_the_owner_is_not_listed_any_more() -> None:
    assert folded(2, ("a", 1, 1), ("a", 2, 2)).overwritten == set()
    assert folded(2, ("a", 1, 1), ("a", 2, None)).overwritten == set()


def test_a_lower_marker_after_a_higher_one_takes_nothing_back() -> None:
    fold = folded(3, 2, ("a", 2, 1))
    assert (fold.highest, fold.rows, fold.overwritten) == (3, {}, {"a"})


def test_markers_are_kept_in_order_and_are_no_rows() -> None:
    fold = folded(1, 3, 2)
    assert [marker.owner_epoch for marker in fold.markers] == [1, 3, 2]
    assert fold.rows == {}


@pytest.mark.parametrize(
    ("key", "value"), [(b"r", b"junk"), (b"r", b""), (b"r", b"\0\0\0\0\1xx"), (b"\xff", encode(row(1)))], ids=str
)
def test_what_cannot_be_decoded_stops_the_restore_and_says_where(key: bytes, value: bytes) -> None:
    with pytest.raises(UndecodableRecord, match=r"penstock\.wf-n-changelog/3/17"):
        ChangelogFold().take(key, value, 1, "penstock.wf-n-changelog/3/17")


STEPS = st.lists(
    st.integers(1, 4) | st.tuples(st.sampled_from("abc"), st.integers(0, 4), st.none() | st.integers(0, 99)),
    max_size=20,
)


@given(STEPS)
def test_rewriting_what_is_listed_makes_compaction_harmless(steps: list[Written | int]) -> None:
    """After the winner's rewrites, the last record per key alone (what compaction leaves) folds to the same rows."""
    fold = folded(*steps)
    owner = fold.highest + 1
    again: list[Written | int] = [owner]
    for key in sorted(fold.overwritten):
        kept = fold.rows.get(key)
        again.append((key, owner, None if kept is None else kept.seq))  # type: ignore[union-attr]
    log = [*steps, *again]
    last = {(0 if isinstance(step, int) else step[0]): at for at, step in enumerate(log)}
    compacted = [log[at] for at in sorted(last.values())]
    assert folded(*compacted).rows == folded(*log).rows == fold.rows
