"""The OpenAPI document, made of the endpoints and their models."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from penstock.console.api.endpoint import EVENTS, Endpoint
from penstock.console.api.problems import MEDIA_TYPE
from penstock.console.api.shapes import Problem

ANY = (401, 403, 503)
"""Statuses that every endpoint behind the token may answer with."""
_MEANING = {
    200: "Done.",
    202: "Accepted: it is in the topic.",
    204: "Done; nothing more to say.",
    401: "The token is missing or wrong.",
    403: "Refused: another origin, or another host name.",
    404: "There is no such thing.",
    409: "It does not fit how things stand.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The request is wrong; `detail` names what.",
    500: "A defect of the console's.",
    503: "The read model is being made, or the broker is away: try again.",
}
_REF = "#/components/schemas/{model}"
_PATH_PARAMETERS = {
    "partition": {"type": "integer", "minimum": 0, "maximum": 999_999_999},
    "offset": {"type": "integer", "minimum": 0, "maximum": 10**17},
}


def document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """Return the document of `endpoints`."""
    endpoints = list(endpoints)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Penstock console",
            "version": version("penstock"),
            "description": "Workflows, runs, dead letters, reviews and replays. Beside these, `GET /v1/events` pushes what changed "
            "as server-sent events, without end (docs/console.md).",
        },
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(endpoints),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "penstock", "description": "Of the page."},
            },
        },
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    said: dict[str, Any] = {
        "summary": endpoint.summary,
        "operationId": endpoint.handle.__name__,
        "parameters": [*_in_path(endpoint), *_in_query(endpoint), *_in_headers(endpoint)],
        "responses": _responses(endpoint),
    }
    if endpoint.body is not None:
        content = {"application/json": {"schema": {"$ref": _REF.format(model=endpoint.body.__name__)}}}
        said["requestBody"] = {"required": True, "content": content}
    if endpoint.public:
        said["security"] = []
    return said


def _in_path(endpoint: Endpoint) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": _PATH_PARAMETERS.get(name, {"type": "string", "pattern": "^[^/]+$"}),
        }
        for name in re.findall(r"{(\w+)}", endpoint.path)
    ]


def _in_query(endpoint: Endpoint) -> list[dict[str, Any]]:
    if endpoint.query is None:
        return []
    schema = endpoint.query.model_json_schema()
    return [
        {"name": name, "in": "query", "required": False, "schema": _not_null(field)}
        for name, field in schema["properties"].items()
    ]


def _not_null(field: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter: what is None in the model is left out of the address."""
    arms = [arm for arm in field.get("anyOf", []) if arm != {"type": "null"}]
    kept = {key: value for key, value in field.items() if key not in ("anyOf", "title")}
    if kept.get("default", 0) is None:
        del kept["default"]
    return {**kept, **(arms[0] if arms else {})}


def _in_headers(endpoint: Endpoint) -> list[dict[str, Any]]:
    return [
        {
            "name": header.name,
            "in": "header",
            "required": False,
            "description": header.description,
            "schema": {"type": "string", "pattern": header.pattern},
        }
        for header in endpoint.headers
    ]


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    answers = {str(status): _answer(endpoint, status) for status in (endpoint.status, *endpoint.also)}
    statuses = {*endpoint.problems, *(() if endpoint.public else ANY), *_of_what_is_sent(endpoint)}
    schema = {"$ref": _REF.format(model=Problem.__name__)}
    problems = {
        str(status): {"description": _MEANING[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in sorted(statuses)
    }
    return {**answers, **problems}


def _of_what_is_sent(endpoint: Endpoint) -> tuple[int, ...]:
    return (422,) if endpoint.body is None else (413, 415, 422)


def _answer(endpoint: Endpoint, status: int) -> dict[str, Any]:
    said: dict[str, Any] = {"description": _MEANING[status]}
    if endpoint.media_type == EVENTS and status != 204:
        said["content"] = {EVENTS: {"schema": {"type": "string"}}}
    elif endpoint.answer is not None and status != 204:
        schema = {"$ref": _REF.format(model=endpoint.answer.__name__)}
        said["content"] = {endpoint.media_type: {"schema": schema}}
    return said


def _schemas(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    answers: set[type[BaseModel]] = {Problem, *(e.answer for e in endpoints if e.answer)}
    bodies: set[type[BaseModel]] = {e.body for e in endpoints if e.body}
    wanted = [(model, "serialization") for model in sorted(answers, key=lambda m: m.__name__)]
    wanted += [(model, "validation") for model in sorted(bodies, key=lambda m: m.__name__)]
    _, found = models_json_schema(wanted, ref_template=_REF)  # type: ignore[arg-type]
    return dict(found["$defs"])
