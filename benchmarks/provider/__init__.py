"""A real HTTP server of the OpenAI protocol with seeded faults: tests, chaos runs and benchmarks call it instead of a patched client."""

from benchmarks.provider.config import Config, Decision, Latency, Rule, parse_config
from benchmarks.provider.exchange import ChatRequest
from benchmarks.provider.ledger import Call
from benchmarks.provider.server import ProviderServer

__all__ = ["Call", "ChatRequest", "Config", "Decision", "Latency", "ProviderServer", "Rule", "parse_config"]
