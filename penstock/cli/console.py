"""`penstock console`: the web page and the API, in a process of their own."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli import logs, output, target
from penstock.cli.errors import BadUsage, say
from penstock.cli.options import AsJson, Bootstrap

if TYPE_CHECKING:
    import socket

    from penstock.console.serve import Where

PORT = 8088
PREFERRED = 20
"""Ports that are tried when none is asked for and the first is taken."""


def console(
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help=f"Default: {PORT}, or the next free one; 0: any.", show_default=False),
    ] = None,
    host: Annotated[
        str, typer.Option(help="The address to listen at; others than this machine's need --allow-host.")
    ] = "127.0.0.1",
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A host name under which the console is called, too.")
    ] = None,
    public_read: Annotated[
        bool, typer.Option("--public-read", help="Let anybody read; changing needs the token.")
    ] = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Serve the web page and the API. The token is printed, or taken from PENSTOCK_CONSOLE_TOKEN.

    What it shows is folded from the topics into a file of the home, which may be deleted at any time.
    """
    import asyncio

    from penstock import settings
    from penstock.console.api.session import Access
    from penstock.console.serve import Where, serve, url_of

    known = settings.load()
    logs.worker()
    config = target.config_of(bootstrap)
    where = Where(host, PORT if port is None else port, frozenset(allow_host or ()))
    listener = _listener(where, any_near=port is None)
    url = url_of(listener)
    own = known.console_token
    token = secrets.token_urlsafe(32) if own is None else own.get_secret_value()
    say(f"console: {url}")
    say(f"token: {token}" if own is None else "token: as PENSTOCK_CONSOLE_TOKEN says")
    if as_json:
        output.line({"event": "ready", "url": url, "port": listener.getsockname()[1]})
    access = Access(token, f"penstock_{listener.getsockname()[1]}", public_read)
    asyncio.run(serve(config, known.home.absolute(), listener, where, access))
    say("stopped")


def _listener(where: Where, *, any_near: bool) -> socket.socket:
    import errno
    from dataclasses import replace

    from penstock.console.serve import listening

    ports = range(where.port, where.port + PREFERRED) if any_near else [where.port]
    for port in ports:
        try:
            return listening(replace(where, port=port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or port == ports[-1]:
                raise BadUsage(f"cannot listen at {where.host}:{port}: {error.strerror}") from None
    raise AssertionError("the last port is returned or raised for")
