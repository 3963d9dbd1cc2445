from __future__ import annotations

import pytest

from tests.topology.golden import WORKFLOWS, golden_files


@pytest.mark.parametrize("name", WORKFLOWS)
def test_the_plan_is_the_one_checked_in(name: str) -> None:
    for path, text in golden_files(name).items():
        assert path.read_text() == text, "on purpose? python -m tests.topology.golden"
