"""A response whose connection is gone goes where sent-by leads (RFC 3263 §5), in the simulated world."""

from __future__ import annotations

import asyncio

import pytest

from ringback.protocol.message.build import build_response
from ringback.protocol.message.model import Response
from ringback.protocol.routing.locate import Reach
from ringback.protocol.routing.records import Srv
from ringback.protocol.transaction.events import RequestReceived
from ringback.runtime.way_back import way_back
from ringback.testing.stream_peer import StreamPeer, StreamPort
from ringback.testing.world import World
from tests.runtime.test_streams import ADDRESS, PHONE, make_stack, request_text

SPARE = "10.0.0.7"
REQUEST = request_text().replace(f"{PHONE}:5060", "client.test")


def answers_in_a_second(world: World) -> list[RequestReceived]:
    """A stack that answers each request after a second; gives the requests."""
    stack, _ = make_stack(world)
    seen: list[RequestReceived] = []

    def on_request(event: RequestReceived, now: float) -> None:
        seen.append(event)
        key = stack.layer.accept(event.request, event.flow, now, "core")

        def answer() -> None:
            response = build_response(event.request, 200, to_tag="t")
            stack.layer.respond(key, response, stack.clock.now())
            stack.wake()

        world.loop.call_later(1.0, answer)

    stack.on_request = on_request
    return seen


@pytest.mark.rfc("3263 5")
@pytest.mark.row("TRN-3", part="responses")
@pytest.mark.parametrize("delay", [0.0, 0.5], ids=["known", "slow DNS"])
def test_a_response_finds_the_spare_of_a_client_that_failed(world: World, delay: float) -> None:
    seen = answers_in_a_second(world)
    world.zone["_sip._tcp.client.test"] = [Srv(10, 0, 5070, "spare.client.test")]
    world.zone["spare.client.test"] = [SPARE]
    world.names.behave(delay=delay)

    async def scenario() -> None:
        spare = await StreamPort().open(world.host(SPARE), 5070)
        peer = await StreamPeer.connect(world.host(PHONE), ADDRESS)
        peer.send(REQUEST)
        await asyncio.sleep(0.5)
        peer.reset()
        taker = await spare.accepted()
        response = await taker.expect(200)
        assert isinstance(response, Response)
        assert response.top_via.sent_by == "client.test"
        taker.close()
        spare.close()

    world.run(scenario())
    assert len(seen) == 1
    world.check_quiet()


@pytest.mark.rfc("3263 5")
@pytest.mark.parametrize("records", [[], [Srv(10, 0, 5070, "spare.client.test")]], ids=["no name", "no server"])
def test_where_sent_by_leads_nowhere_the_response_is_lost_and_nothing_else(world: World, records: list[Srv]) -> None:
    seen = answers_in_a_second(world)
    world.zone["_sip._tcp.client.test"] = list(records)
    world.zone["spare.client.test"] = [SPARE]

    async def scenario() -> None:
        peer = await StreamPeer.connect(world.host(PHONE), ADDRESS)
        peer.send(REQUEST)
        await asyncio.sleep(0.5)
        peer.reset()
        await asyncio.sleep(2)
        again = await StreamPeer.connect(world.host(PHONE), ADDRESS)
        again.send(request_text(branch="z9hG4bKb"))
        await again.expect(200)
        again.close()

    world.run(scenario())
    assert len(seen) == 2
    world.check_quiet()


@pytest.mark.threat("T11")
@pytest.mark.parametrize(
    ("via", "sought"),
    [
        ("SIP/2.0/TCP client.test", True),
        ("SIP/2.0/UDP client.test", False),
        (f"SIP/2.0/TCP {PHONE}", False),
        ("SIP/2.0/TLS [2001:db8::1]:5061", False),
        ("SIP/2.0/TCP", False),
    ],
)
def test_only_the_name_of_a_client_that_was_connected_is_sought(via: str, sought: bool) -> None:
    response = f"SIP/2.0 200 OK\r\nVia: {via};branch=z9hG4bK1\r\nContent-Length: 0\r\n\r\n".encode()
    assert (way_back(response, Reach(["TCP"]), min) is not None) is sought
