"""A stock asyncio loop in which waiting costs nothing.

The loop asks its selector to wait for the next timer; this selector does not wait, it moves the clock there, or to the
next packet that arrives, whichever is sooner. Times are whole multiples of 2**-22 s (a quarter of a microsecond),
which is also the spacing of floats near ``EPOCH``: so ``EPOCH + loop.time()`` is exact, a deadline computed in the
core is met to the bit, and no run of the same seed differs by a rounding.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Callable, Mapping
from typing import Any

EPOCH = float(2**30)
"""Seconds since 1970 at which every simulated world begins (10 January 2004)."""

_TICKS = 2.0**22
_IDLE_LIMIT = 200_000


class SimulationStuck(RuntimeError):
    """Nothing can ever happen any more, or nothing but the same instant again, while something is awaited."""


def _never() -> float | None:
    return None


def _to_nobody(now: float) -> None:
    pass


class VirtualSelector(selectors.BaseSelector):
    """Moves a clock instead of waiting. File objects may be registered and are never ready."""

    def __init__(self, next_arrival: Callable[[], float | None], deliver: Callable[[float], None]) -> None:
        self.now = 0.0
        self.limit = math.inf
        self._next_arrival = next_arrival
        self._deliver = deliver
        self._keys: dict[Any, selectors.SelectorKey] = {}
        self._turns_in_this_instant = 0

    def set_limit(self, limit: float) -> None:
        """Raise SimulationStuck when the clock would pass ``limit``; counts turns without movement anew."""
        self.limit = limit
        self._turns_in_this_instant = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Move to the next moment at which something happens and hand over the packets due by then."""
        if timeout is None or timeout > 0:
            target = math.inf if timeout is None else self.now + timeout
            arrival = self._next_arrival()
            if arrival is not None and arrival < target:
                target = arrival
            if target == math.inf:
                raise SimulationStuck(f"at {self.now:.6f} s no timer and no packet is pending, so nothing can happen")
            if target > self.limit:
                raise SimulationStuck(f"at {self.now:.6f} s the run is at its limit of {self.limit:.0f} s")
            target = math.ceil(target * _TICKS) / _TICKS
            if target > self.now:
                self.now = target
                self._turns_in_this_instant = 0
        self._turns_in_this_instant += 1
        if self._turns_in_this_instant > _IDLE_LIMIT:
            raise SimulationStuck(f"at {self.now:.6f} s the loop turned {_IDLE_LIMIT} times without the clock moving")
        self._deliver(self.now)
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Remember a file object; it never becomes ready in a simulated world."""
        number = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = selectors.SelectorKey(fileobj, number, events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Forget a file object; KeyError if it was not registered."""
        return self._keys.pop(fileobj)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        """The key of a registered file object; KeyError if there is none."""
        return self._keys[fileobj]

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """All keys by file object."""
        return self._keys

    def close(self) -> None:
        """Forget everything, so that a closed loop leaves no cycle behind."""
        self._keys.clear()
        self._next_arrival = _never
        self._deliver = _to_nobody


class VirtualLoop(asyncio.SelectorEventLoop):
    """The stock selector loop on a ``VirtualSelector``: ``time()`` is seconds since the world began."""

    def __init__(self, selector: VirtualSelector) -> None:
        self.virtual = selector
        super().__init__(selector)

    def time(self) -> float:
        """Virtual seconds since the world began."""
        return self.virtual.now
