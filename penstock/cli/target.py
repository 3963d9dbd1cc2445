"""Where Kafka is: the option, else the setting, else the embedded one of the home if it runs."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from penstock.cli import logs
from penstock.cli.errors import BadUsage, say

if TYPE_CHECKING:
    from penstock.client.times import Begin
    from penstock.security import ClientArguments
    from penstock.settings import Settings
    from streams.claims.claims import Claims
    from streams.engine.config import EngineConfig
    from streams.engine.wire import Wire
    from streams.sealing.keyring import Keyring

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:,\[\]]+):(\d{1,5})\Z")


def outside(option: str | None, settings: Settings) -> str | None:
    """Return the address that the user named, None if nobody named one."""
    named = option or settings.bootstrap
    if named is None:
        if settings.security_protocol != "PLAINTEXT":
            raise BadUsage(
                f"security_protocol is {settings.security_protocol}, and no broker is named: set bootstrap or PENSTOCK_BOOTSTRAP"
            )
        return None
    return address(named)


def address(text: str) -> str:
    """Return broker addresses; BadUsage if they are none."""
    for part in text.split(","):
        found = _ADDRESS.match(part.strip())
        if found is None or not 0 < int(found[2]) < 65_536:
            raise BadUsage(f"{part.strip()!r} is no broker address: HOST:PORT, several with commas between them")
    return text


def config_of(option: str | None) -> EngineConfig:
    """Return how to reach the broker; `BrokerUnreachable` says how to start one if nobody named one and none runs."""
    from penstock import settings
    from streams.engine.config import EngineConfig

    known = settings.load()
    address = outside(option, known) or embedded(known)
    keys = keys_to_read(known)
    return EngineConfig(
        address, kafka=security_of(known), sealing=keys, claims=claims_of(known, keys), wire=wire_of(known)
    )


def claims_of(settings: Settings, keyring: Keyring | None) -> Claims | None:
    """Return the claim stores that are allowed, None if there are none."""
    from streams.claims.claims import Claims

    return Claims(settings.claim_check_stores, keyring) if settings.claim_check_stores else None


def security_of(settings: Settings) -> ClientArguments:
    """Return what Kafka's clients are made with; what works and should not be is said once, secrets are kept out of logs."""
    from penstock import kafka_settings, security

    for warning in kafka_settings.warnings(settings):
        say(f"penstock: warning: {warning}")
    logs.hide(security.secrets_of(settings))
    return security.client_arguments(settings)


def keys_to_read(settings: Settings) -> Keyring:
    """Return the keys of a command, at least an empty set: so that it says what is missing where a workflow is encrypted."""
    from streams.sealing.keyring import Keyring

    return keys_of(settings) or Keyring()


def keys_of(settings: Settings) -> Keyring | None:
    """Return the keys of what travels, None if there are none; where there are, log lines quote no payload."""
    from penstock.encryption import keyring_of

    keyring = keyring_of(settings)
    if keyring is not None:
        logs.withhold_quotes()
    return keyring


def wire_of(settings: Settings) -> Wire | None:
    """Return how records look to the schema registry, None if none is set."""
    if settings.schema_registry_url is None:
        return None
    from penstock.registry.connect import connect

    secrets = (settings.schema_registry_password, settings.schema_registry_token)
    logs.hide([secret.get_secret_value() for secret in secrets if secret is not None])
    return connect(settings)


def embedded(settings: Settings) -> str:
    """Return the address of the home's embedded Kafka; `BrokerUnreachable` if it does not run."""
    from penstock import devkafka
    from streams.errors import BrokerUnreachable

    status = devkafka.status(settings.home)
    found = status.bootstrap
    if found is not None and status.config is not None:
        raise BadUsage(
            f"the embedded Kafka of {str(settings.home)!r} is secured: say who you are with PENSTOCK_CONFIG={status.config}, "
            "or copy that file's lines into penstock.toml"
        )
    if found is None:
        raise BrokerUnreachable(
            f"no Kafka: the embedded one of {str(settings.home)!r} does not run. Start it with `penstock kafka start`, "
            "or say where yours is with --bootstrap or PENSTOCK_BOOTSTRAP"
        )
    return found


def worker_config(
    bootstrap: str, settings: Settings, partitions: int | None, resume_from: int | None, drain_timeout_s: float = 30.0
) -> EngineConfig:
    """Return how an engine runs."""
    from streams.engine.config import EngineConfig

    keyring = keys_of(settings)
    return EngineConfig(
        bootstrap,
        partitions=partitions,
        drain_timeout_s=drain_timeout_s,
        resume_from_ms=resume_from,
        lease_folder=settings.home.absolute() / "workers",
        kafka=security_of(settings),
        sizes=settings.sizes(),
        sealing=keyring,
        claims=claims_of(settings, keyring),
        wire=wire_of(settings),
    )


def resume_from(text: str | None) -> int | None:
    """Return the epoch ms that `--resume-from` means."""
    if text is None:
        return None
    found = begin(text, "--resume-from")
    if found == "earliest":
        return 0
    return time.time_ns() // 1_000_000 if found == "latest" else int(found)


def begin(text: str, option: str) -> Begin:
    """Return where reading begins; BadUsage if `option` does not say."""
    from penstock.client.times import begin_of

    try:
        return begin_of(text, time.time_ns() // 1_000_000)
    except ValueError as error:
        raise BadUsage(f"{option}: {error}") from None
