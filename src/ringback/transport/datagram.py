"""UDP on the machine's own sockets.

The loop only says that a socket is readable; then up to a batch of datagrams is read in one go, which costs a twentieth
of what asyncio's own datagram endpoint does. On Linux delivery failures (ICMP) are read from the socket's error queue:
that alone tells which destination failed, where an ordinary socket only says that some earlier one did.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import struct
import sys
from collections.abc import Callable
from typing import final

from ringback.errors import TransportError
from ringback.protocol.routing.flow import Address
from ringback.transport.network import DatagramEndpoint, StreamAcceptor, StreamOwner, address_family
from ringback.transport.stream import connect, listen

logger = logging.getLogger(__name__)

RECEIVE_BUFFER = 4 * 1024 * 1024  # bytes asked of the kernel: a second of heavy traffic
LARGEST_DATAGRAM = 65535
KNOWN_DESTINATIONS = 16384  # how many destinations are remembered as numeric

# From linux/in.h and linux/in6.h; Python names them from 3.14 on.
_IP_RECVERR = 11
_IPV6_RECVERR = 25
_EXTENDED_ERROR = struct.Struct("=IBBBBII")  # struct sock_extended_err: errno, origin, type, code, pad, info, data
_FROM_ICMP = (2, 3)  # SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6
_HAS_ERROR_QUEUE = sys.platform == "linux"

# The unreachables that a transport user is told of (RFC 3261 §18.4); the rest of ICMP is only passing weather.
_UNREACHABLE = frozenset(
    {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENOPROTOOPT, errno.EHOSTDOWN, errno.EACCES}
)
_BUFFER_FULL = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS})


@final
class SystemDatagramEndpoint:
    """A bound UDP socket (``transport.network.DatagramEndpoint``)."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, on_readable: Callable[[DatagramEndpoint], None]
    ) -> None:
        self._loop = loop
        self._socket = sock
        self._on_readable = on_readable
        self._announced = False
        self._receive = sock.recvfrom
        self._send = sock.sendto
        self._family = 6 if sock.family == socket.AF_INET6 else 4
        self._errors: list[tuple[Address, TransportError]] = []
        self._known: set[str] = set()
        self.local: Address = sock.getsockname()[:2]
        self.dropped = 0
        self.closed = False
        loop.add_reader(sock.fileno(), on_readable, self)

    def receive(self, limit: int) -> list[tuple[bytes, Address]]:
        """At most ``limit`` datagrams that have come; reads the error queue too when there is reason to."""
        taken: list[tuple[bytes, Address]] = []
        receive = self._receive
        try:
            for _ in range(limit):
                taken.append(receive(LARGEST_DATAGRAM))  # noqa: PERF401 (what came before an error must be kept)
        except BlockingIOError:
            if not taken:
                self._read_error_queue()  # readable without a datagram: only errors wait
        except OSError as error:
            if not self._read_error_queue():
                logger.warning("receiving on %s failed: %s", self.local, error)
        if self._family == 6:
            return [(data, (address[0], address[1])) for data, address in taken]
        return taken

    def take_errors(self) -> list[tuple[Address, TransportError]]:
        """The ICMP errors since the last call, each with the destination that it is about."""
        self._announced = False
        errors = self._errors
        if errors:
            self._errors = []
        return errors

    def send(self, data: bytes, destination: Address) -> None:
        """Send one datagram to a numeric address. Raises TransportError when the system refuses it for good."""
        if destination[0] not in self._known:
            self._admit(destination[0])
        try:
            self._send(data, destination)
        except OSError as error:
            self._send_again(data, destination, error)

    def close(self) -> None:
        """Stop reading and close the socket."""
        if not self.closed:
            self.closed = True
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def _admit(self, host: str) -> None:
        """A name handed to ``sendto`` would be resolved there and then, with everything else waiting."""
        if address_family(host) != self._family:
            raise TransportError(f"{host} is not an IPv{self._family} address", errno=errno.EAFNOSUPPORT)
        if len(self._known) >= KNOWN_DESTINATIONS:
            self._known.clear()
        self._known.add(host)

    def _send_again(self, data: bytes, destination: Address, error: OSError) -> None:
        """A first try failed. An error that waits on the socket is reported by the next send, whatever its
        destination, and that send does not happen: so when the queue had one, once more."""
        if error.errno not in _BUFFER_FULL and self._read_error_queue():
            if self._errors and not self._announced:
                self._announced = True  # the socket itself will not call again for what has been read here
                self._loop.call_soon(self._announce)
            try:
                self._send(data, destination)
                return
            except OSError as second:
                error = second
        if error.errno in _BUFFER_FULL:
            self.dropped += 1
            return
        raise TransportError(error.strerror or str(error), errno=error.errno) from error

    def _announce(self) -> None:
        if self._announced and not self.closed:
            self._on_readable(self)

    def _read_error_queue(self) -> bool:
        """Move the kernel's delivery failures into our list; False if there were none to read."""
        found = False
        if not _HAS_ERROR_QUEUE or self.closed:
            return found
        while True:
            try:
                _, ancillary, _, address = self._socket.recvmsg(0, 512, socket.MSG_ERRQUEUE)
            except OSError:
                return found
            found = True
            for _, _, payload in ancillary:
                if len(payload) < _EXTENDED_ERROR.size:
                    continue
                number, origin, *_ = _EXTENDED_ERROR.unpack_from(payload)
                if origin in _FROM_ICMP and number in _UNREACHABLE:
                    self._errors.append((address[:2], TransportError(_text(number), errno=number)))


def _text(number: int) -> str:
    return {
        errno.ECONNREFUSED: "Connection refused (port unreachable)",
        errno.EHOSTUNREACH: "Host unreachable",
        errno.ENETUNREACH: "Network unreachable",
    }.get(number, "Destination unreachable")


@final
class SystemNetwork:
    """The machine's network (``transport.network.Network``), on the running event loop."""

    def __init__(self) -> None:
        self._buffer_warned = False

    async def open_datagram(
        self, host: str, port: int, on_readable: Callable[[DatagramEndpoint], None]
    ) -> DatagramEndpoint:
        """Bind a UDP socket to a numeric host; raises TransportError if that address cannot be had."""
        family = socket.AF_INET6 if address_family(host) == 6 else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            sock.setblocking(False)
            if family == socket.AF_INET6:
                # An IPv4 peer would appear as ::ffff:192.0.2.1, and stand so in Via; one socket a family is clearer.
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if _HAS_ERROR_QUEUE:
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
                else:
                    sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            sock.bind((host, port))
        except OSError as error:
            sock.close()
            text = f"cannot listen on {host} port {port}: {error.strerror or error}"
            raise TransportError(text, errno=error.errno) from error
        self._check_buffer(sock)
        return SystemDatagramEndpoint(asyncio.get_running_loop(), sock, on_readable)

    async def listen_stream(
        self, host: str, port: int, on_connection: Callable[[], StreamOwner] | None
    ) -> StreamAcceptor:
        """Listen on TCP; see ``transport.stream``."""
        return await listen(host, port, on_connection)

    async def connect_stream(self, host: str, port: int, owner: StreamOwner, source: str | None = None) -> None:
        """Connect by TCP; see ``transport.stream``."""
        await connect(host, port, owner, source)

    def _check_buffer(self, sock: socket.socket) -> None:
        granted = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2  # Linux counts its own overhead in
        if granted < RECEIVE_BUFFER and not self._buffer_warned:
            self._buffer_warned = True
            logger.warning(
                "receive buffer of %d KB instead of %d KB, bursts may be lost: raise net.core.rmem_max",
                granted // 1024,
                RECEIVE_BUFFER // 1024,
            )

    def source_address(self, remote: str) -> str:
        """The address the kernel's routes would send from towards ``remote``; no packet is sent to find out."""
        family = socket.AF_INET6 if address_family(remote) == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((remote, 9))
            except OSError as error:
                raise TransportError(f"no route to {remote}: {error.strerror}", errno=error.errno) from error
            name: str = probe.getsockname()[0]
            return name
