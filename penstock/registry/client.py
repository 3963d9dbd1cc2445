"""The five questions that are asked of a registry with Confluent's API (Confluent, Apicurio under /apis/ccompat/v7, Karapace, Redpanda)."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
from pydantic import SecretStr

from schemas.unions import self_contained
from streams.errors import RegistryError, RegistryUnreachable

TIMEOUT_S = 10.0
MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
MAX_SAID = 300
NOT_FOUND = range(40401, 40500)
"""Confluent's codes for a subject, version or schema that is not there; what knows no such path has no such code."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where a registry is, and what it wants to see; the secrets show in no repr."""

    url: str
    username: str | None = None
    password: SecretStr | None = None
    token: SecretStr | None = None
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """A schema under a subject."""

    id: int
    schema: str
    kind: str


class Registry:
    """A connection to a registry; every answer that is none raises `RegistryError` or `RegistryUnreachable`."""

    def __init__(self, access: Access) -> None:
        self.where = _shown(access.url)
        auth = None
        if access.username is not None:
            auth = httpx2.BasicAuth(access.username, access.password.get_secret_value() if access.password else "")
        headers = {"Content-Type": MEDIA_TYPE, "Accept": f"{MEDIA_TYPE}, application/json"}
        if access.token is not None:
            headers["Authorization"] = f"Bearer {access.token.get_secret_value()}"
        verify = ssl.create_default_context(cafile=access.ca_file) if access.ca_file else True
        self._http = httpx2.AsyncClient(
            base_url=access.url.rstrip("/"), auth=auth, headers=headers, timeout=TIMEOUT_S, verify=verify
        )

    async def __aenter__(self) -> Registry:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def id_of(self, subject: str, schema: str) -> int | None:
        """Return the id of a schema under a subject, None if it is not registered there."""
        found = await self._ask("POST", f"/subjects/{_part(subject)}", {"schema": schema})
        return None if found is None else _id(found)

    async def latest(self, subject: str) -> Version | None:
        """Return the newest schema of a subject, None if it has none."""
        found = await self._ask("GET", f"/subjects/{_part(subject)}/versions/latest")
        if found is None:
            return None
        kind = found.get("schemaType") or "AVRO"
        return Version(_id(found), await self._whole(found) if kind == "AVRO" else str(found["schema"]), kind)

    async def accepts(self, subject: str, schema: str) -> bool:
        """Say whether the subject's level of compatibility allows a schema; a new subject allows all."""
        path = f"/compatibility/subjects/{_part(subject)}/versions/latest"
        found = await self._ask("POST", path, {"schema": schema})
        return found is None or bool(found.get("is_compatible"))

    async def register(self, subject: str, schema: str) -> int:
        """Register a schema under a subject and return its id; what is registered already has one."""
        found = await self._ask("POST", f"/subjects/{_part(subject)}/versions", {"schema": schema})
        if found is None:
            raise RegistryError(f"the schema registry at {self.where} does not take subject {subject!r}")
        return _id(found)

    async def schema(self, schema_id: int) -> str | None:
        """Return the Avro schema that has an id, with all it refers to; None if there is none."""
        found = await self._ask("GET", f"/schemas/ids/{schema_id}")
        if found is None or (found.get("schemaType") or "AVRO") != "AVRO":
            return None
        return await self._whole(found)

    async def _whole(self, found: dict[str, Any]) -> str:
        """Return a schema with the types of its references in it."""
        text = str(found["schema"])
        if not found.get("references"):
            return text
        others: list[Any] = []
        for reference in found["references"]:
            path = f"/subjects/{_part(reference['subject'])}/versions/{int(reference['version'])}"
            other = await self._ask("GET", path)
            if other is None:
                raise RegistryError(f"the schema registry at {self.where} lacks a reference: {reference['subject']!r}")
            others.append(json.loads(await self._whole(other)))
        return json.dumps(self_contained(json.loads(text), others))

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """Return the answer, None for what is not there."""
        try:
            answer = await self._http.request(method, path, json=body)
        except httpx2.HTTPError as error:
            raise RegistryUnreachable(
                f"the schema registry at {self.where} does not answer: {type(error).__name__}: {error}. Check "
                "schema_registry_url (PENSTOCK_SCHEMA_REGISTRY_URL)"
            ) from None
        if answer.status_code in (401, 403):
            raise RegistryError(
                f"the schema registry at {self.where} refuses {method} {path} ({answer.status_code}): check "
                "PENSTOCK_SCHEMA_REGISTRY_USERNAME and ..._PASSWORD, or ..._TOKEN, and what they may do"
            )
        if answer.status_code >= 500:
            raise RegistryUnreachable(f"the schema registry at {self.where} fails: {_said(answer)}")
        try:
            found = answer.json()
        except ValueError:
            found = None
        if answer.status_code == 404 and isinstance(found, dict) and found.get("error_code", 0) in NOT_FOUND:
            return None
        if not isinstance(found, dict) or answer.status_code == 404:
            raise RegistryError(
                f"what answers at {self.where} is no schema registry with Confluent's API ({method} {path}: "
                f"{answer.status_code}). Apicurio has it under /apis/ccompat/v7"
            )
        if answer.status_code >= 300:
            raise RegistryError(f"the schema registry at {self.where} refuses {method} {path}: {_said(answer)}")
        return found


def _id(found: dict[str, Any]) -> int:
    return int(found["id"])


def _part(text: str) -> str:
    return quote(text, safe="")


def _said(answer: httpx2.Response) -> str:
    return f"{answer.status_code} {answer.text[:MAX_SAID]}"


def _shown(url: str) -> str:
    """Return an address without what may be secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
