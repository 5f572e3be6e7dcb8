"""PX-1 to PX-3 and FRK-1 to FRK-3: what the proxy does with a request, and with what comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ringback.protocol.message.model import Request
from ringback.testing.peer import ScriptedPeer
from tests.conformance.conftest import BOB, House, recorded, take
from tests.server.conftest import DOMAIN, SERVER

ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'
CONTACT = "Contact: <sip:alice@10.0.0.9>"


async def stop(desk: ScriptedPeer, invite: Request, tag: str = "d") -> Request:
    """Have a phone obey its CANCEL, which is given back."""
    cancel = await desk.expect_request("CANCEL", skip=("INVITE",))
    desk.reply(cancel, 200)
    desk.reply(invite, 487, to_tag=tag)
    await desk.expect_request("ACK")
    return cancel


async def refuse(desk: ScriptedPeer, status: int, **options: Any) -> None:
    """Have a phone refuse its INVITE."""
    invite = await desk.expect_request("INVITE")
    desk.reply(invite, status, to_tag=f"d{status}", **options)
    await desk.expect_request("ACK")


@pytest.mark.row("PX-1")
@pytest.mark.rfc("3261 17.2.1")
def test_100_comes_after_200_ms_unless_the_invite_is_answered_before(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        bob = await house.desk("bob", 2)
        caller = house.peer(9)
        house.send(caller, "INVITE", BOB, CONTACT)
        started = house.world.now
        invite = await bob.expect_request("INVITE")
        trying = await caller.expect_response(100)
        assert house.world.now - started == pytest.approx(0.22, abs=0.01)
        assert trying.to_tag is None
        bob.reply(invite, 486, to_tag="b")
        house.acknowledge(caller, await caller.expect_response(486), BOB)
        await bob.expect_request("ACK")
        house.send(caller, "INVITE", BOB, CONTACT)
        await refuse(bob, 486)
        house.acknowledge(caller, await caller.expect_response(486), BOB)  # and no 100 before it
        await caller.silence(1.0)

    house.run(scenario)


@pytest.mark.row("PX-1")
@pytest.mark.rfc("3261 16.7")
def test_101_to_199_pass_at_once_and_100_does_not(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        bob = await house.desk("bob", 2)
        caller = house.peer(9)
        house.send(caller, "INVITE", BOB, CONTACT)
        invite = await bob.expect_request("INVITE")
        bob.reply(invite, 100)
        await caller.expect_response(100)  # the proxy's own, at its time
        assert len(house.sent(100, source=1)) == 1
        for status in (180, 183, 101, 199, 180):
            sent_at = house.world.now
            bob.reply(invite, status, to_tag="b")
            await caller.expect_response(status)
            assert house.world.now - sent_at == pytest.approx(0.02, abs=0.001)
        bob.reply(invite, 486, to_tag="b")
        house.acknowledge(caller, await caller.expect_response(486), BOB)
        await bob.expect_request("ACK")

    house.run(scenario)


@pytest.mark.row("PX-1")
@pytest.mark.rfc("3261 16.8")
def test_timer_c_is_reset_by_each_provisional_and_its_expiry_cancels(house: House) -> None:
    async def scenario() -> None:
        await house.start(proxy={"timer_c": 181})
        bob = await house.desk("bob", 2)
        caller = house.peer(9)
        house.send(caller, "INVITE", BOB, CONTACT)
        invite = await bob.expect_request("INVITE")
        for _ in range(5):
            bob.reply(invite, 180, to_tag="b")
            await asyncio.sleep(170.0)
        bob.reply(invite, 100)  # does not count
        assert house.sent("CANCEL") == []
        await stop(bob, invite)
        ringing = house.packets(180, source=2)[-1][0]
        assert house.packets("CANCEL")[0][0] - ringing == pytest.approx(181.0, abs=0.2)
        house.acknowledge(caller, await caller.expect_response(408, skip=(100, 180)), BOB)

    house.run(scenario)


@pytest.mark.row("PX-1")
@pytest.mark.rfc("3261 16.8")
def test_408_comes_when_nothing_did(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        await house.desk("bob", 2)
        caller = house.peer(9)
        house.send(caller, "INVITE", BOB, CONTACT)
        house.acknowledge(caller, await caller.expect_response(408, skip=(100,)), BOB)
        assert house.sent("CANCEL") == []

    house.run(scenario)


@pytest.mark.row("PX-2")
@pytest.mark.rfc("3261 16.6")
def test_requests_that_make_dialogs_are_record_routed_and_others_are_not(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        bob = await house.desk("bob", 2)
        caller = house.peer(9)
        for method in ("INVITE", "SUBSCRIBE", "REFER", "NOTIFY", "MESSAGE", "OPTIONS", "PUBLISH", "INFO"):
            house.send(caller, method, BOB, CONTACT)
            request = await bob.expect_request(method)
            routes = [route.uri for route in request.record_routes]
            assert len(routes) == (method in ("INVITE", "SUBSCRIBE", "REFER", "NOTIFY"))
            assert all(uri.lr and uri.hostport == f"{SERVER[0]}:{SERVER[1]}" for uri in routes)
            bob.reply(request, 403, to_tag="b")
            refused = await caller.expect_response(403)
            if method == "INVITE":
                await bob.expect_request("ACK")
                house.acknowledge(caller, refused, BOB)

    house.run(scenario)


@pytest.mark.row("PX-2")
@pytest.mark.rfc("3261 16.4")
@pytest.mark.rfc("3261 16.12")
def test_loose_and_strict_routers_are_both_understood(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        bob, caller, next_proxy = await house.desk("bob", 2), house.peer(9), house.peer(3)
        house.send(caller, "INVITE", BOB, CONTACT, call_id="c")
        invite = await bob.expect_request("INVITE")
        take(bob, invite)
        await caller.expect_response(200)
        ours = invite.record_routes[0].uri_text
        inside = {"call_id": "c", "to": BOB, "to_tag": "bob"}
        # A loose router before us: the target in the Request-URI, we on top of Route.
        house.send(caller, "INFO", "sip:bob@10.0.0.2", f"Route: <{ours}>", cseq=2, **inside)
        got = await bob.expect_request("INFO")
        assert (got.uri_text, got.has("route")) == ("sip:bob@10.0.0.2", False)
        bob.reply(got, 200)
        await caller.expect_response(200)
        # A strict router before us: we in the Request-URI, the target last in Route.
        route = "Route: <sip:10.0.0.3;lr>, <sip:bob@10.0.0.2>"
        house.send(caller, "INFO", ours, route, cseq=3, **inside)
        got = await next_proxy.expect_request("INFO")
        assert (got.uri_text, got.values("route")) == ("sip:bob@10.0.0.2", ["<sip:10.0.0.3;lr>"])
        next_proxy.reply(got, 200)
        await caller.expect_response(200)
        # A strict router behind us: it in the Request-URI, the target last in Route.
        route = f"Route: <{ours}>, <sip:10.0.0.3>, <sip:10.0.0.4;lr>"
        house.send(caller, "INFO", "sip:bob@10.0.0.2", route, cseq=4, **inside)
        got = await next_proxy.expect_request("INFO")
        assert got.uri_text == "sip:10.0.0.3"
        assert got.values("route") == ["<sip:10.0.0.4;lr>", "<sip:bob@10.0.0.2>"]
        next_proxy.reply(got, 200)
        await caller.expect_response(200)

    house.run(scenario)


@pytest.mark.row("PX-2")
@pytest.mark.rfc("3261 16.6")
def test_a_call_from_one_address_family_to_the_other_has_a_route_value_for_each(house: House) -> None:
    async def scenario() -> None:
        house.world.host(SERVER[0], "fd00::1")
        await house.start(listen=[f"udp:{SERVER[0]}:5060", "udp:[fd00::1]:5060"])
        bob = ScriptedPeer(house.world.host("fd00::2"), 5060, ("fd00::1", 5060))
        aor = f"sip:bob@{DOMAIN}"
        register = [
            f"REGISTER sip:{DOMAIN} SIP/2.0",
            "Via: SIP/2.0/UDP [fd00::2]:5060;branch=z9hG4bKr",
            "Max-Forwards: 70",
            f"From: <{aor}>;tag=r",
            f"To: <{aor}>",
            "Call-ID: r",
            "CSeq: 1 REGISTER",
            "Contact: <sip:bob@[fd00::2]>",
            "Content-Length: 0",
        ]
        bob.send("\n".join(register))
        await bob.expect_response(200)
        caller = house.peer(9)
        house.send(caller, "INVITE", BOB, CONTACT, call_id="c")
        invite = await bob.expect_request("INVITE")
        assert [route.uri.hostport for route in invite.record_routes] == ["[fd00::1]:5060", f"{SERVER[0]}:5060"]
        bob.reply(invite, 200, to_tag="b", headers=[("Contact", "<sip:bob@[fd00::2]>"), *recorded(invite)])
        answer = await caller.expect_response(200)
        route = "Route: " + ", ".join(reversed(answer.values("record-route")))
        inside = {"call_id": "c", "to": BOB, "to_tag": "b"}
        house.send(caller, "ACK", "sip:bob@[fd00::2]", route, **inside)
        assert not (await bob.expect_request("ACK")).has("route")
        house.send(caller, "BYE", "sip:bob@[fd00::2]", route, cseq=2, **inside)
        end = await bob.expect_request("BYE")
        assert not end.has("route")
        bob.reply(end, 200)
        await caller.expect_response(200)

    house.run(scenario)


@pytest.mark.row("PX-2")
@pytest.mark.rfc("3261 16.5")
@pytest.mark.parametrize("uri", ["sip:carol@10.0.0.4", f"sip:bob@{DOMAIN};maddr=10.0.0.4"])
def test_strangers_are_relayed_only_when_they_prove_to_be_users(house: House, uri: str) -> None:
    async def scenario() -> None:
        await house.start("alice", "bob")
        stranger, far = house.peer(3), house.peer(4)
        name = "sip:stranger@other.test"
        for method in ("MESSAGE", "INVITE", "SUBSCRIBE"):
            refused = await house.ask(stranger, 407, method, uri, from_=name)
            house.acknowledge(stranger, refused, uri)
        await far.silence(1.0)
        refused = await house.ask(stranger, 407, "MESSAGE", uri, call_id="c")
        line = house.credentials(refused, "MESSAGE", uri, "alice")
        house.send(stranger, "MESSAGE", uri, line, call_id="c", cseq=2)
        got = await far.expect_request("MESSAGE")  # a maddr is the only target, whatever the domain says
        far.reply(got, 200)
        await stranger.expect_response(200)

    house.run(scenario)


@pytest.mark.row("PX-2")
def test_values_in_one_line_are_taken_one_by_one(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        bob, caller = await house.desk("bob", 2), house.peer(9)
        text = house.request(caller, "INVITE", BOB, CONTACT, "Record-Route: <sip:10.0.0.8;lr>, <sip:10.0.0.7;lr>")
        text = text.replace("\r\nMax-Forwards", ", SIP/2.0/UDP 10.0.0.8:5060;branch=z9hG4bKbelow\r\nMax-Forwards")
        caller.send(text.encode(), SERVER)
        invite = await bob.expect_request("INVITE")
        assert len(invite.vias) == 3
        assert [route.uri.host for route in invite.record_routes] == [SERVER[0], "10.0.0.8", "10.0.0.7"]
        take(bob, invite)
        answer = await caller.expect_response(200)
        assert [via.branch for via in answer.vias] == [via.branch for via in invite.vias][1:]
        assert answer.values("record-route") == invite.values("record-route")

    house.run(scenario)


@pytest.mark.row("PX-3")
@pytest.mark.rfc("3261 16.3")
def test_what_cannot_be_forwarded_is_refused_with_its_reason(house: House) -> None:
    async def scenario() -> None:
        await house.start("bob", "carol")
        caller = house.peer(9)
        stranger = {"from_": "sip:x@other.test"}
        await house.ask(caller, 404, "MESSAGE", f"sip:nobody@{DOMAIN}", **stranger)
        await house.ask(caller, 480, "MESSAGE", BOB, **stranger)
        for uri in ("tel:+4930123456", "soup:bob@example.test", "http://example.test/"):
            await house.ask(caller, 416, "MESSAGE", uri, **stranger)
        refused = await house.ask(caller, 420, "MESSAGE", BOB, "Proxy-Require: teleport, foo", **stranger)
        assert refused.get("unsupported") == "teleport, foo"

    house.run(scenario)


@pytest.mark.row("PX-3")
@pytest.mark.rfc("3261 16.7")
@pytest.mark.parametrize("recurse", [True, False])
def test_a_redirection_is_followed_or_passed_up_and_no_uri_is_tried_twice(house: House, recurse: bool) -> None:
    async def scenario() -> None:
        await house.start(proxy={"recurse": recurse})
        first, second = await house.desk("bob", 2), house.peer(3)
        caller = house.peer(9)
        house.send(caller, "INVITE", BOB, CONTACT)
        here, there = "<sip:bob@10.0.0.2:5060>", "<sip:bob@10.0.0.3>"
        await refuse(first, 302, headers=[("Contact", f"{there}, {here}")])
        if recurse:
            invite = await second.expect_request("INVITE")
            assert invite.uri_text == "sip:bob@10.0.0.3"
            second.reply(invite, 302, to_tag="s", headers=[("Contact", f"{here}, <sip:BOB@10.0.0.3>;q=0.1")])
            await second.expect_request("ACK")
            # Another user (the user part minds its case): the same address, asked as another URI.
            await refuse(second, 302, headers=[("Contact", f"{here}, {there}")])
        else:
            await second.silence(1.0)
        response = await caller.expect_response(302, skip=(100,))
        house.acknowledge(caller, response, BOB)
        assert len(house.sent("INVITE", to=2)) == 1
        await first.silence(5.0)

    house.run(scenario)


@pytest.mark.row("FRK-1")
@pytest.mark.rfc("3261 16.6")
@pytest.mark.rfc("3326 2")
def test_all_ring_at_once_the_first_2xx_wins_and_the_rest_learn_why_they_stop(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        desks = [await house.desk("bob", number) for number in (2, 3, 4)]
        caller = house.peer(9)
        house.send(caller, "INVITE", BOB, CONTACT)
        invites = [await desk.expect_request("INVITE") for desk in desks]
        assert len({at for at, _ in house.packets("INVITE", source=1)}) == 1
        assert len({invite.top_via.branch for invite in invites}) == 3
        for desk, invite in zip(desks, invites, strict=True):
            desk.reply(invite, 180, to_tag="d")
        take(desks[1], invites[1], "winner")
        for index in (0, 2):
            assert (await stop(desks[index], invites[index])).get_all("reason") == [ELSEWHERE]
        answer = await caller.expect_response(200, skip=(180,))
        assert answer.to_tag == "winner"
        await caller.silence(40.0)
        assert house.sent("CANCEL", to=3) == []

    house.run(scenario)


@pytest.mark.row("FRK-1")
@pytest.mark.rfc("3326 2")
def test_the_reason_of_a_cancel_goes_with_those_made_from_it(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        desks = [await house.desk("bob", number) for number in (2, 3)]
        caller = house.peer(9)
        house.send(caller, "INVITE", BOB, CONTACT, branch="i", call_id="c")
        invites = [await desk.expect_request("INVITE") for desk in desks]
        for desk, invite in zip(desks, invites, strict=True):
            desk.reply(invite, 180, to_tag="d")
        await asyncio.sleep(0.1)
        reasons = ['SIP;cause=600;text="Busy, everywhere"', "Q.850;cause=16"]
        house.send(caller, "CANCEL", BOB, *(f"Reason: {reason}" for reason in reasons), branch="i", call_id="c")
        for desk, invite in zip(desks, invites, strict=True):
            assert (await stop(desk, invite)).get_all("reason") == reasons
        house.acknowledge(caller, await caller.expect_response(487, skip=(180, 200)), BOB)

    house.run(scenario)


@pytest.mark.row("FRK-2")
@pytest.mark.rfc("3261 16.6")
def test_targets_are_tried_by_q_equal_ones_together_and_none_counts_as_1(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        without, with_one = await house.desk("bob", 2), await house.desk("bob", 3, "q=1.0")
        third, fourth, last = [
            await house.desk("bob", number, f"q={q}") for number, q in ((4, "0.5"), (5, "0.5"), (6, "0.1"))
        ]
        caller = house.peer(9)
        house.send(caller, "INVITE", BOB, CONTACT)
        for group in ((without, with_one), (third, fourth)):
            invites = [await desk.expect_request("INVITE") for desk in group]
            await asyncio.sleep(0.2)
            asked = len(house.sent("INVITE", source=1))
            for desk, invite in zip(group, invites, strict=True):
                assert len(house.sent("INVITE", source=1)) == asked  # nobody else while one of them rings
                desk.reply(invite, 486, to_tag="d")
                await desk.expect_request("ACK")
        invite = await last.expect_request("INVITE")
        take(last, invite)
        await caller.expect_response(200, skip=(100,))
        assert len(house.sent("INVITE", source=1)) == 5

    house.run(scenario)


@pytest.mark.row("FRK-2")
@pytest.mark.rfc("3261 16.6")
@pytest.mark.parametrize("status", [200, 603])
def test_a_branch_that_timed_out_is_cancelled_and_a_2xx_or_6xx_ends_the_sequence(house: House, status: int) -> None:
    async def scenario() -> None:
        await house.start(proxy={"ring_time": 10})
        first, second, third = [
            await house.desk("bob", number, f"q={q}") for number, q in ((2, "0.9"), (3, "0.5"), (4, "0.1"))
        ]
        caller = house.peer(9)
        house.send(caller, "INVITE", BOB, CONTACT)
        invite = await first.expect_request("INVITE")
        first.reply(invite, 180, to_tag="f")
        await stop(first, invite)
        (cancelled,) = house.packets("CANCEL", to=2)
        started = house.packets("INVITE", to=3)[0][0]
        assert cancelled[0] - house.packets("INVITE", to=2)[0][0] == pytest.approx(10.0, abs=0.1)
        assert cancelled[0] <= started
        assert [packet.data[:6] for packet in house.world.trace if packet.sent_at == cancelled[0]][:1] == [b"CANCEL"]
        invite = await second.expect_request("INVITE")
        second.reply(invite, status, to_tag="s", headers=[("Contact", "<sip:bob@10.0.0.3>")])
        response = await caller.expect_response(status, skip=(100, 180))
        if status > 299:
            house.acknowledge(caller, response, BOB)
        await third.silence(40.0)

    house.run(scenario)


BEST = [
    ((404, 603, 200), 200),
    ((404, 603), 603),
    ((600, 302), 600),
    ((404, 302, 503), 302),
    ((500, 404), 404),
    ((404, 401), 401),
    ((404, 407), 407),
    ((404, 415), 415),
    ((404, 420), 420),
    ((404, 484), 484),
    ((404, 408), 404),
    ((503, 500), 500),
    ((503,), 500),
    ((503, 504), 504),
]


@pytest.mark.row("FRK-3")
@pytest.mark.rfc("3261 16.7")
@pytest.mark.parametrize(("statuses", "best"), BEST)
def test_the_best_response_goes_up(house: House, statuses: tuple[int, ...], best: int) -> None:
    async def scenario() -> None:
        await house.start()
        desks = [await house.desk("bob", number) for number in range(2, 2 + len(statuses))]
        caller = house.peer(9)
        house.send(caller, "INVITE", BOB, CONTACT)
        invites = [await desk.expect_request("INVITE") for desk in desks]
        challenge = 'Digest realm="far", nonce="n"'
        for desk, invite, status in zip(desks, invites, statuses, strict=True):
            headers = [("Contact", f"<sip:bob@{desk.local[0]}>")] if status < 400 else []
            if status == 401:
                headers = [("WWW-Authenticate", challenge)]
            if status == 407:
                headers = [("Proxy-Authenticate", challenge)]
            desk.reply(invite, status, to_tag="d", headers=headers)
        response = await caller.expect_response(best)
        house.acknowledge(caller, response, BOB) if best > 299 else None
        await caller.silence(40.0)

    house.run(scenario)


@pytest.mark.row("FRK-3")
@pytest.mark.rfc("3261 16.7")
def test_challenges_of_all_branches_go_up_together(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        desks = [await house.desk("bob", number) for number in (2, 3, 4)]
        caller = house.peer(9)
        house.send(caller, "INVITE", BOB, CONTACT)
        invites = [await desk.expect_request("INVITE") for desk in desks]
        asked = ["Digest realm=one, nonce=a", "Digest realm=two, nonce=b", "Digest realm=three, nonce=c"]
        for desk, invite, status, value in zip(desks, invites, (401, 407, 401), asked, strict=True):
            name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
            desk.reply(invite, status, to_tag="d", headers=[(name, value)])
        response = await caller.expect_response(401)
        assert sorted(response.get_all("www-authenticate")) == sorted([asked[0], asked[2]])
        assert response.get_all("proxy-authenticate") == [asked[1]]
        house.acknowledge(caller, response, BOB)

    house.run(scenario)


@pytest.mark.row("FRK-3", "TRN-6")
@pytest.mark.rfc("4320 4.2")
def test_silence_is_408_for_an_invite_and_silence_for_another(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        await house.desk("bob", 2)
        caller = house.peer(9)
        house.send(caller, "MESSAGE", BOB)
        with_nothing = house.world.now
        await caller.expect_response(100)  # when Timer E has reached T2, and no sooner
        assert house.world.now - with_nothing == pytest.approx(3.52, abs=0.02)
        await caller.silence(60.0)
        house.send(caller, "INVITE", BOB, CONTACT)
        house.acknowledge(caller, await caller.expect_response(408, skip=(100,)), BOB)

    house.run(scenario)


@pytest.mark.row("FRK-3")
@pytest.mark.row("INV-7")
@pytest.mark.rfc("3261 16.7")
def test_every_2xx_is_forwarded_late_ones_too(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        desks = [await house.desk("bob", number) for number in (2, 3)]
        caller = house.peer(9)
        house.send(caller, "INVITE", BOB, CONTACT, branch="i", call_id="c")
        invites = [await desk.expect_request("INVITE") for desk in desks]
        desks[1].reply(invites[1], 180, to_tag="b")
        take(desks[0], invites[0], "a")
        await desks[1].expect_request("CANCEL")
        take(desks[1], invites[1], "b")  # it crosses the CANCEL
        answers = [await caller.expect_response(200, skip=(180,)) for _ in range(2)]
        take(desks[0], invites[0], "a")  # repeated by the phone, as no ACK has come
        answers.append(await caller.expect_response(200))
        assert [answer.to_tag for answer in answers] == ["a", "b", "a"]

        # One that crosses the caller's own CANCEL reaches the caller all the same.
        house.send(caller, "INVITE", BOB, CONTACT, branch="j", call_id="d")
        invites = [await desk.expect_request("INVITE", skip=("CANCEL",)) for desk in desks]
        for desk, invite in zip(desks, invites, strict=True):
            desk.reply(invite, 180, to_tag="x")
        await asyncio.sleep(0.1)
        house.send(caller, "CANCEL", BOB, branch="j", call_id="d")
        await stop(desks[0], invites[0], "x")
        take(desks[1], invites[1], "late")
        answers = [await caller.expect_response(200, skip=(180,)) for _ in range(2)]
        assert [answer.cseq.method for answer in answers] == ["CANCEL", "INVITE"]
        assert answers[1].to_tag == "late"

    house.run(scenario)
