"""Tokens for OAUTHBEARER, from a real file, a real program and a real HTTP server."""

from __future__ import annotations

import base64
import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import AuthenticationFailedError

from penstock.security import client_arguments
from penstock.settings import Settings, SettingsError

Read = Callable[..., Settings]

BEARER = 'security_protocol = "SASL_SSL"\nsasl_mechanism = "OAUTHBEARER"\n'


class TokenServer(ThreadingHTTPServer):
    """Answers with `status` and `told`, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.status, self.told = 200, b""
        self.asked: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/token"


class _Answer(BaseHTTPRequestHandler):
    server: TokenServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append((self.headers["Authorization"], body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.told)))
        self.end_headers()
        self.wfile.write(self.server.told)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[TokenServer]:
    with TokenServer() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def provider(settings: Settings) -> Any:
    return client_arguments(settings)["sasl_oauth_token_provider"]


async def test_from_a_file_that_changes(settings_of: Read, tmp_path: Path) -> None:
    file = tmp_path / "token"
    tokens = provider(settings_of(f'{BEARER}sasl_oauth_token_file = "{file}"'))
    with pytest.raises(AuthenticationFailedError, match=r"sasl_oauth_token_file: .*No such file"):
        await tokens.token()
    for text in ("one", "two"):
        file.write_text(f"{text}\n")
        assert await tokens.token() == text


async def test_from_a_command(settings_of: Read) -> None:
    def command(code: str) -> str:
        return f"""{BEARER}sasl_oauth_token_command = '''{sys.executable} -c "{code}"'''"""

    assert await provider(settings_of(command("print('tok en')"))).token() == "tok en"
    with pytest.raises(AuthenticationFailedError, match=r"sasl_oauth_token_command: .*exit code 3, and no token"):
        await provider(settings_of(command("exit(3)"))).token()
    with pytest.raises(AuthenticationFailedError, match="sasl_oauth_token_command: /no/where: No such file"):
        await provider(settings_of(f'{BEARER}sasl_oauth_token_command = "/no/where"')).token()


def by_endpoint(url: str) -> str:
    return f'{BEARER}sasl_oauth_token_endpoint_url = "{url}"\nsasl_oauth_client_id = "penstock"\nsasl_oauth_scope = "kafka"\n'


async def test_from_an_endpoint_once_while_it_holds(settings_of: Read, endpoint: TokenServer) -> None:
    tokens = provider(settings_of(by_endpoint(endpoint.url), PENSTOCK_SASL_OAUTH_CLIENT_SECRET="the-canary"))
    endpoint.told = json.dumps({"access_token": "a", "expires_in": 300}).encode()
    assert [await tokens.token(), await tokens.token()] == ["a", "a"]
    (asked,) = endpoint.asked
    basic = base64.b64encode(b"penstock:the-canary").decode()
    assert asked == (f"Basic {basic}", "grant_type=client_credentials&scope=kafka")


async def test_a_token_about_to_expire_is_not_used_again(settings_of: Read, endpoint: TokenServer) -> None:
    tokens = provider(settings_of(by_endpoint(endpoint.url), PENSTOCK_SASL_OAUTH_CLIENT_SECRET="s"))
    endpoint.told = json.dumps({"access_token": "a", "expires_in": 5}).encode()
    assert [await tokens.token(), await tokens.token()] == ["a", "a"]
    assert len(endpoint.asked) == 2


@pytest.mark.parametrize(
    ("status", "told", "said"),
    [
        (401, b"", "status 401: check sasl_oauth_client_id"),
        (200, b"<html>", "no token"),
        (200, b"{}", "no token"),
        (500, b"[]", "status 500"),
    ],
)
async def test_an_endpoint_that_gives_none(
    settings_of: Read, endpoint: TokenServer, status: int, told: bytes, said: str
) -> None:
    tokens = provider(settings_of(by_endpoint(endpoint.url), PENSTOCK_SASL_OAUTH_CLIENT_SECRET="the-canary"))
    endpoint.status, endpoint.told = status, told
    with pytest.raises(AuthenticationFailedError) as raised:
        await tokens.token()
    assert said in str(raised.value)
    assert "the-canary" not in str(raised.value)


async def test_an_endpoint_that_is_not_there(settings_of: Read) -> None:
    tokens = provider(settings_of(by_endpoint("http://127.0.0.1:1/t"), PENSTOCK_SASL_OAUTH_CLIENT_SECRET="s"))
    with pytest.raises(
        AuthenticationFailedError, match=r"sasl_oauth_token_endpoint_url: http://127.0.0.1:1/t: ConnectError"
    ):
        await tokens.token()


@pytest.mark.parametrize("url", ["ftp://x/t", "http://elsewhere/t", "https://me:s@x/t", "x"])
def test_an_address_that_cannot_be_meant(settings_of: Read, url: str) -> None:
    with pytest.raises(SettingsError, match="sasl_oauth_token_endpoint_url: "):
        provider(settings_of(by_endpoint(url), PENSTOCK_SASL_OAUTH_CLIENT_SECRET="s"))
