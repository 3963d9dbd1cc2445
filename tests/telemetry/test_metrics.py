"""Metrics as Prometheus reads them, over HTTP."""

from __future__ import annotations

import urllib.request

import pytest

from penstock.devkafka import ports
from streams.core.breaker import BreakerState
from streams.providers.gate import BreakerChange
from streams.telemetry.http import serve
from streams.telemetry.metrics import Metrics


def served(port: int) -> list[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return str(answer.read().decode()).splitlines()


def test_a_breakers_state_is_a_gauge() -> None:
    metrics, port = Metrics(), ports.any_free()
    stop = serve(metrics.routes(), port)
    states: list[tuple[BreakerState, float]] = [("open", 2.0), ("half_open", 1.0), ("closed", 0.0)]
    for state, value in states:
        metrics.on_breaker(BreakerChange("acme", "gpt-4o", state, 0, None, ""))
        assert f'penstock_breaker_state{{model="gpt-4o",provider="acme"}} {value}' in served(port)
    stop()


def test_a_port_that_is_taken_is_an_error() -> None:
    port = ports.any_free()
    stop = serve(Metrics().routes(), port)
    with pytest.raises(OSError, match="in use"):
        serve(Metrics().routes(), port)
    stop()
