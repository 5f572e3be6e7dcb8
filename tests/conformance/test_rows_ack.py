"""ACK-1, ACK-2, ACK-4 and ACK-5: what is acknowledged, by whom, along which way."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from ringback import Call, CallEnded
from ringback.protocol.message.model import Request, Response
from tests.conformance.conftest import BOB, House, contact, outcome, recorded, take
from tests.server.conftest import DOMAIN, PASSWORD, SERVER

FAR = "sip:bob@10.0.0.2"


@pytest.mark.row("ACK-1")
@pytest.mark.rfc("3261 17.1.2")
def test_only_an_invite_is_ever_acknowledged(house: House) -> None:
    async def scenario() -> None:
        await house.start("alice", "bob")
        bob = await house.phone("bob", 2, password=PASSWORD)
        alice = await house.phone("alice", 3, password=PASSWORD)

        @bob.on_request("MESSAGE")
        async def _(incoming: object) -> None: ...

        @bob.on_call
        async def _(call: Call) -> None:
            await call.answer()
            await call.ended

        assert (await alice.request("MESSAGE", BOB)).status == 200
        assert (await alice.request("INFO", BOB)).status == 405
        assert (await alice.request("DANCE", BOB)).status == 501
        assert (await alice.options(f"sip:nobody@{DOMAIN}")).status == 404
        assert (await alice.options(BOB)).status == 200
        await alice.unregister()
        assert house.sent("ACK") == []
        call = await alice.call(BOB)
        await call.request_inside("OPTIONS")
        await call.hangup()

    house.run(scenario)
    acks = house.sent("ACK", source=3)
    assert [ack.cseq.method for ack in acks] == ["ACK", "ACK"]  # of the 407 and of the 200
    invites = {(invite.call_id, invite.cseq.number) for invite in house.sent("INVITE", source=3)}
    assert {(ack.call_id, ack.cseq.number) for ack in acks} == invites


@pytest.mark.row("ACK-1")
@pytest.mark.rfc("3261 17")
@pytest.mark.parametrize("secured", [True, False])
def test_nothing_ever_answers_an_ack(house: House, secured: bool) -> None:
    async def scenario() -> None:
        await house.start(*(("bob",) if secured else ()))
        bob = await house.phone("bob", 2, password=PASSWORD)
        stranger = house.peer(3)
        uris = (BOB, f"sip:nobody@{DOMAIN}", f"sip:{DOMAIN}", "sip:x@10.0.0.99", FAR, "tel:+1", "sip:")
        for uri in uris:
            for headers in ((), ("Require: teleport", "Proxy-Require: teleport"), (f"Route: <sip:{SERVER[0]};lr>",)):
                for fields in ({}, {"to_tag": "x"}, {"max_forwards": 0}):
                    house.send(stranger, "ACK", uri, *headers, to=BOB, **fields)
        for target in (BOB, FAR, "sip:nobody@10.0.0.2", "tel:+1"):
            stranger.send(house.request(stranger, "ACK", target, "Require: teleport", to_tag="x"), ("10.0.0.2", 5060))
        await stranger.silence(60.0)
        assert bob.counts()["calls"] == 0

    house.run(scenario)


@pytest.mark.row("ACK-2")
@pytest.mark.rfc("3261 13.2.2.4")
@pytest.mark.rfc("3261 22.1")
def test_an_ack_repeats_the_invite_and_is_never_challenged(house: House) -> None:
    async def scenario() -> None:
        await house.start("alice", "bob")
        bob = await house.phone("bob", 2, password=PASSWORD)
        alice = await house.phone("alice", 3, password=PASSWORD)

        @bob.on_request("INFO")
        async def _(incoming: object) -> None: ...

        @bob.on_call
        async def _(call: Call) -> None:
            try:
                await call.answer()
                await call.ended
            except CallEnded:
                pass

        with house.world.dropping("ACK sip:bob@10", count=3) as lost:
            call = await alice.call(BOB)
            assert (await call.request_inside("INFO")).status == 200
            assert (await call.request_inside("INFO")).status == 200
            await asyncio.sleep(6.0)
        assert len(lost) == 3
        await call.hangup()

    house.run(scenario)
    challenged, invite = house.sent("INVITE", source=3)
    answer = house.sent(200, source=2)
    refused, *acks = house.sent("ACK", source=3)
    assert refused.cseq.number == challenged.cseq.number
    tag = next(response.to_tag for response in answer if response.cseq.method == "INVITE")
    assert len(acks) >= 4
    for ack in acks:
        assert (ack.call_id, ack.from_tag, ack.to_tag) == (invite.call_id, invite.from_tag, tag)
        assert ack.cseq.number == invite.cseq.number
        assert ack.get("proxy-authorization") == invite.get("proxy-authorization") is not None
    (end,) = house.sent("BYE", source=3)
    assert end.cseq.number == invite.cseq.number + 3  # two INFO, and the count went on from there
    assert [response.cseq.method for response in house.sent(407)] == ["INVITE"]


@pytest.mark.row("ACK-2")
@pytest.mark.rfc("3261 22.1")
def test_the_ack_of_a_failure_repeats_the_credentials_too(house: House) -> None:
    async def scenario() -> None:
        await house.start("alice", "bob")
        bob = await house.phone("bob", 2, password=PASSWORD)
        alice = await house.agent("alice", 3, password=PASSWORD)
        bob.busy = True
        assert await outcome(alice.call(BOB)) == 486

    house.run(scenario)
    challenged, invite = house.sent("INVITE", source=3)
    first, second = house.sent("ACK", source=3)
    assert challenged.get("proxy-authorization") is first.get("proxy-authorization") is None
    assert second.get("proxy-authorization") == invite.get("proxy-authorization") is not None
    assert (second.from_tag, second.call_id, second.cseq.number) == (
        invite.from_tag,
        invite.call_id,
        invite.cseq.number,
    )
    assert second.to_tag == house.sent(486)[-1].to_tag


@pytest.mark.row("ACK-4")
@pytest.mark.rfc("3261 16.11")
def test_the_ack_of_a_2xx_goes_end_to_end_through_proxies_that_remember_nothing(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        bob = await house.desk("bob", 2)
        alice = await house.agent("alice", 3)
        calling = asyncio.ensure_future(alice.call(BOB))
        invite = await bob.expect_request("INVITE")
        bob.reply(invite, 200, to_tag="b", headers=[("Contact", "<sip:line7@10.0.0.2>"), *recorded(invite)])
        call = await calling
        ack = await bob.expect_request("ACK")
        assert ack.uri_text == "sip:line7@10.0.0.2"  # the remote target
        assert "route" not in ack.names  # used up on the way
        sent = house.sent("ACK", source=3)[0]
        assert sent.get_all("route") == [invite.get("record-route")]
        assert sent.top_via.branch not in {message.top_via.branch for message in house.sent("INVITE", source=3)}
        assert [via.branch for via in ack.vias][1:] == [sent.top_via.branch]
        assert ack.top_via.branch != invite.top_via.branch
        await asyncio.sleep(40.0)  # every transaction of the INVITE is gone, and an ACK passes all the same
        counts = house.server.counts()
        assert (counts["server_transactions"], counts["client_transactions"], counts["proxy contexts"]) == (0, 0, 0)
        bob.forget()
        house.world.host("10.0.0.3")
        alice_socket = house.world.host("10.0.0.3").bind("10.0.0.3", 5070, lambda endpoint: None)
        alice_socket.send(sent.to_bytes(), SERVER)
        again = await bob.expect_request("ACK")
        assert again.top_via.branch == ack.top_via.branch
        assert house.server.counts() == counts
        alice_socket.close()
        hanging_up = asyncio.ensure_future(call.hangup())
        bob.reply(await bob.expect_request("BYE"), 200)
        await hanging_up

    house.run(scenario)


@pytest.mark.row("ACK-4")
@pytest.mark.rfc("3261 17.1.1.3")
def test_the_ack_of_a_failure_is_made_anew_by_each_hop_and_absorbed_by_the_next(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        bob = await house.desk("bob", 2)
        caller = house.peer(3)
        house.send(caller, "INVITE", BOB, branch="mine", call_id="c")
        invite = await bob.expect_request("INVITE")
        bob.reply(invite, 486, to_tag="b")
        ack = await bob.expect_request("ACK")  # before the caller's could have come
        assert [str(via) for via in ack.vias] == [str(invite.top_via)]
        refused = await caller.expect_response(486)
        for _ in range(2):
            repeated = await caller.expect_response(486, timeout=5.0)  # until the caller's own ACK
            assert repeated.to_bytes() == refused.to_bytes()
        house.acknowledge(caller, refused, BOB)
        house.acknowledge(caller, refused, BOB)
        await caller.silence(30.0)
        await bob.silence(1.0)
        assert len(house.sent("ACK", to=2)) == 1

    house.run(scenario)


@pytest.mark.row("ACK-5")
@pytest.mark.rfc("3261 13.3.1.4")
def test_a_2xx_is_repeated_from_t1_to_t2_until_its_ack(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        bob = await house.phone("bob", 2)
        caller = house.peer(3)

        @bob.on_call
        async def _(call: Call) -> None:
            await call.answer()
            await call.ended

        house.send(caller, "INVITE", BOB, "Contact: <sip:a@10.0.0.3>", call_id="c")
        answer: Response | None = None
        for _ in range(6):
            answer = await caller.expect_response(200)
        assert answer is not None
        route = answer.get("record-route")
        dialog = {"call_id": "c", "to": BOB, "to_tag": answer.to_tag}
        target = answer.contacts[0].uri_text
        house.send(caller, "ACK", target, f"Route: {route}", **dialog)
        await caller.silence(40.0)
        await house.ask(caller, 200, "BYE", target, f"Route: {route}", cseq=2, **dialog)

    house.run(scenario)
    invite_answers = [at for at, answer in house.packets(200, source=2) if answer.cseq.method == "INVITE"]
    spaces = [later - sooner for sooner, later in pairwise(invite_answers)]
    assert spaces == pytest.approx([0.5, 1.0, 2.0, 4.0, 4.0], abs=0.1)


@pytest.mark.row("ACK-5")
@pytest.mark.rfc("3261 13.3.1.4")
def test_a_session_that_is_never_acknowledged_is_ended_by_bye(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        bob = await house.phone("bob", 2)
        caller = house.peer(3)

        @bob.on_call
        async def _(call: Call) -> None:
            await call.answer()

        house.send(caller, "INVITE", BOB, contact(caller, "alice")[0] + ": <sip:alice@10.0.0.3>")
        end = await caller.expect_request("BYE", skip=(200,))
        assert isinstance(end, Request)
        caller.reply(end, 200)
        await caller.silence(40.0)

    house.run(scenario)
    answers = [at for at, answer in house.packets(200, source=2) if answer.cseq.method == "INVITE"]
    assert len(answers) == 11  # 0, 0.5, 1.5, 3.5, then each 4 s to 31.5
    assert house.packets("BYE", source=2)[0][0] - answers[0] == pytest.approx(32.0, abs=0.1)


@pytest.mark.row("ACK-4")
def test_a_proxy_makes_no_ack_for_a_2xx(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        bob = await house.desk("bob", 2)
        caller = house.peer(3)
        house.send(caller, "INVITE", BOB, "Contact: <sip:alice@10.0.0.3>")
        invite = await bob.expect_request("INVITE")
        for _ in range(3):
            take(bob, invite)
            await caller.expect_response(200)
        await bob.silence(40.0)

    house.run(scenario)
