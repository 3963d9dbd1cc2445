"""How topics are called and made: prefix, copies, retention and cleanup by purpose.

`TopicSettings` is mixed into `Settings`.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field

from topology.diagnostics import suggestion
from topology.naming import IllegalTopicName, legal_prefix
from topology.plan import Cleanup
from topology.sizes import PURPOSES, Override, Sizes, unusable


class TopicOverride(BaseModel):
    """A `[topics.PURPOSE]` table."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    retention_ms: int | None = Field(None, ge=-1)
    """How long records are kept; -1: for ever. What is shorter than Penstock promises is refused."""
    cleanup: Cleanup | None = None
    """Kafka's `cleanup.policy`."""
    config: dict[str, str | bool | int] = Field(default_factory=dict)
    """Further settings of the topics, by Kafka's names."""

    def override(self) -> Override:
        """Return it as Kafka takes it."""
        return Override(self.retention_ms, self.cleanup, {key: _text(value) for key, value in self.config.items()})


class TopicSettings(BaseModel):
    """Names and sizes of topics, for all workflows."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    topic_prefix: str = ""
    """What the name of every topic and group begins with; one that ends in a letter or digit gets a `.`."""
    replication_factor: int | None = Field(None, ge=1, le=32_767)
    """Copies of each new topic. Without it the broker's `default.replication.factor` counts."""
    min_insync_replicas: int | None = Field(None, ge=1)
    """Copies that must have a record before it counts as written. Without it the broker's setting counts."""
    topics: dict[str, TopicOverride] = Field(default_factory=dict)
    """Tables `[topics.PURPOSE]`, in the file only; purposes are those of `penstock describe`, and `changelog`."""

    def sizes(self) -> Sizes:
        """Return how topics are made."""
        overrides = {purpose: found.override() for purpose, found in self.topics.items()}
        return Sizes(self.replication_factor, self.min_insync_replicas, overrides)


def problems(settings: TopicSettings) -> Iterator[tuple[str, str]]:
    """Yield what cannot work for any workflow, as (key, what to do)."""
    try:
        legal_prefix(settings.topic_prefix)
    except IllegalTopicName as error:
        yield "topic_prefix", str(error)
    copies, in_sync = settings.replication_factor, settings.min_insync_replicas
    if copies is not None and in_sync is not None and in_sync > copies:
        yield "min_insync_replicas", f"{in_sync} copies would have to be written, and replication_factor makes {copies}"
    for purpose, found in settings.topics.items():
        if purpose not in PURPOSES:
            yield (
                f"topics.{purpose}",
                f"no such purpose{suggestion(purpose, PURPOSES)}; there are: {', '.join(PURPOSES)}",
            )
            continue
        why = unusable(purpose, found.override())
        if why is not None:
            yield f"topics.{purpose}", why


def _text(value: str | bool | int) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
