"""Requests to telephone numbers: refused, or put through to the gateway for those who may be relayed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.server.conftest import DOMAIN, ServerBench

Bench = Callable[[Callable[[ServerBench], Any]], None]
NUMBER = "tel:+4930123"


@pytest.mark.row("PX-3", part="416")
@pytest.mark.row("TRN-3", part="tel")
def test_without_a_gateway_a_number_is_refused(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start(relay="anyone")
        await bench.ask(bench.peer(2), 416, "MESSAGE", NUMBER)

    bench(scenario)


@pytest.mark.row("TRN-3", part="tel")
def test_a_user_of_ours_reaches_the_gateway(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start(relay="anyone", proxy={"gateway": "sip:10.0.0.8"})
        caller, gateway = bench.peer(2), bench.peer(8)
        bench.send(caller, "MESSAGE", NUMBER)
        message = await gateway.expect_request("MESSAGE")
        assert message.uri_text == "sip:+4930123@10.0.0.8;user=phone"
        gateway.reply(message, 200)
        await caller.expect_response(200)

    bench(scenario)


@pytest.mark.threat("T15")
def test_a_stranger_does_not_telephone_at_our_cost(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("alice", proxy={"gateway": "sip:10.0.0.8"})
        stranger, gateway, victim = bench.peer(2), bench.peer(8), bench.peer(9)
        for sender in ("sip:stranger@other.test", f"sip:alice@{DOMAIN}"):
            await bench.ask(stranger, 407, "MESSAGE", NUMBER, from_=sender)
        await bench.authenticated(stranger, 400, "alice", "MESSAGE", "tel:+1@10.0.0.9")
        await gateway.silence(1)
        await victim.silence(0)

    bench(scenario)
