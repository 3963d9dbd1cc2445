"""Who may ask, and what shows that a request is not made by another page."""

import pytest

from penstock.console.api.session import SESSION_S, Access, is_foreign

ACCESS = Access("secret", "penstock_1")
HERE = {"host": "127.0.0.1:8088"}


def test_a_session_stands_for_the_token_until_it_expires() -> None:
    cookie = ACCESS.session(now=1000)
    assert ACCESS.is_session(cookie, now=1000 + SESSION_S - 1)
    assert not ACCESS.is_session(cookie, now=1000 + SESSION_S)


def test_a_session_does_not_hold_the_token_and_is_of_no_other_one() -> None:
    cookie = ACCESS.session(now=1000)
    assert "secret" not in cookie
    assert not Access("other", "penstock_1").is_session(cookie, now=1000)


@pytest.mark.parametrize("text", ["", ".", "9999999999.", "x.y", "9" * 40 + ".a", "9999999999." + "0" * 64, "\udcff.é"])
def test_what_is_no_session(text: str) -> None:
    assert not ACCESS.is_session(text, now=0)


def test_a_longer_life_cannot_be_written_into_a_session() -> None:
    expires, signature = ACCESS.session(now=1000).split(".")
    assert not ACCESS.is_session(f"{int(expires) + 1}.{signature}", now=1000)


@pytest.mark.parametrize(
    ("headers", "admitted"),
    [
        ({"authorization": "Bearer secret"}, True),
        ({"authorization": "bearer secret"}, True),
        ({"authorization": "Bearer wrong"}, False),
        ({"authorization": "Basic secret"}, False),
        ({"authorization": "secret"}, False),
        ({"authorization": "Bearer "}, False),
        ({}, False),
    ],
)
def test_the_token(headers: dict[str, str], admitted: bool) -> None:
    assert ACCESS.admits(headers, {}) is admitted


def test_a_wrong_token_is_not_made_good_by_a_session() -> None:
    assert not ACCESS.admits({"authorization": "Bearer wrong"}, {"penstock_1": ACCESS.session()})
    assert ACCESS.admits({}, {"penstock_1": ACCESS.session()})
    assert not ACCESS.admits({}, {"penstock_2": ACCESS.session()})


@pytest.mark.parametrize(
    ("headers", "by_cookie", "by_token"),
    [
        ({"sec-fetch-site": "same-origin"}, False, False),
        ({"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:8088"}, False, False),
        ({"sec-fetch-site": "cross-site"}, True, True),
        ({"sec-fetch-site": "same-site"}, True, True),  # another port of this machine is another page
        ({"sec-fetch-site": "none"}, True, False),
        ({"origin": "http://127.0.0.1:8088"}, False, False),
        ({"origin": "http://127.0.0.1:9999"}, True, True),
        ({"origin": "http://evil.example"}, True, True),
        ({"origin": "null"}, True, True),
        ({}, True, False),  # no browser: a token is needed, a cookie shows nothing
    ],
)
def test_where_a_changing_request_comes_from(headers: dict[str, str], by_cookie: bool, by_token: bool) -> None:
    assert is_foreign(HERE | headers, cookie_only=True) is by_cookie
    assert is_foreign(HERE | headers, cookie_only=False) is by_token
