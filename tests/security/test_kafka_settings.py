"""Kafka's security settings: aiokafka's arguments come out, secrets stay in, and what cannot work is named at the start."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.kafka_settings import warnings
from penstock.security import client_arguments, secrets_of
from penstock.settings import Settings, SettingsError
from streams.engine.config import EngineConfig
from tests.security.conftest import certificate

Read = Callable[..., Settings]

SCRAM = 'security_protocol = "SASL_SSL"\nsasl_mechanism = "SCRAM-SHA-512"\nsasl_plain_username = "worker"\n'


def test_without_settings_nothing_is_said_to_aiokafka(settings_of: Read) -> None:
    assert client_arguments(settings_of()) == {}


def test_scram_over_tls(settings_of: Read, tmp_path: Path) -> None:
    authority, _ = certificate(tmp_path, "ca")
    settings = settings_of(f'{SCRAM}ssl_cafile = "{authority}"', PENSTOCK_SASL_PLAIN_PASSWORD="the-canary")
    made = client_arguments(settings)
    context = made.pop("ssl_context")
    assert made == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "worker",
        "sasl_plain_password": "the-canary",
    }
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.cert_store_stats()["x509"] == 1


def test_no_repr_shows_a_secret(settings_of: Read) -> None:
    settings = settings_of(SCRAM, PENSTOCK_SASL_PLAIN_PASSWORD="the-canary", PENSTOCK_SSL_CAFILE="")
    made = client_arguments(settings)
    shown = f"{settings!r}{settings}{settings.model_dump_json()}{made!r}{made}{EngineConfig('h:1', kafka=made)!r}"
    assert "the-canary" not in shown
    assert "***" in repr(made)
    assert secrets_of(settings) == ["the-canary"]


def test_a_password_in_a_file_of_its_own(settings_of: Read, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from a file\n")
    settings = settings_of(f'{SCRAM}sasl_plain_password_file = "{tmp_path}/password"')
    assert client_arguments(settings)["sasl_plain_password"] == "from a file"


def test_all_of_it_by_the_environment(settings_of: Read) -> None:
    settings = settings_of(
        PENSTOCK_SECURITY_PROTOCOL="SASL_PLAINTEXT",
        PENSTOCK_SASL_MECHANISM="PLAIN",
        PENSTOCK_SASL_PLAIN_USERNAME="u",
        PENSTOCK_SASL_PLAIN_PASSWORD="p",
    )
    assert client_arguments(settings)["sasl_mechanism"] == "PLAIN"
    assert "the password goes over the network unencrypted" in "".join(warnings(settings))


def test_a_clients_own_certificate(settings_of: Read, tmp_path: Path) -> None:
    chain, key = certificate(tmp_path, "client", "the-canary")
    text = f'security_protocol = "SSL"\nssl_certfile = "{chain}"\nssl_keyfile = "{key}"\nssl_check_hostname = false'
    with pytest.raises(SettingsError, match=r"ssl_password: missing, and .*client.key is encrypted"):
        client_arguments(settings_of(text))
    with pytest.raises(SettingsError, match=r"PENSTOCK_SSL_PASSWORD: not the password of .*client.key"):
        client_arguments(settings_of(text, PENSTOCK_SSL_PASSWORD="another"))
    settings = settings_of(text, PENSTOCK_SSL_PASSWORD="the-canary")
    assert not client_arguments(settings)["ssl_context"].check_hostname
    assert "can pose as the broker" in "".join(warnings(settings))
    _, foreign = certificate(tmp_path, "foreign")
    with pytest.raises(SettingsError, match=r"ssl_keyfile: .*foreign.key: not the key of the certificate"):
        client_arguments(settings_of(text.replace(str(key), str(foreign))))


BAD = [
    ('sasl_plain_password = "the-canary"', "penstock.toml: sasl_plain_password: a secret does not belong"),
    ('sasl_oauth_client_secret = "the-canary"', "sasl_oauth_client_secret_file"),
    ('console_token = "the-canary"', "set the environment variable PENSTOCK_CONSOLE_TOKEN"),
    ('security_protocol = "TLS"', "penstock.toml: security_protocol: "),
    ('security_protocl = "SSL"', "security_protocl: unknown key, did you mean 'security_protocol'?"),
    ('security_protocol = "SASL_SSL"', "sasl_mechanism (PENSTOCK_SASL_MECHANISM): missing"),
    ('sasl_mechanism = "PLAIN"', "penstock.toml: sasl_mechanism: is set, but security_protocol is PLAINTEXT"),
    ('ssl_cafile = "x"', "penstock.toml: ssl_cafile: is set, but security_protocol is PLAINTEXT"),
    ('security_protocol = "SASL_SSL"\nsasl_mechanism = "DIGEST-MD5"', "sasl_mechanism: "),
    (
        'security_protocol = "SASL_SSL"\nsasl_mechanism = "PLAIN"',
        "sasl_plain_username (PENSTOCK_SASL_PLAIN_USERNAME): missing",
    ),
    (SCRAM, "set PENSTOCK_SASL_PLAIN_PASSWORD, or name a file that holds it with sasl_plain_password_file"),
    (f'{SCRAM}sasl_plain_password_file = "none"', "sasl_plain_password_file: none: No such file"),
    (f'{SCRAM}sasl_plain_password_file = "/dev/null"', "sasl_plain_password_file: /dev/null: empty"),
    ('security_protocol = "SSL"\nssl_keyfile = "x"', "ssl_certfile (PENSTOCK_SSL_CERTFILE): missing"),
    ('security_protocol = "SASL_SSL"\nsasl_mechanism = "OAUTHBEARER"', "exactly one of sasl_oauth_token_file"),
    (
        'security_protocol = "SASL_SSL"\nsasl_mechanism = "OAUTHBEARER"\nsasl_oauth_token_endpoint_url = "https://x/t"',
        "sasl_oauth_client_id (PENSTOCK_SASL_OAUTH_CLIENT_ID): missing",
    ),
    ('security_protocol = "SSL"\nssl_cafile = "none.pem"', "ssl_cafile: none.pem: No such file"),
    (
        'security_protocol = "SSL"\nssl_cafile = "penstock.toml"',
        "ssl_cafile: penstock.toml: holds no certificate in PEM",
    ),
    (
        'security_protocol = "SSL"\nssl_certfile = "penstock.toml"',
        "ssl_certfile: penstock.toml: no certificate and key",
    ),
    (
        'security_protocol = "SASL_SSL"\nsasl_mechanism = "OAUTHBEARER"\nsasl_oauth_token_command = "a \'b"',
        "sasl_oauth_token_command: No closing quotation",
    ),
]


@pytest.mark.parametrize(("text", "said"), BAD)
def test_what_cannot_work_is_named(settings_of: Read, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        client_arguments(settings_of(text))
    assert said in str(raised.value)
    assert "the-canary" not in str(raised.value)


def test_both_a_password_and_its_file(settings_of: Read) -> None:
    with pytest.raises(SettingsError, match="sasl_plain_password_file: sasl_plain_password is set, too"):
        settings_of(f'{SCRAM}sasl_plain_password_file = "x"', PENSTOCK_SASL_PLAIN_PASSWORD="p")


def test_a_bad_variable_is_named_as_one(settings_of: Read) -> None:
    with pytest.raises(SettingsError, match=r"^PENSTOCK_SECURITY_PROTOCOL: "):
        settings_of(PENSTOCK_SECURITY_PROTOCOL="TLS")
