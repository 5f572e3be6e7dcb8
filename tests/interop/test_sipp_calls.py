"""SIPp's users register with the server, and call one another through it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.interop.process import Children, free_port, need
from tests.interop.ringback_server import PASSWORD, RingbackServer
from tests.interop.sipp import Sipp

Serve = Callable[..., RingbackServer]
ALICE = ("-s", "alice", "-au", "alice", "-ap", PASSWORD)


@pytest.fixture
def sipp_for(children: Children) -> Callable[[RingbackServer], Sipp]:
    need("sipp")
    return lambda server: Sipp(children, server.address, server.domain)


SippFor = Callable[[RingbackServer], Sipp]


@pytest.mark.row("REG-10", "AUT-1", part="SIPp")
def test_a_user_registers_with_digest_and_is_listed(serve: Serve, sipp_for: SippFor) -> None:
    server = serve(users=("bob",))
    sipp_for(server).register("bob", 5090, password=PASSWORD)
    assert "sip:bob@127.0.0.1:5090" in server.bindings()


@pytest.mark.row("REG-10", part="SIPp")
def test_a_wrong_password_is_challenged_again(serve: Serve, sipp_for: SippFor) -> None:
    server = serve(users=("bob",))
    contact = {"contact": "<sip:bob@127.0.0.1:5090>"}
    sipp_for(server).run("register_refused", "-s", "bob", "-au", "bob", "-ap", "guessed", keys=contact)
    assert "5090" not in server.bindings()


@pytest.mark.row("INV-1", "INV-3", "ACK-4", "BYE-4", "PX-2", "REG-1", "AUT-1", part="SIPp")
def test_a_call_is_authenticated_answered_and_hung_up_by_the_caller(serve: Serve, sipp_for: SippFor) -> None:
    server = serve(users=("alice", "bob"))
    sipp = sipp_for(server)
    port = free_port()
    sipp.register("bob", port, password=PASSWORD)
    phone = sipp.start("phone", "-d", "100", port=port)
    sipp.run("call_with_digest", *ALICE, "-d", "100")
    phone.passes()


@pytest.mark.row("BYE-4", "PX-2", part="SIPp")
def test_the_callee_hangs_up(serve: Serve, sipp_for: SippFor) -> None:
    server = serve(users=("alice", "bob"))
    sipp = sipp_for(server)
    port = free_port()
    sipp.register("bob", port, password=PASSWORD)
    phone = sipp.start("phone_hangs_up", "-d", "100", port=port)
    sipp.run("call_with_digest_until_bye", *ALICE)
    phone.passes()


@pytest.mark.row("FRK-3", "INV-9", "ACK-4", part="SIPp")
@pytest.mark.parametrize(("phone", "call"), [("phone_busy", "call_busy"), ("phone_declines", "call_declined")])
def test_a_refusal_reaches_the_caller_and_each_hop_acknowledges(
    serve: Serve, sipp_for: SippFor, phone: str, call: str
) -> None:
    server = serve()
    sipp = sipp_for(server)
    port = free_port()
    sipp.register("bob", port)
    refusing = sipp.start(phone, port=port)
    sipp.run(call, "-s", "alice")
    refusing.passes()


@pytest.mark.row("CAN-6", "CAN-2", "CAN-5", "CAN-10", part="SIPp")
def test_a_caller_that_hangs_up_while_it_rings_stops_the_phone(serve: Serve, sipp_for: SippFor) -> None:
    server = serve()
    sipp = sipp_for(server)
    port = free_port()
    sipp.register("bob", port)
    phone = sipp.start("phone_cancelled", port=port)
    sipp.run("call_cancelled", "-s", "alice")
    phone.passes()


@pytest.mark.row("FRK-1", "CAN-4", part="SIPp")
def test_of_two_phones_one_answers_and_the_other_learns_that_it_was_answered_elsewhere(
    serve: Serve, sipp_for: SippFor
) -> None:
    server = serve()
    sipp = sipp_for(server)
    winner, loser = free_port(), free_port()
    sipp.register("bob", winner)
    sipp.register("bob", loser)
    losing = sipp.start("phone_loses", port=loser)
    winning = sipp.start("phone", "-d", "300", port=winner)
    sipp.run("call", "-s", "alice", "-d", "100")
    winning.passes()
    losing.passes()


@pytest.mark.row("FRK-2", part="SIPp")
def test_phones_of_lower_q_ring_when_those_of_higher_q_have_refused(serve: Serve, sipp_for: SippFor) -> None:
    server = serve()
    sipp = sipp_for(server)
    first, second = free_port(), free_port()
    sipp.register("bob", first, q="0.9")
    sipp.register("bob", second, q="0.1")
    refusing = sipp.start("phone_busy", port=first)
    answering = sipp.start("phone", "-d", "100", port=second)
    sipp.run("call", "-s", "alice", "-d", "100")
    refusing.passes()
    answering.passes()


@pytest.mark.row("PX-3", part="SIPp")
def test_an_unknown_user_is_404_and_one_who_is_away_480(serve: Serve, sipp_for: SippFor) -> None:
    server = serve(users=("bob",))
    stranger = Sipp(sipp_for(server).children, server.address, "elsewhere.test")
    stranger.run("call_unknown", "-s", "carol", keys={"callee": f"nobody@{server.domain}"})
    stranger.run("call_away", "-s", "carol", keys={"callee": f"bob@{server.domain}"})


@pytest.mark.row("TRN-1", "ACK-5", part="SIPp, one packet in ten lost")
def test_twenty_calls_come_about_when_one_packet_in_ten_of_the_caller_is_lost(serve: Serve, sipp_for: SippFor) -> None:
    server = serve()
    sipp = sipp_for(server)
    port = free_port()
    sipp.register("bob", port)
    phone = sipp.start("phone_patient", "-d", "100", port=port, calls=20, seconds=40)
    sipp.run("call", "-s", "alice", "-d", "700", "-lost", "10", "-r", "20", calls=20, seconds=40)
    phone.passes()


@pytest.mark.row("REG-3", part="SIPp, one packet in five lost")
def test_a_registration_comes_about_when_packets_are_lost(serve: Serve, sipp_for: SippFor) -> None:
    server = serve(users=("bob",))
    contact = {"contact": "<sip:bob@127.0.0.1:5090>"}
    digest = ("-s", "bob", "-au", "bob", "-ap", PASSWORD)
    sipp_for(server).run("register_with_digest", *digest, "-lost", "20", "-r", "10", calls=10, keys=contact, seconds=40)
    assert "sip:bob@127.0.0.1:5090" in server.bindings()


@pytest.mark.row("TRN-6", part="SIPp")
def test_a_text_is_relayed(serve: Serve, sipp_for: SippFor) -> None:
    server = serve()
    sipp = sipp_for(server)
    port = free_port()
    sipp.register("bob", port)
    phone = sipp.start("phone_reads", port=port)
    sipp.run("message", "-s", "alice")
    phone.passes()


@pytest.mark.row("TRN-2", part="IPv6 by UDP")
def test_a_call_over_ipv6(serve: Serve, sipp_for: SippFor) -> None:
    server = serve(host="::1")
    sipp = sipp_for(server)
    port = free_port("::1")
    sipp.run("register", "-s", "bob", keys={"contact": f"<sip:bob@[::1]:{port}>"}, host="::1")
    phone = sipp.start("phone", "-d", "100", port=port, host="::1")
    sipp.run("call", "-s", "alice", "-d", "100", host="::1")
    phone.passes()
