"""A workflow file -> spec and plan, or everything that is wrong with it. The only entrance; it raises nothing for bad input."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from topology.background import check_background
from topology.compile import compile_plan
from topology.confidence import check_confidence
from topology.diagnostics import Diagnostic, WorkflowErrors
from topology.files import Read, UnreadableFile, read_file, read_text
from topology.graph import Graph, build_graph, shapes_of
from topology.naming import IllegalTopicName
from topology.parse import Finding, Parsed, parse_spec, raw_nodes
from topology.place import Place
from topology.plan import DEFAULT_PARTITIONS, WorkflowPlan
from topology.references import References, check_references
from topology.resources import Resources, input_schema_of, load_resources
from topology.routes import check_routes
from topology.rules import check_node, check_workflow
from topology.spec import WorkflowSpec
from topology.yaml_tree import YamlTree, parse_yaml


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a file came to: with errors there is no plan."""

    spec: WorkflowSpec | None
    plan: WorkflowPlan | None
    errors: tuple[Diagnostic, ...]
    warnings: tuple[Diagnostic, ...] = ()

    def require_plan(self) -> WorkflowPlan:
        """Return the plan, or raise `WorkflowErrors` with everything that is wrong."""
        if self.plan is None:
            raise WorkflowErrors(self.errors)
        return self.plan


def load_workflow(
    path: Path | str, *, read: Read = read_file, partitions: int = DEFAULT_PARTITIONS, called: str | None = None
) -> Loaded:
    """Return the workflow in the file at `path`, or all its errors; files are read with `read`.

    `called` is the id it gets instead of its own: all of its topics and its group have another name then.
    """
    path = Path(path)
    try:
        text = read_text(path, read)
    except UnreadableFile as error:
        return _failed(Diagnostic(str(path), error.line, error.col, error.message))
    tree = parse_yaml(text)
    if tree.data is None:
        problems = [Diagnostic(str(path), problem.line, problem.col, problem.message) for problem in tree.problems]
        return _failed(*problems or [Diagnostic(str(path), 1, 1, "the file is empty")])
    return _load(Place(path, text, tree.marks), tree, read, partitions, called)


def _load(place: Place, tree: YamlTree, read: Read, partitions: int, called: str | None) -> Loaded:
    parsed = parse_spec(tree.data)
    if called is not None and parsed.spec is not None:
        parsed = replace(parsed, spec=parsed.spec.model_copy(update={"id": called}))
    graph, graph_findings = build_graph(shapes_of(raw_nodes(tree.data)))
    resources = load_resources(place, read, input_schema_of(tree.data, parsed.spec), parsed.nodes)
    references = check_references(place, graph, parsed.nodes, resources)
    confidence = [place.diagnostic(*found) for found in check_confidence(parsed.nodes, resources.schemas)]
    errors = [Diagnostic(str(place.path), problem.line, problem.col, problem.message) for problem in tree.problems]
    findings = [*parsed.findings, *graph_findings, *_rules(parsed, tree.data), *check_routes(graph, parsed.nodes)]
    findings += check_background(parsed.nodes, references.names)
    errors += [place.diagnostic(finding) for finding in findings]
    errors += [*resources.errors, *references.errors, *(found for found in confidence if found.severity == "error")]
    if partitions < 1:
        errors.append(Diagnostic(str(place.path), 1, 1, f"there must be at least 1 partition, not {partitions}"))
    warnings = [*references.warnings, *(found for found in confidence if found.severity == "warning")]
    return _finish(place, parsed, graph, resources, references, errors, warnings, partitions)


def _finish(
    place: Place,
    parsed: Parsed,
    graph: Graph,
    resources: Resources,
    references: References,
    errors: list[Diagnostic],
    warned: list[Diagnostic],
    partitions: int,
) -> Loaded:
    warnings = tuple(sorted(warned))
    if errors or parsed.spec is None:
        return Loaded(parsed.spec, None, tuple(sorted(set(errors))), warnings)
    try:
        plan = compile_plan(parsed.spec, graph, references.names, resources, partitions)
    except IllegalTopicName as error:  # with a long prefix, or a long id for a node of a long id
        found = place.diagnostic(Finding(("workflow", "id"), f"{error}: shorten an id, or topic_prefix"))
        return Loaded(parsed.spec, None, (found,), warnings)
    return Loaded(parsed.spec, plan, (), warnings)


def _rules(parsed: Parsed, raw: Any) -> list[Finding]:
    findings = [] if parsed.spec is None else list(check_workflow(parsed.spec))
    for index, node in parsed.nodes.items():
        findings += check_node(index, node)
    return findings


def _failed(*errors: Diagnostic) -> Loaded:
    return Loaded(None, None, tuple(sorted(errors)))
