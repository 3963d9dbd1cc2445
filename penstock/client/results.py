"""The results of runs, from a workflow's output topic; for runs that were refused, from its dead letters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord

from penstock.client import reading
from schemas import headers as names
from schemas.claims import value_of
from schemas.headers import header
from topology.naming import dead_letter_topic, input_topic, output_topic

log = structlog.get_logger(__name__)

Result = dict[str, Any]


async def results(reader: AIOKafkaConsumer, run_id: str | None = None) -> AsyncIterator[Result]:
    """Yield results from the partitions assigned to `reader`, each once; those of `run_id` alone if it is given."""
    repeats = reading.Repeats()
    async for record in reading.forever(reader):
        result = result_in(record)
        if result is not None and run_id in (None, result.get("run_id")) and repeats.is_new(record):
            yield result


def result_in(record: ConsumerRecord) -> Result | None:
    """Return the result in a record of an output topic; what somebody else wrote there is none."""
    try:
        value = value_of((record.value or b"").decode())
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    log.warning("not a result", topic=record.topic, partition=record.partition, offset=record.offset)
    return None


class Outcomes:
    """Follows runs that are about to be published: each ends with a result, or its input is refused as a dead letter."""

    def __init__(self, reader: AIOKafkaConsumer, workflow_id: str, run_ids: Collection[str]) -> None:
        self._reader = reader
        self._input = input_topic(workflow_id)
        self._output = output_topic(workflow_id)
        self._dead = dead_letter_topic(workflow_id)
        self.missing = dict.fromkeys(run_ids)
        """The ids of runs not ended yet, in the order of their inputs."""

    async def begin(self, partitions: dict[str, int]) -> None:
        """Note where the topics end: call it before anything is published."""
        places = [
            place for topic in (self._output, self._dead) for place in reading.places_of(topic, partitions[topic])
        ]
        await reading.begin(self._reader, places, "latest")

    async def follow(self) -> AsyncIterator[Result]:
        """Yield how each run ended, until all did."""
        if not self.missing:
            return
        async for record in reading.forever(self._reader):
            result = self.read(record)
            if result is not None and result.get("run_id") in self.missing:
                del self.missing[result["run_id"]]
                yield result
                if not self.missing:
                    return

    def read(self, record: ConsumerRecord) -> Result | None:
        """Return how a run ended, if the record says so."""
        return result_in(record) if record.topic == self._output else self._refused(record)

    def _refused(self, record: ConsumerRecord) -> Result | None:
        """Return what became of an input that intake refused; a node's dead letter is not the end of its run."""
        if header(record.headers, names.ERROR + "topic") != self._input:
            return None
        error = {name: header(record.headers, names.ERROR + name) for name in ("kind", "message")}
        return {"run_id": header(record.headers, names.RUN_ID), "status": "dead_letter", "error": error}
