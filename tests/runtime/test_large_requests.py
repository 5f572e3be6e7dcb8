"""Requests that are too large for a datagram (RFC 3261 §18.1.1)."""

from __future__ import annotations

import asyncio

import pytest

from ringback.protocol.message.build import build_request
from ringback.protocol.message.model import Request
from ringback.protocol.routing.flow import Hop
from ringback.protocol.transaction.events import ResponseReceived
from ringback.protocol.transaction.key import ClientKey
from ringback.runtime.stack import Stack
from ringback.testing.peer import ScriptedPeer
from ringback.testing.stream_peer import StreamPort
from ringback.testing.world import World
from tests.runtime.test_stack import RecordingCore

SERVER = "10.0.0.1"
PHONE = "10.0.0.2"

pytestmark = [pytest.mark.rfc("3261 18.1.1"), pytest.mark.row("TRN-2", part="1300 bytes")]


def make_stack(world: World, *transports: str) -> tuple[Stack, RecordingCore]:
    stack = world.stack(world.host(SERVER))
    core = RecordingCore()
    stack.add("core", core)
    for transport in transports:
        world.run(stack.listen(transport, SERVER, 5060))
    return stack, core


def send(stack: Stack, size: int, method: str = "MESSAGE") -> ClientKey:
    """A request of so many bytes to the phone by UDP."""
    flow = stack.flow_to(Hop("UDP", PHONE, 5060))

    def build(padding: int) -> Request:
        return build_request(
            method,
            f"sip:{PHONE}",
            via=f"SIP/2.0/UDP {stack.sent_by(flow)};branch={branch};rport",
            from_="<sip:server@example.test>;tag=1",
            to="<sip:alice@example.test>",
            call_id=branch,
            cseq=1,
            headers=[("X-Pad", "a" * padding)],
        )

    branch = stack.ids.branch()
    request = build(size - len(build(0).to_bytes()))
    key = stack.layer.send_request(request, flow, stack.clock.now(), "core")
    stack.wake()
    return key


def statuses(core: RecordingCore) -> list[int]:
    return [event.response.status for event in core.events if isinstance(event, ResponseReceived)]


@pytest.mark.parametrize(("size", "transport"), [(1300, "UDP"), (1301, "TCP"), (8000, "TCP")])
def test_a_request_of_more_than_1300_bytes_goes_by_tcp_with_its_via_changed(
    world: World, size: int, transport: str
) -> None:
    stack, core = make_stack(world, "UDP", "TCP")

    async def main() -> None:
        by_udp = ScriptedPeer(world.host(PHONE))
        port = await StreamPort().open(world.host(PHONE))
        send(stack, size)
        peer = by_udp if transport == "UDP" else await port.accepted()
        request = await peer.expect_request("MESSAGE")
        assert len(request.to_bytes()) == size
        assert request.top_via.transport == transport
        assert request.top_via.sent_by == f"{SERVER}:5060"
        await asyncio.sleep(3.0)
        peer.reply(request, 200)
        await asyncio.sleep(0.1)
        by_udp.forget()
        await by_udp.silence(10.0)
        assert len(port.peers) == (transport == "TCP")

    world.run(main())
    assert statuses(core) == [200]
    # what the transaction repeats is not repeated on the connection
    assert sum(packet.transport == "TCP" for packet in world.trace) == (2 if transport == "TCP" else 0)


def test_where_tcp_is_refused_it_goes_by_udp_after_all_and_so_does_the_next_at_once(world: World) -> None:
    stack, core = make_stack(world, "UDP", "TCP")

    async def main() -> None:
        peer = ScriptedPeer(world.host(PHONE))
        for _ in range(2):
            begun = world.now
            send(stack, 2000)
            request = await peer.expect_request("MESSAGE")
            assert request.top_via.transport == "UDP"
            peer.reply(request, 200)
            await asyncio.sleep(0.1)
        assert world.now - begun < 0.12

    world.run(main())
    assert statuses(core) == [200, 200]


def test_where_nobody_answers_by_tcp_it_goes_by_udp_in_the_end(world: World) -> None:
    stack, core = make_stack(world, "UDP", "TCP")

    async def main() -> None:
        send(stack, 2000, "INVITE")
        await asyncio.sleep(5.0)
        peer = ScriptedPeer(world.host(PHONE))  # the machine was being started
        request = await peer.expect_request("INVITE", timeout=12.0)
        peer.reply(request, 486, to_tag="b")
        ack = await peer.expect_request("ACK", skip=("INVITE",))
        assert ack.top_via.transport == "UDP"

    world.run(main())
    assert statuses(core) == [486]


@pytest.mark.rfc("3261 9.1", "3261 17.1.1.3")
def test_cancel_and_ack_go_the_way_of_their_invite(world: World) -> None:
    stack, core = make_stack(world, "UDP", "TCP")

    async def main() -> None:
        by_udp = ScriptedPeer(world.host(PHONE))
        port = await StreamPort().open(world.host(PHONE))
        key = send(stack, 2000, "INVITE")
        peer = await port.accepted()
        invite = await peer.expect_request("INVITE")
        peer.reply(invite, 180, to_tag="b")
        await asyncio.sleep(0.1)
        stack.layer.cancel(key, stack.clock.now())
        stack.wake()
        cancel = await peer.expect_request("CANCEL")
        assert cancel.get("via") == invite.get("via")
        peer.reply(cancel, 200)
        peer.reply(invite, 487, to_tag="b")
        assert (await peer.expect_request("ACK")).top_via.transport == "TCP"
        await by_udp.silence(40.0)

    world.run(main())
    assert statuses(core) == [180, 487]


def test_without_a_tcp_port_of_the_same_number_it_goes_by_udp(world: World) -> None:
    stack, _ = make_stack(world, "UDP")
    world.run(stack.listen("TCP", SERVER, 5080))

    async def main() -> None:
        peer = ScriptedPeer(world.host(PHONE))
        send(stack, 2000)
        peer.reply(await peer.expect_request("MESSAGE"), 200)
        await asyncio.sleep(0.1)

    world.run(main())


def test_a_large_response_stays_on_its_way(world: World) -> None:
    make_stack(world, "UDP", "TCP")

    async def main() -> None:
        peer = ScriptedPeer(world.host(PHONE))
        peer.send(
            f"""
            OPTIONS sip:{SERVER} SIP/2.0
            Via: SIP/2.0/UDP {PHONE}:5060;branch=z9hG4bK1;x={"y" * 2000}
            From: <sip:a@example.test>;tag=1
            To: <sip:b@example.test>
            Call-ID: 1
            CSeq: x
            Content-Length: 0
            """,
            (SERVER, 5060),
        )
        assert len((await peer.expect(400)).to_bytes()) > 2000

    world.run(main())
