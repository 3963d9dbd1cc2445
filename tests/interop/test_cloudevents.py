"""Results, requests and dead letters, read by the CloudEvents SDK from real Kafka."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka import ConsumerRecord
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat

from tests.cli.conftest import Cli
from tests.kafka_tools import publish, read_until

pytestmark = pytest.mark.kafka


def event_of(record: ConsumerRecord) -> BaseCloudEvent:
    """Return what the SDK makes of a record; it refuses what is no CloudEvent."""
    return from_binary(KafkaMessage(dict(record.headers), record.key, record.value), JSONFormat())


def read(cli: Cli, topic: str, count: int) -> list[BaseCloudEvent]:
    """Return the first events of a topic."""
    assert cli.bootstrap is not None
    return [event_of(r) for r in asyncio.run(read_until(cli.bootstrap, topic, lambda found: len(found) >= count))]


def test_the_sdk_reads_what_is_public(cli: Cli, scoring: tuple[str, Path]) -> None:
    name, file = scoring
    assert cli.bootstrap is not None
    began = datetime.now(UTC)
    cli.worker(file)
    asyncio.run(publish(cli.bootstrap, f"{name}.input", [{"text": "hi"}, b"not JSON"], ["a", None]))
    (request,) = read(cli, f"{name}.score.requests", 1)
    assert request.get_id() == "a/score/0/1/Request"
    assert request.get_type() == "Request"
    assert request.get_source() == f"penstock/{name}/score"
    assert request.get_subject() == "a"
    assert request.get_specversion() == "1.0"
    assert request.get_data()["inputs"] == {"input": {"text": "hi"}}
    time = request.get_time()
    assert time is not None
    assert abs((time - began).total_seconds()) < 300

    asked = request.get_data()
    answer = {"type": "result", "output": {"score": 101}} | {
        k: asked[k] for k in ("run_id", "node", "epoch", "attempt")
    }
    asyncio.run(publish(cli.bootstrap, f"{name}.control", [answer], ["a"]))
    (result,) = read(cli, f"{name}.output", 1)
    assert (result.get_type(), result.get_subject(), result.get_id()) == ("Result", "a", "a/run/0/0/Result")
    assert result.get_datacontenttype() == "application/json"
    assert result.get_data()["status"] == "failed"

    letters = {event.get_source(): event for event in read(cli, f"{name}.dead-letter", 2)}
    of_node, of_input = letters[f"penstock/{name}/verdict"], letters[f"penstock/{name}"]
    assert (of_node.get_type(), of_node.get_subject()) == ("DeadLetter", "a")
    assert of_node.get_data() == {"input": {"text": "hi"}, "score": {"score": 101}}
    assert of_input.get_id().startswith(f"{name}.input/")
    assert of_input.get_subject() is None  # it had no key
    assert "not JSON" in json.dumps(str(of_input.get_data()))
