from __future__ import annotations

from typing import Any

import pytest

from ringback.errors import LocalProtocolError
from ringback.protocol.message.build import build_response
from ringback.protocol.message.model import Request
from ringback.protocol.routing.flow import Flow
from ringback.protocol.routing.via import stamp
from ringback.protocol.transaction.events import RequestReceived
from ringback.protocol.transaction.key import ServerKey
from ringback.protocol.transaction.layer import TableLimits, Timings
from ringback.protocol.transaction.machine import ServerTransaction
from tests.protocol.transaction.rig import OURS, TAG, THEIRS, Rig

# Matching requests (§17.2.3)


@pytest.mark.rfc("3261 17.2.3")
def test_a_request_that_matches_nothing_goes_up_and_leaves_no_trace(rig: Rig) -> None:
    request = rig.request("INVITE")
    rig.receive(request)
    received = rig.told.pop()
    assert isinstance(received, RequestReceived)
    assert received.request is request
    assert received.flow is rig.flow
    assert received.key == ("z9hG4bKa", "192.0.2.2:5060", "INVITE")
    assert rig.is_quiet()
    assert rig.layer.next_deadline() is None


@pytest.mark.rfc("3261 17.2.3")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("branch=z9hG4bKa", "branch=z9hG4bKb"),
        ("branch=z9hG4bKa", "branch=z9hG4bKA"),
        ("192.0.2.2:5060;branch", "192.0.2.2:5062;branch"),
        ("192.0.2.2:5060;branch", "192.0.2.2;branch"),
        ("192.0.2.2:5060;branch", "phone.example.test:5060;branch"),
        ("OPTIONS", "INFO"),
    ],
)
def test_branch_sent_by_and_method_make_the_difference(rig: Rig, old: str, new: str) -> None:
    rig.invite("OPTIONS")
    rig.receive(rig.text("OPTIONS").replace(old, new))
    assert rig.heard == ["RequestReceived"]


@pytest.mark.rfc("3261 17.2.3")
def test_sent_by_is_compared_without_regard_to_case(rig: Rig) -> None:
    text = rig.text("OPTIONS").replace("192.0.2.2:5060;branch", "Phone.Example.test:5060;branch")
    request = rig.parse(text)
    assert isinstance(request, Request)
    rig.layer.accept(request, rig.flow, rig.now, "uas")
    rig.receive(text.replace("Phone.Example", "PHONE.example"))
    assert rig.heard == []


@pytest.mark.row("ACK-4", part="transaction")
@pytest.mark.rfc("3261 17.2.3")
def test_an_ack_with_a_branch_of_its_own_goes_up_with_the_key_of_an_invite(rig: Rig) -> None:
    rig.respond(rig.invite(), 200)
    rig.receive(rig.request("ACK", "z9hG4bKfresh", to_tag=TAG))
    received = rig.told.pop()
    assert isinstance(received, RequestReceived)
    assert received.key == ("z9hG4bKfresh", "192.0.2.2:5060", "INVITE")


@pytest.mark.row("ACK-1", part="server transaction")
def test_nothing_ever_answers_an_ack(rig: Rig) -> None:
    ack = rig.request("ACK", to_tag=TAG)
    with pytest.raises(LocalProtocolError):
        rig.layer.accept(ack, rig.flow, rig.now, "uas")
    with pytest.raises(LocalProtocolError):
        rig.layer.reply_stateless(ack, rig.flow, build_response(ack, 481))
    assert rig.layer.poll() == []


def test_a_transaction_is_accepted_once(rig: Rig) -> None:
    rig.invite()
    with pytest.raises(LocalProtocolError):
        rig.layer.accept(rig.request("INVITE"), rig.flow, rig.now, "uas")


def test_an_unknown_transaction_cannot_be_answered(rig: Rig) -> None:
    with pytest.raises(LocalProtocolError):
        rig.layer.respond(("z9hG4bKa", "192.0.2.2:5060", "INVITE"), build_response(rig.request("INVITE"), 200), rig.now)
    assert rig.layer.server_request(("z9hG4bKa", "192.0.2.2:5060", "INVITE")) is None
    assert rig.layer.client_request(("z9hG4bKa", "INVITE")) is None


# RFC 2543 peers (§17.2.3)


@pytest.mark.rfc("3261 17.2.3")
@pytest.mark.parametrize("branch", ["", "17", "z9hg4bk1"])
def test_a_repetition_by_an_rfc_2543_peer_is_known(rig: Rig, branch: str) -> None:
    key = rig.invite(branch=branch)
    assert key[0] == "2543"
    rig.respond(key, 180)
    rig.receive(rig.request("INVITE", branch))
    assert rig.lines == 2 * ["SIP/2.0 180 Ringing"]
    assert rig.heard == []


@pytest.mark.rfc("3261 17.2.3")
@pytest.mark.parametrize("method", ["INVITE", "BYE"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("sip:desk@192.0.2.1", "sip:other@192.0.2.1"),
        ("tag=theirs-1", "tag=theirs-2"),
        ("To: <sip:desk@example.test>", "To: <sip:desk@example.test>;tag=x"),
        ("Call-ID: c-1", "Call-ID: c-2"),
        ("CSeq: 1 ", "CSeq: 2 "),
        ("UDP 192.0.2.2:5060", "UDP 192.0.2.2:5070"),
    ],
)
def test_an_rfc_2543_request_that_differs_in_any_of_it_is_another(rig: Rig, method: str, old: str, new: str) -> None:
    rig.invite(method, branch="")
    rig.receive(rig.text(method, "").replace(old, new))
    assert rig.heard == ["RequestReceived"]


@pytest.mark.rfc("3261 17.2.3")
def test_an_rfc_2543_ack_is_known_by_the_tag_of_the_response(rig: Rig) -> None:
    rig.respond(rig.invite(branch=""), 486, to_tag="sent")
    rig.receive(rig.request("ACK", "", to_tag="else"))
    assert rig.heard == ["RequestReceived"]
    rig.advance(0.5)
    rig.receive(rig.request("ACK", "", to_tag="sent"))
    rig.receive(rig.request("ACK", "", to_tag="sent"))
    assert rig.heard == []
    rig.wire.clear()
    rig.advance(5)
    assert rig.lines == []
    assert rig.heard == ["TransactionTerminated"]


@pytest.mark.rfc("3261 17.2.3")
def test_an_rfc_2543_ack_in_a_dialog_is_known(rig: Rig) -> None:
    rig.respond(rig.invite(branch="", to_tag="old"), 488)
    rig.receive(rig.request("ACK", "", to_tag="old"))
    assert rig.heard == []
    rig.advance(5)
    assert rig.heard == ["TransactionTerminated"]


def test_an_rfc_2543_ack_of_nothing_goes_up(rig: Rig) -> None:
    rig.receive(rig.request("ACK", "", to_tag="old"))
    assert rig.heard == ["RequestReceived"]


@pytest.mark.rfc("6026 6")
def test_an_rfc_2543_ack_of_a_2xx_goes_up_although_it_matches(rig: Rig) -> None:
    key = rig.invite(branch="")
    rig.respond(key, 200, to_tag="sent")
    rig.receive(rig.request("ACK", "", to_tag="sent"))
    received = rig.told.pop()
    assert isinstance(received, RequestReceived)
    assert received.key == key


@pytest.mark.rfc("3261 9.2")
def test_an_rfc_2543_cancel_finds_its_invite(rig: Rig) -> None:
    rig.invite(branch="")
    rig.receive(rig.request("CANCEL", ""))
    rig.receive(rig.request("CANCEL", ""))
    assert rig.lines == 2 * ["SIP/2.0 200 OK"]
    assert rig.heard == ["CancelReceived"]
    rig.advance(32)
    assert rig.layer.counts()["server_transactions"] == 1


# CANCEL (§9.2)


@pytest.mark.row("CAN-8", part="transaction")
@pytest.mark.rfc("3261 9.2")
def test_a_cancel_that_matches_nothing_goes_up_unanswered(rig: Rig) -> None:
    rig.invite()
    rig.receive(rig.request("CANCEL", "z9hG4bKelse"))
    assert rig.lines == []
    assert rig.heard == ["RequestReceived"]
    key = rig.layer.accept(rig.request("CANCEL", "z9hG4bKelse"), rig.flow, rig.now, "uas")
    rig.respond(key, 481)
    assert rig.lines == ["SIP/2.0 481 Call/Transaction Does Not Exist"]


@pytest.mark.row("CAN-7", part="transaction")
@pytest.mark.rfc("3261 9.2")
def test_a_cancel_finds_a_transaction_of_a_method_that_nobody_knows(rig: Rig) -> None:
    first, second = rig.invite("BREW", "z9hG4bK1"), rig.invite("BREW", "z9hG4bK2")
    legacy = rig.invite("POUR", "")
    rig.receive(rig.request("CANCEL", "z9hG4bK2"))
    rig.receive(rig.request("CANCEL", ""))
    assert rig.lines == 2 * ["SIP/2.0 200 OK"]
    assert rig.heard == []
    known = rig.invite("INFO", "z9hG4bK3")
    for key in (known, first, second, legacy):
        rig.abandon(key)
    rig.told.clear()
    rig.receive(rig.request("CANCEL", "z9hG4bK1"))
    assert rig.heard == ["RequestReceived"]
    rig.advance(37)
    assert rig.is_quiet()


def test_a_cancel_that_comes_again_after_64_t1_is_answered_again(rig: Rig) -> None:
    rig.invite()
    rig.receive(rig.request("CANCEL"))
    rig.advance(33)
    rig.receive(rig.request("CANCEL"))
    assert [line for line in rig.lines if "200" in line] == 2 * ["SIP/2.0 200 OK"]


# Matching responses (§17.1.3)


@pytest.mark.rfc("3261 17.1.3")
def test_a_response_belongs_to_the_request_with_its_branch_and_method(rig: Rig) -> None:
    rig.send("BYE", "z9hG4bK1")
    rig.send("INFO", "z9hG4bK1")
    rig.answer(200, "INFO", "z9hG4bK1")
    assert rig.told[0].key == ("z9hG4bK1", "INFO")
    assert rig.told[0].flow is rig.flow
    assert rig.told[0].user == "uac"
    rig.answer(200, "OPTIONS", "z9hG4bK1")
    rig.answer(200, "BYE", "z9hG4bK2")
    assert rig.heard == ["ResponseReceived 200", "StrayResponse 200", "StrayResponse 200"]


@pytest.mark.row("TRN-6", part="transaction")
@pytest.mark.rfc("6026 7.3")
def test_a_response_without_a_branch_is_a_stray(rig: Rig) -> None:
    text = build_response(rig.ours("BYE"), 200).to_bytes().replace(b";branch=z9hG4bKo", b"")
    rig.receive(rig.parse(text))
    assert rig.heard == ["StrayResponse 200"]


def test_a_request_needs_a_fresh_branch_with_the_magic_cookie(rig: Rig) -> None:
    rig.send()
    for method, branch in (("INVITE", "z9hG4bKo"), ("BYE", "1"), ("ACK", "z9hG4bKp")):
        with pytest.raises(LocalProtocolError):
            rig.send(method, branch)
    assert len(rig.lines) == 1


def test_only_an_invite_is_cancelled(rig: Rig) -> None:
    key = rig.send("MESSAGE")
    with pytest.raises(LocalProtocolError):
        rig.cancel(key)


@pytest.mark.threat("T13")
def test_a_branch_that_is_used_again_gets_no_timer_of_its_predecessor(rig: Rig) -> None:
    key = rig.send()
    rig.advance(31)
    rig.abandon(key)
    rig.send()
    rig.told.clear()
    rig.wire.clear()
    rig.advance(1)  # Timers A and B of the first
    assert rig.heard == []
    assert rig.times == [31.5]


# Where it goes


@pytest.mark.rfc("3581 4")
def test_a_response_goes_back_to_the_source_when_rport_was_asked_for() -> None:
    rig = Rig()
    rig.flow = Flow("UDP", OURS, ("198.51.100.7", 40000))
    request = rig.parse(rig.text("OPTIONS").replace(";branch", ";rport;branch"))
    assert isinstance(request, Request)
    stamp(request, rig.flow)
    rig.layer.reply_stateless(request, rig.flow, build_response(request, 200))
    rig.drain()
    assert rig.sends[-1].flow is rig.flow
    assert rig.sends[-1].key is None


@pytest.mark.row("TRN-6", part="transaction")
@pytest.mark.rfc("3261 18.2.2")
@pytest.mark.parametrize(
    ("via", "remote"),
    [
        ("192.0.2.2:5060;branch=z9hG4bKa", ("198.51.100.7", 5060)),
        ("192.0.2.2;branch=z9hG4bKa", ("198.51.100.7", 5060)),
        ("192.0.2.2:5080;branch=z9hG4bKa", ("198.51.100.7", 5080)),
        ("192.0.2.2:5080;maddr=233.252.0.1;branch=z9hG4bKa", ("233.252.0.1", 5080)),
        ("192.0.2.2:5080;rport;branch=z9hG4bKa", ("198.51.100.7", 40000)),
    ],
)
def test_a_response_goes_where_via_says(via: str, remote: tuple[str, int]) -> None:
    rig = Rig()
    rig.flow = Flow("UDP", OURS, ("198.51.100.7", 40000))
    text = rig.text("INVITE").replace("192.0.2.2:5060;branch=z9hG4bKa", via)
    request = rig.parse(text)
    assert isinstance(request, Request)
    stamp(request, rig.flow)
    key = rig.layer.accept(request, rig.flow, rig.now, "uas", TAG)
    rig.respond(key, 486)
    assert rig.sends[0].flow == Flow("UDP", OURS, remote)
    assert rig.sends[0].key == key


@pytest.mark.rfc("3261 18.2.2")
def test_a_response_goes_back_on_the_connection() -> None:
    rig = Rig("TCP")
    rig.flow = Flow("TCP", OURS, THEIRS, 7)
    rig.respond(rig.invite(), 486)
    assert rig.sends[0].flow is rig.flow


def test_what_is_sent_without_state_has_nobody_to_tell(rig: Rig) -> None:
    ack = rig.request("ACK", to_tag=TAG)
    rig.layer.send_stateless(ack, rig.flow)
    rig.drain()
    assert rig.lines == ["ACK sip:desk@192.0.2.1 SIP/2.0"]
    assert rig.sends[0].key is None
    assert rig.is_quiet()


# Merged requests (§8.2.2.2)


@pytest.mark.row("DLG-1", part="merged, transaction")
@pytest.mark.rfc("3261 8.2.2.2")
def test_tells_a_merged_request_from_a_repetition_and_from_a_new_one(rig: Rig) -> None:
    key = rig.invite(branch="z9hG4bK1")
    assert not rig.layer.merged(rig.request("INVITE", "z9hG4bK1"))
    assert rig.layer.merged(rig.request("INVITE", "z9hG4bK2"))
    assert not rig.layer.merged(rig.request("INVITE", "z9hG4bK2", cseq=2))
    assert not rig.layer.merged(rig.request("OPTIONS", "z9hG4bK2"))
    second = rig.invite(branch="z9hG4bK2")
    rig.respond(second, 482)
    rig.respond(key, 200)
    rig.abandon(second)
    assert rig.layer.merged(rig.request("INVITE", "z9hG4bK3"))
    rig.advance(32)
    assert not rig.layer.merged(rig.request("INVITE", "z9hG4bK3"))
    assert rig.is_quiet()


@pytest.mark.rfc("3261 8.2.2.2")
def test_the_first_question_about_merging_finds_what_lives_and_has_a_request(rig: Rig) -> None:
    answered = rig.invite(branch="z9hG4bK0", cseq=7)
    rig.respond(answered, 200)
    rig.invite(branch="z9hG4bK1")
    assert rig.layer.merged(rig.request("INVITE", "z9hG4bK2"))
    assert not rig.layer.merged(rig.request("INVITE", "z9hG4bK2", cseq=7))
    rig.abandon(answered)


# Bounds


@pytest.mark.threat("T7", "T12")
def test_a_full_table_answers_503_and_drops_the_ack_of_that() -> None:
    rig = Rig(limits=TableLimits(server=4, retry_after=7))
    for number in range(4):
        rig.invite(branch=f"z9hG4bK{number}")
    rig.receive(rig.request("INVITE", "z9hG4bKx"))
    refusal = rig.wire.pop()[1]
    assert refusal.start_line == "SIP/2.0 503 Service Unavailable"
    assert refusal.get("retry-after") == "7"
    assert refusal.to_tag is not None
    rig.receive(rig.request("ACK", "z9hG4bKx", to_tag=refusal.to_tag))
    assert rig.heard == []
    assert rig.layer.counts()["server_transactions"] == 4


@pytest.mark.threat("T12")
def test_a_full_table_still_lets_calls_end() -> None:
    rig = Rig(limits=TableLimits(server=4))
    keys = [rig.invite(branch=f"z9hG4bK{number}") for number in range(4)]
    rig.receive(rig.request("CANCEL", "z9hG4bK0"))
    rig.receive(rig.request("CANCEL", "z9hG4bK0"))
    assert rig.lines == 2 * ["SIP/2.0 200 OK"]
    assert rig.heard == 2 * ["CancelReceived"]
    rig.respond(keys[0], 200)
    rig.receive(rig.request("ACK", "z9hG4bKack", to_tag=TAG))
    assert rig.heard == ["RequestReceived"]
    rig.invite("BYE", "z9hG4bKbye", to_tag=TAG)
    rig.wire.clear()
    rig.receive(rig.request("BYE", "z9hG4bKbye2", to_tag=TAG))
    rig.receive(rig.request("CANCEL", "z9hG4bKelse"))
    assert rig.lines == 2 * ["SIP/2.0 503 Service Unavailable"]


@pytest.mark.threat("T7")
def test_a_request_too_many_of_ours_fails_at_once() -> None:
    rig = Rig(limits=TableLimits(client=1))
    rig.send(branch="z9hG4bK1")
    rig.send(branch="z9hG4bK2")
    assert len(rig.lines) == 1
    assert {event.key for event in rig.told} == {("z9hG4bK2", "INVITE")}
    assert rig.heard == ["TransportFailed", "TransactionTerminated"]
    assert rig.layer.counts()["client_transactions"] == 1


@pytest.mark.threat("T7")
def test_a_flood_of_made_up_methods_does_not_make_cancel_dear() -> None:
    rig = Rig()
    for number in range(300):
        rig.invite(f"MADEUP{number}", branch=f"z9hG4bKm{number}")
    assert rig.layer.counts()["other_methods"] == 300
    asked = []

    class Counted(dict[ServerKey, ServerTransaction]):
        def get(self, key: ServerKey, default: Any = None) -> Any:
            asked.append(key)
            return super().get(key, default)

    rig.layer._servers = Counted(rig.layer._servers)
    rig.receive(rig.request("CANCEL", "z9hG4bKm299"))
    assert rig.lines[-1] == "SIP/2.0 200 OK"
    assert len(asked) < 20
    rig.advance(64)
    assert rig.is_quiet()


@pytest.mark.threat("T7")
def test_a_burst_leaves_nothing_behind() -> None:
    rig = Rig()
    for number in range(50):
        rig.respond(rig.invite(branch=f"z9hG4bKi{number}"), 486 if number % 2 else 200)
        rig.respond(rig.invite("OPTIONS", branch=f"z9hG4bKo{number}"), 200)
        rig.send(branch=f"z9hG4bKc{number}")
        rig.send("BYE", branch=f"z9hG4bKb{number}")
    assert rig.layer.counts() == {
        "server_transactions": 100,
        "client_transactions": 100,
        "merges": 0,
        "other_methods": 0,
        "timers": rig.layer.counts()["timers"],
    }
    rig.advance(64)
    assert rig.is_quiet()


# Timings


def test_timings_follow_from_t1_t2_t4() -> None:
    timings = Timings()
    assert (timings.timer_b, timings.timer_d, timings.timer_l, timings.t4) == (32, 32, 32, 5)
    assert timings.timer_c > 180


@pytest.mark.parametrize("wrong", [{"t1": 0}, {"t2": -1}, {"t4": 0}, {"timer_c": 180}, {"trying_delay": 0}])
def test_timings_that_the_rfc_forbids_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="above"):
        Timings(**wrong)


# What the transport asks


@pytest.mark.parametrize("method", ["INVITE", "BYE"])
def test_tells_which_requests_may_not_have_arrived_and_which_wait(rig: Rig, method: str) -> None:
    key = rig.send(method)
    assert (rig.layer.unanswered(key), rig.layer.awaits(key)) == (True, True)
    rig.answer(100, method, to_tag="")
    assert (rig.layer.unanswered(key), rig.layer.awaits(key)) == (False, True)
    rig.answer(404, method)
    assert (rig.layer.unanswered(key), rig.layer.awaits(key)) == (False, False)
    rig.advance(32)
    assert (rig.layer.unanswered(key), rig.layer.awaits(key)) == (False, False)
