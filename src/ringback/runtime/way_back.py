"""Where a response goes when the connection of its request is gone and none can be opened to its source (RFC 3263 §5).

Only for connections, whose source has proved that it is there. For a datagram RFC 3261 §18.2.2 would have the same
after an ICMP error; but whoever forges a source could then have our responses sent to any name.
"""

from __future__ import annotations

from collections.abc import Callable

from ringback.errors import RemoteProtocolError
from ringback.protocol.grammar import is_ipv4
from ringback.protocol.message.parser import parse_message
from ringback.protocol.routing.flow import RELIABLE_TRANSPORTS, WEB_TRANSPORTS
from ringback.protocol.routing.locate import Location, Reach


def way_back(response: bytes, reach: Reach, number: Callable[[int, int], int]) -> Location | None:
    """The look-up of the name in the top Via's sent-by; None where that is an address, which has been tried already.

    None for a WebSocket too: its client cannot be connected to (RFC 7118 §5.3).
    """
    try:
        via = parse_message(response).top_via
    except RemoteProtocolError:
        return None
    if via.transport not in RELIABLE_TRANSPORTS - WEB_TRANSPORTS or via.host[:1] == "[" or is_ipv4(via.host):
        return None
    return Location.of_via(via, reach, number)
