"""OPT-1 to OPT-5: asking for capabilities, of phones, of the server, and of phones through the server."""

from __future__ import annotations

import asyncio

import pytest

from ringback import Call
from tests.conformance.conftest import BOB, OFFER, House, outcome
from tests.server.conftest import DOMAIN, SERVER


@pytest.mark.row("OPT-1")
@pytest.mark.rfc("3261 11")
def test_options_asks_inside_a_dialog_and_outside_one(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        bob = await house.phone("bob", 2)
        alice = await house.agent("alice", 3)

        @bob.on_call
        async def _(call: Call) -> None:
            await call.answer()
            await call.ended

        assert (await alice.options(BOB)).allow[0] == "INVITE"
        assert (await alice.options(f"sip:{SERVER[0]}")).allow == ["OPTIONS", "REGISTER"]
        call = await alice.call(BOB)
        inside = await call.request_inside("OPTIONS")
        assert (inside.status, inside.to_tag) == (200, call.response.to_tag)
        await call.hangup()

    house.run(scenario)


@pytest.mark.row("OPT-1")
@pytest.mark.rfc("3261 11")
def test_options_serves_as_a_keep_alive_probe(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        bob = await house.phone("bob", 2)
        for _ in range(5):
            assert (await bob.options(f"sip:{DOMAIN}")).status == 200
            await asyncio.sleep(30.0)
        house.world.partition(SERVER[0], "10.0.0.2")
        assert await outcome(bob.options(f"sip:{DOMAIN}")) == "TransactionTimeout"
        house.world.heal()
        assert (await bob.options(f"sip:{DOMAIN}")).status == 200
        counts = house.server.counts()
        assert counts["proxy contexts"] == counts["client_transactions"] == 0  # a probe costs nothing

    house.run(scenario)


@pytest.mark.row("OPT-2")
@pytest.mark.rfc("3261 11.1")
def test_options_has_accept_and_no_body_and_one_that_comes_with_a_body_is_answered(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        bob = await house.phone("bob", 2)
        caller = house.peer(3)

        @bob.on_call
        async def _(call: Call) -> None:
            await call.ring()

        alice = await house.agent("alice", 4)
        assert (await alice.options(BOB)).status == 200
        for uri in (BOB, f"sip:{DOMAIN}"):
            sdp = "Content-Type: application/sdp"
            assert (await house.ask(caller, 200, "OPTIONS", uri, sdp, body=OFFER.replace("\r\n", "\n"))).status == 200
        unknown = await house.ask(caller, 415, "OPTIONS", BOB, "Content-Type: text/html", body="<p>")
        assert unknown.accept == ["application/sdp"]  # as an INVITE would have it

    house.run(scenario)
    asked = house.sent("OPTIONS", source=4)[0]
    assert (asked.get("accept"), asked.body, asked.content_length) == ("application/sdp", b"", 0)
    assert not asked.has("content-type")


@pytest.mark.row("OPT-3")
@pytest.mark.rfc("3261 11.2")
def test_the_answer_says_what_the_phone_can_do_and_nothing_else(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        bob = await house.phone("bob", 2, accept=["text/plain"])
        caller = house.peer(3)

        @bob.on_call
        async def _(call: Call) -> None:
            await call.ring()

        before = await house.ask(caller, 200, "OPTIONS", BOB)
        assert before.allow == ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"]
        await house.ask(caller, 405, "MESSAGE", BOB)

        @bob.on_request("MESSAGE")
        async def _(incoming: object) -> None: ...

        after = await house.ask(caller, 200, "OPTIONS", BOB)
        assert after.allow == [*before.allow, "MESSAGE"]
        assert (await house.ask(caller, 200, "MESSAGE", BOB, "Content-Type: text/plain", body="hi")).status == 200
        assert after.accept == ["application/sdp", "text/plain"]
        assert (after.get("accept-encoding"), after.get("accept-language")) == ("identity", "en")
        assert after.supported == []  # it has no extension, and a Require gets what that means
        assert after.has("supported")
        await house.ask(caller, 420, "OPTIONS", BOB, "Require: 100rel")

        assert after.body == OFFER.encode()
        for accept in ("application/sdp", "application/*", "*/*", "text/html, application/sdp;q=0.1"):
            assert (await house.ask(caller, 200, "OPTIONS", BOB, f"Accept: {accept}")).body == OFFER.encode()
        for accept in ("text/html", "application/sdp;q=0", ""):
            answer = await house.ask(caller, 200, "OPTIONS", BOB, f"Accept: {accept}")
            assert (answer.body, answer.has("content-type")) == (b"", False)

    house.run(scenario)


@pytest.mark.row("OPT-4")
@pytest.mark.rfc("3261 11")
@pytest.mark.rfc("3261 16.3")
def test_a_proxy_answers_for_itself_alone(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        bob = await house.desk("bob", 2)
        caller = house.peer(3)
        for uri in (f"sip:{DOMAIN}", f"sip:{SERVER[0]}", f"sip:{SERVER[0]}:{SERVER[1]}"):
            answer = await house.ask(caller, 200, "OPTIONS", uri)
            assert (answer.body, answer.has("content-type")) == (b"", False)
        for uri in (BOB, "sip:10.0.0.2", f"sip:nobody@{DOMAIN}"):
            answer = await house.ask(caller, 200, "OPTIONS", uri, max_forwards=0)
            assert answer.body == b""
        await bob.silence(1.0)
        house.send(caller, "OPTIONS", BOB, max_forwards=1)
        asked = await bob.expect_request("OPTIONS")
        assert asked.max_forwards == 0
        bob.reply(asked, 486, to_tag="b")
        await caller.expect_response(486)
        await house.ask(caller, 480, "OPTIONS", f"sip:nobody@{DOMAIN}")

    house.run(scenario)


@pytest.mark.row("OPT-5")
@pytest.mark.rfc("3261 11.2")
@pytest.mark.parametrize("mood", ["free", "busy", "full", "away"])
def test_outside_a_dialog_options_gets_what_an_invite_would(house: House, mood: str) -> None:
    async def scenario() -> None:
        await house.start()
        bob = await house.phone("bob", 2, max_calls=1)
        alice = await house.agent("alice", 3)

        async def take_it(call: Call) -> None:
            await call.answer()
            await call.ended

        if mood != "away":
            bob.on_call(take_it)
        bob.busy = mood == "busy"
        status = {"free": 200, "busy": 486, "full": 486, "away": 480}[mood]
        other = await alice.call(BOB) if mood == "full" else None
        assert (await alice.options(BOB)).status == status
        call = alice.dial(BOB)
        assert await outcome(call.answered()) == (None if status == 200 else status)
        bob.busy = True
        if other is not None:
            assert (await other.request_inside("OPTIONS")).status == 200  # inside a dialog always
            await other.hangup()
        elif status == 200:
            assert (await alice.options(BOB)).status == 486
            assert (await call.request_inside("OPTIONS")).status == 200
            await call.hangup()

    house.run(scenario)
