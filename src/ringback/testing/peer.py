"""A scripted far end: sends what the test wrote, to the byte, and keeps what came.

    peer = ScriptedPeer(world.host("10.0.0.9"))
    peer.send(OPTIONS, to=("10.0.0.1", 5060))
    response = await peer.expect(200)

It has no transaction layer and repeats nothing by itself: whatever a broken or hostile peer might do, it can.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, final

from ringback.errors import RemoteProtocolError
from ringback.protocol.message.build import build_response
from ringback.protocol.message.model import Message, Request, Response
from ringback.protocol.message.parser import parse_message
from ringback.protocol.routing.flow import Address
from ringback.protocol.routing.via import response_hop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.testing.host import SimulatedHost
    from ringback.transport.network import DatagramEndpoint

PATIENCE = 40.0  # virtual seconds: a little more than 64*T1


def as_datagram(text: str | bytes) -> bytes:
    """A message as written in a test, as it goes on the wire.

    Text may be indented and have bare LF line ends; leading blank lines are dropped, an empty line before the body is
    added if there is none. Bytes are sent as they are.
    """
    if isinstance(text, bytes):
        return text
    lines = [line.strip(" \r") for line in text.replace("\t", " ").split("\n")]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    if "" not in lines:
        lines.append("")
    head_end = lines.index("")
    head, body = lines[: head_end + 1], lines[head_end + 1 :]
    return "\r\n".join([*head, *body, ""]).encode("utf-8", "surrogateescape")


class Expecting:
    """What every scripted far end can: take what has come, message by message."""

    def __init__(self) -> None:
        self._unread: deque[bytes] = deque()
        self._arrived = asyncio.Event()

    async def expect(self, what: str | int, timeout: float = PATIENCE, skip: Sequence[str | int] = ()) -> Message:
        """The next message that has come, which must be a request of method ``what`` or a response of that status.

        Methods and statuses in ``skip`` are passed over (100, or what is retransmitted). Raises AssertionError if the
        next one is another, is not SIP, or none comes within ``timeout`` virtual seconds.
        """
        end = asyncio.get_running_loop().time() + timeout
        while True:
            left = end - asyncio.get_running_loop().time()
            message = parse(await self.next_datagram(left, f"{what}"))
            got: str | int = message.method if isinstance(message, Request) else message.status
            if got == what:
                return message
            assert got in skip, f"expected {what}, got {message.start_line}"

    async def expect_request(self, method: str, timeout: float = PATIENCE, skip: Sequence[str | int] = ()) -> Request:
        """``expect`` for a request."""
        message = await self.expect(method, timeout, skip)
        assert isinstance(message, Request)
        return message

    async def expect_response(self, status: int, timeout: float = PATIENCE, skip: Sequence[str | int] = ()) -> Response:
        """``expect`` for a response."""
        message = await self.expect(status, timeout, skip)
        assert isinstance(message, Response)
        return message

    async def next_datagram(self, timeout: float = PATIENCE, wanted: str = "a datagram") -> bytes:
        """The next datagram or message of a stream, parsed or not; AssertionError if none comes in time."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        while not self._unread:
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), end - loop.time())
            except TimeoutError:
                raise AssertionError(f"expected {wanted}, nothing came in time ({timeout:g} s)") from None
        return self._unread.popleft()

    async def silence(self, seconds: float) -> None:
        """AssertionError if anything unread is there or comes within so many virtual seconds."""
        await asyncio.sleep(seconds)
        assert not self._unread, f"expected silence, got {self._unread[0][:80]!r}"

    def forget(self) -> None:
        """Skip whatever came and was not read."""
        self._unread.clear()


@final
class ScriptedPeer(Expecting):
    """One socket of a simulated host. ``received`` keeps every datagram with its source, ``target`` where ``send``
    goes when it is not told: the last destination, or the last source if nothing was sent yet."""

    def __init__(self, host: SimulatedHost, port: int = 5060, target: Address | None = None) -> None:
        super().__init__()
        self.host = host
        self.target = target
        self.received: list[tuple[bytes, Address]] = []
        self._endpoint = host.bind(host.address, port, self._readable)
        self._sources: dict[int, Address] = {}

    @property
    def local(self) -> Address:
        """The address it is bound to."""
        return self._endpoint.local

    def _readable(self, endpoint: DatagramEndpoint) -> None:
        taken = endpoint.receive(1 << 20)
        self.received.extend(taken)
        self._unread.extend(data for data, _ in taken)
        if taken and self.target is None:
            self.target = taken[-1][1]
        self._arrived.set()

    def send(self, text: str | bytes | Message, to: Address | None = None) -> None:
        """Send a message: text (see ``as_datagram``), bytes as they are, or a message object."""
        if to is not None:
            self.target = to
        assert self.target is not None, "nowhere to send to yet"
        data = text.to_bytes() if isinstance(text, Message) else as_datagram(text)
        self._endpoint.send(data, self.target)

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
        """Answer ``request`` the way its top Via says, and give the response that was sent."""
        response = build_response(
            request, status, reason, to_tag=to_tag, headers=headers, body=body, content_type=content_type
        )
        hop = response_hop(request.top_via)
        self._endpoint.send(response.to_bytes(), (hop.host, hop.port))
        return response

    def close(self) -> None:
        """Give the port back."""
        self._endpoint.close()


def parse(data: bytes) -> Request | Response:
    """``data`` as a message; AssertionError with the bytes if it is none."""
    try:
        return parse_message(data)
    except RemoteProtocolError as error:
        raise AssertionError(f"not a SIP message ({error}): {data!r}") from error
