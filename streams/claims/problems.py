"""What can be wrong with a store."""

from __future__ import annotations


class Missing(Exception):
    """There is no such object."""


class Unreachable(Exception):
    """The store gave no answer, or refused."""
