"""Exceptions of the stream engine.

PenstockError
 ├── HandlerError
 │    ├── HandlerImportError   a handler that cannot be loaded        (start-up)
 │    ├── NonRetryable         raised by a handler: do not try again
 │    └── RetryAfter           raised by a handler: try again, not before `seconds`
 ├── ProviderConfigError       no or bad provider for a model         (start-up)
 ├── TelemetryError            an OTEL_* variable that cannot be followed (start-up)
 ├── BrokerUnreachable         no broker at the bootstrap address
 ├── AuthenticationFailed      the brokers do not take this client's certificate, password or token, or it theirs
 ├── AccessDenied              the brokers know this client, and do not let it do what it has to
 ├── TopicsMissing             topics are not there, and this worker creates none; or an audit does not see them
 ├── TopicMismatch             a topic exists with another partition count
 ├── MoveUnderWay              a workflow's topics are being made anew with another partition count
 ├── StructureChanged          a workflow's nodes, edges or schemas are not those of its topics
 ├── VersionBeyond             another version has a topic or table that this worker does not hold
 ├── PositionLost              the group's place in a topic is gone, or the records there are
 ├── RegistryUnreachable       no schema registry answers
 ├── RegistryError             a schema registry that refuses what is asked
 ├── SchemaBreaks              a schema that readers of the former one could not live with (start-up)
 ├── InputMisfit               an input that the schema of its topic cannot hold
 ├── Unreadable
 │    ├── UndecodableRecord    bytes that no schema of ours explains
 │    ├── KeyMissing           a record is encrypted with a key that this process does not have
 │    ├── KeyWrong             the key of that name is another one
 │    └── NotEncrypted         a record is plain where the settings want every one encrypted
 ├── ClaimStoreError           a claim store that is not allowed, or cannot be used (start-up)
 └── EngineFailure             an agent or a background loop ended: the worker stops
"""

from __future__ import annotations


class PenstockError(Exception):
    """Anything that Penstock raises on purpose; its message says where and what to do."""


class HandlerError(PenstockError):
    """Something about a user's handler."""


class HandlerImportError(HandlerError):
    """A handler file or module that does not import or lacks the function.

    Operator action: mend the file that the message names, then start the worker again.
    """


class NonRetryable(HandlerError):
    """Raise it in a handler when another attempt cannot help: the node fails at once."""


class RetryAfter(HandlerError):
    """Raise it in a handler to be tried again, not before `seconds` from now; it counts as an attempt."""

    def __init__(self, seconds: float, message: str = "the handler asked to be tried again later") -> None:
        super().__init__(message)
        self.seconds = seconds


class ProviderConfigError(PenstockError):
    """No provider for a model, or one whose settings cannot work.

    Operator action: set `OPENAI_API_KEY` / `OPENAI_BASE_URL`, or name a provider in `penstock.toml`.
    """


class TelemetryError(PenstockError):
    """An `OTEL_*` variable that cannot be followed.

    Operator action: correct the variable that the message names, or install the exporter it asks for.
    """


class BrokerUnreachable(PenstockError):
    """No Kafka broker answers at the bootstrap address.

    Operator action: start one (`penstock kafka start`) or correct `--bootstrap` / `PENSTOCK_BOOTSTRAP`.
    """


class AuthenticationFailed(PenstockError):
    """Client and broker do not believe each other: a protocol, certificate, password or token is not the other's.

    Operator action: correct the setting that the message names.
    """


class AccessDenied(PenstockError):
    """The broker knows this client and does not let it do what it has to.

    Operator action: have the ACLs added that the message shows; `penstock acls` prints all that a role needs.
    """


class TopicsMissing(PenstockError):
    """Topics are not there, and the worker was told to create none; or an audit does not see them.

    Operator action: have them created, or an ACL granted, with the lines that the message shows.
    """


class TopicMismatch(PenstockError):
    """A topic of the workflow has another partition count than its runs were put in their partitions by.

    Operator action: what the message says; `penstock repartition` moves a drained workflow to another count.
    """


class MoveUnderWay(PenstockError):
    """The workflow's topics are being made anew with another partition count.

    Operator action: wait until `penstock repartition` is done; if it was interrupted, give the same command again.
    """


class StructureChanged(PenstockError):
    """A workflow file has other nodes, edges or schemas than the version whose runs are in the workflow's topics.

    Operator action: give the workflow a new id, or take the change back; what the message names is all that differs.
    """


class VersionBeyond(PenstockError):
    """A version that another worker started with has a topic or table that this worker does not hold: a budget, a stream.

    Operator action: start the worker again; it then knows the version, whichever file it is started with.
    """


class PositionLost(PenstockError):
    """The group has no committed position where runs exist, or records were deleted before they were read.

    Operator action: start the worker with `--resume-from TIME`, or `--resume-from earliest` to read everything again.
    """


class RegistryUnreachable(PenstockError):
    """No schema registry answers.

    Operator action: correct `schema_registry_url` / `PENSTOCK_SCHEMA_REGISTRY_URL`, or start the registry.
    """


class RegistryError(PenstockError):
    """A schema registry refuses what is asked of it.

    Operator action: the message has its answer; most often it is a credential, or a right that is missing.
    """


class SchemaBreaks(PenstockError):
    """A schema differs from the registered one in a way that its readers could not live with.

    Operator action: take the change back, make the field optional, or give the workflow a new id (and so a new subject).
    """


class InputMisfit(PenstockError):
    """An input that is published as JSON and cannot be written by the Avro schema of its topic.

    Operator action: the message says which field; correct the input, or register a schema that holds it.
    """


class Unreadable(PenstockError):
    """A record that this process cannot read; who looks at many workflows leaves that one out and says so.

    Operator action: what the error itself says.
    """

    topic: str | None = None
    """Where it stands, if whoever raised it knew."""


class UndecodableRecord(Unreadable):
    """Bytes in a journal or changelog that no schema of this version explains.

    Operator action: run the version that wrote them, or one newer; nothing was skipped.
    """


class KeyMissing(Unreadable):
    """A record is encrypted with a key that this process does not have; it stops, and nothing is skipped.

    Operator action: add the key that the message names to `encryption.keys`.
    """


class KeyWrong(Unreadable):
    """A record is encrypted with a key of the same name and other bytes.

    Operator action: correct the key's file or command; a new key gets a new name.
    """


class ClaimStoreError(PenstockError):
    """A workflow's claim store that the settings do not allow, or that cannot be used.

    Operator action: add it to `claim_check_stores`, or correct the workflow's `claim_check.store`.
    """


class NotEncrypted(Unreadable):
    """A record of an internal topic is plain, and `encryption.require` is true.

    Operator action: set it to false until records of before encryption are gone; else find out who wrote it.
    """


class EngineFailure(PenstockError):
    """An agent, a background loop or the producer ended unexpectedly; the worker stops rather than run half.

    Operator action: read the cause in the log, then start the worker again: it goes on where the log ends.
    """
