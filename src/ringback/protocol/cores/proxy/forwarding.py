"""Making the request that goes to one target (RFC 3261 §16.6 steps 1 to 9), and the stateless relay (§16.11).

Header fields that no step names leave exactly as they came, byte for byte and in their order.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, final

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.grammar import ascii_lower
from ringback.protocol.message.uri import Uri
from ringback.protocol.message.values import Credentials
from ringback.protocol.routing.flow import WEB_TRANSPORTS
from ringback.protocol.routing.route import FLOWS, TOKEN, flows_text, next_hop_uri, record_route_token
from ringback.protocol.transaction.key import MAGIC_COOKIE

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringback.protocol.cores.proxy.policy import ProxyPolicy
    from ringback.protocol.cores.proxy.target_set import Target
    from ringback.protocol.message.model import Request
    from ringback.protocol.routing.flow import Flow

# Methods that neither make a dialog nor refresh its route set. Any other, unknown ones too, is record-routed (§16.6
# step 4): INVITE, SUBSCRIBE, REFER, and NOTIFY, which makes the subscriber's dialog when it overtakes the 2xx (RFC 6665
# §4.3).
NOT_RECORD_ROUTED = frozenset(
    {"ACK", "BYE", "CANCEL", "INFO", "MESSAGE", "OPTIONS", "PRACK", "PUBLISH", "REGISTER", "UPDATE"}
)
DEFAULT_MAX_FORWARDS = 70
CREDENTIAL_FIELDS = ("proxy-authorization", "authorization")


@final
class Forwarding:
    """Builds the copies. ``sent_by`` says which ``host:port`` names us on a flow."""

    __slots__ = ("_policy", "_sent_by", "_stateless")

    def __init__(self, policy: ProxyPolicy, sent_by: Callable[[Flow], str]) -> None:
        self._policy = policy
        self._sent_by = sent_by
        self._stateless = blake2b(key=policy.secret, digest_size=12)

    def prepare(self, request: Request, target: Target) -> tuple[Request, Uri]:
        """Steps 1 to 3, 5 and 6: the copy for a target, and the URI that leads to its next hop.

        Raises ``RemoteProtocolError`` when a URI or Route value that routing needs is malformed (400) or leads to
        no SIP element (416).
        """
        copy = request.copy()
        if target.uri_text != request.uri_text:
            copy.set_uri(request_uri(target.uri_text))
        lower_max_forwards(copy)
        if self._policy.realms:
            self._strip_credentials(copy)
        for value in reversed(target.route):
            copy.prepend("Route", value)
        uri = next_hop_uri(copy)
        if not uri.is_sip:
            raise RemoteProtocolError("next hop is no SIP URI", status=416, clause="RFC 3261 §16.6", message=request)
        return copy, uri

    def address(self, copy: Request, flow: Flow, branch: str, breadth: int, arrived: Flow | None) -> None:
        """Steps 4, 5, 8 and 9, in place: what depends on the way out. ``arrived`` is the flow the request came on."""
        sent_by = self._sent_by(flow)
        if breadth and "max-breadth" in copy._first:
            copy.set("Max-Breadth", str(breadth))  # the only one afterwards, whatever came
        elif breadth:
            put_line(copy, "max-breadth", f"Max-Breadth: {breadth}")
        if self._policy.record_route and copy.method not in NOT_RECORD_ROUTED:
            self._record_route(copy, flow, sent_by, arrived)
        push_line(copy, "via", f"Via: SIP/2.0/{flow.transport} {sent_by};branch={branch}")
        if flow.reliable and "content-length" not in copy._first:
            copy.append("Content-Length", str(len(copy.body)))

    def stateless_branch(self, request: Request) -> str:
        """The same branch for each retransmission of ``request``, and for a CANCEL as for its INVITE (§16.11)."""
        via = request.top_via
        branch = via.branch or ""
        if branch.startswith(MAGIC_COOKIE):
            parts = [branch, via.sent_by]
        else:
            parts = [
                request.get("via") or "",
                request.to_tag or "",
                request.from_tag or "",
                request.call_id,
                str(request.cseq.number),
                request.uri_text,
            ]
        keyed = self._stateless.copy()
        keyed.update("\n".join(parts).encode("utf-8", "surrogateescape"))
        return MAGIC_COOKIE + keyed.hexdigest()

    def _record_route(self, copy: Request, flow: Flow, sent_by: str, arrived: Flow | None) -> None:
        """Step 4. Two values where the sides differ, each true for its side, so that neither needs rewriting later."""
        scheme = "sips" if copy.uri.scheme == "sips" else "sip"
        flows = flows_text(arrived, flow)
        token = record_route_token(self._policy.secret, copy.call_id, flows)
        if flows:
            token += f";{FLOWS}={flows}"
        if arrived is not None and (arrived.transport != flow.transport or arrived.local != flow.local):
            here = self._sent_by(arrived)
            if here != sent_by or arrived.transport != flow.transport:
                push_line(copy, "record-route", record_route(scheme, here, arrived.transport, token))
        push_line(copy, "record-route", record_route(scheme, sent_by, flow.transport, token))

    def _strip_credentials(self, copy: Request) -> None:
        """Credentials for our own realms end here; those for other realms go on (§22.3, THREATS T5)."""
        for name in CREDENTIAL_FIELDS:
            if name not in copy._first:
                continue
            values = copy.get_all(name)
            others = [value for value in values if realm_of(value) not in self._policy.realms]
            if len(others) == len(values):
                continue
            copy.remove(name)
            for value in others:
                copy.append("Proxy-Authorization" if name == "proxy-authorization" else "Authorization", value)


def lower_max_forwards(copy: Request) -> None:
    """Step 3: one hop less, or 70 where there was no limit. A request with none left must not get this far."""
    hops = copy.max_forwards
    put_line(copy, "max-forwards", f"Max-Forwards: {DEFAULT_MAX_FORWARDS if hops is None else hops - 1}")


def put_line(copy: Request, key: str, line: str) -> None:
    """``Headers.set`` for a number in a header that occurs once at most, and a line of our own making.

    Such a line needs no check. Like ``push_line`` for every request that passes: the checked edits would be a sixth of
    the proxy core's time.
    """
    first = copy._first
    if key in first:
        copy.lines[copy.names.index(key)] = line
    else:
        copy.names.append(key)
        copy.lines.append(line)
    first[key] = line
    copy.raw = None


def push_line(copy: Request, key: str, line: str) -> None:
    """``Headers.prepend`` for a line of our own making."""
    first = copy._first
    at = copy.names.index(key) if key in first else 0
    copy.names.insert(at, key)
    copy.lines.insert(at, line)
    first[key] = line
    copy._changed(key)


def request_uri(text: str) -> str:
    """The URI as it may stand in a start line: without header fields and method parameter (§16.6 step 2, §19.1.1)."""
    if "?" not in text and "method=" not in ascii_lower(text):
        return text
    uri = Uri.parse(text)
    if not uri.is_sip:
        return text
    params = {name: value for name, value in uri.params.items() if name != "method"}
    return str(Uri(uri.scheme, uri.host, user=uri.user, password=uri.password, port=uri.port, params=params))


def record_route(scheme: str, sent_by: str, transport: str, token: str) -> str:
    """A Record-Route line. UDP is what a URI without transport parameter means; for sips it is TLS. A WebSocket that is
    secure is still ``transport=ws`` (RFC 7118 §5.2)."""
    if transport in WEB_TRANSPORTS:
        transport = "WS"
    way = "" if transport == ("TLS" if scheme == "sips" else "UDP") else f";transport={transport.lower()}"
    return f"Record-Route: <{scheme}:{sent_by};lr{way};{TOKEN}={token}>"


def realm_of(credentials: str) -> str | None:
    """The realm of a credentials value, None when it has none or cannot be read."""
    try:
        return Credentials.parse(credentials).params.get("realm")
    except RemoteProtocolError:
        return None
