"""The transaction layer (RFC 3261 §17): every living transaction, and the verbs of its users.

Rule 1: each verb may leave events; the caller drains ``poll()`` until it is empty, after each verb or batch of verbs.

Rule 2: a request that matches nothing makes no transaction. Its user does, by ``accept``, or answers it with
``reply_stateless``, or lets it drop. So a flood costs no memory that nobody asked for.

Rule 3: ``now`` comes from the caller and never goes back.

Rule 4: what the layer answers by itself: repetitions (from the bytes it sent), 100 when the user is slow, ACK to a
300-699, 200 to a CANCEL that matches a transaction, and 503 with Retry-After while the tables are full. Nothing else.

Theory of operation. Two dicts by key hold the machines (``invite_client`` and its three sisters). A message finds its
machine by key, the machine steps through its table, and leaves the dict the moment it is Terminated. All timers are in
one ``TimerQueue``, whose items name machine and input. The layer's own transactions (a CANCEL it sends, its 200 to one)
have no user: nobody hears of them.

Full tables. A request that would begin something new is answered 503 once ``limits.server`` transactions live; one
that belongs to a dialog (To tag) is let through for a quarter more, because ending calls is what makes room; ACK always
is, and a CANCEL that matches, which is then answered without a transaction. A request to send while ``limits.client``
transactions live is reported as ``TransportFailed`` at once, which its user treats as a 503 (§8.1.3.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from ringback.protocol.errors import LocalProtocolError
from ringback.protocol.message.build import build_response
from ringback.protocol.message.model import Request, Response
from ringback.protocol.message.registry import METHODS
from ringback.protocol.routing.flow import Flow
from ringback.protocol.routing.via import DEFAULT_PORT, response_hop
from ringback.protocol.timer_queue import TimerQueue
from ringback.protocol.transaction.events import (
    Event,
    RequestReceived,
    SendMessage,
    StrayResponse,
    TransactionTerminated,
    TransportFailed,
)
from ringback.protocol.transaction.invite_client import InviteClient
from ringback.protocol.transaction.invite_server import InviteServer
from ringback.protocol.transaction.key import MAGIC_COOKIE, ClientKey, ServerKey
from ringback.protocol.transaction.machine import (
    TERMINATED,
    ClientTransaction,
    Input,
    Outlet,
    ServerTransaction,
    State,
)
from ringback.protocol.transaction.matching import cancelled_key, legacy_key, merge_key, server_key
from ringback.protocol.transaction.non_invite_client import NonInviteClient
from ringback.protocol.transaction.non_invite_server import NonInviteServer
from ringback.protocol.transaction.timings import Timings as Timings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringback.protocol.grammar import Ids

OTHER_METHODS = tuple(method for method in METHODS if method not in ("INVITE", "ACK", "CANCEL"))

_REQUEST = Input.REQUEST
_ACK = Input.ACK
_CANCEL = Input.CANCEL


@final
class TableLimits:
    """How many transactions may live at once, and the Retry-After (seconds) of the 503 that says so."""

    __slots__ = ("client", "retry_after", "server")

    def __init__(self, server: int = 500_000, client: int = 500_000, retry_after: int = 10) -> None:
        self.server = server
        self.client = client
        self.retry_after = retry_after


UNANSWERED = (State.CALLING, State.TRYING)
DEFAULT_TIMINGS = Timings()
DEFAULT_LIMITS = TableLimits()


@final
class TransactionLayer:
    """The transactions of one element, client and server. No I/O: feed it, drain it, ask it when to wake."""

    __slots__ = ("_clients", "_ids", "_limits", "_merges", "_others", "_outlet", "_overload_tag", "_servers", "_timers")

    def __init__(self, ids: Ids, timings: Timings = DEFAULT_TIMINGS, limits: TableLimits = DEFAULT_LIMITS) -> None:
        self._ids = ids
        self._limits = limits
        self._timers = TimerQueue()
        self._outlet = Outlet(self._timers, timings)
        self._servers: dict[ServerKey, ServerTransaction] = {}
        self._clients: dict[ClientKey, ClientTransaction] = {}
        # Living server transactions of methods that we do not know by name, by their key without it, for a CANCEL that
        # means one of them. By key, because to try every such method would let a flood of them make CANCEL dear.
        self._others: dict[ServerKey, ServerKey] = {}
        # From the first question about merged requests on; a proxy never asks and never pays.
        self._merges: dict[tuple[str, ...], ServerKey] | None = None
        # One To tag for all our 503, so that the ACK to one is known and dropped without remembering the INVITE.
        self._overload_tag = ids.tag()

    # What comes from the network

    def receive(self, message: Request | Response, flow: Flow, now: float) -> None:
        """A message that was parsed, validated and, if a request, stamped (``routing.via.stamp``).

        Raises ``RemoteProtocolError`` only for what that validation would have refused.
        """
        if type(message) is Response:
            self._receive_response(message, flow, now)
            return
        assert type(message) is Request
        via = message.top_via
        branch = via.params.get("branch")
        method = message.method
        if branch and branch[:7] == MAGIC_COOKIE:
            key: ServerKey = (branch, via.sent_by, "INVITE" if method == "ACK" else method)
            server = self._servers.get(key)
        else:
            key = server_key(message)
            server = self._servers.get(key) if method != "ACK" else self._find_legacy_ack(message, key)
        if server is not None:
            server.step(_ACK if method == "ACK" else _REQUEST, self._outlet, message, flow, now)
            return
        if method == "ACK":
            if message.to_tag == self._overload_tag:
                return
        elif (method == "CANCEL" and self._answer_cancel(message, key, flow, now)) or (
            len(self._servers) >= self._limits.server and self._turn_away(message, flow)
        ):
            return
        self._outlet.events.append(RequestReceived(message, key, flow))

    def _receive_response(self, response: Response, flow: Flow, now: float) -> None:
        branch = response.top_via.params.get("branch")
        client = self._clients.get((branch, response.cseq.method)) if branch else None
        if client is None:
            self._outlet.events.append(StrayResponse(response, flow))
            return
        client.step(client.input_of(response.status), self._outlet, response, flow, now)
        if self._outlet.born:
            self._start_born(now)

    def _find_legacy_ack(self, ack: Request, key: ServerKey) -> ServerTransaction | None:
        """The INVITE that an RFC 2543 peer's ACK belongs to: its To tag is the one of our response (§17.2.3)."""
        server = self._servers.get(key) or self._servers.get(legacy_key(ack, "INVITE", ""))
        if server is None or (server.to_tag or "") != (ack.to_tag or ""):
            return None
        return server

    def _answer_cancel(self, cancel: Request, key: ServerKey, flow: Flow, now: float) -> bool:
        """Answer a CANCEL that matches a transaction, whatever its method (RFC 3261 §9.2). False when none does."""
        servers = self._servers
        target = servers.get(cancelled_key(key, "INVITE"))
        if target is None:
            for method in OTHER_METHODS:
                target = servers.get(cancelled_key(key, method))
                if target is not None:
                    break
            else:
                target = servers.get(self._others.get(cancelled_key(key, ""), ()))
                if target is None:
                    return False
        if target.to_tag is None:
            target.to_tag = self._ids.tag()
        response = build_response(cancel, 200, to_tag=target.to_tag)
        if len(servers) >= self._limits.server:
            self.reply_stateless(cancel, flow, response)
        else:
            self.accept(cancel, flow, now, "")
            self.respond(key, response, now)
        target.step(_CANCEL, self._outlet, cancel, flow, now)
        return True

    def _turn_away(self, request: Request, flow: Flow) -> bool:
        """Answer 503 while the table is full. False for what is let through all the same."""
        limits = self._limits
        if request.to_tag is not None and len(self._servers) < limits.server + limits.server // 4:
            return False
        headers = (("retry-after", str(limits.retry_after)),)
        response = build_response(request, 503, to_tag=self._overload_tag, headers=headers)
        self.reply_stateless(request, flow, response)
        return True

    # The verbs of a server

    def accept(
        self,
        request: Request,
        flow: Flow,
        now: float,
        user: str,
        to_tag: str | None = None,
        key: ServerKey | None = None,
    ) -> ServerKey:
        """Make the server transaction of a request that came as ``RequestReceived``; ``user`` hears of it from now on.

        ``to_tag`` is what the layer's own 200 to a CANCEL bears: the tag that the user will answer with (§9.2). The
        request is kept until a final response and must not be edited. ``key`` is what ``RequestReceived`` said, for
        those who have kept it. An INVITE gets 100 after 200 ms unless it is answered before, another request when
        RFC 4320 §4.1 has it due. Raises ``LocalProtocolError`` for ACK and for a request whose transaction lives
        already.
        """
        if key is None:
            key = server_key(request)
        method = request.method
        if method == "ACK":
            raise LocalProtocolError("an ACK makes no transaction")
        if key in self._servers:
            raise LocalProtocolError(f"there is a transaction {key} already")
        back = _response_flow(request, flow)
        server: ServerTransaction
        if method == "INVITE":
            server = InviteServer(key, request, back, user, to_tag)
        else:
            server = NonInviteServer(key, request, back, user, to_tag)
            if method not in METHODS:
                self._others[cancelled_key(key, "")] = key
        self._servers[key] = server
        if self._merges is not None:
            server.merge = merge_key(request)
            self._merges.setdefault(server.merge, key)
        server.start(self._outlet, now)
        return key

    def respond(self, key: ServerKey, response: Response, now: float) -> None:
        """Send a response by its transaction: 1xx, then one final; 2xx to INVITE as often as the user likes (RFC 6026).

        To a request other than INVITE a 1xx is discarded, since the layer sends the 100 itself, and a 408 is not sent
        but silences the transaction (RFC 4320). One that came by datagram or WebSocket may have no Content-Length; on a
        stream it gets it (§18.3, RFC 7118 §5). Raises ``LocalProtocolError`` when there is no such transaction and for
        any other response after the final one.
        """
        server = self._servers.get(key)
        if server is None:
            raise LocalProtocolError(f"no server transaction {key}")
        if server.flow.reliable and "content-length" not in response._first:
            response.append("Content-Length", str(len(response.body)))
        server.step(server.input_of(response.status), self._outlet, response, None, now)

    def reply_stateless(self, request: Request, flow: Flow, response: Response) -> None:
        """Send a response without making or remembering anything (§8.2.7). Raises ``LocalProtocolError`` for ACK."""
        if request.method == "ACK":
            raise LocalProtocolError("an ACK is never answered")
        self._outlet.events.append(SendMessage(response.to_bytes(), _response_flow(request, flow), None))

    def merged(self, request: Request) -> bool:
        """True when this request came before by another way: to be answered 482 (RFC 3261 §8.2.2.2).

        For a UAS, which asks before ``accept`` about requests without To tag. From the first question on the layer
        remembers From tag, Call-ID and CSeq of each transaction that is accepted.
        """
        if self._merges is None:
            self._merges = {}
            for key, server in self._servers.items():
                if server.request is not None:
                    server.merge = merge_key(server.request)
                    self._merges.setdefault(server.merge, key)
        first = self._merges.get(merge_key(request))
        return first is not None and first != server_key(request)

    # The verbs of a client

    def send_request(self, request: Request, flow: Flow, now: float, user: str, branch: str | None = None) -> ClientKey:
        """Send a request whose own Via is on top, make its client transaction, report to ``user``.

        ``branch`` is that Via's, for those who have just written it. The request is kept until a final response and
        must not be edited. Raises ``LocalProtocolError`` for ACK (``send_stateless``), for a branch without the magic
        cookie and for one that is in use.
        """
        method = request.method
        if branch is None:
            branch = request.top_via.params.get("branch") or ""
        if method == "ACK":
            raise LocalProtocolError("an ACK makes no transaction")
        if branch[:7] != MAGIC_COOKIE:
            raise LocalProtocolError("the top Via needs a branch that begins with z9hG4bK")
        key = (branch, method)
        if key in self._clients:
            raise LocalProtocolError(f"there is a transaction {key} already")
        if len(self._clients) >= self._limits.client:
            self._outlet.events.append(TransportFailed(key, user, False, "too many client transactions"))
            self._outlet.events.append(TransactionTerminated(key, user, False))
            return key
        client: ClientTransaction
        if method == "INVITE":
            client = InviteClient(key, request, flow, user)
        else:
            client = NonInviteClient(key, request, flow, user)
        self._clients[key] = client
        client.start(self._outlet, now)
        return key

    def send_stateless(self, message: Request | Response, flow: Flow) -> None:
        """Send a message of which nothing is expected back: an ACK to a 2xx, a request forwarded without state."""
        self._outlet.events.append(SendMessage(message.to_bytes(), flow, None))

    def cancel(self, key: ClientKey, now: float, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Withdraw an INVITE of ours (RFC 3261 §9.1): at its first 1xx, at once if that has come, not after a final.

        ``headers`` go into the CANCEL (Reason). The final response to the INVITE still comes, 487 as a rule; if none
        does in 64*T1 it is for the caller to ``abandon`` it. Nothing happens when the transaction is gone. Raises
        ``LocalProtocolError`` for anything but INVITE.
        """
        if key[1] != "INVITE":
            raise LocalProtocolError("only an INVITE is cancelled")
        client = self._clients.get(key)
        if client is not None:
            client.step(_CANCEL, self._outlet, tuple(headers), None, now)
            if self._outlet.born:
                self._start_born(now)

    def _start_born(self, now: float) -> None:
        born = self._outlet.born
        for client in born:
            # A CANCEL that the user sent on this branch with ``send_request`` stands for the layer's own.
            if client.key not in self._clients:
                self._clients[client.key] = client
                client.start(self._outlet, now)
        born.clear()

    # The verbs of both

    def abandon(self, key: ClientKey | ServerKey, now: float) -> None:
        """Give a transaction up: it is gone, and ``TransactionTerminated`` is the last that is heard of it.

        For an INVITE without a final response 64*T1 after CANCEL (§9.1), or after Timer C. Nothing happens when it is
        gone.
        """
        self._strike(key, Input.ABANDON, None, now)

    def transport_failed(self, key: ClientKey | ServerKey, text: str, now: float) -> None:
        """The transport could not send what ``SendMessage.key`` named, or learnt that it did not arrive.

        RFC 3261 §17.1.4, RFC 6026 §8.8. A client transaction that still waits is gone after it; a server transaction
        stays and goes on by its timers.
        """
        self._strike(key, Input.TRANSPORT_ERROR, text, now)

    def _strike(self, key: ClientKey | ServerKey, event: Input, text: str | None, now: float) -> None:
        transaction = self._servers.get(key) if len(key) != 2 else self._clients.get(key)
        if transaction is not None:
            transaction.step(event, self._outlet, text, None, now)
            if transaction.state is TERMINATED:
                self._drop(transaction)

    def handle_timers(self, now: float) -> None:
        """Let every timer fire whose deadline is not after ``now``."""
        outlet = self._outlet
        for transaction, event in self._timers.expired(now):
            before = transaction.state
            transaction.step(event, outlet, None, None, now)
            if transaction.state is TERMINATED and before is not TERMINATED:
                self._drop(transaction)

    def _drop(self, transaction: ClientTransaction | ServerTransaction) -> None:
        if isinstance(transaction, ClientTransaction):
            del self._clients[transaction.key]
            return
        key = transaction.key
        del self._servers[key]
        merges = self._merges
        if transaction.merge is not None and merges is not None and merges.get(transaction.merge) == key:
            del merges[transaction.merge]
        if self._others:
            nameless = cancelled_key(key, "")
            if self._others.get(nameless) == key:
                del self._others[nameless]

    # What the caller asks

    def next_deadline(self) -> float | None:
        """When ``handle_timers`` is due, None for never."""
        return self._timers.next_deadline()

    @property
    def has_events(self) -> bool:
        """Whether ``poll`` would give any."""
        return bool(self._outlet.events)

    def poll(self) -> list[Event]:
        """The events since the last call, in order."""
        events = self._outlet.events
        if not events:
            return []
        self._outlet.events = []
        return events

    def server_request(self, key: ServerKey) -> Request | None:
        """The request of a server transaction; None once a final response has been sent or the transaction is gone."""
        server = self._servers.get(key)
        return None if server is None else server.request

    def client_request(self, key: ClientKey) -> Request | None:
        """The request of a client transaction; None once a final response has come or the transaction is gone."""
        client = self._clients.get(key)
        return None if client is None else client.request

    def awaits(self, key: ClientKey) -> bool:
        """Whether a client transaction still waits for a final response."""
        return self.client_request(key) is not None

    def unanswered(self, key: ClientKey) -> bool:
        """Whether a client transaction has had no response at all, so that its request may not have arrived."""
        client = self._clients.get(key)
        return client is not None and client.state in UNANSWERED

    def clear(self) -> None:
        """Drop every transaction without a word to anybody: the sockets are closed."""
        self._servers.clear()
        self._clients.clear()
        self._others.clear()
        self._timers.clear()
        self._merges = None

    def counts(self) -> dict[str, int]:
        """The sizes of the tables; all are zero when every transaction is over and its timers have run out."""
        return {
            "server_transactions": len(self._servers),
            "client_transactions": len(self._clients),
            "merges": 0 if self._merges is None else len(self._merges),
            "other_methods": len(self._others),
            "timers": len(self._timers),
        }


def _response_flow(request: Request, flow: Flow) -> Flow:
    """The way back (RFC 3261 §18.2.2, RFC 3581 §4): the request's stream, or by the same socket where Via says."""
    if flow.reliable:
        return flow
    via = request.top_via
    params = via.params
    # A stamped request came from ``received`` or sent-by's host, and from the port in ``rport`` if there is one.
    if "maddr" not in params and (params.get("rport") or (via.port or DEFAULT_PORT) == flow.remote[1]):
        return flow
    hop = response_hop(via)
    return Flow(flow.transport, flow.local, (hop.host, hop.port))
