"""The main path: sign in, start a run, watch it, approve the gate, see the result, all without a reload."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Open, Said
from tests.browser.desk import TOKEN, Desk

pytestmark = pytest.mark.kafka

Keep = Callable[[Page, str], None]


def node(page: Page, name: str) -> Locator:
    """Return a node of the drawn DAG."""
    return page.locator(f'.dag [data-node="{name}"]')


def test_a_run_from_its_start_over_the_gate_to_its_result(open_page: Open, said: Said, keep: Keep) -> None:
    said.expected = ("401 (Unauthorized)",)
    page = open_page(signed_in=False)
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not the token")
    keep(page, "sign-in")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()

    page.get_by_role("link", name="help-desk").click()
    page.get_by_role("link", name="Start a run").click()
    # A reload would forget this: everything below happens in one life of the page.
    page.evaluate("window.sameLife = true")
    page.get_by_label("Input (JSON)").fill('{"question": "How high is the dam?", "city": "Delft"}')
    keep(page, "start")
    page.get_by_role("button", name="Start the run").click()

    expect(node(page, "answer")).to_have_attribute("data-state", "running")
    text = page.locator('[data-stream="answer"]')
    expect(text).not_to_be_empty()
    first = text.inner_text()
    expect(text).to_have_text(re.compile(re.escape(first) + ".{40,}", re.DOTALL))
    keep(page, "run-streaming")
    expect(node(page, "answer")).to_have_attribute("data-state", "success")
    expect(node(page, "sign")).to_have_attribute("data-state", "waiting")
    expect(node(page, "deliver")).to_have_attribute("data-state", "pending")
    keep(page, "run-waiting")

    page.get_by_role("link", name="Decide the review").first.click()
    expect(page.get_by_role("region", name="grade")).to_contain_text('"score": 3')
    page.get_by_role("spinbutton", name="score").fill("5")
    page.get_by_label("Comment").fill("better than it looks")
    page.get_by_label("Reviewer").fill("ada")
    keep(page, "review")
    page.get_by_role("button", name="Approve").click()

    expect(node(page, "deliver")).to_have_attribute("data-state", "success")
    expect(page.locator("main .head .state")).to_have_text("success")
    expect(page.get_by_role("region", name="Outputs")).to_contain_text('"signed_by": "ada"')
    expect(page.get_by_role("region", name="Outputs")).to_contain_text('"score": 5')
    assert page.evaluate("window.sameLife") is True
    keep(page, "run-success")


def test_what_a_run_tells_of_its_nodes(desk: Desk, open_page: Open, keep: Keep) -> None:
    desk.publish("told", "What does a turbine cost?")
    page = open_page("#/workflows/help-desk?q=told")
    page.get_by_role("link", name="told", exact=True).click()
    expect(node(page, "sign")).to_have_attribute("data-state", "waiting")

    node(page, "grade").click()
    page.get_by_role("tab", name="Attempts (2)").click()
    expect(page.locator(".call").first).to_contain_text("failed")
    expect(page.locator(".call").last).to_contain_text("success")
    page.get_by_role("tab", name="Prompt").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("Grade this answer to What does a turbine cost? from 1 to 5")
    page.get_by_role("tab", name="Raw response").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("Graded. <b>Bold?</b>")
    page.get_by_role("tab", name="Inputs").click()
    expect(page.get_by_role("tabpanel")).to_contain_text('"question": "What does a turbine cost?"')
    bars = page.locator('.gantt [data-node="grade"] .bar')
    expect(bars).to_have_count(2)
    keep(page, "run-node")


def test_a_run_is_cancelled(desk: Desk, open_page: Open) -> None:
    desk.publish("to-cancel", "Is this worth an answer?")
    page = open_page("#/runs?q=to-cancel")
    page.get_by_role("link", name="to-cancel").click()
    page.get_by_role("button", name="Cancel run").click()
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.locator("main .head .state")).to_have_text("cancelled")


def test_an_input_that_does_not_fit_is_explained(open_page: Open, said: Said) -> None:
    said.expected = ("422 (Unprocessable",)
    page = open_page("#/workflows/help-desk/start")
    box = page.get_by_label("Input (JSON)")
    expect(box).to_have_value(re.compile('"question"'))
    box.fill('{"question": "Why?",\n}')
    expect(page.get_by_text("line 2")).to_be_visible()
    box.fill('{"question": "Why?"}')
    page.get_by_role("button", name="Start the run").click()
    expect(page.get_by_role("alert")).to_contain_text('"city" is a required property')


def test_runs_are_found_by_what_is_asked(desk: Desk, open_page: Open, keep: Keep) -> None:
    desk.publish("found-by-text", "Where do the eels go?")
    desk.publish("not-found", "Nothing of that", "Nowhere")
    page = open_page("#/runs")
    page.get_by_role("searchbox", name="Text").fill("eels")
    rows = page.locator("main tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("found-by-text")
    expect(page).to_have_url(re.compile("q=eels"))
    page.get_by_role("button", name="Clear filters").click()
    expect(page.get_by_role("searchbox", name="Text")).to_have_value("")
    page.get_by_label("Status").select_option("failed")
    expect(rows.filter(has_text="not-found")).to_have_count(1)
    expect(rows.filter(has_text="found-by-text")).to_have_count(0)
    page.get_by_label("Workflow").select_option("help-desk")
    page.get_by_label("Node", exact=True).select_option("address")
    page.get_by_label("Node is").select_option("failed")
    expect(rows.filter(has_text="not-found")).to_have_count(1)
    keep(page, "runs")
