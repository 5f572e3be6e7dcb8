"""A call flow as it was seen: packets in order, each with its time, ends, transport and exact bytes.

A packet is a value, so that the same drawing and correlating serve a live server, the simulated world and a capture.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import final


@final
class Packet:
    """One SIP message on the wire: ``time`` in seconds since the epoch, ends as ``host:port``, ``data`` as sent."""

    __slots__ = ("data", "destination", "source", "time", "transport")

    def __init__(self, time: float, source: str, destination: str, data: bytes, transport: str = "UDP") -> None:
        self.time = time
        self.source = source
        self.destination = destination
        self.data = data
        self.transport = transport

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packet) and self._content() == other._content()

    def __hash__(self) -> int:
        return hash(self._content())

    def __repr__(self) -> str:
        return f"Packet({self.time:.6f} {self.transport} {self.source} -> {self.destination}, {len(self.data)} bytes)"

    def _content(self) -> tuple[float, str, str, bytes, str]:
        return (self.time, self.source, self.destination, self.data, self.transport)


@final
class Recorder:
    """An observer of a stack (see :mod:`ringback.protocol.trace`) that keeps what it sees.

    At most ``limit`` packets are kept, the oldest go first. ``on_packet`` is called with each one as it is seen.
    """

    def __init__(self, limit: int = 10_000, on_packet: Callable[[Packet], None] | None = None) -> None:
        self._packets: deque[Packet] = deque(maxlen=limit)
        self._on_packet = on_packet

    def message(self, direction: str, data: bytes, transport: str, local: str, remote: str, now: float) -> None:
        """See one message, as the observer of a stack is told of it."""
        source, destination = (remote, local) if direction == "in" else (local, remote)
        packet = Packet(now, source, destination, data, transport)
        self._packets.append(packet)
        if self._on_packet is not None:
            self._on_packet(packet)

    def extend(self, packets: Iterable[tuple[float, str, str, bytes]]) -> None:
        """Add packets recorded elsewhere as ``(time, source, destination, bytes)``."""
        self._packets.extend(Packet(*fields) for fields in packets)

    def __iter__(self) -> Iterator[Packet]:
        return iter(tuple(self._packets))

    def __len__(self) -> int:
        return len(self._packets)

    @property
    def packets(self) -> list[Packet]:
        """What is kept, oldest first."""
        return list(self._packets)
