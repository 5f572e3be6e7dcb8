"""A machine in the simulated world: addresses, a network, a resolver, a clock and ids of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, final

from ringback.errors import TransportError
from ringback.testing.network import SimulatedEndpoint, SimulatedNetwork
from ringback.testing.seeded import SeededIds, VirtualClock
from ringback.transport.network import address_family
from ringback.transport.record_cache import Answer, RecordCache

if TYPE_CHECKING:
    from ringback.protocol.routing.records import Record
    from ringback.testing.names import NameServer
    from ringback.testing.streams import StreamWires
    from ringback.transport.network import DatagramEndpoint, StreamAcceptor, StreamOwner


@final
class SimulatedHost:
    """Satisfies ``transport.network.Network`` and ``Resolver``; ``clock`` and ``ids`` complete what a stack needs."""

    def __init__(
        self,
        interfaces: tuple[str, ...],
        network: SimulatedNetwork,
        zone: dict[str, list[Record]],
        names: NameServer,
        clock: VirtualClock,
        ids: SeededIds,
        random: Random,
        wires: StreamWires,
    ) -> None:
        self.address = interfaces[0]
        self.interfaces = interfaces
        self.clock = clock
        self.ids = ids
        self.random = random
        self._network = network
        self._zone = zone
        self._names = names
        self._cache = RecordCache()
        self._wires = wires

    def __repr__(self) -> str:
        return f"SimulatedHost({', '.join(self.interfaces)})"

    def bind(self, host: str, port: int, on_readable: Callable[[DatagramEndpoint], None]) -> SimulatedEndpoint:
        """``open_datagram`` for those who cannot await."""
        return self._network.bind(self.interfaces, host, port, on_readable)

    async def open_datagram(
        self, host: str, port: int, on_readable: Callable[[DatagramEndpoint], None]
    ) -> DatagramEndpoint:
        """Bind to one of this host's addresses, or to all of a family (``0.0.0.0``, ``::``)."""
        return self.bind(host, port, on_readable)

    async def listen_stream(
        self, host: str, port: int, on_connection: Callable[[], StreamOwner] | None
    ) -> StreamAcceptor:
        """Accept connections on one of this host's addresses, or on all of a family."""
        return self._wires.listen(self.interfaces, host, port, on_connection)

    async def connect_stream(self, host: str, port: int, owner: StreamOwner, source: str | None = None) -> None:
        """Open a connection from ``source``, or from the first address of the family."""
        await self._wires.connect(source or self.source_address(host), (host, port), owner)

    def source_address(self, remote: str) -> str:
        """This host's first address of the remote's family; TransportError if it has none."""
        family = address_family(remote)
        for address in self.interfaces:
            if address_family(address) == family:
                return address
        raise TransportError(f"{self!r} has no route to {remote}")

    async def addresses(self, host: str, family: int | None = None) -> list[str]:
        """The addresses of ``host`` in the world's zone, at once; TransportError for a name it does not have."""
        try:
            answer = [host] if address_family(host) else []
        except TransportError:
            answer = [record for record in self._zone.get(host.lower(), []) if isinstance(record, str)]
        answer = [address for address in answer if family is None or address_family(address) == family]
        if not answer:
            raise TransportError(f"no address for {host}")
        return answer

    async def records(self, name: str, kind: str) -> list[Record]:
        """The records of ``name`` in the world's zone, as the world's ``names`` answers."""
        conduct = self._names.of(name)
        if not conduct.delay and not conduct.ttl:
            return self._names.answer(self.address, self._zone, name, kind)
        return await self._cache.records(name, kind, self._query)

    async def _query(self, name: str, kind: str) -> Answer:
        conduct = self._names.of(name)
        await asyncio.sleep(conduct.delay)
        return self._names.answer(self.address, self._zone, name, kind), conduct.ttl
