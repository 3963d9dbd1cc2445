"""Where the schema registry is, and what it wants to see; `RegistrySettings` is mixed into `Settings`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, Field, SecretStr

from penstock.addresses import has_user, is_http


class RegistrySettings(BaseModel):
    """A schema registry with Confluent's API. Secrets come from the environment or from files of their own."""

    schema_registry_url: str | None = Field(
        None, min_length=1, description="Address of a schema registry with Confluent's API; without it there is none."
    )
    schema_registry_username: str | None = Field(None, min_length=1, description="User (or key) of the registry.")
    schema_registry_password: SecretStr | None = Field(None, description="Password (or secret) of that user.")
    schema_registry_password_file: Path | None = Field(None, description="File that holds the password.")
    schema_registry_token: SecretStr | None = Field(None, description="Bearer token, instead of user and password.")
    schema_registry_token_file: Path | None = Field(None, description="File that holds the token.")
    schema_registry_ca_file: Path | None = Field(
        None, description="Certificates (PEM) that vouch for the registry. Default: those of the system."
    )
    schema_registry_auto_register: bool = Field(
        True, description="Let workers register schemas; else they must be there, by `penstock registry register FILE`."
    )


def problems(settings: RegistrySettings) -> Iterator[tuple[str, str]]:
    """Yield what cannot work, as (key, what to do); reads no file."""
    url = settings.schema_registry_url
    if url is None:
        return
    if not is_http(url):
        yield "schema_registry_url", "not an http(s) address"
    elif has_user(url):
        yield (
            "schema_registry_url",
            "holds a user or password: they go into schema_registry_username and ..._password",
        )
    if settings.schema_registry_token is not None and settings.schema_registry_username is not None:
        yield "schema_registry_token", "a user is set, too: which of them is meant?"
    if settings.schema_registry_password is not None and settings.schema_registry_username is None:
        yield "schema_registry_username", "missing, and a password is set"
    if settings.schema_registry_ca_file is not None and not settings.schema_registry_ca_file.is_file():
        yield "schema_registry_ca_file", f"{settings.schema_registry_ca_file}: no such file"
