"""The machine's own sockets, on loopback."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket

import pytest

from ringback.errors import TransportError
from ringback.transport.datagram import SystemDatagramEndpoint, SystemNetwork
from ringback.transport.network import DatagramEndpoint

PATIENCE = 5.0


class Sink:
    """Keeps what an endpoint receives, and wakes who waits for it."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, tuple[str, int]]] = []
        self.errors: list[tuple[tuple[str, int], TransportError]] = []
        self.batches: list[int] = []
        self._changed = asyncio.Event()

    def readable(self, endpoint: DatagramEndpoint) -> None:
        batch = endpoint.receive(64)
        self.batches.append(len(batch))
        self.got += batch
        self.errors += endpoint.take_errors()
        self._changed.set()

    async def until(self, datagrams: int = 0, errors: int = 0) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.got) < datagrams or len(self.errors) < errors:
                self._changed.clear()
                await self._changed.wait()


async def opened(host: str = "127.0.0.1", port: int = 0) -> tuple[Sink, SystemDatagramEndpoint]:
    sink = Sink()
    endpoint = await SystemNetwork().open_datagram(host, port, sink.readable)
    assert isinstance(endpoint, SystemDatagramEndpoint)
    return sink, endpoint


def closed_port(host: str = "127.0.0.1") -> tuple[str, int]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return (host, probe.getsockname()[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_datagram_goes_there_and_back(host: str) -> None:
    (one, here), (two, there) = await opened(host), await opened(host)
    here.send(b"question", there.local)
    await two.until(datagrams=1)
    assert two.got == [(b"question", here.local)]
    there.send(b"answer", two.got[0][1])
    await one.until(datagrams=1)
    assert one.got == [(b"answer", there.local)]
    here.close()
    there.close()


@pytest.mark.threat("T7")
async def test_a_flood_is_read_in_batches_so_that_others_get_their_turn() -> None:
    (_, here), (sink, there) = await opened(), await opened()
    for number in range(150):
        here.send(b"%d" % number, there.local)
    await sink.until(datagrams=150)
    assert max(sink.batches) == 64
    assert [data for data, _ in sink.got] == [b"%d" % number for number in range(150)]
    here.close()
    there.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.rfc("3261 18.4")
async def test_a_closed_port_is_reported_with_its_address(host: str) -> None:
    sink, here = await opened(host)
    nobody = closed_port(host)
    here.send(b"anybody there?", nobody)
    await sink.until(errors=1)
    [(destination, error)] = sink.errors
    assert destination == nobody
    assert error.errno == errno.ECONNREFUSED
    here.close()


async def test_one_destination_that_fails_does_not_keep_a_datagram_from_another() -> None:
    (sink, here), (other, there) = await opened(), await opened()
    for _ in range(20):  # the refusal comes back at once on loopback, so that the next send meets it
        here.send(b"lost", closed_port())
        here.send(b"found", there.local)
    await other.until(datagrams=20)
    await sink.until(errors=20)
    assert len(other.got) == 20
    here.close()
    there.close()


async def test_errors_do_not_keep_the_loop_spinning() -> None:
    sink, here = await opened()
    here.send(b"x", closed_port())
    await sink.until(errors=1)
    calls = len(sink.batches)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(sink.batches) == calls
    here.close()


async def test_an_error_is_found_even_when_the_socket_has_forgotten_it() -> None:
    sink, here = await opened()
    nobody = closed_port()
    here.send(b"x", nobody)
    assert here._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED  # this clears it
    await sink.until(errors=1)
    assert sink.errors[0][0] == nobody
    here.close()


@pytest.mark.threat("T7")
async def test_the_memory_of_destinations_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringback.transport.datagram.KNOWN_DESTINATIONS", 10)
    _, here = await opened()
    for number in range(1, 100):
        here.send(b"x", (f"127.0.1.{number}", 9))
    assert len(here._known) <= 10
    here.close()


async def test_a_destination_without_a_route_is_a_transport_error() -> None:
    _, here = await opened("127.0.0.1")
    with pytest.raises(TransportError):
        here.send(b"x", ("203.0.113.1", 9))  # a loopback source does not leave the machine
    here.close()


async def test_a_datagram_that_is_too_long_is_a_transport_error() -> None:
    _, here = await opened()
    with pytest.raises(TransportError) as caught:
        here.send(b"x" * 65508, ("127.0.0.1", 9))
    assert caught.value.errno == errno.EMSGSIZE
    here.close()


@pytest.mark.threat("T10")
@pytest.mark.parametrize("host", ["slow.example.test", "127.0.0.1.example", "", "::1"])
async def test_what_is_not_a_numeric_address_of_the_family_is_never_resolved(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("resolved")

    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    _, here = await opened()
    with pytest.raises(TransportError):
        here.send(b"x", (host, 5060))
    here.close()


class FullSocket:
    """A socket whose send buffer is full."""

    def __init__(self, real: socket.socket) -> None:
        self._real = real
        self.family = real.family

    def sendto(self, data: bytes, destination: tuple[str, int]) -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)


async def test_a_full_send_buffer_drops_and_counts() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as real:
        real.setblocking(False)
        real.bind(("127.0.0.1", 0))
        full: socket.socket = FullSocket(real)
        endpoint = SystemDatagramEndpoint(asyncio.get_running_loop(), full, Sink().readable)
        endpoint.send(b"x", ("127.0.0.1", 9))
        assert endpoint.dropped == 1
        endpoint.close()


async def test_an_address_in_use_is_a_transport_error_that_names_it() -> None:
    _, here = await opened()
    with pytest.raises(TransportError, match=f"cannot listen on 127.0.0.1 port {here.local[1]}") as caught:
        await opened("127.0.0.1", here.local[1])
    assert caught.value.errno == errno.EADDRINUSE
    here.close()


async def test_ipv4_and_ipv6_share_a_port() -> None:
    _, six = await opened("::")
    _, four = await opened("0.0.0.0", six.local[1])
    assert four.local[1] == six.local[1]
    six.close()
    four.close()


async def test_closing_twice_does_nothing_more() -> None:
    _, here = await opened()
    here.close()
    here.close()
    assert here.take_errors() == []


async def test_a_small_receive_buffer_is_warned_of_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringback.transport.datagram.RECEIVE_BUFFER", 1 << 40 >> 10)  # more than any kernel gives
    network = SystemNetwork()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            (await network.open_datagram("127.0.0.1", 0, Sink().readable)).close()
    assert [record.getMessage().partition(" of ")[0] for record in caplog.records] == ["receive buffer"]


def test_the_source_address_is_what_the_routes_say() -> None:
    assert SystemNetwork().source_address("127.0.0.1") == "127.0.0.1"
    assert SystemNetwork().source_address("::1") == "::1"
