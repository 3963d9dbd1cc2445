"""Claim stores: large values outside of Kafka, written once and verified when they are read (docs/large-payloads.md)."""
