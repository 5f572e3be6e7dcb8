"""The sockets that we have: which one reaches a hop, which one a flow means, and what we call ourselves on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, final

from ringback.errors import TransportError
from ringback.protocol.routing.flow import Address, Flow, Hop, format_address
from ringback.transport.network import DatagramEndpoint, Network, address_family

if TYPE_CHECKING:
    from collections.abc import Iterable

KNOWN_FLOWS = 16384  # remembered for each listener and each table; then forgotten all at once
_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 (compared with, not bound)


@final
class Listener:
    """One socket we listen on.

    ``local`` is what it is bound to and what ``Flow.local`` says; ``advertised`` is the address to call ourselves by
    instead, if one was given.
    """

    __slots__ = (
        "_flows",
        "advertised",
        "endpoint",
        "family",
        "local",
        "local_text",
        "loopback",
        "transport",
        "wildcard",
    )

    def __init__(self, transport: str, endpoint: DatagramEndpoint, advertised: Address | None) -> None:
        self.transport = transport
        self.endpoint = endpoint
        self.local = endpoint.local
        self.local_text = format_address(endpoint.local)
        self.advertised = advertised
        host = endpoint.local[0]
        self.family = address_family(host)
        self.loopback = _is_loopback(host)
        self.wildcard = host in _WILDCARDS
        self._flows: dict[Address, Flow] = {}

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
    """All listeners of a stack."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._by_local: dict[Address, Listener] = {}
        self._flows: dict[tuple[str, str, int], Flow] = {}
        self._own_names: dict[tuple[Address, str], str] = {}

    async def listen(
        self,
        transport: str,
        host: str,
        port: int,
        on_readable: Callable[[DatagramEndpoint], None],
        advertised: Address | None = None,
    ) -> Listener:
        """Open a socket; raises TransportError for a transport that is not there or an address that cannot be had."""
        if transport != "UDP":
            raise TransportError(f"transport {transport} is not available")
        endpoint = await self._network.open_datagram(host, port, on_readable)
        listener = Listener(transport, endpoint, advertised)
        self._by_local[listener.local] = listener
        self._flows.clear()
        return listener

    def listeners(self) -> Iterable[Listener]:
        """In the order they were opened."""
        return self._by_local.values()

    def listener_of(self, local: Address) -> Listener:
        """The listener bound to ``local``; raises TransportError if it is gone."""
        listener = self._by_local.get(local)
        if listener is None:
            raise TransportError(f"no socket on {format_address(local)}")
        return listener

    def reaches(self, transport: str, host: str) -> bool:
        """Whether some listener has this transport and the family of the numeric ``host``."""
        family = address_family(host)
        return any(each.transport == transport and each.family == family for each in self._by_local.values())

    def flow_to(self, hop: Hop) -> Flow:
        """The flow by which ``hop`` is reached: of the right transport and family the first listener, one on a
        loopback address only for loopback destinations and preferred for them. Raises TransportError if none fits."""
        key = (hop.transport, hop.host, hop.port)
        flow = self._flows.get(key)
        if flow is None:
            flow = self._choose(hop).flow((hop.host, hop.port))
            if len(self._flows) >= KNOWN_FLOWS:
                self._flows.clear()
            self._flows[key] = flow
        return flow

    def _choose(self, hop: Hop) -> Listener:
        family = address_family(hop.host)
        loopback = _is_loopback(hop.host)
        fitting = [
            each for each in self._by_local.values() if each.transport == hop.transport and each.family == family
        ]
        for listener in fitting:
            if listener.loopback == loopback or listener.wildcard:
                return listener
        if fitting and loopback:
            return fitting[0]  # this machine's other addresses reach its loopback too
        if fitting:
            raise TransportError(f"the only {hop.transport} sockets are on loopback addresses, {hop!r} is not")
        raise TransportError(f"no {hop.transport} socket for IPv{family}")

    def sent_by(self, flow: Flow) -> str:
        """``host:port`` to call ourselves by towards ``flow.remote``, IPv6 in brackets (RFC 3261 §18.1.1)."""
        key = (flow.local, flow.remote[0])
        name = self._own_names.get(key)
        if name is None:
            listener = self.listener_of(flow.local)
            if listener.advertised is not None:
                address = listener.advertised
            elif listener.wildcard:
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
        for listener in self._by_local.values():
            listener.endpoint.close()
        self._by_local.clear()
        self._flows.clear()


def _is_loopback(host: str) -> bool:
    return host == "::1" or host.startswith("127.")
