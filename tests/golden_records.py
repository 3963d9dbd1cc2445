"""One record of every schema as it must decode for ever; `python -m tests.golden_records` writes those that have no file yet.

A file is never written again: a changed schema gets a new id, a new name (`node_row_2`) and so a new folder.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from schemas.codec import encode
from schemas.records import (
    AttemptDeferred,
    AttemptDue,
    AttemptFailed,
    CallLost,
    Cancelled,
    CancelRequested,
    DayRow,
    Decided,
    EpochOpened,
    ErrorInfo,
    Failed,
    Finished,
    Gathered,
    Holder,
    ItemStarted,
    Json,
    LeaseGranted,
    LeaseRequested,
    LeaseReturned,
    LeaseRow,
    LedgerRow,
    ModelSwitched,
    NodeOutcome,
    NodeRow,
    OwnerMarker,
    Position,
    Provenance,
    QueuedRedrive,
    Record,
    Recorded,
    RedriveRequested,
    Refused,
    Reservation,
    ResultReceived,
    RetryScheduled,
    ReviewRequested,
    ReviewState,
    ReviewSubmitted,
    RunRow,
    Skipped,
    Spent,
    Started,
    Succeeded,
    TimedOut,
    TimerRow,
    WaiterRow,
)

FOLDER = Path(__file__).parent / "golden" / "records"
AT = 1_767_225_600_000
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
INPUT = Json('{"text":"Rechnung Nr. 7 über 12 €"}')
OUTPUT = Json('{"label":"invoice"}')
ERROR = ErrorInfo("rate_limited", "HTTP 429: slow down", True, 1_500, 'Traceback ... File "x.py", line 3')
SPENT = Spent(120, 34, 0.0125)

V1: Mapping[str, Record] = {
    "started": Started(
        "order 7", INPUT, "ab" * 32, "cd" * 32, "1.2.0", AT, Position("wf.input", 3, 2**40), b"\xff\x00k", TRACE
    ),
    "cancel_requested": CancelRequested("order 7", AT, Position("wf.control", 0, 0)),
    "finished": Finished("order 7", 0, "failed", AT + 9),
    "succeeded": Succeeded("order 7", "classify", 0, 2, 2, OUTPUT, SPENT, "gpt-4o-mini", AT, AT + 5),
    "attempt_failed": AttemptFailed(
        "order 7", "classify", 0, 1, 1, ERROR, Spent(9, 0, None), None, "half an ans", AT, AT + 2
    ),
    "attempt_due": AttemptDue("order 7", "classify", 0, 1, AT + 1_500),
    "failed": Failed("order 7", "extract", 0, 3, 3, ERROR, AT + 7),
    "skipped": Skipped("order 7", "persist", 0, 0, "join all_success: extract failed", AT + 8),
    "cancelled": Cancelled("order 7", "persist", 0, 0, AT + 8),
    "retry_scheduled": RetryScheduled("order 7", "classify", 0, 1, AT + 1_500, TRACE),
    "node_row": NodeRow(
        run_id="order 7",
        status="waiting",
        epoch=0,
        seq=3,
        attempt=2,
        started=True,
        closing=True,
        gathered={"input": Gathered("success", INPUT), "classify": Gathered("failed")},
        input_hash="ef" * 32,
        idempotency_key="inv-7",
        incarnation="host-1-abc",
        launched_at=AT,
        started_at=AT - 1,
        finished_at=AT + 1,
        last_error=ERROR,
        output=OUTPUT,
        spent=SPENT,
        model="gpt-4o",
        traceparent=TRACE,
    ),
    "run_row": RunRow(
        run_id="order 7",
        status="failed",
        epoch=0,
        source=Position("wf.input", 3, 2**40),
        input_hash="ab" * 32,
        plan_hash="cd" * 32,
        workflow_version="1.2.0",
        nodes={
            "classify": NodeOutcome("success", 2, 2, None, SPENT, "gpt-4o-mini", AT, AT + 5, OUTPUT),
            "extract": NodeOutcome("failed", 3, 3, ERROR, Spent(1, 1, None)),
        },
        started_at=AT,
        finished_at=AT + 9,
        traceparent=TRACE,
        retired=True,
    ),
    "timer_row": TimerRow("order 7", "classify", 0, 1, "retry", AT + 1_500, TRACE),
    "owner_marker": OwnerMarker(7, "host-1-abc"),
}


REQUEST = RedriveRequested(
    "order 7", "extract", 0, Json('{"input":{"text":"x"}}'), "ada@host", AT, Position("wf.control", 1, 4)
)
LATER: Mapping[str, Record] = {
    "succeeded_2": Succeeded(
        "order 7", "classify", 4, 2, 2, OUTPUT, SPENT, "m", AT, AT + 5, 1, False, '{"label": "invoice"}', "ab" * 32
    ),
    "attempt_failed_2": AttemptFailed(
        "order 7", "classify", 4, 1, 1, ERROR, Spent(9, 0, None), None, "half an ans", AT, AT + 2, 2, False, "cd" * 32
    ),
    "skipped_2": Skipped("order 7", "persist", 0, 0, "stopped: classify", AT + 8, True),
    "cancelled_2": Cancelled("order 7", "persist", 0, 0, AT + 8, "deadline"),
    "node_row_2": NodeRow(
        "order 7",
        "running",
        epoch=4,
        seq=3,
        attempt=2,
        gathered={"classify": Gathered("failed", None, True)},
        launch=2,
        choice=1,
        tries_before=1,
        deferrals=3,
        epochs={"classify": 4},
        opened=4,
        ahead=(b"\0early",),
        edits=(Json('{"input":{"text":"x"}}'),),
        deadline_at=AT + 60_000,
        last_raw='{"label": ',
    ),
    "run_row_2": RunRow(
        "order 7",
        "running",
        epoch=4,
        nodes={"classify": NodeOutcome("success", 2, 2, None, SPENT, "m", AT, AT + 5, OUTPUT, 4)},
        redrives=(QueuedRedrive(REQUEST, 4, 9),),
        opening=9,
        ahead=(b"\0early",),
        epoch_started_at=AT + 70,
        opened_by=Position("wf.control", 0, 3),
        seen=9,
    ),
    "attempt_deferred": AttemptDeferred(
        "order 7", "classify", 0, 1, 1, 0, "breaker_open", "not now", "m", AT + 900, AT
    ),
    "call_lost": CallLost("order 7", "classify", 0, 1, 0, Spent(900, 0, 0.5), AT),
    "model_switched": ModelSwitched("order 7", "classify", 0, 2, "m", "n", "budget", AT),
    "epoch_opened": EpochOpened(
        "order 7",
        4,
        0,
        "extract",
        ("extract", "persist"),
        REQUEST.edit,
        "cd" * 32,
        "1.2.1",
        "ada@host",
        AT,
        AT + 3,
        Position("wf.control", 1, 4),
    ),
    "redrive_requested": REQUEST,
    "refused": Refused("order 7", "extract", 0, "redrive", "expired", None, AT, Position("wf.control", 1, 5)),
    "ledger_row": LedgerRow(
        "order 7", 12_000, 0.5, 340, 0.01, {"classify/0/1/0": Reservation(1_500, 0.02, "2026-11-24")}
    ),
    "day_row": DayRow("2026-11-24", 340, 0.01, 1_500, 0.02),
}
"""Schemas that came after the first version."""

MADE_BY = Provenance("gpt-4o", "ab" * 32, "cd" * 32)
HOLDER = Holder("order 7", "persist", 4, TRACE)
SHOWN = Json('{"extract":{"total":12}}')
NODE_KINDS: Mapping[str, Record] = {
    "succeeded_3": Succeeded(
        "order 7", "classify", 4, 2, 2, OUTPUT, SPENT, "m", AT, AT + 5, 1, True, None, "ab" * 32, 140
    ),
    "attempt_failed_3": AttemptFailed(
        "order 7", "classify", 4, 1, 1, ERROR, SPENT, "m", "half", AT, AT + 2, 2, True, "cd" * 32, OUTPUT
    ),
    "retry_scheduled_2": RetryScheduled("order 7", "approve", 4, 1, AT + 1_500, TRACE, "review"),
    "node_row_3": NodeRow(
        "order 7",
        "waiting",
        epoch=4,
        gathered={"extract": Gathered("success", OUTPUT, False, MADE_BY)},
        items=200,
        item=Json('{"page":3}'),
        review=ReviewState(2, "ef" * 32, SHOWN, AT + 9, "ab" * 32, 1, 17, Position("wf.control", 0, 8)),
        lease="held",
        answered_by=Position("wf.control", 2, 3),
    ),
    "run_row_3": RunRow("order 7", nodes={"approve": NodeOutcome("waiting", chain="ab" * 32)}),
    "timed_out": TimedOut("order 7", "approve", 4, 2, "review", AT + 9),
    "review_requested": ReviewRequested(
        "order 7",
        "approve",
        4,
        2,
        SHOWN,
        "ef" * 32,
        ("ada", "bob"),
        "review",
        AT,
        AT + 9,
        {"extract": MADE_BY},
        1,
        "ab" * 32,
    ),
    "review_submitted": ReviewSubmitted(
        "order 7", "approve", 4, "ef" * 32, "approve", "ada", "fine", SHOWN, AT, Position("wf.control", 0, 8)
    ),
    "decided": Decided(
        "order 7",
        "approve",
        4,
        2,
        "approve",
        "ada",
        "fine",
        SHOWN,
        "ef" * 32,
        AT,
        Position("wf.control", 0, 8),
        "ab" * 32,
        "cd" * 32,
    ),
    "result_received": ResultReceived("order 7", "score", 4, 2, OUTPUT, ERROR, AT, Position("wf.control", 0, 8)),
    "item_started": ItemStarted("order 7", "pages[3]", 4, 0, Json('{"page":3}'), AT),
    "lease_granted": LeaseGranted("order 7", "persist", 4, "inv-7", AT),
    "lease_requested": LeaseRequested("inv-7", "order 7", "persist", 4, AT, TRACE),
    "lease_returned": LeaseReturned("inv-7", "order 7", "persist", 4, OUTPUT, ERROR, AT),
    "lease_row": LeaseRow("inv-7", HOLDER, OUTPUT, AT, AT + 9, 3, 5),
    "waiter_row": WaiterRow("inv-7", 3, HOLDER),
    "failed_2": Failed("order 7", "pages", 0, 0, 9, ERROR, AT + 7, SPENT),
}
"""Schemas that came with reviews, external nodes, items and leases."""

REPLAY = replace(REQUEST, edit=None, replay="nightly", whole=True, reuse=True)
REPLAYS: Mapping[str, Record] = {
    "started_2": replace(V1["started"], reused=("classify", "extract")),  # type: ignore[type-var,arg-type,call-arg]
    "succeeded_4": Succeeded(
        "order 7",
        "classify",
        9,
        0,
        0,
        OUTPUT,
        Spent(),
        "m",
        AT,
        AT,
        prompt_hash="ab" * 32,
        request_hash="cd" * 32,
        reused=True,
    ),
    "redrive_requested_2": REPLAY,
    "refused_2": Refused(
        "order 7", "extract", 4, "replay", "expired", None, AT, Position("wf.control", 1, 5), replay="nightly"
    ),
    "epoch_opened_2": EpochOpened(
        "order 7",
        9,
        4,
        "classify",
        ("classify", "extract"),
        None,
        "cd" * 32,
        "1.3.0",
        "ada@host",
        AT,
        AT + 3,
        Position("wf.control", 1, 4),
        "nightly",
        True,
    ),
    "node_row_4": NodeRow(
        "order 7",
        "success",
        output=OUTPUT,
        request_hash="cd" * 32,
        prompt_hash="ab" * 32,
        recorded=(Recorded("cd" * 32, OUTPUT, "m", "ab" * 32),),
        reuse=True,
        kept=True,
        plan_hash="ef" * 32,
    ),
    "run_row_4": RunRow(
        "order 7", nodes={"classify": NodeOutcome("success", reused=True)}, redrives=(QueuedRedrive(REPLAY, 4, 9),)
    ),
}
"""Schemas that came with replays."""

MOVED: Mapping[str, Record] = {"run_row_5": RunRow("order 7", epoch=17, seen=4, epochs_from=18)}
"""What came with moves to another partition count."""

SPEED: Mapping[str, Record] = {
    "run_row_6": RunRow("order 7", seen=3, reused=("classify", "extract")),
    "node_row_5": NodeRow(
        "order 7", gathered={"input": Gathered("success", INPUT), "classify": Gathered("success", in_source=True)}
    ),
}
"""Schemas that came with rows, and parts of rows, that are not written."""

ALL = {**V1, **LATER, **NODE_KINDS, **REPLAYS, **MOVED, **SPEED}


def path_of(name: str) -> Path:
    """Return where the record of a schema is: a schema never changes, so there is one version of each."""
    return FOLDER / name / "v1.bin"


def main() -> int:
    """Write what is missing."""
    for name, record in ALL.items():
        path = path_of(name)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode(record))
            sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
