"""A stack over TCP: which connection carries what, and what happens when one ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ringback.protocol.message.build import build_request, build_response
from ringback.protocol.message.model import Request
from ringback.protocol.routing.flow import Flow, Hop
from ringback.protocol.transaction.events import RequestReceived, ResponseReceived, TransportFailed
from ringback.runtime.stack import Stack
from ringback.testing.peer import as_datagram
from ringback.testing.stream_peer import StreamPeer, StreamPort
from ringback.testing.world import World
from tests.runtime.test_stack import RecordingCore

SERVER = "10.0.0.1"
PHONE = "10.0.0.2"
ADDRESS = (SERVER, 5060)


def make_stack(world: World, **more: Any) -> tuple[Stack, RecordingCore]:
    stack = world.stack(world.host(SERVER), **more)
    core = RecordingCore()
    stack.add("core", core)
    world.run(stack.listen("TCP", SERVER, 5060))
    return stack, core


def answer_all(stack: Stack, status: int = 200) -> list[tuple[Request, Flow]]:
    """Have the stack accept and answer every request but ACK; gives the list of requests and their flows."""
    seen: list[tuple[Request, Flow]] = []

    def on_request(event: RequestReceived, now: float) -> None:
        seen.append((event.request, event.flow))
        if event.request.method != "ACK":
            key = stack.layer.accept(event.request, event.flow, now, "core")
            stack.layer.respond(key, build_response(event.request, status, to_tag=stack.ids.tag()), now)

    stack.on_request = on_request
    return seen


def request_text(method: str = "OPTIONS", branch: str = "z9hG4bKa", via: str = "", length: int = 0) -> str:
    return f"""
        {method} sip:{SERVER} SIP/2.0
        Via: SIP/2.0/TCP {PHONE}:5060;branch={branch}{via}
        Max-Forwards: 70
        From: <sip:alice@example.test>;tag=a1
        To: <sip:bob@example.test>
        Call-ID: c1
        CSeq: 1 {method}
        Content-Length: {length}
        """


def outgoing(stack: Stack, method: str = "OPTIONS", hop: Hop | None = None) -> tuple[Request, Flow]:
    flow = stack.flow_to(hop or Hop("TCP", PHONE, 5060))
    request = build_request(
        method,
        f"sip:{PHONE};transport=tcp",
        via=f"SIP/2.0/TCP {stack.sent_by(flow)};branch={stack.ids.branch()}",
        from_=f"<sip:server@example.test>;tag={stack.ids.tag()}",
        to="<sip:alice@example.test>",
        call_id=stack.ids.call_id(),
        cseq=1,
    )
    return request, flow


def send(stack: Stack, method: str = "OPTIONS", hop: Hop | None = None) -> tuple[Any, Flow]:
    request, flow = outgoing(stack, method, hop)
    key = stack.layer.send_request(request, flow, stack.clock.now(), "core")
    stack.wake()
    return key, flow


@pytest.mark.rfc("3261 18.2.2")
@pytest.mark.row("TRN-2", part="TCP")
def test_a_request_is_answered_on_its_connection(world: World) -> None:
    stack, _ = make_stack(world)
    seen = answer_all(stack)

    async def main() -> None:
        peer = await StreamPeer.connect(world.host(PHONE), ADDRESS)
        peer.send(request_text())
        response = await peer.expect_response(200)
        assert "received" not in response.top_via.params
        assert len(world.trace) == 2
        peer.close()

    world.run(main())
    [(_, flow)] = seen
    assert (flow.transport, flow.local, flow.remote[0], flow.reliable) == ("TCP", ADDRESS, PHONE, True)


def test_messages_of_one_segment_are_answered_in_one_turn_and_in_order(world: World) -> None:
    stack, _ = make_stack(world)
    seen = answer_all(stack)

    async def main() -> None:
        peer = await StreamPeer.connect(world.host(PHONE), ADDRESS)
        peer.send(b"".join(as_datagram(request_text(branch=f"z9hG4bK{number}")) for number in range(150)))
        for number in range(150):
            assert (await peer.expect(200)).top_via.branch == f"z9hG4bK{number}"
        peer.close()

    world.run(main())
    assert len({flow for _, flow in seen}) == 1


@pytest.mark.rfc("3261 18.1.1")
@pytest.mark.row("TRN-2", part="TCP")
def test_requests_to_one_hop_share_a_connection(world: World) -> None:
    stack, core = make_stack(world)

    async def main() -> None:
        port = await StreamPort().open(world.host(PHONE))
        _, first = send(stack)
        _, second = send(stack)
        assert first == second
        peer = await port.accepted()
        for _ in range(2):
            peer.reply(await peer.expect_request("OPTIONS"), 200)
        await asyncio.sleep(1)
        _, third = send(stack)
        peer.reply(await peer.expect_request("OPTIONS"), 200)
        assert third == first
        assert len(port.peers) == 1
        await asyncio.sleep(1)

    world.run(main())
    assert [event.response.status for event in core.events if isinstance(event, ResponseReceived)] == [200] * 3


@pytest.mark.rfc("3261 18.4")
def test_a_refused_connection_is_told_to_the_transactions_that_wait_for_it(world: World) -> None:
    stack, core = make_stack(world)
    world.host(PHONE)

    async def main() -> None:
        send(stack)
        send(stack, "INVITE")
        await asyncio.sleep(1)

    world.run(main())
    failures = [event for event in core.events if isinstance(event, TransportFailed)]
    assert len(failures) == 2
    assert "connection refused" in failures[0].text


@pytest.mark.threat("T8")
def test_a_host_that_does_not_answer_costs_ten_seconds_and_nobody_else_waits(world: World) -> None:
    stack, core = make_stack(world)
    answer_all(stack)

    async def main() -> None:
        send(stack, hop=Hop("TCP", "10.9.9.9", 5060))
        peer = await StreamPeer.connect(world.host(PHONE), ADDRESS)
        peer.send(request_text())
        await peer.expect_response(200, timeout=0.1)
        assert not any(isinstance(event, TransportFailed) for event in core.events)
        await asyncio.sleep(10)
        peer.close()

    world.run(main())
    assert [event.text for event in core.events if isinstance(event, TransportFailed)] == [
        "10.9.9.9:5060: no connection in time"
    ]


@pytest.mark.rfc("3261 18.4", "5923 8.1")
def test_a_lost_connection_is_told_to_who_waits_and_the_next_request_opens_another(world: World) -> None:
    stack, core = make_stack(world)

    async def main() -> None:
        port = await StreamPort().open(world.host(PHONE))
        key, flow = send(stack)
        peer = await port.accepted()
        peer.reply(await peer.expect_request("OPTIONS"), 100)
        await asyncio.sleep(0.1)
        peer.reset()
        await asyncio.sleep(0.1)
        [failure] = [event for event in core.events if isinstance(event, TransportFailed)]
        assert (failure.key, failure.text) == (key, "connection reset by peer")
        _, other = send(stack)
        assert other != flow
        peer = await port.accepted()
        peer.reply(await peer.expect_request("OPTIONS"), 200)
        await asyncio.sleep(0.1)

    world.run(main())
    assert isinstance(core.events[-2], ResponseReceived)


@pytest.mark.rfc("3261 17.2.3", "3261 18.4")
def test_a_request_that_may_not_have_arrived_is_sent_again_on_a_new_connection_three_times_at_most(
    world: World,
) -> None:
    stack, core = make_stack(world)

    async def main() -> None:
        port = await StreamPort().open(world.host(PHONE))
        key, _ = send(stack)
        branches = []
        for _ in range(3):
            assert not any(isinstance(event, TransportFailed) for event in core.events)
            peer = await port.accepted()
            branches.append((await peer.expect_request("OPTIONS")).top_via.branch)
            peer.reset()
        await asyncio.sleep(0.1)
        assert branches == [key[0]] * 3
        assert [event.key for event in core.events if isinstance(event, TransportFailed)] == [key]
        assert len(port.peers) == 3

    world.run(main())


@pytest.mark.rfc("5923 8.1")
def test_what_belongs_to_an_ended_connection_of_ours_goes_on_a_new_one(world: World) -> None:
    stack, _ = make_stack(world)

    async def main() -> None:
        port = await StreamPort().open(world.host(PHONE))
        key, _ = send(stack, "INVITE")
        peer = await port.accepted()
        peer.reply(await peer.expect_request("INVITE"), 180)
        await asyncio.sleep(0.1)
        peer.reset()
        await asyncio.sleep(0.1)
        stack.layer.cancel(key, stack.clock.now())
        stack.wake()
        peer = await port.accepted()
        peer.reply(await peer.expect_request("CANCEL"), 200)
        await asyncio.sleep(0.1)
        stack.layer.abandon(key, stack.clock.now())
        stack.wake()

    world.run(main())


@pytest.mark.rfc("3261 18.2.2")
def test_a_response_whose_connection_has_ended_goes_to_the_place_in_via(world: World) -> None:
    stack, _ = make_stack(world)
    keys: list[Any] = []
    stack.on_request = lambda event, now: keys.append(stack.layer.accept(event.request, event.flow, now, "core"))

    async def main() -> None:
        port = await StreamPort().open(world.host(PHONE))
        peer = await StreamPeer.connect(world.host(PHONE), ADDRESS)
        peer.send(request_text())
        await asyncio.sleep(0.1)
        peer.reset()
        await asyncio.sleep(0.1)
        [key] = keys
        request = stack.layer.server_request(key)
        assert request is not None
        stack.layer.respond(key, build_response(request, 200, to_tag="b"), stack.clock.now())
        stack.wake()
        peer = await port.accepted()
        await peer.expect_response(200)

    world.run(main())


def test_a_connection_that_another_opened_is_used_for_its_very_address_only(world: World) -> None:
    stack, _ = make_stack(world)
    answer_all(stack)

    async def main() -> None:
        peer = await StreamPeer.connect(world.host(PHONE), ADDRESS)
        peer.send(request_text(via=";alias"))
        await peer.expect(200)
        send(stack, hop=Hop("TCP", *peer.local))
        peer.reply(await peer.expect_request("OPTIONS"), 200)
        send(stack)  # to the sent-by of a Via that proves nothing
        await peer.silence(1)
        peer.close()

    world.run(main())
