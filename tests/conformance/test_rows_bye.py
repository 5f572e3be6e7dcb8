"""BYE-1 to BYE-4 and BYE-6: who ends a session, and what it takes to end one."""

from __future__ import annotations

import asyncio

import pytest

from ringback import Call, CallEnded, EndReason
from tests.conformance.conftest import BOB, House, bye, outcome, take
from tests.server.conftest import DOMAIN, PASSWORD, SERVER

FAR = "sip:bob@10.0.0.2"


@pytest.mark.row("BYE-1")
@pytest.mark.rfc("3261 15")
def test_only_the_phones_send_bye_whatever_becomes_of_the_call(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        desks = [await house.desk("bob", number) for number in (2, 3)]
        caller = house.peer(4)
        house.send(caller, "INVITE", BOB, "Contact: <sip:alice@10.0.0.4>", call_id="c")
        invites = [await desk.expect_request("INVITE") for desk in desks]
        for desk, invite, tag in zip(desks, invites, "ab", strict=True):
            take(desk, invite, tag)  # two answers, and nobody acknowledges or ends either
        house.world.partition("10.0.0.4", SERVER[0])  # the caller has gone
        await asyncio.sleep(3600.0)
        house.world.heal()
        assert house.sent("BYE") == []
        desks[0].send(bye(desks[0], invites[0], "a"), SERVER)
        end = await caller.expect_request("BYE", skip=(100, 200))
        assert end.uri_text == "sip:alice@10.0.0.4"
        caller.reply(end, 481)
        await desks[0].expect_response(481)

    house.run(scenario)
    assert {packet.top_via.branch for packet in house.sent("BYE", source=2)} == {
        end.vias[1].branch for end in house.sent("BYE", source=1)
    }  # what left the proxy had come to it


@pytest.mark.row("BYE-2")
@pytest.mark.rfc("3261 15.1.2")
def test_a_bye_of_no_dialog_gets_481(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        bob = await house.phone("bob", 2)
        caller = house.peer(3)

        @bob.on_call
        async def _(call: Call) -> None:
            await call.answer()
            await call.ended

        house.send(caller, "INVITE", BOB, "Contact: <sip:a@10.0.0.3>", call_id="c", from_tag="f")
        answer = await caller.expect_response(200)
        route = f"Route: {answer.get('record-route')}"
        right = {"call_id": "c", "to": BOB, "to_tag": answer.to_tag or "", "from_tag": "f", "cseq": 2}
        target = answer.contacts[0].uri_text
        house.send(caller, "ACK", target, route, **right | {"cseq": 1})
        for wrong in ({"to_tag": "x"}, {"from_tag": "x"}, {"call_id": "another"}):
            await house.ask(caller, 481, "BYE", BOB, **right | wrong)
        await house.ask(caller, 481, "BYE", BOB, **right | {"to_tag": "", "cseq": 9})
        await asyncio.sleep(1.0)
        assert bob.counts()["calls"] == 1  # none of that touched the call
        await house.ask(caller, 200, "BYE", target, route, **right)
        await house.ask(caller, 481, "BYE", target, route, **right | {"cseq": 3})

    house.run(scenario)


@pytest.mark.row("BYE-3")
@pytest.mark.rfc("3261 15.1.1")
@pytest.mark.parametrize("status", [200, 481, 408, 480, 500, 603, None])
def test_the_session_is_over_on_any_answer_to_bye_and_on_none(house: House, status: int | None) -> None:
    async def scenario() -> None:
        bob = house.peer(2)
        alice = await house.agent("alice", 3, proxy=False)
        calling = asyncio.ensure_future(alice.call(FAR))
        invite = await bob.expect_request("INVITE")
        take(bob, invite)
        call = await calling
        await bob.expect_request("ACK")
        hanging_up = asyncio.ensure_future(call.hangup())
        await asyncio.sleep(0)
        assert call.state == "Leaving"  # no session any more, and nothing has left yet: what media there is has stopped
        assert house.sent("BYE") == []
        end = await bob.expect_request("BYE")
        if status is not None:
            bob.reply(end, status)
        await hanging_up
        assert await call.ended is EndReason.HUNG_UP
        assert await outcome(call.request_inside("INFO")) == "CallEnded"

    house.run(scenario)
    silence = house.delays("BYE")
    if status is None:
        assert silence == pytest.approx([0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5], abs=0.1)
    else:
        assert len(silence) == 1


@pytest.mark.row("BYE-3")
@pytest.mark.rfc("3261 22.2")
@pytest.mark.parametrize("status", [401, 407])
def test_a_challenged_bye_is_repeated_so_that_the_far_end_goes_down_too(house: House, status: int) -> None:
    async def scenario() -> None:
        bob = house.peer(2)
        alice = await house.agent("alice", 3, proxy=False, password=PASSWORD)
        calling = asyncio.ensure_future(alice.call(FAR))
        take(bob, await bob.expect_request("INVITE"))
        call = await calling
        await bob.expect_request("ACK")
        hanging_up = asyncio.ensure_future(call.hangup())
        first = await bob.expect_request("BYE")
        names = {401: ("WWW-Authenticate", "authorization"), 407: ("Proxy-Authenticate", "proxy-authorization")}
        challenge, credentials = names[status]
        bob.reply(first, status, headers=[(challenge, f'Digest realm="{DOMAIN}", nonce="n", algorithm=MD5')])
        second = await bob.expect_request("BYE")
        assert second.cseq.number == first.cseq.number + 1
        assert second.get(credentials) is not None
        assert not hanging_up.done()
        bob.reply(second, 200)
        await hanging_up

    house.run(scenario)


@pytest.mark.row("BYE-4")
@pytest.mark.rfc("3261 15.1.2")
def test_a_matching_bye_ends_the_session_and_gets_200(house: House) -> None:
    ends: list[EndReason] = []

    async def scenario() -> None:
        await house.start()
        bob = await house.phone("bob", 2)
        alice = await house.phone("alice", 3)

        @bob.on_call
        async def _(call: Call) -> None:
            await call.answer()
            ends.append(await call.ended)

        call = await alice.call(BOB)
        await asyncio.sleep(1.0)
        await call.hangup()
        assert call.state == "Terminated"

    house.run(scenario)
    assert ends == [EndReason.REMOTE]
    assert [answer.cseq.method for answer in house.sent(200, source=2)][-1] != "INVITE"
    assert sum(answer.cseq.method == "BYE" for answer in house.sent(200, source=2)) == 1


@pytest.mark.row("BYE-4")
@pytest.mark.rfc("3261 15.1.2")
def test_two_byes_that_cross_get_200_each(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        bob = await house.phone("bob", 2)
        alice = await house.phone("alice", 3)
        taken: list[Call] = []

        @bob.on_call
        async def _(call: Call) -> None:
            taken.append(call)
            await call.answer()
            await call.ended

        call = await alice.call(BOB)
        await asyncio.sleep(1.0)
        await asyncio.gather(call.hangup(), taken[0].hangup())  # neither waits for the other side
        assert [str(call.state), str(taken[0].state)] == ["Terminated", "Terminated"]
        taken.clear()

    house.run(scenario)
    assert len(house.sent("BYE", source=2)) == len(house.sent("BYE", source=3)) == 1
    for number in (2, 3):
        assert sum(answer.cseq.method == "BYE" for answer in house.sent(200, source=number)) == 1


@pytest.mark.row("BYE-6")
@pytest.mark.rfc("3261 15")
def test_the_caller_may_end_an_early_dialog_by_bye(house: House) -> None:
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
        await asyncio.sleep(1.0)
        (ringing,) = house.sent(180, to=3)
        alice.uac.leave_early(call.number, ringing.to_tag or "", alice.now())
        alice._agent.wake()
        assert await outcome(call.answered()) == 487

    house.run(scenario)
    assert ends == [EndReason.REMOTE]
    (end,) = house.sent("BYE", source=3)
    assert end.to_tag == house.sent(180)[0].to_tag
    assert sum(answer.cseq.method == "BYE" for answer in house.sent(200, to=3)) == 1
    assert house.sent("CANCEL") == []


@pytest.mark.row("BYE-6")
@pytest.mark.rfc("3261 15")
@pytest.mark.parametrize("acknowledged", [True, False])
def test_the_callee_sends_no_bye_before_the_ack_or_its_time_out(house: House, acknowledged: bool) -> None:
    async def scenario() -> None:
        bob = await house.agent("bob", 2, proxy=False)
        caller = house.peer(3)

        @bob.on_call
        async def _(call: Call) -> None:
            answering = asyncio.ensure_future(outcome(call.answer()))
            await asyncio.sleep(1.0)
            await call.hangup()
            await answering

        request = house.request(caller, "INVITE", FAR, "Contact: <sip:a@10.0.0.3>", call_id="c")
        caller.send(request, ("10.0.0.2", 5060))
        answer = await caller.expect_response(200)
        await asyncio.sleep(5.0)
        assert house.sent("BYE") == []
        if acknowledged:
            caller.send(house.request(caller, "ACK", FAR, call_id="c", to_tag=answer.to_tag or ""))
        caller.reply(await caller.expect_request("BYE", skip=(200,)), 200)

    house.run(scenario)
    waited = house.packets("BYE")[0][0] - house.packets(200)[0][0]
    assert waited == pytest.approx(5.02 if acknowledged else 32.0, abs=0.1)


@pytest.mark.row("BYE-6")
def test_a_callee_that_hangs_up_while_it_rings_refuses(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        bob = await house.phone("bob", 2)
        alice = await house.agent("alice", 3)

        @bob.on_call
        async def _(call: Call) -> None:
            await call.ring()
            try:
                await call.hangup()
            except CallEnded:
                pass

        assert await outcome(alice.call(BOB)) == 480

    house.run(scenario)
    assert house.sent("BYE") == []
