"""From an expected exception to one clear line and an exit code: 1 the work failed, 2 bad usage or a bad workflow. No traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

FAILED = 1
BAD_USAGE = 2


class BadUsage(Exception):
    """The command cannot be meant as it was given; the message says what to change."""


class Group(TyperGroup):
    """Commands whose expected errors become a line on stderr."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort):
            raise
        except KeyboardInterrupt:
            say("penstock: interrupted")
            raise
        except Exception as error:
            code = exit_code_of(error)
            if code is None:
                raise
            complain(error)
            raise typer.Exit(code) from error


def exit_code_of(error: Exception) -> int | None:
    """Return the exit code of an expected error, None for a defect of ours."""
    if isinstance(error, BadUsage):
        return BAD_USAGE
    # These are made of heavy modules: imported only when something went wrong.
    from penstock.client.errors import AmbiguousRun
    from penstock.devkafka.errors import DevKafkaError
    from penstock.encryption import EncryptionError
    from penstock.localmodel.errors import LocalModelError
    from penstock.settings import SettingsError
    from streams.errors import (
        AccessDenied,
        AuthenticationFailed,
        ClaimStoreError,
        HandlerImportError,
        InputMisfit,
        MoveUnderWay,
        PenstockError,
        ProviderConfigError,
        RegistryError,
        SchemaBreaks,
        StructureChanged,
        TelemetryError,
        TopicMismatch,
        TopicsMissing,
    )
    from topology.diagnostics import WorkflowErrors

    refused = (AccessDenied, AuthenticationFailed)
    misfit = (MoveUnderWay, SchemaBreaks, StructureChanged, TopicMismatch, TopicsMissing)
    bad = (HandlerImportError, InputMisfit, ProviderConfigError, RegistryError, TelemetryError, *misfit, *refused)
    if isinstance(error, (SettingsError, EncryptionError, ClaimStoreError, WorkflowErrors, AmbiguousRun, *bad)):
        return BAD_USAGE
    expected = isinstance(error, (PenstockError, DevKafkaError, LocalModelError)) or _is_kafka_error(error)
    return FAILED if expected else None


def complain(error: Exception) -> None:
    """Write what went wrong to stderr."""
    text = str(error) or type(error).__name__
    if _is_kafka_error(error):
        text = f"Kafka: {text}"
    if _is_a_refusal(error):
        text += ". An ACL is missing: `penstock acls FILE --principal P` prints what a worker needs, --for other roles"
    from topology.diagnostics import WorkflowErrors

    say(text if isinstance(error, WorkflowErrors) else f"penstock: {text}")


_voice: Callable[[str], None] | None = None


def say(line: str) -> None:
    """Write a line to stderr: whatever is not the command's product."""
    if _voice is None:
        typer.echo(line, err=True)
    else:
        _voice(line)


def say_with(voice: Callable[[str], None] | None) -> None:
    """Have lines written in another way: as log lines where all of stderr is JSON."""
    global _voice  # noqa: PLW0603 - stderr is global, too
    _voice = voice


def _is_a_refusal(error: BaseException | None) -> bool:
    """Say whether Kafka refused something for want of an ACL, and nobody said yet which."""
    from streams.errors import AccessDenied

    while error is not None and not isinstance(error, AccessDenied):
        if _is_kafka_error(error) and "Authorization" in type(error).__name__:
            return True
        error = error.__cause__
    return False


def _is_kafka_error(error: BaseException) -> bool:
    """Say whether Kafka's client raised it; without importing that where it was never used."""
    errors = sys.modules.get("aiokafka.errors")
    return errors is not None and isinstance(error, errors.KafkaError)
