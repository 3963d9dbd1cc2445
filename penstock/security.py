"""From the settings to aiokafka's arguments: the one place where every Kafka client of the project gets its identity."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.kafka_settings import PASSWORD_MECHANISMS, KafkaSettings
from penstock.settings import Settings, SettingsError, named

if TYPE_CHECKING:
    from pydantic import SecretStr


class ClientArguments(dict[str, Any]):
    """Arguments of aiokafka's clients; shown, it keeps their secrets."""

    def __repr__(self) -> str:
        """Show everything but passwords and tokens."""
        shown = ", ".join(f"{key!r}: {_shown(key, value)}" for key, value in self.items())
        return f"{{{shown}}}"

    __str__ = __repr__


def client_arguments(settings: Settings) -> ClientArguments:
    """Return what every Kafka client is made with; SettingsError names the setting that cannot work."""
    made = ClientArguments()
    if settings.security_protocol == "PLAINTEXT":
        return made
    made["security_protocol"] = settings.security_protocol
    if settings.speaks_tls:
        made["ssl_context"] = _ssl_context(settings)
    if settings.speaks_sasl:
        made |= _sasl(settings)
    return made


def secrets_of(settings: KafkaSettings) -> list[str]:
    """Return the secrets among the settings, for logs to mask."""
    kept = (settings.sasl_plain_password, settings.sasl_oauth_client_secret, settings.ssl_password)
    return [secret.get_secret_value() for secret in kept if secret is not None]


def _sasl(settings: Settings) -> dict[str, Any]:
    mechanism = settings.sasl_mechanism
    arguments: dict[str, Any] = {"sasl_mechanism": mechanism}
    if mechanism in PASSWORD_MECHANISMS:
        arguments["sasl_plain_username"] = settings.sasl_plain_username
        arguments["sasl_plain_password"] = _plain(settings.sasl_plain_password)
    elif mechanism == "OAUTHBEARER":
        from penstock.oauth import token_provider

        arguments["sasl_oauth_token_provider"] = token_provider(settings)
    elif mechanism == "GSSAPI":
        _require_gssapi(settings)
        arguments["sasl_kerberos_service_name"] = settings.sasl_kerberos_service_name
        arguments["sasl_kerberos_domain_name"] = settings.sasl_kerberos_domain_name
    return arguments


def _require_gssapi(settings: Settings) -> None:
    from importlib.util import find_spec

    if find_spec("gssapi") is None:
        raise SettingsError(
            f"{named(settings, 'sasl_mechanism')}: GSSAPI needs the package gssapi (and Kerberos' libraries): pip install gssapi"
        )


def _ssl_context(settings: Settings) -> ssl.SSLContext:
    context = _trusting(settings)
    if settings.ssl_certfile is not None:
        _show_certificate(context, settings)
    context.check_hostname = settings.ssl_check_hostname
    return context


def _trusting(settings: Settings) -> ssl.SSLContext:
    from aiokafka.helpers import create_ssl_context

    path = settings.ssl_cafile
    if path is None:
        return create_ssl_context()  # type: ignore[no-any-return]
    _readable(settings, "ssl_cafile", path)
    try:
        context: ssl.SSLContext = create_ssl_context(cafile=str(path))
    except (ssl.SSLError, ValueError):
        raise SettingsError(f"{named(settings, 'ssl_cafile')}: {path}: holds no certificate in PEM") from None
    return context


def _show_certificate(context: ssl.SSLContext, settings: Settings) -> None:
    """Load the client's own certificate. The password is always given, since OpenSSL would ask for a missing one at the terminal."""
    certificate, key = settings.ssl_certfile, settings.ssl_keyfile
    assert certificate is not None  # noqa: S101 - for mypy
    _readable(settings, "ssl_certfile", certificate)
    if key is not None:
        _readable(settings, "ssl_keyfile", key)

    asked = False

    def password() -> str:
        nonlocal asked
        asked = True
        if settings.ssl_password is None:
            raise SettingsError(
                f"ssl_password: missing, and {key or certificate} is encrypted: set PENSTOCK_SSL_PASSWORD, or name a file "
                "that holds it with ssl_password_file"
            )
        return _plain(settings.ssl_password)

    try:
        context.load_cert_chain(certificate, key, password)
    except ssl.SSLError as error:
        raise SettingsError(_why_no_certificate(settings, error, asked)) from None


def _why_no_certificate(settings: Settings, error: ssl.SSLError, asked: bool) -> str:
    said = str(error).upper()
    key = "ssl_keyfile" if settings.ssl_keyfile is not None else "ssl_certfile"
    if "KEY_VALUES_MISMATCH" in said or "KEY VALUES MISMATCH" in said:
        return f"{named(settings, key)}: {settings.ssl_keyfile}: not the key of the certificate {settings.ssl_certfile}"
    if asked:
        return f"{named(settings, 'ssl_password')}: not the password of {settings.ssl_keyfile or settings.ssl_certfile}"
    return (
        f"{named(settings, 'ssl_certfile')}: {settings.ssl_certfile}"
        f"{'' if settings.ssl_keyfile is None else f' with {settings.ssl_keyfile}'}: no certificate and key in PEM"
    )


def _readable(settings: Settings, key: str, path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise SettingsError(f"{named(settings, key)}: {path}: {error.strerror}") from None


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""


def _shown(key: str, value: object) -> str:
    return "'***'" if "password" in key or "token" in key else repr(value)
