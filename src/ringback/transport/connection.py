"""One connection, TCP or TLS or a WebSocket on either: messages on the way in, a bounded queue on the way out.

Rule 1. Its number names it for as long as the process lives, and no other connection ever has that number.
Rule 2. What is sent before it is open waits, within the bound of the write queue.
Rule 3. It tells its table of everything that concerns others, and the table alone decides that it ends.
Rule 4. It sets no timers. It says when it is to be looked at (``due``), and the table looks.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING, final

from ringback.errors import TransportError
from ringback.protocol.message.framing import PING, PONG, StreamFramer
from ringback.protocol.routing.flow import Address, Flow, Hop, format_address

if TYPE_CHECKING:
    from ringback.protocol.errors import RemoteProtocolError
    from ringback.protocol.transaction.events import SendMessage
    from ringback.protocol.transaction.key import ClientKey, ServerKey
    from ringback.transport.connections import ConnectionTable
    from ringback.transport.network import StreamSocket
    from ringback.transport.table import StreamPlace
    from ringback.transport.tls import TlsPipe
    from ringback.transport.websocket.channel import WebSocket

FEW_GIVEN = 64  # transactions remembered before those that are over are looked for


class ConnectionState(StrEnum):
    """Where a connection is. ``Closing`` sends what it has and takes nothing more."""

    CONNECTING = "Connecting"
    HANDSHAKING = "Handshaking"
    OPEN = "Open"
    CLOSING = "Closing"
    CLOSED = "Closed"


class Due(StrEnum):
    """Why a connection is to be looked at."""

    CONNECTING = "no connection in time"
    HANDSHAKE = "no handshake in time"
    FIRST_MESSAGE = "no message in time"
    HALF_MESSAGE = "a message did not end in time"
    CLOSING = "the peer did not read in time"
    PONG = "a keep-alive was not answered"
    IDLE = "idle"
    PING = "keep-alive"


@final
class Given:
    """A message that was given to a connection. ``key`` is as in ``SendMessage``; ``tries`` is how many connections it
    was given to, this one included, of which the others were lost; ``instead`` is the datagram to send if there is no
    connection to be had."""

    __slots__ = ("data", "instead", "key", "tries")

    def __init__(
        self, data: bytes, key: ClientKey | ServerKey | None, tries: int = 1, instead: SendMessage | None = None
    ) -> None:
        self.data = data
        self.key = key
        self.tries = tries
        self.instead = instead


@final
class Connection:
    """A connection of the table (a ``transport.network.StreamOwner``).

    ``hop`` is where we connected to, None when another connected to us. ``inbox`` holds whole messages that nobody has
    taken yet, ``error`` what made the stream unreadable. ``given`` are the requests of client transactions that were
    sent on it, ``waiting`` what is to be sent once it is open.
    """

    __slots__ = (
        "_begun_at",
        "_framer",
        "_half_since",
        "_heard_at",
        "_out",
        "_out_size",
        "_pinged_at",
        "_pongs",
        "_prune_at",
        "_spoke_at",
        "_stream",
        "_table",
        "_took_message",
        "_web",
        "check_at",
        "flow",
        "given",
        "hop",
        "identities",
        "inbox",
        "local_text",
        "number",
        "paused",
        "pipe",
        "place",
        "remote",
        "state",
        "transport",
        "waiting",
    )

    def __init__(
        self,
        table: ConnectionTable,
        number: int,
        place: StreamPlace,
        hop: Hop | None,
        pipe: TlsPipe | None,
        web: WebSocket | None,
        now: float,
    ) -> None:
        self.number = number
        self.place = place
        self.transport = place.transport
        self.local_text = place.local_text
        self.hop = hop
        self.pipe = pipe
        self.remote: Address = (hop.host, hop.port) if hop else ("", 0)
        self.flow = Flow(place.transport, place.local, self.remote, number)
        self.state = ConnectionState.CONNECTING
        self.identities: list[str] = []
        self.inbox: deque[bytes] = deque()
        self.waiting: list[Given] = []
        self.given: dict[ClientKey, Given] = {}
        self.paused = False
        self.check_at: float | None = None
        self._table = table
        self._stream: StreamSocket | None = None
        self._web = web
        self._framer: StreamFramer | WebSocket = web or StreamFramer()
        self._out: list[bytes] = []
        self._out_size = 0
        self._begun_at = self._heard_at = self._spoke_at = now
        self._half_since: float | None = None
        self._pinged_at: float | None = None
        self._pongs = web is not None  # the peer has answered a keep-alive once, or must (RFC 6455 §5.5.2)
        self._took_message = False
        self._prune_at = FEW_GIVEN

    def __repr__(self) -> str:
        return f"Connection({self.number} {self.state} {self.flow!r})"

    @property
    def error(self) -> RemoteProtocolError | None:
        """What the framer could not read."""
        return self._framer.error

    @property
    def usable(self) -> bool:
        """Whether messages can be given to it."""
        return self.state not in (ConnectionState.CLOSING, ConnectionState.CLOSED)

    # what the network says

    def connected(self, stream: StreamSocket) -> None:
        """The TCP connection is there."""
        if self.state is not ConnectionState.CONNECTING:
            stream.abort()  # given up meanwhile
            return
        self._stream = stream
        if self.hop is None:
            self.remote = stream.remote
            self.flow = Flow(self.transport, self.flow.local, self.remote, self.number)
            if not self._table.admit(self):
                return
        now = self._begun_at = self._heard_at = self._table.now()
        if self.pipe is None and self._web is None:
            self._opened(now)
            return
        self.state = ConnectionState.HANDSHAKING
        if self.pipe is None:
            self._begin_web()
        else:
            try:
                if self.hop is not None:
                    self.pipe.start()
            except TransportError as error:
                self._table.lose(self, error)
                return
            self._send_encrypted()
        self._table.look_at(self, now)

    def received(self, data: bytes) -> None:
        """Bytes have come."""
        now = self._heard_at = self._table.now()
        if self._pinged_at is not None:
            self._pinged_at = None
            self._pongs = True
        pipe = self.pipe
        if pipe is not None:
            secured = pipe.ready
            try:
                data = pipe.receive(data)
            except TransportError as error:
                self._send_encrypted()  # the alert that says why
                self._table.lose(self, error)
                return
            self._send_encrypted()
            if pipe.ready and not secured:
                self.identities = pipe.identities()
                if self._web is None:
                    self._opened(now)
                else:
                    self._begin_web()
        if self._web is not None:
            self._read_web(self._web, data, now)
        elif data and self.state is ConnectionState.OPEN:
            self._read(data, now)
        if pipe is not None and pipe.closed:
            self._table.close(self)

    def ended(self, error: TransportError | None) -> None:
        """The network has ended it."""
        self._stream = None
        self._table.ended(self, error)

    def _begin_web(self) -> None:
        """Ask for a WebSocket, where we are the client."""
        if self._web is not None and self.hop is not None:
            self._web.start()
            self._out.append(self._web.outgoing())
            self.flush()

    def _read_web(self, web: WebSocket, data: bytes, now: float) -> None:
        """Bytes of a WebSocket: its handshake first, then messages among frames that it answers itself."""
        if not data or not self.usable:
            return
        if self.state is ConnectionState.OPEN:
            self._read(data, now)
        else:
            early = web.feed(data)
            self._answer(web)
            if web.ready:
                self._opened(now)
                self._accept(early, now)
        self._answer(web)
        if web.closed:
            if web.failure is not None and self.hop is not None:
                self._table.lose(self, web.failure)
            else:
                self._table.close(self)

    def _answer(self, web: WebSocket) -> None:
        """Send what the WebSocket says of itself, unless the peer does not read."""
        said = web.outgoing()
        if said and self._unsent() < self._table.limits.write_queue:
            self._out.append(said)
            self.flush()

    def _read(self, data: bytes, now: float) -> None:
        self._accept(self._framer.feed(data), now)

    def _accept(self, messages: list[bytes], now: float) -> None:
        framer = self._framer
        if messages and PING in messages:
            messages = [message for message in messages if message != PING]
            if self._pinged_at is None and self.hop is None and self._table.limits.write_queue > self._unsent():
                self.write(PONG, now)  # one for all that came together (RFC 5626 §4.4.1)
                self.flush()
        if messages:
            self._took_message = True
            self._half_since = None
            self.inbox.extend(messages)
        if framer.idle:
            self._half_since = None
        elif self._half_since is None:
            self._half_since = now
            self._table.look_at(self, now)
        if messages or framer.error is not None:
            self._table.readable(self)

    def _opened(self, now: float) -> None:
        self.state = ConnectionState.OPEN
        self._begun_at = now
        waiting, self.waiting = self.waiting, []
        self._out_size = 0
        for item in waiting:
            self.write(item.data, now)
            self._remember(item)
        if waiting:
            self.flush()
        self._table.look_at(self, now)

    # what the table says

    def send(self, item: Given, now: float) -> None:
        """Queue a message; ``flush`` sends what is queued. Raises TransportError when the peer does not read."""
        data = item.data
        if self._out_size + self._unsent() + len(data) > self._table.limits.write_queue:
            text = f"{format_address(self.remote)} does not read"
            self._table.lose(self, TransportError(text))
            raise TransportError(text)
        if self.state is ConnectionState.OPEN:
            self.write(data, now)
            self._remember(item)
        else:
            self._out_size += len(data)
            self.waiting.append(item)

    def write(self, data: bytes, now: float) -> None:
        """Queue a message or keep-alive."""
        if self._web is not None:
            data = self._web.wrap(data)
        self._out.append(data)
        self._out_size += len(data)
        self._spoke_at = now

    def flush(self) -> None:
        """Send what is queued."""
        out = self._out
        if not out:
            return
        data = out[0] if len(out) == 1 else b"".join(out)
        self._out = []
        self._out_size = 0
        if self.pipe is not None:
            self.pipe.send(data)
            self._send_encrypted()
        elif self._stream is not None:
            self._stream.send(data)

    def take(self, limit: int) -> list[bytes]:
        """At most ``limit`` of the messages that have come. While some are left the peer is not read from."""
        inbox = self.inbox
        if len(inbox) <= limit:
            messages = list(inbox)
            inbox.clear()
            if self.paused and self._stream is not None:
                self.paused = False
                self._stream.resume()
        else:
            messages = [inbox.popleft() for _ in range(limit)]
            if not self.paused and self._stream is not None:
                self.paused = True
                self._stream.pause()
        return messages

    def finish(self) -> None:
        """For the table: no more messages; what is queued is sent, then the end is said."""
        if self._web is not None:
            self._web.close()
            self._answer(self._web)
        self.flush()
        self.state = ConnectionState.CLOSING
        self._begun_at = self._table.now()
        if self.pipe is not None:
            self.pipe.close()
            self._send_encrypted()
        if self._stream is not None:
            self._stream.close()

    def abort(self) -> None:
        """For the table: it is over."""
        self.state = ConnectionState.CLOSED
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.abort()

    def due(self) -> tuple[float, Due]:
        """When it is to be looked at next, and for what."""
        limits = self._table.limits
        state = self.state
        if state is ConnectionState.CONNECTING:
            return self._begun_at + limits.connecting, Due.CONNECTING
        if state is ConnectionState.HANDSHAKING:
            return self._begun_at + limits.connecting, Due.HANDSHAKE
        if state is not ConnectionState.OPEN:
            return self._begun_at + limits.connecting, Due.CLOSING
        found = max(self._heard_at, self._spoke_at) + limits.idle, Due.IDLE
        if self._half_since is not None:
            found = min(found, (self._half_since + limits.half_message, Due.HALF_MESSAGE))
        ping = limits.web_ping
        if self._web is None:
            ping = None if self.hop is None else limits.ping
        if self.hop is None and not self._took_message:
            found = min(found, (self._begun_at + limits.first_message, Due.FIRST_MESSAGE))
        elif ping is not None:
            if self._pinged_at is None or not self._pongs:
                found = min(found, (self._spoke_at + ping, Due.PING))
            else:
                found = min(found, (self._pinged_at + limits.pong, Due.PONG))
        return found

    def ping(self, now: float) -> None:
        """Send a keep-alive."""
        if self._pinged_at is None:
            self._pinged_at = now
        if self._web is None:
            self.write(PING, now)
        else:
            self._out.append(self._web.ping())
            self._spoke_at = now
        self.flush()

    def stay(self, now: float) -> None:
        """Count as not idle."""
        self._spoke_at = now

    def is_busy(self) -> bool:
        """Whether a client transaction that was sent on it still waits."""
        self._prune()
        return bool(self.given)

    def _remember(self, item: Given) -> None:
        key = item.key
        if key is None or len(key) != 2:
            return
        if len(self.given) >= self._prune_at:
            self._prune()
            self._prune_at = max(FEW_GIVEN, 2 * len(self.given))
        self.given[key] = item

    def _prune(self) -> None:
        awaits = self._table.transactions.awaits
        self.given = {key: item for key, item in self.given.items() if awaits(key)}

    def _unsent(self) -> int:
        return 0 if self._stream is None else self._stream.unsent()

    def _send_encrypted(self) -> None:
        if self.pipe is not None and self._stream is not None:
            data = self.pipe.outgoing()
            if data:
                self._stream.send(data)
