"""What the rest of Ringback needs from a network and from a resolver.

The real ones are ``SystemNetwork`` and ``SystemResolver``; the simulated ones live in ``ringback.testing``. Everything
above speaks to these protocols only, which is why a whole server runs unchanged in a simulated world.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol

from ringback.errors import TransportError
from ringback.protocol.routing.flow import Address
from ringback.protocol.routing.records import Record


class DatagramEndpoint(Protocol):
    """An open datagram socket, or the likeness of one. Never blocks."""

    local: Address
    """The address that it is bound to; the host is ``0.0.0.0`` or ``::`` for all addresses of the machine."""

    dropped: int
    """Datagrams that were not sent because the system's send buffer was full."""

    def receive(self, limit: int) -> list[tuple[bytes, Address]]:
        """At most ``limit`` datagrams that have come, each with its source. What is left is announced again."""

    def take_errors(self) -> list[tuple[Address, TransportError]]:
        """The delivery failures reported since the last call (ICMP), each with the destination it is about."""

    def send(self, data: bytes, destination: Address) -> None:
        """Send one datagram; the host must be numeric.

        A full send buffer drops it and counts it in ``dropped``, as the network might have. Raises TransportError
        when the system refuses it for good: too long for a datagram, no route, not a numeric address.
        """

    def close(self) -> None:
        """Stop receiving and give the port back. A second call does nothing."""


class StreamSocket(Protocol):
    """One TCP connection, or the likeness of one: bytes in order both ways. Never blocks."""

    local: Address
    """Our end of it."""

    remote: Address
    """The peer's end."""

    def send(self, data: bytes) -> None:
        """Send, or keep for as long as the peer does not read. Does nothing once the connection has ended."""

    def unsent(self) -> int:
        """Bytes that are kept because the peer does not read."""

    def pause(self) -> None:
        """Read no more for now: the peer is held up once the buffers are full."""

    def resume(self) -> None:
        """Read again."""

    def close(self) -> None:
        """Send what is kept, then end the connection. ``ended`` still comes."""

    def abort(self) -> None:
        """End the connection at once; what is kept is lost. ``ended`` still comes."""


class StreamOwner(Protocol):
    """Who is told what happens to a connection, always from the event loop, never from within a call of ours."""

    def connected(self, stream: StreamSocket) -> None:
        """The connection is there. Called once, before anything else."""

    def received(self, data: bytes) -> None:
        """Bytes have come."""

    def ended(self, error: TransportError | None) -> None:
        """It is over; None when one of the two closed it in order. Called once, after everything else."""


class StreamAcceptor(Protocol):
    """A port on which connections are accepted."""

    local: Address
    """The address that it is bound to."""

    def close(self) -> None:
        """Accept no more. Connections that are there stay."""


class Network(Protocol):
    """Opens endpoints."""

    async def open_datagram(
        self, host: str, port: int, on_readable: Callable[[DatagramEndpoint], None]
    ) -> DatagramEndpoint:
        """Bind to the numeric ``host`` and ``port`` (0: any free one).

        ``on_readable`` is called from the event loop whenever datagrams or delivery failures wait to be taken.
        Raises TransportError if the address cannot be had.
        """

    async def listen_stream(
        self, host: str, port: int, on_connection: Callable[[], StreamOwner] | None
    ) -> StreamAcceptor:
        """Accept TCP connections on the numeric ``host`` and ``port`` (0: any free one).

        ``on_connection`` gives each its owner. None: the port is only taken, and connections to it are refused.
        Raises TransportError if the address cannot be had.
        """

    async def connect_stream(self, host: str, port: int, owner: StreamOwner, source: str | None = None) -> None:
        """Open a TCP connection to the numeric ``host``, from the address ``source`` if given.

        Returns when ``owner`` has been told that it is connected. Raises TransportError when it cannot be had; then
        the owner hears nothing.
        """

    def source_address(self, remote: str) -> str:
        """The numeric address that this machine would send from towards the numeric ``remote``.

        It is what a socket bound to all addresses must write into Via. Raises TransportError without a route.
        """


class Resolver(Protocol):
    """Names to addresses."""

    async def addresses(self, host: str, family: int | None = None) -> list[str]:
        """Numeric addresses of ``host`` in the order to try them; ``family`` is 4, 6 or None for both.

        A numeric ``host`` is its own answer. What is known already is answered without suspending, so that a caller
        may drive the coroutine by one ``send(None)``. Raises TransportError when the name has no such address.
        """

    async def records(self, name: str, kind: str) -> list[Record]:
        """The DNS records of a name; ``kind`` is NAPTR, SRV, A or AAAA. [] when the name has none of that type.

        What is known already is answered without suspending. Raises TransportError when no answer could be had.
        """


def address_family(host: str) -> int:
    """4 or 6 for a numeric host (no brackets); raises TransportError for anything else."""
    try:
        if ":" in host:
            socket.inet_pton(socket.AF_INET6, host)
            return 6
        socket.inet_pton(socket.AF_INET, host)
    except (OSError, ValueError) as error:
        raise TransportError(f"not a numeric address: {host!r}") from error
    return 4
