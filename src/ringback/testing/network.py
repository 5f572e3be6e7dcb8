"""The simulated network: hosts, what happens to a packet between them, and a record of all of it. TCP: ``streams``.

What befalls a packet, in this order: a ``dropping`` rule, the sender's NAT, the receiver's NAT, a partition, loss, then
delay. ``delay`` is the least time on the way and ``jitter`` the most that is added to it. Packets of one path keep
their order, as on one queue, except those that ``reorder`` picks: they are held back so that later ones overtake them.
``duplicate`` picks packets that arrive twice. Each draw is made only when its probability is above nought, and from
one seeded generator, so that the same seed and the same sends give the same fates.
"""

from __future__ import annotations

import errno
import heapq
import ipaddress
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING, final

from ringback.errors import TransportError
from ringback.protocol.routing.flow import Address, format_address
from ringback.testing.nat import Nat
from ringback.transport.network import address_family

if TYPE_CHECKING:
    from ringback.testing.virtual_time import VirtualLoop
    from ringback.transport.network import DatagramEndpoint

LARGEST_DATAGRAM = 65507
FIRST_EPHEMERAL_PORT = 49152
ANY = {4: "0.0.0.0", 6: "::"}  # noqa: S104 (a simulated socket)


@final
class Packet:
    """One datagram on its way, or one message in a stream, and what became of it.

    ``source`` is what the receiver sees and ``destination`` what the sender wrote; ``inside`` is the socket that really
    sent it, another than ``source`` behind a NAT. ``fate`` is ``"on its way"``, ``"delivered"``, ``"lost"``,
    ``"dropped"`` (a rule), ``"partitioned"``, ``"no host"``, ``"no port"`` or ``"no mapping"`` (refused by a NAT).
    ``copy`` marks the second of a duplicated pair, ``transport`` is ``"UDP"`` or ``"TCP"``. Times are seconds since
    the world began.
    """

    __slots__ = (
        "arrives_at",
        "copy",
        "data",
        "destination",
        "fate",
        "inside",
        "number",
        "sent_at",
        "source",
        "transport",
    )

    def __init__(self, number: int, sent_at: float, inside: Address, destination: Address, data: bytes) -> None:
        self.number = number
        self.sent_at = sent_at
        self.arrives_at = sent_at
        self.inside = inside
        self.source = inside
        self.destination = destination
        self.data = data
        self.fate = "on its way"
        self.copy = False
        self.transport = "UDP"

    @property
    def first_line(self) -> str:
        """The start line, or what stands in its place, in ASCII."""
        line = self.data.partition(b"\r\n")[0][:100]
        return line.decode("ascii", "backslashreplace") if line else f"({len(self.data)} bytes)"

    def __str__(self) -> str:
        note = "" if self.fate == "delivered" else f"  [{self.fate}]"
        copy = "  (copy)" if self.copy else ""
        inside = "" if self.inside == self.source else f"  (from {format_address(self.inside)} behind NAT)"
        path = f"{format_address(self.source)} -> {format_address(self.destination)}"
        if self.transport != "UDP":
            path += f" {self.transport}"
        return f"{self.sent_at:12.6f}  {path:<44}  {self.first_line}{copy}{inside}{note}"


class Conditions:
    """The weather on a path: probabilities from 0 to 1, times in seconds."""

    __slots__ = ("delay", "duplicate", "jitter", "loss", "reorder")

    def __init__(
        self, loss: float = 0.0, delay: float = 0.010, jitter: float = 0.0, duplicate: float = 0.0, reorder: float = 0.0
    ) -> None:
        self.loss = loss
        self.delay = delay
        self.jitter = jitter
        self.duplicate = duplicate
        self.reorder = reorder


def _nobody(endpoint: DatagramEndpoint) -> None:
    """Whom a closed endpoint calls."""


@final
class SimulatedEndpoint:
    """A datagram socket of a simulated host (``transport.network.DatagramEndpoint``)."""

    def __init__(
        self,
        network: SimulatedNetwork,
        interfaces: tuple[str, ...],
        local: Address,
        on_readable: Callable[[DatagramEndpoint], None],
    ) -> None:
        self.local = local
        self.dropped = 0
        self.closed = False
        self.interfaces = interfaces  # the addresses that lead here: one, or all of the host's when bound to all
        self._network = network
        self._on_readable = on_readable
        self._waiting: deque[tuple[bytes, Address]] = deque()
        self._errors: list[tuple[Address, TransportError]] = []
        self._announced = False

    def receive(self, limit: int) -> list[tuple[bytes, Address]]:
        """At most ``limit`` datagrams that have come; the rest is announced again."""
        waiting = self._waiting
        if len(waiting) <= limit:
            taken = list(waiting)
            waiting.clear()
        else:
            taken = [waiting.popleft() for _ in range(limit)]
        return taken

    def take_errors(self) -> list[tuple[Address, TransportError]]:
        """The ICMP errors since the last call."""
        errors = self._errors
        if errors:
            self._errors = []
        return errors

    def send(self, data: bytes, destination: Address) -> None:
        """Put a datagram on the simulated wire; TransportError when it is too long or the host not numeric."""
        if self.closed:
            raise TransportError("the endpoint is closed", errno=errno.EBADF)
        if len(data) > LARGEST_DATAGRAM:
            raise TransportError("Message too long", errno=errno.EMSGSIZE)
        family = address_family(destination[0])
        for address in self.interfaces:
            if family == (6 if ":" in address else 4):
                self._network.send((address, self.local[1]), data, destination)
                return
        raise TransportError("Network is unreachable", errno=errno.ENETUNREACH)

    def close(self) -> None:
        """Give the port back; what waits is lost."""
        if not self.closed:
            self.closed = True
            self._on_readable = _nobody  # the owner that we called has us in turn: no cycle may stay
            self._network.release(self)

    def arrive(self, data: bytes, source: Address) -> None:
        """The network brings a datagram."""
        self._waiting.append((data, source))
        self._announce()

    def fail(self, destination: Address, error: TransportError) -> None:
        """The network reports that ``destination`` cannot be reached."""
        self._errors.append((destination, error))
        self._announce()

    def _announce(self) -> None:
        if not self._announced:
            self._announced = True
            self._network.loop.call_soon(self._readable)

    def _readable(self) -> None:
        self._announced = False
        if self.closed:
            return
        self._on_readable(self)
        if (self._waiting or self._errors) and not self.closed:
            self._announce()


@final
class _Report:
    """An ICMP error on its way back."""

    __slots__ = ("endpoint", "error")

    def __init__(self, endpoint: SimulatedEndpoint, error: TransportError) -> None:
        self.endpoint = endpoint
        self.error = error


@final
class _Event:
    """Something that happens at a moment."""

    __slots__ = ("what",)

    def __init__(self, what: Callable[[], None]) -> None:
        self.what = what


class SimulatedNetwork:
    """All wires of a world. Tests use it through ``World``; what is public there is documented there."""

    loop: VirtualLoop

    def __init__(self, random: Random, conditions: Conditions, icmp: bool) -> None:
        self.conditions = conditions
        self.icmp = icmp
        self.trace: list[Packet] = []
        self.hosts: dict[str, object] = {}  # by each address
        self._random = random
        self._endpoints: dict[Address, SimulatedEndpoint] = {}
        self._links: dict[tuple[str, str], Conditions] = {}
        self._partitions: set[tuple[str, str]] = set()
        self._rules: list[Callable[[Packet], bool]] = []
        self._nats: list[Nat] = []
        self._on_the_way: list[tuple[float, int, Packet | _Report | _Event, Address]] = []  # the number breaks ties
        self._last_arrival: dict[tuple[str, str], float] = {}
        self._sequence = 0
        self._next_port = FIRST_EPHEMERAL_PORT

    # endpoints

    def bind(
        self, interfaces: tuple[str, ...], host: str, port: int, on_readable: Callable[[DatagramEndpoint], None]
    ) -> SimulatedEndpoint:
        """Open an endpoint on a host that has ``interfaces``; TransportError when the address cannot be had."""
        covered = self.covered(interfaces, host)
        if port == 0:
            port = self.free_port()
        if any((address, port) in self._endpoints for address in covered):
            raise TransportError(f"cannot listen on {host} port {port}: address in use", errno=errno.EADDRINUSE)
        endpoint = SimulatedEndpoint(self, covered, (host, port), on_readable)
        for address in covered:
            self._endpoints[address, port] = endpoint
        return endpoint

    def covered(self, interfaces: tuple[str, ...], host: str) -> tuple[str, ...]:
        """The addresses that a socket bound to ``host`` is reached at; TransportError when there are none."""
        family = address_family(host)
        if host == ANY[family]:
            covered = tuple(address for address in interfaces if address_family(address) == family)
        else:
            covered = (host,) if host in interfaces else ()
        if not covered:
            raise TransportError(f"cannot listen on {host}: not an address of this host", errno=errno.EADDRNOTAVAIL)
        return covered

    def free_port(self) -> int:
        """A port that nobody has."""
        port, self._next_port = self._next_port, self._next_port + 1
        return port

    def release(self, endpoint: SimulatedEndpoint) -> None:
        """An endpoint has closed."""
        for address in endpoint.interfaces:
            self._endpoints.pop((address, endpoint.local[1]), None)

    def close(self) -> None:
        """Let go of every endpoint and host; the trace stays."""
        self._endpoints.clear()
        self._on_the_way.clear()
        self.hosts.clear()

    # the weather

    def link(self, one: str, other: str, conditions: Conditions) -> None:
        """Both ways between two addresses get conditions of their own."""
        self._links[one, other] = self._links[other, one] = conditions

    def partition(self, ones: Iterable[str], others: Iterable[str]) -> None:
        """Cut every path between the two groups of addresses, both ways."""
        others = list(others)
        for one in ones:
            for other in others:
                self._partitions.add((one, other))
                self._partitions.add((other, one))

    def is_cut(self, one: str, other: str) -> bool:
        """Whether a partition lies between two addresses."""
        return (one, other) in self._partitions

    def conditions_between(self, one: str, other: str) -> Conditions:
        """The weather between two addresses."""
        return self._links.get((one, other), self.conditions) if self._links else self.conditions

    def heal(self) -> None:
        """Mend every partition."""
        self._partitions.clear()

    def add_nat(self, inside: str, public: str, timeout: float, symmetric: bool) -> Nat:
        """Put the addresses of the network ``inside`` behind the address ``public``."""
        nat = Nat(ipaddress.ip_network(inside), public, timeout, symmetric)
        self._nats.append(nat)
        return nat

    @contextmanager
    def dropping(self, rule: Callable[[Packet], bool]) -> Iterator[list[Packet]]:
        """Drop what ``rule`` picks while the block runs; gives the list of what was dropped so far."""
        dropped: list[Packet] = []

        def judge(packet: Packet) -> bool:
            if rule(packet):
                dropped.append(packet)
                return True
            return False

        self._rules.append(judge)
        try:
            yield dropped
        finally:
            self._rules.remove(judge)

    # packets

    def send(self, source: Address, data: bytes, destination: Address) -> None:
        """A packet leaves the socket ``source``; everything that befalls it is decided here, except a port that closes
        while it is on its way."""
        now = self.loop.time()
        packet = Packet(len(self.trace), now, source, destination, data)
        self.trace.append(packet)
        for rule in self._rules:
            if rule(packet):
                packet.fate = "dropped"
                return
        target = self._translate(packet, now)
        if target is None:
            return
        host = target[0]
        if (source[0], host) in self._partitions:
            packet.fate = "partitioned"
            return
        conditions = self.conditions_between(source[0], host)
        random = self._random.random
        if conditions.loss and random() < conditions.loss:
            packet.fate = "lost"
            return
        self._dispatch(packet, target, conditions, now)
        if conditions.duplicate and random() < conditions.duplicate:
            twin = Packet(len(self.trace), now, source, destination, data)
            twin.source = packet.source
            twin.copy = True
            self.trace.append(twin)
            self._dispatch(twin, target, conditions, now)

    def _translate(self, packet: Packet, now: float) -> Address | None:
        """Pass the packet through the NATs; the socket address it is for in the end, or None with its fate set."""
        target = packet.destination
        if not self._nats:
            if target[0] not in self.hosts:
                packet.fate = "no host"
                return None
            return target
        outer = self._nat_around(packet.inside[0])
        inner = self._nat_around(target[0])
        if inner is not None:
            if inner is not outer:
                packet.fate = "no host"  # a private address means nothing out here
                return None
        else:
            if outer is not None:
                packet.source = outer.outbound(packet.inside, target, now)
            for nat in self._nats:
                if nat.public == target[0]:
                    mapped = nat.inbound(target, packet.source, now)
                    if mapped is None:
                        packet.fate = "no mapping"
                        return None
                    target = mapped
                    break
        if target[0] not in self.hosts:
            packet.fate = "no host"
            return None
        return target

    def _nat_around(self, host: str) -> Nat | None:
        for nat in self._nats:
            if nat.covers(host):
                return nat
        return None

    def _dispatch(self, packet: Packet, target: Address, conditions: Conditions, now: float) -> None:
        arrival = now + conditions.delay
        if conditions.jitter:
            arrival += self._random.random() * conditions.jitter
        path = (packet.inside[0], target[0])
        if conditions.reorder and self._random.random() < conditions.reorder:
            arrival += self._random.random() * 4.0 * (conditions.delay + conditions.jitter)
        else:
            last = self._last_arrival.get(path, 0.0)
            if arrival < last:
                arrival = last
            else:
                self._last_arrival[path] = arrival
        packet.arrives_at = arrival
        self._sequence += 1
        heapq.heappush(self._on_the_way, (arrival, self._sequence, packet, target))

    def at(self, moment: float, what: Callable[[], None]) -> None:
        """Have ``what`` happen then."""
        self._sequence += 1
        heapq.heappush(self._on_the_way, (moment, self._sequence, _Event(what), ("", 0)))

    def record(self, source: Address, destination: Address, data: bytes) -> Packet:
        """Put a message of a stream into the trace."""
        packet = Packet(len(self.trace), self.loop.time(), source, destination, data)
        packet.transport = "TCP"
        self.trace.append(packet)
        return packet

    def next_arrival(self) -> float | None:
        """When the next packet or error report arrives; None if none is on its way."""
        return self._on_the_way[0][0] if self._on_the_way else None

    def in_flight(self) -> int:
        """How many packets and error reports are on their way."""
        return len(self._on_the_way)

    def deliver(self, now: float) -> None:
        """Hand over what has arrived by ``now``."""
        on_the_way = self._on_the_way
        while on_the_way and on_the_way[0][0] <= now:
            _, _, thing, target = heapq.heappop(on_the_way)
            if isinstance(thing, _Report):
                thing.endpoint.fail(target, thing.error)
                continue
            if isinstance(thing, _Event):
                self.loop.call_soon(thing.what)
                continue
            endpoint = self._endpoints.get(target)
            if endpoint is None:
                thing.fate = "no port"
                self._report(thing, now)
            else:
                thing.fate = "delivered"
                endpoint.arrive(thing.data, thing.source)

    def _report(self, packet: Packet, now: float) -> None:
        """Send "port unreachable" back to the socket that the packet came from, if the world reports such things."""
        sender = self._endpoints.get(packet.inside)
        if self.icmp and sender is not None:
            self._sequence += 1
            report = _Report(sender, TransportError("Connection refused", errno=errno.ECONNREFUSED))
            heapq.heappush(self._on_the_way, (now + self.conditions.delay, self._sequence, report, packet.destination))
