"""The answer to ``Locate``: addresses for a name, as hops.

This much of RFC 3263: the transport that the URI or the question names, else UDP; the port that the URI names, else
the transport's default; A and AAAA records in the resolver's order, those left out that no socket of ours reaches.
"""

from __future__ import annotations

from collections.abc import Callable

from ringback.errors import TransportError
from ringback.protocol.routing.flow import Hop
from ringback.protocol.routing.locate import Locate, direct_hop, transport_of
from ringback.protocol.routing.via import DEFAULT_PORT, DEFAULT_PORTS
from ringback.transport.network import Resolver


async def locate(question: Locate, resolver: Resolver, reaches: Callable[[str, str], bool]) -> list[Hop]:
    """The hops for ``question``, best first, at least one. ``reaches(transport, host)`` tells whether we have a socket.

    Does not suspend when the resolver knows the name. Raises TransportError when nothing can be reached.
    """
    hop = direct_hop(question.uri, question.transport)
    if hop is not None:
        hops = [hop]
    else:
        uri = question.uri
        transport = question.transport or transport_of(uri) or "UDP"
        port = uri.port or DEFAULT_PORTS.get(transport, DEFAULT_PORT)
        name = uri.params.get("maddr") or uri.host
        hops = [Hop(transport, address, port) for address in await resolver.addresses(name)]
    reached = [hop for hop in hops if reaches(hop.transport, hop.host)]
    if not reached:
        raise TransportError(f"no socket of ours reaches {hops[0]!r}")
    return reached
