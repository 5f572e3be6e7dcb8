"""The user agent itself: what it asks and answers outside of calls, its settings, its coming and going."""

from __future__ import annotations

import asyncio

import pytest

from ringback import (
    Call,
    EndReason,
    IncomingRequest,
    LocalProtocolError,
    SettingsError,
    TransactionTimeout,
    TransportError,
    UserAgent,
)
from ringback.testing.peer import ScriptedPeer
from tests.ua.conftest import ANSWER, OFFER, PhoneBench

BOB = "sip:bob@10.0.0.2"


@pytest.mark.row("OPT-1", part="UA")
@pytest.mark.row("OPT-2")
@pytest.mark.row("OPT-3")
def test_options_tells_what_a_phone_can_do(phones: PhoneBench) -> None:
    alice, bob = phones.pair()

    @bob.on_request("MESSAGE")
    async def _(incoming: IncomingRequest) -> None:
        pass

    @bob.on_call
    async def _(call: Call) -> None:
        pass

    async def scenario() -> None:
        response = await alice.options(BOB, headers=[("Subject", "ping")])
        assert response.status == 200
        assert response.allow == ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "MESSAGE"]
        assert response.body == ANSWER

    phones.run(scenario)
    sent = phones.world.trace[0].data
    assert b"\r\nAccept: application/sdp\r\n" in sent
    assert sent.endswith(b"Content-Length: 0\r\n\r\n")


def test_requests_are_answered_by_their_handlers(phones: PhoneBench, caplog: pytest.LogCaptureFixture) -> None:
    alice = phones.agent("alice", "10.0.0.1")
    bob = phones.agent("bob", "10.0.0.2", accept=["text/plain"])
    seen: list[bytes] = []

    @bob.on_request("MESSAGE")
    async def _(incoming: IncomingRequest) -> None:
        seen.append(incoming.body)
        assert incoming.method == "MESSAGE"
        assert incoming.call is None
        if incoming.body == b"two":
            incoming.respond(202, "Later", headers=[("Subject", "s")], body=b"x", content_type="text/plain")
            with pytest.raises(LocalProtocolError):
                incoming.respond(200)
        if incoming.body == b"three":
            raise ValueError("the application's own fault")

    async def scenario() -> None:
        texts = ("one", "two", "three")
        responses = [await alice.request("MESSAGE", BOB, body=text, content_type="text/plain") for text in texts]
        assert [response.status for response in responses] == [200, 202, 500]
        assert responses[1].body == b"x"
        assert (await alice.request("INFO", BOB)).status == 405

    phones.run(scenario)
    assert seen == [b"one", b"two", b"three"]
    caplog.clear()


def test_a_request_in_a_call_that_ends_needs_no_answer_any_more(phones: PhoneBench) -> None:
    alice, bob = phones.pair()
    seen: list[str] = []

    @bob.on_call
    async def _(call: Call) -> None:
        await call.answer()
        await call.ended

    @bob.on_request("INFO")
    async def _(incoming: IncomingRequest) -> None:
        try:
            await asyncio.sleep(100)
        finally:
            seen.append(str(incoming.call))

    async def scenario() -> None:
        call = await alice.call(BOB)
        asking = asyncio.ensure_future(call.request_inside("INFO"))
        await asyncio.sleep(0.1)
        await call.hangup()
        assert (await asking).status == 487

    phones.run(scenario)
    assert len(seen) == 1


def test_a_request_that_nobody_answers_is_a_timeout(phones: PhoneBench) -> None:
    alice = phones.agent("alice", "10.0.0.1")

    async def scenario() -> None:
        with pytest.raises(TransactionTimeout):
            await alice.options("sip:nobody@10.0.0.9")
        asking = asyncio.ensure_future(alice.options("sip:nobody@10.0.0.9"))
        await asyncio.sleep(1)
        asking.cancel()

    phones.run(scenario)


def test_it_says_where_it_can_be_reached(phones: PhoneBench) -> None:
    alice = phones.agent("alice", "10.0.0.1", "example.test")
    six = phones.agent("six", "2001:db8::1", "example.test", listen=["udp:[2001:db8::1]:5070"])

    async def scenario() -> None:
        assert alice.addresses == [("10.0.0.1", 5060)]
        assert alice.uri == "sip:alice@10.0.0.1:5060"
        assert six.uri == "sip:six@[2001:db8::1]:5070"

    phones.run(scenario)


@pytest.mark.parametrize(
    ("aor", "options"),
    [
        ("alice", {}),
        ("tel:+49", {}),
        ("sip:alice@x", {"proxy": "nowhere"}),
        ("sip:alice@x", {"registrar": "http://x"}),
        ("sip:alice@x", {"listen": "5060"}),
        ("sip:alice@x", {"listen": ["udp:host:port"]}),
        ("sip:alice@x", {"listen": "udp:host:70000"}),
    ],
)
def test_settings_that_make_no_sense_are_named(aor: str, options: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        UserAgent(aor, **options)


def test_leaving_ends_calls_and_handlers(phones: PhoneBench) -> None:
    alice, bob = phones.pair()
    seen: list[str] = []

    @bob.on_call
    async def _(call: Call) -> None:
        if seen:
            await call.ring()
        else:
            await call.answer()
        seen.append(call.state)
        await asyncio.sleep(1000)

    async def scenario() -> None:
        first = await alice.call(BOB)
        await asyncio.sleep(1)
        second = alice.dial(BOB)
        await asyncio.sleep(1)
        await bob.close()
        assert first.state == "Terminated"
        await asyncio.sleep(1)
        assert second.state == "Terminated"
        assert second.end_message.status == 480
        phones.agents.remove(bob)

    phones.run(scenario)
    assert seen == ["Confirmed", "Ringing"]


def test_leaving_does_not_wait_for_ever(phones: PhoneBench) -> None:
    alice, bob = phones.pair(drain=3.0, registrar="sip:10.0.0.2")

    @bob.on_call
    async def _(call: Call) -> None:
        await call.answer()
        await call.ended

    async def scenario() -> None:
        call = await alice.call(BOB)
        phones.world.partition("10.0.0.1", "10.0.0.2")
        asking = asyncio.ensure_future(alice.options(BOB))
        registering = asyncio.ensure_future(alice.register())
        await asyncio.sleep(1)
        before = phones.world.now
        await alice.close()
        await alice.close()
        assert phones.world.now - before == pytest.approx(3.0)
        assert await call.ended is EndReason.HUNG_UP
        outcomes = await asyncio.gather(asking, registering, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [TransportError, TransportError]
        phones.world.heal()
        phones.agents.clear()
        await bob.close()

    phones.run(scenario)


def test_a_phone_that_only_answers_runs_until_it_is_stopped(phones: PhoneBench) -> None:
    alice = phones.agent("alice", "10.0.0.1")

    async def scenario() -> None:
        running = asyncio.ensure_future(alice.run_forever())
        await asyncio.sleep(1000)
        assert not running.done()
        running.cancel()

    phones.run(scenario)


def test_unusable_and_stray_messages_do_no_harm(phones: PhoneBench) -> None:
    alice = phones.agent("alice", "10.0.0.1", sdp=OFFER)

    @alice.on_call
    async def _(call: Call) -> None:
        pass

    async def scenario() -> None:
        peer = ScriptedPeer(phones.world.host("10.0.0.9"), target=("10.0.0.1", 5060))
        for data in (b"\r\n\r\n", b"nonsense", b"SIP/2.0 200 OK\r\n\r\n", b"\x00" * 50):
            peer.send(data)
        await asyncio.sleep(1)
        peer.forget()
        peer.send(
            """
            OPTIONS sip:alice@10.0.0.1 SIP/2.0
            Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK1
            Max-Forwards: 70
            From: <sip:x@10.0.0.9>;tag=1
            To: <sip:alice@10.0.0.1>
            Call-ID: probe
            CSeq: 1 OPTIONS
            Content-Length: 0
            """
        )
        assert (await peer.expect_response(200)).body == OFFER
        peer.close()

    phones.run(scenario)
