"""For everybody: axe finds nothing serious in dark and light, the keyboard reaches all, a phone is wide enough."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.desk import Desk

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

PLACES = {
    "workflows": "#/workflows",
    "workflow": "#/workflows/help-desk",
    "start": "#/workflows/help-desk/start",
    "runs": "#/runs",
    "run": "#/workflows/help-desk/runs/access",
    "run-attempts": "#/workflows/help-desk/runs/access?node=grade&tab=attempts",
    "run-failed": "#/workflows/help-desk/runs/access-failed",
    "dead-letters": "#/dead-letters?workflow=help-desk&node=address&kind=handler",
    "reviews": "#/reviews",
    "review": "#/reviews/help-desk/access/sign",
    "replays": "#/replays",
    "nowhere": "#/no/such/place",
}
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def seen(desk: Desk) -> None:
    """A run that waits at its gate, and one that failed."""
    desk.publish("access", "Who can see this?")
    desk.publish("access-failed", "Who can see that?", "Nowhere")


def settled(page: Page) -> None:
    """Wait until the view is drawn with its data, and nothing moves: a colour in motion has no contrast to measure."""
    expect(page.locator("main h1, main .empty").first).to_be_visible()
    expect(page.locator('.live[data-live="yes"]')).to_be_visible()


def serious(page: Page) -> list[str]:
    """Return what axe finds serious, with where it is."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['help']}: {spot['target']} {spot['failureSummary']}"
        for one in found
        if one["impact"] in SERIOUS
        for spot in one["nodes"]
    ]


@pytest.mark.usefixtures("seen")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_page: Open, keep: Callable[[Page, str], None], scheme: str) -> None:
    page = open_page("#/workflows/help-desk/runs/access", color_scheme=scheme, reduced_motion="reduce")
    expect(page.locator('.dag [data-node="sign"]')).to_have_attribute("data-state", "waiting")
    found = {}
    for name, place in PLACES.items():
        page.goto(f"/{place}")
        settled(page)
        found[name] = serious(page)
        keep(page, f"{name}-{scheme}")
    page.get_by_role("button", name="Keys").click()
    found["help"] = serious(page)
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    found["sign-in"] = serious(page)
    assert {name: list_ for name, list_ in found.items() if list_} == {}


@pytest.mark.usefixtures("seen")
def test_a_phone_is_wide_enough(open_page: Open, keep: Callable[[Page, str], None]) -> None:
    page = open_page("#/workflows", viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    for name, place in PLACES.items():
        page.goto(f"/{place}")
        settled(page)
        keep(page, f"{name}-phone")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name


def focused(page: Page) -> str:
    """Return the accessible text of what has the focus."""
    return page.evaluate(
        "(document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent).trim()"
    )


@pytest.mark.usefixtures("seen")
def test_the_keyboard_reaches_everything(open_page: Open) -> None:
    page = open_page("#/workflows")
    expect(page.get_by_role("link", name="help-desk")).to_be_visible()
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"

    page.keyboard.press("j")
    assert focused(page) == "help-desk"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none", "what has the focus must be seen"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="help-desk")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("access-failed")
    expect(page.locator("main tbody tr")).to_have_count(1)
    page.keyboard.press("Tab")
    page.evaluate("document.getElementById('main').focus()")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="access-failed")).to_be_visible()

    page.locator('.dag [data-node="deliver"]').focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Node deliver")).to_be_visible()
    page.get_by_role("tab", name="Output").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Inputs")).to_have_attribute("aria-selected", "true")
    assert focused(page) == "Inputs"

    page.keyboard.press("g")
    page.keyboard.press("v")
    expect(page.get_by_role("heading", name="Reviews")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    before = page.evaluate("getComputedStyle(document.body).color")
    page.keyboard.press("t")
    assert page.evaluate("getComputedStyle(document.body).color") != before
