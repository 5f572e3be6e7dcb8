"""All connections: which one carries a message, how many there may be, and when they end.

Rules:

1. A response goes back on the connection of its request; when that has ended, on one to the place that its Via names
   (RFC 3261 §18.2.2).
2. A request goes on a connection that is open to its hop, else on a new one (§18.1.1). One that another opened counts
   as open to the very address and port it comes from; and, by RFC 5923, to the sent-by of a request with ``alias`` that
   came on it, where a certificate proved that its sender speaks for that name. Nothing else makes a connection that
   another opened ours to use.
3. A request on a connection of ours that has ended goes on a new one to the same hop (RFC 5923 §8.1). A connection
   that another opened cannot be opened again from here: TransportError.
4. When a connection of ours is lost, requests that had no response yet are sent again on a new one: they may not
   have arrived, and if they have they count as repeated, by their branch (§17.2.3). All others that still wait for a
   response on a connection that is lost, or cannot be had, are told so (§18.4).
5. Nobody holds us up: whoever does not connect, shake hands, end a message or read in time is cut off, and whoever has
   too many connections gets no more.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, final

from ringback.errors import RemoteProtocolError, TransportError
from ringback.protocol.message.model import Request
from ringback.protocol.message.parser import parse_message
from ringback.protocol.routing.flow import SECURE_TRANSPORTS, WEB_TRANSPORTS, Flow, Hop, format_address
from ringback.protocol.routing.via import DEFAULT_PORTS, response_hop
from ringback.protocol.timer_queue import TimerQueue
from ringback.transport.connection import Connection, ConnectionState, Due, Given
from ringback.transport.tls import TlsConfiguration, speaks_for
from ringback.transport.websocket.channel import WebSocket

if TYPE_CHECKING:
    from ringback.protocol.transaction.events import SendMessage
    from ringback.protocol.transaction.key import ClientKey, ServerKey
    from ringback.transport.limits import StreamLimits
    from ringback.transport.network import Network
    from ringback.transport.table import StreamPlace
    from ringback.transport.websocket.channel import WebRules

logger = logging.getLogger(__name__)

MOST_TRIES = 3  # connections that a request is given to, one after the other
FORMER = 4096  # ended connections of ours whose hop is remembered
Place = tuple[str, str, int]  # transport, host, port


class Transactions(Protocol):
    """What the table asks of the transaction layer."""

    def awaits(self, key: ClientKey) -> bool:
        """Whether a client transaction still waits for a final response."""

    def unanswered(self, key: ClientKey) -> bool:
        """Whether it has had no response at all."""


@final
class ConnectionTable:
    """The connections of a stack. It is added to the stack as a core, for its timers.

    ``on_activity`` is called from the event loop when something has to be done in a turn: with a connection that has
    messages or an error, or with None. For that turn ``failed`` collects the transactions whose connection was lost,
    and ``returned`` the datagrams to send because a connection could not be had. ``refused`` counts the connections
    that were too many.
    """

    def __init__(
        self,
        network: Network,
        now: Callable[[], float],
        limits: StreamLimits,
        tls: TlsConfiguration | None,
        web: WebRules,
        transactions: Transactions,
        on_activity: Callable[[Connection | None], None],
    ) -> None:
        self.now = now
        self.limits = limits
        self.transactions = transactions
        self.failed: list[tuple[ClientKey | ServerKey, TransportError]] = []
        self.undelivered: list[bytes] = []  # responses among them
        self.returned: list[SendMessage] = []
        self.refused = 0
        self._network = network
        self._tls = tls
        self._web = web
        self._on_activity = on_activity
        self._next_number = 0
        self._all: dict[int, Connection] = {}
        self._to: dict[Place, list[Connection]] = {}  # those that we opened
        self._from: dict[Place, Connection] = {}  # those that others opened
        self._aliases: dict[Place, Connection] = {}
        self._from_address: dict[str, int] = {}
        self._accepted = 0
        self._former: OrderedDict[int, Hop] = OrderedDict()
        self._unsent: list[Connection] = []
        self._finishing: set[Connection] = set()
        self._connecting: dict[int, asyncio.Task[None]] = {}
        self._timers = TimerQueue()
        self._closed = False

    # finding one

    def accept(self, place: StreamPlace) -> Connection:
        """The owner of a connection that another opens to ``place``."""
        pipe = self._tls.accepting() if self._tls is not None and place.transport in SECURE_TRANSPORTS else None
        web = WebSocket(self._web) if place.transport in WEB_TRANSPORTS else None
        return Connection(self, self._number(), place, None, pipe, web, self.now())

    def flow_to(self, hop: Hop, place: StreamPlace) -> Flow:
        """The flow of a connection to ``hop``: one that is there, else a new one from ``place``, which waits."""
        return self._find_or_open(hop, place).flow

    def send(self, item: SendMessage, place: StreamPlace, now: float, instead: SendMessage | None = None) -> None:
        """Queue a message on its connection or on the one that takes its place. Raises TransportError.

        ``instead`` is returned if there is no connection yet and none can be had.
        """
        connection = self._all.get(item.flow.connection)
        if connection is None or not connection.usable:
            connection = self._replacement(item, place)
        self._unsent.append(connection)
        connection.send(Given(item.data, item.key, instead=instead), now)

    def flush(self) -> None:
        """Send all that is queued, and end the connections that were waiting for that."""
        unsent, self._unsent = self._unsent, []
        for connection in unsent:
            try:
                connection.flush()
            except TransportError as error:
                self.lose(connection, error)
        if self._finishing:
            finishing, self._finishing = self._finishing, set()
            for connection in finishing:
                self.close(connection)

    @property
    def has_work(self) -> bool:
        """Whether ``flush`` or ``failed`` has anything for this turn."""
        return bool(self._unsent or self.failed or self.returned or self._finishing)

    def get(self, number: int) -> Connection | None:
        """The connection with this number, while it is there."""
        return self._all.get(number)

    def alias(self, request: Request, flow: Flow) -> None:
        """A request with ``alias`` in its Via has come on ``flow`` (RFC 5923 §8.2)."""
        connection = self._all.get(flow.connection)
        if connection is None or connection.hop is not None or not connection.identities:
            return
        hop = response_hop(request.top_via)
        self._aliases[flow.transport, hop.host, hop.port] = connection

    def finish(self, connection: Connection) -> None:
        """End it once what this turn has for it is sent."""
        self._finishing.add(connection)

    def _find(self, hop: Hop) -> Connection | None:
        place = (hop.transport, hop.host, hop.port)
        secure = hop.transport in SECURE_TRANSPORTS
        for connection in self._to.get(place, ()):
            if not connection.usable:
                continue
            same = connection.hop is not None and connection.hop.name == hop.name
            # A URI with a numeric host asks for an address and for no name: as the Record-Route of a proxy may.
            if same or not secure or not hop.name or speaks_for(connection.identities, hop.name):
                return connection
        connection_from = self._from.get(place)
        if connection_from is not None and connection_from.usable and not hop.name:
            return connection_from
        alias = self._aliases.get(place)
        if alias is not None and alias.usable and speaks_for(alias.identities, hop.name or hop.host):
            return alias
        return None

    def _find_or_open(self, hop: Hop, place: StreamPlace) -> Connection:
        return self._find(hop) or self._open(hop, place)

    def _replacement(self, item: SendMessage, place: StreamPlace) -> Connection:
        """Another connection for a message whose own has ended."""
        number = item.flow.connection
        gone = f"the connection to {format_address(item.flow.remote)} has ended"
        if item.data.startswith(b"SIP/2.0 "):
            if item.flow.transport in WEB_TRANSPORTS:
                raise TransportError(gone)  # its client cannot be connected to (RFC 7118 §5.3)
            if item.key is None:
                raise TransportError(gone)  # nothing is remembered of that request, its sender has left
            try:
                via = parse_message(item.data).top_via
                hop = response_hop(via)
            except RemoteProtocolError:
                raise TransportError(gone) from None
            if hop.transport != item.flow.transport:
                raise TransportError(gone)
        else:
            former = self._former.get(number)
            if former is None:
                raise TransportError(gone)
            hop = former
        return self._find_or_open(hop, place)

    def _open(self, hop: Hop, place: StreamPlace) -> Connection:
        if self._closed:
            raise TransportError("the stack is closed")
        if len(self._all) - self._accepted >= self.limits.connections:
            raise TransportError("too many connections")
        now = self.now()
        secure = hop.transport in SECURE_TRANSPORTS
        assert self._tls is not None or not secure  # a place for TLS has a configuration
        pipe = web = None
        is_web = hop.transport in WEB_TRANSPORTS
        if self._tls is not None and secure:
            pipe = self._tls.connecting(hop.name or hop.host, web=is_web)
        if is_web:
            web = WebSocket(self._web, web_host(hop))
        connection = Connection(self, self._number(), place, hop, pipe, web, now)
        self._all[connection.number] = connection
        self._to.setdefault((hop.transport, hop.host, hop.port), []).append(connection)
        task = asyncio.get_running_loop().create_task(self._connect(connection, hop))
        self._connecting[connection.number] = task
        self.look_at(connection, now)
        return connection

    async def _connect(self, connection: Connection, hop: Hop) -> None:
        host = connection.place.local[0]
        source = None if connection.place.wildcard else host
        try:
            await self._network.connect_stream(hop.host, hop.port, connection, source)
        except TransportError as error:
            self._connecting.pop(connection.number, None)
            self.lose(connection, error)
        else:
            self._connecting.pop(connection.number, None)

    def _number(self) -> int:
        # Begins at the time in milliseconds: what an earlier process called a connection must mean none of ours.
        self._next_number = max(self._next_number + 1, int(self.now() * 1000))
        return self._next_number

    # what connections say

    def admit(self, connection: Connection) -> bool:
        """Count in a connection that another opened; False when it is one too many."""
        address = connection.remote[0]
        mine = self._from_address.get(address, 0)
        if self._closed or self._accepted >= self.limits.connections or mine >= self.limits.per_address:
            self.refused += 1
            logger.info("too many connections: one from %s is refused", format_address(connection.remote))
            connection.abort()
            return False
        self._accepted += 1
        self._from_address[address] = mine + 1
        self._all[connection.number] = connection
        self._from[connection.transport, *connection.remote] = connection
        return True

    def readable(self, connection: Connection) -> None:
        """It has messages, or an error."""
        self._on_activity(connection)

    def lose(self, connection: Connection, error: TransportError) -> None:
        """Cut it off."""
        if connection.state is ConnectionState.CLOSED:
            return
        logger.info("%r: %s", connection, error)
        was_open = connection.state is ConnectionState.OPEN
        connection.abort()
        self._forget(connection, error, was_open)

    def close(self, connection: Connection) -> None:
        """End it in order."""
        if connection.usable:
            if connection.state is ConnectionState.CONNECTING:
                self.lose(connection, TransportError("closed before it was open"))
                return
            try:
                connection.finish()
            except TransportError as error:
                self.lose(connection, error)
                return
            self.look_at(connection, self.now())

    def ended(self, connection: Connection, error: TransportError | None) -> None:
        """The network has ended it."""
        if connection.state is ConnectionState.CLOSED:
            return
        logger.debug("%r has ended: %s", connection, error)
        was_open = connection.state in (ConnectionState.OPEN, ConnectionState.CLOSING)
        connection.state = ConnectionState.CLOSED
        self._forget(connection, error or TransportError("the connection was closed by the peer"), was_open)

    def _forget(self, connection: Connection, error: TransportError, was_open: bool) -> None:
        if self._all.pop(connection.number, None) is None:
            return
        hop = connection.hop
        if hop is not None:
            siblings = self._to[hop.transport, hop.host, hop.port]
            siblings.remove(connection)
            if not siblings:
                del self._to[hop.transport, hop.host, hop.port]
            self._former[connection.number] = hop
            if len(self._former) > FORMER:
                self._former.popitem(last=False)
            task = self._connecting.pop(connection.number, None)
            if task is not None:
                task.cancel()
        else:
            self._accepted -= 1
            address = connection.remote[0]
            self._from_address[address] -= 1
            if not self._from_address[address]:
                del self._from_address[address]
            place = (connection.transport, *connection.remote)
            if self._from.get(place) is connection:
                del self._from[place]
            if connection.identities:
                self._aliases = {key: one for key, one in self._aliases.items() if one is not connection}
        if self._closed:
            return
        for item in connection.waiting:
            if item.instead is not None:
                self.returned.append(item.instead)
            elif item.key is not None:
                self.failed.append((item.key, error))
                if item.data.startswith(b"SIP/2.0 "):
                    self.undelivered.append(item.data)
        connection.waiting = []
        for key, item in connection.given.items():
            if not self.transactions.awaits(key):
                continue
            if hop is None or not was_open or item.tries >= MOST_TRIES or not self.transactions.unanswered(key):
                self.failed.append((key, error))
            else:
                self._give_again(item, hop, connection.place)
        connection.given = {}
        if self.has_work:
            self._on_activity(None)

    def _give_again(self, item: Given, hop: Hop, place: StreamPlace) -> None:
        connection = self._find_or_open(hop, place)
        self._unsent.append(connection)
        try:
            connection.send(Given(item.data, item.key, item.tries + 1), self.now())
        except TransportError as error:
            if item.key is not None:
                self.failed.append((item.key, error))

    # time, as a core of the stack

    def look_at(self, connection: Connection, now: float) -> None:
        """Have it looked at when it is due, if that is sooner than was known."""
        moment, _ = connection.due()
        if connection.check_at is None or moment < connection.check_at:
            connection.check_at = moment
            self._timers.start_at(moment, (connection.number,))
            if self._timers.next_deadline() == moment:
                self._on_activity(None)  # the stack is to wake sooner than it thought

    def next_deadline(self) -> float | None:
        """When ``handle_timers`` is due."""
        return self._timers.next_deadline()

    def handle_timers(self, now: float) -> None:
        """Look at the connections whose time has come."""
        for (number,) in self._timers.expired(now):
            connection = self._all.get(number)
            if connection is None or connection.check_at is None or connection.check_at > now:
                continue
            connection.check_at = None
            moment, why = connection.due()
            if moment <= now:
                self._act(connection, why, now)
            if number in self._all:
                self.look_at(connection, now)

    def _act(self, connection: Connection, why: Due, now: float) -> None:
        if why is Due.PING:
            connection.ping(now)
        elif why is not Due.IDLE:
            self.lose(connection, TransportError(f"{format_address(connection.remote)}: {why}"))
        elif connection.is_busy():
            connection.stay(now)
        else:
            self.close(connection)

    def handle_event(self, event: Any, now: float) -> None:
        """It has no transactions."""

    def poll(self) -> list[Any]:
        """It asks nothing."""
        return []

    def counts(self) -> dict[str, int]:
        """What is under way; an open connection that nobody waits for is none of it."""
        return {
            "connecting": len(self._connecting),
            "failed": len(self.failed) + len(self.returned),
            "queued": sum(len(connection.waiting) + len(connection.inbox) for connection in self._all.values()),
        }

    def __len__(self) -> int:
        return len(self._all)

    def close_all(self) -> list[asyncio.Task[None]]:
        """End every connection in order; gives the tasks that have to be waited for. ``abort_all`` comes next."""
        self._closed = True
        tasks = list(self._connecting.values())
        for connection in list(self._all.values()):
            self.close(connection)
        self.failed.clear()
        self.returned.clear()
        return tasks

    def abort_all(self) -> None:
        """Cut off what has not ended yet."""
        for connection in list(self._all.values()):
            self.lose(connection, TransportError("the stack is closed"))
        self.failed.clear()
        self.returned.clear()
        # The stack that we called has us in turn: no cycle may stay.
        self._on_activity = _nobody


def web_host(hop: Hop) -> str:
    """What a client of a WebSocket writes into Host: the port too, unless it is the usual one (RFC 6455 §4.1)."""
    host = hop.name or (f"[{hop.host}]" if ":" in hop.host else hop.host)
    return host if hop.port == DEFAULT_PORTS[hop.transport] else f"{host}:{hop.port}"


def _nobody(connection: Connection | None) -> None:
    """Whom a closed table calls."""
