"""Tokens for SASL OAUTHBEARER: from a file, from a command, or from an OAuth 2 token endpoint with client credentials.

aiokafka asks for one at each connection; a token that has not expired serves again.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiokafka import conn
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import AuthenticationFailedError

from penstock.addresses import has_user, is_http
from penstock.secret_files import SecretProblem, text_of
from penstock.settings import Settings, SettingsError, named

WITHIN_S = 15.0
EARLY_S = 30.0
"""A token is not used in its last seconds: it would expire on the way."""


def token_provider(settings: Settings) -> AbstractTokenProvider:
    """Return where tokens come from; from now on a refused one is an error of this process's connections."""
    conn.OAuthAuthenticator = _Checked
    if settings.sasl_oauth_token_file is not None:
        return _FromFile(settings.sasl_oauth_token_file)
    if settings.sasl_oauth_token_command is not None:
        return _FromCommand(_words(settings, settings.sasl_oauth_token_command))
    return _FromEndpoint(_endpoint(settings), settings)


class _Checked(conn.OAuthAuthenticator):  # type: ignore[misc]
    """Reads the answer: a refusal is a message of its own (RFC 7628, 3.2.2), which aiokafka takes for a success, and then hears nothing."""

    async def step(self, payload: bytes | None) -> tuple[str, bool] | None:
        """Send the token; raise if what comes back is a refusal."""
        if payload:
            raise AuthenticationFailedError(f"the token is not accepted: {payload.decode(errors='replace')[:200]}")
        return await super().step(payload)  # type: ignore[no-any-return]


def _words(settings: Settings, command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise SettingsError(f"{named(settings, 'sasl_oauth_token_command')}: {error}") from None


def _endpoint(settings: Settings) -> str:
    url = settings.sasl_oauth_token_endpoint_url or ""
    where = named(settings, "sasl_oauth_token_endpoint_url")
    if not is_http(url):
        raise SettingsError(f"{where}: not an http(s) address")
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise SettingsError(f"{where}: http would send the client secret unencrypted; use https")
    if has_user(url):
        raise SettingsError(f"{where}: holds a user or password; they go into sasl_oauth_client_id and its secret")
    return url


class _FromFile(AbstractTokenProvider):  # type: ignore[misc]
    """A file that somebody keeps fresh: a projected service account token, say."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def token(self) -> str:
        try:
            return text_of("sasl_oauth_token_file", self._path).strip()
        except SecretProblem as problem:
            raise AuthenticationFailedError(str(problem)) from None


class _FromCommand(AbstractTokenProvider):  # type: ignore[misc]
    """A program that prints a token."""

    def __init__(self, words: list[str]) -> None:
        self._words = words

    async def token(self) -> str:
        where = f"sasl_oauth_token_command: {self._words[0]}"
        try:
            program = await asyncio.create_subprocess_exec(
                *self._words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, env=os.environ.copy()
            )
        except OSError as error:
            raise AuthenticationFailedError(f"{where}: {error.strerror}") from None
        try:
            async with asyncio.timeout(WITHIN_S):
                told, _ = await program.communicate()
        except TimeoutError:
            program.kill()
            await program.wait()
            raise AuthenticationFailedError(f"{where}: no token within {WITHIN_S:.0f} s") from None
        token = told.decode(errors="replace").strip()
        if program.returncode != 0 or not token:
            raise AuthenticationFailedError(
                f"{where}: exit code {program.returncode}{'' if token else ', and no token'}"
            )
        return token


class _FromEndpoint(AbstractTokenProvider):  # type: ignore[misc]
    """The client credentials grant (RFC 6749, 4.4)."""

    def __init__(self, url: str, settings: Settings) -> None:
        secret = settings.sasl_oauth_client_secret
        self._url = url
        self._client = (settings.sasl_oauth_client_id or "", secret.get_secret_value() if secret else "")
        self._form = {"grant_type": "client_credentials"}
        if settings.sasl_oauth_scope is not None:
            self._form["scope"] = settings.sasl_oauth_scope
        self._token, self._until = "", 0.0

    async def token(self) -> str:
        if time.monotonic() >= self._until:
            told = await self._ask()
            self._token = str(told["access_token"])
            self._until = time.monotonic() + max(0.0, float(told.get("expires_in", 0)) - EARLY_S)
        return self._token

    async def _ask(self) -> dict[str, Any]:
        import httpx2

        where = f"sasl_oauth_token_endpoint_url: {self._url}"
        try:
            async with httpx2.AsyncClient(timeout=WITHIN_S) as client:
                answer = await client.post(self._url, data=self._form, auth=self._client)
        except httpx2.HTTPError as error:
            raise AuthenticationFailedError(f"{where}: {type(error).__name__}: {error}") from None
        if answer.status_code in (400, 401, 403):
            raise AuthenticationFailedError(
                f"{where}: status {answer.status_code}: check sasl_oauth_client_id, sasl_oauth_client_secret and sasl_oauth_scope"
            )
        try:
            told = answer.json()
            float(told.get("expires_in", 0))
            return {**told, "access_token": told["access_token"]}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise AuthenticationFailedError(
                f"{where}: status {answer.status_code}, and no token in the answer"
            ) from None
