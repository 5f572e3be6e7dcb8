"""Ids and a clock that repeat themselves exactly, for tests and simulations."""

from __future__ import annotations

from random import Random
from typing import final

from ringback.testing.virtual_time import EPOCH, VirtualSelector


@final
class SeededIds:
    """``grammar.Ids`` drawn from a seeded generator: the same seed gives the same branches, tags and Call-IDs."""

    __slots__ = ("_random",)

    def __init__(self, random: Random) -> None:
        self._random = random

    def branch(self) -> str:
        """A branch with the magic cookie (RFC 3261 §8.1.1.7)."""
        return f"z9hG4bK{self._random.getrandbits(64):016x}"

    def tag(self) -> str:
        """A From or To tag."""
        return f"{self._random.getrandbits(64):016x}"

    def call_id(self) -> str:
        """A Call-ID."""
        return f"{self._random.getrandbits(96):024x}"

    def number(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        return self._random.randint(low, high)


@final
class VirtualClock:
    """A clock that follows a virtual loop: ``EPOCH`` plus the seconds since the world began."""

    __slots__ = ("_selector",)

    def __init__(self, selector: VirtualSelector) -> None:
        self._selector = selector

    def now(self) -> float:
        """Virtual seconds since 1970."""
        return EPOCH + self._selector.now
