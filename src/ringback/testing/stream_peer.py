"""Scripted far ends of connections: one that was opened or accepted, and a port that accepts them.

    peer = await StreamPeer.connect(world.host("10.0.0.9"), ("10.0.0.1", 5060))
    peer.send(OPTIONS)
    response = await peer.expect(200)

Like ``ScriptedPeer`` it has no transactions, and does what it is told: half a message, a byte at a time, no reading.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self, final

from ringback.errors import TransportError
from ringback.protocol.message.build import build_response
from ringback.protocol.message.framing import PING, StreamFramer
from ringback.protocol.message.model import Message, Request, Response
from ringback.testing.peer import PATIENCE, Expecting, as_datagram
from ringback.transport.network import StreamOwner, StreamSocket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.protocol.routing.flow import Address
    from ringback.testing.host import SimulatedHost
    from ringback.transport.tls import TlsConfiguration, TlsPipe


@final
class StreamPeer(Expecting):
    """One end of a connection (a ``transport.network.StreamOwner``).

    ``data`` is all that came, ``error`` why the connection ended (None: in order), ``is_open`` whether it still is.
    With ``pipe`` it speaks TLS.
    """

    def __init__(self, pipe: TlsPipe | None = None) -> None:
        super().__init__()
        self.data = b""
        self.error: TransportError | None = None
        self.is_open = False
        self._pipe = pipe
        self._is_client = False
        self._stream: StreamSocket | None = None
        self._framer = StreamFramer()
        self._changed = asyncio.Event()

    @classmethod
    async def connect(
        cls, host: SimulatedHost, address: Address, *, tls: TlsConfiguration | None = None, name: str = ""
    ) -> Self:
        """Open a connection to ``address``; with ``tls`` shake hands with the server ``name``. Raises TransportError
        when it cannot be had."""
        peer = cls(None if tls is None else tls.connecting(name or address[0]))
        peer._is_client = True
        await host.connect_stream(*address, peer)
        while peer._pipe is not None and not peer._pipe.ready:
            await peer._change()
            if not peer.is_open:
                raise peer.error or TransportError("closed during the handshake")
        return peer

    @property
    def local(self) -> Address:
        """Our address."""
        assert self._stream is not None
        return self._stream.local

    # what the network says

    def connected(self, stream: StreamSocket) -> None:
        """The connection is there."""
        self._stream = stream
        self.is_open = True
        if self._pipe is not None and self._is_client:
            self._pipe.start()
            self._send_encrypted()
        self._changed.set()

    def received(self, data: bytes) -> None:
        """Bytes have come."""
        if self._pipe is not None:
            try:
                data = self._pipe.receive(data)
            except TransportError as error:
                self.error = error.with_traceback(None)
                self.reset()
                self.is_open = False
                self._changed.set()
                return
            self._send_encrypted()
        self.data += data
        self._unread.extend(message for message in self._framer.feed(data) if message != PING)
        self._arrived.set()
        self._changed.set()

    def ended(self, error: TransportError | None) -> None:
        """It is over."""
        self._stream = None
        self.is_open = False
        self.error = self.error or error
        self._changed.set()

    # what the test says

    def send(self, text: str | bytes | Message) -> None:
        """Send a message: text (see ``peer.as_datagram``), bytes as they are, or a message object."""
        data = text.to_bytes() if isinstance(text, Message) else as_datagram(text)
        if self._pipe is not None:
            self._pipe.send(data)
            self._send_encrypted()
        elif self._stream is not None:
            self._stream.send(data)

    def reply(
        self,
        request: Request,
        status: int,
        reason: str | None = None,
        *,
        to_tag: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> Response:
        """Answer ``request`` on this connection, and give the response that was sent."""
        response = build_response(
            request, status, reason, to_tag=to_tag, headers=headers, body=body, content_type=content_type
        )
        self.send(response)
        return response

    def stop_reading(self) -> None:
        """Read no more: what the other sends fills its buffers."""
        if self._stream is not None:
            self._stream.pause()

    def read_again(self) -> None:
        """The opposite."""
        if self._stream is not None:
            self._stream.resume()

    def close(self) -> None:
        """End it in order."""
        if self._stream is not None:
            self._stream.close()

    def reset(self) -> None:
        """Break it off."""
        if self._stream is not None:
            self._stream.abort()

    async def until_data(self, wanted: bytes, timeout: float = PATIENCE) -> None:
        """Wait until ``wanted`` is among what came."""
        async with asyncio.timeout(timeout):
            while wanted not in self.data:
                await self._change()

    async def until_closed(self, timeout: float = PATIENCE) -> None:
        """Wait until the connection is over; TimeoutError if it stays."""
        async with asyncio.timeout(timeout):
            while self.is_open:
                await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _send_encrypted(self) -> None:
        if self._pipe is not None and self._stream is not None:
            self._stream.send(self._pipe.outgoing())


@final
class StreamPort:
    """A port of a simulated host that accepts connections: ``peer = await port.accepted()``."""

    def __init__(self, tls: TlsConfiguration | None = None) -> None:
        self.peers: list[StreamPeer] = []
        self._tls = tls
        self._taken = 0
        self._came = asyncio.Event()

    async def open(self, host: SimulatedHost, port: int = 5060) -> Self:
        """Listen."""
        self._acceptor = await host.listen_stream(host.address, port, self._accept)
        return self

    def _accept(self) -> StreamOwner:
        peer = StreamPeer(None if self._tls is None else self._tls.accepting())
        self.peers.append(peer)
        self._came.set()
        return peer

    async def accepted(self, timeout: float = PATIENCE) -> StreamPeer:
        """The next connection that somebody opens; TimeoutError if nobody does."""
        async with asyncio.timeout(timeout):
            while len(self.peers) <= self._taken:
                self._came.clear()
                await self._came.wait()
        self._taken += 1
        return self.peers[self._taken - 1]

    def close(self) -> None:
        """Accept no more: who tries is refused."""
        self._acceptor.close()
