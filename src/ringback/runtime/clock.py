"""The one clock of a running stack: ``now`` is the epoch at its start plus the monotonic time gone by since.

It never jumps when somebody sets the machine's time, and it serves timers, expiries in stores, nonces and Date alike.
"""

from __future__ import annotations

import time
from typing import Protocol, final


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> float:
        """Seconds since 1970; never goes backwards."""


@final
class SystemClock:
    """The machine's clock."""

    __slots__ = ("_monotonic", "_offset")

    def __init__(self) -> None:
        self._monotonic = time.monotonic
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Seconds since 1970, as the machine's clock said when this one was made, plus the time gone by."""
        return self._offset + self._monotonic()
