"""From an address-of-record to the targets that it stands for (RFC 3261 §16.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, final

from ringback.protocol.cores.proxy.target_set import Target
from ringback.protocol.message.uri import Uri
from ringback.protocol.registration.binding import flow_from_text
from ringback.protocol.routing.flow import WEB_TRANSPORTS
from ringback.protocol.routing.locate import direct_hop, transport_of
from ringback.protocol.routing.telephone import as_sip
from ringback.server.chain import Destination, Exchange, Verdict

if TYPE_CHECKING:
    from ringback.protocol.message.model import Request
    from ringback.protocol.registration.binding import Binding
    from ringback.protocol.routing.flow import Flow
    from ringback.server.stores.base import LocationStore

MOST_PASSES = 3  # times that a request may come through here and still be forked

# What only means something within one network: RFC 1918, RFC 6598, link-local, and the like for IPv6.
_PRIVATE = (
    "10.", "192.168.", "169.254.", "fe80:", "fc", "fd",
    *(f"172.{second}." for second in range(16, 32)),
    *(f"100.{second}." for second in range(64, 128)),
)  # fmt: skip


def _never(request: Request) -> int:
    return 0


def _none(connection: int) -> Flow | None:
    return None


@final
class Locate:
    """Looks bindings up. ``is_user`` says whether an address-of-record is valid here, bindings or none.

    ``ring_time`` limits how long targets of one q ring before the next ones are tried, in seconds; None: Timer C.
    ``passes`` says how often a request has been here before; ``gateway`` is the host (and port) that dials numbers.
    ``flow_of`` gives the flow of a connection by its number, None once it has ended.
    """

    def __init__(
        self,
        store: LocationStore,
        is_user: Callable[[str], bool],
        ring_time: float | None = None,
        passes: Callable[[Request], int] = _never,
        gateway: str | None = None,
        flow_of: Callable[[int], Flow | None] = _none,
    ) -> None:
        self._store = store
        self._is_user = is_user
        self._passes = passes
        self._flow_of = flow_of
        self._ring_time = ring_time
        self._gateway = Uri.parse(gateway) if gateway is not None else None

    async def __call__(self, exchange: Exchange) -> Verdict:
        """Sets ``targets``; refuses with 404 an unknown user, with 480 one that is not registered.

        A request that has come back to us several times forks no more, but is refused with 482: each time is a spiral
        and no loop, yet ten contacts that point at us, tried in turn, would make millions of requests of one.
        """
        if exchange.destination is not Destination.LOCAL:
            exchange.targets = [Target(self._foreign(exchange.request))]
            return Verdict.NEXT
        bindings = self._store.bindings(exchange.aor, exchange.now)
        if len(bindings) > 1 and self._passes(exchange.request) >= MOST_PASSES:
            return exchange.refuse(482, why=f"no fork after {MOST_PASSES} passes through this proxy (RFC 5393 §5)")
        if bindings:
            ring_time = self._ring_time if exchange.request.method == "INVITE" and len(bindings) > 1 else None
            targets = [target_of(binding, ring_time) for binding in bindings]
            exchange.targets = [target for target in targets if not self._is_gone(target)]
            return Verdict.NEXT if exchange.targets else exchange.refuse(480)
        return exchange.refuse(480 if self._is_user(exchange.aor) else 404)

    def _is_gone(self, target: Target) -> bool:
        """Whether it was registered over a WebSocket that has ended: nobody can connect to a browser."""
        flow = target.flow
        return flow is not None and flow.transport in WEB_TRANSPORTS and self._flow_of(flow.connection) is None

    def _foreign(self, request: Request) -> str:
        """Where a request for nobody of ours goes: where it says, or, with a number and no Route, to the gateway."""
        gateway = self._gateway
        if gateway is None or "route" in request.names or request.uri.is_sip:
            return request.uri_text
        return as_sip(request.uri, gateway.hostport, gateway.scheme)


def target_of(binding: Binding, ring_time: float | None = None) -> Target:
    """Where a request for ``binding`` goes: its URI by its Path, or back down the flow that a NAT keeps open.

    Also back on the connection that it was registered on, as long as that is there, where its URI asks for the same
    transport: a phone that has no certificate, or is behind a firewall, is reached in no other way. The URI of a page
    names nobody at all (``.invalid``), and says ``ws`` for a secure WebSocket too (RFC 7118).
    """
    target = Target(binding.uri, route=binding.path, q=binding.q, ring_time=ring_time)
    if binding.received and not binding.path:
        if _behind_nat(binding):
            target.flow = flow_from_text(binding.received)
        elif not binding.received.startswith("UDP "):
            uri = Uri.parse(binding.uri)
            flow = flow_from_text(binding.received)
            asked = transport_of(uri) or "UDP"
            if flow.transport in WEB_TRANSPORTS:
                secure = uri.scheme != "sips" or flow.transport == "WSS"
                if secure and (asked in ("WS", flow.transport) or uri.host.endswith(".invalid")):
                    target.flow = flow
            elif asked == flow.transport:
                target.flow = flow
                hop = direct_hop(uri)
                target.hops = [hop] if hop is not None else None
    return target


def _behind_nat(binding: Binding) -> bool:
    """Whether the contact is a private address, and the REGISTER came from one that is not."""
    remote = binding.received.split(" ")[2]
    host = Uri.parse(binding.uri).ip
    source = remote.rpartition(":")[0].strip("[]")
    return host != source and host.lower().startswith(_PRIVATE) and not source.startswith(_PRIVATE)
