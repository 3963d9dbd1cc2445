"""One record of every schema as it must decode for ever; `python -m tests.golden_records` writes those that have no file yet.

A file is never written again: a changed schema gets a new id and a `v2.bin` beside the old one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from schemas.codec import encode
from schemas.records import (
    AttemptDue,
    AttemptFailed,
    Cancelled,
    CancelRequested,
    ErrorInfo,
    Failed,
    Finished,
    Gathered,
    Json,
    NodeOutcome,
    NodeRow,
    OwnerMarker,
    Position,
    Record,
    RetryScheduled,
    RunRow,
    Skipped,
    Spent,
    Started,
    Succeeded,
    TimerRow,
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


def path_of(name: str) -> Path:
    """Return where the first version of a schema's record is."""
    return FOLDER / name / "v1.bin"


def main() -> int:
    """Write what is missing."""
    for name, record in V1.items():
        path = path_of(name)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode(record))
            sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
