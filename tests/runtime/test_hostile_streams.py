"""Strangers on a stack's connections (THREATS T8): none of them holds anybody up, and all of them are bounded."""

from __future__ import annotations

import asyncio

import pytest

from ringback.errors import TransportError
from ringback.protocol.message.framing import PING, PONG
from ringback.protocol.routing.flow import Hop
from ringback.testing.peer import as_datagram
from ringback.testing.stream_peer import StreamPeer
from ringback.testing.world import World
from ringback.transport.limits import StreamLimits
from tests.runtime.test_streams import ADDRESS, PHONE, answer_all, make_stack, request_text, send

pytestmark = pytest.mark.threat("T8")

OPTIONS = as_datagram(request_text())


async def connect(world: World, host: str = PHONE) -> StreamPeer:
    return await StreamPeer.connect(world.host(host), ADDRESS)


async def is_served(world: World, host: str = "10.0.0.7") -> None:
    """AssertionError unless another is connected and answered within a tenth of a second."""
    peer = await connect(world, host)
    peer.send(request_text(branch=f"z9hG4bK{world.now}"))
    await peer.expect_response(200, timeout=0.1)
    peer.close()


def test_half_a_message_is_waited_for_and_then_cut_off(world: World) -> None:
    stack, _ = make_stack(world)
    answer_all(stack)

    async def main() -> None:
        peer = await connect(world)
        peer.send(OPTIONS + OPTIONS[:50])
        await peer.expect(200)
        await asyncio.sleep(29.0)
        await is_served(world)
        assert peer.is_open
        await peer.until_closed(2.0)

    world.run(main())


def test_a_byte_at_a_time_is_served(world: World) -> None:
    stack, _ = make_stack(world)
    answer_all(stack)

    async def main() -> None:
        peer = await connect(world)
        for byte in OPTIONS:
            peer.send(bytes([byte]))
            await asyncio.sleep(0.05)
        await peer.expect(200, timeout=1.0)
        peer.close()

    world.run(main())


def test_who_says_nothing_is_cut_off_after_half_a_minute_even_if_he_sends_keep_alives(world: World) -> None:
    stack, _ = make_stack(world)
    answer_all(stack)

    async def main() -> None:
        begun = world.now
        silent, pinging = await connect(world), await connect(world)
        while pinging.is_open:
            pinging.send(PING)
            await asyncio.sleep(1.0)
        assert not silent.is_open
        assert 29.0 < world.now - begun < 33.0

    world.run(main())


def test_who_is_idle_is_let_go_unless_he_sends_keep_alives(world: World) -> None:
    stack, _ = make_stack(world, limits=StreamLimits(idle=900.0))
    answer_all(stack)

    async def main() -> None:
        silent, pinging = await connect(world), await connect(world)
        for peer in (silent, pinging):
            peer.send(OPTIONS)
            await peer.expect(200)
        for _ in range(20):
            await asyncio.sleep(60.0)
            pinging.send(PING)
        assert not silent.is_open
        assert silent.error is None
        assert pinging.is_open
        pinging.close()

    world.run(main())


@pytest.mark.rfc("5626 4.4.1")
def test_a_keep_alive_is_answered_and_a_flood_of_them_is_not_answered_more(world: World) -> None:
    stack, _ = make_stack(world)
    answer_all(stack)

    async def main() -> None:
        peer = await connect(world)
        peer.send(PING)
        await peer.until_data(PONG)
        assert peer.data == PONG
        peer.send(PING * 50_000)
        peer.send(OPTIONS)
        await peer.expect(200, timeout=5.0)
        assert len(peer.data) < 5_000
        await is_served(world)
        peer.close()

    world.run(main())


def test_who_does_not_read_is_cut_off_when_his_queue_is_full(world: World) -> None:
    stack, _ = make_stack(world, limits=StreamLimits(write_queue=100_000))
    answer_all(stack)

    async def main() -> None:
        peer = await connect(world)
        peer.stop_reading()
        for _ in range(40):
            peer.send(OPTIONS * 100)
            await asyncio.sleep(0.05)
        await is_served(world)
        assert stack.failed
        peer.read_again()
        await peer.until_closed(1.0)

    world.run(main())


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\0\0\0\0", b"SSH-2.0-x\r\n"],
)
def test_what_is_not_sip_is_cut_off_at_once_without_an_answer(world: World, data: bytes) -> None:
    make_stack(world)

    async def main() -> None:
        peer = await connect(world)
        peer.send(data)
        await peer.until_closed(0.2)
        assert peer.data == b""

    world.run(main())


@pytest.mark.rfc("4475 3.1.2.2", "4475 3.1.2.3", "4475 3.3.9", "3261 18.3")
@pytest.mark.parametrize("line", [b"Content-Length: -1", b"Content-Length: 0\r\nl: 3", b"X: 1"])
def test_a_length_that_cannot_be_known_is_answered_and_ends_the_connection(world: World, line: bytes) -> None:
    stack, _ = make_stack(world)
    answer_all(stack)

    async def main() -> None:
        peer = await connect(world)
        peer.send(OPTIONS + OPTIONS.replace(b"Content-Length: 0", line) + OPTIONS)
        await peer.expect(200)
        await peer.expect(400)
        await peer.until_closed(1.0)

    world.run(main())


def test_other_malformed_requests_are_answered_and_do_not_end_the_connection_for_the_others_on_it(world: World) -> None:
    stack, _ = make_stack(world)
    answer_all(stack)

    async def main() -> None:
        peer = await connect(world)
        peer.send(OPTIONS.replace(b"CSeq: 1 OPTIONS", b"CSeq: x") + OPTIONS)
        await peer.expect(400)
        await peer.expect(200)
        assert peer.is_open
        peer.close()

    world.run(main())


@pytest.mark.threat("T7")
def test_more_connections_than_one_address_may_have_are_closed_and_others_are_not(world: World) -> None:
    stack, _ = make_stack(world, limits=StreamLimits(connections=30, per_address=10))
    answer_all(stack)

    async def main() -> None:
        peers = [await connect(world) for _ in range(15)]
        await asyncio.sleep(0.1)
        assert [peer.is_open for peer in peers] == [True] * 10 + [False] * 5
        await is_served(world)
        others = [await connect(world, f"10.0.1.{number}") for number in range(25)]
        await asyncio.sleep(0.1)
        assert sum(peer.is_open for peer in others) == 20
        assert stack.connections is not None
        assert stack.connections.refused == 10
        for peer in peers + others:
            peer.close()
        await asyncio.sleep(0.1)
        await is_served(world)  # the places are free again

    world.run(main())


@pytest.mark.threat("T7")
def test_we_open_no_more_connections_than_the_limit(world: World) -> None:
    stack, _ = make_stack(world, limits=StreamLimits(connections=3))

    async def main() -> None:
        for number in range(3):
            stack.flow_to(Hop("TCP", PHONE, 6000 + number))
        with pytest.raises(TransportError, match="too many connections"):
            stack.flow_to(Hop("TCP", PHONE, 6003))
        await asyncio.sleep(20.0)
        stack.flow_to(Hop("TCP", PHONE, 6003))
        await asyncio.sleep(20.0)

    world.run(main())


@pytest.mark.threat("T7")
def test_ten_thousand_idle_connections_cost_nobody_anything(world: World) -> None:
    stack, _ = make_stack(world)
    answer_all(stack)

    async def main() -> None:
        peers = await asyncio.gather(*(connect(world, f"10.0.{n % 50 + 1}.2") for n in range(10_000)))
        assert stack.connections is not None
        assert len(stack.connections) == 10_000
        begun = world.loop.time()
        await is_served(world)
        assert world.loop.time() - begun < 0.1
        for peer in peers:
            peer.reset()
        await asyncio.sleep(1.0)
        assert len(stack.connections) == 0

    world.run(main())


@pytest.mark.threat("T7")
def test_requests_over_connections_that_are_closed_at_once_leave_nothing(world: World) -> None:
    """CVE-2020-28327, CVE-2018-7286: a request, then gone."""
    stack, _ = make_stack(world)
    answer_all(stack, 404)

    async def main() -> None:
        for number in range(200):
            peer = await connect(world)
            peer.send(as_datagram(request_text(branch=f"z9hG4bK{number}")))
            peer.reset() if number % 2 else peer.close()
        await asyncio.sleep(1.0)
        assert stack.connections is not None
        assert len(stack.connections) == 0

    world.run(main())
    assert not stack.layer.counts()["server_transactions"] or world.run(asyncio.sleep(64)) is None


@pytest.mark.rfc("5626 4.4.1")
def test_we_send_keep_alives_on_our_connections_and_give_up_on_who_stops_answering(world: World) -> None:
    from ringback.testing.stream_peer import StreamPort

    stack, _ = make_stack(world, limits=StreamLimits(ping=100.0))

    async def main() -> None:
        port = await StreamPort().open(world.host(PHONE))
        send(stack)
        peer = await port.accepted()
        peer.reply(await peer.expect_request("OPTIONS"), 200)
        await peer.until_data(PING, timeout=101.0)
        await asyncio.sleep(600.0)
        assert peer.is_open  # it never answered, so it may not know how
        before = len(peer.data)
        peer.send(PONG)
        await asyncio.sleep(150.0)
        assert len(peer.data) > before
        assert not peer.is_open  # it knows how, and has not

    world.run(main())
