"""The `encryption` settings, and the keyring that they make: keys come from files or from commands, never from `penstock.toml` itself."""

from __future__ import annotations

import base64
import binascii
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from schemas.sealed import DATA_KEY, MAX_KEY_ID
from streams.errors import PenstockError
from streams.sealing.keyring import Keyring

if TYPE_CHECKING:
    from penstock.settings import Settings

COMMAND_WITHIN_S = 60

KeyId = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]*$", max_length=MAX_KEY_ID)]


class EncryptionError(PenstockError):
    """A key that cannot be had.

    Operator action: correct the file or command that the message names; `openssl rand -base64 32` makes a key.
    """


class KeySettings(BaseModel):
    """`encryption.keys.NAME`: where a key of 32 bytes, in base64, is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Path | None = Field(
        None, description="File that holds the key; a relative path is from penstock.toml's folder."
    )
    command: str | None = Field(None, min_length=1, description="Command that prints the key; run without a shell.")

    @model_validator(mode="after")
    def _one_of_them(self) -> KeySettings:
        if (self.file is None) == (self.command is None):
            raise ValueError("give either file or command")
        return self


class EncryptionSettings(BaseModel):
    """`encryption`: the keys of what travels (docs/encryption.md)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    current: KeyId | None = Field(
        None, description="The key that encrypts. Without one nothing is encrypted; keys then only read."
    )
    keys: dict[KeyId, KeySettings] = Field(
        default_factory=dict, description="Every key by its name: a name never gets another key."
    )
    require: bool = Field(False, description="Refuse records that are not encrypted, those of other producers too.")

    @model_validator(mode="after")
    def _current_is_there(self) -> EncryptionSettings:
        if self.current is not None and self.current not in self.keys:
            raise ValueError(f"current is {self.current!r}, and keys has none of that name")
        if self.require and self.current is None:
            raise ValueError("require is true, and no current key is named")
        return self


def keyring_of(settings: Settings) -> Keyring | None:
    """Return the keys, None if there are none in the settings.

    Raises:
        EncryptionError: a key cannot be had, or is none.
    """
    told = settings.encryption
    if not told.keys:
        return None
    folder = Path.cwd() if settings.config_file is None else settings.config_file.parent
    _require_library()
    return Keyring(told.current, {name: _key_of(name, told.keys[name], folder) for name in told.keys}, told.require)


def _key_of(name: str, key: KeySettings, folder: Path) -> bytes:
    where = f"encryption.keys.{name}"
    text = _from_file(where, folder / key.file) if key.file is not None else _from_command(where, key.command or "")
    try:
        found = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != DATA_KEY:
        raise EncryptionError(
            f"{where}: not {DATA_KEY} bytes in base64 ({len(text)} characters were found): `openssl rand -base64 32` makes a key"
        )
    return found


def _from_file(where: str, path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise EncryptionError(f"{where}.file: {path}: {error.strerror}") from None
    except ValueError:
        raise EncryptionError(f"{where}.file: {path}: not base64") from None


def _from_command(where: str, command: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own command, without a shell
            shlex.split(command), capture_output=True, timeout=COMMAND_WITHIN_S, check=False
        )
    except (OSError, ValueError) as error:
        raise EncryptionError(f"{where}.command: {getattr(error, 'strerror', None) or error}") from None
    except subprocess.TimeoutExpired:
        raise EncryptionError(f"{where}.command: gave no key within {COMMAND_WITHIN_S} s") from None
    if done.returncode != 0:
        raise EncryptionError(
            f"{where}.command: ended with {done.returncode}; what it said is not shown, run it to see"
        )
    return done.stdout.decode("ascii", errors="replace")


def _require_library() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise EncryptionError("encryption needs the package `cryptography`: pip install -e '.[encryption]'") from None
