"""The shell around the core: feeds it, drains it, sends what it says, and keeps one loop timer for all of it.

Everything happens in turns. A turn is begun by readable sockets, by the timer, or by ``wake()`` after application code
called a verb of a core. It goes

    take (at most 64 datagrams, or the timers that are due)
    → drain, after each message: the events of the layer go to the cores, the events of the cores to the shell
    → before_send (the server commits its store here), and drain again until nothing new comes up
    → send all
    → re-arm the timer.

So nothing leaves before what it reports is stored, and no event is ever seen by two turns. The turn never fails: what
the peer did wrong becomes an answer to the peer, and what we did wrong is logged and becomes a 500.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections import deque
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, final

from ringback.errors import LocalProtocolError, RemoteProtocolError, SipError, TransportError
from ringback.protocol.message.build import build_error
from ringback.protocol.message.model import Request
from ringback.protocol.message.parser import is_keepalive, parse_message, validate
from ringback.protocol.routing.flow import SECURE_TRANSPORTS, Address, Flow, Hop, format_address
from ringback.protocol.routing.locate import Locate
from ringback.protocol.routing.via import stamp
from ringback.protocol.transaction.events import (
    CancelReceived,
    RequestReceived,
    ResponseReceived,
    SendMessage,
    StrayResponse,
)
from ringback.protocol.transaction.layer import TransactionLayer
from ringback.protocol.transaction.timings import Timings
from ringback.runtime.dead_targets import DeadTargets
from ringback.runtime.large_requests import LARGEST_DATAGRAM, LargeRequests
from ringback.runtime.locator import locate, reach_of, reachable_hops
from ringback.runtime.stateless_tags import StatelessTags
from ringback.runtime.way_back import way_back
from ringback.transport.connections import ConnectionTable
from ringback.transport.coroutines import Suspended, drive
from ringback.transport.limits import DEFAULT_STREAM_LIMITS, StreamLimits
from ringback.transport.table import Listener, Place, StreamPlace, TransportTable
from ringback.transport.websocket.channel import WebRules

if TYPE_CHECKING:
    from ringback.protocol.grammar import Ids
    from ringback.protocol.trace import Observer
    from ringback.protocol.transaction.key import ClientKey, ServerKey
    from ringback.runtime.clock import Clock
    from ringback.transport.connection import Connection
    from ringback.transport.network import DatagramEndpoint, Network, Resolver
    from ringback.transport.tls import TlsConfiguration

logger = logging.getLogger(__name__)

STREAMS = frozenset({"TCP", "TLS", "WS", "WSS"})
BATCH = 64  # messages taken in one turn: more would keep the timers waiting
OUTBOX_LIMIT = 20_000  # messages of one turn; what is more is dropped, as a network might
RECENT_SENDS = 2048  # how many sends are remembered, to tell whom an ICMP error concerns
WAKE_GRID = 0.005  # seconds; timers are rounded up to it, so that not every deadline wakes the loop
DEFAULT_TIMINGS = Timings()


class Core(Protocol):
    """A transaction user as the stack sees it. All of it is called from turns only."""

    def handle_event(self, event: Any, now: float) -> None:
        """An event of one of its transactions (``event.user`` is its name)."""

    def handle_timers(self, now: float) -> None:
        """Its own deadlines that are due."""

    def next_deadline(self) -> float | None:
        """When ``handle_timers`` is to be called next, in seconds since 1970; None for never."""

    def poll(self) -> list[Any]:
        """Its events since the last call; ``Locate`` among them is answered by the stack through ``located``."""


class LocatingCore(Core, Protocol):
    """A core that asks ``Locate``."""

    def located(self, token: int, answer: list[Hop] | SipError, now: float) -> None:
        """The answer to the question with this token: at least one hop, or why there is none."""


def _drop_request(event: RequestReceived, now: float) -> None:
    """Nobody has taken ``Stack.on_request`` yet."""


def _drop_response(event: StrayResponse, now: float) -> None:
    """A response that matches nothing is dropped (RFC 6026 §7.3)."""


def _nothing() -> None:
    """No store to commit."""


@final
class Stack:
    """One SIP element's shell. Make it, ``add`` the cores, set the callbacks, then ``listen``.

    ``on_request`` gets requests that match no transaction, ``on_stray_response`` responses that match none, and
    ``before_send`` is called when all that came in a turn has been processed and nothing has been sent yet. ``now`` is
    always seconds since 1970 by ``clock``. ``wake_grid`` is 0 in simulations. Counters, for statistics: ``received``,
    ``sent``, ``refused`` (unusable messages), ``dropped`` (not sent: too many), ``failed`` (refused by the system).
    """

    def __init__(
        self,
        *,
        network: Network,
        resolver: Resolver,
        clock: Clock,
        ids: Ids,
        timings: Timings = DEFAULT_TIMINGS,
        observer: Observer | None = None,
        wake_grid: float = WAKE_GRID,
        secret: bytes | None = None,
        tls: TlsConfiguration | None = None,
        limits: StreamLimits = DEFAULT_STREAM_LIMITS,
    ) -> None:
        self.layer = TransactionLayer(ids, timings)
        self.clock = clock
        self.ids = ids
        self.observer = observer
        self.stateless_tags = StatelessTags(secret or secrets.token_bytes(32))
        self.on_request: Callable[[RequestReceived, float], None] = _drop_request
        self.on_stray_response: Callable[[StrayResponse, float], None] = _drop_response
        self.before_send: Callable[[], None] = _nothing
        self.received = 0
        self.sent = 0
        self.refused = 0
        self.dropped = 0
        self.failed = 0
        self.dead = DeadTargets()
        self.origins: Collection[str] = ()  # web origins, lower case, whose pages may connect; to be set before listen
        self._resolver = resolver
        self._network = network
        self._table = TransportTable(network)
        self._tls = tls
        self._stream_limits = limits
        self._large: LargeRequests | None = None
        self.connections: ConnectionTable | None = None  # from the first ``listen`` for them on
        self._cores: dict[str, Any] = {}
        self._shells: list[tuple[Any, Callable[[Any, float], None] | None]] = []
        self._outbox: list[SendMessage] = []
        self._recent: deque[tuple[Address, ClientKey | ServerKey]] = deque(maxlen=RECENT_SENDS)
        self._locating: set[asyncio.Task[list[Hop]]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._grid = wake_grid
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = math.inf
        self._woken = False
        self._in_turn = False
        self._closed = False

    # composition

    def add(self, name: str, core: Core, on_event: Callable[[Any, float], None] | None = None) -> None:
        """Give the core ``name`` its transactions' events, and its own events (but Locate) to ``on_event``."""
        self._cores[name] = core
        self._shells.append((core, on_event))

    async def listen(self, transport: str, host: str, port: int, *, advertised: Address | None = None) -> Address:
        """Open a socket and give the address that it is bound to.

        ``transport`` in capitals; ``host`` numeric or a name of this machine; ``port`` 0 for any free one;
        ``advertised`` is what others are to call us by, where that is another address. Raises TransportError.
        """
        self._loop = asyncio.get_running_loop()
        numeric = (await self._resolver.addresses(host))[0]
        if transport not in STREAMS:
            return (await self._table.listen(transport, numeric, port, self._readable, advertised)).local
        serves = True
        if transport in SECURE_TRANSPORTS:
            if self._tls is None:
                raise TransportError(f"{transport} needs a configuration: certificate, key, trusted authorities")
            serves = self._tls.can_serve
        connections = self.connections
        if connections is None:
            connections = self.connections = ConnectionTable(
                self._network,
                self.clock.now,
                self._stream_limits,
                self._tls,
                WebRules(self.ids.number, self.origins),
                self.layer,
                self._on_connection,
            )
            self.add("connections", connections)
            self._large = LargeRequests(self._table, connections)
        accept = connections.accept if serves else None
        return (await self._table.listen_stream(transport, numeric, port, accept, advertised)).local

    def flow_to(self, hop: Hop) -> Flow:
        """The flow by which ``hop`` is reached; raises TransportError when no socket of ours fits.

        For a stream it is that of a connection, which is opened if there is none: what is sent meanwhile waits, and
        if it cannot be opened the transactions are told.
        """
        if hop.transport not in STREAMS:
            return self._table.flow_to(hop)
        place = self._table.choose(hop)
        assert isinstance(place, StreamPlace)
        assert self.connections is not None  # there is a place for them
        return self.connections.flow_to(hop, place)

    def flow_of(self, connection: int) -> Flow | None:
        """The flow of the connection with this number; None once it has ended."""
        found = self.connections.get(connection) if self.connections is not None else None
        return found.flow if found is not None and found.usable else None

    def sent_by(self, flow: Flow) -> str:
        """``host:port`` for our Via, Contact and Record-Route on that flow, IPv6 in brackets."""
        return self._table.sent_by(flow)

    def listeners(self) -> list[Listener | StreamPlace]:
        """The open sockets, in the order they were opened."""
        return list(self._table.places())

    def counts(self) -> dict[str, int]:
        """Sizes of every table of the layer, of the cores that tell theirs, and of our own, for leak checks."""
        counts = dict(self.layer.counts())
        for name, core in self._cores.items():
            tell = getattr(core, "counts", None)
            if tell is not None:
                counts.update((f"{name} {table}", size) for table, size in tell().items())
        counts["outbox"] = len(self._outbox)
        counts["locating"] = len(self._locating)
        return counts

    async def close(self) -> None:
        """Close the sockets and forget the timer. What is in the outbox is sent; transactions are not waited for."""
        if self._closed:
            return
        self.turn()
        self._closed = True
        self._table.close()
        connections = self.connections
        tasks = connections.close_all() if connections is not None else []
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in list(self._locating):
            task.cancel()
        await asyncio.gather(*self._locating, *tasks, return_exceptions=True)
        if connections is not None:
            await asyncio.sleep(0)  # what can be sent has been, and so the end of each said
            connections.abort_all()

    # turns

    def wake(self) -> None:
        """Run a turn soon. To be called after a verb of a core was called outside of a turn; cheap to repeat."""
        if not self._woken and not self._in_turn and not self._closed:
            self._woken = True
            self._running_loop().call_soon(self.turn)

    def turn(self) -> None:
        """Handle the timers that are due, drain and send. Does nothing when called from inside a turn."""
        self._woken = False
        if self._in_turn or self._closed:
            return
        self._in_turn = True
        try:
            now = self.clock.now()
            self._handle_timers(now)
            self._drain(now)
            self._finish(now)
        finally:
            self._in_turn = False

    def _on_timer(self) -> None:
        self._timer = None
        self._armed_for = math.inf
        self.turn()

    def _readable(self, endpoint: DatagramEndpoint) -> None:
        """A turn begun by a socket."""
        self._in_turn = True
        try:
            now = self.clock.now()
            listener = self._table.listener_of(endpoint.local)
            for data, remote in endpoint.receive(BATCH):
                if data[:1] > b" " or not is_keepalive(data):
                    self._take(data, listener.flow(remote), listener, now)
            errors = endpoint.take_errors()
            if errors:
                self._unreachable(errors, now)
                self._drain(now)
            self._finish(now)
        finally:
            self._in_turn = False

    def _on_connection(self, connection: Connection | None) -> None:
        """A turn begun by a connection that has messages or has been lost; when one is under way, it does this too."""
        if self._in_turn or self._closed or self.connections is None:
            return
        self._in_turn = True
        try:
            now = self.clock.now()
            if connection is not None:
                flow = connection.flow
                for data in connection.take(BATCH):
                    self._take(data, flow, connection.place, now)
                if connection.inbox:
                    self._running_loop().call_soon(self._on_connection, connection)  # others have their turn first
                elif connection.error is not None:
                    self._refuse(connection.error, flow)
                    self.connections.finish(connection)
            self._drain(now)
            self._finish(now)
        finally:
            self._in_turn = False

    def _finish(self, now: float) -> None:
        """The second half of every turn, when all that has come up was drained."""
        while True:
            try:
                self.before_send()
            except Exception:
                logger.exception("before_send failed")
            if self._drain(now):
                continue  # what came up may have to be stored as well before anything leaves
            if not self._send_all(now):
                break
            self._drain(now)  # failures to send have told the layer something
        self._rearm()

    # in

    def _take(self, data: bytes, flow: Flow, place: Place, now: float) -> None:
        """One message: parse, check at the door, stamp, hand to the layer, drain."""
        self.received += 1
        if self.observer is not None:
            self.observer.message("in", data, place.transport, place.local_text, format_address(flow.remote), now)
        try:
            message = parse_message(data)
            validate(message)
            if isinstance(message, Request):
                stamp(message, flow)
                if flow.reliable and "alias" in message.top_via.params and self.connections is not None:
                    self.connections.alias(message, flow)
            self.layer.receive(message, flow, now)
        except RemoteProtocolError as error:
            self._refuse(error, flow)
        except Exception:
            logger.exception("a message from %s could not be processed", format_address(flow.remote))
        self._drain(now)

    def _refuse(self, error: RemoteProtocolError, flow: Flow) -> None:
        """Answer what cannot be used with the status that the error names, remembering nothing; never an ACK, never a
        response, and nothing without a Via. One that cannot be read is given back to where the request came from."""
        self.refused += 1
        request = error.message
        logger.debug("unusable message on %r: %s", flow, error)
        if not isinstance(request, Request) or request.method == "ACK" or not request.has("via"):
            return
        try:
            readable = True
            try:
                stamp(request, flow)
            except RemoteProtocolError:
                readable = False
            response = build_error(error, request, self.stateless_tags.tag(request))
            if readable:
                self.layer.reply_stateless(request, flow, response)
            else:
                self.layer.send_stateless(response, flow)
        except (RemoteProtocolError, LocalProtocolError) as second:
            logger.debug("no answer possible on %r: %s", flow, second)

    def _unreachable(self, errors: list[tuple[Address, TransportError]], now: float) -> None:
        """ICMP says that these destinations cannot be reached: tell the transactions that sent there of late."""
        reasons = dict(errors)
        concerned = {key: reasons[remote] for remote, key in self._recent if remote in reasons}
        self._recent = deque((item for item in self._recent if item[0] not in reasons), RECENT_SENDS)
        for key, reason in concerned.items():
            self._tell_failure(key, reason, now)

    # events

    def _drain(self, now: float) -> bool:
        """Hand out events until there are none; True if there was anything besides messages to send."""
        worked = False
        outbox = self._outbox
        poll = self.layer.poll
        shells = self._shells
        while True:
            for event in poll():
                if type(event) is SendMessage:
                    outbox.append(event)
                else:
                    worked = True
                    self._dispatch(event, now)
            quiet = True
            for core, on_event in shells:
                notices = core.poll()
                if notices:
                    worked = True
                    quiet = False
                    for notice in notices:
                        self._tell_shell(core, on_event, notice, now)
            if quiet and not self.layer.has_events:
                return worked

    def _dispatch(self, event: Any, now: float) -> None:
        """An event of the layer to the one it is for."""
        try:
            if type(event) is RequestReceived:
                request = event.request
                if request.method != "ACK" or not self.stateless_tags.answers(request):
                    self.on_request(event, now)
            elif type(event) is StrayResponse:
                self.on_stray_response(event, now)
            else:
                if type(event) is not ResponseReceived or event.response.status == 503:
                    self.dead.learn(event, now)
                self._cores[event.user].handle_event(event, now)
        except Exception as error:
            self._recover(event, error, now)

    def _recover(self, event: object, error: Exception, now: float) -> None:
        """Whoever handled ``event`` raised: the peer gets its answer, and the turn goes on."""
        if isinstance(error, RemoteProtocolError):
            logger.debug("%s: %s", type(event).__name__, error)
        else:
            logger.error("%s could not be handled", type(event).__name__, exc_info=error)
            error = RemoteProtocolError("Internal error", status=500)
        if not isinstance(event, RequestReceived | CancelReceived):
            return
        try:
            pending = self.layer.server_request(event.key)
            if pending is not None:
                self.layer.respond(event.key, build_error(error, pending, self.ids.tag()), now)
            elif isinstance(event, RequestReceived) and event.request.method != "ACK":
                response = build_error(error, event.request, self.stateless_tags.tag(event.request))
                self.layer.reply_stateless(event.request, event.flow, response)
        except (RemoteProtocolError, LocalProtocolError) as second:
            logger.debug("no answer possible: %s", second)  # it had been answered before the fault

    def _tell_shell(self, core: Any, on_event: Callable[[Any, float], None] | None, notice: object, now: float) -> None:
        try:
            if type(notice) is Locate:
                self._locate(core, notice, now)
            elif on_event is not None:
                on_event(notice, now)
        except Exception:
            logger.exception("%s could not be handled", type(notice).__name__)

    def _locate(self, core: LocatingCore, question: Locate, now: float) -> None:
        """Answer at once what the resolver knows; else from a task, and then run a turn."""
        answer: list[Hop] | SipError | Suspended
        try:
            answer = drive(
                locate(question, self._resolver, self._reaches, self.ids.number, self.dead, self.clock.now())
            )
        except SipError as error:
            answer = error.with_traceback(None)  # which would lead back to this frame: a cycle
        except Exception:
            logger.exception("a name could not be resolved")
            answer = TransportError("the resolver failed")
        if isinstance(answer, Suspended):
            task = self._running_loop().create_task(answer.rest)
            self._locating.add(task)
            task.add_done_callback(partial(self._located_late, core, question.token))
        else:
            core.located(question.token, answer, now)

    def _reaches(self, transport: str, host: str) -> bool:
        """Whether a socket of ours, and a route, lead to the numeric ``host``."""
        if not self._table.reaches(transport, host):
            return False
        try:
            self._network.source_address(host)
        except TransportError:
            return False
        return True

    def _located_late(self, core: LocatingCore, token: int, task: asyncio.Task[list[Hop]]) -> None:
        self._locating.discard(task)
        if task.cancelled() or self._closed:
            return
        error = task.exception()
        answer: list[Hop] | SipError
        if error is None:
            answer = task.result()
        elif isinstance(error, SipError):
            answer = error.with_traceback(None)
        else:
            logger.error("a name could not be resolved", exc_info=error)
            answer = TransportError("the resolver failed")
        core.located(token, answer, self.clock.now())
        self.wake()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    # timers

    def _handle_timers(self, now: float) -> None:
        deadline = self.layer.next_deadline()
        if deadline is not None and deadline <= now:
            try:
                self.layer.handle_timers(now)
            except Exception:
                logger.exception("the transactions' timers could not be handled")
        for core, _ in self._shells:
            deadline = core.next_deadline()
            if deadline is not None and deadline <= now:
                try:
                    core.handle_timers(now)
                except Exception:
                    logger.exception("the timers of %s could not be handled", type(core).__name__)

    def _rearm(self) -> None:
        """One timer for the earliest deadline. One that is set for an earlier moment stays: to wake once for nothing
        costs less than to set it anew in each turn."""
        earliest = self.layer.next_deadline()
        for core, _ in self._shells:
            deadline = core.next_deadline()
            if deadline is not None and (earliest is None or deadline < earliest):
                earliest = deadline
        if earliest is None or earliest >= self._armed_for or self._closed:
            return
        grid = self._grid
        wake_at = math.ceil(earliest / grid) * grid if grid else earliest
        if wake_at >= self._armed_for:
            return
        if self._timer is not None:
            self._timer.cancel()
        loop = self._running_loop()
        self._timer = loop.call_at(loop.time() + max(0.0, wake_at - self.clock.now()), self._on_timer)
        self._armed_for = wake_at

    # out

    def _send_all(self, now: float) -> bool:
        """Empty the outbox onto the sockets; True if a failure was told to the layer, which may have more to say."""
        outbox = self._outbox
        if not outbox:
            return self._flush_connections(now)
        self._outbox = []
        if len(outbox) > OUTBOX_LIMIT:
            self.dropped += len(outbox) - OUTBOX_LIMIT
            del outbox[OUTBOX_LIMIT:]
        told = False
        recent = self._recent
        listener_of = self._table.listener_of
        observer = self.observer
        large = self._large
        for item in outbox:
            flow = item.flow
            instead = None
            if large is not None and not flow.reliable and (len(item.data) > LARGEST_DATAGRAM or large.is_active):
                diverted = large.divert(item, now)
                if diverted is not None:
                    if diverted is item:
                        continue  # on its way by TCP already
                    instead, item, flow = item, diverted, diverted.flow
            try:
                if flow.reliable and self.connections is not None:
                    place = self._table.place_of(flow)
                    self.connections.send(item, place, now, instead)
                    local_text = place.local_text
                else:
                    listener = listener_of(flow.local)
                    listener.endpoint.send(item.data, flow.remote)
                    local_text = listener.local_text
            except TransportError as error:
                self.failed += 1
                if item.key is not None:
                    told = True
                    self._tell_failure(item.key, error, now)
                continue
            self.sent += 1
            if item.key is not None and not flow.reliable:
                recent.append((flow.remote, item.key))
            if observer is not None:
                remote = format_address(flow.remote)
                observer.message("out", item.data, flow.transport, local_text, remote, now)
        return self._flush_connections(now) or told

    def _flush_connections(self, now: float) -> bool:
        """Send what connections have queued, and tell the transactions of those that were lost; True if there were."""
        connections = self.connections
        if connections is None or not connections.has_work:
            return False
        connections.flush()
        returned, connections.returned = connections.returned, []
        for item in returned:
            if self._large is not None:
                self._large.refused(item, now)
            self._outbox.append(item)
        failed, connections.failed = connections.failed, []
        for key, error in failed:
            self._tell_failure(key, error, now)
        undelivered, connections.undelivered = connections.undelivered, []
        for response in undelivered:
            self._answer_elsewhere(response, now)
        return bool(failed or returned)

    def _answer_elsewhere(self, response: bytes, now: float) -> None:
        """A response found neither its connection nor a way to its source: where sent-by leads (RFC 3263 §5)."""
        location = way_back(response, reach_of(self._reaches), self.ids.number)
        if location is None:
            return
        try:
            hops = drive(reachable_hops(location, self._resolver, self._reaches, self.dead, now))
        except TransportError:
            return
        if isinstance(hops, Suspended):
            task = self._running_loop().create_task(hops.rest)
            self._locating.add(task)
            task.add_done_callback(partial(self._answer_late, response))
        else:
            self._send_by(hops, response)

    def _answer_late(self, response: bytes, task: asyncio.Task[list[Hop]]) -> None:
        self._locating.discard(task)
        if not task.cancelled() and not self._closed and task.exception() is None:
            self._send_by(task.result(), response)
            self.wake()

    def _send_by(self, hops: list[Hop], response: bytes) -> None:
        """By the first of the hops that a flow leads to; if that fails as well, its sender asks again or not."""
        for hop in hops:
            try:
                flow = self.flow_to(hop)
            except TransportError:
                continue
            self._outbox.append(SendMessage(response, flow, None))
            return

    def _tell_failure(self, key: ClientKey | ServerKey, error: TransportError, now: float) -> None:
        self.layer.transport_failed(key, str(error), now)
