"""A secured home: SASL_SSL with SCRAM for clients, mutual TLS for the controller, and nobody may do anything without an ACL.

Its files are in `kafka/secure`, readable by their owner alone. `admin` may do everything; other users what their ACLs say.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from penstock.devkafka import certificates
from penstock.devkafka.certificates import private
from penstock.devkafka.errors import DevKafkaError
from penstock.devkafka.state import Layout

ADMIN = "admin"
CLIENT = "penstock"
MECHANISM = "SCRAM-SHA-512"
ITERATIONS = 8192
_LEGAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Secured:
    """The files of a secured home."""

    folder: Path

    @property
    def authority(self) -> Path:
        """Return the certificate that clients trust."""
        return self.folder / "ca.pem"

    @property
    def broker(self) -> Path:
        """Return the broker's key and certificate."""
        return self.folder / "broker.pem"

    @property
    def admin_properties(self) -> Path:
        """Return the configuration of Kafka's own tools as `admin`."""
        return self.folder / "admin.properties"

    def password_of(self, user: str) -> Path:
        """Return the file with the password of `user`."""
        return self.folder / f"{user}.password"

    def config_of(self, user: str) -> Path:
        """Return the `penstock.toml` of `user`."""
        return self.folder / f"{user}.toml"

    def users(self) -> list[str]:
        """Return everybody who can log in."""
        return sorted(path.stem for path in self.folder.glob("*.password"))


def of(layout: Layout) -> Secured:
    """Return where the files of a home are, or would be."""
    return Secured(layout.folder / "secure")


def create(secured: Secured) -> list[str]:
    """Make certificates and users; return what formats the data folder with them."""
    secured.folder.mkdir(parents=True, exist_ok=True)
    secured.folder.chmod(0o700)
    certificates.make(secured.authority, secured.broker)
    told = []
    for user in (ADMIN, CLIENT):
        password = new_password(user)
        private(secured.password_of(user), password)
        told += ["--add-scram", salted(user, password)]
    return told


def new_password(user: str) -> str:
    """Choose a password for a user."""
    if not _LEGAL.match(user):
        raise DevKafkaError(f"{user!r} is no name for a user: letters, digits, '.', '_' and '-', 64 at most")
    return secrets.token_urlsafe(24)


def salted(user: str, password: str) -> str:
    """Return the credential as Kafka's tools take it. Salted, since a command line can be seen by others for a moment."""
    salt = os.urandom(24)
    derived = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    shown = ",".join(
        (
            f"name={user}",
            f'salt="{base64.b64encode(salt).decode()}"',
            f'saltedpassword="{base64.b64encode(derived).decode()}"',
            f"iterations={ITERATIONS}",
        )
    )
    return f"{MECHANISM}=[{shown}]"


def server_properties(secured: Secured, host: str, port: int, controller_port: int) -> dict[str, str]:
    """Return what makes the broker a secured one."""
    listener = f"listener.name.sasl_ssl.{MECHANISM.lower()}.sasl.jaas.config"
    return {
        "listeners": f"SASL_SSL://{host}:{port},CONTROLLER://{host}:{controller_port}",
        "advertised.listeners": f"SASL_SSL://{host}:{port}",
        "inter.broker.listener.name": "SASL_SSL",
        "listener.security.protocol.map": "SASL_SSL:SASL_SSL,CONTROLLER:SSL",
        "sasl.enabled.mechanisms": MECHANISM,
        "sasl.mechanism.inter.broker.protocol": MECHANISM,
        listener: _login(secured, ADMIN),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(secured.broker),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(secured.authority),
        # The controller is talked to by this broker alone, which shows the one certificate that there is.
        "listener.name.controller.ssl.client.auth": "required",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{ADMIN};User:CN={certificates.BROKER}",
        "allow.everyone.if.no.acl.found": "false",
    }


def write_clients(secured: Secured, bootstrap: str) -> None:
    """Write the configuration of every user, and that of Kafka's tools."""
    for user in secured.users():
        private(secured.config_of(user), _toml(secured, user, bootstrap))
    settings = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": MECHANISM,
        "sasl.jaas.config": _login(secured, ADMIN),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(secured.authority),
    }
    from penstock.devkafka.config import render

    private(secured.admin_properties, render(settings))


def _toml(secured: Secured, user: str, bootstrap: str) -> str:
    lines = {
        "bootstrap": bootstrap,
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": MECHANISM,
        "sasl_plain_username": user,
        "sasl_plain_password_file": str(secured.password_of(user)),
        "ssl_cafile": str(secured.authority),
    }
    head = f"# User {user} of the embedded Kafka: set PENSTOCK_CONFIG to this file, or copy its lines into penstock.toml.\n"
    return head + "".join(f"{key} = {_quoted(value)}\n" for key, value in lines.items())


def _quoted(text: str) -> str:
    """Return a TOML string; a path may hold anything."""
    import json

    return json.dumps(text, ensure_ascii=False)


def _login(secured: Secured, user: str) -> str:
    password = secured.password_of(user).read_text()
    return f'org.apache.kafka.common.security.scram.ScramLoginModule required username="{user}" password="{password}";'
