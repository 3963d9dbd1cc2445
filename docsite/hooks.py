"""What mkdocs calls: adds the pages that are not in docs/, and puts links right. Run by `make docs`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from docsite import examples, links, reference

REMOTE = re.compile(r"<(script|img|iframe|link)\b[^>]*(src|href)=.?(https?:)?//[^>]*>")


def on_config(config: Any) -> None:
    """Give the menu the decisions, the examples, and pages of docs/ that nobody gave a place."""
    docs = links.ROOT / "docs"
    named = set(_leaves(config.nav))
    config.nav += [
        {"Examples": [place for place in links.outside().values() if place.startswith("examples/")]},
        {"Decisions": ["adr/index.md", *sorted(f"adr/{file.name}" for file in (docs / "adr").glob("[0-9]*.md"))]},
    ]
    rest = sorted(file.name for file in docs.glob("*.md") if file.name not in named)
    if rest:
        config.nav += [{"More": rest}]


def on_files(files: Files, *, config: Any) -> Files:
    """Add the generated pages, those of the repository's top, the examples, and the files that any page links to."""
    for place, text in reference.PAGES.items():
        files.append(File.generated(config, place, content=text()))
    wanted: set[str] = set()
    for path, place in links.outside().items():
        source = links.ROOT / path
        text = examples.page(source.parent) if path.startswith("workflows/") else source.read_text(encoding="utf-8")
        put, beside = links.rewrite(text, path, place)
        wanted |= beside
        files.append(File.generated(config, place, content=put))
    for file in files.documentation_pages():
        if file.abs_src_path is not None:
            wanted |= links.rewrite(file.content_string, f"docs/{file.src_uri}", file.src_uri)[1]
    for path in sorted(wanted):
        if not path.startswith("docs/") and (links.ROOT / path).is_file():
            files.append(File.generated(config, links.place_of(path), abs_src_path=str(links.ROOT / path)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Put the links of a page of docs/ right; generated ones are already."""
    if page.file.generated_by is not None:
        return markdown
    return links.rewrite(markdown, f"docs/{page.file.src_uri}", page.file.src_uri)[0]


def on_post_page(output: str, *, page: Any, **_: Any) -> str:
    """Let no page through that would load something from elsewhere."""
    if found := REMOTE.search(output):
        raise PluginError(f"{page.file.src_uri} loads from elsewhere: {found[0]}")
    return output


def _leaves(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for entry in nav.values() if isinstance(nav, dict) else nav:
            yield from _leaves(entry)
