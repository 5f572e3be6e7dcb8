"""The proxy core: a transaction user (RFC 3261 §16), stateful for all but ACK and a CANCEL that matches nothing.

The composition root drives it so: ``admit`` each request that is to be proxied; answer the refusal if there is one;
authenticate; find the targets; ``accept`` it in the layer with user ``"proxy"``; ``forward``. An ACK or a CANCEL
that matches no transaction is admitted too and then given to ``forward_stateless``. The layer's events with user
``"proxy"`` go to ``handle_event``; after each call ``poll`` is drained: ``Locate`` questions, to be answered through
``located``, and ``ContextDone`` for the log.

A proxy never originates a BYE, drops responses that match nothing (RFC 6026 §7.3), and makes no provisional but 100.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from ringback.protocol.cores.proxy.branch import BranchInput
from ringback.protocol.cores.proxy.context import ContextDone, ResponseContext
from ringback.protocol.cores.proxy.forwarding import Forwarding
from ringback.protocol.cores.proxy.loop_detection import LoopDetection
from ringback.protocol.cores.proxy.response_context import USER, ContextMachine
from ringback.protocol.cores.proxy.target_set import Target, TargetSet
from ringback.protocol.cores.proxy.validation import Refusal, check, incoming_breadth
from ringback.protocol.errors import LocalProtocolError, RemoteProtocolError, SipError, TransportError
from ringback.protocol.message.build import build_response
from ringback.protocol.routing.flow import SECURE_TRANSPORTS
from ringback.protocol.routing.locate import Locate, direct_hop
from ringback.protocol.routing.route import connection_beyond, preprocess
from ringback.protocol.transaction.events import (
    CancelReceived,
    ResponseReceived,
    TransactionTerminated,
    TransactionTimedOut,
    TransportFailed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringback.protocol.cores.proxy.policy import ProxyPolicy
    from ringback.protocol.grammar import Ids
    from ringback.protocol.message.model import Request
    from ringback.protocol.routing.flow import Flow, Hop
    from ringback.protocol.routing.route import LocalNames
    from ringback.protocol.transaction.key import ServerKey
    from ringback.protocol.transaction.layer import TransactionLayer

STATELESS_LIMIT = 1000  # stateless relays waiting for the resolver; more are dropped, their senders try again


@final
class Admission:
    """What the proxy found out about a request at the door.

    ``refusal`` is the response to make instead of forwarding, None to go on. ``within_dialog`` is true when a Route
    through us bore our token, that is, when we record-routed this dialog: no other request may use us as a relay
    unless its sender is authenticated. ``loop``, ``flow`` and ``beyond``, the connection to go on by, are for
    ``forward``.
    """

    __slots__ = ("beyond", "flow", "loop", "refusal", "within_dialog")

    def __init__(
        self, refusal: Refusal | None, within_dialog: bool, loop: str, flow: Flow | None, beyond: Flow | None = None
    ) -> None:
        self.beyond = beyond
        self.refusal = refusal
        self.within_dialog = within_dialog
        self.loop = loop
        self.flow = flow


def _keep_secure(target: Target) -> None:
    """A request for a sips URI goes by TLS on every hop (§26.2.2), whatever its target was reached by before."""
    if target.flow is not None and target.flow.transport not in SECURE_TRANSPORTS:
        target.flow = None
    if target.hops is not None:
        target.hops = [hop for hop in target.hops if hop.transport in SECURE_TRANSPORTS] or None


def _no_connection(number: int) -> Flow | None:
    """There are datagrams only."""
    return None


@final
class ProxyCore:
    """A stateful, forking proxy. ``flow_to`` picks the local socket for a hop and raises ``TransportError``;
    ``sent_by`` is the ``host:port`` that names us on a flow; ``flow_of`` gives the flow of a connection by its number,
    None when it has ended."""

    name = USER

    def __init__(
        self,
        layer: TransactionLayer,
        ids: Ids,
        policy: ProxyPolicy,
        local: LocalNames,
        *,
        flow_to: Callable[[Hop], Flow],
        sent_by: Callable[[Flow], str],
        flow_of: Callable[[int], Flow | None] = _no_connection,
    ) -> None:
        self.policy = policy
        self.local = local
        self._layer = layer
        self._ids = ids
        self._flow_to = flow_to
        self._flow_of = flow_of
        self._detection = LoopDetection(policy.secret, local)
        self._forwarding = Forwarding(policy, sent_by)
        self._events: list[object] = []
        self._machine = ContextMachine(layer, ids, policy, self._forwarding, flow_to, self._events)
        self._withdrawn: set[ServerKey] = set()  # CANCEL came before forward() did
        self._stateless: dict[int, Request] = {}  # copies waiting for the resolver

    def admit(self, request: Request, flow: Flow) -> Admission:
        """Validate (§16.3 items 2 to 5) and preprocess the routing information (§16.4), the latter in place.

        Raises ``RemoteProtocolError`` when a field that routing depends on is malformed.
        """
        # An ACK is relayed without state, by a branch without hash: it has none to be known by.
        loop = "" if request.method == "ACK" else self._detection.hash_of(request)
        refusal = check(request, self.policy, self._detection, loop)
        if refusal is not None:
            return Admission(refusal, False, loop, flow)
        secret = self.policy.secret
        number = connection_beyond(request, flow, self.local, secret)
        beyond = self._flow_of(number) if number else None
        return Admission(None, preprocess(request, flow, self.local, secret), loop, flow, beyond)

    def forward(
        self,
        request: Request,
        key: ServerKey,
        targets: list[Target],
        now: float,
        admission: Admission | None = None,
        *,
        responsible: bool = True,
    ) -> None:
        """Forward statefully to the targets; ``key`` is the server transaction that the layer has accepted.

        Targets of equal q ring together, the highest q first. ``responsible`` is false when the Request-URI is not in
        our domains: then no redirection is followed (§16.5). Every answer goes through the server transaction: 480
        for no targets, 483 when no hop is left, 440 when the fork is wider than Max-Breadth allows, 487 when a CANCEL
        was faster than the location service. A request within a dialog goes by the connection that its Route names.
        """
        if key in self._withdrawn:
            self._withdrawn.discard(key)
            self._refuse(request, key, 487, now)
            return
        policy = self.policy
        if admission is not None and admission.beyond is not None and len(targets) == 1 and targets[0].flow is None:
            targets[0].flow = admission.beyond
            uri = request.routes[0].uri if "route" in request._first else request.uri
            hop = direct_hop(uri) if uri.is_sip else None
            targets[0].hops = None if hop is None else [hop]  # should the connection break meanwhile
        if request.uri.scheme == "sips":
            for target in targets:
                _keep_secure(target)
        target_set = TargetSet(targets, policy.max_targets)
        breadth = incoming_breadth(request, policy.max_breadth)
        if not target_set.waiting:
            self._refuse(request, key, 480, now)
        elif (admission is None or request.method == "OPTIONS") and request.max_forwards == 0:
            self._refuse(
                request, key, 483, now
            )  # an OPTIONS passes the check at the door, to be answered by the server
        elif breadth < 1 or (not policy.fork_serially and target_set.widest() > breadth):
            self._refuse(request, key, 440, now)
        else:
            context = ResponseContext(
                key,
                request,
                target_set,
                now,
                breadth=breadth,
                loop=admission.loop if admission else self._detection.hash_of(request),
                arrived=admission.flow if admission else None,
                recurse=policy.recurse and responsible,
            )
            self._machine.start(context, now)

    def forward_stateless(self, request: Request, now: float, beyond: Flow | None = None) -> None:
        """Relay an ACK to a 2xx (ACK-4) or a CANCEL that matches nothing (CAN-6) along its route, keeping no state.

        The branch is computed from the request, so that a retransmission leaves with the same one. What cannot be
        sent is dropped: nothing ever answers an ACK.
        """
        try:
            if request.max_forwards == 0:
                return
            copy, uri = self._forwarding.prepare(request, Target(request.uri_text))
        except RemoteProtocolError:
            return
        transport = "TLS" if request.uri.scheme == "sips" else None
        if beyond is not None and (transport is None or beyond.transport in SECURE_TRANSPORTS):
            self._send_on(copy, beyond)
            return
        hop = direct_hop(uri, transport)
        if hop is not None:
            self._send_stateless(copy, hop)
        elif len(self._stateless) < STATELESS_LIMIT:
            self._machine.number += 1
            self._stateless[self._machine.number] = copy
            self._events.append(Locate(USER, self._machine.number, uri, transport))

    def located(self, token: int, hops: list[Hop] | SipError, now: float) -> None:
        """The answer to a ``Locate``: hops in the order to try them, or why there are none."""
        found = [] if isinstance(hops, SipError) else hops
        copy = self._stateless.pop(token, None)
        if copy is None:
            self._machine.located(token, found, now, str(hops) if isinstance(hops, SipError) else "")
        elif found:
            self._send_stateless(copy, found[0])

    def handle_event(self, event: object, now: float) -> None:
        """An event of the transaction layer whose user is ``"proxy"``."""
        machine = self._machine
        if type(event) is ResponseReceived:
            machine.response(event.key, event.response, now)
        elif type(event) is TransactionTerminated:
            if not event.server:
                machine.failed(event.key, BranchInput.TERMINATED, now)
            elif self._withdrawn:
                self._withdrawn.discard(event.key)
        elif type(event) is CancelReceived:
            context = machine.contexts.get(event.key)
            if context is None:
                self._withdrawn.add(event.key)
            else:
                reason = tuple(("Reason", value) for value in event.request.get_all("reason"))
                machine.cancel(context, reason, now)
        elif isinstance(event, TransactionTimedOut | TransportFailed) and not event.server:
            # a server transaction that fails changes nothing downstream (§16.9)
            what = BranchInput.TIMEOUT if isinstance(event, TransactionTimedOut) else BranchInput.UNREACHABLE
            machine.failed(event.key, what, now)

    def handle_timers(self, now: float) -> None:
        """Timer C, ring times and the 64*T1 after CANCEL that have come due."""
        self._machine.handle_timers(now)

    def next_deadline(self) -> float | None:
        """When ``handle_timers`` is to be called, None when nothing waits."""
        return self._machine.timers.next_deadline()

    def poll(self) -> list[object]:
        """``Locate`` questions and ``ContextDone`` reports since the last call, in order."""
        if not self._events:
            return []
        events = self._events[:]  # the list itself is the machine's too
        self._events.clear()
        return events

    def counts(self) -> dict[str, int]:
        """Table sizes, all zero when nothing is under way."""
        machine = self._machine
        return {
            "contexts": len(machine.contexts),
            "branches": len(machine.live),
            "branch_keys": len(machine.by_key),
            "withdrawn": len(self._withdrawn),
            "stateless": len(self._stateless),
        }

    def _send_stateless(self, copy: Request, hop: Hop) -> None:
        try:
            flow = self._flow_to(hop)
        except TransportError:
            return
        self._send_on(copy, flow)

    def _send_on(self, copy: Request, flow: Flow) -> None:
        self._forwarding.address(copy, flow, self._forwarding.stateless_branch(copy), 0, None)
        self._layer.send_stateless(copy, flow)

    def _refuse(self, request: Request, key: ServerKey, status: int, now: float) -> None:
        try:
            self._layer.respond(key, build_response(request, status, to_tag=self._ids.tag()), now)
        except LocalProtocolError:
            pass  # its sender has gone
        self._events.append(ContextDone(key, request, status, now, 0, status == 487))
