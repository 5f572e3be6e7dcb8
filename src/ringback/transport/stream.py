"""TCP on the machine's own sockets, by asyncio's protocols: no task, stream object or future for a message.

What a peer does not read is kept in asyncio's write buffer; its owner looks at ``unsent`` and ends the connection when
that grows too large.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from typing import final

from ringback.errors import TransportError
from ringback.protocol.routing.flow import Address, format_address
from ringback.transport.network import StreamAcceptor, StreamOwner, address_family

BACKLOG = 1024  # connections that the kernel holds until we accept them


@final
class SystemStream(asyncio.Protocol):
    """A TCP connection (``transport.network.StreamSocket``)."""

    def __init__(self, owner: StreamOwner) -> None:
        self.local: Address = ("", 0)
        self.remote: Address = ("", 0)
        self._owner: StreamOwner | None = owner
        self._transport: asyncio.Transport | None = None

    # what asyncio says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.local = (transport.get_extra_info("sockname") or ("", 0))[:2]
        peer = transport.get_extra_info("peername")
        if peer is None or self._owner is None:  # it ended before it was accepted
            self._owner = None
            transport.abort()
            return
        self.remote = peer[:2]
        self._owner.connected(self)

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        if self._owner is not None:
            self._owner.received(data)

    def connection_lost(self, error: Exception | None) -> None:
        """It is over."""
        owner, self._owner, self._transport = self._owner, None, None
        if owner is not None:
            owner.ended(None if error is None else _translate(error))

    # what the owner says

    def send(self, data: bytes) -> None:
        """Send, or keep while the peer does not read."""
        if self._transport is not None:
            self._transport.write(data)

    def unsent(self) -> int:
        """Bytes in the write buffer."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def pause(self) -> None:
        """Stop reading."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._transport is not None:
            self._transport.resume_reading()

    def close(self) -> None:
        """End it when the write buffer is empty."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End it now."""
        if self._transport is not None:
            self._transport.abort()


@final
class SystemAcceptor:
    """A listening socket (``transport.network.StreamAcceptor``), or one that only keeps its port."""

    def __init__(self, sock: socket.socket, server: asyncio.Server | None) -> None:
        self.local: Address = sock.getsockname()[:2]
        self._socket = sock
        self._server = server

    def close(self) -> None:
        """Accept no more."""
        if self._server is not None:
            self._server.close()
        else:
            self._socket.close()


async def listen(host: str, port: int, on_connection: Callable[[], StreamOwner] | None) -> StreamAcceptor:
    """``Network.listen_stream`` of this machine, on the running event loop."""
    family = socket.AF_INET6 if address_family(host) == 6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.setblocking(False)
        if os.name == "posix":  # a server that starts again must not wait for its old connections to be forgotten
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        text = f"cannot listen on {host} port {port}: {error.strerror or error}"
        raise TransportError(text, errno=error.errno) from error
    if on_connection is None:
        return SystemAcceptor(sock, None)

    def accept() -> SystemStream:
        return SystemStream(on_connection())

    try:
        server = await asyncio.get_running_loop().create_server(accept, sock=sock, backlog=BACKLOG)
    except OSError as error:  # bound by another with the same option, which the kernel says only now
        sock.close()
        text = f"cannot listen on {host} port {port}: {error.strerror or error}"
        raise TransportError(text, errno=error.errno) from error
    return SystemAcceptor(sock, server)


async def connect(host: str, port: int, owner: StreamOwner, source: str | None = None) -> None:
    """``Network.connect_stream`` of this machine, on the running event loop."""
    family = socket.AF_INET6 if address_family(host) == 6 else socket.AF_INET
    try:
        await asyncio.get_running_loop().create_connection(
            lambda: SystemStream(owner), host, port, family=family, local_addr=(source, 0) if source else None
        )
    except OSError as error:
        reason = _translate(error)
        text = f"no connection to {format_address((host, port))}: {reason}"
        raise TransportError(text, errno=reason.errno) from None


def _translate(error: Exception) -> TransportError:
    number = error.errno if isinstance(error, OSError) else None
    if number is None:
        return TransportError(str(error) or type(error).__name__)
    return TransportError(_WORDS.get(number) or os.strerror(number), errno=number)


_WORDS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset by peer",
    errno.ETIMEDOUT: "connection timed out",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENETUNREACH: "network unreachable",
    errno.EPIPE: "connection closed by peer",
}
