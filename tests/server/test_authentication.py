"""Who must say who they are, how they are asked, and what does not pass for an answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from tests.server.conftest import DOMAIN, SERVER, ServerBench

Bench = Callable[[Callable[[ServerBench], Any]], None]
BOB = f"sip:bob@{DOMAIN}"
STRANGER = "sip:stranger@other.test"
METHODS = (
    "INVITE",
    "MESSAGE",
    "SUBSCRIBE",
    "PUBLISH",
    "OPTIONS",
    "REFER",
    "BYE",
    "INFO",
    "UPDATE",
    "PRACK",
    "NOTIFY",
    "DANCE",
)


@pytest.mark.row("AUT-1", "REG-10")
@pytest.mark.rfc("8760 2.3")
def test_a_register_is_challenged_401_once_for_each_algorithm_preferred_first(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("bob")
        response = await bench.ask(bench.peer(2), 401, "REGISTER", f"sip:{DOMAIN}", to=BOB)
        challenges = response.get_all("www-authenticate")
        assert [("SHA-256" in value, "MD5" in value) for value in challenges] == [(True, False), (False, True)]
        assert all(f'realm="{DOMAIN}"' in value and 'qop="auth"' in value for value in challenges)

    bench(scenario)


@pytest.mark.row("AUT-1")
@pytest.mark.threat("T5")
@pytest.mark.parametrize("method", METHODS)
def test_who_claims_to_be_a_user_is_challenged_407_whatever_the_method(bench: Bench, method: str) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("alice", "bob")
        peer = bench.peer(2)
        for uri in (BOB, "sip:carol@10.0.0.3"):
            response = await bench.ask(peer, 407, method, uri)
            assert response.get("proxy-authenticate")
            bench.acknowledge(peer, response, uri)

    bench(scenario)


@pytest.mark.row("AUT-1")
@pytest.mark.parametrize("method", METHODS)
def test_a_user_who_proves_it_gets_through_whatever_the_method(bench: Bench, method: str) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("alice", "bob")
        peer = bench.peer(2)
        answer = await bench.authenticated(peer, 480, "alice", method, BOB)
        bench.acknowledge(peer, answer, BOB)

    bench(scenario)


@pytest.mark.row("AUT-1")
def test_a_stranger_may_call_a_user_without_being_challenged(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("bob")
        bob, stranger = bench.peer(2), bench.peer(3)
        await bench.authenticated(
            bob, 200, "bob", "REGISTER", f"sip:{DOMAIN}", "Contact: <sip:bob@10.0.0.2>", to=BOB, from_=BOB
        )
        bench.send(stranger, "MESSAGE", BOB, from_=STRANGER)
        bob.reply(await bob.expect_request("MESSAGE"), 200)
        await stranger.expect_response(200)

    bench(scenario)


@pytest.mark.row("AUT-1")
@pytest.mark.rfc("3261 22.1")
def test_ack_and_cancel_are_never_challenged(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("alice", "bob")
        peer = bench.peer(2)
        bench.send(peer, "ACK", BOB, to_tag="x")
        bench.send(peer, "ACK", "sip:carol@10.0.0.3", to_tag="x")
        await peer.silence(1.0)
        await bench.ask(peer, 480, "CANCEL", BOB)
        await bench.ask(peer, 481, "CANCEL", "sip:carol@10.0.0.3")

    bench(scenario)


@pytest.mark.row("REG-10", "AUT-1")
@pytest.mark.threat("T5")
def test_wrong_replayed_stale_and_borrowed_credentials_are_challenged_anew(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("alice", "bob", auth={"nonce_lifetime": 60})
        peer = bench.peer(2)
        target = f"sip:{DOMAIN}"

        async def challenge() -> Any:
            return await bench.ask(peer, 401, "REGISTER", target, to=BOB)

        wrong = bench.credentials(await challenge(), "REGISTER", target, "bob", "guess")
        with caplog.at_level(logging.WARNING, "ringback.server.auth"):
            response = await bench.ask(peer, 401, "REGISTER", target, wrong, to=BOB)
        assert "stale" not in (response.get("www-authenticate") or "")
        assert caplog.messages == ["authentication failed from 10.0.0.2 for 'bob': wrong password"]
        nobody = bench.credentials(await challenge(), "REGISTER", target, "nobody")
        await bench.ask(peer, 401, "REGISTER", target, nobody, to=BOB)
        other_method = bench.credentials(await challenge(), "MESSAGE", target, "bob")
        await bench.ask(peer, 401, "REGISTER", target, other_method, to=BOB)
        other_uri = bench.credentials(await challenge(), "REGISTER", "sip:elsewhere.test", "bob")
        await bench.ask(peer, 401, "REGISTER", target, other_uri, to=BOB)
        good = bench.credentials(await challenge(), "REGISTER", target, "bob")
        await bench.ask(peer, 200, "REGISTER", target, good, to=BOB)
        replayed = await bench.ask(peer, 401, "REGISTER", target, good, to=BOB)
        assert "stale=true" in (replayed.get("www-authenticate") or "")
        old = bench.credentials(await challenge(), "REGISTER", target, "bob")
        await asyncio.sleep(61)
        stale = await bench.ask(peer, 401, "REGISTER", target, old, to=BOB)
        assert "stale=true" in (stale.get("www-authenticate") or "")

    bench(scenario)


@pytest.mark.threat("T5")
def test_an_unknown_user_is_answered_as_a_wrong_password_is(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("bob")
        peer = bench.peer(2)
        target = f"sip:{DOMAIN}"
        shapes = []
        for user in ("bob", "nobody"):
            aor = f"sip:{user}@{DOMAIN}"
            challenge = await bench.ask(peer, 401, "REGISTER", target, to=aor)
            line = bench.credentials(challenge, "REGISTER", target, user, "guess")
            again = await bench.ask(peer, 401, "REGISTER", target, line, to=aor)
            shapes.append([message.names for message in (challenge, again)])
        assert shapes[0] == shapes[1]

    bench(scenario)


@pytest.mark.row("AUT-1")
def test_an_authenticated_request_that_is_refused_gets_the_same_answer_when_repeated(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("alice", "bob")
        peer = bench.peer(2)
        challenge = await bench.ask(peer, 407, "MESSAGE", BOB)
        line = bench.credentials(challenge, "MESSAGE", BOB, "alice")
        text = bench.request(peer, "MESSAGE", BOB, line, cseq=2).encode()
        for _ in range(2):
            peer.send(text, SERVER)
            await peer.expect_response(480)

    bench(scenario)


def test_the_ack_to_a_stateless_challenge_is_dropped(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("alice", "bob")
        bob, peer = bench.peer(2), bench.peer(3)
        await bench.authenticated(
            bob, 200, "bob", "REGISTER", f"sip:{DOMAIN}", "Contact: <sip:bob@10.0.0.2>", to=BOB, from_=BOB
        )
        bench.acknowledge(peer, await bench.ask(peer, 407, "INVITE", BOB), BOB)
        await bob.silence(1.0)
        await peer.silence(40.0)
        assert bench.server.counts()["server_transactions"] == 0

    bench(scenario)


@pytest.mark.row("AUT-1", part="a realm for each domain")
def test_each_domain_has_its_own_realm(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("bob", "bob@second.test", domains=[DOMAIN, "second.test"])
        peer = bench.peer(2)
        for domain in (DOMAIN, "second.test"):
            response = await bench.authenticated(
                peer, 200, "bob", "REGISTER", f"sip:{domain}", "Contact: <sip:bob@10.0.0.2>", to=f"sip:bob@{domain}"
            )
            assert response.contacts
        assert bench.server.store.count(0.0) == (2, 2)

    bench(scenario)
