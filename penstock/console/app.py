"""The console as an ASGI application: its parts put together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from penstock.console.api.endpoint import Endpoint
from penstock.console.api.endpoints import ENDPOINTS
from penstock.console.api.events import events
from penstock.console.api.guard import Guard
from penstock.console.api.openapi import document
from penstock.console.api.problems import on_error
from penstock.console.api.session import Access
from penstock.console.console import Console
from schemas.codec import dumps

API = "/v1"
PAGE = Path(__file__).parent / "page"
EVENTS = Endpoint("GET", "/v1/events", "What changed, without end", events, None)
"""Not in the OpenAPI document: a request that never ends is nothing that its readers can try."""


def app_of(console: Console, access: Access, hosts: frozenset[str]) -> Starlette:
    """Return the application."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with console.running():
            yield

    app = Starlette(
        routes=[
            Mount(
                API, routes=_routes((*ENDPOINTS, EVENTS))
            ),  # apart, or the page's folder would answer for other methods
            Route("/openapi.json", _openapi),
            Mount("/", StaticFiles(directory=PAGE, html=True)),
        ],
        middleware=[Middleware(Guard, access=access, hosts=hosts)],
        exception_handlers={HTTPException: on_error},
        lifespan=lifespan,
    )
    app.state.console = console
    app.state.access = access
    return app


def _routes(endpoints: Iterable[Endpoint]) -> list[Route]:
    """Return a route per path: it knows all its methods, and says them where another one is tried."""
    by_path: defaultdict[str, dict[str, Endpoint]] = defaultdict(dict)
    for endpoint in endpoints:
        by_path[endpoint.path][endpoint.method] = endpoint
    return [Route(path.removeprefix(API), _serve(methods), methods=list(methods)) for path, methods in by_path.items()]


def _serve(methods: Mapping[str, Endpoint]) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        return await methods["GET" if request.method == "HEAD" else request.method].serve(request)

    return serve


async def _openapi(request: Request) -> Response:
    return Response(dumps(document(ENDPOINTS)), media_type="application/json")
