"""The simulated world: a loop whose clock jumps, a network whose weather is seeded, and a check that all is quiet.

    with World(seed=7, loss=0.2) as world:
        server, phone = world.host("10.0.0.1"), world.host("10.0.0.2")
        world.run(scenario(world, server, phone))
        world.check_quiet()

Everything that a run depends on comes from the seed, so the same seed gives the same trace to the byte. While a world
is open the automatic garbage collector is off and what was alive before is frozen: ``check_quiet`` can then say whether
anything that was dropped in the world had to be found by the collector.
"""

from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AbstractContextManager
from random import Random
from types import TracebackType
from typing import Any, Self, TypeVar, final

from ringback.protocol.routing.records import Record
from ringback.protocol.trace import Observer
from ringback.protocol.transaction.timings import Timings
from ringback.runtime.stack import DEFAULT_TIMINGS, Stack
from ringback.testing.cycles import collect_cycles
from ringback.testing.host import SimulatedHost
from ringback.testing.names import NameServer
from ringback.testing.nat import Nat
from ringback.testing.network import Conditions, Packet, SimulatedNetwork
from ringback.testing.seeded import SeededIds, VirtualClock
from ringback.testing.streams import StreamWires
from ringback.testing.virtual_time import SimulationStuck, VirtualLoop, VirtualSelector
from ringback.transport.limits import DEFAULT_STREAM_LIMITS, StreamLimits
from ringback.transport.tls import TlsConfiguration

T = TypeVar("T")
Place = SimulatedHost | str
"""A host, or an address of one."""

QUIET_AFTER = 600.0  # seconds: Timer C, then 64*T1 for CANCEL, then Timer D, with room to spare
RUN_LIMIT = 30 * 86400.0  # seconds


@final
class World:
    """One seeded world. Use it as a context manager, or call ``close()``.

    ``loss``, ``duplicate`` and ``reorder`` are probabilities from 0 to 1; ``delay`` (the least) and ``jitter`` (the
    most on top) are seconds one way. With ``icmp`` a packet to a closed port of an existing host is reported back to
    the socket that sent it. ``zone`` maps names in lower case to lists of DNS records: ``Naptr``, ``Srv``, numeric
    addresses; ``names`` says how well the DNS answers.
    """

    def __init__(
        self,
        seed: int | str = 0,
        *,
        loss: float = 0.0,
        delay: float = 0.010,
        jitter: float = 0.0,
        duplicate: float = 0.0,
        reorder: float = 0.0,
        icmp: bool = False,
    ) -> None:
        self.seed = seed
        self.random = Random(f"{seed}/scenario")
        """For the scenario itself, so that its draws do not disturb the network's."""
        self.zone: dict[str, list[Record]] = {}
        self.names = NameServer()
        conditions = Conditions(loss, delay, jitter, duplicate, reorder)
        self._network = SimulatedNetwork(Random(f"{seed}/network"), conditions, icmp)
        self._wires = StreamWires(self._network, Random(f"{seed}/streams"))
        self._selector = VirtualSelector(self._network.next_arrival, self._network.deliver)
        self.loop = self._network.loop = VirtualLoop(self._selector)
        self.clock = VirtualClock(self._selector)
        self._watched: list[tuple[str, Callable[[], dict[str, int]]]] = []
        self._stacks: list[Stack] = []
        self._closings: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._collector_was_on = gc.isenabled()
        gc.disable()
        gc.freeze()

    def __repr__(self) -> str:
        return f"World({self.seed!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # what is in it

    def host(self, *interfaces: str) -> SimulatedHost:
        """A machine with these numeric addresses, the first being its own name; asked again, the same machine."""
        known = self._network.hosts.get(interfaces[0])
        if isinstance(known, SimulatedHost):
            return known
        random = Random(f"{self.seed}/{interfaces[0]}")
        host = SimulatedHost(
            interfaces, self._network, self.zone, self.names, self.clock, SeededIds(random), random, self._wires
        )
        for address in interfaces:
            self._network.hosts[address] = host
        return host

    def stack(
        self,
        host: SimulatedHost,
        *,
        timings: Timings = DEFAULT_TIMINGS,
        observer: Observer | None = None,
        wake_grid: float = 0.0,
        tls: TlsConfiguration | None = None,
        limits: StreamLimits = DEFAULT_STREAM_LIMITS,
    ) -> Stack:
        """A stack on ``host``, watched by ``check_quiet`` and closed with the world. It listens nowhere yet."""
        stack = Stack(
            network=host,
            resolver=host,
            clock=host.clock,
            ids=host.ids,
            timings=timings,
            observer=observer,
            wake_grid=wake_grid,
            secret=host.random.randbytes(32),
            tls=tls,
            limits=limits,
        )
        self.watch(f"stack of {host.address}", stack.counts)
        self._stacks.append(stack)
        return stack

    @property
    def now(self) -> float:
        """Seconds since the world began."""
        return self._selector.now

    @property
    def trace(self) -> list[Packet]:
        """Every packet that was sent, in order, with its fate."""
        return self._network.trace

    def dump(self) -> str:
        """The trace as text, a packet a line: time, path, start line, fate."""
        return "\n".join(str(packet) for packet in self.trace)

    # the weather

    @property
    def conditions(self) -> Conditions:
        """The weather on every path that has none of its own; may be changed at any time."""
        return self._network.conditions

    def link(self, one: Place, other: Place, **changes: float) -> Conditions:
        """Weather of its own between two hosts, both ways: the world's, with ``changes`` (loss, delay, jitter, ...)."""
        default = self._network.conditions
        values = {name: getattr(default, name) for name in Conditions.__slots__} | changes
        conditions = Conditions(**values)
        for first in _addresses(one):
            for second in _addresses(other):
                self._network.link(first, second, conditions)
        return conditions

    def partition(self, ones: Place | Iterable[Place], others: Place | Iterable[Place]) -> None:
        """Cut every path between two hosts, or two groups of hosts, both ways."""
        self._network.partition(_addresses(ones), _addresses(others))

    def heal(self) -> None:
        """Mend every partition."""
        self._network.heal()

    def break_connections(self, ones: Place | Iterable[Place], others: Place | Iterable[Place]) -> int:
        """Reset the TCP connections between two hosts, or two groups of hosts, at both ends; how many there were."""
        return self._wires.break_between(_addresses(ones), _addresses(others))

    def nat(self, inside: str, public: str, *, timeout: float = 30.0, symmetric: bool = False) -> Nat:
        """Put the network ``inside`` ("192.168.1.0/24", or one address) behind the public address.

        ``timeout`` is how long, in seconds, a mapping lives after the last packet out.
        """
        return self._network.add_nat(inside, public, timeout, symmetric)

    def dropping(
        self, match: str | Callable[[Packet], bool], count: float = math.inf
    ) -> AbstractContextManager[list[Packet]]:
        """Within the block, drop the first ``count`` packets that match; gives the list of what was dropped.

        ``match`` is the beginning of the start line ("ACK", "SIP/2.0 200") or a function of the packet.
        """
        left = count

        def counted(packet: Packet) -> bool:
            nonlocal left
            picked = packet.data.startswith(match.encode()) if isinstance(match, str) else match(packet)
            if left <= 0 or not picked:
                return False
            left -= 1
            return True

        return self._network.dropping(counted)

    # running

    def run(self, main: Coroutine[Any, Any, T], limit: float = RUN_LIMIT) -> T:
        """Run ``main`` to its end and give its result.

        Raises SimulationStuck when it waits for what can never happen, or for longer than ``limit`` virtual seconds.
        """
        self._selector.set_limit(self._selector.now + limit)
        results: list[T] = []
        errors: list[BaseException] = []
        task = self.loop.create_task(_record(main, results, errors))
        try:
            self.loop.run_until_complete(task)
        except SimulationStuck:
            self._selector.set_limit(math.inf)
            task.cancel()
            self.loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
            raise
        if errors:
            error = errors.pop()
            try:
                raise error
            finally:
                del error
        return results[0]

    def advance(self, seconds: float) -> None:
        """Let so many virtual seconds go by."""
        self.run(asyncio.sleep(seconds), limit=seconds + 1.0)

    # the end

    def watch(self, name: str, counts: Callable[[], dict[str, int]]) -> None:
        """Have ``check_quiet`` demand that every table in ``counts()`` is empty in the end."""
        self._watched.append((name, counts))

    def unfinished(self) -> dict[str, int]:
        """What is not quiet yet: packets on their way and the entries of every watched table, none that is empty."""
        left = {f"{name}: {table}": size for name, counts in self._watched for table, size in counts().items() if size}
        if self._network.in_flight():
            left["packets on their way"] = self._network.in_flight()
        return left

    def check_quiet(self, limit: float = QUIET_AFTER) -> None:
        """Let time go by until nothing is under way; then no table may hold anything, and no cycle may be left.

        Raises AssertionError naming what is still there after ``limit`` virtual seconds, or what of ours the
        collector had to find: on the path of messages reference counts alone must free everything.
        """
        end = self.now + limit
        step = 1.0
        while self.unfinished() and self.now < end:
            self.advance(min(step, max(end - self.now, 0.001)))
            step = min(step * 2, 32.0)
        left = self.unfinished()
        assert not left, f"not quiet after {limit:.0f} s: {left}"
        found = collect_cycles()
        assert not found, "only the collector could free: " + ", ".join(found)

    def at_end(self, closing: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have ``await closing()`` run when the world is closed, after the checks; the last one first."""
        self._closings.append(closing)

    def close(self) -> None:
        """Cancel what still runs and close the loop. A second call does nothing."""
        if self.loop.is_closed():
            return
        self._selector.set_limit(math.inf)
        while self._closings:
            self.loop.run_until_complete(self._closings.pop()())
        for stack in self._stacks:
            self.loop.run_until_complete(stack.close())
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        self._watched.clear()
        self._stacks.clear()
        self._wires.close()
        self._network.close()
        gc.collect()  # a whole server holds itself; looks only at what is younger than this world
        gc.unfreeze()
        if self._collector_was_on:
            gc.enable()


async def _record(main: Coroutine[Any, Any, T], results: list[T], errors: list[BaseException]) -> None:
    """Await ``main`` and file its outcome. A future that holds an exception is held by that exception's traceback in
    turn, and the collector would find the pair: so the exception takes another way out."""
    try:
        results.append(await main)
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        errors.append(error)


def _addresses(places: Place | Iterable[Place]) -> list[str]:
    if isinstance(places, str):
        return [places]
    if isinstance(places, SimulatedHost):
        return list(places.interfaces)
    return [address for place in places for address in _addresses(place)]
