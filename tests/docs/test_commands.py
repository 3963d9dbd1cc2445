"""Every command of every page is run, in order, in a folder like a clone of the repository; what cannot be is parsed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import Block, blocks, commands_of, name_of, pages
from tests.docs.shell import Shell


def shells(page: Path) -> list[Block]:
    """Return the blocks of a page that are run, and those that are files which the commands need."""
    return [block for block in blocks(page) if (block.not_run is None and any(block.commands())) or block.title]


WITH_COMMANDS = [page for page in pages() if any(any(block.commands()) for block in shells(page))]


@pytest.mark.kafka
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_of)
def test_a_pages_commands_run(page: Path, request: pytest.FixtureRequest) -> None:
    own = "<!-- own kafka -->" in page.read_text(encoding="utf-8")
    shell: Shell = request.getfixturevalue("own_kafka" if own else "shared_kafka")
    for block in shells(page):
        if block.title:
            file = shell.folder / block.title
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        for command in commands_of(block.first, block.line, prompt=False):
            shell.run(command)
        if block.not_run is None:
            for command in block.commands():
                shell.run(command)
