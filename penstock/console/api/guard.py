"""The guard in front of everything: the host asked for, where the request comes from, who asks, how much is sent; headers on every answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penstock.console.api.problems import Refused, answer_to
from penstock.console.api.session import Access, is_foreign
from streams.engine.config import MAX_RECORD_BYTES

MAX_BODY = MAX_RECORD_BYTES
READING = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN = frozenset({"/v1/session"})
"""Where the token is handed in."""

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """Lets pass what may, as ASGI middleware. `hosts` are the names under which the console is called (against DNS rebinding)."""

    def __init__(self, app: ASGIApp, access: Access, hosts: frozenset[str]) -> None:
        self._app = app
        self._access = access
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # no websockets here
        answer = _with_headers(send, private=scope["path"].startswith("/v1"))
        try:
            self._check(scope)
            await self._app(scope, _limited(receive), answer)
        except Refused as why:
            response: Response = answer_to(why)
            await response(scope, receive, answer)

    def _check(self, scope: Scope) -> None:
        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        if _name_in(headers.get("host", "")) not in self._hosts:
            raise Refused(
                403, "this host name is not the console's: call it by its address, or start it with --allow-host"
            )
        if not path.startswith("/v1"):
            return
        if int(length if (length := headers.get("content-length", "0")).isdigit() else 0) > MAX_BODY:
            raise Refused(413, f"the body is too large: {MAX_BODY} bytes are allowed")
        reading = method in READING
        if not reading and is_foreign(headers, "authorization" not in headers and path not in OPEN):
            raise Refused(
                403, "a request that changes something must come from the console's own page, or from no page at all"
            )
        if path in OPEN or (reading and self._access.public_read):
            return
        if not self._access.admits(headers, cookie_parser(headers.get("cookie", ""))):
            raise Refused(
                401,
                "the token is missing or wrong: send `Authorization: Bearer TOKEN` with the one that the console printed at its start",
                {"WWW-Authenticate": 'Bearer realm="penstock"'},
            )


def _name_in(host: str) -> str:
    """Return the name in a Host header, without the port."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()


def _with_headers(send: Send, *, private: bool) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store" if private else "no-cache")
        await send(message)

    return answer


def _limited(receive: Receive) -> Callable[[], Awaitable[Message]]:
    """Count what comes, whatever the request says of its length."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MAX_BODY:
            raise Refused(413, f"the body is too large: {MAX_BODY} bytes are allowed")
        return message

    return counted
