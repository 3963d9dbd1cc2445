"""Endpoints of the page's session: in with the token, out again."""

from __future__ import annotations

from pydantic import BaseModel
from starlette.responses import Response

from penstock.console.api import shapes
from penstock.console.api.endpoint import Call
from penstock.console.api.problems import Refused
from penstock.console.api.session import SESSION_S, Access


async def show(call: Call) -> BaseModel:
    """Say whether the request came with the token or a session."""
    access = _access(call)
    known = access.admits(call.request.headers, call.request.cookies)
    return shapes.Session(authenticated=known, public_read=access.public_read)


async def begin(call: Call) -> Response:
    """Give a cookie for the token."""
    access = _access(call)
    if not access.is_token(call.body.token):
        raise Refused(401, "this is not the token that the console printed at its start")
    response = Response(status_code=204)
    response.set_cookie(access.cookie, access.session(), SESSION_S, path="/", httponly=True, samesite="strict")
    return response


async def end(call: Call) -> Response:
    """Take the cookie back."""
    response = Response(status_code=204)
    response.delete_cookie(_access(call).cookie, path="/", httponly=True, samesite="strict")
    return response


def _access(call: Call) -> Access:
    access: Access = call.request.app.state.access
    return access
