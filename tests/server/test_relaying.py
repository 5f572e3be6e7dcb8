"""Requests through the server: where they go, what is refused, and that it is no open relay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ringback.protocol.message.model import Request
from tests.server.conftest import DOMAIN, SDP, SERVER, ServerBench

Bench = Callable[[Callable[[ServerBench], Any]], None]
BOB = f"sip:bob@{DOMAIN}"
STRANGER = "sip:stranger@other.test"


@pytest.mark.row("PX-2", "ACK-4", "BYE-1")
@pytest.mark.rfc("3261 16.12")
def test_a_call_is_set_up_and_ended_along_its_record_route(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        bob, caller = bench.peer(2), bench.peer(3)
        await bench.register(bob, "bob")
        bench.send(caller, "INVITE", BOB, "Contact: <sip:alice@10.0.0.3>", call_id="c", body=SDP)
        invite = await bob.expect_request("INVITE")
        assert len(invite.record_routes) == 1
        assert invite.body == SDP.replace("\n", "\r\n").encode()
        bob.reply(invite, 180, to_tag="b", headers=[("Contact", "<sip:bob@10.0.0.2>")])
        route = invite.get("record-route") or ""
        bob.reply(invite, 200, to_tag="b", headers=[("Contact", "<sip:bob@10.0.0.2>"), ("Record-Route", route)])
        await caller.expect_response(180)
        answer = await caller.expect_response(200)
        assert answer.get("record-route") == route
        dialog = {"call_id": "c", "to_tag": "b", "to": BOB}
        bench.send(caller, "ACK", "sip:bob@10.0.0.2", f"Route: {route}", **dialog)
        ack = await bob.expect_request("ACK")
        assert ack.uri_text == "sip:bob@10.0.0.2"
        assert "route" not in ack.names
        bench.send(caller, "BYE", "sip:bob@10.0.0.2", f"Route: {route}", cseq=2, **dialog)
        bob.reply(await bob.expect_request("BYE"), 200)
        await caller.expect_response(200)

    bench(scenario)


@pytest.mark.row("PX-2", part="closed relay")
@pytest.mark.threat("T15")
def test_a_route_without_our_token_makes_no_dialog(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("alice")
        stranger, victim = bench.peer(2), bench.peer(3)
        for route in (f"<sip:{SERVER[0]};lr>", f"<sip:{SERVER[0]};lr;rbk=0123456789abcdef>"):
            for method in ("BYE", "INVITE", "MESSAGE", "DANCE"):
                challenge = await bench.ask(
                    stranger, 407, method, "sip:victim@10.0.0.3", f"Route: {route}", to_tag="x", from_=STRANGER
                )
                bench.acknowledge(stranger, challenge, "sip:victim@10.0.0.3")
            bench.send(stranger, "ACK", "sip:victim@10.0.0.3", f"Route: {route}", to_tag="x", from_=STRANGER)
            await bench.ask(stranger, 481, "CANCEL", "sip:victim@10.0.0.3", f"Route: {route}", from_=STRANGER)
        await victim.silence(1.0)

    bench(scenario)


@pytest.mark.threat("T15", "T5")
def test_a_route_token_is_good_for_no_other_call_and_for_no_register(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("bob")
        bob, stranger = bench.peer(2), bench.peer(3)
        await bench.authenticated(
            bob, 200, "bob", "REGISTER", f"sip:{DOMAIN}", "Contact: <sip:bob@10.0.0.2>", to=BOB, from_=BOB
        )
        bench.send(stranger, "INVITE", BOB, from_=STRANGER, call_id="c")
        invite = await bob.expect_request("INVITE")
        route = f"Route: {invite.get('record-route')}"
        bob.reply(invite, 486, to_tag="b")
        bench.acknowledge(stranger, await stranger.expect_response(486), BOB)
        await bob.expect_request("ACK")
        away = "sip:victim@10.0.0.4"
        await bench.ask(stranger, 407, "MESSAGE", away, route, to_tag="b", from_=STRANGER, call_id="another")
        await bench.ask(stranger, 407, "MESSAGE", away, route, from_=STRANGER, call_id="c")
        await bench.ask(
            stranger,
            401,
            "REGISTER",
            f"sip:{DOMAIN}",
            route,
            "Contact: <sip:x@10.0.0.3>",
            to=BOB,
            to_tag="b",
            call_id="c",
        )

    bench(scenario)


@pytest.mark.row("PX-2", part="relays for strangers only if authenticated")
@pytest.mark.threat("T15")
def test_users_are_relayed_to_foreign_hosts_when_they_prove_who_they_are(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("alice")
        caller, other = bench.peer(2), bench.peer(3)
        uri = "sip:carol@10.0.0.3"
        bench.send(caller, "INVITE", uri, call_id="c")
        challenge = await caller.expect_response(407)
        bench.acknowledge(caller, challenge, uri)
        line = bench.credentials(challenge, "INVITE", uri, "alice")
        bench.send(caller, "INVITE", uri, line, call_id="c", cseq=2)
        received = await other.expect_request("INVITE")
        assert "proxy-authorization" not in received.names  # ours, and nobody else's business
        other.reply(received, 486, to_tag="o")
        bench.acknowledge(caller, await caller.expect_response(486), uri)
        await other.expect_request("ACK")

    bench(scenario)


@pytest.mark.rfc("3261 20.43")
@pytest.mark.row("REG-4", part="a domain that is not ours")
def test_who_asks_for_a_place_that_cannot_be_found_is_told_which(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start(relay="anyone")
        phone = bench.peer(2)
        refused = await bench.ask(phone, 500, "REGISTER", "sip:exmaple.test")
        assert (refused.get("warning") or "").startswith(
            '399 ringback "sip:exmaple.test is not a registrar of this server and cannot be found: '
        )
        refused = await bench.ask(phone, 500, "MESSAGE", "sip:bob@exmaple.test")
        assert '"sip:bob@exmaple.test cannot be found: ' in (refused.get("warning") or "")

    bench(scenario)


@pytest.mark.row("PX-2", part="Record-Route")
def test_others_are_told_the_advertised_address_and_reach_us_by_it(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        bench.world.host("10.0.0.1", "203.0.113.5")
        await bench.start(relay="anyone", listen=["udp:0.0.0.0:5060 advertise 203.0.113.5"])
        caller, other = bench.peer(2), bench.peer(3)
        bench.send(caller, "INVITE", "sip:carol@10.0.0.3")
        received = await other.expect_request("INVITE")
        assert received.top_via.sent_by == "203.0.113.5:5060"
        assert (received.get("record-route") or "").startswith("<sip:203.0.113.5:5060;")
        other.reply(received, 486, to_tag="o")
        bench.acknowledge(caller, await caller.expect_response(486), "sip:carol@10.0.0.3")
        assert (await bench.ask(caller, 200, "OPTIONS", "sip:203.0.113.5")).get("allow")

    bench(scenario)


@pytest.mark.threat("T15")
@pytest.mark.parametrize(("relay", "status"), [("users", 403), ("nobody", 403), ("anyone", None)])
def test_an_open_server_is_no_open_relay_unless_it_is_told_to(bench: Bench, relay: str, status: int | None) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start(relay=relay)
        caller, other = bench.peer(2), bench.peer(3)
        if status is not None:
            refused = await bench.ask(caller, status, "MESSAGE", "sip:carol@10.0.0.3")
            assert "relay" in (refused.get("warning") or "")
            await other.silence(1.0)
        else:
            bench.send(caller, "MESSAGE", "sip:carol@10.0.0.3")
            other.reply(await other.expect_request("MESSAGE"), 200)

    bench(scenario)


@pytest.mark.threat("T15")
def test_nobody_is_relayed_when_the_settings_say_so(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("alice", relay="nobody")
        await bench.ask(bench.peer(2), 403, "MESSAGE", "sip:carol@10.0.0.3")

    bench(scenario)


@pytest.mark.row("PX-3", part="404 and 480")
def test_unknown_users_get_404_and_users_without_binding_480(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("bob")
        peer = bench.peer(2)
        for method in ("MESSAGE", "OPTIONS", "DANCE", "SUBSCRIBE", "PUBLISH"):
            await bench.ask(peer, 480, method, BOB, from_=STRANGER)
            await bench.ask(peer, 404, method, f"sip:nobody@{DOMAIN}", from_=STRANGER)
        for uri, status in ((BOB, 480), (f"sip:nobody@{DOMAIN}", 404)):
            bench.acknowledge(peer, await bench.ask(peer, status, "INVITE", uri, from_=STRANGER), uri)
        await peer.silence(5.0)
        assert bench.server.counts()["server_transactions"] == 0

    bench(scenario)


@pytest.mark.row("PX-3", part="every name is valid in a lab")
def test_an_open_server_answers_480_for_every_name(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        await bench.ask(bench.peer(2), 480, "MESSAGE", f"sip:anyone@{DOMAIN}")

    bench(scenario)


@pytest.mark.row("PX-3", "TRN-5", part="416, 420, 483")
@pytest.mark.rfc("3261 16.3")
def test_what_may_not_be_proxied_is_refused(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        peer = bench.peer(2)
        await bench.register(peer, "bob")
        await bench.ask(peer, 416, "MESSAGE", "unknown:bob")
        refused = await bench.ask(peer, 420, "MESSAGE", BOB, "Proxy-Require: walk, run")
        assert refused.unsupported == ["walk", "run"]
        await bench.ask(peer, 483, "MESSAGE", BOB, max_forwards=0)

    bench(scenario)


@pytest.mark.row("CAN-6")
def test_a_cancel_is_answered_at_once_and_made_anew_for_every_branch(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        desks = [bench.peer(2), bench.peer(3)]
        for desk in desks:
            await bench.register(desk, "bob", call_id=f"r{desk.local[0]}")
        caller = bench.peer(4)
        bench.send(caller, "INVITE", BOB, branch="i", call_id="c")
        invites = [await desk.expect_request("INVITE") for desk in desks]
        for desk, invite in zip(desks, invites, strict=True):
            desk.reply(invite, 180, to_tag="d")
        await caller.expect_response(180)
        await caller.expect_response(180)
        bench.send(caller, "CANCEL", BOB, 'Reason: SIP;cause=600;text="gone"', branch="i", call_id="c")
        assert (await caller.expect_response(200)).cseq.method == "CANCEL"
        for desk, invite in zip(desks, invites, strict=True):
            cancel = await desk.expect_request("CANCEL")
            assert [str(via) for via in cancel.vias] == [str(invite.top_via)]
            assert cancel.get("reason") == 'SIP;cause=600;text="gone"'
            desk.reply(cancel, 200)
            desk.reply(invite, 487, to_tag="d")
            await desk.expect_request("ACK")
        bench.acknowledge(caller, await caller.expect_response(487), BOB)

    bench(scenario)


@pytest.mark.row("CAN-6", part="matching nothing")
def test_a_cancel_that_matches_nothing_goes_on_without_state(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        bob, caller = bench.peer(2), bench.peer(3)
        await bench.register(bob, "bob")
        bench.send(caller, "CANCEL", BOB)
        cancel = await bob.expect_request("CANCEL")
        assert cancel.uri_text == "sip:bob@10.0.0.2:5060"
        assert bench.server.counts() == dict.fromkeys(bench.server.counts(), 0) | {
            "server_transactions": 1,
            "timers": bench.server.counts()["timers"],
        }  # the REGISTER's
        bob.reply(cancel, 481)
        await caller.silence(1.0)  # the response matches nothing here (RFC 6026 §7.3)

    bench(scenario)


@pytest.mark.row("ACK-4", part="without a route of ours")
def test_an_ack_without_route_reaches_the_preferred_binding_only(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        desk, other, caller = bench.peer(2), bench.peer(3), bench.peer(4)
        await bench.register(other, "bob", "q=0.1")
        await bench.register(desk, "bob", "q=0.9")
        bench.send(caller, "ACK", BOB, to_tag="x")
        assert (await desk.expect_request("ACK")).uri_text == "sip:bob@10.0.0.2:5060"
        await other.silence(1.0)

    bench(scenario)


@pytest.mark.row("ACK-4", "REG-6", part="without a route of ours, by the Path of a binding")
def test_an_ack_without_route_follows_the_path_of_the_binding(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        edge, caller = bench.peer(2), bench.peer(3)
        path = ("Path: <sip:10.0.0.2;lr>", "Supported: path")
        await bench.ask(edge, 200, "REGISTER", f"sip:{DOMAIN}", "Contact: <sip:bob@192.168.0.9>", *path, to=BOB)
        bench.send(caller, "ACK", BOB, to_tag="x")
        ack = await edge.expect_request("ACK")
        assert (ack.uri_text, ack.get("route")) == ("sip:bob@192.168.0.9", "<sip:10.0.0.2;lr>")

    bench(scenario)


@pytest.mark.row("FRK-2", part="through the server")
def test_bindings_are_tried_by_q(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        first, second, caller = bench.peer(2), bench.peer(3), bench.peer(4)
        await bench.register(second, "bob", "q=0.5")
        await bench.register(first, "bob", "q=0.8")
        bench.send(caller, "INVITE", BOB)
        first.reply(await first.expect_request("INVITE"), 486, to_tag="1")
        await first.expect_request("ACK")
        second.reply(await second.expect_request("INVITE"), 603, to_tag="2")
        await second.expect_request("ACK")
        bench.acknowledge(caller, await caller.expect_response(603), BOB)

    bench(scenario)


@pytest.mark.row("REG-6", part="Path")
def test_requests_follow_the_path_of_a_binding(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        edge, caller = bench.peer(2), bench.peer(3)
        await bench.ask(
            edge,
            200,
            "REGISTER",
            f"sip:{DOMAIN}",
            "Contact: <sip:bob@192.168.0.9>",
            "Path: <sip:10.0.0.2;lr>",
            "Supported: path",
            to=BOB,
        )
        bench.send(caller, "MESSAGE", BOB)
        received = await edge.expect_request("MESSAGE")
        assert received.uri_text == "sip:bob@192.168.0.9"
        assert received.get("route") == "<sip:10.0.0.2;lr>"
        edge.reply(received, 200)

    bench(scenario)


@pytest.mark.threat("T15")
def test_a_binding_that_points_at_another_user_is_a_spiral_and_at_itself_a_loop(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        carol, caller = bench.peer(2), bench.peer(3)
        await bench.register(carol, "carol")
        await bench.register(carol, "bob", contact=f"<sip:carol@{SERVER[0]}>")
        bench.send(caller, "MESSAGE", BOB)
        received = await carol.expect_request("MESSAGE")
        assert received.uri_text == "sip:carol@10.0.0.2:5060"
        assert len(received.vias) == 3
        carol.reply(received, 200)
        await caller.expect_response(200)
        await bench.register(carol, "dave", contact=f"<sip:dave@{SERVER[0]}>")
        await bench.ask(caller, 482, "MESSAGE", f"sip:dave@{DOMAIN}")

    bench(scenario)


@pytest.mark.threat("T7")
def test_every_table_is_empty_after_a_burst_of_calls_to_nobody(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("bob")
        peer = bench.peer(2)
        for _ in range(300):
            bench.send(peer, "INVITE", BOB, from_=STRANGER)
        await asyncio.sleep(0.5)
        assert bench.server.counts() == dict.fromkeys(bench.server.counts(), 0)
        assert sum(data.startswith(b"SIP/2.0 480") for data, _ in peer.received) == 300

    bench(scenario)


def test_unknown_methods_are_relayed_as_any_other(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        bob, caller = bench.peer(2), bench.peer(3)
        await bench.register(bob, "bob")
        for method in ("DANCE", "PUBLISH", "SUBSCRIBE", "REFER"):
            bench.send(caller, method, BOB)
            received = await bob.expect_request(method)
            assert isinstance(received, Request)
            bob.reply(received, 501, to_tag="b", headers=[("Allow", "INVITE")])
            assert (await caller.expect_response(501)).allow == ["INVITE"]

    bench(scenario)
