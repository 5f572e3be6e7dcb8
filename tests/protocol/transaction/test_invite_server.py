from __future__ import annotations

import pytest

from ringback.errors import LocalProtocolError
from ringback.protocol.message.build import build_response
from ringback.protocol.transaction.events import CancelReceived, RequestReceived, TransactionTimedOut, TransportFailed
from tests.protocol.transaction.rig import TAG, Rig


@pytest.mark.row("TRN-1", part="INVITE server")
@pytest.mark.row("PX-1", part="transaction")
@pytest.mark.rfc("3261 17.2.1")
def test_says_100_after_200_ms_when_the_user_says_nothing(rig: Rig) -> None:
    rig.invite(extra="Timestamp: 54.2\r\n")
    rig.receive(rig.request("INVITE"))
    rig.advance(0.199)
    assert rig.lines == []
    rig.advance(0.001)
    (time, trying), *rest = rig.wire
    assert rest == []
    assert (time, trying.start_line) == (0.2, "SIP/2.0 100 Trying")
    assert trying.to_tag is None
    assert trying.get("timestamp") == "54.2"


@pytest.mark.rfc("3261 17.2.1")
def test_does_not_say_100_when_the_user_was_quick(rig: Rig) -> None:
    rig.respond(rig.invite(), 180)
    rig.advance(10)
    assert rig.lines == ["SIP/2.0 180 Ringing"]


@pytest.mark.rfc("3261 17.2.1")
def test_a_repeated_invite_gets_the_last_provisional(rig: Rig) -> None:
    key = rig.invite()
    rig.respond(key, 180)
    rig.respond(key, 183)
    rig.receive(rig.request("INVITE"))
    rig.receive(rig.request("INVITE"))
    assert rig.lines == ["SIP/2.0 180 Ringing"] + 3 * ["SIP/2.0 183 Session Progress"]
    assert rig.heard == []


@pytest.mark.row("TRN-1", part="INVITE server")
@pytest.mark.rfc("3261 17.2.1")
@pytest.mark.threat("T11")
def test_repeats_a_failure_until_timer_h_reports_that_no_ack_came(rig: Rig) -> None:
    key = rig.invite()
    rig.respond(key, 486)
    rig.advance(32)
    assert rig.times == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    timed_out = rig.told[0]
    assert isinstance(timed_out, TransactionTimedOut)
    assert (timed_out.key, timed_out.user, timed_out.server) == (key, "uas", True)
    assert rig.heard == ["TransactionTimedOut", "TransactionTerminated"]
    rig.advance(4)  # Timer G was still running
    assert rig.times == []
    assert rig.is_quiet()


@pytest.mark.rfc("3261 17.2.1")
def test_does_not_repeat_a_failure_over_a_reliable_transport() -> None:
    rig = Rig("TCP")
    rig.respond(rig.invite(), 486)
    rig.advance(1)
    rig.receive(rig.request("ACK", to_tag=TAG))
    rig.advance(0)
    assert rig.times == [0]
    assert rig.heard == ["TransactionTerminated"]
    rig.advance(32)
    assert rig.is_quiet()


@pytest.mark.rfc("3261 17.2.1")
def test_a_repeated_invite_gets_the_failure_again(rig: Rig) -> None:
    key = rig.invite()
    rig.respond(key, 404)
    assert rig.layer.server_request(key) is None
    rig.receive(rig.request("INVITE"))
    assert rig.lines == 2 * ["SIP/2.0 404 Not Found"]
    assert rig.sends[0].data is rig.sends[1].data


@pytest.mark.row("ACK-4", part="transaction")
@pytest.mark.row("ACK-1", part="server transaction")
@pytest.mark.rfc("3261 17.2.1")
def test_the_ack_of_a_failure_is_absorbed_and_ends_the_repetition(rig: Rig) -> None:
    rig.respond(rig.invite(), 486)
    rig.receive(rig.request("ACK", to_tag=TAG))
    rig.receive(rig.request("ACK", to_tag=TAG))
    rig.receive(rig.request("INVITE"))  # overtaken by the ACK
    rig.advance(4.9)  # Timer G and the 100's find it confirmed
    assert rig.heard == []
    rig.advance(0.1)
    assert rig.lines == ["SIP/2.0 486 Busy Here"]
    assert rig.heard == ["TransactionTerminated"]
    rig.advance(32)  # Timer H finds nothing
    assert rig.is_quiet()


@pytest.mark.rfc("3261 17.2.1")
def test_an_ack_in_the_last_moment_leaves_timer_h_without_effect(rig: Rig) -> None:
    rig.respond(rig.invite(), 486)
    rig.advance(30)
    rig.receive(rig.request("ACK", to_tag=TAG))
    rig.advance(2)
    assert rig.heard == []
    rig.advance(3)
    assert rig.heard == ["TransactionTerminated"]
    assert rig.is_quiet()


@pytest.mark.row("TRN-1", part="INVITE server")
@pytest.mark.row("ACK-4", part="transaction")
@pytest.mark.rfc("6026 8.7")
def test_accepted_passes_2xx_down_and_ack_up_and_absorbs_the_invite(rig: Rig) -> None:
    key = rig.invite()
    rig.advance(0.1)
    invite = rig.layer.server_request(key)
    accepted = rig.respond(key, 200)
    rig.receive(rig.request("INVITE"))
    rig.advance(1)  # the 100's timer finds it accepted
    rig.layer.respond(key, accepted, rig.now)
    rig.drain()
    assert rig.times == [0.1, 1.1]
    ack = rig.request("ACK", to_tag=TAG)
    rig.receive(ack)
    received = rig.told.pop()
    assert isinstance(received, RequestReceived)
    assert (received.request, received.key) == (ack, key)
    assert invite is not None
    assert rig.layer.server_request(key) is None
    rig.advance(31)
    assert rig.heard == ["TransactionTerminated"]
    assert rig.is_quiet()


@pytest.mark.rfc("3261 16.7")
@pytest.mark.threat("T13")
def test_a_2xx_after_a_failure_is_passed_on_and_not_repeated(rig: Rig) -> None:
    key = rig.invite()
    invite = rig.layer.server_request(key)
    rig.respond(key, 487)
    rig.respond(key, 200, request=invite)
    rig.receive(rig.request("INVITE"))
    assert rig.lines == [
        "SIP/2.0 487 Request Terminated",
        "SIP/2.0 200 OK",
        "SIP/2.0 487 Request Terminated",
    ]
    rig.receive(rig.request("ACK", to_tag=TAG))
    rig.respond(key, 200, request=invite)
    assert rig.lines == ["SIP/2.0 200 OK"]


@pytest.mark.rfc("3261 17.2.1")
def test_refuses_another_answer_after_the_final_one(rig: Rig) -> None:
    completed, accepted = rig.invite(branch="z9hG4bK1"), rig.invite(branch="z9hG4bK2")
    invite = rig.layer.server_request(completed)
    rig.respond(completed, 486)
    rig.respond(accepted, 200)
    for key in (completed, accepted):
        for status in (180, 500):
            with pytest.raises(LocalProtocolError):
                rig.respond(key, status, request=invite)
    rig.receive(rig.request("ACK", "z9hG4bK1", to_tag=TAG))
    for status in (180, 500):
        with pytest.raises(LocalProtocolError):
            rig.respond(completed, status, request=invite)
    assert rig.lines == ["SIP/2.0 486 Busy Here", "SIP/2.0 200 OK"]


def test_an_ack_before_any_final_response_is_nothing(rig: Rig) -> None:
    key = rig.invite()
    rig.receive(rig.request("ACK", to_tag=TAG))
    assert rig.heard == []
    assert rig.layer.server_request(key) is not None


@pytest.mark.rfc("6026 8.8")
def test_a_transport_error_is_told_and_changes_nothing(rig: Rig) -> None:
    key = rig.invite()
    rig.respond(key, 180)
    rig.fail(key)
    failed = rig.told[0]
    assert isinstance(failed, TransportFailed)
    assert (failed.key, failed.user, failed.server) == (key, "uas", True)
    rig.respond(key, 486)
    rig.fail(key)
    rig.receive(rig.request("ACK", to_tag=TAG))
    rig.fail(key)
    assert rig.heard == 3 * ["TransportFailed"]
    rig.receive(rig.request("INVITE"))
    assert rig.heard == []
    accepted = rig.invite(branch="z9hG4bK2")
    rig.respond(accepted, 200)
    rig.fail(accepted)
    assert rig.heard == ["TransportFailed"]
    assert rig.layer.counts()["server_transactions"] == 2


@pytest.mark.rfc("3261 9.2")
@pytest.mark.rfc("3261 17.2.1")
def test_an_invite_of_nobody_is_answered_cancelled_and_timed_out_in_silence(rig: Rig) -> None:
    request = rig.request("INVITE")
    rig.receive(request)
    event = rig.told.pop()
    key = rig.layer.accept(request, rig.flow, rig.now, "", key=event.key)
    assert not rig.layer.has_events
    rig.receive(rig.text("CANCEL"))
    rig.respond(key, 487)
    assert rig.lines == ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]
    rig.advance(64)
    assert rig.told == []
    assert rig.is_quiet()


@pytest.mark.row("CAN-7", part="transaction")
@pytest.mark.rfc("3261 9.2")
def test_cancel_before_the_final_response_gets_200_and_is_told(rig: Rig) -> None:
    key = rig.invite()
    rig.respond(key, 180)
    cancel = rig.request("CANCEL", extra="Reason: SIP;cause=200\r\n")
    rig.receive(cancel)
    told = rig.told.pop()
    assert isinstance(told, CancelReceived)
    assert (told.key, told.user, told.request) == (key, "uas", cancel)
    rig.respond(key, 487)
    ringing, ok, terminated = (message for _, message in rig.wire)
    assert ok.start_line == "SIP/2.0 200 OK"
    assert ok.get("cseq") == "1 CANCEL"
    assert ok.to_tag == ringing.to_tag == terminated.to_tag == TAG
    rig.receive(rig.request("ACK", to_tag=TAG))
    rig.advance(37)
    assert rig.heard == ["TransactionTerminated"]
    assert rig.is_quiet()


@pytest.mark.row("CAN-7", part="transaction")
@pytest.mark.rfc("3261 9.2")
@pytest.mark.parametrize("status", [200, 486])
def test_cancel_after_the_final_response_gets_200_and_has_no_other_effect(rig: Rig, status: int) -> None:
    key = rig.invite()
    rig.respond(key, status)
    rig.receive(rig.request("CANCEL"))
    assert rig.heard == []
    (_, final), (_, ok) = rig.wire
    assert ok.start_line == "SIP/2.0 200 OK"
    assert ok.get("cseq") == "1 CANCEL"
    assert ok.to_tag == final.to_tag


@pytest.mark.row("CAN-7", part="transaction")
def test_cancel_after_the_ack_of_a_failure_gets_200(rig: Rig) -> None:
    rig.respond(rig.invite(), 486)
    rig.receive(rig.request("ACK", to_tag=TAG))
    rig.receive(rig.request("CANCEL"))
    assert rig.lines == ["SIP/2.0 486 Busy Here", "SIP/2.0 200 OK"]
    assert rig.heard == []


@pytest.mark.row("CAN-7", part="transaction")
def test_a_repeated_cancel_gets_the_same_200_and_is_told_once(rig: Rig) -> None:
    rig.invite()
    for _ in range(3):
        rig.receive(rig.request("CANCEL"))
    assert rig.lines == 3 * ["SIP/2.0 200 OK"]
    assert len({send.data for send in rig.sends}) == 1
    assert rig.heard == ["CancelReceived"]


@pytest.mark.rfc("3261 9.2")
def test_the_200_to_cancel_bears_the_tag_that_the_answers_had(rig: Rig) -> None:
    request = rig.request("INVITE")
    rig.receive(request)
    key = rig.layer.accept(request, rig.flow, rig.now, "uas")
    rig.layer.respond(key, build_response(request, 100), rig.now)
    rig.layer.respond(key, build_response(request, 180, to_tag="learnt"), rig.now)
    rig.receive(rig.request("CANCEL"))
    assert [message.to_tag for _, message in rig.wire] == [None, "learnt", "learnt"]


@pytest.mark.rfc("3261 9.2")
def test_the_200_to_cancel_makes_a_tag_when_nobody_has_one(rig: Rig) -> None:
    request = rig.request("INVITE")
    rig.receive(request)
    rig.layer.accept(request, rig.flow, rig.now, "uas")
    rig.receive(rig.request("CANCEL"))
    assert rig.wire[0][1].to_tag


def test_a_response_with_an_unreadable_to_teaches_no_tag(rig: Rig) -> None:
    request = rig.request("INVITE")
    key = rig.layer.accept(request, rig.flow, rig.now, "uas")
    response = build_response(request, 180)
    response.set("to", '"open <sip:a@b')
    rig.layer.respond(key, response, rig.now)
    rig.layer.poll()
    rig.receive(rig.request("CANCEL"))
    assert rig.wire[0][1].to_tag


@pytest.mark.parametrize("status", [None, 180, 200, 486, "ACK"])
def test_an_abandoned_transaction_is_gone_whatever_its_state(rig: Rig, status: int | str | None) -> None:
    key = rig.invite()
    if status == "ACK":
        rig.respond(key, 486)
        rig.receive(rig.request("ACK", to_tag=TAG))
    elif isinstance(status, int):
        rig.respond(key, status)
    rig.abandon(key)
    assert rig.heard == ["TransactionTerminated"]
    rig.wire.clear()
    rig.advance(32)  # no timer finds anything
    assert rig.lines == []
    assert rig.heard == []
    assert rig.is_quiet()
