"""The sockets that we have: which one reaches a hop, which one a flow means, and what we call ourselves on it.

Datagrams go by the socket that their flow names. For streams a flow names a connection (``transport.connections``);
here is only where we listen for them, and by which address of ours they are opened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, final

from ringback.errors import TransportError
from ringback.protocol.routing.flow import Address, Flow, Hop, format_address
from ringback.transport.network import DatagramEndpoint, Network, StreamAcceptor, StreamOwner, address_family

if TYPE_CHECKING:
    from collections.abc import Iterable

KNOWN_FLOWS = 16384  # remembered for each listener and each table; then forgotten all at once
_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 (compared with, not bound)


class Place:
    """Where we can be reached by one transport.

    ``local`` is what the socket is bound to and what ``Flow.local`` says; ``advertised`` is the address to call
    ourselves by instead, if one was given.
    """

    __slots__ = ("advertised", "family", "local", "local_text", "loopback", "transport", "wildcard")

    def __init__(self, transport: str, local: Address, advertised: Address | None) -> None:
        self.transport = transport
        self.local = local
        self.local_text = format_address(local)
        self.advertised = advertised
        host = local[0]
        self.family = address_family(host)
        self.loopback = _is_loopback(host)
        self.wildcard = host in _WILDCARDS


@final
class StreamPlace(Place):
    """A port for connections. Those that we open say of themselves that we can be reached there."""

    __slots__ = ("_acceptor",)

    def __init__(self, transport: str, acceptor: StreamAcceptor, advertised: Address | None) -> None:
        super().__init__(transport, acceptor.local, advertised)
        self._acceptor = acceptor

    def close(self) -> None:
        """Accept no more."""
        self._acceptor.close()


@final
class Listener(Place):
    """A datagram socket."""

    __slots__ = ("_flows", "endpoint")

    def __init__(self, transport: str, endpoint: DatagramEndpoint, advertised: Address | None) -> None:
        super().__init__(transport, endpoint.local, advertised)
        self.endpoint = endpoint
        self._flows: dict[Address, Flow] = {}

    def close(self) -> None:
        """Close the socket."""
        self.endpoint.close()

    def flow(self, remote: Address) -> Flow:
        """The flow between this socket and ``remote``; the same object while it is remembered."""
        flow = self._flows.get(remote)
        if flow is None:
            if len(self._flows) >= KNOWN_FLOWS:
                self._flows.clear()
            flow = self._flows[remote] = Flow(self.transport, self.local, remote)
        return flow


@final
class TransportTable:
    """All places of a stack."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._by_local: dict[Address, Listener] = {}
        self._places: dict[tuple[str, Address], Listener | StreamPlace] = {}
        self._flows: dict[tuple[str, str, int], Flow] = {}
        self._own_names: dict[tuple[str, Address, str], str] = {}

    async def listen(
        self,
        transport: str,
        host: str,
        port: int,
        on_readable: Callable[[DatagramEndpoint], None],
        advertised: Address | None = None,
    ) -> Listener:
        """Open a datagram socket; raises TransportError for another transport or an address that cannot be had."""
        if transport != "UDP":
            raise TransportError(f"transport {transport} is not available")
        endpoint = await self._network.open_datagram(host, port, on_readable)
        listener = Listener(transport, endpoint, advertised)
        self._by_local[listener.local] = listener
        self._places[transport, listener.local] = listener
        self._flows.clear()
        return listener

    async def listen_stream(
        self,
        transport: str,
        host: str,
        port: int,
        accept: Callable[[StreamPlace], StreamOwner] | None,
        advertised: Address | None = None,
    ) -> StreamPlace:
        """Open a port for connections; with ``accept`` None it is only kept, to open some from. Raises TransportError.

        A UDP port of the same number is of no concern: they are told apart by transport.
        """
        places: list[StreamPlace] = []  # there before the first connection is
        owner = None if accept is None else (lambda: accept(places[0]))
        acceptor = await self._network.listen_stream(host, port, owner)
        place = StreamPlace(transport, acceptor, advertised)
        places.append(place)
        self._places[transport, place.local] = place
        return place

    def places(self) -> Iterable[Listener | StreamPlace]:
        """In the order they were opened."""
        return self._places.values()

    def listener_of(self, local: Address) -> Listener:
        """The datagram socket bound to ``local``; raises TransportError if it is gone."""
        listener = self._by_local.get(local)
        if listener is None:
            raise TransportError(f"no socket on {format_address(local)}")
        return listener

    def place_of(self, flow: Flow) -> StreamPlace:
        """The port for connections that ``flow`` names; raises TransportError if it is gone."""
        place = self._places.get((flow.transport, flow.local))
        if not isinstance(place, StreamPlace):
            raise TransportError(f"no socket on {format_address(flow.local)}")
        return place

    def twin_of(self, flow: Flow) -> StreamPlace | None:
        """The port for TCP connections of the same address as the datagram socket of ``flow``, if there is one."""
        place = self._places.get(("TCP", flow.local))
        return place if isinstance(place, StreamPlace) else None

    def reaches(self, transport: str, host: str) -> bool:
        """Whether some place has this transport and the family of the numeric ``host``."""
        family = address_family(host)
        return any(each.transport == transport and each.family == family for each in self._places.values())

    def flow_to(self, hop: Hop) -> Flow:
        """The flow by which datagrams reach ``hop``, see ``choose``. Raises TransportError if no socket fits."""
        key = (hop.transport, hop.host, hop.port)
        flow = self._flows.get(key)
        if flow is None:
            listener = self.choose(hop)
            if not isinstance(listener, Listener):
                raise TransportError(f"{hop!r} is reached by a connection")
            flow = listener.flow((hop.host, hop.port))
            if len(self._flows) >= KNOWN_FLOWS:
                self._flows.clear()
            self._flows[key] = flow
        return flow

    def choose(self, hop: Hop) -> Listener | StreamPlace:
        """Of the right transport and family the first place, one on a loopback address only for loopback destinations
        and preferred for them. Raises TransportError if none fits."""
        family = address_family(hop.host)
        loopback = _is_loopback(hop.host)
        fitting = [each for each in self._places.values() if each.transport == hop.transport and each.family == family]
        for place in fitting:
            if place.loopback == loopback or place.wildcard:
                return place
        if fitting and loopback:
            return fitting[0]  # this machine's other addresses reach its loopback too
        if fitting:
            raise TransportError(f"the only {hop.transport} sockets are on loopback addresses, {hop!r} is not")
        raise TransportError(f"no {hop.transport} socket for IPv{family}")

    def sent_by(self, flow: Flow) -> str:
        """``host:port`` to call ourselves by towards ``flow.remote``, IPv6 in brackets (RFC 3261 §18.1.1)."""
        key = (flow.transport, flow.local, flow.remote[0])
        name = self._own_names.get(key)
        if name is None:
            place = self._places.get((flow.transport, flow.local))
            if place is None:
                raise TransportError(f"no socket on {format_address(flow.local)}")
            if place.advertised is not None:
                address = place.advertised
            elif place.wildcard:
                address = (self._network.source_address(flow.remote[0]), flow.local[1])
            else:
                address = flow.local
            name = format_address(address)
            if len(self._own_names) >= KNOWN_FLOWS:
                self._own_names.clear()
            self._own_names[key] = name
        return name

    def close(self) -> None:
        """Close every socket."""
        for place in self._places.values():
            place.close()
        self._places.clear()
        self._by_local.clear()
        self._flows.clear()


def _is_loopback(host: str) -> bool:
    return host == "::1" or host.startswith("127.")
