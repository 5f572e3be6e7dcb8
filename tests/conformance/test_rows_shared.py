"""DLG-1, AUT-1, TRN-1, TRN-4, TRN-5 and TRN-6: what holds under all methods."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ringback import Call, EndReason, IncomingRequest, UserAgent
from ringback.protocol.auth.authenticator import Authenticator
from ringback.protocol.auth.digest import compute_ha1
from ringback.protocol.message.model import Request, Response
from ringback.protocol.message.registry import METHODS
from ringback.protocol.message.values import Challenge
from ringback.testing.peer import ScriptedPeer
from tests.conformance.conftest import BOB, OFFER, House, bye, outcome, take
from tests.conformance.test_torture_uas import RFC4475, RFC5118
from tests.server.conftest import DOMAIN, PASSWORD, SERVER

FAR = "sip:bob@10.0.0.2"
PHONE = ("10.0.0.2", 5060)
CONTACT = "Contact: <sip:alice@10.0.0.9>"
T1_TO_T2 = [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
DOUBLING = [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]


async def taking_phone(house: House, number: int = 2, **options: object) -> UserAgent:
    """Bob's user agent, without a server, which takes every call."""
    bob = await house.agent("bob", number, proxy=False, **options)

    @bob.on_call
    async def _(call: Call) -> None:
        ended = call.ended
        await call.answer()
        await ended

    return bob


# dialogs


@pytest.mark.row("DLG-1")
@pytest.mark.rfc("3261 12.1")
def test_each_side_sends_along_its_route_set_to_the_remote_target(house: House) -> None:
    async def scenario() -> None:
        bob = house.peer(2)
        alice = await house.agent("alice", 3, proxy=False)
        calling = asyncio.ensure_future(alice.call(FAR))
        invite = await bob.expect_request("INVITE")
        routes = "<sip:10.0.0.2;lr;hop=2>, <sip:10.0.0.2;lr;hop=1>"
        bob.reply(invite, 200, to_tag="b", headers=[("Contact", "<sip:line7@10.0.0.7>"), ("Record-Route", routes)])
        call = await calling
        ack = await bob.expect_request("ACK")
        asking = asyncio.ensure_future(outcome(call.request_inside("INFO")))
        info = await bob.expect_request("INFO")
        bob.reply(info, 200)
        assert await asking == 200
        # Its own 2xx, and a re-INVITE of the peer, move the target and never the route set.
        asking = asyncio.ensure_future(outcome(call.request_inside("INVITE", body=OFFER)))
        again = await bob.expect_request("INVITE")
        moved = [("Contact", "<sip:line8@10.0.0.8>"), ("Record-Route", "<sip:10.0.0.99;lr>")]
        bob.reply(again, 200, headers=moved)
        assert await asking == 200
        second = await bob.expect_request("ACK")
        text = bye(bob, invite, "b", cseq=7, method="INVITE").replace("CSeq", "Contact: <sip:line9@10.0.0.9>\nCSeq")
        bob.send(text, ("10.0.0.3", 5060))
        answer = await bob.expect_response(200)
        bob.send(text.replace("INVITE", "ACK").replace("branch=z9hG4bK", "branch=z9hG4bKack"))
        assert answer.contacts[0].uri_text.startswith("sip:alice@10.0.0.3")
        hanging_up = asyncio.ensure_future(call.hangup())
        end = await bob.expect_request("BYE")
        bob.reply(end, 200)
        await hanging_up
        route_set = ["<sip:10.0.0.2;lr;hop=1>", "<sip:10.0.0.2;lr;hop=2>"]
        targets = [(message.uri_text, message.values("route")) for message in (ack, info, again, second, end)]
        lines = ["sip:line7@10.0.0.7"] * 3 + ["sip:line8@10.0.0.8", "sip:line9@10.0.0.9"]
        assert targets == [(line, route_set) for line in lines]

    house.run(scenario)


@pytest.mark.row("DLG-1")
@pytest.mark.rfc("3261 12.1.1")
def test_the_called_side_keeps_the_route_set_in_its_order(house: House) -> None:
    async def scenario() -> None:
        bob = await house.agent("bob", 2, proxy=False)
        caller = house.peer(9)

        @bob.on_call
        async def _(call: Call) -> None:
            await call.answer()
            await asyncio.sleep(1.0)
            await call.hangup()

        routes = "<sip:10.0.0.9;lr;hop=2>, <sip:10.0.0.9;lr;hop=1>"
        caller.send(house.request(caller, "INVITE", FAR, CONTACT, f"Record-Route: {routes}", call_id="c"), PHONE)
        answer = await caller.expect_response(200)
        assert ", ".join(answer.get_all("record-route")) == routes
        caller.send(house.request(caller, "ACK", FAR, call_id="c", to_tag=answer.to_tag or ""))
        end = await caller.expect_request("BYE")
        assert (end.uri_text, ", ".join(end.values("route"))) == ("sip:alice@10.0.0.9", routes)
        assert (end.from_tag, end.to_tag) == (answer.to_tag, "from")
        caller.reply(end, 200)

    house.run(scenario)


@pytest.mark.row("DLG-1")
@pytest.mark.rfc("3261 12.2.2")
def test_each_direction_counts_by_itself_and_a_lower_number_gets_500(house: House) -> None:
    async def scenario() -> None:
        bob = await taking_phone(house)
        caller = house.peer(9)

        @bob.on_request("INFO")
        async def _(incoming: object) -> None: ...

        caller.send(house.request(caller, "INVITE", FAR, CONTACT, call_id="c", cseq=10), PHONE)
        answer = await caller.expect_response(200)
        inside = {"call_id": "c", "to_tag": answer.to_tag or ""}
        caller.send(house.request(caller, "ACK", FAR, cseq=10, **inside))
        for number, status in ((11, 200), (9, 500), (2000, 200), (1999, 500), (2001, 200)):
            caller.send(house.request(caller, "INFO", FAR, cseq=number, **inside))
            await caller.expect_response(status)
        assert bob.counts()["calls"] == 1
        caller.send(house.request(caller, "BYE", FAR, cseq=5, **inside))
        await caller.expect_response(500)
        assert bob.counts()["calls"] == 1
        caller.send(house.request(caller, "BYE", FAR, cseq=2**31 - 1, **inside))
        await caller.expect_response(200)

    house.run(scenario)


@pytest.mark.row("DLG-1")
@pytest.mark.rfc("3261 12.2.2")
def test_a_to_tag_of_no_dialog_gets_481_for_every_method_but_ack(house: House) -> None:
    async def scenario() -> None:
        bob = await taking_phone(house)
        caller = house.peer(9)
        methods = [method for method in METHODS if method != "ACK"]
        for method in methods:
            if method not in ("INVITE", "CANCEL", "BYE", "OPTIONS"):
                bob.on_request(method)(never)
        for method in methods:
            caller.send(house.request(caller, method, FAR, CONTACT, to_tag="nobody"), PHONE)
            refused = await caller.expect_response(481)
            if method == "INVITE":
                caller.send(house.request(caller, "ACK", FAR, to_tag="nobody", branch=branch(refused)))
        caller.send(house.request(caller, "ACK", FAR, to_tag="nobody"))
        await caller.silence(1.0)

    house.run(scenario)


async def never(incoming: object) -> None:
    raise AssertionError("this must not reach the application")


def branch(response: Response) -> str:
    return (response.top_via.branch or "").removeprefix("z9hG4bK")


@pytest.mark.row("DLG-1")
@pytest.mark.rfc("3261 8.2.2.2")
def test_the_same_request_by_another_path_gets_482(house: House) -> None:
    async def scenario() -> None:
        bob = await taking_phone(house)
        caller = house.peer(9)
        taken = []

        @bob.on_request("MESSAGE")
        async def _(incoming: object) -> None:
            taken.append(incoming)

        for method in ("MESSAGE", "INVITE"):
            first = house.request(caller, method, FAR, CONTACT, call_id=method, branch=f"one{method}")
            caller.send(first, PHONE)
            answer = await caller.expect_response(200)
            caller.send(first.replace("z9hG4bKone", "z9hG4bKtwo"))
            merged = await caller.expect_response(482)
            if method == "INVITE":
                caller.send(house.request(caller, "ACK", FAR, call_id=method, branch=branch(merged)))
                caller.send(house.request(caller, "ACK", FAR, call_id=method, to_tag=answer.to_tag or ""))
                caller.send(house.request(caller, "BYE", FAR, call_id=method, to_tag=answer.to_tag or "", cseq=2))
                await caller.expect_response(200)
            else:
                caller.send(first)  # the very same is a repetition, and gets the same answer
                await caller.expect_response(200)
                caller.send(house.request(caller, method, FAR, call_id=method, cseq=2))  # and this is a new one
                await caller.expect_response(200)
        assert len(taken) == 2
        taken.clear()

    house.run(scenario)


# authentication


@pytest.mark.row("AUT-1")
@pytest.mark.rfc("3261 22.1")
@pytest.mark.rfc("8760 2.3")
def test_a_phone_challenges_401_and_a_proxy_407_and_the_caller_answers_both(house: House) -> None:
    async def scenario() -> None:
        await house.start("alice", "bob")
        bob = await house.phone("bob", 2, password=PASSWORD)
        alice = await house.phone("alice", 3, password=PASSWORD, realm="phones.test")

        @bob.on_call
        async def _(call: Call) -> None:
            ended = call.ended
            await call.answer()
            await ended

        @bob.on_request("MESSAGE")
        async def _(incoming: object) -> None: ...

        door = Authenticator("phones.test", b"0123456789abcdef", algorithms=("SHA-512-256", "MD5"))

        def ha1(username: str, realm: str, algorithm: str) -> str | None:
            return compute_ha1(algorithm, username, realm, PASSWORD) if username == "alice" else None

        def challenge(request: Request, now: float) -> list[str]:
            values = request.get_all("authorization")
            if values and f'uri="{BOB}"' in values[0]:
                request = request.copy()
                request.set_uri(BOB)  # what alice asked for, before the proxy found where that is (§22.4 item 5)
            return [] if door.verify(request, values, ha1, now).accepted else door.challenge(now)

        bob.uas.challenge = challenge
        assert (await alice.request("MESSAGE", BOB)).status == 200
        assert (await alice.options(BOB)).status == 200
        call = await alice.call(BOB)
        await asyncio.sleep(1.0)
        await call.hangup()

    house.run(scenario)
    asked = {answer.cseq.method for answer in house.sent(401, source=2)}
    assert asked == {"MESSAGE", "OPTIONS", "INVITE", "BYE"}
    assert {"MESSAGE", "OPTIONS", "INVITE"} <= {answer.cseq.method for answer in house.sent(407, to=3)}
    for response in house.sent(401, source=2):
        challenges = [Challenge.parse(value) for value in response.get_all("www-authenticate")]
        assert [value.params["algorithm"] for value in challenges] == ["SHA-512-256", "MD5"]
    for response in house.sent(407, to=3):
        challenges = [Challenge.parse(value) for value in response.get_all("proxy-authenticate")]
        assert [value.params["algorithm"] for value in challenges] == ["SHA-256", "MD5"]
    assert house.sent("ACK", source=3)[-1].has("authorization")


@pytest.mark.row("AUT-1")
@pytest.mark.rfc("3261 22.1")
def test_the_registrar_challenges_401_and_the_proxy_407_all_methods_but_two(house: House) -> None:
    async def scenario() -> None:
        await house.start("alice", "bob")
        caller = house.peer(9)
        for method in [*METHODS, "DANCE"]:
            if method in ("ACK", "CANCEL"):
                house.send(caller, method, BOB)
                await caller.silence(0.5) if method == "ACK" else await caller.expect_response(480)
                continue
            status, uri = (401, f"sip:{DOMAIN}") if method == "REGISTER" else (407, BOB)
            to = f"sip:alice@{DOMAIN}"
            refused = await house.ask(caller, status, method, uri, to=to, cseq=1, call_id=method)
            house.acknowledge(caller, refused, uri)
            name = "www-authenticate" if status == 401 else "proxy-authenticate"
            challenges = [Challenge.parse(value) for value in refused.get_all(name)]
            assert [value.params["algorithm"] for value in challenges] == ["SHA-256", "MD5"]

    house.run(scenario)


@pytest.mark.row("AUT-1")
@pytest.mark.rfc("8760 2.4")
@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        (("SHA-999", "MD5", "SHA-256"), "MD5"),
        (("SHA-256", "MD5"), "SHA-256"),
        (("SHA-512-256", "SHA-256"), "SHA-512-256"),
        (("SHA-999",), None),
    ],
)
def test_the_client_takes_the_first_algorithm_that_it_knows(
    house: House, offered: tuple[str, ...], taken: str | None
) -> None:
    async def scenario() -> None:
        peer = house.peer(1)
        bob = await house.agent("bob", 2, password=PASSWORD)
        asking = asyncio.ensure_future(outcome(bob.register()))
        request = await peer.expect_request("REGISTER")
        values = [f'Digest realm="{DOMAIN}", nonce="n", qop="auth", algorithm={name}' for name in offered]
        peer.reply(request, 401, headers=[("WWW-Authenticate", value) for value in values])
        if taken is None:
            assert await asking == 401
            return
        request = await peer.expect_request("REGISTER")
        assert f"algorithm={taken}" in (request.get("authorization") or "")
        peer.reply(request, 200, headers=[("Contact", f"{request.get('contact')};expires=3600")])
        assert await asking == 3600
        leaving = asyncio.ensure_future(bob.unregister())
        peer.reply(await peer.expect_request("REGISTER"), 200)
        await leaving

    house.run(scenario)


# transactions


@pytest.mark.row("TRN-1")
@pytest.mark.rfc("3261 17.1.1.2")
def test_an_invite_is_repeated_by_timer_a_until_timer_b(house: House) -> None:
    async def scenario() -> None:
        alice = await house.agent("alice", 3, proxy=False)
        assert await outcome(alice.call(FAR)) == "TransactionTimeout"
        assert house.world.now == pytest.approx(32.0, abs=0.1)

    house.run(scenario)
    assert house.delays("INVITE") == pytest.approx(DOUBLING, abs=0.1)


@pytest.mark.row("TRN-1")
@pytest.mark.rfc("3261 17.1.2.2")
def test_another_request_is_repeated_by_timer_e_until_timer_f(house: House) -> None:
    async def scenario() -> None:
        bob = house.peer(2)
        alice = await house.agent("alice", 3, proxy=False)
        assert await outcome(alice.request("MESSAGE", FAR)) == "TransactionTimeout"
        assert house.world.now == pytest.approx(32.0, abs=0.1)
        assert house.delays("MESSAGE") == pytest.approx(T1_TO_T2, abs=0.1)
        bob.forget()
        asking = asyncio.ensure_future(outcome(alice.request("INFO", FAR)))
        bob.reply(await bob.expect_request("INFO"), 100)
        await asyncio.sleep(10.0)
        assert house.delays("INFO") == pytest.approx([0, 0.5, 4.5, 8.5], abs=0.1)  # in Proceeding: T2
        bob.reply(await bob.expect_request("INFO"), 200)
        assert await asking == 200
        bob.reply(await bob.expect_request("INFO"), 500)  # Timer K: another answer is swallowed

    house.run(scenario)


@pytest.mark.row("TRN-1")
@pytest.mark.rfc("3261 17.2.1")
def test_a_failure_is_repeated_by_timer_g_until_timer_h(house: House) -> None:
    async def scenario() -> None:
        bob = await taking_phone(house)
        bob.busy = True
        caller = house.peer(9)
        caller.send(house.request(caller, "INVITE", FAR, CONTACT), PHONE)
        await asyncio.sleep(70.0)
        assert house.delays(486) == pytest.approx(T1_TO_T2, abs=0.1)
        caller.forget()
        # With an ACK it stops at once; further ACKs and INVITEs are swallowed until Timer I.
        request = house.request(caller, "INVITE", FAR, CONTACT, branch="i", call_id="i")
        caller.send(request)
        refused = await caller.expect_response(486)
        ack = house.request(caller, "ACK", FAR, branch="i", call_id="i", to_tag=refused.to_tag or "")
        for text in (ack, ack, request, ack):
            caller.send(text)
        await caller.silence(40.0)

    house.run(scenario)


@pytest.mark.row("TRN-1")
@pytest.mark.rfc("3261 17.1.1.2")
def test_timer_d_keeps_acknowledging_for_32_seconds(house: House) -> None:
    async def scenario() -> None:
        bob = house.peer(2)
        alice = await house.agent("alice", 3, proxy=False)
        calling = asyncio.ensure_future(outcome(alice.call(FAR)))
        invite = await bob.expect_request("INVITE")
        bob.reply(invite, 486, to_tag="b")
        assert await calling == 486
        for moment in (0.0, 10.0, 21.5):
            await bob.expect_request("ACK")
            await asyncio.sleep(moment)
            bob.reply(invite, 486, to_tag="b")
        await bob.expect_request("ACK")
        await asyncio.sleep(5.0)
        bob.reply(invite, 486, to_tag="b")
        await bob.silence(5.0)

    house.run(scenario)


@pytest.mark.row("TRN-1")
@pytest.mark.rfc("6026 7.1")
def test_accepted_absorbs_repeated_invites_until_timer_l(house: House) -> None:
    calls: list[EndReason | None] = []

    async def scenario() -> None:
        bob = await house.agent("bob", 2, proxy=False)
        caller = house.peer(9)

        @bob.on_call
        async def _(call: Call) -> None:
            calls.append(None)
            ended = call.ended
            await call.answer()
            await ended

        request = house.request(caller, "INVITE", FAR, CONTACT, call_id="c", branch="i")
        caller.send(request, PHONE)
        answer = await caller.expect_response(200)
        caller.send(house.request(caller, "ACK", FAR, call_id="c", to_tag=answer.to_tag or ""))
        for _ in range(6):
            caller.send(request)
            await asyncio.sleep(5.0)
        await caller.silence(1.0)
        assert len(calls) == 1
        caller.send(house.request(caller, "BYE", FAR, call_id="c", to_tag=answer.to_tag or "", cseq=2))
        await caller.expect_response(200)

    house.run(scenario)


@pytest.mark.row("TRN-1")
@pytest.mark.rfc("3261 17.2.2")
def test_timer_j_keeps_an_answer_for_those_who_repeat_their_question(house: House) -> None:
    async def scenario() -> None:
        bob = await taking_phone(house)
        caller = house.peer(9)
        taken: list[int] = []

        @bob.on_request("MESSAGE")
        async def _(incoming: object) -> None:
            taken.append(1)

        text = house.request(caller, "MESSAGE", FAR, branch="m", call_id="m")
        caller.send(text, PHONE)
        first = await caller.expect_response(200)
        for _ in range(3):
            await asyncio.sleep(10.0)
            caller.send(text)
            assert (await caller.expect_response(200)).to_bytes() == first.to_bytes()
        assert len(taken) == 1
        await asyncio.sleep(5.0)
        caller.send(text)  # forgotten by now: a new request
        await caller.expect_response(200)
        assert len(taken) == 2

    house.run(scenario)


# parsing and writing


async def answer_of(house: House, data: bytes) -> int | None:
    """What a whole phone answers to a datagram, wherever its Via has the answer sent."""
    bob = await house.agent("bob", 2, proxy=False, accept=["text/plain"])

    @bob.on_call
    async def _(call: Call) -> None:
        await call.ring()
        await call.ended

    @bob.on_request("MESSAGE")
    async def _(incoming: object) -> None: ...

    ScriptedPeer(house.world.host("10.0.0.9")).send(data, PHONE)
    await asyncio.sleep(0.1)
    answers = [packet.data.split(b" ")[1] for packet in house.world.trace if packet.source == PHONE]
    for number in list(bob._calls):
        bob.uas.hang_up(number, bob.now())
    return int(answers[-1]) if answers else None


@pytest.mark.row("TRN-4")
@pytest.mark.rfc("4475 3")
@pytest.mark.parametrize("name", sorted(RFC4475))
def test_a_whole_phone_gives_the_verdict_of_rfc_4475(house: House, corpora: Path, name: str) -> None:
    async def scenario() -> None:
        data = (corpora / "rfc4475" / "dat" / f"{name}.dat").read_bytes()
        answer = await answer_of(house, data)
        assert answer == (None if name == "test" else RFC4475[name])  # "test" has no Via to answer by

    house.run(scenario)


@pytest.mark.row("TRN-4")
@pytest.mark.rfc("5118 4")
@pytest.mark.parametrize("name", sorted(RFC5118))
def test_a_whole_phone_gives_the_verdict_of_rfc_5118(house: House, corpora: Path, name: str) -> None:
    async def scenario() -> None:
        [path] = (corpora / "rfc5118" / "wire").glob(f"{name}.*")
        assert await answer_of(house, path.read_bytes()) == RFC5118[name]

    house.run(scenario)


ODD = (
    b"INVITE sip:bob@10.0.0.2 SIP/2.0\r\n"
    b"v:SIP / 2.0 / UDP   10.0.0.9:5060 ;\r\n branch=z9hG4bKodd\r\n"
    b"max-FORWARDS :  0070\r\n"
    b'f:"A \\" B"\r\n\t<sip:alice@10.0.0.9> ;tag=f\r\n'
    b"t:   sip:bob@10.0.0.2\r\n"
    b"i:odd\r\n"
    b"CSEQ :\r\n 7\r\n INVITE\r\n"
    b"m: sip:alice@10.0.0.9\r\n"
    b"l:0\r\n\r\n"
)


@pytest.mark.row("TRN-4")
@pytest.mark.rfc("3261 7.3")
def test_what_comes_in_any_spelling_is_understood_and_what_leaves_is_canonical(house: House) -> None:
    async def scenario() -> None:
        await taking_phone(house)
        caller = house.peer(9)
        caller.send(ODD, PHONE)
        answer = await caller.expect_response(200)
        assert (answer.call_id, answer.cseq.number, answer.from_tag) == ("odd", 7, "f")
        inside = {"call_id": "odd", "from_tag": "f", "to_tag": answer.to_tag or ""}
        caller.send(house.request(caller, "ACK", FAR, cseq=7, **inside))
        caller.send(house.request(caller, "BYE", FAR, cseq=8, **inside))
        await caller.expect_response(200)

    house.run(scenario)
    head, _, body = next(packet.data for packet in house.world.trace if packet.source == PHONE).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    names = [line.partition(b":")[0] for line in lines[1:] if line[:1] not in b" \t"]
    assert lines[0] == b"SIP/2.0 200 OK"
    assert {b"Via", b"From", b"To", b"Call-ID", b"CSeq", b"Contact", b"Content-Type", b"Content-Length"} <= set(names)
    assert len(names) == len(set(names))
    assert not {b"v", b"f", b"t", b"i", b"l", b"m"} & set(names)
    assert f"Content-Length: {len(body)}".encode() in lines
    assert not [line for line in lines if b"\n" in line or b"\r" in line]


# loops and floods


@pytest.mark.row("TRN-5")
@pytest.mark.rfc("3261 16.3")
@pytest.mark.rfc("5393 5")
def test_loops_and_wide_forks_are_stopped_and_a_spiral_is_not(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        carol, caller = await house.desk("carol", 2), house.peer(9)
        await house.register(carol, "bob", contact=f"<sip:carol@{DOMAIN}>")
        await house.register(carol, "loop", contact=f"<sip:loop@{DOMAIN}>")
        house.world.zone[DOMAIN] = [SERVER[0]]
        await house.ask(caller, 483, "MESSAGE", BOB, max_forwards=0)
        await house.ask(caller, 483, "MESSAGE", BOB, max_forwards=1)  # at its second pass
        house.send(caller, "MESSAGE", BOB, max_forwards=2)
        got = await carol.expect_request("MESSAGE")  # it came by twice, for another each time
        assert got.max_forwards == 0
        carol.reply(got, 200)
        await caller.expect_response(200)
        await house.ask(caller, 482, "MESSAGE", f"sip:loop@{DOMAIN}")
        await house.register(carol, "wide", contact="<sip:a@10.0.0.2>")
        await house.register(carol, "wide", contact="<sip:b@10.0.0.2>")
        await house.ask(caller, 440, "MESSAGE", f"sip:wide@{DOMAIN}", "Max-Breadth: 1")
        await house.ask(caller, 440, "MESSAGE", f"sip:carol@{DOMAIN}", "Max-Breadth: 0")
        house.send(caller, "MESSAGE", f"sip:wide@{DOMAIN}", "Max-Breadth: 5")
        shares = []
        for _ in range(2):
            got = await carol.expect_request("MESSAGE")
            shares.append(int(got.get("max-breadth") or ""))
            carol.reply(got, 486)
        assert sum(shares) <= 5
        await caller.expect_response(486)

    house.run(scenario)
    assert len(house.sent("MESSAGE", source=1)) < 20


# non-INVITE, and the way back


@pytest.mark.row("TRN-6")
@pytest.mark.rfc("4320 4.1")
def test_100_is_the_only_provisional_and_comes_when_timer_e_has_reached_t2(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        slow, caller = await house.desk("bob", 2), house.peer(9)
        bob = await taking_phone(house, 3)

        @bob.on_request("MESSAGE")
        async def _(incoming: object) -> None:
            await asyncio.sleep(6.0)

        house.send(caller, "MESSAGE", BOB)  # through the proxy
        started = house.world.now
        got = await slow.expect_request("MESSAGE")
        slow.reply(got, 180, to_tag="b")
        slow.reply(got, 183, to_tag="b")
        assert (await caller.expect_response(100)).to_tag is None
        assert house.world.now - started == pytest.approx(3.52, abs=0.02)
        slow.reply(got, 200, to_tag="b")
        await caller.expect_response(200)

        caller.send(house.request(caller, "MESSAGE", FAR), ("10.0.0.3", 5060))  # to a phone
        started = house.world.now
        await caller.expect_response(100)
        assert house.world.now - started == pytest.approx(3.52, abs=0.02)
        await caller.expect_response(200)

    house.run(scenario)


@pytest.mark.row("TRN-6")
@pytest.mark.rfc("4320 4.2")
def test_a_408_is_never_sent_for_another_request_than_invite(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        desk, caller = await house.desk("bob", 2), house.peer(9)
        bob = await taking_phone(house, 3)

        @bob.on_request("MESSAGE")
        async def _(incoming: IncomingRequest) -> None:
            incoming.respond(408)

        house.send(caller, "MESSAGE", BOB)
        desk.reply(await desk.expect_request("MESSAGE"), 408, to_tag="b")
        caller.send(house.request(caller, "MESSAGE", "sip:bob@10.0.0.3"), ("10.0.0.3", 5060))
        await asyncio.sleep(60.0)

    house.run(scenario)
    assert not house.sent(408, to=9)


@pytest.mark.row("TRN-6")
@pytest.mark.rfc("3261 18.2.2")
@pytest.mark.rfc("3581 4")
@pytest.mark.parametrize("at_the_server", [True, False])
def test_a_response_goes_where_its_via_says(house: House, at_the_server: bool) -> None:
    async def scenario() -> None:
        if at_the_server:
            await house.start()
            target, uri = SERVER, f"sip:{DOMAIN}"
        else:
            await taking_phone(house)
            target, uri = PHONE, FAR
        host = house.world.host("10.0.0.9")
        source, usual, third = ScriptedPeer(host, 7777), ScriptedPeer(host, 5060), house.peer(8)
        via = "Via: SIP/2.0/UDP 10.0.0.9:7777;"

        def send(written: str, number: int) -> None:
            text = house.request(source, "OPTIONS", uri, branch=f"b{number}", call_id=f"c{number}")
            source.send(text.replace(via, f"Via: SIP/2.0/UDP {written};"), target)

        send("10.0.0.9:7777", 1)  # sent-by
        assert not (await source.expect_response(200)).top_via.params.keys() & {"received", "rport"}
        send("10.0.0.9", 2)  # its port, when none is written, is 5060
        await usual.expect_response(200)
        send("10.0.0.200:5060", 3)  # another address than it came from: received
        assert (await usual.expect_response(200)).top_via.received == "10.0.0.9"
        send("phone.invalid:1;rport", 4)
        answer = await source.expect_response(200)
        assert (answer.top_via.received, answer.top_via.rport) == ("10.0.0.9", "7777")
        send("10.0.0.9:5060;maddr=10.0.0.8", 5)  # a third party: followed to multicast groups only (T11)
        await usual.expect_response(200)
        for peer in (source, usual, third):
            await peer.silence(0.1)

    house.run(scenario)


@pytest.mark.row("TRN-6")
@pytest.mark.rfc("6026 7.3")
def test_a_proxy_drops_a_response_that_it_cannot_match(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        bob, caller = await house.desk("bob", 2), house.peer(9)
        house.send(caller, "INVITE", BOB, CONTACT)
        invite = await bob.expect_request("INVITE")
        bob.reply(invite, 486, to_tag="b")
        house.acknowledge(caller, await caller.expect_response(486), BOB)
        await bob.expect_request("ACK")
        await asyncio.sleep(70.0)  # all transactions are over
        for status in (100, 180, 200, 404, 603):
            bob.reply(invite, status, to_tag="b", headers=[("Contact", FAR)])
        made_up = bob.reply(invite, 183).to_bytes().replace(invite.call_id.encode(), b"made-up")
        bob.send(made_up.replace(b"z9hG4bK", b"z9hG4bKx"), SERVER)
        await caller.silence(40.0)
        await bob.silence(1.0)
        take(bob, invite)  # not even a 2xx
        await caller.silence(1.0)

    house.run(scenario)
