"""Nobody without the token, no other page, no other host name: tried from outside."""

import contextlib
import http.client
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.console.conftest import TOKEN, Console

pytestmark = pytest.mark.kafka

CHANGING = [
    ("POST", "/v1/workflows/w/runs"),
    ("POST", "/v1/runs/r/cancel"),
    ("POST", "/v1/dead-letters/redrive"),
    ("POST", "/v1/reviews/r/n"),
]


@pytest.mark.parametrize(
    ("method", "path"), [*CHANGING, ("GET", "/v1/runs"), ("GET", "/v1/events"), ("GET", "/v1/nothing")]
)
@pytest.mark.parametrize("sent", [{}, {"Authorization": "Bearer wrong"}, {"Cookie": "penstock=1.a"}])
def test_without_the_token(console: Console, method: str, path: str, sent: dict[str, str]) -> None:
    answer = console.anonymous.request(method, path, headers=sent, json={})
    assert answer.status_code in (401, 403)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("method", "path"), CHANGING)
@pytest.mark.parametrize(
    "sent", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
)
def test_from_another_origin(console: Console, method: str, path: str, sent: dict[str, str]) -> None:
    assert console.http.request(method, path, headers=sent, json={}).status_code == 403


def test_the_page_logs_in_and_out(console: Console) -> None:
    own = {"Origin": console.url}
    with httpx2.Client(base_url=console.url, timeout=60) as page:
        assert page.get("/v1/session").json() == {"authenticated": False, "public_read": False}
        assert page.post("/v1/session", json={"token": "wrong"}).status_code == 401
        assert page.post("/v1/session", json={"token": TOKEN}, headers={"Origin": "http://evil"}).status_code == 403
        told = page.post("/v1/session", json={"token": TOKEN}, headers=own)
        cookie = told.headers["set-cookie"].lower()
        assert told.status_code == 204
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert TOKEN not in cookie
        assert page.get("/v1/session").json()["authenticated"]
        assert page.get("/v1/runs").status_code == 200
        # A cookie alone is no proof of where a request comes from.
        assert page.post("/v1/runs/that-is-not-there/cancel").status_code == 403
        assert page.post("/v1/runs/that-is-not-there/cancel", headers=own).status_code == 404
        assert page.delete("/v1/session", headers=own).status_code == 204
        assert page.get("/v1/runs").status_code == 401


def test_another_host_name_is_refused(console: Console) -> None:
    for path in ("/", "/v1/status", "/openapi.json"):
        assert console.http.get(path, headers={"Host": "evil.example"}).status_code == 403
    port = urlsplit(console.url).port
    assert console.http.get("/v1/status", headers={"Host": f"localhost:{port}"}).status_code == 200


def test_every_answer_has_its_headers(console: Console) -> None:
    for path in ("/", "/v1/status", "/v1/nothing", "/nothing", "/openapi.json"):
        headers = console.http.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


def test_a_body_that_is_too_large_or_no_json(console: Console, workflow: str) -> None:
    path = f"/v1/workflows/{workflow}/runs"
    large = b'{"input": "' + b"x" * 20_000_000 + b'"}'
    assert _posted_in_chunks(console, path, large) == 413
    kind = {"Content-Type": "text/plain"}
    assert console.http.post(path, content=b'{"input": 1}', headers=kind).status_code == 415
    assert console.http.post(path, content=b"{", headers={"Content-Type": "application/json"}).status_code == 422
    assert "not known here" in console.http.post(path, json={"input": 1, "colour": "red"}).json()["detail"]


def _posted_in_chunks(console: Console, path: str, body: bytes) -> int:
    """Post without saying how long the body is; a server may close while much is still to be sent."""
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(console.url).port, timeout=30)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    pieces = (body[at : at + 65_536] for at in range(0, len(body), 65_536))
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.request("POST", path, pieces, headers, encode_chunked=True)
    status = connection.getresponse().status
    connection.close()
    return status
