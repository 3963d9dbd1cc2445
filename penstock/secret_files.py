"""Secrets among the settings: from the environment, or from a file of their own; never from `penstock.toml`.

A setting `x` of type SecretStr with a neighbour `x_file` may be given by either; the file's text is taken without its last line break.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo


class SecretProblem(ValueError):
    """A secret that is in the wrong place or cannot be read; `key` says which."""

    def __init__(self, key: str, said: str) -> None:
        super().__init__(f"{key}: {said}")
        self.key, self.said = key, said


def is_secret(field: FieldInfo) -> bool:
    """Say whether a field holds a secret."""
    return field.annotation is SecretStr or SecretStr in get_args(field.annotation)


def refuse_in_file(model: type[BaseModel], values: Mapping[str, Any]) -> None:
    """Raise `SecretProblem` if what a configuration file says holds a secret: it is read, shared and committed by many."""
    for key in sorted(values.keys() & model.model_fields.keys()):
        if is_secret(model.model_fields[key]):
            raise SecretProblem(key, f"a secret does not belong in this file: {ways(model, key)}")


def ways(model: type[BaseModel], key: str) -> str:
    """Say how a secret is set."""
    variable = f"set the environment variable PENSTOCK_{key.upper()}"
    return (
        f"{variable}, or name a file that holds it with {key}_file" if f"{key}_file" in model.model_fields else variable
    )


def read(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, str]:
    """Return the secrets that are in files of their own, by key."""
    found = {}
    for key, field in model.model_fields.items():
        path = values.get(f"{key}_file")
        if not is_secret(field) or path is None:
            continue
        if values.get(key) is not None:
            raise SecretProblem(f"{key}_file", f"{key} is set, too: which of them is meant?")
        found[key] = text_of(f"{key}_file", Path(path))
    return found


def text_of(key: str, path: Path) -> str:
    """Return the secret in a file."""
    try:
        text = path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise SecretProblem(key, f"{path}: {error.strerror}") from None
    except ValueError:
        raise SecretProblem(key, f"{path}: not text") from None
    if not text:
        raise SecretProblem(key, f"{path}: empty")
    return text
