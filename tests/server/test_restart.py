"""What a server still knows after it was ended and started again on the same store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.server.conftest import DOMAIN, ServerBench

Bench = Callable[[Callable[[ServerBench], Awaitable[None]]], None]

BOB = f"sip:bob@{DOMAIN}"
CONTACT = "sip:bob@10.0.0.3"


@pytest.mark.row("PX-2", part="loose routing after a restart")
def test_a_call_that_began_before_a_restart_is_hung_up_through_the_server_after_it(
    bench: Bench, tmp_path: Path
) -> None:
    async def scenario(bench: ServerBench) -> None:
        store = f"sqlite:{tmp_path / 'ringback.db'}"
        await bench.start(store=store)
        alice, bob = bench.peer(2), bench.peer(3)
        await bench.register(bob, "bob")
        bench.send(alice, "INVITE", BOB, "Contact: <sip:alice@10.0.0.2>", call_id="c")
        invite = await bob.expect_request("INVITE")
        route = invite.get("record-route") or ""
        bob.reply(invite, 200, to_tag="b", headers=[("Contact", f"<{CONTACT}>"), ("Record-Route", route)])
        await alice.expect_response(200)
        await asyncio.sleep(60)  # the call goes on, its transactions are long gone
        await bench.server.close()
        await bench.start(store=store)
        bench.send(alice, "BYE", CONTACT, f"Route: {route}", to=BOB, to_tag="b", call_id="c", cseq=2)
        bob.reply(await bob.expect_request("BYE"), 200)
        await alice.expect_response(200)
        # Another token is no better than before: an open server still relays for nobody.
        forged = route.replace("rbk=", "rbk=f")
        await bench.ask(alice, 403, "BYE", CONTACT, f"Route: {forged}", to=BOB, to_tag="b", call_id="c", cseq=3)

    bench(scenario)
