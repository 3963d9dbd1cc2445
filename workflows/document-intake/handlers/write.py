"""Write the document's record into SQLite: one row per idempotency key, the same row and the same answer every time."""

import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

DEFAULT_PATH = ".penstock/document-intake.sqlite"

CREATE = """
CREATE TABLE IF NOT EXISTS documents (
    key TEXT PRIMARY KEY, document_id TEXT NOT NULL, kind TEXT NOT NULL, sender TEXT, recipient TEXT, reference TEXT,
    date TEXT, currency TEXT, value TEXT, summary TEXT NOT NULL, found_by TEXT NOT NULL, doubts TEXT NOT NULL,
    source TEXT NOT NULL, received_at TEXT NOT NULL, run_id TEXT NOT NULL
) STRICT
"""


def handle(inputs: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Upsert the row in one transaction; a crash before the commit leaves nothing, one after it the row as it should be."""
    row = as_row(inputs["validate"], inputs["input"], context)
    with closing(connect()) as connection, connection:
        connection.execute(upsert(row), row)
    return {"row": row["key"], "table": "documents", "kind": row["kind"], "doubts": len(inputs["validate"]["doubts"])}


def as_row(record: Mapping[str, Any], document: Mapping[str, Any], context: Any) -> dict[str, str | None]:
    """Return the columns; no clock and no attempt number among them, so that a repeat writes the same."""
    money = record["amount"] or {}
    return {
        "key": context.idempotency_key,
        **{name: record[name] for name in ("document_id", "kind", "sender", "recipient", "reference", "date")},
        "currency": money.get("currency"),
        "value": money.get("value"),
        "summary": record["summary"],
        "found_by": json.dumps(record["found_by"], sort_keys=True),
        "doubts": json.dumps(record["doubts"], ensure_ascii=False),
        "source": document["source"],
        "received_at": document["received_at"],
        "run_id": context.run_id,
    }


def upsert(row: Mapping[str, Any]) -> str:
    """Return the statement for these columns; values travel as parameters."""
    changes = ", ".join(f"{name} = excluded.{name}" for name in row if name != "key")
    values = ", ".join(f":{name}" for name in row)
    return f"INSERT INTO documents ({', '.join(row)}) VALUES ({values}) ON CONFLICT (key) DO UPDATE SET {changes}"


def connect() -> sqlite3.Connection:
    """Open the file (its folder and table are made if missing); a writer in another process is waited for."""
    path = Path(os.environ.get("DOCUMENT_INTAKE_DB", DEFAULT_PATH))
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=20)
    connection.execute(CREATE)
    return connection
