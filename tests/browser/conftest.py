"""Fixtures: what stands behind the page, one browser, and pages that mind what is said on their console."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.desk import TOKEN, Desk

SCREENSHOTS = Path(__file__).parents[2] / ".penstock" / "screenshots"
NAMES = ("chromium", "chromium-browser", "google-chrome")
SHOW = {"viewport": {"width": 1360, "height": 900}, "locale": "en-GB", "timezone_id": "UTC"}

expect.set_options(timeout=45_000)


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory, bootstrap: str) -> Iterator[Desk]:
    """A provider, a worker and a console, on the session's Kafka."""
    running = Desk(tmp_path_factory.mktemp("help-desk"), bootstrap)
    try:
        running.open()
        yield running
    finally:
        running.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The chromium of this machine: none is downloaded."""
    found = os.environ.get("PENSTOCK_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    assert found, "there is no chromium here: `make test-browser` says how to get one"
    # Chromium's own sandbox does not start for root; what it loads here is our page alone.
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield started
        started.close()


class Said(list[str]):
    """What a page said on its console that nobody expected."""

    def __init__(self) -> None:
        super().__init__()
        self.expected: tuple[str, ...] = ()

    def hear(self, message: ConsoleMessage) -> None:
        """Keep errors and warnings."""
        if message.type in ("error", "warning") and not any(known in message.text for known in self.expected):
            self.append(f"{message.type}: {message.text}")


@pytest.fixture
def said() -> Said:
    """What the pages of a test said on their consoles; a test may name what it expects."""
    return Said()


Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, desk: Desk, said: Said) -> Iterator[Open]:
    """Open pages of the console, signed in unless told otherwise; at the end nothing may have been said on their consoles."""
    contexts: list[BrowserContext] = []

    def opened(place: str = "", *, signed_in: bool = True, **show: object) -> Page:
        context = browser.new_context(base_url=desk.url, **{**SHOW, **show})  # type: ignore[arg-type]
        contexts.append(context)
        context.on("console", said.hear)
        context.on("weberror", lambda error: said.append(f"uncaught: {error.error}"))
        if signed_in:
            answer = context.request.post("/v1/session", data={"token": TOKEN})
            assert answer.status == 204, answer.text()
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(f"/{place}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []


@pytest.fixture
def keep() -> Callable[[Page, str], None]:
    """Keep a picture of a page, for people to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)

    def take(page: Page, name: str) -> None:
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    return take
