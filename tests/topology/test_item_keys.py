"""`idempotency_key` on a `for_each` node: it may name the item and its place, and what is above the node."""

from __future__ import annotations

from pathlib import Path

import pytest

from topology.load import Loaded, load_workflow

WORKFLOW = """workflow:
  id: keyed
  nodes:
    - {id: split, type: function, handler: nodes.py:split}
    - {id: pay, type: function, handler: nodes.py:pay, dependencies: [split], for_each: split.items, idempotency_key: "KEY"}
"""


def loaded(folder: Path, key: str) -> Loaded:
    (folder / "nodes.py").write_text("def split(i, c): return {}\ndef pay(i, c): return {}\n")
    (folder / "workflow.yaml").write_text(WORKFLOW.replace("KEY", key))
    return load_workflow(folder / "workflow.yaml")


@pytest.mark.parametrize("key", ["${item.id}", "pay-${index}-${input.order}", "${split.batch}/${item}"])
def test_a_key_may_name_the_item(tmp_path: Path, key: str) -> None:
    found = loaded(tmp_path, key)
    assert not found.errors
    node = found.require_plan().node("pay")
    assert node.lease is not None
    assert {table.name for table in found.require_plan().tables} >= {"pay.items", "pay.leases"}
    assert "item" not in node.reads


def test_a_key_may_not_name_what_is_nowhere(tmp_path: Path) -> None:
    (error,) = loaded(tmp_path, "${elsewhere.id}").errors
    assert error.line == 5
    assert "elsewhere" in error.message


def test_other_expressions_know_no_item(tmp_path: Path) -> None:
    file = tmp_path / "workflow.yaml"
    loaded(tmp_path, "k-${item}")
    file.write_text(file.read_text().replace("for_each: split.items", 'for_each: split.items, when: "item == 1"'))
    (error,) = load_workflow(file).errors
    assert "item" in error.message
