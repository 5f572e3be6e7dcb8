"""Calls that we make: answered, refused, challenged, withdrawn, hung up (RFC 3261 §9.1, §13.2, §15)."""

from __future__ import annotations

import pytest

from ringback.protocol.cores.calls import EndReason, State
from ringback.protocol.cores.ua_events import CallAnswered, CallConfirmed, CallOffered, CallOver, CallProgress
from ringback.protocol.errors import LocalProtocolError, RemoteProtocolError, TransactionTimeout, TransportError
from ringback.protocol.message.build import build_response
from ringback.protocol.message.model import Request
from ringback.protocol.routing.flow import Flow
from ringback.protocol.transaction.events import ResponseReceived, StrayResponse
from tests.protocol.cores.bench import ALICE, ANSWER, BOB, CAROL, OFFER, SDP, Bench, Phone

FAR = "sip:far@192.0.2.3"


def pair(bench: Bench) -> tuple[Phone, Phone]:
    return bench.phone("alice", ALICE), bench.phone("bob", BOB)


def dial(bench: Bench, phone: Phone, uri: str = "sip:bob@192.0.2.2") -> int:
    number = phone.uac.invite(uri, bench.now, body=OFFER, content_type=SDP)
    bench.settle()
    return number


def established(bench: Bench, alice: Phone, bob: Phone) -> tuple[int, int]:
    number = dial(bench, alice)
    offered = bob.last(CallOffered).call
    bob.uas.answer(offered, bench.now, body=ANSWER, content_type=SDP)
    bench.settle()
    return number, offered


def dial_far(bench: Bench, **options: object) -> tuple[Phone, int, Request]:
    """A call to an address where the test answers."""
    alice = bench.phone("alice", ALICE, **options)
    number = dial(bench, alice, FAR)
    return alice, number, bench.sent("INVITE")[-1]


def state(phone: Phone, number: int) -> State | None:
    call = phone.calls.get(number)
    return None if call is None else call.state


@pytest.mark.row("INV-1", part="2xx")
@pytest.mark.row("ACK-2")
@pytest.mark.row("ACK-4", part="UAC")
@pytest.mark.rfc("3261 13.2.2.4")
def test_a_2xx_is_acknowledged_with_the_invites_number_and_its_own_branch(bench: Bench) -> None:
    alice, bob = pair(bench)
    number, _ = established(bench, alice, bob)
    [invite] = bench.sent("INVITE")
    [ack] = bench.sent("ACK")
    [response] = bench.sent(200)
    assert ack.cseq.number == invite.cseq.number
    assert ack.cseq.method == "ACK"
    assert ack.get("call-id") == invite.get("call-id")
    assert ack.from_tag == invite.from_tag
    assert ack.to_tag == response.to_tag
    assert ack.top_via.branch != invite.top_via.branch
    assert ack.uri_text == "sip:bob@192.0.2.2:5060"
    assert alice.names() == ["CallAnswered"]
    assert alice.told[0].response.body == ANSWER
    assert bob.names() == ["CallOffered", "CallConfirmed"]
    assert state(alice, number) is State.CONFIRMED


@pytest.mark.row("INV-1", part="2xx")
@pytest.mark.rfc("3261 13.2.2.4")
def test_every_repetition_of_a_2xx_gets_the_same_ack_again(bench: Bench) -> None:
    alice, bob = pair(bench)
    bench.lose = lambda message: isinstance(message, Request) and message.method == "ACK" and len(bench.sent("ACK")) < 3
    established(bench, alice, bob)
    bench.advance(10)
    acks = bench.sent("ACK")
    assert len(bench.sent(200)) == 3
    assert len(acks) == 3
    assert len({ack.to_bytes() for ack in acks}) == 1
    assert bob.names() == ["CallOffered", "CallConfirmed"]


@pytest.mark.row("ACK-4", part="UAC")
@pytest.mark.row("DLG-1")
@pytest.mark.rfc("3261 12.2.1.1")
def test_ack_and_bye_go_along_the_route_set_of_the_2xx(bench: Bench) -> None:
    alice, number, invite = dial_far(bench)
    bench.answer(invite, 200, Record_Route="<sip:192.0.2.3:5080;lr>, <sip:192.0.2.3;lr>", contact="<sip:b@192.0.2.99>")
    [ack] = bench.sent("ACK")
    assert ack.values("route") == ["<sip:192.0.2.3;lr>", "<sip:192.0.2.3:5080;lr>"]
    assert ack.uri_text == "sip:b@192.0.2.99"
    alice.uac.hang_up(number, bench.now)
    bench.settle()
    [bye] = bench.sent("BYE")
    assert bye.values("route") == ack.values("route")
    assert bye.cseq.number == invite.cseq.number + 1
    assert bench.wire[-1][2] == CAROL


@pytest.mark.row("INV-4")
@pytest.mark.rfc("3261 8.1.1.4")
def test_each_session_has_a_call_id_and_from_tag_of_its_own(bench: Bench) -> None:
    alice, _ = pair(bench)
    dial(bench, alice)
    dial(bench, alice)
    first, second = bench.sent("INVITE")
    assert first.call_id != second.call_id
    assert first.from_tag != second.from_tag
    assert first.cseq.number < 2**31
    assert first.max_forwards == 70
    assert first.contacts[0].uri_text == "sip:alice@192.0.2.1:5060"


def test_early_dialogs_are_reported_and_100_is_not(bench: Bench) -> None:
    alice, number, invite = dial_far(bench)
    bench.answer(invite, 100, to_tag="")
    assert alice.told == []
    assert state(alice, number) is State.PROCEEDING
    bench.answer(invite, 183, to_tag="one")
    bench.answer(invite, 180, to_tag="two")
    bench.answer(invite, 180, to_tag="two")
    assert alice.names() == ["CallProgress"] * 3
    assert alice.calls.counts()["dialogs"] == 2


def test_provisional_response_without_tag_is_reported_and_makes_no_dialog(bench: Bench) -> None:
    alice, _, invite = dial_far(bench)
    bench.answer(invite, 180, to_tag="")
    assert alice.names() == ["CallProgress"]
    assert alice.calls.counts()["dialogs"] == 0


@pytest.mark.row("INV-1", part="3xx-6xx")
@pytest.mark.row("INV-9", part="UAC")
@pytest.mark.parametrize("status", [302, 404, 486, 503, 603, 699])
def test_a_refusal_is_reported_once_and_ends_every_early_dialog(bench: Bench, status: int) -> None:
    alice, _, invite = dial_far(bench)
    bench.answer(invite, 180, to_tag="one")
    bench.answer(invite, status, to_tag="two")
    bench.answer(invite, status, to_tag="two")
    assert alice.names() == ["CallProgress", "CallOver"]
    over = alice.last(CallOver)
    assert (over.reason, over.message.status, over.error) == (EndReason.REJECTED, status, None)
    assert len(bench.sent("ACK")) == 2
    bench.advance(40)
    assert alice.leftovers() == {}


def test_silence_is_reported_as_a_timeout(bench: Bench) -> None:
    alice, _, _ = dial_far(bench)
    bench.advance(33)
    over = alice.last(CallOver)
    assert over.reason is EndReason.FAILED
    assert isinstance(over.error, TransactionTimeout)
    bench.advance(33)
    assert alice.leftovers() == {}


def test_a_transport_error_is_reported(bench: Bench) -> None:
    alice, _, _ = dial_far(bench)
    alice.layer.transport_failed((bench.sent("INVITE")[0].top_via.branch, "INVITE"), "port unreachable", bench.now)
    bench.settle()
    over = alice.last(CallOver)
    assert isinstance(over.error, TransportError)
    bench.advance(40)
    assert alice.leftovers() == {}


def test_a_transaction_that_vanishes_ends_the_call_all_the_same(bench: Bench) -> None:
    alice, _, invite = dial_far(bench)
    bench.answer(invite, 180)
    alice.layer.abandon((invite.top_via.branch, "INVITE"), bench.now)
    bench.settle()
    assert isinstance(alice.last(CallOver).error, TransportError)
    assert alice.calls.counts() == {"calls": 0, "dialogs": 0}


def test_no_socket_for_the_hop_fails_the_call_at_once(bench: Bench) -> None:
    alice = bench.phone("alice", ALICE)
    alice.unreachable.add("192.0.2.3")
    dial(bench, alice, FAR)
    assert isinstance(alice.last(CallOver).error, TransportError)
    assert alice.leftovers() == {}


def test_bad_uris_and_headers_are_refused_before_anything_is_sent(bench: Bench) -> None:
    alice = bench.phone("alice", ALICE)
    with pytest.raises(RemoteProtocolError):
        alice.uac.invite("not a uri", bench.now)
    with pytest.raises(LocalProtocolError):
        alice.uac.invite(FAR, bench.now, headers=[("Subject", "x\r\nEvil: y")])
    bench.settle()
    assert bench.wire == []
    assert alice.leftovers() == {}


def test_tel_uri_has_no_way_without_a_proxy(bench: Bench) -> None:
    alice = bench.phone("alice", ALICE)
    dial(bench, alice, "tel:+4930123")
    assert "tel" in str(alice.last(CallOver).error)


def test_tel_uri_goes_to_the_proxy(bench: Bench) -> None:
    alice = bench.phone("alice", ALICE, routes=["<sip:192.0.2.3;lr>"], display_name='Alice "A" Liddell')
    dial(bench, alice, "tel:+4930123")
    [invite] = bench.sent("INVITE")
    assert invite.uri_text == "tel:+4930123"
    assert invite.get("from").startswith('"Alice \\"A\\" Liddell" <sip:alice@example.test>;tag=')
    assert bench.wire[0][2] == CAROL


# hanging up


@pytest.mark.row("BYE-3")
@pytest.mark.row("INV-3")
@pytest.mark.rfc("3261 15.1.1")
def test_the_caller_hangs_up_and_both_sides_know(bench: Bench) -> None:
    alice, bob = pair(bench)
    number, _ = established(bench, alice, bob)
    bench.advance(3600)
    assert state(alice, number) is State.CONFIRMED  # no timer ends a session
    alice.uac.hang_up(number, bench.now)
    bench.settle()
    assert alice.last(CallOver).reason is EndReason.HUNG_UP
    assert bob.last(CallOver).reason is EndReason.REMOTE
    assert bob.last(CallOver).message.method == "BYE"
    bench.advance(40)
    assert (alice.leftovers(), bob.leftovers()) == ({}, {})


@pytest.mark.row("BYE-3")
@pytest.mark.parametrize("status", [200, 302, 404, 408, 481, 500, 603])
def test_whatever_answers_a_bye_the_session_is_over(bench: Bench, status: int) -> None:
    alice, number, invite = dial_far(bench)
    bench.answer(invite, 200)
    alice.uac.hang_up(number, bench.now)
    bench.settle()
    [bye] = bench.sent("BYE")
    bench.answer(bye, status)
    over = alice.last(CallOver)
    assert over.reason is EndReason.HUNG_UP
    assert over.message.status == status
    bench.advance(40)
    assert alice.leftovers() == {}


@pytest.mark.row("BYE-3")
def test_a_bye_that_nobody_answers_ends_the_session_too(bench: Bench) -> None:
    alice, number, invite = dial_far(bench)
    bench.answer(invite, 200)
    alice.uac.hang_up(number, bench.now)
    alice.uac.hang_up(number, bench.now)
    bench.advance(33)
    assert len({bye.cseq.number for bye in bench.sent("BYE")}) == 1
    assert alice.last(CallOver).reason is EndReason.HUNG_UP
    assert alice.leftovers() == {}


def test_hanging_up_a_call_that_is_over_does_nothing(bench: Bench) -> None:
    alice, _, invite = dial_far(bench)
    bench.answer(invite, 486)
    alice.uac.hang_up(1, bench.now)
    alice.uac.cancel(1, bench.now)
    bench.settle()
    assert bench.sent("BYE") == []


@pytest.mark.threat("T13")
def test_byes_that_cross_are_both_answered_and_end_both_sides(bench: Bench) -> None:
    alice, bob = pair(bench)
    number, offered = established(bench, alice, bob)
    alice.uac.hang_up(number, bench.now)
    bob.uas.hang_up(offered, bench.now)
    bench.settle()
    assert len(bench.sent("BYE")) == 2
    assert [message.cseq.method for message in bench.sent(200)].count("BYE") == 2
    assert alice.last(CallOver).reason is EndReason.HUNG_UP
    assert bob.last(CallOver).reason is EndReason.HUNG_UP
    bench.advance(40)
    assert (alice.leftovers(), bob.leftovers()) == ({}, {})


@pytest.mark.row("BYE-6", part="UAC")
@pytest.mark.rfc("3261 15")
def test_the_caller_may_end_an_early_dialog_by_bye(bench: Bench) -> None:
    alice, bob = pair(bench)
    number = dial(bench, alice)
    bob.uas.ring(bob.last(CallOffered).call, bench.now)
    bench.settle()
    tag = alice.last(CallProgress).response.to_tag
    alice.uac.leave_early(number, tag, bench.now)
    bench.settle()
    assert bench.ladder() == ["1 INVITE", "2 180", "1 BYE", "2 200", "2 487", "1 ACK"]
    assert bob.last(CallOver).reason is EndReason.REMOTE
    assert alice.last(CallOver).reason is EndReason.REJECTED
    bench.advance(40)
    assert (alice.leftovers(), bob.leftovers()) == ({}, {})


def test_a_2xx_in_an_early_dialog_that_was_left_is_acknowledged_and_ended(bench: Bench) -> None:
    alice, number, invite = dial_far(bench)
    bench.answer(invite, 180, to_tag="one")
    alice.uac.leave_early(number, "one", bench.now)
    bench.settle()
    bench.answer(invite, 180, to_tag="one")
    bench.answer(invite, 200, to_tag="one")
    assert alice.names() == ["CallProgress", "CallProgress"]
    assert len(bench.sent("ACK")) == 1
    assert len(bench.sent("BYE")) == 2
    bench.answer(invite, 200, to_tag="two")
    assert alice.names()[-1] == "CallAnswered"
    with pytest.raises(LocalProtocolError):
        alice.uac.leave_early(number, "one", bench.now)


@pytest.mark.threat("T13")
@pytest.mark.parametrize("leaver", ["caller", "callee"])
@pytest.mark.parametrize("withdraws", [False, True])
def test_a_call_ends_when_only_an_early_dialog_that_was_left_is_answered(
    bench: Bench, leaver: str, withdraws: bool
) -> None:
    alice, number, invite = dial_far(bench)
    bench.answer(invite, 180, to_tag="one")
    if leaver == "caller":
        alice.uac.leave_early(number, "one", bench.now)
        bench.settle()
    else:
        bench.inject(far_request(invite, "BYE", "one"), CAROL, ALICE)  # overtakes the 2xx of the one who sent it
    bench.answer(invite, 200, to_tag="one")
    assert len(bench.sent("ACK")) == 1
    if withdraws:
        alice.uac.cancel(number, bench.now)
        bench.settle()
    for bye in bench.sent("BYE"):
        bench.answer(bye, 200)
    assert "CallAnswered" not in alice.names()
    bench.advance(400)
    assert alice.names().count("CallOver") == 1
    assert alice.leftovers() == {}


# withdrawing


@pytest.mark.row("CAN-1", part="UAC")
@pytest.mark.row("CAN-2")
@pytest.mark.row("CAN-5", part="UAC")
@pytest.mark.row("CAN-10", part="UAC")
@pytest.mark.rfc("3261 9.1")
def test_a_call_is_withdrawn_while_it_rings(bench: Bench) -> None:
    alice, bob = pair(bench)
    number = dial(bench, alice)
    bob.uas.ring(bob.last(CallOffered).call, bench.now)
    bench.settle()
    alice.uac.cancel(number, bench.now, [("Reason", 'SIP;cause=200;text="Call completed elsewhere"')])
    bench.settle()
    assert bench.ladder() == ["1 INVITE", "2 180", "1 CANCEL", "2 200", "2 487", "1 ACK"]
    [invite] = bench.sent("INVITE")
    [cancel] = bench.sent("CANCEL")
    for name in ("from", "to", "call-id"):
        assert cancel.get(name) == invite.get(name)
    assert cancel.uri_text == invite.uri_text
    assert cancel.get_all("via") == invite.get_all("via")
    assert cancel.cseq.number == invite.cseq.number
    assert cancel.get("reason").startswith("SIP;cause=200")
    assert alice.last(CallOver).reason is EndReason.CANCELLED
    assert bob.last(CallOver).reason is EndReason.CANCELLED
    assert bob.last(CallOver).message.get("reason") == cancel.get("reason")
    bench.advance(40)
    assert (alice.leftovers(), bob.leftovers()) == ({}, {})


@pytest.mark.row("CAN-3", part="UAC")
def test_cancel_waits_for_the_first_provisional_response(bench: Bench) -> None:
    alice, number, invite = dial_far(bench)
    alice.uac.hang_up(number, bench.now)
    bench.advance(10)
    assert bench.sent("CANCEL") == []
    assert state(alice, number) is State.WITHDRAWN
    bench.answer(invite, 180)
    assert len(bench.sent("CANCEL")) == 1
    assert state(alice, number) is State.CANCELLING
    assert alice.told == []
    bench.answer(invite, 487)
    assert alice.last(CallOver).reason is EndReason.CANCELLED


@pytest.mark.row("CAN-3", part="UAC")
@pytest.mark.parametrize("status", [486, 487, 401])
def test_cancel_is_dropped_when_a_final_response_comes_first(bench: Bench, status: int) -> None:
    alice, number, invite = dial_far(bench, password="secret")
    alice.uac.cancel(number, bench.now)
    bench.answer(invite, status, WWW_Authenticate='Digest realm="example.test", nonce="n"')
    assert bench.sent("CANCEL") == []
    assert len(bench.sent("INVITE")) == 1
    assert alice.last(CallOver).reason is EndReason.CANCELLED
    bench.advance(40)
    assert alice.leftovers() == {}


@pytest.mark.parametrize("breaks", [True, False])
def test_whatever_ends_a_cancelled_invite_the_call_is_cancelled(bench: Bench, breaks: bool) -> None:
    alice, number, invite = dial_far(bench, password="secret")
    bench.answer(invite, 180)
    alice.uac.cancel(number, bench.now)
    bench.settle()
    if breaks:
        alice.layer.abandon((invite.top_via.branch, "INVITE"), bench.now)
        bench.settle()
    else:
        bench.answer(invite, 401, WWW_Authenticate=CHALLENGE)
    over = alice.last(CallOver)
    assert (over.reason, over.error) == (EndReason.CANCELLED, None)
    assert len(bench.sent("INVITE")) == 1


@pytest.mark.row("CAN-9")
@pytest.mark.threat("T13")
@pytest.mark.parametrize("rings", [True, False])
def test_a_2xx_that_crosses_the_withdrawal_is_acknowledged_and_ended(bench: Bench, rings: bool) -> None:
    alice, number, invite = dial_far(bench)
    if rings:
        bench.answer(invite, 180)
    alice.uac.cancel(number, bench.now)
    bench.settle()
    bench.answer(invite, 200)
    assert bench.ladder()[-2:] == ["1 ACK", "1 BYE"]
    assert "CallAnswered" not in alice.names()
    bench.answer(bench.sent("BYE")[0], 200)
    assert alice.last(CallOver).reason is EndReason.CANCELLED
    bench.advance(70)
    assert alice.leftovers() == {}


@pytest.mark.row("CAN-9")
@pytest.mark.rfc("3261 9.1")
def test_without_a_final_response_the_call_is_reported_cancelled_after_64_t1(bench: Bench) -> None:
    alice, number, invite = dial_far(bench)
    bench.answer(invite, 180)
    bench.advance(100)
    alice.uac.cancel(number, bench.now)
    bench.settle()
    bench.answer(bench.sent("CANCEL")[0], 200)
    bench.advance(31.9)
    assert state(alice, number) is State.CANCELLING
    bench.advance(0.2)
    over = alice.last(CallOver)
    assert (over.reason, over.message, over.error) == (EndReason.CANCELLED, None, None)
    assert alice.uac.counts()["transactions"] == 0
    bench.advance(40)
    assert alice.leftovers() == {}


@pytest.mark.row("CAN-9")
def test_the_64_t1_begin_when_a_cancel_kept_back_leaves(bench: Bench) -> None:
    alice, number, invite = dial_far(bench)
    alice.uac.cancel(number, bench.now)
    bench.advance(20)
    bench.answer(invite, 180)
    bench.advance(31.9)
    assert state(alice, number) is State.CANCELLING
    bench.advance(0.2)
    assert alice.last(CallOver).reason is EndReason.CANCELLED


@pytest.mark.row("CAN-1", part="when nobody answers in time")
@pytest.mark.rfc("3261 9.1")
def test_a_call_that_rings_for_ever_is_withdrawn_and_reported_as_a_timeout(bench: Bench) -> None:
    alice, number, invite = dial_far(bench)
    bench.answer(invite, 100)
    bench.advance(200)
    bench.answer(invite, 180)
    bench.advance(244.9)
    assert bench.sent("CANCEL") == []
    bench.advance(0.2)
    assert state(alice, number) is State.CANCELLING
    bench.answer(bench.sent("CANCEL")[0], 200)
    bench.answer(invite, 487)
    over = alice.last(CallOver)
    assert over.reason is EndReason.FAILED
    assert isinstance(over.error, TransactionTimeout)
    bench.advance(40)
    assert alice.leftovers() == {}


def test_a_call_that_rings_for_ever_and_cannot_be_cancelled_is_given_up(bench: Bench) -> None:
    alice, _, invite = dial_far(bench)
    bench.answer(invite, 100)
    bench.advance(245)
    assert "CallOver" not in alice.names()
    bench.advance(32.1)
    assert isinstance(alice.last(CallOver).error, TransactionTimeout)
    bench.advance(40)
    assert alice.leftovers() == {}


def test_a_call_that_is_answered_goes_on_when_its_ringing_would_be_over(bench: Bench) -> None:
    alice, bob = pair(bench)
    number = dial(bench, alice)
    offered = bob.last(CallOffered).call
    bob.uas.ring(offered, bench.now)
    bench.settle()
    bob.uas.answer(offered, bench.now, body=ANSWER, content_type=SDP)
    bench.advance(300)
    assert state(alice, number) is State.CONFIRMED


def test_withdrawn_call_that_nobody_answers_is_cancelled_not_failed(bench: Bench) -> None:
    alice, number, _ = dial_far(bench)
    alice.uac.cancel(number, bench.now)
    bench.advance(33)
    over = alice.last(CallOver)
    assert (over.reason, over.error) == (EndReason.CANCELLED, None)
    bench.advance(33)
    assert alice.leftovers() == {}


def test_the_deadline_of_a_cancel_that_worked_is_stale(bench: Bench) -> None:
    alice, bob = pair(bench)
    first = dial(bench, alice)
    bob.uas.ring(bob.last(CallOffered).call, bench.now)
    bench.settle()
    alice.uac.cancel(first, bench.now)
    bench.settle()
    established(bench, alice, bob)
    bench.advance(40)
    assert alice.names().count("CallOver") == 1


def test_a_call_withdrawn_before_its_name_is_known_was_never_made(bench: Bench) -> None:
    alice = bench.phone("alice", ALICE)
    number = dial(bench, alice, "sip:bob@slow.example")
    alice.uac.cancel(number, bench.now)
    bench.settle()
    assert alice.last(CallOver).reason is EndReason.CANCELLED
    bench.zone["slow.example"] = "192.0.2.3"
    bench.settle()
    assert bench.wire == []
    assert alice.leftovers() == {}


@pytest.mark.rfc("3261 9.1")
def test_a_call_withdrawn_between_its_redirection_and_its_repetition_is_not_made_again(bench: Bench) -> None:
    alice, number, invite = dial_far(bench)
    bench.answer(invite, 302, contact="<sip:bob@slow.example>")
    alice.uac.cancel(number, bench.now)
    bench.settle()
    assert alice.last(CallOver).reason is EndReason.CANCELLED
    bench.zone["slow.example"] = "192.0.2.3"
    bench.settle()
    assert bench.sent("INVITE") == [invite]
    bench.advance(40)
    assert alice.leftovers() == {}


def test_the_callees_side_cannot_be_cancelled(bench: Bench) -> None:
    alice, bob = pair(bench)
    dial(bench, alice)
    bob.uac.cancel(bob.last(CallOffered).call, bench.now)
    bench.settle()
    assert bob.names() == ["CallOffered"]


# forks


@pytest.mark.row("INV-7", part="UA")
@pytest.mark.rfc("3261 13.2.2.4")
def test_a_second_2xx_from_a_fork_is_acknowledged_and_ended(bench: Bench) -> None:
    alice, number, invite = dial_far(bench)
    bench.answer(invite, 180, to_tag="one")
    bench.answer(invite, 180, to_tag="two")
    bench.answer(invite, 200, to_tag="one")
    bench.answer(invite, 200, to_tag="two", contact="<sip:two@192.0.2.3>")
    bench.answer(invite, 200, to_tag="three")
    assert [ack.to_tag for ack in bench.sent("ACK")] == ["one", "two", "three"]
    assert [bye.to_tag for bye in bench.sent("BYE")] == ["two", "three"]
    assert bench.sent("BYE")[0].uri_text == "sip:two@192.0.2.3"
    bench.answer(invite, 200, to_tag="two")
    assert [ack.to_tag for ack in bench.sent("ACK")] == ["one", "two", "three", "two"]
    for bye in bench.sent("BYE"):
        bench.answer(bye, 200)
    assert alice.names() == ["CallProgress", "CallProgress", "CallAnswered"]
    assert state(alice, number) is State.CONFIRMED
    assert alice.calls.counts() == {"calls": 1, "dialogs": 1}


@pytest.mark.row("INV-7", part="UA")
def test_early_dialogs_that_nobody_answered_in_are_dropped_with_the_transaction(bench: Bench) -> None:
    alice, _, invite = dial_far(bench)
    bench.answer(invite, 180, to_tag="one")
    bench.answer(invite, 180, to_tag="two")
    bench.answer(invite, 200, to_tag="one")
    assert alice.calls.counts()["dialogs"] == 2
    bench.advance(33)
    assert alice.calls.counts() == {"calls": 1, "dialogs": 1}


@pytest.mark.row("INV-7", part="UA")
@pytest.mark.threat("T13")
def test_a_fork_that_answers_after_we_hung_up_is_ended_too(bench: Bench) -> None:
    alice, number, invite = dial_far(bench)
    bench.answer(invite, 200, to_tag="one")
    alice.uac.hang_up(number, bench.now)
    bench.settle()
    bench.answer(invite, 200, to_tag="two")
    bench.answer(bench.sent("BYE")[0], 200)
    assert alice.last(CallOver).reason is EndReason.HUNG_UP
    bench.answer(invite, 200, to_tag="three")
    bench.answer(invite, 200, to_tag="one")
    assert [ack.to_tag for ack in bench.sent("ACK")] == ["one", "two", "three", "one"]
    assert [bye.to_tag for bye in bench.sent("BYE")] == ["one", "two", "three"]
    bench.advance(70)
    assert alice.leftovers() == {}


def test_a_lost_fork_that_hangs_up_first_is_answered_and_forgotten(bench: Bench) -> None:
    alice, _, invite = dial_far(bench)
    bench.answer(invite, 200, to_tag="one")
    bench.answer(invite, 200, to_tag="two")
    bye = far_request(invite, "BYE", "two")
    bench.inject(bye, CAROL, ALICE)
    assert bench.ladder()[-1] == "1 200"
    assert alice.calls.counts() == {"calls": 1, "dialogs": 1}
    assert alice.names() == ["CallAnswered"]


def test_a_lost_fork_gets_481_for_anything_but_bye(bench: Bench) -> None:
    _, _, invite = dial_far(bench)
    bench.answer(invite, 200, to_tag="one")
    bench.answer(invite, 200, to_tag="two")
    bench.inject(far_request(invite, "OPTIONS", "two"), CAROL, ALICE)
    assert bench.ladder()[-1] == "1 481"


def test_a_callee_that_ends_an_early_dialog_ends_that_one_only(bench: Bench) -> None:
    alice, number, invite = dial_far(bench)
    bench.answer(invite, 180, to_tag="one")
    bench.answer(invite, 180, to_tag="two")
    bench.inject(far_request(invite, "BYE", "one"), CAROL, ALICE)
    assert bench.ladder()[-1] == "1 200"
    assert state(alice, number) is State.PROCEEDING
    assert alice.calls.counts()["dialogs"] == 1
    bench.answer(invite, 200, to_tag="two")
    assert alice.names()[-1] == "CallAnswered"


def far_request(invite: Request, method: str, tag: str, cseq: int = 1, body: bytes = b"") -> bytes:
    """A request in a dialog of Alice's, from the far end."""
    kind = f"Content-Type: {SDP}\r\n" if body else ""
    return (
        f"{method} sip:alice@192.0.2.1:5060 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 192.0.2.3;branch=z9hG4bK{method}{tag}{cseq}\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:far@192.0.2.3>;tag={tag}\r\nTo: {invite.get('from')}\r\n"
        f"Call-ID: {invite.call_id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:far@192.0.2.3:5099>\r\n"
        f"{kind}Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


# stray responses


def test_a_2xx_after_the_transaction_is_acknowledged_while_the_dialog_lives(bench: Bench) -> None:
    alice, number, invite = dial_far(bench)
    bench.answer(invite, 200)
    bench.advance(40)
    bench.answer(invite, 200)
    assert len(bench.sent("ACK")) == 2
    assert bench.sent("ACK")[1].cseq.number == invite.cseq.number
    alice.uac.hang_up(number, bench.now)
    bench.settle()
    bench.answer(bench.sent("BYE")[0], 200)
    bench.answer(invite, 200)
    bench.answer(invite, 486)
    assert len(bench.sent("ACK")) == 2


@pytest.mark.row("CAN-9")
@pytest.mark.threat("T13")
@pytest.mark.parametrize("cancelled", [True, False])
def test_a_2xx_after_we_gave_up_is_acknowledged_and_ended(bench: Bench, cancelled: bool) -> None:
    alice, number, invite = dial_far(bench)
    if cancelled:
        bench.answer(invite, 180)
        alice.uac.cancel(number, bench.now)
    bench.advance(32.1)
    assert alice.names()[-1] == "CallOver"
    bench.answer(invite, 180)
    bench.answer(invite, 200)
    bench.answer(invite, 200)
    assert len(bench.sent("ACK")) == 2
    [bye] = bench.sent("BYE")
    bench.answer(bye, 200)
    assert alice.names()[-1] == "CallOver"
    bench.advance(40)
    bench.answer(invite, 200)
    assert len(bench.sent("ACK")) == 2
    assert alice.leftovers() == {}


# credentials

CHALLENGE = 'Digest realm="example.test", nonce="abc", algorithm=MD5, qop="auth"'


@pytest.mark.row("INV-4")
@pytest.mark.row("INV-6", part="401/407")
@pytest.mark.row("AUT-1", part="UAC")
@pytest.mark.row("ACK-2")
@pytest.mark.parametrize(
    ("status", "asks", "answers"),
    [(401, "WWW_Authenticate", "authorization"), (407, "Proxy_Authenticate", "proxy-authorization")],
)
def test_a_challenged_invite_is_repeated_with_credentials(bench: Bench, status: int, asks: str, answers: str) -> None:
    alice, _, invite = dial_far(bench, password="secret")
    bench.answer(invite, 183, to_tag="one")
    bench.answer(invite, status, **{asks: CHALLENGE})
    again = bench.sent("INVITE")[1]
    assert again.cseq.number == invite.cseq.number + 1
    assert (again.call_id, again.from_tag) == (invite.call_id, invite.from_tag)
    assert again.top_via.branch != invite.top_via.branch
    assert again.to_tag is None
    assert again.body == OFFER
    value = again.get(answers)
    assert 'username="alice"' in value
    assert 'nonce="abc"' in value
    bench.answer(again, 200)
    ack = bench.sent("ACK")[-1]
    assert ack.get(answers) == value
    assert ack.cseq.number == again.cseq.number
    assert alice.names() == ["CallProgress", "CallAnswered"]
    assert alice.calls.counts()["dialogs"] == 1


@pytest.mark.rfc("3261 22.1")
def test_credentials_that_were_refused_are_not_sent_again(bench: Bench) -> None:
    alice, _, invite = dial_far(bench, password="wrong")
    bench.answer(invite, 401, WWW_Authenticate=CHALLENGE)
    bench.answer(bench.sent("INVITE")[1], 401, WWW_Authenticate=CHALLENGE)
    assert len(bench.sent("INVITE")) == 2
    assert alice.last(CallOver).message.status == 401


def test_a_stale_nonce_is_answered_again_but_not_for_ever(bench: Bench) -> None:
    alice, _, invite = dial_far(bench, password="secret")
    for turn in range(5):
        sent = bench.sent("INVITE")
        if len(sent) > turn:
            bench.answer(sent[turn], 401, WWW_Authenticate=f"{CHALLENGE}, stale=true".replace("abc", f"n{turn}"))
    assert len(bench.sent("INVITE")) == 4
    assert 'nonce="n2"' in bench.sent("INVITE")[3].get("authorization")
    assert len(bench.sent("INVITE")[3].get_all("authorization")) == 1
    assert alice.last(CallOver).message.status == 401
    assert invite.get("authorization") is None


def test_two_realms_are_both_answered_and_kept(bench: Bench) -> None:
    _, _, invite = dial_far(bench, password="secret", realms=["example.test", "proxy"])
    bench.answer(invite, 407, Proxy_Authenticate=CHALLENGE.replace("example.test", "proxy"))
    bench.answer(bench.sent("INVITE")[1], 401, WWW_Authenticate=CHALLENGE)
    last = bench.sent("INVITE")[2]
    assert 'realm="proxy"' in last.get("proxy-authorization")
    assert 'realm="example.test"' in last.get("authorization")


@pytest.mark.rfc("7616 3.4")
def test_credentials_that_are_given_again_have_the_next_count_of_their_nonce(bench: Bench) -> None:
    _, _, invite = dial_far(bench, password="secret", realms=["example.test", "proxy"])
    asks = 'Digest realm="proxy", nonce="n", qop="auth"'
    bench.answer(invite, 407, Proxy_Authenticate=asks)
    bench.answer(bench.sent("INVITE")[1], 401, WWW_Authenticate=CHALLENGE)
    given = [invite.get("proxy-authorization") for invite in bench.sent("INVITE")[1:]]
    assert ["nc=00000001" in given[0], "nc=00000002" in given[1]] == [True, True]


@pytest.mark.rfc("3261 22.2")
def test_a_proxy_and_the_phone_behind_it_may_ask_for_the_same_realm(bench: Bench) -> None:
    _, _, invite = dial_far(bench, password="secret")
    bench.answer(invite, 407, Proxy_Authenticate=CHALLENGE)
    bench.answer(bench.sent("INVITE")[1], 401, WWW_Authenticate=CHALLENGE)
    last = bench.sent("INVITE")[2]
    assert last.has("proxy-authorization")
    assert last.has("authorization")
    bench.answer(last, 401, WWW_Authenticate=CHALLENGE)
    assert len(bench.sent("INVITE")) == 3


@pytest.mark.rfc("8760 2.4")
@pytest.mark.row("AUT-1", part="UAC")
def test_the_first_algorithm_that_is_known_is_answered(bench: Bench) -> None:
    _, _, invite = dial_far(bench, password="secret")
    headers = [
        ("WWW-Authenticate", 'Digest realm="example.test", nonce="x", algorithm=SHA-9'),
        ("WWW-Authenticate", 'Digest realm="example.test", nonce="y", algorithm=SHA-256, qop="auth"'),
        ("WWW-Authenticate", CHALLENGE),
    ]
    response = bench_response(invite, 401, headers)
    bench.inject(response, CAROL, ALICE)
    assert "algorithm=SHA-256" in bench.sent("INVITE")[1].get("authorization")


def test_events_of_transactions_that_are_not_ours_any_more_change_nothing(bench: Bench) -> None:
    alice, number, invite = dial_far(bench, password="secret")
    bench.answer(invite, 401, WWW_Authenticate=CHALLENGE)
    bench.answer(bench.sent("INVITE")[1], 180)
    bench.advance(40)  # the challenged transaction has been gone for a while
    response = bench.answer(invite, 486)
    alice.uac.handle_event(
        ResponseReceived((invite.top_via.branch, "INVITE"), response, alice_flow(), "uac"), bench.now
    )
    alice.uac.handle_event(StrayResponse(response, alice_flow()), bench.now)
    assert state(alice, number) is State.PROCEEDING


def alice_flow() -> Flow:
    return Flow("UDP", ALICE, CAROL)


def bench_response(invite: Request, status: int, headers: list[tuple[str, str]]) -> bytes:
    return build_response(invite, status, to_tag="far", headers=headers).to_bytes()


@pytest.mark.threat("T5")
@pytest.mark.parametrize(
    ("password", "challenge"),
    [
        (None, CHALLENGE),
        ("secret", CHALLENGE.replace("example.test", "stranger.example")),
        ("secret", 'Basic realm="example.test"'),
        ("secret", "Digest nonsense"),
    ],
)
def test_a_challenge_that_is_not_ours_to_answer_refuses_the_call(
    bench: Bench, password: str | None, challenge: str
) -> None:
    alice, _, invite = dial_far(bench, password=password)
    bench.answer(invite, 401, WWW_Authenticate=challenge)
    assert len(bench.sent("INVITE")) == 1
    assert alice.last(CallOver).message.status == 401


@pytest.mark.row("BYE-3")
@pytest.mark.row("AUT-1", part="UAC")
def test_a_challenged_bye_is_repeated_with_credentials(bench: Bench) -> None:
    alice, number, invite = dial_far(bench, password="secret")
    bench.answer(invite, 200)
    alice.uac.hang_up(number, bench.now)
    bench.settle()
    [bye] = bench.sent("BYE")
    bench.answer(bye, 407, Proxy_Authenticate=CHALLENGE)
    again = bench.sent("BYE")[1]
    assert again.cseq.number == bye.cseq.number + 1
    assert 'realm="example.test"' in again.get("proxy-authorization")
    assert "CallOver" not in alice.names()
    bench.answer(again, 200)
    assert alice.last(CallOver).reason is EndReason.HUNG_UP


def test_events_of_a_call_come_in_order_on_both_sides(bench: Bench) -> None:
    alice, bob = pair(bench)
    number = dial(bench, alice)
    bob.uas.ring(bob.last(CallOffered).call, bench.now)
    bench.settle()
    bob.uas.answer(bob.last(CallOffered).call, bench.now)
    bench.settle()
    alice.uac.hang_up(number, bench.now)
    bench.settle()
    assert [type(event) for event in alice.told] == [CallProgress, CallAnswered, CallOver]
    assert [type(event) for event in bob.told] == [CallOffered, CallConfirmed, CallOver]
    assert {event.call for event in alice.told} == {number}
