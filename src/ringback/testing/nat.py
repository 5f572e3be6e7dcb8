"""A network address translator, with the habits that SIP has to live with (RFC 4787)."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import final

from ringback.protocol.routing.flow import Address

FIRST_PUBLIC_PORT = 40000


@final
class _Mapping:
    """One public port. ``peers`` are the remote addresses that it was used towards: only they get back in."""

    __slots__ = ("inside", "last_outbound", "peers", "port")

    def __init__(self, inside: Address, port: int, now: float) -> None:
        self.inside = inside
        self.port = port
        self.last_outbound = now
        self.peers: set[Address] = set()


@final
class Nat:
    """Rewrites the sources of what leaves a private network, and lets in only answers.

    A mapping is by inside socket (``symmetric=False``, endpoint-independent) or by inside socket and destination
    (``symmetric=True``); filtering is always by address and port of the peer. A mapping that nothing was sent through
    for ``timeout`` seconds is gone: the next packet out gets another public port.
    """

    def __init__(self, inside: IPv4Network | IPv6Network, public: str, timeout: float, symmetric: bool) -> None:
        self.public = public
        self.timeout = timeout
        self.symmetric = symmetric
        self._inside = inside
        self._covered: dict[str, bool] = {}
        self._by_inside: dict[tuple[Address, Address | None], _Mapping] = {}
        self._by_port: dict[int, _Mapping] = {}
        self._next_port = FIRST_PUBLIC_PORT

    def covers(self, host: str) -> bool:
        """Whether ``host`` is an address behind this NAT."""
        known = self._covered.get(host)
        if known is None:
            address = ip_address(host)
            known = self._covered[host] = address.version == self._inside.version and address in self._inside
        return known

    def outbound(self, source: Address, destination: Address, now: float) -> Address:
        """The public source address of a packet from the inside; makes or refreshes the mapping."""
        key = (source, destination if self.symmetric else None)
        mapping = self._by_inside.get(key)
        if mapping is None or now - mapping.last_outbound > self.timeout:
            if mapping is not None:
                del self._by_port[mapping.port]
            mapping = self._by_inside[key] = self._by_port[self._next_port] = _Mapping(source, self._next_port, now)
            self._next_port += 1
        mapping.last_outbound = now
        mapping.peers.add(destination)
        return (self.public, mapping.port)

    def inbound(self, destination: Address, source: Address, now: float) -> Address | None:
        """The inside socket that a packet to the public ``destination`` is for; None if it is not let in."""
        mapping = self._by_port.get(destination[1])
        if mapping is None or now - mapping.last_outbound > self.timeout or source not in mapping.peers:
            return None
        return mapping.inside

    def forget(self) -> None:
        """Lose every mapping, as a home router does when it restarts."""
        self._by_inside.clear()
        self._by_port.clear()
