"""Calls as applications see them: made, taken, refused, withdrawn, hung up."""

from __future__ import annotations

import asyncio
import logging

import pytest

from ringback import (
    Call,
    CallEnded,
    CallRejected,
    EndReason,
    LocalProtocolError,
    SettingsError,
    TransactionTimeout,
    TransportError,
)
from ringback.testing.peer import ScriptedPeer
from tests.ua.conftest import ANSWER, OFFER, PhoneBench

BOB = "sip:bob@10.0.0.2"


def test_a_call_is_made_taken_and_hung_up(phones: PhoneBench) -> None:
    alice, bob = phones.pair()
    seen: list[object] = []

    @bob.on_call
    async def _(call: Call) -> None:
        seen.append(call.remote_body)
        await call.ring()
        await asyncio.sleep(2)
        await call.answer()
        seen.append(call.state)
        seen.append(await call.ended)

    async def scenario() -> None:
        call = await alice.call(BOB)
        assert call.remote_body == ANSWER
        assert call.state == "Confirmed"
        assert not call.ended
        await asyncio.sleep(7200)
        await call.hangup()
        assert call.ended
        assert await call.ended is EndReason.HUNG_UP
        assert call.state == "Terminated"
        await call.hangup()
        with pytest.raises(CallEnded):
            await call.request_inside("INFO")

    phones.run(scenario)
    assert seen == [OFFER, "Confirmed", EndReason.REMOTE]
    assert phones.ladder() == ["1 INVITE", "2 180", "2 200", "1 ACK", "1 BYE", "2 200"]


def test_the_callee_hangs_up(phones: PhoneBench) -> None:
    alice, bob = phones.pair()

    @bob.on_call
    async def _(call: Call) -> None:
        await call.answer("v=0\r\n", content_type="application/sdp", headers=[("Subject", "hello")])
        await asyncio.sleep(5)
        await call.hangup()

    async def scenario() -> None:
        call = await alice.call(BOB, body="v=0 mine\r\n", headers=[("Subject", "x")])
        assert call.response.get("subject") == "hello"
        assert await call.ended is EndReason.REMOTE
        assert call.end_message.method == "BYE"

    phones.run(scenario)


@pytest.mark.row("INV-9", part="UAS")
def test_a_refusal_is_an_exception_with_the_response(phones: PhoneBench) -> None:
    alice, bob = phones.pair()

    @bob.on_call
    async def _(call: Call) -> None:
        await call.reject(486, headers=[("Retry-After", "60")])

    async def scenario() -> None:
        seen = []
        try:
            await alice.call(BOB)
        except CallRejected as error:
            seen = [error.status, str(error), error.response.get("retry-after")]
        assert seen == [486, "486 Busy Here", "60"]

    phones.run(scenario)


@pytest.mark.row("INV-9", part="UAS")
def test_a_handler_that_ends_without_an_answer_is_not_available(phones: PhoneBench) -> None:
    alice, bob = phones.pair()

    @bob.on_call
    async def _(call: Call) -> None:
        await call.ring()

    async def scenario() -> None:
        with pytest.raises(CallRejected, match="480"):
            await alice.call(BOB)

    phones.run(scenario)


@pytest.mark.row("OPT-5")
def test_a_phone_without_a_handler_is_not_available(phones: PhoneBench) -> None:
    alice, _ = phones.pair()

    async def scenario() -> None:
        with pytest.raises(CallRejected, match="480"):
            await alice.call(BOB)
        assert (await alice.options(BOB)).status == 480

    phones.run(scenario)


def test_a_busy_phone_says_so(phones: PhoneBench) -> None:
    alice, bob = phones.pair()
    bob.busy = True
    assert bob.busy

    async def scenario() -> None:
        with pytest.raises(CallRejected, match="486"):
            await alice.call(BOB)
        assert (await alice.options(BOB)).status == 486

    phones.run(scenario)


def test_a_handler_that_raises_is_a_500_and_is_logged(phones: PhoneBench, caplog: pytest.LogCaptureFixture) -> None:
    alice, bob = phones.pair()

    @bob.on_call
    async def _(call: Call) -> None:
        raise ValueError("the application's own fault")

    async def scenario() -> None:
        with pytest.raises(CallRejected, match="500"):
            await alice.call(BOB)

    with caplog.at_level(logging.ERROR, "ringback"):
        phones.run(scenario)
    assert "the application's own fault" in caplog.text
    caplog.clear()


def test_a_handler_that_raises_after_the_answer_ends_the_call(
    phones: PhoneBench, caplog: pytest.LogCaptureFixture
) -> None:
    alice, bob = phones.pair()

    @bob.on_call
    async def _(call: Call) -> None:
        await call.answer()
        raise ValueError("later")

    async def scenario() -> None:
        call = await alice.call(BOB)
        assert await call.ended is EndReason.REMOTE

    phones.run(scenario)
    caplog.clear()


def test_a_handler_that_returns_after_the_answer_leaves_the_call_up(phones: PhoneBench) -> None:
    alice, bob = phones.pair()

    @bob.on_call
    async def _(call: Call) -> None:
        await call.answer()

    async def scenario() -> None:
        call = await alice.call(BOB)
        await asyncio.sleep(100)
        assert call.state == "Confirmed"
        await call.hangup()

    phones.run(scenario)


def test_a_handler_is_cancelled_when_its_call_ends(phones: PhoneBench) -> None:
    alice, bob = phones.pair()
    seen: list[str] = []

    @bob.on_call
    async def _(call: Call) -> None:
        await call.answer()
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def scenario() -> None:
        call = await alice.call(BOB)
        await asyncio.sleep(1)
        await call.hangup()
        assert seen == ["cancelled"]

    phones.run(scenario)


def test_a_handler_that_waits_for_the_end_is_told_and_goes_on(phones: PhoneBench) -> None:
    alice, bob = phones.pair()
    seen: list[object] = []

    @bob.on_call
    async def _(call: Call) -> None:
        await call.answer()
        seen.append(await asyncio.wait_for(call.ended, 1000))
        await asyncio.sleep(5)
        seen.append("done")

    async def scenario() -> None:
        call = await alice.call(BOB)
        await asyncio.sleep(1)
        await call.hangup()

    phones.run(scenario)
    assert seen == [EndReason.REMOTE, "done"]


@pytest.mark.threat("T13")
def test_a_call_that_is_acknowledged_and_ended_in_one_breath_raises(phones: PhoneBench) -> None:
    alice, bob = phones.pair()
    seen: list[str] = []

    @bob.on_call
    async def _(call: Call) -> None:
        try:
            await call.answer()
        finally:
            seen.append(call.state)
        await asyncio.sleep(1000)

    async def scenario() -> None:
        await (await alice.call(BOB)).hangup()

    phones.run(scenario)
    assert seen == ["Terminated"]


@pytest.mark.threat("T13")
def test_a_cancel_ends_the_call_while_the_handler_is_elsewhere(phones: PhoneBench) -> None:
    alice, bob = phones.pair()
    seen: list[object] = []

    @bob.on_call
    async def _(call: Call) -> None:
        await call.ring()
        try:
            await asyncio.sleep(1000)
        finally:
            for verb in (call.ring, call.answer, call.reject):
                with pytest.raises(CallEnded):
                    await verb()
            seen.append(await call.ended)

    async def scenario() -> None:
        call = alice.dial(BOB)
        await asyncio.sleep(1)
        await call.cancel([("Reason", "SIP;cause=200")])
        assert await call.ended is EndReason.CANCELLED
        assert call.end_message.status == 487
        await call.cancel()
        with pytest.raises(CallEnded):
            await call.answered()

    phones.run(scenario)
    assert seen == [EndReason.CANCELLED]


@pytest.mark.row("CAN-1", part="UAC")
def test_a_caller_who_gives_up_waiting_withdraws_the_call(phones: PhoneBench) -> None:
    alice, bob = phones.pair()

    @bob.on_call
    async def _(call: Call) -> None:
        await call.ring()
        await asyncio.sleep(1000)

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await alice.call(BOB)

    phones.run(scenario)
    assert phones.ladder() == ["1 INVITE", "2 180", "1 CANCEL", "2 200", "2 487", "1 ACK"]


@pytest.mark.row("CAN-9")
def test_a_2xx_that_crosses_a_withdrawal_is_acknowledged_and_ended(phones: PhoneBench) -> None:
    alice, bob = phones.pair()

    @bob.on_call
    async def _(call: Call) -> None:
        await call.ring()
        await asyncio.sleep(5)
        await call.answer()
        await call.ended

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5.015):
                await alice.call(BOB)

    phones.run(scenario)
    assert phones.ladder() == ["1 INVITE", "2 180", "2 200", "1 CANCEL", "1 ACK", "1 BYE", "2 200", "2 200"]


def test_a_call_is_followed_by_its_events(phones: PhoneBench) -> None:
    alice, bob = phones.pair()
    seen: list[str] = []

    @bob.on_call
    async def _(call: Call) -> None:
        await call.ring(183, body=ANSWER)
        await call.ring(headers=[("Alert-Info", "<http://example.test/ring>")])
        await call.answer()
        seen.extend([type(event).__name__ async for event in call.events()])
        seen.extend([f"{event} after the end" async for event in call.events()])

    async def scenario() -> None:
        call = alice.dial(BOB)
        told = []
        async for event in call.events():
            told.append(type(event).__name__)
            if told[-1] == "CallAnswered":
                await asyncio.sleep(1)
                await call.hangup()
        assert told == ["CallProgress", "CallProgress", "CallAnswered", "CallOver"]

    phones.run(scenario)
    assert seen == ["CallConfirmed", "CallOver"]


def test_silence_is_a_timeout_error(phones: PhoneBench) -> None:
    alice, _ = phones.pair()

    async def scenario() -> None:
        assert issubclass(TransactionTimeout, TimeoutError)
        with pytest.raises(TransactionTimeout):
            await alice.call("sip:nobody@10.0.0.99")

    phones.run(scenario)


def test_an_unknown_name_is_a_transport_error(phones: PhoneBench) -> None:
    alice, _ = phones.pair()

    async def scenario() -> None:
        with pytest.raises(TransportError):
            await alice.call("sip:bob@nowhere.example")

    phones.run(scenario)


def test_a_name_is_resolved(phones: PhoneBench) -> None:
    alice, bob = phones.pair()
    phones.world.zone["bob.example"] = ["10.0.0.2"]

    @bob.on_call
    async def _(call: Call) -> None:
        await call.reject(603)

    async def scenario() -> None:
        with pytest.raises(CallRejected, match="603"):
            await alice.call("sip:bob@bob.example")

    phones.run(scenario)


def test_what_makes_no_sense_is_said_before_anything_is_sent(phones: PhoneBench) -> None:
    alice, bob = phones.pair()

    @bob.on_call
    async def _(call: Call) -> None:
        await call.answer()
        await call.ended

    async def scenario() -> None:
        for uri in ("bob", "mailto:bob@example.test"):
            with pytest.raises(SettingsError):
                alice.dial(uri)
        with pytest.raises(LocalProtocolError):
            alice.dial(BOB, headers=[("Subject", "a\r\nb")])
        call = await alice.call(BOB)
        for verb in (call.ring, call.answer, call.reject):
            with pytest.raises(LocalProtocolError):
                await verb()
        assert repr(call) == "<Call 1 to sip:bob@10.0.0.2: Confirmed>"
        await call.hangup()

    phones.run(scenario)


@pytest.mark.row("ACK-5")
def test_an_answer_that_nobody_acknowledges_raises(phones: PhoneBench) -> None:
    alice, bob = phones.pair()
    seen: list[str] = []

    @bob.on_call
    async def _(call: Call) -> None:
        try:
            await call.answer()
        except CallEnded as ended:
            seen.append(str(ended))
            raise

    async def scenario() -> None:
        with phones.world.dropping("ACK"):
            call = await alice.call(BOB)
            assert await call.ended is EndReason.REMOTE

    phones.run(scenario)
    assert seen == ["the call is over: not acknowledged"]


@pytest.mark.row("INV-7", part="UA")
def test_a_fork_that_lost_is_acknowledged_and_ended(phones: PhoneBench) -> None:
    alice = phones.agent("alice", "10.0.0.1", sdp=OFFER)

    async def scenario() -> None:
        peer = ScriptedPeer(phones.world.host("10.0.0.9"))
        call = alice.dial("sip:group@10.0.0.9")
        invite = await peer.expect_request("INVITE")
        contact = [("Contact", "<sip:desk@10.0.0.9>")]
        peer.reply(invite, 200, to_tag="one", headers=contact)
        peer.reply(invite, 200, to_tag="two", headers=contact)
        assert (await peer.expect_request("ACK")).to_tag == "one"
        assert (await peer.expect_request("ACK")).to_tag == "two"
        bye = await peer.expect_request("BYE")
        assert bye.to_tag == "two"
        peer.reply(bye, 200)
        await call.answered()
        hanging_up = asyncio.ensure_future(call.hangup())
        peer.reply(await peer.expect_request("BYE"), 200)
        await hanging_up
        peer.close()

    phones.run(scenario)


# in a call


@pytest.mark.row("INV-5", part="UAC")
def test_a_session_is_changed_from_both_sides(phones: PhoneBench) -> None:
    alice, bob = phones.pair()

    @bob.on_call
    async def _(call: Call) -> None:
        await call.answer()
        response = await call.request_inside("INVITE", body="v=0 from bob\r\n")
        assert (response.status, response.body) == (200, b"v=0 new offer\r\n")
        await call.ended

    @bob.on_request("INVITE")
    async def _(incoming: object) -> None:
        assert incoming.call.state == "Confirmed"
        incoming.respond(200, body=b"v=0 changed: " + incoming.body, content_type="application/sdp")

    async def scenario() -> None:
        call = await alice.call(BOB)
        response = await call.request_inside("INVITE", body="v=0 new offer\r\n")
        while response.status == 491:
            await asyncio.sleep(1)
            response = await call.request_inside("INVITE", body="v=0 new offer\r\n")
        assert response.body == b"v=0 changed: v=0 new offer\r\n"
        await asyncio.sleep(3)
        await call.hangup()

    phones.run(scenario)


@pytest.mark.row("OPT-5")
def test_options_in_a_call_is_answered(phones: PhoneBench) -> None:
    alice, bob = phones.pair()

    @bob.on_call
    async def _(call: Call) -> None:
        await call.answer()
        await call.ended

    async def scenario() -> None:
        call = await alice.call(BOB)
        bob.busy = True
        assert (await call.request_inside("OPTIONS")).status == 200
        await call.hangup()

    phones.run(scenario)
