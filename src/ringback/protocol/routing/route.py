"""Route and Record-Route as a proxy treats them (RFC 3261 §16.4, §16.6 steps 4 and 6, §16.12).

Rule 1. A value is ours when its host and port are ours (``LocalNames``); who we are is told, never guessed.
Rule 2. What we put into Record-Route bears a token, a keyed hash of the Call-ID. A Route (or, from a strict router,
        a Request-URI) of ours with a valid token proves that we forwarded the request that made this dialog; without
        one it is a preloaded Route, and the request is treated as any request from outside a dialog.
Rule 3. Every value of ours at the top of the Route is removed, not only the first: we record-route twice where
        transport or address family changes, and a request need not be sent to ourselves.
"""

from __future__ import annotations

from hashlib import blake2b
from hmac import compare_digest
from typing import TYPE_CHECKING, final

from ringback.protocol.grammar import ascii_lower
from ringback.protocol.message.uri import Uri
from ringback.protocol.routing.flow import WEB_TRANSPORTS
from ringback.protocol.routing.via import DEFAULT_PORT, DEFAULT_PORTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringback.protocol.message.model import Request
    from ringback.protocol.routing.flow import Address, Flow

TOKEN = "rbk"  # noqa: S105 - the name of the URI parameter
FLOWS = "rbf"


@final
class LocalNames:
    """Who this element is: the domains it is responsible for, and the addresses it can be reached at.

    A domain without a port, or with the port of one of our addresses, is ours; an address is ours with its port.
    """

    __slots__ = ("_places", "_ports", "domains")

    def __init__(self, domains: Iterable[str] = (), addresses: Iterable[Address] = ()) -> None:
        self.domains = {ascii_lower(domain) for domain in domains}
        self._places: set[Address] = set()
        self._ports: set[int] = set()
        for address in addresses:
            self.add_address(address)

    def add_address(self, address: Address) -> None:
        """A host (name, or numeric without brackets) and port at which requests reach us."""
        host, port = address
        self._places.add((ascii_lower(host), port))
        self._ports.add(port)

    def owns(self, uri: Uri) -> bool:
        """True when the URI's host and port are this element, whatever its user part.

        A page with a secure WebSocket writes ``sip:host;transport=ws`` where port 443 is meant (RFC 7118 §5.5 says 80).
        """
        if not uri.is_sip:
            return False
        if uri.port is None and uri.transport in WEB_TRANSPORTS:
            return self.owns_place(uri.host, None, 80) or self.owns_place(uri.host, None, 443)
        return self.owns_place(uri.host, uri.port, 5060 if uri.scheme == "sip" else 5061)

    def owns_place(self, host: str, port: int | None, default: int = DEFAULT_PORT) -> bool:
        """The same for a host (brackets allowed) and a port; None is the default one."""
        if host[:1] == "[":
            host = host[1:-1]
        host = ascii_lower(host)
        if host in self.domains:
            return port is None or port in self._ports
        return (host, port or default) in self._places


def record_route_token(secret: bytes, call_id: str, flows: str = "") -> str:
    """The proof that we record-routed this Call-ID: 16 hexadecimal digits of a keyed hash (at most 64 bytes of key).

    ``flows`` are the connections that it vouches for as well, as ``flows_text`` writes them.
    """
    text = f"{call_id}\n{flows}" if flows else call_id
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8, key=secret).hexdigest()


def check_route_token(secret: bytes, call_id: str, token: str | None, flows: str = "") -> bool:
    """True when ``token`` is the one that ``record_route_token`` makes for these; compared in constant time."""
    return bool(token) and compare_digest(
        (token or "").encode("utf-8", "surrogateescape"), record_route_token(secret, call_id, flows).encode()
    )


def flows_text(one: Flow | None, other: Flow) -> str:
    """The connections on the two sides of a dialog (RFC 5626 §5.2), "" where neither is one."""
    number = one.connection if one is not None else 0
    return f"{number:x}-{other.connection:x}" if number or other.connection else ""


def connection_beyond(request: Request, flow: Flow, local: LocalNames, secret: bytes) -> int:
    """The number of the connection that a request within a dialog goes on (RFC 5626 §5.3.1), 0 where none is known.

    Our Route names the connections of both sides; the request goes by the one that it did not come on. To be asked
    before ``preprocess`` takes our Route away. Raises ``RemoteProtocolError`` if Route cannot be parsed.
    """
    if FLOWS not in request._first.get("route", ""):
        return 0
    params = request.routes[0].uri.params
    flows = params.get(FLOWS) or ""
    one, dash, other = flows.partition("-")
    if not (dash and local.owns(request.routes[0].uri)):
        return 0
    if not check_route_token(secret, request.call_id, params.get(TOKEN), flows):
        return 0
    here = f"{flow.connection:x}"
    if one == other or here not in (one, other):
        return 0
    return int(other if here == one else one, 16)


def preprocess(request: Request, flow: Flow, local: LocalNames, secret: bytes) -> bool:
    """Undo what brought the request here (§16.4), in place; True when a value of ours had a valid token.

    A Request-URI that a strict router filled with our Record-Route value is replaced by the last Route value; a
    ``maddr`` of ours, when the request came on the port and transport that the URI names, is taken off; our own
    values leave the top of Route. Raises ``RemoteProtocolError`` if Route cannot be parsed.
    """
    uri = request.uri
    within_dialog = False
    if uri.params:
        if TOKEN in uri.params and local.owns(uri):
            within_dialog = check_route_token(secret, request.call_id, uri.params[TOKEN], uri.params.get(FLOWS) or "")
            if within_dialog:
                _undo_strict_route(request)
                uri = request.uri
        if uri.params.get("maddr"):
            _strip_maddr(request, uri, flow, local)
    if "route" in request._first:
        for value in request.routes:
            route = value.uri
            if not local.owns(route):
                break
            if not within_dialog and TOKEN in route.params:
                within_dialog = check_route_token(
                    secret, request.call_id, route.params[TOKEN], route.params.get(FLOWS) or ""
                )
            request.pop_first("route")
    return within_dialog


def next_hop_uri(request: Request) -> Uri:
    """The URI that says where the request goes next (§16.6 steps 6 and 7): top Route value, else Request-URI.

    When the top Route value is a strict router (no ``lr``), the request is rewritten in place for it: the Request-URI
    becomes the last Route value, and the top one the Request-URI.
    """
    if "route" not in request._first:
        return request.uri
    first = request.routes[0]
    if first.uri.lr:
        return first.uri
    request.append("route", f"<{request.uri_text}>")
    request.set_uri(first.uri_text)
    request.pop_first("route")
    return request.uri


def _undo_strict_route(request: Request) -> None:
    if "route" not in request._first:
        return  # nothing behind us: the request is for ourselves
    last = request.routes[-1].uri_text
    values = request.values("route")[:-1]
    request.set_uri(last)
    if values:
        request.set("route", ", ".join(values))
    else:
        request.remove("route")


def _strip_maddr(request: Request, uri: Uri, flow: Flow, local: LocalNames) -> None:
    transport = uri.transport or ("TLS" if uri.scheme == "sips" else "UDP")
    port = uri.port or DEFAULT_PORTS.get(transport, DEFAULT_PORT)
    if transport != flow.transport or port != flow.local[1]:
        return  # it wants to reach us by another port or transport, and is forwarded there
    if not local.owns_place(uri.params["maddr"] or "", port):
        return
    params = {name: value for name, value in uri.params.items() if name not in ("maddr", "transport")}
    bare = Uri(uri.scheme, uri.host, user=uri.user, password=uri.password, params=params, headers=uri.headers)
    request.set_uri(str(bare))
