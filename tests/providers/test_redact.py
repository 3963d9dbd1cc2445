"""Secrets are masked, words are not."""

from __future__ import annotations

import pytest

from streams.providers.redact import MESSAGE_CHARS, cap_start, redact, safe_message


@pytest.mark.parametrize("name", ["ACME_KEY", "my_token", "DB_SECRET", "DBPASSWORD", "PASSWORD_OF_DB"])
def test_values_of_secret_variables_are_masked(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "hunter2hunter2")
    assert redact("it was hunter2hunter2!") == "it was [redacted]!"


def test_short_values_and_other_variables_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_KEY", "dev")
    monkeypatch.setenv("ACME_REGION", "eu-central-1")
    assert redact("devices in eu-central-1") == "devices in eu-central-1"


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdefgh12345678",
        "key sk-proj-abcdefgh1234",
        "https://user:swordfish@host/v1 swordfish".replace(" swordfish", ""),
    ],
)
def test_what_looks_like_a_key_is_masked(text: str) -> None:
    masked = redact(text)
    assert "[redacted]" in masked
    assert "abcdefgh" not in masked
    assert "swordfish" not in masked


def test_a_secret_within_another_is_masked_whole() -> None:
    assert redact("abcdefgh12345678", ["abcdefgh", "abcdefgh12345678"]) == "[redacted]"


def test_a_cut_never_saves_half_a_key() -> None:
    secret = "s3cr3t" * 10
    text = "x" * (MESSAGE_CHARS - 20) + secret
    assert "s3cr3t" not in safe_message(text, [secret])


def test_caps() -> None:
    assert len(safe_message("y" * 1_000_000)) < MESSAGE_CHARS + 50
    assert cap_start("abcdefgh", 6) == "...fgh"
