"""The garbage collector, kept off the path of messages.

What the server holds at start is frozen: no collection looks at it again. The automatic collector is switched off,
because with half a million transactions alive one run stops everything for a large part of a second, and because what
the path of a message makes and drops is freed by reference counts alone (the simulations prove it). What little does
form cycles, such as exceptions that somebody kept, is collected when there is nothing else to do: once, after an idle
time in which every transaction has ended, so that there is little to look at.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import final

IDLE_MESSAGES = 20  # a tick with fewer messages than this counts as idle
IDLE_TIME = 40.0  # seconds of it before a collection: longer than a transaction lives (64*T1)
YOUNG_AFTER = 60.0  # seconds of unbroken load after which the young objects are looked at all the same


@final
class TunedCollector:
    """Made by ``tune_collector``. ``stop()`` gives the collector back as it was."""

    def __init__(self, loop: asyncio.AbstractEventLoop, messages: Callable[[], int], interval: float) -> None:
        self._loop = loop
        self._messages = messages
        self._interval = interval
        self._seen = messages()
        self._last = loop.time()
        self._collected_at = self._seen  # messages handled when last everything was collected
        self._idle_since: float | None = None
        self._was_enabled = gc.isenabled()
        gc.collect()
        gc.freeze()
        gc.disable()
        self._timer = loop.call_later(interval, self._tick)

    def _tick(self) -> None:
        seen = self._messages()
        now = self._loop.time()
        if seen - self._seen < IDLE_MESSAGES:
            if self._idle_since is None:
                self._idle_since = now
            elif now - self._idle_since >= IDLE_TIME and seen != self._collected_at:
                gc.collect()
                self._collected_at = seen
                self._last = self._idle_since = now
        else:
            self._idle_since = None
            if now - self._last >= YOUNG_AFTER:
                gc.collect(0)
                self._last = now
        self._seen = seen
        self._timer = self._loop.call_later(self._interval, self._tick)

    def stop(self) -> None:
        """Automatic collection as it was before, nothing frozen any more."""
        self._timer.cancel()
        gc.unfreeze()
        if self._was_enabled:
            gc.enable()


def tune_collector(
    loop: asyncio.AbstractEventLoop, messages: Callable[[], int], interval: float = 5.0
) -> TunedCollector:
    """Freeze what is alive, switch automatic collection off and collect at idle instead.

    ``messages`` counts the messages handled so far: it tells idle from busy. ``interval`` is in seconds. Call it once
    everything that lasts has been made.
    """
    return TunedCollector(loop, messages, interval)
