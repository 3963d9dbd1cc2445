"""How Kafka's clients prove who they are: aiokafka's own setting names, checked at start so that no client finds out later.

`KafkaSettings` is mixed into `Settings`; `security.py` makes aiokafka's arguments of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

PASSWORD_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


class KafkaSettings(BaseModel):
    """Security of every Kafka client. Secrets come from the environment or from files of their own."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How clients speak to the brokers."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "GSSAPI"] | None = None
    """How a client says who it is; needed with SASL_SSL and SASL_PLAINTEXT."""
    sasl_plain_username: str | None = Field(None, min_length=1)
    """User of PLAIN and SCRAM."""
    sasl_plain_password: SecretStr | None = None
    """Password of PLAIN and SCRAM."""
    sasl_plain_password_file: Path | None = None
    """File that holds the password."""
    sasl_oauth_token_file: Path | None = None
    """OAUTHBEARER: file that holds a token, read anew."""
    sasl_oauth_token_command: str | None = Field(None, min_length=1)
    """OAUTHBEARER: command that prints a token; run without a shell."""
    sasl_oauth_token_endpoint_url: str | None = None
    """OAUTHBEARER: OAuth 2 token endpoint, asked with client credentials."""
    sasl_oauth_client_id: str | None = Field(None, min_length=1)
    """Client id for the token endpoint."""
    sasl_oauth_client_secret: SecretStr | None = None
    """Client secret for the token endpoint."""
    sasl_oauth_client_secret_file: Path | None = None
    """File that holds the client secret."""
    sasl_oauth_scope: str | None = Field(None, min_length=1)
    """Scope asked of the token endpoint."""
    sasl_kerberos_service_name: str = "kafka"
    """GSSAPI: the brokers' service name."""
    sasl_kerberos_domain_name: str | None = None
    """GSSAPI: the brokers' domain."""
    ssl_cafile: Path | None = None
    """Certificates (PEM) that vouch for the brokers. Default: those of the system."""
    ssl_certfile: Path | None = None
    """The client's own certificate (PEM), for mutual TLS."""
    ssl_keyfile: Path | None = None
    """Its key (PEM), unless the certificate's file holds it."""
    ssl_password: SecretStr | None = None
    """Password of the key."""
    ssl_password_file: Path | None = None
    """File that holds the key's password."""
    ssl_check_hostname: bool = True
    """Check that the certificate is the broker's own."""

    @property
    def speaks_tls(self) -> bool:
        """Say whether connections are encrypted."""
        return self.security_protocol in ("SSL", "SASL_SSL")

    @property
    def speaks_sasl(self) -> bool:
        """Say whether clients say who they are by SASL."""
        return self.security_protocol in ("SASL_PLAINTEXT", "SASL_SSL")


def problems(settings: KafkaSettings) -> Iterator[tuple[str, str]]:
    """Yield what cannot work, as (key, what to do); reads no file."""
    yield from _out_of_place(settings)
    if settings.speaks_sasl:
        yield from _sasl(settings)
    if settings.ssl_keyfile is not None and settings.ssl_certfile is None:
        yield "ssl_certfile", "missing, and ssl_keyfile is set: a key needs its certificate"
    if settings.ssl_password is not None and settings.ssl_certfile is None:
        yield "ssl_certfile", "missing, and ssl_password is set: it is the password of the certificate's key"


def warnings(settings: KafkaSettings) -> Iterator[str]:
    """Yield what works and should not be."""
    if settings.security_protocol == "SASL_PLAINTEXT" and settings.sasl_mechanism in ("PLAIN", "OAUTHBEARER"):
        what = "the password" if settings.sasl_mechanism == "PLAIN" else "the token"
        yield f"security_protocol is SASL_PLAINTEXT: {what} goes over the network unencrypted; use SASL_SSL"
    if settings.speaks_tls and not settings.ssl_check_hostname:
        yield "ssl_check_hostname is false: any server with a certificate of the same authority can pose as the broker"


def _out_of_place(settings: KafkaSettings) -> Iterator[tuple[str, str]]:
    given = settings.model_fields_set
    protocol = settings.security_protocol
    for key in sorted(KafkaSettings.model_fields.keys() & given):
        if key.startswith("sasl_") and not settings.speaks_sasl and getattr(settings, key) is not None:
            yield (
                key,
                f"is set, but security_protocol is {protocol}: set it to SASL_SSL (or SASL_PLAINTEXT), or unset this",
            )
            return
        if key.startswith("ssl_") and not settings.speaks_tls and getattr(settings, key) is not None:
            yield key, f"is set, but security_protocol is {protocol}: set it to SSL or SASL_SSL, or unset this"
            return


def _sasl(settings: KafkaSettings) -> Iterator[tuple[str, str]]:
    mechanism = settings.sasl_mechanism
    if mechanism is None:
        yield (
            "sasl_mechanism",
            f"missing with security_protocol {settings.security_protocol}: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, "
            "OAUTHBEARER or GSSAPI, as the brokers have it",
        )
    elif mechanism in PASSWORD_MECHANISMS:
        if settings.sasl_plain_username is None:
            yield "sasl_plain_username", f"missing: sasl_mechanism {mechanism} needs a user"
        if settings.sasl_plain_password is None:
            yield (
                "sasl_plain_password",
                f"missing: sasl_mechanism {mechanism} needs one; {_ways('sasl_plain_password')}",
            )
    elif mechanism == "OAUTHBEARER":
        yield from _oauth(settings)


def _oauth(settings: KafkaSettings) -> Iterator[tuple[str, str]]:
    sources = ("sasl_oauth_token_file", "sasl_oauth_token_command", "sasl_oauth_token_endpoint_url")
    given = [key for key in sources if getattr(settings, key) is not None]
    if len(given) != 1:
        yield (
            "sasl_mechanism",
            f"OAUTHBEARER needs exactly one of {', '.join(sources)}; given: {', '.join(given) or 'none'}",
        )
    elif settings.sasl_oauth_token_endpoint_url is not None:
        if settings.sasl_oauth_client_id is None:
            yield "sasl_oauth_client_id", "missing: the token endpoint wants client credentials"
        if settings.sasl_oauth_client_secret is None:
            yield "sasl_oauth_client_secret", f"missing: {_ways('sasl_oauth_client_secret')}"


def _ways(key: str) -> str:
    return f"set PENSTOCK_{key.upper()}, or name a file that holds it with {key}_file"
