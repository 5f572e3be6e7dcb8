"""Branches, tags and Call-IDs that nobody can guess, at the price of a slice.

Randomness is drawn from the system in blocks and cut up: each id has at least 64 bits of its own and no bit is used
twice, not by a forked process either.
"""

from __future__ import annotations

import os
import secrets
import weakref
from typing import final

_BLOCK = 4096  # bytes drawn from the system at once

_living: weakref.WeakSet[SystemIds] = weakref.WeakSet()


@final
class SystemIds:
    """``grammar.Ids`` from the system's randomness (RFC 3261 §8.1.1.4, §8.1.1.7, §19.3)."""

    __slots__ = ("__weakref__", "_at", "_block")

    def __init__(self) -> None:
        self._block = ""
        self._at = 0
        _living.add(self)

    def _take(self, digits: int) -> str:
        start = self._at
        end = start + digits
        if end > len(self._block):
            self._block = os.urandom(_BLOCK).hex()
            start, end = 0, digits
        self._at = end
        return self._block[start:end]

    def branch(self) -> str:
        """A branch: the magic cookie and 64 random bits."""
        return "z9hG4bK" + self._take(16)

    def tag(self) -> str:
        """A From or To tag: 64 random bits, twice the 32 that §19.3 asks for."""
        return self._take(16)

    def call_id(self) -> str:
        """A Call-ID: 96 random bits and no host name, which would only tell where we are."""
        return self._take(24)

    def number(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included, each as likely as the others."""
        return low + secrets.randbelow(high - low + 1)

    def discard(self) -> None:
        """Forget the randomness in hand; the next id draws afresh."""
        self._block = ""
        self._at = 0


def _discard_all() -> None:
    for ids in _living:
        ids.discard()


# A forked worker has its parent's block in memory: without this both would give out the same ids.
os.register_at_fork(after_in_child=_discard_all)
