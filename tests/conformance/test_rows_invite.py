"""INV-1, INV-3, INV-4, INV-7 and INV-9: a call from its INVITE to its end, whole phones through a whole server."""

from __future__ import annotations

import asyncio

import pytest

from ringback import Call, CallEnded, CallRejected, EndReason, UserAgent
from ringback.protocol.message.model import Request
from tests.conformance.conftest import BOB, House, bye, outcome, take
from tests.server.conftest import DOMAIN, PASSWORD

FAR = "sip:bob@10.0.0.2"


@pytest.mark.row("INV-1")
@pytest.mark.rfc("3261 13.2.2.4")
def test_every_2xx_that_arrives_is_acknowledged_once_forked_ones_too(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        desks = [await house.desk("bob", number) for number in (2, 3)]
        alice = await house.agent("alice", 4)
        calling = asyncio.ensure_future(alice.call(BOB))
        invites = [await desk.expect_request("INVITE") for desk in desks]
        for desk, invite, tag in zip(desks, invites, "ab", strict=True):
            take(desk, invite, tag)
        call = await calling
        await asyncio.sleep(0.5)
        for repetition in range(3):
            take(desks[0], invites[0], "a")
            take(desks[1], invites[1], "b")
            await asyncio.sleep(0.5)
            assert len(house.sent("ACK", to=2)) == len(house.sent("ACK", to=3)) == repetition + 2
        assert len(house.sent(200, source=1, to=4)) == len(house.sent("ACK", source=4)) == 8
        for number, tag in ((2, "a"), (3, "b")):
            acks = house.sent("ACK", to=number)
            assert {ack.to_tag for ack in acks} == {tag}
            assert len({ack.top_via.branch for ack in acks}) == 1
        loser = 3 if call.response.to_tag == "a" else 2
        end = house.sent("BYE", to=loser)[0]
        assert end.call_id == invites[0].call_id
        desks[loser - 2].reply(end, 200)
        winner = desks[3 - loser]
        winner.forget()
        hanging_up = asyncio.ensure_future(call.hangup())
        winner.reply(await winner.expect_request("BYE"), 200)
        await hanging_up

    house.run(scenario)


@pytest.mark.row("INV-1")
@pytest.mark.rfc("3261 17.1.1.3")
@pytest.mark.parametrize("status", [302, 404, 500, 603])
def test_every_failure_that_arrives_is_acknowledged_by_the_transaction(house: House, status: int) -> None:
    async def scenario() -> None:
        bob = house.peer(2)
        alice = await house.agent("alice", 4, proxy=False)
        calling = asyncio.ensure_future(outcome(alice.call(FAR)))
        invite = await bob.expect_request("INVITE")
        for _ in range(4):
            bob.reply(invite, status, to_tag="b")
            ack = await bob.expect_request("ACK")
            assert str(ack.top_via) == str(invite.top_via)
            assert (ack.to_tag, ack.cseq.number) == ("b", invite.cseq.number)
        assert await calling == status
        await bob.silence(1.0)

    house.run(scenario)


async def established(house: House) -> tuple[UserAgent, Call, Request]:
    """A call of alice at 10.0.0.4 that the scripted bob at 10.0.0.2 has taken, and its INVITE as he got it."""
    bob = house.peer(2)
    alice = await house.agent("alice", 4, proxy=False)
    calling = asyncio.ensure_future(alice.call(FAR))
    invite = await bob.expect_request("INVITE")
    take(bob, invite)
    call = await calling
    await bob.expect_request("ACK")
    bob.close()
    return alice, call, invite


@pytest.mark.row("INV-3")
@pytest.mark.rfc("3261 13.2.2.4")
def test_no_timer_ends_a_session_and_the_users_bye_does(house: House) -> None:
    async def scenario() -> None:
        _, call, _ = await established(house)
        packets = len(house.world.trace)
        await asyncio.sleep(24 * 3600)
        assert (len(house.world.trace), call.state) == (packets, "Confirmed")
        bob = house.peer(2)
        hanging_up = asyncio.ensure_future(call.hangup())
        bob.reply(await bob.expect_request("BYE"), 200)
        await hanging_up
        assert await call.ended is EndReason.HUNG_UP

    house.run(scenario)


@pytest.mark.row("INV-3")
@pytest.mark.rfc("3261 13.3.1.4")
def test_a_callee_ends_a_session_that_nobody_acknowledges(house: House) -> None:
    ends: list[EndReason] = []

    async def scenario() -> None:
        bob = await house.agent("bob", 2, proxy=False)
        caller = house.peer(3)

        @bob.on_call
        async def _(call: Call) -> None:
            ended = call.ended
            try:
                await call.answer()
            except CallEnded:
                ends.append(await ended)

        caller.send(house.request(caller, "INVITE", FAR, "Contact: <sip:alice@10.0.0.3>"), ("10.0.0.2", 5060))
        end = await caller.expect_request("BYE", skip=(100, 200))
        assert house.packets("BYE")[0][0] - house.packets(200)[0][0] == pytest.approx(32.0, abs=0.1)
        caller.reply(end, 200)

    house.run(scenario)
    assert ends == [EndReason.NO_ACK]


@pytest.mark.row("INV-3")
@pytest.mark.rfc("3261 12.2.1.2")
@pytest.mark.parametrize("status", [481, 408, None])
def test_a_request_that_finds_the_dialog_gone_ends_the_session_by_bye(house: House, status: int | None) -> None:
    async def scenario() -> None:
        _, call, _ = await established(house)
        bob = house.peer(2)
        asking = asyncio.ensure_future(outcome(call.request_inside("OPTIONS")))
        inside = await bob.expect_request("OPTIONS")
        if status is not None:
            bob.reply(inside, status)
        assert await asking == (status or "TransactionTimeout")
        bob.reply(await bob.expect_request("BYE", skip=("OPTIONS",)), 200)
        assert await call.ended is EndReason.LOST

    house.run(scenario)


@pytest.mark.row("INV-3")
@pytest.mark.parametrize("status", [500, 488, 403])
def test_another_failure_in_the_dialog_leaves_the_session_alone(house: House, status: int) -> None:
    async def scenario() -> None:
        _, call, invite = await established(house)
        bob = house.peer(2)
        asking = asyncio.ensure_future(outcome(call.request_inside("OPTIONS")))
        bob.reply(await bob.expect_request("OPTIONS"), status)
        assert await asking == status
        await bob.silence(40.0)
        assert call.state == "Confirmed"
        bob.send(bye(bob, invite), ("10.0.0.4", 5060))
        await bob.expect_response(200)
        assert await call.ended is EndReason.REMOTE

    house.run(scenario)


@pytest.mark.row("INV-4")
@pytest.mark.rfc("3261 8.1.1")
def test_each_session_has_a_call_id_and_from_tag_of_its_own_and_a_first_number_below_2_31(house: House) -> None:
    async def scenario() -> None:
        bob = house.peer(2)
        phones = [await house.agent("alice", number, proxy=False) for number in (4, 5)]
        for phone in phones * 8:
            calling = asyncio.ensure_future(outcome(phone.call(FAR)))
            bob.reply(await bob.expect_request("INVITE"), 486, to_tag="b")
            await bob.expect_request("ACK")
            assert await calling == 486
        invites = house.sent("INVITE")
        assert len({invite.call_id for invite in invites}) == len({invite.from_tag for invite in invites}) == 16
        assert all(0 <= invite.cseq.number < 2**31 for invite in invites)

    house.run(scenario)


@pytest.mark.row("INV-4")
@pytest.mark.rfc("3261 12.2.1.1")
def test_each_new_request_of_a_session_counts_one_up_but_ack_and_cancel_do_not(house: House) -> None:
    async def scenario() -> None:
        await house.start("alice", "bob")
        bob = await house.phone("bob", 2, password=PASSWORD)
        alice = await house.phone("alice", 3, password=PASSWORD)

        @bob.on_call
        async def _(call: Call) -> None:
            await call.ring()
            if call.request.get("subject") == "wait":
                await asyncio.sleep(60)
            await call.answer()
            await call.ended

        call = await alice.call(BOB)
        await call.request_inside("OPTIONS")
        await call.request_inside("INVITE", body="v=0\r\n")
        await call.hangup()
        withdrawn = alice.dial(BOB, headers=[("Subject", "wait")])
        await asyncio.sleep(1.0)
        await withdrawn.cancel()

    house.run(scenario)
    first = house.sent("INVITE", source=3)[0]
    number = first.cseq.number
    sent = [
        (message.method, message.cseq.number - number)
        for packet in house.world.trace
        if packet.source[0] == "10.0.0.3" and packet.data[:3] != b"SIP"
        for message in [house.parsed(packet.data)]
        if message.call_id == first.call_id
    ]
    # The first INVITE is challenged (407): the repeat keeps Call-ID and From tag and counts one up.
    assert sent == [
        ("INVITE", 0),
        ("ACK", 0),
        ("INVITE", 1),
        ("ACK", 1),
        ("OPTIONS", 2),
        ("INVITE", 3),
        ("ACK", 3),
        ("BYE", 4),
    ]
    invites = [invite for invite in house.sent("INVITE", source=3) if invite.call_id == first.call_id]
    assert len({invite.from_tag for invite in invites}) == 1
    (cancel,) = house.sent("CANCEL", source=3)
    assert cancel.cseq.number == house.sent("INVITE", source=3)[-1].cseq.number


@pytest.mark.row("INV-7")
@pytest.mark.rfc("3261 13.2.2.4")
def test_forks_are_dialogs_of_their_own_and_the_losers_are_ended(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        desks = [await house.desk("bob", number) for number in (2, 3, 5)]
        alice = await house.agent("alice", 4)
        call = alice.dial(BOB)
        invites = [await desk.expect_request("INVITE") for desk in desks]
        for desk, invite, tag in zip(desks, invites, "abc", strict=True):
            take(desk, invite, tag, 180)
        await asyncio.sleep(0.1)
        assert alice.counts()["dialogs"] == 3
        take(desks[0], invites[0], "a")
        take(desks[1], invites[1], "b")
        await call.answered()
        assert call.response.to_tag == "a"
        desks[1].reply(await desks[1].expect_request("BYE", skip=("CANCEL", "ACK")), 200)
        end = house.sent("BYE", to=3)[0]
        assert (end.to_tag, end.call_id) == ("b", invites[0].call_id)
        assert {ack.to_tag for ack in house.sent("ACK", source=4)} == {"a", "b"}
        await asyncio.sleep(31.0)
        assert alice.counts()["dialogs"] == 2  # the one that rings on without a word, and the call
        await asyncio.sleep(2.0)
        assert alice.counts()["dialogs"] == 1
        assert call.state == "Confirmed"
        hanging_up = asyncio.ensure_future(call.hangup())
        desks[0].reply(await desks[0].expect_request("BYE", skip=("ACK",)), 200)
        await hanging_up

    house.run(scenario)


@pytest.mark.row("INV-7")
@pytest.mark.rfc("3261 13.2.2.3")
def test_a_failure_ends_every_early_dialog(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        desks = [await house.desk("bob", number) for number in (2, 3)]
        alice = await house.agent("alice", 4)
        call = alice.dial(BOB)
        invites = [await desk.expect_request("INVITE") for desk in desks]
        for desk, invite, tag in zip(desks, invites, "ab", strict=True):
            take(desk, invite, tag, 180)
        await asyncio.sleep(0.1)
        assert alice.counts()["dialogs"] == 2
        for desk, invite, tag in zip(desks, invites, "ab", strict=True):
            desk.reply(invite, 486, to_tag=tag)
            await desk.expect_request("ACK")
        assert await outcome(call.answered()) == 486
        assert alice.counts()["dialogs"] == 0
        assert house.sent("BYE") == []

    house.run(scenario)


@pytest.mark.row("INV-9")
@pytest.mark.rfc("3261 21.4")
@pytest.mark.parametrize("status", [486, 600, 603, 480, 488])
def test_a_callee_refuses_and_the_caller_hears_why(house: House, status: int) -> None:
    async def scenario() -> None:
        await house.start()
        bob = await house.phone("bob", 2)
        alice = await house.agent("alice", 3)

        @bob.on_call
        async def _(call: Call) -> None:
            await call.reject(status)

        response = None
        try:
            await alice.call(BOB)
        except CallRejected as error:
            response = error.response
        assert response is not None
        assert response.status == status
        assert (response.get("warning") is not None) is (status == 488)

    house.run(scenario)


@pytest.mark.row("INV-9")
@pytest.mark.rfc("3261 8.2.2.3")
@pytest.mark.rfc("3261 8.2.3")
def test_a_callee_says_which_extension_or_body_it_does_not_have(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        bob = await house.phone("bob", 2)
        caller = house.peer(3)

        @bob.on_call
        async def _(call: Call) -> None:
            raise AssertionError("nothing of this is to ring")

        house.send(caller, "INVITE", BOB, "Require: teleport, 100rel", "Contact: <sip:a@10.0.0.3>")
        refused = await caller.expect_response(420)
        assert refused.get("unsupported") == "teleport, 100rel"
        house.acknowledge(caller, refused, BOB)
        house.send(caller, "INVITE", BOB, "Content-Type: text/html", "Contact: <sip:a@10.0.0.3>", body="<p>")
        refused = await caller.expect_response(415)
        assert refused.get("accept") == "application/sdp"
        house.acknowledge(caller, refused, BOB)
        bob.busy = True
        house.send(caller, "INVITE", f"sip:bob@{DOMAIN}", "Contact: <sip:a@10.0.0.3>")
        house.acknowledge(caller, await caller.expect_response(486), BOB)

    house.run(scenario)
