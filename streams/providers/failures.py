"""Turn whatever a call raised into a NodeError; the rules of DESIGN.md section 5 on what may be retried are here."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import aiohttp
import openai

from streams.core.outcome import NodeError
from streams.providers.redact import safe_message
from streams.providers.retry_after import retry_after_ms


def failure_of(error: Exception, provider: str, secrets: Iterable[str]) -> NodeError:
    """Name the kind of `error`; whatever is not known is taken for the provider's fault and may be retried."""
    if isinstance(error, openai.APIStatusError):
        return _status_failure(error, provider, secrets)
    if _timed_out(error):
        return NodeError("timeout", f"provider {provider!r} did not answer in time")
    if isinstance(error, openai.APIConnectionError):
        cause = _root(error)
        text = f"no connection to provider {provider!r}: {type(cause).__name__}: {cause}"
        return NodeError("provider_unavailable", safe_message(text, secrets))
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return NodeError("provider_unavailable", f"provider {provider!r} sent a body that is not JSON")
    text = f"calling provider {provider!r} failed: {type(error).__name__}: {error}"
    refused = type(error) is openai.OpenAIError  # the client itself refuses: no credentials, a bad option
    kind = "provider_refused" if refused else "provider_unavailable"
    return NodeError(kind, safe_message(text, secrets), retryable=not refused)


def headers_of(error: Exception) -> Mapping[str, str]:
    """Return the headers of the answer that `error` stands for, none if there was no answer."""
    return error.response.headers if isinstance(error, openai.APIStatusError) else {}


def may_have_been_billed(error: Exception) -> bool:
    """Say whether the provider may have worked for a call that failed: it was sent, and no status told that it was refused."""
    if isinstance(error, openai.APIStatusError):
        return False
    # The connector's errors come before there is a connection: a wrong certificate must not use up a run's budget.
    unsent = (ConnectionRefusedError, socket.gaierror, aiohttp.ClientConnectorError)
    return not (type(error) is openai.OpenAIError or any(isinstance(cause, unsent) for cause in _chain(error)))


def _status_failure(error: openai.APIStatusError, provider: str, secrets: Iterable[str]) -> NodeError:
    status = error.status_code
    wait = retry_after_ms(error.response.headers, datetime.now(UTC))
    message = safe_message(f"provider {provider!r} answered {status}: {_said(error)}", secrets)
    if status == 429:
        return NodeError("rate_limited", message, retry_after_ms=wait)
    if status in (408, 409) or status >= 500:
        return NodeError("provider_unavailable", message, retry_after_ms=wait)
    return NodeError("provider_refused", message, retryable=False)


def _said(error: openai.APIStatusError) -> str:
    """Return the provider's own words if it has some (OpenAI's shape, then others'), else the body."""
    body: Any = error.body
    if isinstance(body, Mapping):
        inner = body.get("error", body)
        found = inner.get("message") or inner.get("detail") if isinstance(inner, Mapping) else inner
        body = found or body
    return str(body or error.message)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


def _root(error: BaseException) -> BaseException:
    return list(_chain(error))[-1]


def _timed_out(error: Exception) -> bool:
    """Look for a real timeout in the causes: the client calls lost connections timeouts, too (its aiohttp transport)."""
    return any(isinstance(cause, TimeoutError) for cause in _chain(error))
