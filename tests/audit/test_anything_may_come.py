"""Topics hold what anybody wrote: the auditor judges it, and never breaks on it."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.headers import CE_ID, ERROR, OWNER_EPOCH, RUN_ID
from schemas.records import (
    AttemptDue,
    AttemptFailed,
    Cancelled,
    CancelRequested,
    Failed,
    Finished,
    NodeRow,
    OwnerMarker,
    RetryScheduled,
    RunRow,
    Skipped,
    Started,
    Succeeded,
    TimerRow,
)
from streams.audit.snapshot import Entry
from tests.audit.logs import STORIES, log_of
from tests.strategies import records

KINDS = (
    *(Started, CancelRequested, Finished, Succeeded, AttemptFailed, AttemptDue, Failed, Skipped, Cancelled),
    *(RetryScheduled, NodeRow, RunRow, TimerRow, OwnerMarker),
)
RUN = st.sampled_from(["r1", "r2", "bad", "else"])
NODE = st.sampled_from(["a", "b", "classify", "no such node"])
SMALL = st.integers(-1, 3)
NAMES = {"run_id": RUN, "node": NODE, "epoch": SMALL, "seq": SMALL, "attempt": SMALL}
HEADERS = [
    CE_ID,
    OWNER_EPOCH,
    RUN_ID,
    *(ERROR + name for name in ("kind", "node", "attempt", "topic", "partition", "offset")),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["run_id", "epoch", "nodes", "outputs", "a", "error"]), inner)
    ),
    max_leaves=8,
)


@st.composite
def values(draw: st.DrawFn) -> bytes | None:
    """Draw bytes: noise, JSON, or a record of ours that says anything, often about runs and nodes that there are."""
    kind = draw(st.sampled_from(["noise", "json", "record", "record", "none"]))
    if kind == "record":
        record: Any = draw(records(draw(st.sampled_from(KINDS))))
        for name, strategy in NAMES.items():
            if hasattr(record, name) and draw(st.integers(0, 4)):
                object.__setattr__(record, name, draw(strategy))
        return encode(record)
    if kind == "json":
        return orjson.dumps(draw(JSON))
    return draw(st.binary(max_size=30)) if kind == "noise" else None


KEYS = st.none() | st.binary(max_size=10) | RUN.map(str.encode) | st.sampled_from([b"r1/b/0/1/retry", b"\0owner"])
HEADER = st.tuples(st.sampled_from(HEADERS), st.binary(max_size=5) | st.sampled_from([b"0", b"1", b"b", b"wf.input"]))


@settings(max_examples=150, deadline=None)
@given(story=st.sampled_from(sorted(STORIES)), quiet=st.booleans(), junk=st.data())
def test_junk_in_any_topic_is_judged(story: str, quiet: bool, junk: st.DataObject) -> None:
    log = log_of(story)
    topics = sorted(log.layout.topics)
    for _ in range(junk.draw(st.integers(1, 4))):
        topic, partition = junk.draw(st.sampled_from(topics)), junk.draw(st.integers(0, 1))
        entry = Entry(
            topic,
            partition,
            0,
            junk.draw(KEYS),
            junk.draw(values()),
            junk.draw(st.lists(HEADER, max_size=4).map(tuple)),
        )
        log.append(entry, consumed=junk.draw(st.booleans()))
    log.audit(quiet=quiet)
