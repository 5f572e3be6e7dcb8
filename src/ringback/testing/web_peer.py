"""A scripted far end that speaks SIP over WebSocket: a browser's phone, or somebody rude.

peer = await WebPeer.connect(world.host("10.0.0.9"), ("10.0.0.1", 80))
peer.send(OPTIONS)
response = await peer.expect(200)
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self, final

from ringback.errors import TransportError
from ringback.protocol.message.framing import PING
from ringback.protocol.message.model import Message
from ringback.testing.peer import PATIENCE, Expecting, as_datagram
from ringback.transport.network import StreamSocket
from ringback.transport.websocket.channel import WebRules, WebSocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringback.protocol.routing.flow import Address
    from ringback.testing.host import SimulatedHost
    from ringback.transport.tls import TlsConfiguration, TlsPipe


@final
class WebPeer(Expecting):
    """The client's end of a WebSocket (a ``transport.network.StreamOwner``).

    ``data`` is all that came, decrypted, ``is_open`` whether the connection still is, ``error`` why it is not (None: it
    was ended in order). Pings are answered, unless ``answers_pings`` is false.
    """

    def __init__(self, host: SimulatedHost, pipe: TlsPipe | None = None, name: str = "example.test") -> None:
        super().__init__()
        self.data = b""
        self.error: TransportError | None = None
        self.is_open = False
        self.answers_pings = True
        self.web = WebSocket(WebRules(host.ids.number), name)
        self._pipe = pipe
        self._stream: StreamSocket | None = None
        self._changed = asyncio.Event()

    @classmethod
    async def connect(
        cls,
        host: SimulatedHost,
        address: Address,
        *,
        tls: TlsConfiguration | None = None,
        name: str = "example.test",
        shake_hands: bool = True,
    ) -> Self:
        """Open a WebSocket to ``address``, with ``tls`` to the server ``name``. Raises TransportError when it cannot be
        had. Without ``shake_hands`` nothing is said on the connection yet."""
        peer = cls(host, None if tls is None else tls.connecting(name, web=True), name)
        await host.connect_stream(*address, peer)
        if peer._pipe is not None:
            peer._pipe.start()
            peer._send_encrypted()
            await peer._until(lambda: peer._pipe is None or peer._pipe.ready)
        if shake_hands:
            peer.web.start()
            peer.say(peer.web.outgoing())
            await peer._until(lambda: peer.web.ready)
        return peer

    # what the network says

    def connected(self, stream: StreamSocket) -> None:
        """The connection is there."""
        self._stream = stream
        self.is_open = True

    def received(self, data: bytes) -> None:
        """Bytes have come."""
        if self._pipe is not None:
            try:
                data = self._pipe.receive(data)
            except TransportError as error:
                self.error = TransportError(str(error))  # the caught one leads back to this peer: a cycle
                self.reset()
                return
            self._send_encrypted()
        self.data += data
        self._unread.extend(message for message in self.web.feed(data) if message != PING)
        said = self.web.outgoing()
        if self.answers_pings:
            self.say(said)
        self.error = self.error or self.web.failure
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
        self.say(self.web.wrap(text.to_bytes() if isinstance(text, Message) else as_datagram(text)))

    def say(self, data: bytes) -> None:
        """Send these bytes as they are: a frame, half of one, or none at all."""
        if self._pipe is not None:
            self._pipe.send(data)
            self._send_encrypted()
        elif self._stream is not None:
            self._stream.send(data)

    def close(self) -> None:
        """End it in order."""
        self.web.close()
        self.say(self.web.outgoing())
        if self._stream is not None:
            self._stream.close()

    def reset(self) -> None:
        """Break it off."""
        self.is_open = False
        self._changed.set()
        if self._stream is not None:
            self._stream.abort()

    async def until_closed(self, timeout: float = PATIENCE) -> None:
        """Wait until the connection is over; TimeoutError if it stays."""
        async with asyncio.timeout(timeout):
            while self.is_open:
                self._changed.clear()
                await self._changed.wait()

    async def _until(self, done: Callable[[], bool]) -> None:
        while not done():
            if not self.is_open:
                raise TransportError(str(self.error or "closed during the handshake"))
            self._changed.clear()
            await self._changed.wait()

    def _send_encrypted(self) -> None:
        if self._pipe is not None and self._stream is not None:
            self._stream.send(self._pipe.outgoing())
