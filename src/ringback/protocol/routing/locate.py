"""From a URI to next hops (RFC 3263) as a question and its answer.

The core never resolves a name. A numeric host is a hop at once; for any other host the core asks ``Locate`` in its
events and is answered by its ``located(token, hops or error, now)``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, final

from ringback.protocol.grammar import is_ipv4
from ringback.protocol.routing.flow import Hop
from ringback.protocol.routing.via import DEFAULT_PORT, DEFAULT_PORTS

if TYPE_CHECKING:
    from ringback.protocol.message.uri import Uri

_is_ipv4 = lru_cache(4096)(is_ipv4)  # the same few gateways and phones, over and over


@final
class Locate:
    """The question: which hops lead to ``uri``? Asked by the core ``user``, answered with ``token`` given back.

    ``transport`` is the one to use ("TLS" for sips), None where RFC 3263 §4.1 is to choose.
    """

    __slots__ = ("token", "transport", "uri", "user")

    def __init__(self, user: str, token: int, uri: Uri, transport: str | None = None) -> None:
        self.user = user
        self.token = token
        self.uri = uri
        self.transport = transport

    def __repr__(self) -> str:
        return f"Locate({self.user} {self.token} {self.uri})"


def transport_of(uri: Uri) -> str | None:
    """The transport that the URI itself asks for, None when it leaves the choice (RFC 3263 §4.1)."""
    asked = uri.transport
    if uri.scheme == "sips":
        return "WSS" if asked in ("WS", "WSS") else "TLS"
    return asked


def direct_hop(uri: Uri, transport: str | None = None) -> Hop | None:
    """The hop of a URI whose target is a numeric address, None when a name must be resolved first.

    ``maddr`` takes the place of the host (RFC 3263 §4). Without ``transport`` and a transport parameter it is UDP for
    sip and TLS for sips; without a port 5060, or 5061 for TLS (§4.1, §4.2).
    """
    host = uri.params.get("maddr") or uri.host
    if host[:1] == "[" and host[-1:] == "]":
        host = host[1:-1].replace(":::", "::")  # RFC 5118 §4.10
    elif not _is_ipv4(host):
        return None
    transport = transport or transport_of(uri) or "UDP"
    return Hop(transport, host, uri.port or DEFAULT_PORTS.get(transport, DEFAULT_PORT))
