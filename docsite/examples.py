"""A page for each example workflow: its README, then its files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

LANGUAGES = {".yaml": "yaml", ".py": "python", ".json": "json", ".j2": "jinja", ".jsonl": "json"}
MOST_LINES = 120


def page(folder: Path) -> str:
    """Return the README and, below it, the text of what it is about."""
    return (folder / "README.md").read_text(encoding="utf-8") + "\n## The files\n\n" + "\n".join(_files(folder))


def _files(folder: Path) -> Iterator[str]:
    found = [
        file
        for file in folder.rglob("*")
        if file.suffix in LANGUAGES and file.suffix != ".jsonl" and ".penstock" not in file.parts
    ]
    for file in sorted(found, key=lambda file: (file.name != "workflow.yaml", str(file))):
        text = file.read_text(encoding="utf-8")
        if len(text.splitlines()) <= MOST_LINES:
            yield f'```{LANGUAGES[file.suffix]} title="{file.relative_to(folder)}"\n{text.rstrip()}\n```\n'
