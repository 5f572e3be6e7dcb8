"""What an observer of a stack sees: whole messages as bytes, and strings. Nothing of the core's types leaks out."""

from __future__ import annotations

from typing import Protocol


class Observer(Protocol):
    """Sees every message that crosses the wire, in order. Must not raise and must not block."""

    def message(self, direction: str, data: bytes, transport: str, local: str, remote: str, now: float) -> None:
        """``direction`` is ``"in"`` or ``"out"``; ``local`` and ``remote`` are ``host:port`` (IPv6 in brackets)."""
