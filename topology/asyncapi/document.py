"""The document: servers, channels with their messages and Kafka bindings, operations of the workers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.unions import files, newest
from topology.asyncapi import headers, payloads
from topology.avro_schema import namespace_of, record_of
from topology.contents import records_of
from topology.limits import limits_of
from topology.naming import consumer_group
from topology.plan import ClaimCheck, NodePlan, TopicPlan, TopicPurpose, WorkflowPlan
from topology.result_schema import result_avro
from topology.sizes import largest_record

Json = dict[str, Any]

VERSION = "3.0.0"
BINDING = "0.5.0"
AVRO = "application/vnd.apache.avro;version=1.9.0"
SCHEMAS = "#/components/schemas"

RUN_KEY: Json = {"type": "string", "description": "The run id, UTF-8: a run's records are in one partition."}
"""Not a reference: AsyncAPI's own schema takes one for both of two things, and refuses it."""

_SAID: Mapping[TopicPurpose, str] = {
    "input": "Anybody publishes inputs here: each is a run.",
    "control": "Anybody publishes commands here: cancel, redrive, replay, decisions, answers of external nodes.",
    "run": "The run's journal.",
    "journal": "A node's journal: all that happened to it. The first terminal record (Succeeded, Failed, Skipped, Cancelled) of a run and epoch counts.",
    "retry": "Attempts to come.",
    "dead-letter": "What failed for good, with its cause in the headers. Key and value are as they were; of a node, what it saw.",
    "output": "One result per run and epoch.",
    "tokens": "What models say while they say it.",
    "requests": "Work of an external node for somebody else's app.",
    "routes": "A router's decisions, by what they were made on.",
    "effects": "Work that is done once per idempotency key.",
}
_RECEIVED = ("input", "control", "run", "journal", "retry", "routes", "effects")
"""What the workers consume; they send to all but the first two."""


def document(plan: WorkflowPlan) -> Json:
    """Return the AsyncAPI 3 document of a workflow."""
    return _Writer(plan).document()


class _Writer:
    def __init__(self, plan: WorkflowPlan) -> None:
        self._plan = plan
        self._on_default = limits_of(plan).on_default
        self._channels: dict[str, Json] = {}
        self._operations: dict[str, Json] = {}
        self._messages: dict[str, Json] = {}
        self._schemas: dict[str, Any] = {
            "InternalHeaders": headers.internal(),
            "CloudEventHeaders": headers.public(),
        }

    def document(self) -> Json:
        plan = self._plan
        self._public_messages()
        self._records()
        for topic in plan.topics:
            self._topic(topic)
        self._changelogs()
        return {
            "asyncapi": VERSION,
            "info": {
                "title": plan.id,
                "version": plan.version,
                "description": f"The public topics of the Penstock workflow {plan.id!r}. Operations are those of its workers: what they "
                "receive you may publish, what they send you may consume.",
            },
            "defaultContentType": "application/json",
            "servers": {
                "kafka": {
                    "host": "{bootstrap}",
                    "protocol": "kafka",
                    "variables": {
                        "bootstrap": {"default": "127.0.0.1:9092", "description": "HOST:PORT of the brokers."}
                    },
                }
            },
            "channels": self._channels,
            "operations": self._operations,
            "components": {"schemas": self._schemas, "messages": self._messages},
        }

    # ---- messages -----------------------------------------------------------------------------------------------

    def _message(self, name: str, payload: Any, header: Json, **more: Any) -> None:
        self._messages[name] = {"name": name, "title": name, "headers": header, "payload": payload, **more}

    def _public_messages(self) -> None:
        plan = self._plan
        given = plan.input_schema
        self._schemas["Input"] = {} if given is None else payloads.moved(given, f"{SCHEMAS}/Input")
        self._schemas["DeadLetterHeaders"] = headers.dead_letter()
        self._input()
        if plan.claim_check is not None:
            self._claims(plan.claim_check)
        for name, schema in payloads.commands(plan).items():
            claimed = name == payloads.CLAIMED_RESULT
            self._message(name, schema, headers.commands(claimed), bindings=_kafka(RUN_KEY))
        self._result()
        self._message(
            "DeadLetter",
            {},
            _ref("DeadLetterHeaders"),
            summary="The bytes of the record that could not be used; of a node, a JSON object of what it saw.",
            bindings=_kafka(
                key={"type": "string", "description": "The run id, or the key of the record that could not be used."}
            ),
        )
        if any(node.stream for node in plan.nodes):
            self._message("Delta", payloads.token(plan), headers.tokens(), bindings=_kafka(RUN_KEY))

    def _claims(self, check: ClaimCheck) -> None:
        """Say which form an input has: what is large is a claim, and a header tells."""
        self._schemas["Claim"] = payloads.claim()
        self._message(
            "InputClaim",
            payloads.CLAIM,
            headers.inputs(claimed=True),
            contentType="application/json",
            summary=f"An input that is in a claim store: what has more than {check.above_bytes} bytes of JSON. Read, it must fit `Input`.",
            bindings=_kafka(key={"type": "string", "description": _key_of_input(self._plan)}),
        )

    def _input(self) -> None:
        plan, key = self._plan, {"type": "string", "description": _key_of_input(self._plan)}
        if plan.input_format == "json":
            self._message("Input", _ref("Input"), headers.inputs(), bindings=_kafka(key=key))
            return
        schema = record_of(plan.input_schema, "Input", namespace_of(plan.id))
        self._message(
            "Input",
            {} if schema is None else _avro(schema),
            headers.inputs(),
            contentType="application/avro",
            summary="Avro by any schema that its producer registered; decoded, it must fit `Input` of the schemas here.",
            bindings=_kafka(key=key, confluent=True),
        )

    def _result(self) -> None:
        plan = self._plan
        self._schemas["Result"] = payloads.result(plan, f"{SCHEMAS}/Result")
        if plan.output_format == "json":
            self._message("Result", _ref("Result"), _ref("CloudEventHeaders"), bindings=_kafka(RUN_KEY))
            return
        avro = _avro(result_avro(plan))
        bindings = _kafka(key=RUN_KEY, confluent=True)
        self._message("Result", avro, _ref("CloudEventHeaders"), contentType="application/avro", bindings=bindings)

    def _records(self) -> None:
        """Add a message for each type of record in the journals and tables."""
        self._schemas["RowHeaders"] = headers.row()
        for names in records_of(self._plan).values():
            for name in names:
                if name not in self._messages:
                    self._record(name)

    def _record(self, name: str) -> None:
        schema_id = newest()[name]
        is_row = name.endswith("Row") or name == "OwnerMarker"
        self._message(
            name,
            _avro(files()[schema_id]),
            _ref("RowHeaders" if is_row else "InternalHeaders"),
            contentType="application/avro",
            summary=f"Magic byte 0, schema id of 4 bytes (big-endian), the Avro body. Without a schema registry the id is {schema_id}.",
            bindings=_kafka(key=RUN_KEY, confluent=True),
            **{"x-schema-id": schema_id},
        )

    # ---- channels and operations --------------------------------------------------------------------------------

    def _topic(self, topic: TopicPlan) -> None:
        node = next(
            (n for n in self._plan.nodes if topic.name in (n.topic, n.requests_topic, n.lease and n.lease.topic)), None
        )
        name = {"requests": "requests", "journal": "journal"}.get(topic.purpose, topic.purpose)
        channel = _id(name, node)
        if topic.purpose == "requests" and node is not None:
            self._request(node)
        messages = self._messages_of(topic, node)
        largest = largest_record(topic.purpose, self._on_default)
        self._channel(channel, topic.name, _SAID[topic.purpose], messages, topic.cleanup, topic.retention_ms, largest)
        if topic.purpose in _RECEIVED:
            self._operation("receive", channel, messages)
        if topic.purpose not in ("input", "control"):
            self._operation("send", channel, messages)

    def _request(self, node: NodePlan) -> None:
        name = _id("request", node)
        schema = payloads.request(self._plan, node, _ref("Input"))
        self._message(name, schema, _ref("CloudEventHeaders"), bindings=_kafka(RUN_KEY))

    def _messages_of(self, topic: TopicPlan, node: NodePlan | None) -> tuple[str, ...]:
        match topic.purpose:
            case "input":
                return ("Input",) if self._plan.claim_check is None else ("Input", "InputClaim")
            case "control":
                return tuple(payloads.commands(self._plan))
            case "output":
                return ("Result",)
            case "dead-letter":
                return ("DeadLetter",)
            case "tokens":
                return ("Delta",)
            case "requests":
                return (_id("request", node),)
        return records_of(self._plan)[topic.name]

    def _changelogs(self) -> None:
        for table in self._plan.tables:
            channel = f"changelog.{table.name}"
            said = f"The table {table.name!r}: the last row of a key counts, a null value deletes it."
            messages = records_of(self._plan)[table.changelog]
            largest = largest_record("changelog", self._on_default)
            self._channel(channel, table.changelog, said, messages, "compact", None, largest)
            self._operation("send", channel, messages)

    def _channel(
        self,
        channel: str,
        address: str,
        said: str,
        messages: tuple[str, ...],
        cleanup: str,
        retention_ms: int | None,
        largest: int,
    ) -> None:
        configuration: Json = {"cleanup.policy": [cleanup], "max.message.bytes": largest}
        if retention_ms is not None:
            configuration["retention.ms"] = retention_ms
        binding = {"topic": address, "partitions": self._plan.partitions, "topicConfiguration": configuration}
        self._channels[channel] = {
            "address": address,
            "title": address,
            "description": said,
            "servers": [{"$ref": "#/servers/kafka"}],
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
            "bindings": {"kafka": {**binding, "bindingVersion": BINDING}},
            "x-subject": f"{address}-value",
        }

    def _operation(self, action: str, channel: str, messages: tuple[str, ...]) -> None:
        made: Json = {
            "action": action,
            "channel": {"$ref": f"#/channels/{channel}"},
            "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages],
        }
        if action == "receive":
            group = {"type": "string", "const": consumer_group(self._plan.id)}
            made["bindings"] = {"kafka": {"groupId": group, "bindingVersion": BINDING}}
        self._operations[f"{action}.{channel}"] = made


def _id(name: str, node: NodePlan | None) -> str:
    return name if node is None else f"{name}.{node.id}"


def _ref(name: str) -> Json:
    return {"$ref": f"{SCHEMAS}/{name}"}


def _avro(schema: Any) -> Json:
    return {"schemaFormat": AVRO, "schema": schema}


def _kafka(key: Json, confluent: bool = False) -> Json:
    encoding = {"schemaIdLocation": "payload", "schemaIdPayloadEncoding": "confluent"} if confluent else {}
    return {"kafka": {"key": key, **encoding, "bindingVersion": BINDING}}


def _key_of_input(plan: WorkflowPlan) -> str:
    how = {
        "auto": "Names the run if there is one; else the header ce_id does, else the record's place.",
        "key": "Names the run; a record without one is a dead letter.",
        "ce_id": "Any: the header ce_id names the run.",
        "offset": "Any: the record's place names the run.",
    }
    return how[plan.run_id_from]
