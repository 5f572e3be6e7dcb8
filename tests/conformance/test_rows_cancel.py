"""CAN-1 to CAN-10: withdrawing a call, by the caller and by the proxy."""

from __future__ import annotations

import asyncio

import pytest

from ringback import Call, CallEnded, EndReason
from ringback.protocol.message.model import Request, Response
from tests.conformance.conftest import BOB, House, outcome, take
from tests.server.conftest import DOMAIN, PASSWORD, SERVER

FAR = "sip:bob@10.0.0.2"
ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'


@pytest.mark.row("CAN-1", "CAN-10")
@pytest.mark.rfc("3261 9")
def test_a_caller_that_hangs_up_while_it_rings_stops_the_phone_hop_by_hop(house: House) -> None:
    ends: list[EndReason] = []

    async def scenario() -> None:
        await house.start()
        bob = await house.phone("bob", 2)
        alice = await house.agent("alice", 3)

        @bob.on_call
        async def _(call: Call) -> None:
            ended = call.ended
            await call.ring()
            ends.append(await ended)

        call = alice.dial(BOB)
        await asyncio.sleep(2.0)
        await call.hangup()
        assert await call.ended is EndReason.CANCELLED

    house.run(scenario)
    assert ends == [EndReason.CANCELLED]
    ours, theirs = house.sent("CANCEL", source=3), house.sent("CANCEL", source=1)
    assert len(ours) == len(theirs) == 1
    assert theirs[0].top_via.branch not in {via.branch for via in ours[0].vias}  # made anew, not passed on
    answers = [(at, answer) for at, answer in house.packets(200) if answer.cseq.method == "CANCEL"]
    assert len(answers) == 2  # each hop answered its own
    assert answers[0][0] < house.packets("CANCEL", to=2)[0][0] + 0.001  # without waiting for the next one


@pytest.mark.row("CAN-1")
@pytest.mark.rfc("3261 9.1")
@pytest.mark.parametrize("method", ["MESSAGE", "OPTIONS", "REGISTER"])
def test_nothing_but_an_invite_is_cancelled(house: House, method: str) -> None:
    async def scenario() -> None:
        await house.start()
        desks = [await house.desk("bob", number) for number in (2, 3)]
        alice = await house.agent("alice", 4)
        asking = asyncio.ensure_future(outcome(alice.request(method, BOB if method != "REGISTER" else "sip:far.test")))
        await asyncio.sleep(4.5)
        asking.cancel()  # nobody waits for it any more
        if method != "REGISTER":
            first = await desks[0].expect_request(method)
            desks[0].reply(first, 200)
        await asyncio.sleep(40.0)

    house.run(scenario)
    assert house.sent("CANCEL") == []


@pytest.mark.row("CAN-1")
@pytest.mark.rfc("3261 16.8")
def test_nobody_rings_for_ever(house: House) -> None:
    async def scenario() -> None:
        await house.start(proxy={"timer_c": 200})
        bob = await house.desk("bob", 2)
        alice = await house.agent("alice", 3)
        call = alice.dial(BOB)
        invite = await bob.expect_request("INVITE")
        take(bob, invite, "b", 180)
        started = house.world.now
        cancel = await bob.expect_request("CANCEL", timeout=300.0)
        assert house.world.now - started == pytest.approx(200.0, abs=1.0)  # Timer C
        bob.reply(cancel, 200)
        bob.reply(invite, 487, to_tag="b")
        assert await outcome(call.answered()) == 408

        # The application has patience of its own.
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(alice.call(BOB), 5.0)
        bob.forget()
        invite = house.sent("INVITE", to=2)[-1]
        take(bob, invite, "c", 180)
        cancel = await bob.expect_request("CANCEL")
        bob.reply(cancel, 200)
        bob.reply(invite, 487, to_tag="c")

    house.run(scenario)


@pytest.mark.row("CAN-2", "CAN-5")
@pytest.mark.rfc("3261 9.1")
def test_a_cancel_is_the_invite_without_what_must_not_be_in_it(house: House) -> None:
    async def scenario() -> None:
        await house.start("alice", "bob")
        bob = await house.phone("bob", 2, password=PASSWORD)
        alice = await house.agent("alice", 3, password=PASSWORD)

        @bob.on_call
        async def _(call: Call) -> None:
            await call.ring()
            await call.ended

        call = alice.dial(BOB, headers=[("Supported", "x-nothing")])
        await asyncio.sleep(1.0)
        await call.cancel([("Reason", "SIP;cause=200")])

    house.run(scenario)
    for source, far in ((3, SERVER), (1, ("10.0.0.2", 5060))):
        invite = house.sent("INVITE", source=source)[-1]
        (cancel,) = house.sent("CANCEL", source=source)
        assert [str(via) for via in cancel.vias] == [str(invite.top_via)]
        assert (cancel.uri_text, cancel.call_id) == (invite.uri_text, invite.call_id)
        assert (cancel.get("from"), cancel.get("to")) == (invite.get("from"), invite.get("to"))
        assert cancel.to_tag is None
        assert (cancel.cseq.number, cancel.cseq.method) == (invite.cseq.number, "CANCEL")
        assert cancel.get_all("route") == invite.get_all("route")
        assert cancel.get("reason") == "SIP;cause=200"
        assert not {"require", "proxy-require", "contact", "content-type"} & set(cancel.names)
        packets = [packet for packet in house.world.trace if packet.source[0] == f"10.0.0.{source}"]
        ways = {
            (packet.source, packet.destination, packet.transport)
            for packet in packets
            if packet.data.startswith((b"CANCEL", b"INVITE"))
        }
        assert len(ways) == 1  # the same address, port and transport
        assert {destination for _, destination, _ in ways} == {far}
    assert {answer.cseq.method for answer in house.sent(407)} == {"INVITE"}  # a CANCEL is never challenged


@pytest.mark.row("CAN-2")
def test_require_of_an_invite_is_not_repeated_in_its_cancel(house: House) -> None:
    async def scenario() -> None:
        bob = house.peer(2)
        alice = await house.agent("alice", 3, proxy=False)
        call = alice.dial(FAR, headers=[("Require", "x"), ("Proxy-Require", "y")])
        invite = await bob.expect_request("INVITE")
        bob.reply(invite, 180, to_tag="b", headers=[("Contact", "<sip:b@10.0.0.2>")])
        await asyncio.sleep(0.1)
        cancelling = asyncio.ensure_future(call.cancel())
        cancel = await bob.expect_request("CANCEL")
        assert {"require", "proxy-require"} <= set(invite.names)
        assert not {"require", "proxy-require"} & set(cancel.names)
        await asyncio.sleep(1.0)  # a transaction of its own: it is repeated until it is answered
        assert house.delays("CANCEL") == pytest.approx([0.0, 0.5], abs=0.05)
        bob.reply(cancel, 200)
        bob.reply(invite, 487, to_tag="b")
        await cancelling
        await asyncio.sleep(5.0)
        assert len(house.sent("CANCEL")) == 2

    house.run(scenario)


@pytest.mark.row("CAN-3")
@pytest.mark.rfc("3261 9.1")
def test_a_cancel_waits_for_a_provisional_response(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        desk = await house.desk("bob", 2)
        alice = await house.agent("alice", 3)
        house.world.partition("10.0.0.3", SERVER[0])
        call = alice.dial(BOB)
        await asyncio.sleep(0.4)
        cancelling = asyncio.ensure_future(call.cancel())
        await asyncio.sleep(2.0)
        assert house.sent("CANCEL") == []  # nothing has come from the proxy
        house.world.heal()
        invite = await desk.expect_request("INVITE")
        await asyncio.sleep(2.0)
        assert len(house.sent("CANCEL", source=3)) == 1  # after the proxy's 100
        assert house.sent("CANCEL", source=1) == []  # nothing has come from the phone
        desk.reply(invite, 100)
        cancel = await desk.expect_request("CANCEL", skip=("INVITE",))
        desk.reply(cancel, 200)
        desk.reply(invite, 487, to_tag="b")
        await cancelling

    house.run(scenario)
    assert house.packets("CANCEL", source=3)[0][0] >= house.packets(100, to=3)[0][0]


@pytest.mark.row("CAN-3")
@pytest.mark.rfc("3261 9.1")
@pytest.mark.parametrize("status", [486, 200])
def test_a_cancel_is_dropped_when_a_final_response_comes_first(house: House, status: int) -> None:
    async def scenario() -> None:
        bob = house.peer(2)
        alice = await house.agent("alice", 3, proxy=False)
        call = alice.dial(FAR)
        invite = await bob.expect_request("INVITE")
        cancelling = asyncio.ensure_future(call.cancel())
        await asyncio.sleep(0.1)
        if status == 200:
            take(bob, invite)
            await bob.expect_request("ACK")
            bob.reply(await bob.expect_request("BYE"), 200)
        else:
            bob.reply(invite, status, to_tag="b")
            await bob.expect_request("ACK")
        await cancelling
        await bob.silence(40.0)

    house.run(scenario)
    assert house.sent("CANCEL") == []


@pytest.mark.row("CAN-3", "CAN-4")
@pytest.mark.rfc("3261 16.7")
@pytest.mark.parametrize("status", [200, 603])
def test_a_2xx_or_6xx_cancels_every_branch_without_a_final_response(house: House, status: int) -> None:
    async def scenario() -> None:
        await house.start()
        ringing, silent, refusing, winner = [await house.desk("bob", number) for number in (2, 3, 4, 5)]
        later = await house.desk("bob", 6, "q=0.5")
        caller = house.peer(7)
        house.send(caller, "INVITE", BOB, "Contact: <sip:a@10.0.0.7>", branch="i", call_id="c")
        invites = [await desk.expect_request("INVITE") for desk in (ringing, silent, refusing, winner)]
        ringing.reply(invites[0], 180, to_tag="r")
        refusing.reply(invites[2], 486, to_tag="x")
        await refusing.expect_request("ACK")
        winner.reply(invites[3], status, to_tag="w", headers=[("Contact", "<sip:bob@10.0.0.5>")])
        cancel = await ringing.expect_request("CANCEL")
        assert (cancel.get("reason") or "").startswith(f"SIP;cause={status}")
        ringing.reply(cancel, 200)
        ringing.reply(invites[0], 487, to_tag="r")
        await ringing.expect_request("ACK")
        await asyncio.sleep(1.0)
        assert house.sent("CANCEL", to=3) == []  # no 1xx yet
        silent.reply(invites[1], 180, to_tag="s")
        cancel = await silent.expect_request("CANCEL", skip=("INVITE",))
        silent.reply(cancel, 200)
        silent.reply(invites[1], 487, to_tag="s")
        await silent.expect_request("ACK")
        response = await caller.expect_response(status, skip=(100, 180))
        house.acknowledge(caller, response, BOB) if status > 299 else None
        await asyncio.sleep(40.0)
        assert house.sent("CANCEL", to=4) == house.sent("CANCEL", to=5) == []
        await later.silence(200.0)  # the next group is never asked

    house.run(scenario)


@pytest.mark.row("CAN-6", "CAN-5")
@pytest.mark.rfc("3261 16.10")
def test_a_proxy_answers_cancel_at_once_and_makes_its_own_for_every_pending_branch(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        desks = [await house.desk("bob", number) for number in (2, 3, 4)]
        caller = house.peer(5)
        house.send(caller, "INVITE", BOB, branch="i", call_id="c")
        invites = [await desk.expect_request("INVITE") for desk in desks]
        for desk, invite in zip(desks[:2], invites, strict=False):
            desk.reply(invite, 180, to_tag="d")
        desks[2].reply(invites[2], 486, to_tag="d")
        await caller.expect_response(180)
        await caller.expect_response(180)
        sent_at = house.world.now
        house.send(caller, "CANCEL", BOB, branch="i", call_id="c")
        assert (await caller.expect_response(200, skip=(100,))).cseq.method == "CANCEL"
        assert house.world.now - sent_at == pytest.approx(0.02, abs=0.001)  # one hop and back: nobody was asked
        for desk, invite in zip(desks[:2], invites, strict=False):
            cancel = await desk.expect_request("CANCEL")
            assert [str(via) for via in cancel.vias] == [str(invite.top_via)]
            desk.reply(cancel, 200)
            desk.reply(invite, 487, to_tag="d")
            await desk.expect_request("ACK")
        await desks[2].expect_request("ACK")
        house.acknowledge(caller, await caller.expect_response(487), BOB)
        house.send(caller, "CANCEL", BOB, branch="i", call_id="c")  # repeated: the same 200, and nothing else
        await caller.expect_response(200)
        await asyncio.sleep(10.0)
        assert [len(house.sent("CANCEL", to=number)) for number in (2, 3, 4)] == [1, 1, 0]

    house.run(scenario)


@pytest.mark.row("CAN-6")
@pytest.mark.rfc("3261 16.10")
def test_a_cancel_that_matches_nothing_goes_on_without_state(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        bob = await house.desk("bob", 2)
        caller = house.peer(3)
        await asyncio.sleep(40.0)
        for _ in range(2):
            house.send(caller, "CANCEL", BOB, branch="unheard-of", call_id="c")
        first, second = [await bob.expect_request("CANCEL") for _ in range(2)]
        assert first.uri_text == "sip:bob@10.0.0.2:5060"
        assert first.to_bytes() == second.to_bytes()  # the same branch each time, by computing it
        counts = house.server.counts()
        assert counts["server_transactions"] == counts["client_transactions"] == counts["proxy contexts"] == 0
        await caller.silence(1.0)  # it did not answer either

    house.run(scenario)


@pytest.mark.row("CAN-6")
@pytest.mark.rfc("3261 16.10")
def test_a_call_that_is_withdrawn_while_its_next_hop_is_looked_up_ends_with_487(house: House) -> None:
    async def scenario() -> None:
        await house.start(relay="anyone")
        house.world.zone["slow.test"] = ["10.0.0.2"]
        house.world.names.behave("slow.test", delay=20.0)
        caller = house.peer(3)
        uri = "sip:bob@slow.test:5060"
        house.send(caller, "INVITE", uri, branch="i", call_id="c")
        await asyncio.sleep(1.0)
        house.send(caller, "CANCEL", uri, branch="i", call_id="c")
        answers = [await caller.expect_response(200, skip=(100,)), await caller.expect_response(487)]
        assert [answer.cseq.method for answer in answers] == ["CANCEL", "INVITE"]
        house.acknowledge(caller, answers[1], uri)
        await asyncio.sleep(30.0)
        assert house.sent("INVITE", source=1) == []

    house.run(scenario)


def invite_and_cancel(house: House) -> tuple[str, str]:
    peer = house.peer(9)
    invite = house.request(peer, "INVITE", FAR, "Contact: <sip:a@10.0.0.9>", branch="i", call_id="c")
    cancel = house.request(peer, "CANCEL", FAR, branch="i", call_id="c")
    peer.close()
    return invite, cancel


@pytest.mark.row("CAN-7")
@pytest.mark.rfc("3261 9.2")
def test_a_cancel_before_the_final_response_ends_the_invite_with_487(house: House) -> None:
    ends: list[EndReason] = []

    async def scenario() -> None:
        bob = await house.agent("bob", 2, proxy=False)

        @bob.on_call
        async def _(call: Call) -> None:
            ended = call.ended
            await call.ring()
            ends.append(await ended)

        invite, cancel = invite_and_cancel(house)
        caller = house.peer(9)
        caller.send(invite, ("10.0.0.2", 5060))
        ringing = await caller.expect_response(180)
        caller.send(cancel)
        done = await caller.expect_response(200)
        gone = await caller.expect_response(487)
        assert (done.cseq.method, gone.cseq.method) == ("CANCEL", "INVITE")
        assert done.to_tag == gone.to_tag == ringing.to_tag is not None
        await caller.expect_response(487)  # repeated until it is acknowledged
        caller.send(acknowledgement(gone))
        caller.forget()
        await caller.silence(30.0)

    house.run(scenario)
    assert ends == [EndReason.CANCELLED]


def acknowledgement(response: Response) -> str:
    """The ACK to a failure, hop by hop."""
    lines = [
        f"ACK {FAR} SIP/2.0",
        f"Via: {response.get('via')}",
        "Max-Forwards: 70",
        f"From: {response.get('from')}",
        f"To: {response.get('to')}",
        "Call-ID: c",
        "CSeq: 1 ACK",
        "Content-Length: 0",
    ]
    return "\n".join(lines)


@pytest.mark.row("CAN-7")
@pytest.mark.rfc("3261 9.2")
@pytest.mark.parametrize("accept", [True, False])
def test_a_cancel_after_the_final_response_gets_200_and_has_no_other_effect(house: House, accept: bool) -> None:
    async def scenario() -> None:
        bob = await house.agent("bob", 2, proxy=False)
        states: list[str] = []

        @bob.on_call
        async def _(call: Call) -> None:
            if not accept:
                await call.reject(486)
                return
            try:
                await call.answer()
                states.append(call.state)
                await call.ended
            except CallEnded:
                pass

        invite, cancel = invite_and_cancel(house)
        caller = house.peer(9)
        caller.send(invite, ("10.0.0.2", 5060))
        final = await caller.expect_response(200 if accept else 486)
        caller.send(cancel)
        done = await caller.expect_response(200)
        assert (done.cseq.method, done.to_tag) == ("CANCEL", final.to_tag)
        if accept:
            caller.send(house.request(caller, "ACK", FAR, call_id="c", to_tag=final.to_tag or ""))
        else:
            caller.send(acknowledgement(final))
        await caller.silence(40.0)
        assert states == (["Confirmed"] if accept else [])
        if accept:
            caller.send(house.request(caller, "BYE", FAR, call_id="c", to_tag=final.to_tag or "", cseq=2))
            await caller.expect_response(200)

    house.run(scenario)


@pytest.mark.row("CAN-7")
@pytest.mark.rfc("3261 9.2")
def test_a_cancel_of_another_request_gets_200_and_does_nothing(house: House) -> None:
    async def scenario() -> None:
        bob = await house.agent("bob", 2, proxy=False)
        caller = house.peer(9)

        @bob.on_request("MESSAGE")
        async def _(incoming: object) -> None:
            await asyncio.sleep(2.0)

        caller.send(house.request(caller, "MESSAGE", FAR, branch="m", call_id="c"), ("10.0.0.2", 5060))
        await asyncio.sleep(0.5)
        caller.send(house.request(caller, "CANCEL", FAR, branch="m", call_id="c"))
        assert (await caller.expect_response(200)).cseq.method == "CANCEL"
        assert (await caller.expect_response(200)).cseq.method == "MESSAGE"

    house.run(scenario)


@pytest.mark.row("CAN-8")
@pytest.mark.rfc("3261 9.2")
def test_a_cancel_that_matches_no_transaction_gets_481(house: House) -> None:
    async def scenario() -> None:
        bob = await house.agent("bob", 2, proxy=False)
        invite, cancel = invite_and_cancel(house)
        caller = house.peer(9)

        @bob.on_call
        async def _(call: Call) -> None:
            await call.ring()
            await call.ended

        caller.send(cancel, ("10.0.0.2", 5060))
        await caller.expect_response(481)
        caller.send(invite)
        await caller.expect_response(180)
        caller.send(cancel.replace("z9hG4bKi", "z9hG4bKanother"))
        await caller.expect_response(481)
        caller.send(cancel.replace("10.0.0.9:5060;branch", "10.0.0.9:5099;branch"))  # another sent-by
        await asyncio.sleep(1.0)
        assert bob.counts()["calls"] == 1
        caller.send(cancel)
        await caller.expect_response(200)
        caller.send(acknowledgement(await caller.expect_response(487)))
        await asyncio.sleep(40.0)
        caller.send(cancel)  # its transaction has been forgotten
        await caller.expect_response(481)

    house.run(scenario)


@pytest.mark.row("CAN-9")
@pytest.mark.rfc("3261 9.1")
@pytest.mark.parametrize("provisional", [True, False])
def test_a_2xx_after_the_user_cancelled_is_acknowledged_and_ended(house: House, provisional: bool) -> None:
    async def scenario() -> None:
        bob = house.peer(2)
        alice = await house.agent("alice", 3, proxy=False)
        call = alice.dial(FAR)
        invite = await bob.expect_request("INVITE")
        if provisional:
            take(bob, invite, "b", 180)
            await asyncio.sleep(0.1)
        cancelling = asyncio.ensure_future(call.cancel())
        await asyncio.sleep(0.1)
        if provisional:
            bob.reply(await bob.expect_request("CANCEL"), 200)
        take(bob, invite, "b")
        ack = await bob.expect_request("ACK")
        end = await bob.expect_request("BYE")
        assert ack.to_tag == end.to_tag == "b"
        bob.reply(end, 200)
        await cancelling
        assert await call.ended is EndReason.CANCELLED

    house.run(scenario)


@pytest.mark.row("CAN-9")
@pytest.mark.rfc("3261 9.1")
def test_an_invite_that_gets_no_final_response_is_given_up_64_t1_after_its_cancel(house: House) -> None:
    async def scenario() -> None:
        bob = house.peer(2)
        alice = await house.agent("alice", 3, proxy=False)
        call = alice.dial(FAR)
        invite = await bob.expect_request("INVITE")
        take(bob, invite, "b", 180)
        await asyncio.sleep(0.1)
        cancelling = asyncio.ensure_future(call.cancel())
        bob.reply(await bob.expect_request("CANCEL"), 200)
        await cancelling
        assert house.world.now - house.packets("CANCEL")[0][0] == pytest.approx(32.0, abs=0.1)
        assert await call.ended is EndReason.CANCELLED
        assert alice.counts()["client_transactions"] == 0

    house.run(scenario)


@pytest.mark.row("CAN-10")
@pytest.mark.rfc("3261 15.1.1")
def test_a_bye_goes_end_to_end_along_the_route_set(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        bob = await house.phone("bob", 2)
        alice = await house.agent("alice", 3)

        @bob.on_call
        async def _(call: Call) -> None:
            await call.answer()
            await call.ended

        call = await alice.call(BOB)
        await asyncio.sleep(1.0)
        house.world.partition(SERVER[0], "10.0.0.2")
        hanging_up = asyncio.ensure_future(call.hangup())
        await asyncio.sleep(2.0)
        answered = [answer for answer in house.sent(200, to=3) if answer.cseq.method == "BYE"]
        assert answered == []  # the proxy does not answer for the far end
        house.world.heal()
        await hanging_up

    house.run(scenario)
    ours, theirs = house.sent("BYE", source=3)[0], house.sent("BYE", source=1)[0]
    assert isinstance(ours, Request)
    assert ours.get("route") == house.sent("INVITE", source=1)[0].get("record-route")
    assert [via.branch for via in theirs.vias][1:] == [ours.top_via.branch]  # the same one, passed on
    assert DOMAIN not in theirs.uri_text
