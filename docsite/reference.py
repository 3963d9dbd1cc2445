"""The pages of the reference, each made from the model that the code itself uses: they cannot fall behind it."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import typer
from typer.cli import get_docs_for_click

from docsite import tables
from penstock import settings
from penstock.cli.main import app
from streams.audit.codes import CODES
from streams.telemetry.metrics import Metrics
from topology.spec import KINDS, WorkflowFile

ROOT = Path(__file__).parents[1]
COUNTER = "counter"


def workflow() -> str:
    """Return every key of the workflow file."""
    schema = WorkflowFile.model_json_schema()
    known = schema["$defs"]
    kinds = [kind.__name__ for kind in KINDS.values()]
    rest = sorted(set(known) - {"WorkflowSpec", *kinds})
    parts = [
        "# Workflow file\n",
        "Made from `topology/spec.py`. For editors: [workflow-schema.json](../workflow-schema.json), a JSON Schema. "
        "An unknown key is an error, with file, line and column; paths are relative to the file. The file has one key, `workflow`:\n",
        tables.keys(known["WorkflowSpec"], known),
    ]
    for name in (*kinds, *rest):
        parts += [f"## {tables.heading(name)}\n", f"{_first(known[name])}\n", tables.keys(known[name], known)]
    return "\n".join(parts)


def command_line() -> str:
    """Return every command with its options, as typer itself writes them."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="penstock", title="Command line")
    return html.unescape(text).replace("```console", "```text")


def configuration() -> str:
    """Return every setting: its variable, its key in the file, what it does."""
    schema = settings.Settings.model_json_schema(by_alias=False)
    known = schema.get("$defs", {})
    rows = [
        (_variable(name) if _secret(key) or name in _ENVIRONMENT_ONLY else f"`{name}`", *_told(name, key, known))
        for name, key in schema["properties"].items()
        if name != "config_file"
    ]
    parts = [
        "# Settings\n",
        "Made from `penstock/settings.py`. A setting `x` is the key `x` in `penstock.toml` (in the current folder, or the file that `PENSTOCK_CONFIG` "
        "names), or the variable `PENSTOCK_X`, which wins. Those written as variables here are never in the file: secrets, and OpenAI's own.\n",
        tables.table(("setting", "type", "default", ""), rows),
        "Further variables, which the file does not know:\n",
        tables.table(("variable", ""), [*OTHER_VARIABLES.items(), *_of_options()]),
    ]
    for name in sorted(known):
        if "properties" in known[name]:
            parts += [f"## {tables.heading(name)}\n", f"{_first(known[name])}\n", tables.keys(known[name], known)]
    return "\n".join(parts)


def metrics() -> str:
    """Return every metric of a worker."""
    rows = [
        (f"`{family.name}{'_total' if family.type == COUNTER else ''}`", family.type, family.documentation)
        for family in sorted(_families(), key=lambda family: str(family.name))
    ]
    return (
        "# Metrics\n\nMade from `streams/telemetry/metrics.py`. What the labels are, and how to get at them: "
        "[observability](../observability.md#metrics).\n\n" + tables.table(("metric", "type", ""), rows)
    )


def audit_codes() -> str:
    """Return every code that `penstock audit run` may name."""
    rows = [(f"`{code}`", meaning) for code, meaning in CODES.items()]
    return (
        "# Audit codes\n\nMade from `streams/audit/codes.py`: what `penstock audit run` names when an invariant does not hold. "
        "They are stable: scripts and dashboards may count them.\n\n" + tables.table(("code", "what is wrong"), rows)
    )


def decisions() -> str:
    """Return the list of decision records."""
    lines = []
    for file in sorted((ROOT / "docs" / "adr").glob("[0-9]*.md")):
        number, _, title = file.read_text(encoding="utf-8").split("\n", 1)[0].removeprefix("# ").partition(" ")
        lines.append(f"- [{number.strip(':.')}]({file.name}) {title}")
    return "# Decisions\n\nWhat was decided, why, and what it costs; ten lines each.\n\n" + "\n".join(lines) + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "reference/workflow.md": workflow,
    "reference/cli.md": command_line,
    "reference/settings.md": configuration,
    "reference/metrics.md": metrics,
    "reference/audit-codes.md": audit_codes,
    "adr/index.md": decisions,
}
"""Where each is on the site."""

_ENVIRONMENT_ONLY = frozenset({"openai_base_url"})


OTHER_VARIABLES: Mapping[str, str] = {
    "`PENSTOCK_CONFIG`": "The settings file, instead of `penstock.toml` in the current folder.",
    "`OTEL_*`": "Where traces and metrics go: [observability](../observability.md).",
    "`TRACEPARENT`": "The span that commands go on from, where they are given no `--traceparent`.",
    "`PENSTOCK_KAFKA_DIST`": "Folder of the embedded Kafka's jars; several homes may share it.",
    "`PENSTOCK_KAFKA_HEAP`": "Heap of the embedded Kafka, such as `512m`.",
    "`PENSTOCK_MAVEN_REPOSITORY`": "Where its jars come from, instead of Maven Central.",
}


def _of_options() -> Iterable[tuple[str, str]]:
    """Yield the variables that stand for an option of the command line, with its help."""
    found = {
        parameter.envvar: f"`{parameter.opts[0]}`: {parameter.help}"
        for command in _commands(typer.main.get_command(app))
        for parameter in command.params
        if isinstance(parameter.envvar, str) and parameter.envvar.startswith("PENSTOCK_")
    }
    return ((f"`{name}`", text) for name, text in sorted(found.items()))


def _commands(command: Any) -> Iterable[Any]:
    yield command
    for inner in getattr(command, "commands", {}).values():
        yield from _commands(inner)


def _first(schema: Mapping[str, Any]) -> str:
    return str(schema.get("description", "")).split("\n\n")[0]


def _variable(name: str) -> str:
    alias = settings.Settings.model_fields[name].validation_alias
    return f"`{alias or 'PENSTOCK_' + name.upper()}`"


def _secret(key: Mapping[str, Any]) -> bool:
    return any(option.get("format") == "password" for option in (key, *key.get("anyOf", ())))


def _told(name: str, key: Mapping[str, Any], known: Mapping[str, Any]) -> tuple[str, str, str]:
    kind = "secret" if _secret(key) else tables.kind_of(key, known)
    return kind, tables.default_of(name, key, ()), tables.said_of(key, known)


def _families() -> Iterable[Any]:
    """Yield what a worker's endpoint has before its first record, but for what Python itself tells."""
    return list(Metrics().registry.collect())
