"""TCP on the machine's own sockets, on loopback."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from ringback.errors import TransportError
from ringback.transport.datagram import SystemNetwork
from ringback.transport.network import StreamOwner, StreamSocket
from tests.transport.test_datagram import closed_port

PATIENCE = 5.0


class Owner:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.stream: StreamSocket | None = None
        self.data = b""
        self.endings: list[TransportError | None] = []
        self._changed = asyncio.Event()

    def connected(self, stream: StreamSocket) -> None:
        self.stream = stream
        self._changed.set()

    def received(self, data: bytes) -> None:
        self.data += data
        self._changed.set()

    def ended(self, error: TransportError | None) -> None:
        self.endings.append(error)
        self._changed.set()

    async def until(self, data: int = 0, ended: bool = False) -> StreamSocket:
        async with asyncio.timeout(PATIENCE):
            while self.stream is None or len(self.data) < data or (ended and not self.endings):
                self._changed.clear()
                await self._changed.wait()
        return self.stream


async def pair(host: str = "127.0.0.1") -> tuple[Owner, StreamSocket, Owner, StreamSocket]:
    """Two owners and their ends; the first connected."""
    network = SystemNetwork()
    there = Owner()
    acceptor = await network.listen_stream(host, 0, lambda: there)
    here = Owner()
    await network.connect_stream(*acceptor.local, here, host)
    ends = await here.until(), await there.until()
    acceptor.close()
    return here, ends[0], there, ends[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_bytes_pass_both_ways_until_one_closes(host: str) -> None:
    here, mine, there, yours = await pair(host)
    assert (mine.local, mine.remote) == (yours.remote, yours.local)
    mine.send(b"question")
    await there.until(data=8)
    yours.send(b"answer")
    yours.close()
    await here.until(data=6, ended=True)
    await there.until(ended=True)
    assert (there.data, here.data, here.endings, there.endings) == (b"question", b"answer", [None], [None])
    for end in (mine, yours):  # all of it does nothing any more
        end.send(b"late")
        end.pause()
        end.resume()
        end.close()
        end.abort()
        assert end.unsent() == 0


@pytest.mark.threat("T8")
async def test_what_the_peer_does_not_read_is_kept_and_can_be_measured() -> None:
    here, mine, there, yours = await pair()
    yours.pause()
    await asyncio.sleep(0)
    size = 0
    while mine.unsent() < 1_000_000:
        mine.send(b"a" * 100_000)
        size += 100_000
    yours.resume()
    await there.until(data=size)
    assert mine.unsent() == 0
    mine.close()
    await there.until(ended=True)
    await here.until(ended=True)


async def test_a_reset_is_an_error_at_the_other_end() -> None:
    here, mine, there, yours = await pair()
    yours.pause()
    mine.send(b"a" * 1000)
    await asyncio.sleep(0.05)
    yours.abort()  # with bytes unread: that is a reset
    await here.until(ended=True)
    [error] = here.endings
    assert error is not None
    assert error.errno == errno.ECONNRESET
    assert str(error) == "connection reset by peer"
    await there.until(ended=True)


async def test_a_refused_connection_says_where_and_why() -> None:
    host, port = closed_port()
    owner = Owner()
    with pytest.raises(TransportError, match=f"no connection to 127.0.0.1:{port}: connection refused") as caught:
        await SystemNetwork().connect_stream(host, port, owner)
    assert caught.value.errno == errno.ECONNREFUSED
    assert owner.stream is None


async def test_a_port_that_is_only_kept_refuses_connections_and_cannot_be_taken() -> None:
    network = SystemNetwork()
    kept = await network.listen_stream("127.0.0.1", 0, None)
    with pytest.raises(TransportError, match="connection refused"):
        await network.connect_stream(*kept.local, Owner())
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(kept.local)
    kept.close()


async def test_an_address_that_cannot_be_had_is_a_transport_error() -> None:
    network = SystemNetwork()

    def owner() -> StreamOwner:
        return Owner()

    first = await network.listen_stream("127.0.0.1", 0, owner)
    for host, port in (first.local, ("192.0.2.1", 0)):
        with pytest.raises(TransportError, match=f"cannot listen on {host} port {port}"):
            await network.listen_stream(host, port, owner)
    first.close()
