"""Print the rows that document-intake left in SQLite: `python show_rows.py [FILE]`."""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

COLUMNS = ("document_id", "kind", "reference", "date", "value", "currency", "summary")


def main() -> int:
    """Print the table; 1 if there is none."""
    default = os.environ.get("DOCUMENT_INTAKE_DB", ".penstock/document-intake.sqlite")
    path = Path(sys.argv[1] if len(sys.argv) > 1 else default)
    if not path.exists():
        print(f"no rows: {path} is not there", file=sys.stderr)
        return 1
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        rows = db.execute(f"SELECT {', '.join(COLUMNS)} FROM documents ORDER BY document_id").fetchall()
    table = Table(title=f"{len(rows)} rows in {path}", expand=True)
    for column in COLUMNS:
        table.add_column(
            column,
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if column == "summary" else None,
            min_width=20 if column == "summary" else None,
        )
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
