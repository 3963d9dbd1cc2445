"""What models and people wrote is text, whatever it looks like; who has no token changes nothing."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Open
from tests.browser.desk import TOKEN, Desk

pytestmark = pytest.mark.kafka

SCRIPT = "<script>document.title='taken'</script>"


def test_a_models_answer_is_shown_as_text(desk: Desk, open_page: Open) -> None:
    desk.publish("hostile", "hostile <img src=x onerror=alert(1)>")
    page = open_page("#/workflows/help-desk?q=hostile")
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.get_by_role("link", name="hostile").click()
    expect(page.locator('.dag [data-node="sign"]')).to_have_attribute("data-state", "waiting")
    page.locator('.dag [data-node="answer"]').click()
    shown = page.get_by_role("region", name="Output", exact=True)
    expect(shown).to_contain_text(SCRIPT)
    expect(shown).to_contain_text("see [the docs](javascript:alert(1)) or https://evil.example/")
    page.get_by_role("tab", name="Raw response").click()
    expect(page.get_by_role("tabpanel").locator("pre").first).to_contain_text(SCRIPT)
    page.goto("/#/reviews/help-desk/hostile/sign")
    expect(page.locator("main pre").first).to_be_visible()
    for place in (
        "pre a",
        "pre img",
        "pre script",
        "main img",
        "main script",
        'a[href*="evil"]',
        'a[href^="javascript"]',
    ):
        expect(page.locator(place)).to_have_count(0)
    assert "taken" not in page.title()
    assert dialogs == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/workflows/help-desk/runs", {"input": {"question": "Who?", "city": "Delft"}}),
        ("/v1/runs/hostile/cancel", {}),
        ("/v1/dead-letters/redrive", {"workflow": "help-desk"}),
        ("/v1/reviews/hostile/sign", {"decision": "approve", "reviewer": "eve"}),
    ],
)
def test_without_the_token_nothing_is_changed(desk: Desk, browser: Browser, path: str, body: object) -> None:
    context = browser.new_context(base_url=desk.url)
    try:
        assert context.request.post(path, data=body).status in (401, 403)
        wrong = {"Authorization": "Bearer wrong"}
        assert context.request.post(path, data=body, headers=wrong).status == 401
        assert context.request.post("/v1/session", data={"token": TOKEN}).status == 204
        foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        assert context.request.post(path, data=body, headers=foreign).status == 403
    finally:
        context.close()


def test_the_cookie_is_out_of_reach_of_scripts(open_page: Open) -> None:
    page = open_page("#/workflows")
    expect(page.get_by_role("heading", name="Workflows")).to_be_visible()
    assert page.evaluate("document.cookie") == ""
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
