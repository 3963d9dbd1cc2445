"""Let a handler import the files next to it, without handing one workflow's `helpers.py` to another workflow."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

_lock = threading.RLock()
_kept: dict[str, dict[str, ModuleType]] = {}
"""Handler folder -> the modules that were imported from it, by name: two handlers of one folder share them."""


@contextmanager
def siblings_importable(folder: Path) -> Iterator[None]:
    """Make the modules in `folder` importable by their plain names while a handler is being loaded.

    Afterwards the folder stays importable, at the end of the path, for imports inside a function body. Where two folders
    have modules of one name, such late imports get the one that was loaded first; imports at the top are always right.
    """
    key = str(folder.resolve())
    with _lock:
        _kept.setdefault(key, {})
        hidden = _hide_others(key)
        sys.modules.update(_kept[key])
        sys.path.insert(_after_stdlib(), key)
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.path.remove(key)
            if key not in sys.path:
                sys.path.append(key)
            _kept[key].update({name: module for owner, name, module in _siblings() if owner == key})
            sys.modules.update(hidden)


def _after_stdlib() -> int:
    """Return where to put a folder: behind the standard library (a handler may be called email.py), before packages."""
    for index, entry in enumerate(sys.path):
        if "site-packages" in entry or "dist-packages" in entry:
            return index
    return len(sys.path)


def _hide_others(key: str) -> dict[str, ModuleType]:
    """Take the modules of other handler folders out of `sys.modules`, so that their names are free; return them."""
    hidden = {}
    for owner, name, module in _siblings():
        if owner != key:
            _kept[owner].setdefault(name, module)
            hidden[name] = sys.modules.pop(name)
    return hidden


def _siblings() -> list[tuple[str, str, ModuleType]]:
    """Return every imported module that lies in a handler folder, with that folder."""
    found = []
    for name, module in list(sys.modules.items()):
        if isinstance(module, ModuleType) and not name.startswith("penstock_handler_"):
            owner = _import_root(name, module)
            if owner in _kept:
                found.append((owner, name, module))
    return found


def _import_root(name: str, module: ModuleType) -> str:
    """Return the folder that was on the path when `module` was imported: `parts.deep` of /x/parts/deep.py gives /x."""
    place: str = vars(module).get("__file__") or next(iter(vars(module).get("__path__") or ()), "")
    parts = place.replace("\\", "/").removesuffix("/__init__.py").split("/")
    return "/".join(parts[: -name.count(".") - 1])
