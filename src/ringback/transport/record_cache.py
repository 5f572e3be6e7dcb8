"""DNS answers remembered for as long as they may be, and look-ups shared by those who ask the same at the same time.

What is remembered is answered without suspending. A look-up under way belongs to no caller: one who gives up takes
nothing from the others. Memory, look-ups under way and the time that one may take are bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import final

from ringback.errors import TransportError
from ringback.protocol.routing.records import Record
from ringback.transport.coroutines import suspend

LONGEST = 3600.0  # seconds that an answer is remembered at most, whatever its time to live says
NOTHING_REMEMBERED_FOR = 30.0  # seconds for "no such name" and "no such records" (RFC 2308)
FAILURES_REMEMBERED_FOR = 5.0  # seconds; no answer, or a useless one (RFC 2308 §7)
PATIENCE = 5.0  # seconds for one look-up
MOST_ANSWERS = 4096
MOST_UNDER_WAY = 4096  # then the next fails instead of waiting

Answer = tuple[list[Record], float]
"""Records, none if there are none, and how many seconds they are good for."""

Query = Callable[[str, str], Awaitable[Answer]]
"""Looks (name in lower case, type) up; raises TransportError when there is no answer."""


@final
class RecordCache:
    """``records`` for a resolver, which gives its ``query`` each time: held here, it would hold its holder.

    Belongs to one event loop.
    """

    __slots__ = ("_remembered", "_under_way")

    def __init__(self) -> None:
        self._remembered: dict[tuple[str, str], tuple[float, list[Record] | None]] = {}  # until when (loop time)
        self._under_way: dict[tuple[str, str], asyncio.Task[list[Record] | None]] = {}

    def __len__(self) -> int:
        return len(self._remembered)

    @property
    def under_way(self) -> int:
        """How many look-ups have no answer yet."""
        return len(self._under_way)

    async def records(self, name: str, kind: str, query: Query) -> list[Record]:
        """The records of that type, [] when there are none; raises TransportError when that could not be found out."""
        key = (name.lower(), kind)
        loop = asyncio.get_running_loop()
        remembered = self._remembered.get(key)
        if remembered is not None and remembered[0] > loop.time():
            found = remembered[1]
        else:
            await suspend()
            task = self._under_way.get(key)
            if task is None:
                if len(self._under_way) >= MOST_UNDER_WAY:
                    raise TransportError(f"{kind} of {name} not looked up: too many look-ups under way")
                task = self._under_way[key] = loop.create_task(self._look_up(key, query))
            found = await asyncio.shield(task)
        if found is None:
            raise TransportError(f"no answer for {kind} of {name}")
        return found

    async def _look_up(self, key: tuple[str, str], query: Query) -> list[Record] | None:
        """Query and remember; None for a failure, so that no exception is kept by the task."""
        loop = asyncio.get_running_loop()
        found: list[Record] | None
        try:
            async with asyncio.timeout(PATIENCE):
                found, lifetime = await query(*key)
            if not found:
                lifetime = min(lifetime, NOTHING_REMEMBERED_FOR)
        except (TransportError, TimeoutError):
            found, lifetime = None, FAILURES_REMEMBERED_FOR
        finally:
            self._under_way.pop(key, None)
        if lifetime > 0:
            remembered = self._remembered
            remembered.pop(key, None)
            if len(remembered) >= MOST_ANSWERS:
                del remembered[next(iter(remembered))]
            remembered[key] = (loop.time() + min(lifetime, LONGEST), found)
        return found

    def close(self) -> None:
        """Give up the look-ups under way."""
        for task in self._under_way.values():
            task.cancel()
