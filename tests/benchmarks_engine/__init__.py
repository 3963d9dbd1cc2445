"""Tests of the engine's benchmarks."""
