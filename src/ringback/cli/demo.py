"""``ringback demo``: a server and three phones in one process, and the call that is forked, answered and ended."""

from __future__ import annotations


def demo() -> None:
    """Watch a call: three phones register, one calls, two ring, one answers."""
