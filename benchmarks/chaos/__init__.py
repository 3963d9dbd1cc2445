"""Chaos: real Kafka, workers as users start them, and a seeded schedule of everything that production does to them."""
