"""``--dry-run``: a network that writes down what it should send."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, final

from ringback.errors import TransportError
from ringback.transport.datagram import SystemNetwork

if TYPE_CHECKING:
    from ringback.protocol.routing.flow import Address
    from ringback.transport.network import DatagramEndpoint, StreamAcceptor, StreamOwner

ANY_PORT = 5060  # shown where the system would choose one


@final
class PaperNetwork:
    """A ``Network`` without sockets. ``written`` is the first message that would have been sent."""

    def __init__(self) -> None:
        self.written: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._system = SystemNetwork()

    async def open_datagram(
        self, host: str, port: int, on_readable: Callable[[DatagramEndpoint], None]
    ) -> DatagramEndpoint:
        """Opens nothing."""
        return _Paper(self, (host, port or ANY_PORT))

    async def listen_stream(
        self, host: str, port: int, on_connection: Callable[[], StreamOwner] | None
    ) -> StreamAcceptor:
        """Opens nothing."""
        return _Paper(self, (host, port or ANY_PORT))

    async def connect_stream(self, host: str, port: int, owner: StreamOwner, source: str | None = None) -> None:
        """The peer is there at once, and silent."""
        here = source or self._system.source_address(host)
        owner.connected(_Paper(self, (here, ANY_PORT), (host, port)))

    def source_address(self, remote: str) -> str:
        """As the system says."""
        return self._system.source_address(remote)

    def write(self, data: bytes) -> None:
        """Keep the first message. Raises ``TransportError`` for a TLS handshake, behind which it would be."""
        if data[:1] == b"\x16":
            raise TransportError("--dry-run cannot show what goes by TLS: give --transport tcp as well")
        if not self.written.done():
            self.written.set_result(data)


@final
class _Paper:
    """A datagram socket, a connection, or a port to accept some: whatever is sent is written down."""

    dropped = 0

    def __init__(self, network: PaperNetwork, local: Address, remote: Address = ("", 0)) -> None:
        self.local = local
        self.remote = remote
        self._network = network

    def receive(self, limit: int) -> list[tuple[bytes, Address]]:
        """Nothing comes."""
        return []

    def take_errors(self) -> list[tuple[Address, TransportError]]:
        """Nothing fails."""
        return []

    def send(self, data: bytes, destination: Address = ("", 0)) -> None:
        """Write it down."""
        self._network.write(data)

    def unsent(self) -> int:
        """Nothing waits."""
        return 0

    def pause(self) -> None:
        """Nothing comes anyway."""

    def resume(self) -> None:
        """Nothing comes anyway."""

    def close(self) -> None:
        """There is nothing to close."""

    def abort(self) -> None:
        """There is nothing to end."""
