"""A run's trace, from real worker processes to a real OTLP receiver: one tree, over retry, fallback, review, redrive and a killed worker."""

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.headers import header
from schemas.trace import parse_traceparent
from tests.cli.conftest import Cli, provider_process, write_workflow
from tests.kafka_tools import read_all
from tests.otlp_receiver import Receiver, Span

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

PRODUCER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
KEY = "sk-secret-0123456789abcdef"

WORKFLOW = """workflow:
  id: {id}
  version: 1.0.0
  nodes:
    - id: label
      type: llm
      model: first
      prompt_template: label.j2
      output_schema: label.json
      max_retries: 2
      backoff_ms: 10
    - id: draft
      type: llm
      model: first
      fallback_models: [second]
      prompt_template: draft.j2
      max_retries: 0
      dependencies: [label]
    - {{id: sign, type: review, dependencies: [draft], timeout_ms: 600000}}
    - {{id: store, type: function, handler: store.py, dependencies: [sign], max_retries: 0}}
"""

HANDLER = """
import pathlib

def handle(inputs, context):
    with context.tracer.start_as_current_span("write to the store"):
        context.logger.warning("storing", where="here")
    if not pathlib.Path(__file__).with_name("open").exists():
        raise ValueError("the store is closed")
    return {}
"""

RULES = [
    {"contains": "LABEL", "sequence": ["schema_break", {"answer": {"label": "a", "confidence": 0.9}}]},
    {"contains": "DRAFT", "model": "first", "sequence": ["http_500"]},
]


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver that workers started later send to."""
    found = Receiver()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.endpoint)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    yield found
    found.close()


def start_provider(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> str:
    """Start a provider that plays RULES; return where its ledger is."""
    config = cli.folder / "provider.json"
    config.write_text(json.dumps({"rules": RULES}))
    told = provider_process(cli, "--config", str(config))
    (cli.folder / "penstock.toml").write_text(
        f'[providers.acme]\nbase_url = "{told["base_url"]}"\napi_key_env = "ACME_KEY"\nmodels = ["first", "second"]\n'
    )
    monkeypatch.setenv("ACME_KEY", KEY)
    return str(told["admin_url"])


def ledger(admin: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{admin}/calls") as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found


@pytest.fixture
def traced(cli: Cli) -> tuple[str, Path]:
    """A workflow with a retry, a fallback, a review, and a store that is closed."""
    (cli.folder / "label.j2").write_text("LABEL this: {{ input.text }}")
    (cli.folder / "draft.j2").write_text("DRAFT of {{ label.label }}: {{ input.text }}")
    schema = {
        "type": "object",
        "properties": {"label": {"type": "string"}, "confidence": {"type": "number"}},
        "required": ["label", "confidence"],
        "additionalProperties": False,
    }
    (cli.folder / "label.json").write_text(json.dumps(schema))
    (cli.folder / "store.py").write_text(HANDLER)
    return write_workflow(cli.folder, WORKFLOW)


def run_to_its_end(cli: Cli, workflow: str, file: Path) -> None:
    """Publish, kill the worker while the review waits, approve with another one, fail at the store, redrive."""
    first = cli.worker(file)
    cli("publish", workflow, "--input", '{"text": "the secret text"}', "--run-id", "r1", "--traceparent", PRODUCER)
    while not cli("review", "list", "--workflow", workflow, "--json").json:
        pass  # the test's timeout is the limit
    first.terminate()
    assert first.wait() == 0
    cli.worker(file)
    assert cli("review", "approve", "r1", "sign", "--workflow", workflow, "--reviewer", "ada").code == 0
    assert cli("consume", workflow, "--run-id", "r1", "--json").object["status"] == "failed"
    (cli.folder / "open").touch()
    assert cli("dead-letter", "redrive", workflow, "--yes").code == 0
    while cli("runs", "show", "r1", "--workflow", workflow, "--json").object["status"] != "success":
        pass


def test_one_trace_tells_of_a_run(
    cli: Cli, traced: tuple[str, Path], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow, file = traced
    admin = start_provider(cli, monkeypatch)
    run_to_its_end(cli, workflow, file)
    receiver.until(lambda: len(receiver.named(f"run {workflow}")) == 2)
    spans = {span.span_id: span for span in receiver.spans}
    assert_one_tree(spans)
    assert_attempts(receiver, spans)
    assert_epochs(receiver, workflow)
    assert_records(cli, workflow, spans)
    called = ledger(admin)
    assert tokens(receiver, "gen_ai.usage.input_tokens") == called["prompt_tokens"]
    assert tokens(receiver, "gen_ai.usage.output_tokens") == called["completion_tokens"]
    assert len(called["calls"]) == len([span for span in receiver.spans if span.name.startswith("chat ")]) == 4
    everything = b"".join(receiver.bodies)
    assert b"the secret text" not in everything
    assert KEY.encode() not in everything


def assert_one_tree(spans: dict[str, Span]) -> None:
    """One trace, and every span hangs on another one, but for the one that hangs on the producer's."""
    producer = parse_traceparent(PRODUCER)
    assert producer is not None
    assert {span.trace_id for span in spans.values()} == {producer.trace_id}
    outside = [span for span in spans.values() if span.parent_id not in spans]
    assert {span.parent_id for span in outside} == {producer.span_id}, [(s.name, s.parent_id) for s in outside]
    assert {span.name.split()[0] for span in outside} == {"process"}  # intake: of the input, and of two commands
    for span in spans.values():
        assert span.start <= span.end


def assert_records(cli: Cli, workflow: str, spans: dict[str, Span]) -> None:
    """Each record of the workflow names the span that it comes from."""
    assert cli.bootstrap is not None
    described = json.loads(cli("describe", next(cli.folder.glob("cli-*.yaml")), "--format", "json").out)
    seen = {}
    for topic in described["topics"]:
        if topic["purpose"] in ("input", "control"):
            continue
        for record in asyncio.run(read_all(cli.bootstrap, topic["name"])):
            kind, place = header(record.headers, "ce_type"), parse_traceparent(header(record.headers, "traceparent"))
            assert place is not None, (topic["name"], kind)
            assert place.span_id in spans, (topic["name"], kind)
            seen.setdefault(kind, spans[place.span_id].name)
    assert seen["Started"] == f"process {workflow}.input"
    assert seen["AttemptFailed"].startswith("attempt ")
    assert seen["ReviewRequested"] == "send sign review"
    assert seen["Decided"] == "decide sign"
    assert seen["ReviewSubmitted"] == f"process {workflow}.control"
    assert seen["EpochOpened"] == f"open epoch {workflow}"
    assert seen["Result"] == f"send {workflow}.output"
    assert seen["DeadLetter"] == "node store"


def assert_attempts(receiver: Receiver, spans: dict[str, Span]) -> None:
    first, second = receiver.named("attempt label")
    assert (first.failed, first.attributes["error.type"], first.attributes["penstock.schema.valid"]) == (
        True,
        "schema",
        False,
    )
    assert second.attributes["penstock.schema.valid"] is True
    assert second.attributes["penstock.confidence"] == 0.9
    assert (first.span_id, "previous attempt") in second.links
    assert second.events == [("penstock.retry", {"penstock.attempt": 2, "error.type": "schema"})]
    _, fallback = receiver.named("attempt draft")
    said = {"from": "first", "to": "second", "reason": "retries_exhausted"}
    assert ("penstock.fallback", said) in fallback.events
    (node,) = receiver.named("node label")
    assert {first.parent_id, second.parent_id} == {node.span_id}
    assert node.attributes["penstock.attempts"] == 2
    chats = [span for span in receiver.spans if span.name.startswith("chat ")]
    assert {spans[chat.parent_id].name for chat in chats} == {"attempt label", "attempt draft"}
    assert {chat.kind for chat in chats} == {"CLIENT"}
    (handled, again) = receiver.named("write to the store")
    assert spans[handled.parent_id].name == spans[again.parent_id].name == "attempt store"
    (asked,) = receiver.named("send sign review")
    (decided,) = receiver.named("decide sign")
    assert (asked.span_id, "request") in decided.links
    assert spans[asked.parent_id].name == spans[decided.parent_id].name == "node sign"
    assert decided.attributes["penstock.review.decision"] == "approve"


def assert_epochs(receiver: Receiver, workflow: str) -> None:
    first, second = receiver.named(f"run {workflow}")
    assert (first.attributes["penstock.status"], second.attributes["penstock.status"]) == ("failed", "success")
    (opening,) = receiver.named(f"open epoch {workflow}")
    assert second.parent_id == opening.span_id
    assert (first.span_id, "previous epoch") in opening.links
    (intake,) = receiver.named(f"process {workflow}.input")
    assert first.parent_id == opening.parent_id == intake.span_id
    failed, good = receiver.named("node store")
    assert (failed.parent_id, good.parent_id) == (first.span_id, second.span_id)
    sent = receiver.named(f"send {workflow}.output")
    assert [span.parent_id for span in sent] == [first.span_id, second.span_id]


def tokens(receiver: Receiver, name: str) -> int:
    return sum(span.attributes.get(name, 0) for span in receiver.spans)
