"""Load a user's handler at start-up, or say in which line of which file it cannot be loaded."""

from __future__ import annotations

import hashlib
import importlib
import importlib.machinery
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from streams.errors import HandlerImportError
from streams.nodes.siblings import siblings_importable
from streams.providers.redact import safe_message
from topology.plan import FunctionPlan


@dataclass(frozen=True, slots=True)
class Handler:
    """A loaded handler; `place` is `file:line` of its definition, `folder` where it and its siblings are."""

    function: Callable[..., Any]
    name: str
    place: str
    folder: str | None
    is_async: bool


class _SourceLoader(importlib.machinery.SourceFileLoader):
    """Compiles the source each time: a cached .pyc is told from an edited file by its whole seconds only."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def load_handler(plan: FunctionPlan, workflow_id: str, module_paths: tuple[Path, ...] = ()) -> Handler:
    """Return the handler, or raise HandlerImportError naming the file and line of the cause."""
    if plan.path is not None:
        module = _load_file(Path(plan.path), workflow_id)
    else:
        module = _load_module(plan.module or "", module_paths)
    source = module.__file__ or plan.path or plan.module or ""
    handler = _handler_in(module, plan.name, source)
    if plan.executor == "process" and handler.is_async:
        raise HandlerImportError(
            f"{handler.place}: {handler.name}() is async: executor: process is for plain functions"
        )
    return handler


def _load_file(path: Path, workflow_id: str) -> ModuleType:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise HandlerImportError(f"{path}: cannot read the handler: {error.strerror}") from error
    digest = hashlib.sha256(content + bytes(path)).hexdigest()[:12]
    name = f"penstock_handler_{workflow_id}_{path.stem}_{digest}".replace(".", "_").replace("-", "_")
    if name in sys.modules:
        return sys.modules[name]
    loader = _SourceLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None  # noqa: S101 - a loader was given
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    try:
        with siblings_importable(path.parent):
            loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        raise _import_error(error, path) from error
    return module


def _load_module(name: str, module_paths: tuple[Path, ...]) -> ModuleType:
    for folder in (Path.cwd(), *module_paths):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except BaseException as error:
        raise _import_error(error, None, f"handler module {name!r}") from error


def _import_error(error: BaseException, path: Path | None, what: str = "the handler") -> HandlerImportError:
    if isinstance(error, KeyboardInterrupt):
        raise error
    if isinstance(error, SyntaxError) and error.filename:
        return HandlerImportError(f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}")
    frames = [entry for entry in traceback.extract_tb(error.__traceback__) if _is_users(entry.filename)]
    near = [entry for entry in frames if path is not None and entry.filename.startswith(str(path.parent) + os.sep)]
    chosen = (near or frames)[-1:]
    place = f"{chosen[0].filename}:{chosen[0].lineno}: " if chosen else f"{path}: " if path else ""
    return HandlerImportError(safe_message(f"{place}{what} does not import: {type(error).__name__}: {error}"))


def _is_users(filename: str) -> bool:
    return not filename.startswith("<") and filename != __file__ and os.sep + "importlib" + os.sep not in filename


def _handler_in(module: ModuleType, name: str, source: str) -> Handler:
    function = getattr(module, name, None)
    if function is None:
        raise HandlerImportError(f"{source}:1: has no function {name!r}{_known(module)}")
    if not callable(function):
        raise HandlerImportError(f"{source}:1: {name!r} is a {type(function).__name__}, not a function")
    place = f"{source}:{_line(function)}"
    try:
        inspect.signature(function).bind({}, None)
    except TypeError as error:
        raise HandlerImportError(f"{place}: {name}() must take (inputs, context): {error}") from error
    except ValueError:
        pass  # a builtin without a signature
    folder = os.path.dirname(module.__file__) if module.__file__ else None
    return Handler(function, name, place, folder, _is_async(function))


def _known(module: ModuleType) -> str:
    names = [name for name, value in vars(module).items() if inspect.isfunction(value) and not name.startswith("_")]
    return f"; it has {', '.join(sorted(names)[:10])}" if names else ""


def _line(function: Callable[..., Any]) -> int:
    unwrapped: Any = inspect.unwrap(function)
    if not hasattr(unwrapped, "__code__"):
        unwrapped = type(unwrapped).__call__  # an object that is called like a function
    code = getattr(unwrapped, "__code__", None)
    return code.co_firstlineno if isinstance(code, CodeType) else 1


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
