"""Files of the repository and their places on the site: a link that works on disk and on GitHub works on the site, too."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]

TOP = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/patterns/README.md": "patterns.md",
}
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")
FENCE = re.compile(r"^( *)(```+|~~~+)", re.MULTILINE)


def outside() -> dict[str, str]:
    """Return the pages that are not in docs/, by their path: the top's, and one for each example workflow."""
    examples = {
        f"workflows/{folder.name}/README.md": f"examples/{folder.name}.md"
        for folder in sorted((ROOT / "workflows").iterdir())
        if (folder / "README.md").is_file()
    }
    return TOP | examples


def rewrite(text: str, page: str, at: str) -> tuple[str, set[str]]:
    """Put the links of the repository's `page` right for its place `at` on the site; return the files that must be there beside the pages."""
    files: set[str] = set()

    def right(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), found[1]))
        place = place_of(target)
        if not place.endswith(".md"):
            files.add(target)
        return posixpath.relpath(place, posixpath.dirname(at) or ".") + (found[2] or "")

    pieces = [LINK.sub(right, part) if prose else part for prose, part in split(text)]
    return "".join(pieces), files


def place_of(target: str) -> str:
    """Return where the repository's file or folder is on the site; files that are no page keep their path below `files/`."""
    path, pages = PurePosixPath(target), outside()
    if target == "docs/adr":
        return "adr/index.md"
    if f"{target}/README.md" in pages:
        return pages[f"{target}/README.md"]
    if target in pages:
        return pages[target]
    return str(path.relative_to("docs")) if path.parts[0] == "docs" else f"files/{target}"


def split(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the parts of a page with whether they are prose; the others are code blocks."""
    inside, start = None, 0
    for fence in FENCE.finditer(text):
        if inside is None:
            yield True, text[start : fence.start()]
            inside, start = fence[2], fence.start()
        elif fence[2].startswith(inside):
            yield False, text[start : fence.end()]
            inside, start = None, fence.end()
    yield inside is None, text[start:]
