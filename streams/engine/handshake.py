"""Why a client cannot connect: aiokafka says "unable to bootstrap" whatever the reason, so one connection is made by hand and watched."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any

from aiokafka import errors as kafka
from aiokafka.conn import AIOKafkaConnection, collect_hosts
from aiokafka.protocol.metadata import MetadataRequest

from streams.errors import AuthenticationFailed, BrokerUnreachable, PenstockError

WITHIN_S = 10.0
LEAVE_S = 2.0


@dataclass(frozen=True, slots=True)
class _Broker:
    """One address and how the client speaks to it."""

    host: str
    port: int
    protocol: str
    mechanism: str
    user: str | None

    def __str__(self) -> str:
        return f"the broker at {self.host}:{self.port}"


async def why(client: Any, bootstrap: str) -> PenstockError | None:
    """Return what keeps `client` from connecting; None if that is that nobody answers, or it can after all."""
    inner = getattr(client, "_client", None) or client.client
    for host, port, _ in collect_hosts(bootstrap, randomize=False):
        told = await _try(inner, host, port)
        if told is not None:
            return told
    return None


async def _try(inner: Any, host: str, port: int) -> PenstockError | None:
    broker = _Broker(host, port, inner._security_protocol, inner._sasl_mechanism, inner._sasl_plain_username)  # noqa: SLF001
    connection = AIOKafkaConnection(host, port, **_arguments(inner))
    connected = False
    try:
        async with asyncio.timeout(WITHIN_S):
            await connection.connect()
            connected = True
            await connection.send(MetadataRequest([]))
    except (kafka.KafkaError, OSError, TimeoutError, ValueError, AssertionError) as error:
        return _meaning(error, broker, connected=connected)
    finally:
        await _closed(connection)
    return None


async def _closed(connection: AIOKafkaConnection) -> None:
    """Close a connection and wait until it is: TLS takes leave of the other side first, and the loop may end with the error told."""
    closing = connection.close()
    if connection._protocol is not None:  # noqa: SLF001 - else there was nothing to close, and `closing` never comes
        await asyncio.wait([closing], timeout=LEAVE_S)


def _arguments(inner: Any) -> dict[str, Any]:
    """Return how aiokafka's own client connects."""
    names = (
        "client_id",
        "ssl_context",
        "security_protocol",
        "sasl_mechanism",
        "sasl_plain_username",
        "sasl_plain_password",
        "sasl_kerberos_service_name",
        "sasl_kerberos_domain_name",
        "sasl_oauth_token_provider",
    )
    return {name: getattr(inner, f"_{name}") for name in names} | {"request_timeout_ms": int(WITHIN_S * 1000)}


def _meaning(error: BaseException, broker: _Broker, *, connected: bool) -> PenstockError | None:
    cause = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
    match cause:
        case ssl.SSLCertVerificationError():
            return AuthenticationFailed(_distrust(cause, broker))
        case ssl.SSLError():
            return AuthenticationFailed(_no_tls(cause, broker))
        case kafka.UnsupportedSaslMechanismError():
            return AuthenticationFailed(
                f"{broker} does not offer sasl_mechanism {broker.mechanism}: set the one that its listener has"
            )
        case kafka.IllegalSaslStateError() | kafka.UnsupportedVersionError():
            return AuthenticationFailed(
                f"{broker} expects no SASL: security_protocol is {broker.protocol}, its listener has another"
            )
        case kafka.SaslAuthenticationFailed() | kafka.AuthenticationFailedError():
            return AuthenticationFailed(_not_believed(cause, broker))
        case ConnectionResetError() if broker.protocol in ("SSL", "SASL_SSL"):
            return BrokerUnreachable(
                f"{broker} hung up in the TLS handshake: security_protocol is {broker.protocol}; does its listener speak TLS?"
            )
        case kafka.KafkaConnectionError():
            return BrokerUnreachable(_hung_up(broker, connected=connected))
        case ValueError() | AssertionError():
            return AuthenticationFailed(
                f"{broker} answers the SASL exchange wrongly ({cause}): is it the right broker?"
            )
    return None


def _distrust(error: ssl.SSLCertVerificationError, broker: _Broker) -> str:
    said = error.verify_message or str(error)
    if "match" in said.lower():  # "Hostname mismatch", "IP address mismatch"
        return f"{broker}: its certificate is not for that name ({said}): name it as its certificate does in bootstrap (ssl_check_hostname)"
    return f"{broker}: its certificate is not trusted ({said}): ssl_cafile must name the certificate of its authority"


def _no_tls(error: ssl.SSLError, broker: _Broker) -> str:
    reason = (error.reason or str(error)).upper()
    if "CERTIFICATE" in reason or "ALERT" in reason or "HANDSHAKE" in reason:
        return (
            f"{broker} does not take this client's certificate ({error.reason}): ssl_certfile and ssl_keyfile must name one "
            "that its authorities vouch for"
        )
    return f"{broker} does not speak TLS there, and security_protocol is {broker.protocol} ({error.reason}): another port, or PLAINTEXT?"


def _not_believed(error: BaseException, broker: _Broker) -> str:
    if broker.mechanism in ("OAUTHBEARER", "GSSAPI"):
        return (
            f"{broker} refused the login by {broker.mechanism}: {str(error).removeprefix(f'{type(error).__name__}: ')}"
        )
    return (
        f"{broker} refused user {broker.user!r} ({broker.mechanism}): sasl_plain_username, or its password "
        "(PENSTOCK_SASL_PLAIN_PASSWORD or sasl_plain_password_file), is wrong, or the user is not known by that mechanism"
    )


def _hung_up(broker: _Broker, *, connected: bool) -> str:
    protocol = broker.protocol
    if connected and protocol in ("PLAINTEXT", "SSL"):
        wanted = "SASL_SSL" if protocol == "SSL" else "SASL_PLAINTEXT"
        return f"{broker} hung up on a client that did not log in: security_protocol is {protocol}; does its listener have {wanted}?"
    if protocol in ("PLAINTEXT", "SASL_PLAINTEXT"):
        wanted = "SSL or SASL_SSL" if protocol == "PLAINTEXT" else "SASL_SSL"
        return f"{broker} hung up at once: security_protocol is {protocol}; does its listener speak TLS ({wanted})?"
    return f"{broker} hung up: is security_protocol {protocol} that of its listener, and is this client's certificate (ssl_certfile) known there?"
