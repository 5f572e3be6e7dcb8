"""What is addressed to the server itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ringback.protocol.message.registry import METHODS
from tests.server.conftest import DOMAIN, SERVER, ServerBench

Bench = Callable[[Callable[[ServerBench], Any]], None]


@pytest.mark.row("OPT-4", "OPT-1")
@pytest.mark.rfc("3261 11.2")
@pytest.mark.parametrize("target", [f"sip:{DOMAIN}", f"sip:{SERVER[0]}:{SERVER[1]}", f"sip:{SERVER[0]};transport=udp"])
def test_answers_options_to_itself_without_a_body(bench: Bench, target: str) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("alice")
        response = await bench.ask(bench.peer(2), 200, "OPTIONS", target)
        assert response.body == b""
        assert response.allow == ["OPTIONS", "REGISTER"]
        assert response.get("accept")
        assert response.get("supported")
        assert bench.server.counts() == dict.fromkeys(bench.server.counts(), 0)

    bench(scenario)


@pytest.mark.row("OPT-4")
def test_forwards_options_for_a_user_and_does_not_answer_for_it(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        bob, caller = bench.peer(2), bench.peer(3)
        await bench.register(bob, "bob")
        bench.send(caller, "OPTIONS", f"sip:bob@{DOMAIN}")
        bob.reply(await bob.expect_request("OPTIONS"), 486)
        await caller.expect_response(486)

    bench(scenario)


@pytest.mark.row("OPT-4", "TRN-5")
@pytest.mark.rfc("3261 16.3")
@pytest.mark.parametrize("target", [f"sip:bob@{DOMAIN}", "sip:bob@other.test"])
def test_answers_options_that_has_no_hops_left(bench: Bench, target: str) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        bob = bench.peer(2)
        await bench.register(bob, "bob")
        assert (await bench.ask(bench.peer(3), 200, "OPTIONS", target, max_forwards=0)).body == b""
        await bob.silence(1.0)

    bench(scenario)


@pytest.mark.row("OPT-4", "PX-2")
def test_options_that_comes_by_a_route_through_us_is_still_for_us(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("alice")
        await bench.ask(bench.peer(2), 200, "OPTIONS", f"sip:{DOMAIN}", f"Route: <sip:{SERVER[0]};lr>")

    bench(scenario)


@pytest.mark.rfc("3261 8.2.2.3")
def test_options_that_requires_an_extension_gets_420(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        response = await bench.ask(bench.peer(2), 420, "OPTIONS", f"sip:{DOMAIN}", "Require: nothing, more")
        assert response.unsupported == ["nothing", "more"]

    bench(scenario)


@pytest.mark.rfc("3261 8.2.1")
@pytest.mark.parametrize("method", sorted({*METHODS, "DANCE"} - {"OPTIONS", "REGISTER", "ACK", "CANCEL"}))
def test_refuses_other_methods_to_itself(bench: Bench, method: str) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        peer = bench.peer(2)
        status = 405 if method in METHODS else 501
        response = await bench.ask(peer, status, method, f"sip:{DOMAIN}")
        assert response.allow == ["OPTIONS", "REGISTER"]
        bench.acknowledge(peer, response, f"sip:{DOMAIN}")
        await peer.silence(1.0)

    bench(scenario)


@pytest.mark.row("ACK-1", "CAN-8", part="addressed to the server")
def test_an_ack_to_itself_is_never_answered_and_a_cancel_gets_481(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        peer = bench.peer(2)
        bench.send(peer, "ACK", f"sip:{DOMAIN}", to_tag="x")
        await peer.silence(1.0)
        await bench.ask(peer, 481, "CANCEL", f"sip:{DOMAIN}")

    bench(scenario)
