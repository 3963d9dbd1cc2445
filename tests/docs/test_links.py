"""Links between pages lead somewhere, headings included; files that a page names are there. The site's own are checked by `make docs`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from docsite import links, reference
from tests.docs.pages import ROOT, name_of, pages

EVERY = [*pages(), *sorted(ROOT.glob("docs/adr/*.md"))]
OURS = re.compile(
    r"^(docs|streams|penstock|topology|benchmarks|tests|workflows|docsite)/[\w./*<>-]+\.(md|py|json|yaml|sql)$"
)
GENERATED = {f"docs/{place}" for place in reference.PAGES}
"""Pages that are made when the site is built."""


def tokens(page: Path) -> list[Token]:
    parsed = MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
    return [inner for token in parsed for inner in (token, *(token.children or ()))]


def anchors(page: Path) -> set[str]:
    found = tokens(page)
    return {slug(after.content) for token, after in pairwise(found) if token.type == "heading_open"}


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def hrefs(page: Path) -> Iterator[str]:
    for token in tokens(page):
        if token.type == "link_open" and not re.match(r"\w+:", href := str(token.attrs["href"])):
            yield href


@pytest.mark.parametrize("page", EVERY, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for href in hrefs(page):
        path, _, anchor = href.partition("#")
        target = (page.parent / path).resolve() if path else page
        if str(target.relative_to(ROOT)) in GENERATED:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(href)
    assert not broken


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_files_that_are_named_are_there(page: Path) -> None:
    named = [token.content for token in tokens(page) if token.type == "code_inline" and OURS.match(token.content)]
    gone = [
        name for name in named if "<" not in name and not list(ROOT.glob(name)) and not (page.parent / name).exists()
    ]
    assert not gone


def test_a_link_is_put_right_for_the_site() -> None:
    text = "[a](../workflows/loan-review) [b](handlers.md#x) [c](https://x.example) [d](../LICENSE)\n```\n[e](no.md)\n```\n"
    put, files = links.rewrite(text, "docs/reviews.md", "reviews.md")
    assert (
        put
        == "[a](examples/loan-review.md) [b](handlers.md#x) [c](https://x.example) [d](files/LICENSE)\n```\n[e](no.md)\n```\n"
    )
    assert files == {"LICENSE"}
