"""Dead letters: found by cause, edited, sent back, and gone on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.desk import Desk

pytestmark = pytest.mark.kafka


def test_a_dead_letter_is_edited_and_redriven(desk: Desk, open_page: Open, keep: Callable[[Page, str], None]) -> None:
    desk.publish("undeliverable", "Where is my parcel?", "Nowhere")
    page = open_page("#/dead-letters?run_id=undeliverable")
    page.evaluate("window.sameLife = true")
    expect(page.locator("main .panel").first).to_contain_text("there is no city called 'Nowhere'")
    keep(page, "dead-letters")
    page.locator("main").get_by_role("link", name="Dead letter ").click()
    box = page.get_by_label("What the node sees")
    box.fill(box.input_value().replace("Nowhere", "Delft"))
    expect(page.get_by_role("region", name="The edit that is sent")).to_have_text(
        '{\n  "input": {\n    "city": "Delft"\n  }\n}'
    )
    keep(page, "dead-letter")
    page.get_by_role("button", name="Redrive").click()
    expect(page.locator("main .head .state")).to_have_text("redriven")
    page.get_by_role("link", name="The run").click()
    expect(page.locator('.dag [data-node="address"]')).to_have_attribute("data-state", "success")
    expect(page.locator('.dag [data-node="sign"]')).to_have_attribute("data-state", "waiting")
    assert page.evaluate("window.sameLife") is True


def test_all_of_a_cause_are_redriven(desk: Desk, open_page: Open) -> None:
    for index in range(2):
        desk.publish(f"lost-{index}", "Still nowhere?", "Nowhere")
    page = open_page("#/dead-letters")
    page.locator("main tbody").first.get_by_role("link").first.click()
    expect(page.locator("main tr", has_text="lost-")).to_have_count(2)
    page.get_by_role("button", name="Redrive all").click()
    page.get_by_role("button", name="Redrive", exact=True).click()
    expect(page.locator(".toasts")).to_contain_text("redriven")
