"""A server that is down is found out once, and then left alone (RFC 3263 §4.3), in the simulated world."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ringback.protocol.routing.records import Naptr, Srv
from ringback.testing.world import World
from tests.server.conftest import ServerBench

Bench = Callable[[Callable[[ServerBench], Any]], None]
FAR = "sip:carol@far.test"
TIMER_B = 32.0


def publish(bench: ServerBench) -> None:
    """far.test has two servers, the second at a higher priority number."""
    bench.world.zone.update(
        {
            "far.test": [Naptr(10, 10, "s", "SIP+D2U", "_sip._udp.far.test")],
            "_sip._udp.far.test": [Srv(20, 0, 5060, "b.far.test"), Srv(10, 0, 5060, "a.far.test")],
            "a.far.test": ["10.0.0.8"],
            "b.far.test": ["10.0.0.9"],
        }
    )


@pytest.mark.row("TRN-3", part="failover")
@pytest.mark.rfc("3263 4.3")
def test_a_silent_server_costs_timer_b_once_and_then_the_second_is_asked_first(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start(relay="anyone")
        publish(bench)
        world = bench.world
        caller, second = bench.peer(2), bench.peer(9)
        bench.send(caller, "INVITE", FAR)
        began = world.now
        invite = await second.expect_request("INVITE")
        assert TIMER_B <= world.now - began < TIMER_B + 0.5
        tried = [packet for packet in world.trace if packet.destination[0] == "10.0.0.8"]
        assert len(tried) == 7  # by Timer A, until B
        second.reply(invite, 486, to_tag="b")
        await caller.expect_response(100)
        bench.acknowledge(caller, await caller.expect_response(486), FAR)
        await second.expect_request("ACK")
        branches = {packet.data.split(b"branch=")[1][:20] for packet in tried}
        assert len(branches) == 1
        assert invite.top_via.branch is not None
        assert invite.top_via.branch.encode()[:20] not in branches

        began = world.now
        bench.send(caller, "MESSAGE", FAR)
        second.reply(await second.expect_request("MESSAGE"), 200)
        assert world.now - began < 0.5
        await caller.expect_response(200)
        assert len([packet for packet in world.trace if packet.destination[0] == "10.0.0.8"]) == 7

    bench(scenario)


@pytest.mark.row("TRN-3", part="failover")
def test_a_503_sends_the_request_to_the_next_and_the_second_call_straight_there(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start(relay="anyone")
        publish(bench)
        caller, first, second = bench.peer(2), bench.peer(8), bench.peer(9)
        bench.send(caller, "INVITE", FAR)
        first.reply(await first.expect_request("INVITE"), 503, to_tag="a", headers=[("Retry-After", "30")])
        second.reply(await second.expect_request("INVITE"), 486, to_tag="b")
        bench.acknowledge(caller, await caller.expect_response(486), FAR)
        await first.expect_request("ACK")
        await second.expect_request("ACK")
        bench.send(caller, "MESSAGE", FAR)
        second.reply(await second.expect_request("MESSAGE"), 200)
        await caller.expect_response(200)
        await first.silence(30)
        bench.send(caller, "MESSAGE", FAR)
        first.reply(await first.expect_request("MESSAGE"), 200)
        await caller.expect_response(200)

    bench(scenario)


@pytest.mark.row("TRN-3", part="failover")
def test_an_unreachable_server_is_passed_over_at_once() -> None:
    with World("unreachable", icmp=True) as world:
        bench = ServerBench(world)
        world.host("10.0.0.8")

        async def scenario() -> None:
            await bench.start(relay="anyone")
            publish(bench)
            caller, second = bench.peer(2), bench.peer(9)
            bench.send(caller, "INVITE", FAR)
            second.reply(await second.expect_request("INVITE"), 486, to_tag="b")
            assert world.now < 0.2
            bench.acknowledge(caller, await caller.expect_response(486), FAR)
            await second.expect_request("ACK")

        world.run(scenario())
        world.check_quiet()
        world.run(bench.server.close())


@pytest.mark.threat("T10")
@pytest.mark.row("TRN-3", part="slow DNS")
def test_slow_and_broken_names_harm_only_their_own_calls(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start(relay="anyone")
        publish(bench)
        world = bench.world
        world.names.behave("slow.test", delay=3600)
        world.names.behave("broken.test", fails=True)
        caller, first = bench.peer(2), bench.peer(8)
        for number in range(50):
            bench.send(caller, "INVITE", f"sip:{number}@slow.test", call_id=f"slow{number}")
        bench.send(caller, "MESSAGE", "sip:x@broken.test", call_id="broken")
        began = world.now
        bench.send(caller, "MESSAGE", FAR, call_id="quick")
        first.reply(await first.expect_request("MESSAGE"), 200)
        assert world.now - began < 0.5
        got = [(await caller.expect_response(500, skip=(100, 200))).call_id]
        assert got == ["broken"]
        first_refused = await caller.expect_response(500, skip=(100, 200))
        assert first_refused.call_id.startswith("slow")
        assert world.now - began < 16
        assert len([item for item in world.names.asked if item[1] == "slow.test"]) <= 4  # one look-up for all

    bench(scenario)


@pytest.mark.row("TRN-3", part="TTL")
def test_an_answer_is_good_for_its_time_to_live(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start(relay="anyone")
        publish(bench)
        world = bench.world
        world.names.behave(ttl=60)
        caller, first = bench.peer(2), bench.peer(8)
        for wait, questions in ((0, 4), (30, 4), (31, 8)):
            await first.silence(wait)
            bench.send(caller, "MESSAGE", FAR)
            first.reply(await first.expect_request("MESSAGE"), 200)
            await caller.expect_response(200)
            assert len(world.names.asked) == questions

    bench(scenario)
