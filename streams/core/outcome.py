"""What a node is given and what it gives back: data, never an exception and never a topic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from schemas.quick import quick


@quick
@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.prompt_tokens + other.prompt_tokens, self.completion_tokens + other.completion_tokens)


@quick
@dataclass(frozen=True, slots=True)
class NodeError:
    """Why an attempt failed. `message` and `traceback` hold no secret; `retry_after_ms` is the provider's wish."""

    kind: str
    message: str
    retryable: bool = True
    retry_after_ms: int | None = None
    traceback: str | None = None


@quick
@dataclass(frozen=True, slots=True)
class Done:
    """The node succeeded with `output`, a JSON object.

    `cost_usd` is None when the price is not known; `metered` is False when the provider did not count, or nobody heard it.
    `raw` is the model's raw answer, size-capped; `prompt_hash` the SHA-256 of what it was sent.
    """

    output: Mapping[str, Any]
    usage: Usage = Usage()
    cost_usd: float | None = 0.0
    model: str | None = None
    metered: bool = True
    raw: str | None = None
    prompt_hash: str | None = None
    first_token_ms: int | None = None
    """How long the first token took, of a call that was streamed."""
    request_hash: str | None = None
    """What `Prompt.request_hash` says of the call: an equal one later may take this answer."""
    reused: bool = False
    """No call was made: it is an answer of before."""


@quick
@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed; what it used is paid all the same. `metered` False: it may have used anything up to its bound."""

    error: NodeError
    usage: Usage = Usage()
    cost_usd: float | None = 0.0
    model: str | None = None
    raw: str | None = None
    metered: bool = True
    prompt_hash: str | None = None
    output: Mapping[str, Any] | None = None
    """The answer, where there is one that nobody may rely on unless a person says so."""


DeferralReason = Literal["breaker_open", "rate_limited"]


@quick
@dataclass(frozen=True, slots=True)
class Deferred:
    """The provider is not to be called now: the attempt is made at `until_ms` (epoch ms), and none was burnt."""

    reason: DeferralReason
    message: str
    until_ms: int
    model: str | None = None


Outcome = Done | Failed | Deferred


@quick
@dataclass(frozen=True, slots=True)
class NodeInput:
    """One attempt's view of the world: `inputs` maps "input" and ancestors' ids to JSON values (None: no output)."""

    workflow_id: str
    run_id: str
    node: str
    epoch: int
    seq: int
    attempt: int
    inputs: Mapping[str, Any]
    model: str | None = None
    """Which of its models an llm node is to ask; None: the first."""
    deferred: bool = False
    """The attempt was deferred before: it goes before those that come new."""
    last_chance: bool = False
    """Should it fail, the node fails: others are to find out first whether a provider still throttles."""
    idempotency_key: str | None = None
    previous_error: NodeError | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    on_delta: Callable[[str], None] | None = field(default=None, compare=False)
    """Where a streaming node hands on what its model says."""
