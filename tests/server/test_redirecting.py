"""The redirect server: by setting for everyone, for a domain, for a user (RFC 3261 §8.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ringback.errors import SettingsError
from ringback.server.settings import build
from tests.server.conftest import DOMAIN, SDP, SERVER, ServerBench

Bench = Callable[[Callable[[ServerBench], Any]], None]
BOB = f"sip:bob@{DOMAIN}"
EVERYONE = {"everyone": True}


def requests_sent(bench: ServerBench) -> list[str]:
    """Start lines of the requests that the server sent."""
    sent = [packet.first_line for packet in bench.world.trace if packet.source[0] == SERVER[0]]
    return [line for line in sent if not line.startswith("SIP/2.0")]


@pytest.mark.row("RD-1")
@pytest.mark.row("CAN-7", part="RD")
@pytest.mark.rfc("3261 8.3")
def test_an_invite_gets_the_contact_and_a_cancel_after_it_a_200_and_no_effect(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start(redirect=EVERYONE)
        bob, caller = bench.peer(2), bench.peer(3)
        await bench.register(bob, "bob")
        bench.send(caller, "INVITE", BOB, "Require: 100rel", call_id="c", branch="x", body=SDP)
        answer = await caller.expect_response(302)
        assert [contact.uri_text for contact in answer.contacts] == ["sip:bob@10.0.0.2:5060"]
        assert 0 < (answer.contacts[0].expires or 0) <= 3600
        bench.send(caller, "CANCEL", BOB, call_id="c", branch="x")
        cancelled = await caller.expect_response(200, skip=(302,))
        assert cancelled.to_tag == answer.to_tag
        again = await caller.expect_response(302)  # repeated until it is acknowledged
        assert again.to_tag == answer.to_tag
        bench.acknowledge(caller, answer, BOB)
        await caller.silence(40)
        await bob.silence(0)
        assert requests_sent(bench) == []

    bench(scenario)


@pytest.mark.row("RD-1")
def test_several_contacts_are_a_300_in_the_order_of_their_q(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start(redirect={"users": [f"bob@{DOMAIN.upper()}"]})
        contacts = "Contact: <sip:bob@10.0.0.2>;q=0.3, <sip:bob@10.0.0.4>;q=0.7"
        peer = bench.peer(2)
        await bench.ask(peer, 200, "REGISTER", f"sip:{DOMAIN}", contacts, to=BOB)
        answer = await bench.ask(peer, 300, "MESSAGE", BOB)
        assert [(contact.uri_text, contact.q) for contact in answer.contacts] == [
            ("sip:bob@10.0.0.4", 0.7),
            ("sip:bob@10.0.0.2", 0.3),
        ]

    bench(scenario)


@pytest.mark.row("RD-1")
def test_unknown_users_get_404_and_those_who_are_away_480(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("bob", redirect={"domains": [DOMAIN]})
        stranger = bench.peer(3)
        for name, status in (("bob", 480), ("nobody", 404)):
            await bench.ask(
                stranger, status, "MESSAGE", f"sip:{name}@{DOMAIN}", from_="sip:stranger@other.test", call_id=name
            )

    bench(scenario)


@pytest.mark.row("CAN-8", part="RD")
@pytest.mark.row("RD-1")
def test_a_cancel_and_an_ack_that_match_nothing_go_nowhere(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start(redirect=EVERYONE)
        bob, caller = bench.peer(2), bench.peer(3)
        await bench.register(bob, "bob")
        await bench.ask(caller, 481, "CANCEL", BOB)
        bench.send(caller, "ACK", BOB)
        await caller.silence(1)
        await bob.silence(0)
        assert requests_sent(bench) == []

    bench(scenario)


@pytest.mark.row("AUT-1", part="RD")
def test_a_user_of_ours_is_challenged_with_401_where_a_proxy_would_say_407(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("alice", "bob", redirect={"users": [f"bob@{DOMAIN}"]})
        alice = bench.peer(3)
        challenge = await bench.ask(alice, 401, "MESSAGE", BOB)
        assert challenge.get("www-authenticate") is not None
        await bench.ask(alice, 407, "MESSAGE", f"sip:carol@{DOMAIN}")

    bench(scenario)


def test_users_that_are_not_named_are_put_through(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start(redirect={"users": [f"bob@{DOMAIN}"], "domains": ["another.test"]})
        carol, caller = bench.peer(2), bench.peer(3)
        await bench.register(carol, "carol")
        bench.send(caller, "MESSAGE", f"sip:carol@{DOMAIN}")
        carol.reply(await carol.expect_request("MESSAGE"), 200)
        await caller.expect_response(200)
        await asyncio.sleep(0)

    bench(scenario)


@pytest.mark.parametrize(
    ("key", "value"),
    [("users", ["bob"]), ("users", [f"sip:bob@{DOMAIN}"]), ("users", ["bob@-"]), ("domains", ["a b"])],
)
def test_a_wrong_name_is_refused_with_its_key(key: str, value: list[str]) -> None:
    with pytest.raises(SettingsError, match=rf"redirect\.{key}"):
        build({"redirect": {key: value}})
