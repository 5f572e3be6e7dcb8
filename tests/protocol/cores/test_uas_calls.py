"""Calls that we get, and what comes in their dialogs (RFC 3261 §9.2, §13.3, §14.2, §15.1.2)."""

from __future__ import annotations

import pytest

from ringback.protocol.cores.calls import EndReason, State
from ringback.protocol.cores.capabilities import Capabilities
from ringback.protocol.cores.ua_events import CallOffered, CallOver, RequestOffered, RequestWithdrawn
from ringback.protocol.errors import CallEnded, LocalProtocolError
from ringback.protocol.message.model import Request, Response
from ringback.protocol.message.parser import parse_message
from ringback.protocol.transaction.events import CancelReceived, TransactionTimedOut
from tests.protocol.cores.bench import ANSWER, BOB, CAROL, OFFER, SDP, Bench, Phone
from tests.protocol.cores.test_uas_checks import far


@pytest.fixture
def bob(bench: Bench) -> Phone:
    return bench.phone("bob", BOB, can=Capabilities(methods=["INFO"]))


def ringing(bench: Bench, bob: Phone, transport: str = "UDP", **headers: str) -> tuple[int, str]:
    """A call to Bob that rings: its number and Bob's tag."""
    request = far("INVITE", body=OFFER, Content_Type=SDP, **headers)
    if transport != "UDP":
        request = request.replace(b"SIP/2.0/UDP", f"SIP/2.0/{transport}".encode())
    bench.inject(request, CAROL, BOB, transport)
    number = bob.last(CallOffered).call
    bob.uas.ring(number, bench.now)
    bench.settle()
    return number, bench.sent(180)[-1].to_tag


def answered(bench: Bench, bob: Phone, transport: str = "UDP") -> tuple[int, str]:
    number, tag = ringing(bench, bob, transport)
    bob.uas.answer(number, bench.now, body=ANSWER, content_type=SDP)
    bench.settle()
    return number, tag


def confirmed(bench: Bench, bob: Phone) -> tuple[int, str]:
    number, tag = answered(bench, bob)
    bench.inject(far("ACK", to_tag=tag), CAROL, BOB)
    return number, tag


def last(bench: Bench) -> Response:
    return bench.wire[-1][3]


def cancel(branch: str = "INVITE1", cseq: int = 5, **headers: str) -> bytes:
    return far("CANCEL", cseq=cseq, **headers).replace(b"CANCEL1", branch.encode())


@pytest.mark.rfc("3261 12.1.1")
def test_ringing_and_answer_bear_one_tag_contact_and_the_record_route(bench: Bench, bob: Phone) -> None:
    number, tag = ringing(bench, bob, Record_Route="<sip:192.0.2.3;lr>")
    bob.uas.answer(number, bench.now, body=ANSWER, content_type=SDP, headers=[("Subject", "hi")])
    bench.settle()
    [progress] = bench.sent(180)
    [answer] = bench.sent(200)
    for response in (progress, answer):
        assert response.to_tag == tag
        assert response.get("contact") == "<sip:bob@192.0.2.2:5060>"
        assert response.get("record-route") == "<sip:192.0.2.3;lr>"
        assert "INVITE" in response.allow
    assert (answer.body, answer.content_type, answer.get("subject")) == (ANSWER, SDP, "hi")
    assert bob.last(CallOffered).request.body == OFFER


@pytest.mark.row("ACK-5")
@pytest.mark.rfc("3261 13.3.1.4")
@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_a_2xx_is_repeated_until_its_ack_over_every_transport(bench: Bench, bob: Phone, transport: str) -> None:
    _, tag = answered(bench, bob, transport)
    bench.advance(12)
    assert bench.times(200) == pytest.approx([0, 0.5, 1.5, 3.5, 7.5, 11.5])
    bench.inject(far("ACK", to_tag=tag), CAROL, BOB, transport)
    bench.advance(100)
    assert len(bench.times(200)) == 6
    assert bob.names() == ["CallOffered", "CallConfirmed"]


@pytest.mark.row("ACK-5")
@pytest.mark.row("INV-3")
@pytest.mark.rfc("3261 13.3.1.4")
def test_without_an_ack_the_session_is_ended_by_bye_after_64_t1(bench: Bench, bob: Phone) -> None:
    answered(bench, bob)
    bench.advance(31.9)
    assert bench.sent("BYE") == []
    bench.advance(0.2)
    [bye] = bench.sent("BYE")
    assert bye.uri_text == "sip:far@192.0.2.3"
    bench.answer(bye, 200)
    assert bob.last(CallOver).reason is EndReason.NO_ACK
    bench.advance(40)
    assert bob.leftovers() == {}


@pytest.mark.row("ACK-5")
def test_an_ack_for_another_invite_does_not_end_the_repetition(bench: Bench, bob: Phone) -> None:
    _, tag = answered(bench, bob)
    bench.inject(far("ACK", to_tag=tag, cseq=4), CAROL, BOB)
    bench.inject(far("ACK", to_tag="other"), CAROL, BOB)
    bench.advance(1)
    assert len(bench.sent(200)) == 2
    bench.inject(far("ACK", to_tag=tag), CAROL, BOB)
    bench.inject(far("ACK", to_tag=tag), CAROL, BOB)
    assert bob.names() == ["CallOffered", "CallConfirmed"]


def test_a_broken_transaction_does_not_stop_the_64_t1(bench: Bench, bob: Phone) -> None:
    number, _ = answered(bench, bob)
    bob.layer.abandon(bob.calls.get(number).key, bench.now)
    bench.advance(33)
    assert len(bench.sent(200)) == 1
    assert len(bench.sent("BYE")) >= 1


@pytest.mark.row("INV-9", part="UAS")
@pytest.mark.row("INV-1", part="3xx-6xx")
@pytest.mark.parametrize("status", [302, 486, 488, 600, 603])
def test_a_call_is_refused_with_what_the_user_says(bench: Bench, bob: Phone, status: int) -> None:
    number, tag = ringing(bench, bob)
    bob.uas.reject(number, bench.now, status=status, reason="No", headers=[("Warning", '399 bob "no"')])
    bench.settle()
    response = last(bench)
    assert (response.status, response.reason, response.to_tag) == (status, "No", tag)
    assert response.get_all("warning") == ['399 bob "no"']
    assert bob.last(CallOver).reason is EndReason.REJECTED
    bench.advance(40)
    assert bob.leftovers() == {}


@pytest.mark.parametrize("status", [488, 606, 486])
@pytest.mark.row("INV-9", part="UAS")
@pytest.mark.rfc("3261 21.4.26")
def test_a_session_that_is_not_acceptable_is_refused_with_a_warning(bench: Bench, bob: Phone, status: int) -> None:
    number, _ = ringing(bench, bob)
    bob.uas.reject(number, bench.now, status=status)
    bench.settle()
    assert (last(bench).status, last(bench).has("warning")) == (status, status != 486)


def test_a_call_may_ring_twice_and_be_refused_without_ringing(bench: Bench, bob: Phone) -> None:
    number, _ = ringing(bench, bob)
    bob.uas.ring(number, bench.now, status=183, body=ANSWER, content_type=SDP)
    bench.settle()
    assert last(bench).body == ANSWER
    bench.inject(far("INVITE", branch="2", call_id="c2"), CAROL, BOB)
    bob.uas.reject(bob.last(CallOffered).call, bench.now)
    bench.settle()
    assert last(bench).status == 480
    bench.inject(far("INVITE", branch="3", call_id="c3"), CAROL, BOB)
    bob.layer.abandon(bob.calls.get(bob.last(CallOffered).call).key, bench.now)
    bench.settle()
    assert bob.last(CallOver).reason is EndReason.FAILED


def test_verbs_out_of_their_range_are_refused(bench: Bench, bob: Phone) -> None:
    number, _ = ringing(bench, bob)
    with pytest.raises(LocalProtocolError):
        bob.uas.ring(number, bench.now, status=100)
    with pytest.raises(LocalProtocolError):
        bob.uas.answer(number, bench.now, status=302)
    with pytest.raises(LocalProtocolError):
        bob.uas.reject(number, bench.now, status=200)


@pytest.mark.parametrize("verb", ["ring", "answer", "reject"])
def test_verbs_that_come_too_late_say_so(bench: Bench, bob: Phone, verb: str) -> None:
    number, _ = answered(bench, bob)
    for wanted in (number, 99):
        with pytest.raises(CallEnded):
            getattr(bob.uas, verb)(wanted, bench.now)


# CANCEL


@pytest.mark.row("CAN-7", part="UAS")
@pytest.mark.rfc("3261 9.2")
@pytest.mark.parametrize("rings", [True, False])
def test_a_cancel_before_the_answer_gets_200_and_the_invite_487(bench: Bench, bob: Phone, rings: bool) -> None:
    if rings:
        ringing(bench, bob)
    else:
        bench.inject(far("INVITE"), CAROL, BOB)
    bench.inject(cancel(), CAROL, BOB)
    [accepted] = bench.sent(200)
    [terminated] = bench.sent(487)
    assert accepted.cseq.method == "CANCEL"
    assert terminated.cseq.method == "INVITE"
    assert accepted.to_tag == terminated.to_tag
    assert bob.last(CallOver).reason is EndReason.CANCELLED
    with pytest.raises(CallEnded):
        bob.uas.answer(bob.last(CallOver).call, bench.now)
    bench.inject(far("ACK", to_tag=terminated.to_tag), CAROL, BOB)
    bench.advance(40)
    assert bob.leftovers() == {}


@pytest.mark.row("CAN-7", part="UAS")
@pytest.mark.threat("T13")
def test_a_cancel_after_the_answer_gets_200_and_has_no_other_effect(bench: Bench, bob: Phone) -> None:
    number, tag = answered(bench, bob)
    bench.inject(cancel(), CAROL, BOB)
    assert last(bench).cseq.method == "CANCEL"
    assert last(bench).status == 200
    assert bench.sent(487) == []
    assert bob.calls.get(number).state is State.ANSWERED
    bench.inject(far("ACK", to_tag=tag), CAROL, BOB)
    assert bob.names() == ["CallOffered", "CallConfirmed"]


@pytest.mark.row("CAN-7", part="UAS")
def test_a_cancel_of_another_method_gets_200_and_does_nothing(bench: Bench, bob: Phone) -> None:
    bench.inject(far("INFO"), CAROL, BOB)
    bench.inject(cancel("INFO1"), CAROL, BOB)
    assert last(bench).status == 200
    assert bob.names() == ["RequestOffered"]


# hanging up


@pytest.mark.row("BYE-6")
@pytest.mark.rfc("3261 15")
def test_the_callee_hangs_up_only_when_its_2xx_is_acknowledged(bench: Bench, bob: Phone) -> None:
    number, tag = answered(bench, bob)
    bob.uas.hang_up(number, bench.now)
    bob.uas.hang_up(number, bench.now)
    bench.advance(5)
    assert bench.sent("BYE") == []
    assert bob.calls.get(number).state is State.CLOSING
    bench.inject(far("ACK", to_tag=tag), CAROL, BOB)
    [bye] = bench.sent("BYE")
    bench.answer(bye, 200)
    assert bob.last(CallOver).reason is EndReason.HUNG_UP
    bench.advance(40)
    assert bob.leftovers() == {}


@pytest.mark.row("BYE-6")
def test_the_callee_that_hung_up_stops_waiting_for_the_ack_after_64_t1(bench: Bench, bob: Phone) -> None:
    number, _ = answered(bench, bob)
    bob.uas.hang_up(number, bench.now)
    bench.advance(32.1)
    assert len(bench.sent("BYE")) == 1
    bench.answer(bench.sent("BYE")[0], 200)
    assert bob.last(CallOver).reason is EndReason.HUNG_UP


def test_hanging_up_while_it_rings_refuses_the_call(bench: Bench, bob: Phone) -> None:
    number, _ = ringing(bench, bob)
    bob.uas.hang_up(number, bench.now)
    bob.uas.hang_up(number, bench.now)
    bench.settle()
    assert last(bench).status == 480


def test_hanging_up_a_confirmed_call_sends_bye(bench: Bench, bob: Phone) -> None:
    number, _ = confirmed(bench, bob)
    bob.uas.hang_up(number, bench.now)
    bench.settle()
    bench.answer(bench.sent("BYE")[0], 200)
    assert bob.last(CallOver).reason is EndReason.HUNG_UP


def test_hanging_up_reaches_calls_of_our_own_too(bench: Bench, bob: Phone) -> None:
    number = bob.uac.invite("sip:far@192.0.2.3", bench.now)
    bob.uas.hang_up(number, bench.now)
    bench.settle()
    assert bob.calls.get(number).state is State.WITHDRAWN


@pytest.mark.row("BYE-4")
@pytest.mark.rfc("3261 15.1.2")
def test_a_bye_gets_200_and_ends_the_call(bench: Bench, bob: Phone) -> None:
    _, tag = confirmed(bench, bob)
    bench.inject(far("BYE", to_tag=tag, cseq=6), CAROL, BOB)
    assert (last(bench).status, last(bench).cseq.method) == (200, "BYE")
    assert bob.last(CallOver).reason is EndReason.REMOTE
    bench.inject(far("BYE", to_tag=tag, cseq=7, branch="2"), CAROL, BOB)
    assert last(bench).status == 481
    bench.advance(40)
    assert bob.leftovers() == {}


@pytest.mark.row("BYE-4")
@pytest.mark.threat("T13")
@pytest.mark.parametrize("hung_up", [True, False])
def test_a_bye_before_the_ack_ends_the_call_and_the_repetition(bench: Bench, bob: Phone, hung_up: bool) -> None:
    number, tag = answered(bench, bob)
    if hung_up:
        bob.uas.hang_up(number, bench.now)
    bench.inject(far("BYE", to_tag=tag, cseq=6), CAROL, BOB)
    bench.inject(far("ACK", to_tag=tag), CAROL, BOB)
    bench.advance(40)
    assert len(bench.sent(200)) == 2
    assert bench.sent("BYE") == []
    assert bob.last(CallOver).reason is (EndReason.HUNG_UP if hung_up else EndReason.REMOTE)
    assert bob.leftovers() == {}


@pytest.mark.row("BYE-4")
@pytest.mark.row("BYE-6", part="UAS")
def test_a_bye_in_the_early_dialog_ends_the_invite_with_487(bench: Bench, bob: Phone) -> None:
    _, tag = ringing(bench, bob)
    bench.inject(far("BYE", to_tag=tag, cseq=6), CAROL, BOB)
    assert [message.status for _, source, _, message in bench.wire[-2:] if source == BOB] == [200, 487]
    assert bob.last(CallOver).reason is EndReason.REMOTE


def test_an_invite_transaction_that_breaks_ends_the_call(bench: Bench, bob: Phone) -> None:
    number, _ = ringing(bench, bob)
    bob.layer.abandon(bob.calls.get(number).key, bench.now)
    bench.settle()
    assert bob.last(CallOver).reason is EndReason.FAILED
    assert bob.leftovers() == {}


# in the dialog


@pytest.mark.row("DLG-1")
@pytest.mark.rfc("3261 12.2.2")
def test_a_lower_number_gets_500_and_a_gap_is_accepted(bench: Bench, bob: Phone) -> None:
    _, tag = confirmed(bench, bob)
    bench.inject(far(to_tag=tag, cseq=90, branch="a"), CAROL, BOB)
    assert last(bench).status == 200
    bench.inject(far(to_tag=tag, cseq=89, branch="b"), CAROL, BOB)
    assert last(bench).status == 500
    bench.inject(far("BYE", to_tag=tag, cseq=8, branch="c"), CAROL, BOB)
    assert last(bench).status == 500
    assert "CallOver" not in bob.names()


@pytest.mark.row("OPT-1", part="UA")
@pytest.mark.row("OPT-5")
def test_options_inside_a_dialog_is_always_200(bench: Bench, bob: Phone) -> None:
    _, tag = confirmed(bench, bob)
    bob.uas.busy = True
    bench.inject(far(to_tag=tag, cseq=6), CAROL, BOB)
    assert last(bench).status == 200
    bench.inject(far(cseq=7, branch="2"), CAROL, BOB)
    assert last(bench).status == 486


def test_a_request_that_the_user_takes_is_offered_and_answered(bench: Bench, bob: Phone) -> None:
    number, tag = confirmed(bench, bob)
    bench.inject(far("INFO", to_tag=tag, cseq=6), CAROL, BOB)
    offered = bob.last(RequestOffered)
    assert (offered.call, offered.request.method) == (number, "INFO")
    with pytest.raises(LocalProtocolError):
        bob.uas.respond(offered.key, 183, bench.now)
    bob.uas.respond(
        offered.key, 202, bench.now, reason="Fine", headers=[("Subject", "x")], body=b"y", content_type="a/b"
    )
    bench.settle()
    response = last(bench)
    assert (response.status, response.reason, response.body, response.get("subject")) == (202, "Fine", b"y", "x")
    with pytest.raises(LocalProtocolError):
        bob.uas.respond(offered.key, 200, bench.now)


def test_a_request_outside_of_any_dialog_is_offered_without_a_call(bench: Bench, bob: Phone) -> None:
    bench.inject(far("INFO"), CAROL, BOB)
    offered = bob.last(RequestOffered)
    assert offered.call is None
    bob.uas.respond(offered.key, 404, bench.now)
    bench.settle()
    assert last(bench).status == 404


def test_a_request_that_the_user_never_answers_is_withdrawn_with_its_transaction(bench: Bench, bob: Phone) -> None:
    bench.inject(far("INFO"), CAROL, BOB)
    key = bob.last(RequestOffered).key
    bob.layer.abandon(key, bench.now)
    bench.settle()
    assert bob.last(RequestWithdrawn).key == key
    assert bob.leftovers() == {}


@pytest.mark.row("BYE-5")
@pytest.mark.rfc("3261 15.1.2")
def test_requests_still_open_in_an_ended_dialog_get_487(bench: Bench, bob: Phone) -> None:
    _, tag = confirmed(bench, bob)
    bench.inject(far("INFO", branch="other", call_id="c2"), CAROL, BOB)
    bench.inject(far("INFO", to_tag=tag, cseq=6), CAROL, BOB)
    key = bob.last(RequestOffered).key
    bench.inject(far("BYE", to_tag=tag, cseq=7), CAROL, BOB)
    assert [message.status for _, _, _, message in bench.wire[-2:]] == [200, 487]
    assert bob.last(RequestWithdrawn).key == key
    assert bob.uas.counts()["pending"] == 1


# re-INVITE


def reinvite(tag: str, cseq: int = 6, body: bytes = OFFER, **headers: str) -> bytes:
    kind = {"Content_Type": SDP} if body else {}
    return far("INVITE", to_tag=tag, cseq=cseq, branch=f"re{cseq}", body=body, **kind, **headers).replace(
        b"<sip:far@192.0.2.3>\r\nContent", b"<sip:far@192.0.2.3:5099>\r\nContent"
    )


@pytest.mark.row("INV-5", part="UAS")
@pytest.mark.rfc("3261 14.2")
def test_a_reinvite_that_nobody_takes_is_answered_with_what_we_said_before(bench: Bench, bob: Phone) -> None:
    number, tag = confirmed(bench, bob)
    bench.inject(reinvite(tag), CAROL, BOB)
    response = last(bench)
    assert (response.status, response.body, response.content_type) == (200, ANSWER, SDP)
    assert response.get("contact") == "<sip:bob@192.0.2.2:5060>"
    bench.advance(1)
    assert len(bench.sent(200)) == 3
    bench.inject(far("ACK", to_tag=tag, cseq=6), CAROL, BOB)
    bench.advance(60)
    assert len(bench.sent(200)) == 3
    assert bob.names() == ["CallOffered", "CallConfirmed"]
    bob.uas.hang_up(number, bench.now)
    bench.settle()
    assert bench.sent("BYE")[0].uri_text == "sip:far@192.0.2.3:5099"


@pytest.mark.row("INV-5", part="UAS")
@pytest.mark.rfc("3261 14.2")
def test_a_reinvite_without_an_ack_ends_the_call_by_bye(bench: Bench, bob: Phone) -> None:
    _, tag = confirmed(bench, bob)
    bench.inject(reinvite(tag), CAROL, BOB)
    bench.advance(32.1)
    bench.answer(bench.sent("BYE")[0], 200)
    assert bob.last(CallOver).reason is EndReason.LOST


@pytest.mark.row("INV-5", part="UAS")
@pytest.mark.rfc("3261 14.2")
def test_a_reinvite_while_ours_is_out_gets_491(bench: Bench, bob: Phone) -> None:
    number, tag = confirmed(bench, bob)
    bob.uac.request_in_call(number, "INVITE", bench.now)
    bench.settle()
    bench.inject(reinvite(tag), CAROL, BOB)
    assert last(bench).status == 491


@pytest.mark.row("INV-5", part="UAS")
@pytest.mark.rfc("3261 14.2")
def test_an_invite_while_one_is_unfinished_gets_500_with_retry_after(bench: Bench, bob: Phone) -> None:
    number, tag = ringing(bench, bob)
    bench.inject(reinvite(tag, 6), CAROL, BOB)
    assert last(bench).status == 500
    assert 0 <= int(last(bench).get("retry-after")) <= 10
    bob.uas.answer(number, bench.now)
    bench.settle()
    bench.inject(reinvite(tag, 7), CAROL, BOB)
    assert last(bench).status == 500
    bench.inject(far("ACK", to_tag=tag), CAROL, BOB)
    bob.uas.takes_session_changes = True
    bench.inject(reinvite(tag, 8), CAROL, BOB)
    assert bob.last(RequestOffered).call == number
    bench.inject(reinvite(tag, 9), CAROL, BOB)
    assert last(bench).status == 500


@pytest.mark.row("INV-5", part="UAS")
def test_the_user_may_answer_a_reinvite_with_something_new(bench: Bench, bob: Phone) -> None:
    number, tag = confirmed(bench, bob)
    bob.uas.takes_session_changes = True
    bench.inject(reinvite(tag), CAROL, BOB)
    bob.uas.respond(bob.last(RequestOffered).key, 200, bench.now, body=b"v=0 new", content_type=SDP)
    bench.settle()
    assert last(bench).body == b"v=0 new"
    assert bob.calls.get(number).body == b"v=0 new"


@pytest.mark.row("INV-5", part="UAS")
def test_a_refused_reinvite_changes_nothing(bench: Bench, bob: Phone) -> None:
    number, tag = confirmed(bench, bob)
    bob.uas.takes_session_changes = True
    bench.inject(reinvite(tag), CAROL, BOB)
    bob.uas.respond(bob.last(RequestOffered).key, 488, bench.now)
    bench.settle()
    assert bob.calls.get(number).dialog.remote_target == "sip:far@192.0.2.3"
    assert bob.uas.counts()["answers"] == 0


def test_an_offer_that_nothing_is_known_to_answer_gets_488(bench: Bench, bob: Phone) -> None:
    number, tag = ringing(bench, bob)
    bob.uas.answer(number, bench.now)
    bench.inject(far("ACK", to_tag=tag), CAROL, BOB)
    bench.inject(reinvite(tag), CAROL, BOB)
    assert last(bench).status == 488
    bench.inject(reinvite(tag, 7, body=b""), CAROL, BOB)
    assert last(bench).status == 200


def test_a_reinvite_that_is_cancelled_gets_487(bench: Bench, bob: Phone) -> None:
    _, tag = confirmed(bench, bob)
    bob.uas.takes_session_changes = True
    bench.inject(reinvite(tag), CAROL, BOB)
    bench.inject(cancel("INVITEre6", cseq=6, to_tag=tag), CAROL, BOB)
    assert last(bench).status == 487
    assert bob.names()[-1] == "RequestWithdrawn"


def test_a_reinvite_while_we_hang_up_gets_481(bench: Bench, bob: Phone) -> None:
    number, tag = confirmed(bench, bob)
    bob.uas.hang_up(number, bench.now)
    bench.settle()
    bench.inject(reinvite(tag), CAROL, BOB)
    assert last(bench).status == 481


def test_an_answer_to_a_reinvite_outlives_the_call_and_nothing_comes_of_it(bench: Bench, bob: Phone) -> None:
    number, tag = confirmed(bench, bob)
    bench.inject(reinvite(tag), CAROL, BOB)
    bob.uas.hang_up(number, bench.now)
    bench.settle()
    bench.answer(bench.sent("BYE")[0], 200)
    assert bob.last(CallOver).reason is EndReason.HUNG_UP
    bench.advance(70)
    assert len(bench.sent("BYE")) == 1
    assert bob.leftovers() == {}


def test_events_of_transactions_that_are_not_ours_change_nothing(bench: Bench, bob: Phone) -> None:
    request = parse_message(far("CANCEL"))
    assert isinstance(request, Request)
    bob.uas.handle_event(CancelReceived(("z", "y", "INVITE"), request, "uas"), bench.now)
    bob.uas.handle_event(TransactionTimedOut(("z", "y", "INVITE"), "uas", True), bench.now)
    bench.settle()
    assert (bob.told, bench.wire) == ([], [])
