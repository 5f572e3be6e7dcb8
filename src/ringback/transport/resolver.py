"""Names to addresses by the machine's own resolver, in threads, with a small memory.

What is numeric or remembered is answered without suspending. Callers that ask for the same name at the same time share
one look-up, and a look-up that takes too long fails alone. Look-ups under way are bounded: when so many names are slow
at once, the next fails instead of waiting.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import final

from ringback.errors import TransportError
from ringback.transport.coroutines import suspend
from ringback.transport.network import address_family

REMEMBERED_FOR = 60.0  # seconds; getaddrinfo does not tell the records' own time to live
FAILURES_REMEMBERED_FOR = 5.0
PATIENCE = 5.0  # seconds for one look-up
MOST_NAMES = 1024
MOST_UNDER_WAY = 256
THREADS = 8

Lookup = Callable[[str], list[str]]


def _system_lookup(host: str) -> list[str]:
    answers = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


@final
class SystemResolver:
    """``transport.network.Resolver`` on getaddrinfo. Belongs to one event loop."""

    def __init__(self, lookup: Lookup = _system_lookup) -> None:
        self._lookup = lookup
        self._remembered: dict[str, tuple[float, list[str]]] = {}  # until when (loop time), answer; [] for a failure
        self._under_way: dict[str, asyncio.Future[list[str]]] = {}
        self._threads: ThreadPoolExecutor | None = None

    async def addresses(self, host: str, family: int | None = None) -> list[str]:
        """Addresses of ``host``; raises TransportError when there are none of that family or no answer in time."""
        try:
            numeric = address_family(host)
        except TransportError:
            answer = await self._named(host.lower())
        else:
            answer = [host] if family in (None, numeric) else []
        if family is not None:
            answer = [address for address in answer if address_family(address) == family]
        if not answer:
            raise TransportError(f"no address for {host}")
        return answer

    async def _named(self, name: str) -> list[str]:
        loop = asyncio.get_running_loop()
        remembered = self._remembered.get(name)
        if remembered is not None and remembered[0] > loop.time():
            return remembered[1]
        await suspend()
        under_way = self._under_way.get(name)
        if under_way is None:
            if len(self._under_way) >= MOST_UNDER_WAY:
                return []
            if self._threads is None:
                self._threads = ThreadPoolExecutor(THREADS, "ringback-resolver")
            under_way = loop.run_in_executor(self._threads, self._lookup, name)
            self._under_way[name] = under_way
        try:
            answer = await asyncio.wait_for(asyncio.shield(under_way), PATIENCE)
            keep = REMEMBERED_FOR
        except (OSError, UnicodeError):  # a time-out is an OSError too
            answer, keep = [], FAILURES_REMEMBERED_FOR
        finally:
            if under_way.done():
                self._under_way.pop(name, None)
        if len(self._remembered) >= MOST_NAMES:
            self._remembered.clear()
        self._remembered[name] = (loop.time() + keep, answer)
        return answer

    def close(self) -> None:
        """Let the threads go; look-ups under way are not waited for."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None
