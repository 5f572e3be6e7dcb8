"""The Via of a request on arrival, and the way a response goes back (RFC 3261 §18.2, RFC 3581).

A request is stamped once, at the door, before anything else looks at it: its top Via then says where it really came
from, and every response can be routed from that Via alone. What a sender wrote into ``received`` or as a value of
``rport`` is never believed: it would let anyone aim our responses at a third party.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.protocol.grammar import ascii_lower, is_ipv4, split_unquoted, strip_lws
from ringback.protocol.routing.flow import RELIABLE_TRANSPORTS, Hop

if TYPE_CHECKING:
    from ringback.protocol.message.model import Message, Request
    from ringback.protocol.message.values import Via
    from ringback.protocol.routing.flow import Flow

DEFAULT_PORTS = {"TLS": 5061, "WS": 80, "WSS": 443}  # every other transport: 5060 (RFC 3261 §18.2.2, RFC 7118 §5)
DEFAULT_PORT = 5060


def stamp(request: Request, flow: Flow) -> None:
    """Write the packet's source into the top Via (RFC 3261 §18.2.1, RFC 3581 §4).

    ``received`` is added when the sent-by host is not the source address or when ``rport`` was asked for, and
    ``rport`` is filled in when asked for. Nothing but the first Via value changes; a Via that needs neither is left
    byte for byte. ``received`` and ``rport`` values that the sender made up are replaced by the true ones.
    Raises ``RemoteProtocolError`` if the top Via cannot be parsed (the door check has refused such a request before).
    """
    via = request.top_via
    params = via.params
    host, port = flow.remote
    asked = "rport" in params
    if asked:
        if not params["rport"] and "received" not in params:
            at = request.names.index("via")
            before, found, after = request.lines[at].partition(";rport")
            # the usual way to write it, and in the first value, not in a later one or within quotes
            if found and (not after or after[0] == ";") and "," not in before and '"' not in before:
                line = f"{before};received={host};rport={port}{after}"
                request.lines[at] = request._first["via"] = line
                request.raw = None
                params["received"] = host  # the parsed value belongs to this request alone, so it is kept true
                params["rport"] = str(port)
                return
    elif "received" not in params and _bare(via.host) == host:
        return
    first = split_unquoted(request.get("via") or "", ",")[0]
    parts = [part for part in split_unquoted(first, ";") if _name(part) not in ("rport", "received")]
    parts.append(f"received={host}")
    if asked:
        parts.append(f"rport={port}")
    request.replace_first("via", ";".join(parts))


def response_hop(via: Via) -> Hop:
    """Where a response with this top Via goes (RFC 3261 §18.2.2, RFC 3581 §4).

    For datagrams: ``maddr`` if it is a multicast group, else ``received`` with the ``rport`` port, else ``received``
    with the sent-by port, else sent-by itself. For a reliable transport the connection of the request comes first (the
    caller knows it); the hop says where to connect to when that is gone. The host is numeric whenever the request was
    stamped; a Via that was never stamped may give a name.

    A unicast ``maddr`` is passed over, though §18.2.2 knows no difference: a client writes one only when it sends to a
    group (§18.1.1), and to follow any other would let everybody aim our responses, an unacknowledged 486 eleven times
    over, at a third party without so much as forging a source (THREATS T11).
    """
    transport = via.transport
    params = via.params
    port = via.port or DEFAULT_PORTS.get(transport, DEFAULT_PORT)
    received = params.get("received")
    if transport in RELIABLE_TRANSPORTS:
        return Hop(transport, _bare(received or via.host), port)
    maddr = params.get("maddr")
    if maddr and _is_multicast(_bare(maddr)):
        return Hop(transport, _bare(maddr), port)
    if received:
        return Hop(transport, _bare(received), _port(params.get("rport")) or port)
    return Hop(transport, _bare(via.host), port)


def top_branch(message: Message) -> str:
    """The branch of the top Via, "" when it has none (an RFC 2543 peer)."""
    return message.top_via.branch or ""


def _name(part: str) -> str:
    return ascii_lower(strip_lws(part.partition("=")[0]))


def _bare(host: str) -> str:
    """The host without IPv6 brackets, which some write into received and maddr too (RFC 5118 §4.5, §4.10)."""
    if ":" not in host:
        return host
    host = host.replace(":::", "::")
    return host[1:-1] if host[0] == "[" else host


def _is_multicast(host: str) -> bool:
    """224.0.0.0/4 and ff00::/8."""
    if ":" in host:
        return host[:2] in ("ff", "FF", "fF", "Ff")
    return is_ipv4(host) and 224 <= int(host.partition(".")[0]) <= 239


def _port(text: str | None) -> int | None:
    """The value of rport, None when it is not a port."""
    if text and len(text) <= 5 and text.isascii() and text.isdigit():
        number = int(text)
        if 0 < number <= 65535:
            return number
    return None
