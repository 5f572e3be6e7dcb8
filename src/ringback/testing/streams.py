"""TCP in the simulated world: order and delivery are kept, everything else is weather.

What is written is cut into segments at random. A segment that is lost is sent again, which costs time and holds up what
comes behind it; across a partition it is tried for ``GIVE_UP`` seconds, then its sender's end fails, and the other end
knows nothing of that until it sends in turn. A receiver that is paused fills its window, and what the sender writes
from then on stays with the sender. Segments take the ``delay`` and ``jitter`` of their path.

The trace has the messages, not the segments: each with the connection's addresses, ``delivered`` when its last byte is.
What is not SIP (TLS) is not in it. A test that wants the bytes themselves looks at its own end.
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, final

from ringback.errors import TransportError
from ringback.protocol.message.framing import PING, StreamFramer
from ringback.protocol.routing.flow import Address, format_address
from ringback.testing.web_tap import BEGINNINGS, WebTap

if TYPE_CHECKING:
    from ringback.testing.network import Packet, SimulatedNetwork
    from ringback.transport.network import StreamOwner

WINDOW = 65536  # bytes on their way or not read yet, one direction
SEGMENT = 1460
FIRST_RETRY = 0.2  # seconds; doubles
GIVE_UP = 25.6  # seconds of trying in vain: seven retries
CONNECT_GIVE_UP = 127.0  # what a kernel takes when nobody answers


Answer = asyncio.Future["SimulatedStream | TransportError"]


@final
class SimulatedStream:
    """One end of a connection (``transport.network.StreamSocket``)."""

    def __init__(self, wires: StreamWires, local: Address, remote: Address, owner: StreamOwner) -> None:
        self.local = local
        self.remote = remote
        self.peer: SimulatedStream | None = None
        self._wires = wires
        self._owner: StreamOwner | None = owner
        self._is_told = False
        self._unsent: deque[bytes] = deque()
        self._kept = 0  # bytes in it
        self._flying = 0  # bytes on their way or not read by the peer
        self._last_arrival = 0.0
        self._held: deque[bytes] = deque()  # arrived, not read
        self._announced = False
        self._paused = False
        self._closing = False
        self._peer_closed = False
        self._retrying = False
        self._framer: StreamFramer | WebTap = StreamFramer()
        self._written = 0
        self._read = 0  # bytes of the peer's that were read here
        self._packets: deque[tuple[int, Packet]] = deque()  # with the offset at which each ends

    # what the owner says

    def send(self, data: bytes) -> None:
        """Write."""
        if self._owner is None or self._closing or not data:
            return
        self._record(data)
        self._unsent.append(data)
        self._kept += len(data)
        self._pump()

    def unsent(self) -> int:
        """Bytes that do not fit into the window."""
        return self._kept

    def pause(self) -> None:
        """Read no more."""
        self._paused = True

    def resume(self) -> None:
        """Read again."""
        self._paused = False
        if self._held or self._peer_closed:
            self._announce()

    def close(self) -> None:
        """Say the end behind what is written."""
        if not self._closing and self._owner is not None:
            self._closing = True
            self._pump()

    def abort(self) -> None:
        """Reset."""
        if self._owner is None:
            return
        peer = self.peer
        self._end(None)
        if peer is not None:
            self._wires.later(self.local, self.remote, peer.reset)

    # what the wire says

    def connected(self) -> None:
        """Tell the owner."""
        if self._owner is not None:
            self._is_told = True
            self._owner.connected(self)

    def reset(self) -> None:
        """The peer does not know this connection any more."""
        self._end(TransportError("connection reset by peer", errno=errno.ECONNRESET))

    def _pump(self) -> None:
        """Put segments on the wire as far as the window goes."""
        if self._retrying or self.peer is None:
            return
        wires = self._wires
        while self._unsent and self._flying < WINDOW:
            if wires.is_cut(self.local, self.remote):
                self._retry(FIRST_RETRY)
                return
            data = self._unsent.popleft()
            size = wires.segment_size(len(data), WINDOW - self._flying)
            if size < len(data):
                self._unsent.appendleft(data[size:])
                data = data[:size]
            self._kept -= size
            self._flying += size
            self._last_arrival = wires.fly(self.local, self.remote, self._last_arrival, self.peer.arrive, data)
        if self._closing and not self._unsent and self._owner is not None:
            if wires.is_cut(self.local, self.remote):
                self._retry(FIRST_RETRY)
                return
            self._last_arrival = wires.fly(self.local, self.remote, self._last_arrival, self.peer.arrive, b"")
            self._end(None)

    def _retry(self, pause: float) -> None:
        self._retrying = True
        self._wires.after(pause, lambda: self._try_again(2 * pause))

    def _try_again(self, pause: float) -> None:
        self._retrying = False
        if self._owner is None:
            return
        if not self._wires.is_cut(self.local, self.remote):
            self._pump()
        elif pause > GIVE_UP:
            self._end(TransportError("connection timed out", errno=errno.ETIMEDOUT))
        else:
            self._retry(pause)

    def arrive(self, data: bytes) -> None:
        """A segment of the peer's is here; an empty one is its end."""
        if self._owner is None:
            if self.peer is not None and data:
                self._wires.later(self.local, self.remote, self.peer.reset)
            return
        if data:
            self._held.append(data)
        else:
            self._peer_closed = True
        self._announce()

    def _announce(self) -> None:
        if not self._announced:
            self._announced = True
            self._wires.soon(self._readable)

    def _readable(self) -> None:
        self._announced = False
        owner = self._owner
        if owner is None or self._paused:
            return
        if self._held:
            data = b"".join(self._held)
            self._held.clear()
            self._read += len(data)
            if self.peer is not None:
                self.peer.acknowledged(len(data), self._read)
            owner.received(data)
        elif self._peer_closed:
            self._peer_closed = False
            self.close()
        if (self._held or self._peer_closed) and self._owner is not None and not self._paused:
            self._announce()

    def acknowledged(self, size: int, total: int) -> None:
        """The peer has read so many bytes, and so many in all."""
        self._flying -= size
        packets = self._packets
        while packets and packets[0][0] <= total:
            packet = packets.popleft()[1]
            packet.fate = "delivered"
            packet.arrives_at = self._wires.now()
        if self._owner is not None:
            self._pump()

    def _end(self, error: TransportError | None) -> None:
        owner, self._owner = self._owner, None
        if owner is None:
            return
        if error is not None or not self._closing:
            for _, packet in self._packets:
                packet.fate = "lost"
            self._packets.clear()
        self._unsent.clear()
        self._kept = 0
        self._held.clear()
        self._wires.ended(self)
        if self._is_told:
            self._wires.soon(lambda: owner.ended(error))

    @property
    def has_ended(self) -> bool:
        """Whether this end is closed."""
        return self._owner is None

    def _record(self, data: bytes) -> None:
        if not self._written and data.startswith(BEGINNINGS):
            self._framer = WebTap()
        self._written += len(data)
        if self._framer.error is None:
            for message in self._framer.feed(data):
                if message != PING:
                    # Messages that were written together count as delivered together.
                    self._packets.append((self._written, self._wires.record(self.local, self.remote, message)))


@final
class SimulatedAcceptor:
    """A port on which a simulated host accepts connections, or that it only keeps (``on_connection`` None)."""

    def __init__(
        self,
        wires: StreamWires,
        interfaces: tuple[str, ...],
        local: Address,
        on_connection: Callable[[], StreamOwner] | None,
    ) -> None:
        self.local = local
        self.interfaces = interfaces
        self.on_connection = on_connection
        self._wires = wires

    def close(self) -> None:
        """Give the port back."""
        self.on_connection = None
        self._wires.release(self)


@final
class StreamWires:
    """All TCP of a world. Tests reach it through ``World``."""

    def __init__(self, network: SimulatedNetwork, random: Random) -> None:
        self._network = network
        self._random = random
        self._acceptors: dict[Address, SimulatedAcceptor] = {}
        self._streams: dict[tuple[Address, Address], SimulatedStream] = {}  # by local and remote address

    # what hosts ask

    def listen(
        self, interfaces: tuple[str, ...], host: str, port: int, on_connection: Callable[[], StreamOwner] | None
    ) -> SimulatedAcceptor:
        """Bind a port on a host that has ``interfaces``; TransportError when the address cannot be had."""
        covered = self._network.covered(interfaces, host)
        if port == 0:
            port = self._network.free_port()
        if any((address, port) in self._acceptors for address in covered):
            raise TransportError(f"cannot listen on {host} port {port}: address in use", errno=errno.EADDRINUSE)
        acceptor = SimulatedAcceptor(self, covered, (host, port), on_connection)
        for address in covered:
            self._acceptors[address, port] = acceptor
        return acceptor

    def release(self, acceptor: SimulatedAcceptor) -> None:
        """An acceptor has closed."""
        for address in acceptor.interfaces:
            self._acceptors.pop((address, acceptor.local[1]), None)

    async def connect(self, source: str, remote: Address, owner: StreamOwner) -> None:
        """Open a connection; TransportError when it is refused or nobody answers."""
        local = (source, self._network.free_port())
        future: Answer = self._network.loop.create_future()
        self._knock(local, remote, owner, future, 1.0)
        outcome = await future  # never an exception: it would hold this frame, and this frame holds the future
        if isinstance(outcome, TransportError):
            raise TransportError(f"no connection to {format_address(remote)}: {outcome}", errno=outcome.errno)
        outcome.connected()

    def _knock(
        self,
        local: Address,
        remote: Address,
        owner: StreamOwner,
        future: Answer,
        pause: float,
    ) -> None:
        if future.done():
            return
        if not self.is_cut(local, remote) and remote[0] in self._network.hosts:
            self.later(local, remote, lambda: self._answer(local, remote, owner, future))
        elif pause > CONNECT_GIVE_UP / 2:
            future.set_result(TransportError("connection timed out", errno=errno.ETIMEDOUT))
        else:
            self.after(pause, lambda: self._knock(local, remote, owner, future, 2 * pause))

    def _answer(
        self,
        local: Address,
        remote: Address,
        owner: StreamOwner,
        future: Answer,
    ) -> None:
        acceptor = self._acceptors.get(remote)

        def refuse() -> None:
            if not future.done():
                future.set_result(TransportError("connection refused", errno=errno.ECONNREFUSED))

        if acceptor is None or acceptor.on_connection is None:
            self.later(remote, local, refuse)
            return
        here = SimulatedStream(self, local, remote, owner)
        there = SimulatedStream(self, remote, local, acceptor.on_connection())
        here.peer, there.peer = there, here
        self._streams[local, remote] = here
        self._streams[remote, local] = there

        def established() -> None:
            if future.done():
                here.abort()
            elif here.has_ended:
                future.set_result(TransportError("connection reset by peer", errno=errno.ECONNRESET))
            else:
                future.set_result(here)

        self.later(remote, local, established)
        there.connected()

    # what streams ask

    def now(self) -> float:
        """Seconds since the world began."""
        return self._network.loop.time()

    def is_cut(self, source: Address, destination: Address) -> bool:
        """Whether a partition lies between."""
        return self._network.is_cut(source[0], destination[0])

    def segment_size(self, waiting: int, room: int) -> int:
        """How much of what waits goes into the next segment."""
        most = min(waiting, room, SEGMENT)
        return most if self._random.random() < 0.5 else self._random.randint(1, most)

    def fly(
        self, source: Address, destination: Address, last: float, arrive: Callable[[bytes], None], data: bytes
    ) -> float:
        """Put a segment on its way, behind the one that arrives at ``last``; when it arrives."""
        conditions = self._network.conditions_between(source[0], destination[0])
        random = self._random.random
        arrival = self.now() + conditions.delay + (random() * conditions.jitter if conditions.jitter else 0.0)
        pause = FIRST_RETRY
        while conditions.loss and pause < GIVE_UP and random() < conditions.loss:
            arrival += pause
            pause *= 2
        arrival = max(arrival, last)
        self._network.at(arrival, lambda: arrive(data))
        return arrival

    def later(self, source: Address, destination: Address, what: Callable[[], None]) -> None:
        """Have ``what`` happen when a packet would have arrived."""
        conditions = self._network.conditions_between(source[0], destination[0])
        self._network.at(self.now() + conditions.delay, what)

    def after(self, pause: float, what: Callable[[], None]) -> None:
        """Have ``what`` happen in so many seconds."""
        self._network.at(self.now() + pause, what)

    def soon(self, what: Callable[[], None]) -> None:
        """Have ``what`` happen in the next turn of the loop."""
        self._network.loop.call_soon(what)

    def record(self, source: Address, destination: Address, message: bytes) -> Packet:
        """Put a message into the trace."""
        return self._network.record(source, destination, message)

    def ended(self, stream: SimulatedStream) -> None:
        """One end is closed. The pair is taken apart with the second: no cycle may stay."""
        self._streams.pop((stream.local, stream.remote), None)
        peer = stream.peer
        if peer is not None and (peer.local, peer.remote) not in self._streams:
            stream.peer = peer.peer = None

    # what tests ask

    def break_between(self, ones: list[str], others: list[str]) -> int:
        """Reset the connections between two groups of addresses, both ends at once; how many they were."""
        broken = 0
        for stream in list(self._streams.values()):
            if stream.local[0] in ones and stream.remote[0] in others:
                peer = stream.peer
                stream.reset()
                if peer is not None:
                    peer.reset()
                broken += 1
        return broken

    def close(self) -> None:
        """Let go of everything."""
        for stream in list(self._streams.values()):
            stream.peer = None
        self._streams.clear()
        self._acceptors.clear()
