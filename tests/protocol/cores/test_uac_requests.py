"""Requests other than INVITE, in a call and outside of one, and the way they find (RFC 3261 §8.1, §12.2.1, §14.1)."""

from __future__ import annotations

import pytest

from ringback.protocol.cores.calls import EndReason, State
from ringback.protocol.cores.capabilities import Capabilities
from ringback.protocol.cores.ua_events import CallOffered, CallOver, RequestDone
from ringback.protocol.errors import LocalProtocolError, RemoteProtocolError, TransactionTimeout, TransportError
from ringback.protocol.message.model import Request
from ringback.protocol.routing.flow import Flow
from tests.protocol.cores.bench import ALICE, ANSWER, BOB, CAROL, OFFER, SDP, Bench, Phone
from tests.protocol.cores.test_uac_calls import CHALLENGE, FAR, dial_far, established, pair


def ask(bench: Bench, phone: Phone, method: str = "OPTIONS", uri: str = FAR, **options: object) -> int:
    token = phone.uac.request(method, uri, bench.now, **options)
    bench.settle()
    return token


def in_call(bench: Bench, **options: object) -> tuple[Phone, int, Request]:
    """A call of Alice's that the test has answered."""
    alice, number, invite = dial_far(bench, **options)
    bench.answer(invite, 200, body=ANSWER)
    return alice, number, invite


@pytest.mark.row("OPT-1", part="UA")
@pytest.mark.row("OPT-2")
def test_options_goes_out_with_accept_and_without_a_body(bench: Bench) -> None:
    alice = bench.phone("alice", ALICE)
    token = ask(bench, alice, headers=[("Accept", SDP)])
    [options] = bench.sent("OPTIONS")
    assert (options.get("accept"), options.body, options.get("contact")) == (SDP, b"", None)
    bench.answer(options, 200, body=ANSWER)
    done = alice.last(RequestDone)
    assert (done.token, done.response.status, done.response.body, done.error) == (token, 200, ANSWER, None)
    assert done.request.cseq == options.cseq
    bench.advance(40)
    assert alice.leftovers() == {}


def test_a_provisional_response_to_another_method_changes_nothing(bench: Bench) -> None:
    alice = bench.phone("alice", ALICE)
    ask(bench, alice)
    bench.answer(bench.sent("OPTIONS")[0], 100)
    assert alice.told == []


def test_silence_and_lost_networks_are_errors(bench: Bench) -> None:
    alice = bench.phone("alice", ALICE)
    ask(bench, alice)
    bench.advance(33)
    assert isinstance(alice.last(RequestDone).error, TransactionTimeout)
    alice.unreachable.add("192.0.2.3")
    ask(bench, alice)
    assert isinstance(alice.last(RequestDone).error, TransportError)
    assert alice.last(RequestDone).request is None
    assert alice.leftovers() == {}


@pytest.mark.row("AUT-1", part="UAC")
def test_any_request_is_repeated_when_challenged(bench: Bench) -> None:
    alice = bench.phone("alice", ALICE, password="secret")
    ask(bench, alice, "MESSAGE", body=b"hello", content_type="text/plain")
    [message] = bench.sent("MESSAGE")
    bench.answer(message, 401, WWW_Authenticate=CHALLENGE)
    again = bench.sent("MESSAGE")[1]
    assert again.cseq.number == message.cseq.number + 1
    assert (again.call_id, again.from_tag, again.body) == (message.call_id, message.from_tag, b"hello")
    assert again.get("authorization") is not None
    bench.answer(again, 202)
    assert alice.last(RequestDone).request.cseq == again.cseq


@pytest.mark.threat("T5")
def test_the_registrar_teaches_its_realm_and_nobody_else_does(bench: Bench) -> None:
    alice = bench.phone("alice", ALICE, password="secret")
    other = CHALLENGE.replace("example.test", "home")
    ask(bench, alice)
    bench.answer(bench.sent("OPTIONS")[0], 401, WWW_Authenticate=other)
    assert len(bench.sent("OPTIONS")) == 1
    ask(bench, alice, "REGISTER")
    bench.answer(bench.sent("REGISTER")[0], 401, WWW_Authenticate=other)
    assert len(bench.sent("REGISTER")) == 2
    ask(bench, alice)
    bench.answer(bench.sent("OPTIONS")[1], 401, WWW_Authenticate=other)
    assert len(bench.sent("OPTIONS")) == 3


@pytest.mark.row("REG-3", part="UAC")
def test_a_request_may_go_on_from_an_earlier_one(bench: Bench) -> None:
    alice = bench.phone("alice", ALICE, routes=["<sip:192.0.2.3;lr>"])
    ask(bench, alice, "REGISTER", "sip:x.test", to="<sip:a@x.test>", call_id="c9", sequence=41, contact=True)
    [register] = bench.sent("REGISTER")
    assert (register.call_id, register.cseq.number) == ("c9", 41)
    assert register.get("to") == "<sip:a@x.test>"
    assert register.get("contact") == "<sip:alice@192.0.2.1:5060>"
    assert register.get("route") == "<sip:192.0.2.3;lr>"
    ask(bench, alice, "REGISTER", "sip:192.0.2.3", preload=False)
    assert bench.sent("REGISTER")[1].get("route") is None


@pytest.mark.row("ACK-1", part="UAC")
@pytest.mark.parametrize("method", ["ACK", "CANCEL", "INVITE"])
def test_methods_with_verbs_of_their_own_are_refused(bench: Bench, method: str) -> None:
    alice = bench.phone("alice", ALICE)
    with pytest.raises(LocalProtocolError):
        alice.uac.request(method, FAR, bench.now)
    with pytest.raises(RemoteProtocolError):
        alice.uac.request("OPTIONS", "sip:", bench.now)


@pytest.mark.row("ACK-1", part="UAC")
def test_nothing_but_invite_is_acknowledged(bench: Bench) -> None:
    alice = bench.phone("alice", ALICE)
    for status in (200, 404):
        ask(bench, alice)
        bench.answer(bench.sent("OPTIONS")[-1], status)
    bench.advance(40)
    assert bench.sent("ACK") == []


def test_contact_says_by_which_transport_and_scheme_we_are_reached(bench: Bench) -> None:
    alice = bench.phone("alice", ALICE)
    over_tcp = Flow("TCP", ALICE, CAROL)
    assert alice.uac.contact(over_tcp, FAR) == "<sip:alice@192.0.2.1:5060;transport=tcp>"
    assert alice.uac.contact(Flow("TLS", ALICE, CAROL), "sips:x@y") == "<sips:alice@192.0.2.1:5060>"
    alice.account.user = ""
    assert alice.uac.contact(over_tcp, FAR) == "<sip:192.0.2.1:5060;transport=tcp>"


# names


def test_what_waits_for_one_name_is_asked_once_and_sent_in_order(bench: Bench) -> None:
    alice = bench.phone("alice", ALICE)
    ask(bench, alice, "OPTIONS", "sip:x@far.example")
    ask(bench, alice, "MESSAGE", "sip:x@far.example")
    assert len(bench.locates) == 1
    assert alice.uac.counts()["waiting"] == 1
    bench.zone["far.example"] = "192.0.2.3"
    bench.settle()
    assert bench.ladder() == ["1 OPTIONS", "1 MESSAGE"]
    assert alice.uac.counts()["waiting"] == 0


def test_a_name_that_does_not_exist_is_an_error(bench: Bench) -> None:
    alice = bench.phone("alice", ALICE)
    bench.zone["no.example"] = None
    ask(bench, alice, uri="sip:x@no.example")
    assert isinstance(alice.last(RequestDone).error, TransportError)
    alice.uac.located(999, [], bench.now)
    assert alice.leftovers() == {}


def test_ack_and_bye_to_a_named_contact_wait_for_the_name_in_order(bench: Bench) -> None:
    alice, number, invite = dial_far(bench)
    bench.answer(invite, 200, contact="<sip:b@gw.example>")
    bench.answer(invite, 200, contact="<sip:b@gw.example>")
    alice.uac.hang_up(number, bench.now)
    bench.settle()
    assert bench.sent("ACK") == []
    bench.zone["gw.example"] = "192.0.2.3"
    bench.settle()
    assert bench.ladder()[-2:] == ["1 ACK", "1 BYE"]


def test_an_ack_that_cannot_be_sent_is_left_to_the_next_2xx(bench: Bench) -> None:
    alice, _, invite = dial_far(bench)
    alice.unreachable.add("192.0.2.77")
    bench.answer(invite, 200, contact="<sip:b@192.0.2.77>")
    assert alice.names() == ["CallAnswered"]
    assert bench.sent("ACK") == []


def test_an_unreadable_contact_uri_fails_what_goes_there(bench: Bench) -> None:
    alice, number, invite = dial_far(bench)
    bench.answer(invite, 200, contact="<sip:b@host:99999>")
    alice.uac.hang_up(number, bench.now)
    bench.settle()
    assert alice.last(CallOver).reason is EndReason.HUNG_UP
    bench.advance(70)
    assert alice.leftovers() == {}


@pytest.mark.parametrize("route", ["<sip:p1:99999;lr>", "<tel:+49301>"])
def test_a_route_set_that_leads_nowhere_does_not_hold_the_call_up(bench: Bench, route: str) -> None:
    alice, number, invite = dial_far(bench)
    bench.answer(invite, 200, Record_Route=route)
    assert alice.names() == ["CallAnswered"]
    alice.uac.hang_up(number, bench.now)
    bench.settle()
    assert alice.last(CallOver).reason is EndReason.HUNG_UP
    bench.advance(70)
    assert alice.leftovers() == {}


# in a call


def test_a_request_in_a_call_goes_to_the_remote_target_with_the_next_number(bench: Bench) -> None:
    alice, number, invite = in_call(bench)
    token = alice.uac.request_in_call(number, "INFO", bench.now, body=b"x", content_type="text/plain")
    bench.settle()
    [info] = bench.sent("INFO")
    assert info.cseq.number == invite.cseq.number + 1
    assert (info.uri_text, info.to_tag, info.get("contact")) == ("sip:far@192.0.2.3:5060", "far", None)
    bench.answer(info, 500)
    assert (alice.last(RequestDone).token, alice.last(RequestDone).response.status) == (token, 500)
    assert alice.calls.get(number).state is State.CONFIRMED


@pytest.mark.row("INV-3")
@pytest.mark.rfc("3261 12.2.1.2")
@pytest.mark.parametrize("status", [481, 408, None])
def test_481_408_or_silence_in_the_dialog_ends_the_call_by_bye(bench: Bench, status: int | None) -> None:
    alice, number, _ = in_call(bench)
    alice.uac.request_in_call(number, "INFO", bench.now)
    bench.settle()
    if status is None:
        bench.advance(33)
    else:
        bench.answer(bench.sent("INFO")[0], status)
    assert len(bench.sent("BYE")) >= 1
    bench.answer(bench.sent("BYE")[0], 481)
    assert alice.last(CallOver).reason is EndReason.LOST
    bench.advance(40)
    assert alice.leftovers() == {}


def test_a_challenged_request_in_a_call_takes_the_dialogs_next_number(bench: Bench) -> None:
    alice, number, invite = in_call(bench, password="secret")
    alice.uac.request_in_call(number, "INFO", bench.now)
    alice.uac.request_in_call(number, "MESSAGE", bench.now)
    bench.settle()
    bench.answer(bench.sent("INFO")[0], 401, WWW_Authenticate=CHALLENGE)
    assert bench.sent("INFO")[1].cseq.number == invite.cseq.number + 3


@pytest.mark.parametrize("method", ["ACK", "BYE", "CANCEL"])
def test_methods_with_verbs_of_their_own_are_refused_in_a_call_too(bench: Bench, method: str) -> None:
    alice, number, _ = in_call(bench)
    with pytest.raises(LocalProtocolError):
        alice.uac.request_in_call(number, method, bench.now)


def test_a_call_without_dialog_takes_no_request(bench: Bench) -> None:
    alice, number, _ = dial_far(bench)
    for wanted in (number, 99):
        with pytest.raises(LocalProtocolError):
            alice.uac.request_in_call(wanted, "INFO", bench.now)


# re-INVITE


@pytest.mark.row("INV-5", part="UAC")
@pytest.mark.rfc("3261 14.1")
def test_a_reinvite_is_acknowledged_and_refreshes_the_target(bench: Bench) -> None:
    alice, number, _ = in_call(bench)
    alice.uac.request_in_call(number, "INVITE", bench.now, body=OFFER, content_type=SDP)
    bench.settle()
    again = bench.sent("INVITE")[1]
    assert again.to_tag == "far"
    assert again.get("contact") == "<sip:alice@192.0.2.1:5060>"
    bench.answer(again, 180)
    bench.answer(again, 200, contact="<sip:far@192.0.2.3:5099>")
    bench.answer(again, 200, contact="<sip:far@192.0.2.3:5099>")
    acks = bench.sent("ACK")[1:]
    assert [ack.cseq.number for ack in acks] == [again.cseq.number] * 2
    assert acks[0].uri_text == "sip:far@192.0.2.3:5099"
    assert alice.names() == ["CallAnswered", "RequestDone"]
    alice.uac.request_in_call(number, "INVITE", bench.now)
    bench.settle()
    assert bench.sent("INVITE")[2].uri_text == "sip:far@192.0.2.3:5099"


@pytest.mark.row("INV-5", part="UAC")
@pytest.mark.rfc("3261 14.1")
def test_a_refused_reinvite_leaves_the_session_as_it_was(bench: Bench) -> None:
    alice, number, _ = in_call(bench)
    alice.uac.request_in_call(number, "INVITE", bench.now, body=OFFER, content_type=SDP)
    bench.settle()
    with pytest.raises(LocalProtocolError):
        alice.uac.request_in_call(number, "INVITE", bench.now)
    bench.answer(bench.sent("INVITE")[1], 488)
    assert alice.last(RequestDone).response.status == 488
    assert alice.calls.get(number).state is State.CONFIRMED
    assert alice.uac.counts()["inviting"] == 0


@pytest.mark.row("INV-5", part="UAC")
def test_a_reinvite_answered_481_ends_the_call(bench: Bench) -> None:
    alice, number, _ = in_call(bench)
    alice.uac.request_in_call(number, "INVITE", bench.now)
    bench.settle()
    bench.answer(bench.sent("INVITE")[1], 481)
    assert len(bench.sent("BYE")) == 1


@pytest.mark.row("INV-5", part="UAC")
@pytest.mark.rfc("3261 12.2.1.2")
def test_a_reinvite_whose_final_response_is_lost_for_good_is_withdrawn_and_ends_the_call(bench: Bench) -> None:
    alice, number, _ = in_call(bench)
    alice.uac.request_in_call(number, "INVITE", bench.now)
    bench.settle()
    again = bench.sent("INVITE")[1]
    bench.answer(again, 100)
    bench.advance(100)
    bench.answer(again, 180)
    bench.advance(144.9)
    assert bench.sent("CANCEL") == []
    bench.advance(0.2)
    assert bench.sent("CANCEL")[0].cseq.number == again.cseq.number
    assert "RequestDone" not in alice.names()
    bench.advance(32)
    assert isinstance(alice.last(RequestDone).error, TransactionTimeout)
    assert len(bench.sent("BYE")) > 0
    bench.advance(70)
    assert alice.leftovers() == {}


@pytest.mark.row("INV-5", part="UAC")
def test_a_reinvite_that_is_withdrawn_and_refused_changes_nothing(bench: Bench) -> None:
    alice, number, _ = in_call(bench)
    alice.uac.request_in_call(number, "INVITE", bench.now)
    bench.settle()
    again = bench.sent("INVITE")[1]
    bench.answer(again, 180)
    bench.advance(245.1)
    bench.answer(again, 487)
    assert alice.last(RequestDone).response.status == 487
    bench.advance(40)
    assert alice.calls.get(number).state is State.CONFIRMED


def test_no_reinvite_before_the_call_is_established(bench: Bench) -> None:
    alice, bob = pair(bench)
    alice.uac.invite("sip:bob@192.0.2.2", bench.now)
    bench.settle()
    number = bob.last(CallOffered).call
    bob.uas.ring(number, bench.now)
    with pytest.raises(LocalProtocolError):
        bob.uac.request_in_call(number, "INVITE", bench.now)


def test_the_callee_sends_requests_with_numbers_of_its_own(bench: Bench) -> None:
    alice, bob = bench.phone("alice", ALICE, can=Capabilities(methods=["INFO"])), bench.phone("bob", BOB)
    _, number = established(bench, alice, bob)
    bob.uac.request_in_call(number, "INFO", bench.now)
    bob.uas.hang_up(number, bench.now)
    bench.settle()
    [info] = bench.sent("INFO")
    [bye] = bench.sent("BYE")
    assert bye.cseq.number == info.cseq.number + 1
    assert info.from_tag == bench.sent(200)[0].to_tag
    assert alice.last(CallOver).reason is EndReason.REMOTE


@pytest.mark.row("AUT-1", part="UAC")
def test_an_ha1_answers_the_algorithm_that_it_is_made_for(bench: Bench) -> None:
    alice = bench.phone("alice", ALICE, ha1="0" * 32)
    alice.uac.request("MESSAGE", FAR, bench.now)
    bench.settle()
    bench.answer(bench.sent("MESSAGE")[-1], 401, WWW_Authenticate=CHALLENGE)
    assert "algorithm=MD5" in (bench.sent("MESSAGE")[-1].get("authorization") or "")
    alice.uac.request("MESSAGE", FAR, bench.now)
    bench.settle()
    bench.answer(bench.sent("MESSAGE")[-1], 401, WWW_Authenticate=CHALLENGE.replace("MD5", "SHA-256"))
    assert alice.last(RequestDone).response.status == 401


def test_an_account_of_every_realm_answers_a_stranger(bench: Bench) -> None:
    alice = bench.phone("alice", ALICE, password="secret", realms=["*"])
    alice.uac.request("MESSAGE", FAR, bench.now)
    bench.settle()
    bench.answer(bench.sent("MESSAGE")[-1], 401, WWW_Authenticate='Digest realm="stranger", nonce="n", qop="auth"')
    assert 'realm="stranger"' in (bench.sent("MESSAGE")[-1].get("authorization") or "")
