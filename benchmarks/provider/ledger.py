"""The ledger of calls: who called, how often, what was answered, how many at once."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(slots=True)
class Call:
    """One request to /v1/chat/completions; `status` 0 is a call without an answer (hang, reset, client gone)."""

    ordinal: int
    key: str | None
    prompt_hash: str
    model: str
    nth: int
    fault: str | None
    status: int = 0
    stream: bool = False
    started_at: float = 0.0
    finished_at: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Ledger:
    """Every call since the start or the last reset."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.in_flight = 0
        self.max_in_flight = 0
        self._seen: Counter[str] = Counter()

    def open(self, key: str | None, prompt_hash: str, model: str) -> Call:
        """Enter a call; `nth` counts the calls with the same key, or the same prompt if there is none."""
        identity = key or prompt_hash
        self._seen[identity] += 1
        call = Call(len(self.calls) + 1, key, prompt_hash, model, self._seen[identity], None, started_at=time.time())
        self.calls.append(call)
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        return call

    def close(self, call: Call, status: int) -> None:
        """Note how a call ended."""
        if call.finished_at is None:
            call.finished_at = time.time()
            call.status = status
            self.in_flight -= 1

    def by_key(self) -> dict[str, list[Call]]:
        """Group the calls by idempotency key (calls without one are left out)."""
        grouped: dict[str, list[Call]] = defaultdict(list)
        for call in self.calls:
            if call.key is not None:
                grouped[call.key].append(call)
        return grouped

    def summary(self) -> dict[str, Any]:
        """Count without listing the calls."""
        answered = Counter(call.key for call in self.calls if call.key is not None and call.status == 200)
        return {
            "total": len(self.calls),
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "statuses": dict(Counter(str(call.status) for call in self.calls if call.finished_at is not None)),
            "faults": dict(Counter(call.fault for call in self.calls if call.fault)),
            "keys": len({call.key for call in self.calls if call.key is not None}),
            "prompts": len({call.prompt_hash for call in self.calls}),
            "answered_more_than_once": sum(1 for count in answered.values() if count > 1),
            "prompt_tokens": sum(call.prompt_tokens for call in self.calls),
            "completion_tokens": sum(call.completion_tokens for call in self.calls),
        }

    def listing(self, key: str | None = None, limit: int = 1_000_000) -> dict[str, Any]:
        """Return the summary and the calls, of one key if given."""
        chosen = [call for call in self.calls if key is None or call.key == key][-limit:]
        by_key: dict[str, list[int]] = defaultdict(list)
        by_prompt: dict[str, list[int]] = defaultdict(list)
        for call in chosen:
            by_prompt[call.prompt_hash].append(call.status)
            if call.key is not None:
                by_key[call.key].append(call.status)
        return {**self.summary(), "by_key": by_key, "by_prompt": by_prompt, "calls": [asdict(call) for call in chosen]}
