from __future__ import annotations

import pytest

from ringback.protocol.transaction.events import ResponseReceived, TransactionTimedOut, TransportFailed
from ringback.protocol.transaction.layer import Timings
from tests.protocol.transaction.rig import Rig


@pytest.mark.row("TRN-1", part="INVITE client")
@pytest.mark.rfc("3261 17.1.1.2")
def test_repeats_the_invite_with_doubling_intervals_until_timer_b_reports_a_timeout(rig: Rig) -> None:
    key = rig.send()
    rig.advance(31.9)
    assert rig.heard == []
    rig.advance(0.1)
    assert rig.times == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert {send.data for send in rig.sends} == {rig.ours("INVITE").to_bytes()}
    timed_out = rig.told[0]
    assert isinstance(timed_out, TransactionTimedOut)
    assert (timed_out.key, timed_out.user, timed_out.server) == (key, "uac", False)
    assert rig.heard == ["TransactionTimedOut", "TransactionTerminated"]
    rig.advance(32)  # Timer A was still running
    assert rig.times == []
    assert rig.is_quiet()


def test_the_branch_that_the_user_has_just_written_is_taken_at_its_word(rig: Rig) -> None:
    key = rig.layer.send_request(rig.ours("INVITE"), rig.flow, rig.now, "uac", "z9hG4bKo")
    assert rig.layer.has_events
    rig.drain()
    rig.answer(200)
    assert (key, rig.heard) == (("z9hG4bKo", "INVITE"), ["ResponseReceived 200"])


@pytest.mark.rfc("3261 17.1.1.2")
def test_does_not_repeat_the_invite_over_a_reliable_transport() -> None:
    rig = Rig("TCP")
    rig.send()
    rig.advance(32)
    assert rig.times == [0]
    assert rig.heard == ["TransactionTimedOut", "TransactionTerminated"]
    assert rig.is_quiet()


@pytest.mark.row("TRN-1", part="INVITE client")
@pytest.mark.rfc("3261 17.1.1.2")
def test_stops_repeating_at_the_first_provisional_and_waits_for_ever(rig: Rig) -> None:
    rig.send()
    rig.answer(100, to_tag="")
    rig.answer(180)
    rig.answer(183)
    assert rig.layer.client_request(("z9hG4bKo", "INVITE")) is not None
    rig.advance(3600)
    assert rig.times == [0]
    assert rig.heard == ["ResponseReceived 100", "ResponseReceived 180", "ResponseReceived 183"]
    assert rig.layer.counts()["client_transactions"] == 1


@pytest.mark.rfc("3261 17.1.1.2")
@pytest.mark.parametrize("status", [180, 200, 486])
def test_timer_b_says_nothing_once_a_repeated_invite_has_been_answered(rig: Rig, status: int) -> None:
    rig.send()
    rig.advance(1)  # one repetition, and with it Timer B
    rig.answer(status)
    rig.advance(31)
    assert rig.heard == [f"ResponseReceived {status}"]


@pytest.mark.row("INV-1", part="transaction")
@pytest.mark.row("ACK-2", part="transaction")
@pytest.mark.row("ACK-4", part="transaction")
@pytest.mark.rfc("3261 17.1.1.3")
@pytest.mark.parametrize("status", [302, 486, 503, 603])
def test_acknowledges_a_failure_hop_by_hop(rig: Rig, status: int) -> None:
    rig.send(extra="Route: <sip:p1.example.test;lr>, <sip:p2.example.test;lr>\r\nRoute: <sip:p3.example.test;lr>\r\n")
    rig.answer(180)
    rig.wire.clear()
    rig.answer(status)
    (_, ack), *rest = rig.wire
    assert rest == []
    assert ack.start_line == "ACK sip:bob@192.0.2.2;ob SIP/2.0"
    assert ack.get_all("via") == ["SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKo"]
    assert ack.values("route") == ["<sip:p1.example.test;lr>", "<sip:p2.example.test;lr>", "<sip:p3.example.test;lr>"]
    assert ack.get("from") == '"Ann" <sip:ann@example.test>;tag=af'
    assert ack.get("to") == "Bob <sip:bob@example.test>;tag=bt"
    assert ack.get("call-id") == "c-9@192.0.2.1"
    assert ack.get("cseq") == "1 ACK"
    assert ack.max_forwards == 70
    assert ack.get("content-length") == "0"
    assert rig.sends[-1].flow is rig.flow
    assert rig.heard == ["ResponseReceived 180", f"ResponseReceived {status}"]


@pytest.mark.row("ACK-2", part="transaction")
@pytest.mark.rfc("3261 22.1")
def test_the_ack_of_a_failure_repeats_every_credential_of_the_invite(rig: Rig) -> None:
    rig.send(extra="Authorization: Digest a\r\nProxy-Authorization: Digest b\r\nProxy-Authorization: Digest c\r\n")
    rig.answer(486)
    ack = rig.wire[-1][1]
    assert ack.get_all("authorization") == ["Digest a"]
    assert ack.get_all("proxy-authorization") == ["Digest b", "Digest c"]


@pytest.mark.rfc("3261 17.1.1.3")
def test_acknowledges_an_untagged_failure_with_the_to_it_has(rig: Rig) -> None:
    rig.send()
    rig.answer(486, to_tag="")
    assert rig.wire[-1][1].get("to") == "Bob <sip:bob@example.test>"


@pytest.mark.row("INV-1", part="transaction")
@pytest.mark.rfc("6026 8.4")
def test_acknowledges_each_repetition_of_a_failure_and_tells_it_once(rig: Rig) -> None:
    rig.send()
    rig.answer(486)
    rig.answer(180)  # overtaken by the final response
    rig.answer(486)
    rig.answer(486)
    assert rig.lines == ["INVITE sip:bob@192.0.2.2;ob SIP/2.0"] + 3 * ["ACK sip:bob@192.0.2.2;ob SIP/2.0"]
    assert len({send.data for send in rig.sends}) == 2
    assert rig.heard == ["ResponseReceived 486"]
    rig.advance(31.9)  # Timers A and B run out meanwhile
    rig.answer(486)
    assert len(rig.wire) == 1
    rig.advance(0.1)
    assert rig.heard == ["TransactionTerminated"]
    assert rig.is_quiet()


@pytest.mark.rfc("6026 8.4")
def test_timer_d_is_zero_over_a_reliable_transport() -> None:
    rig = Rig("TCP")
    rig.send()
    rig.answer(486)
    rig.advance(0)
    assert rig.heard == ["ResponseReceived 486", "TransactionTerminated"]
    rig.advance(32)  # Timer B was still running
    assert rig.is_quiet()


@pytest.mark.rfc("6026 8.4")
def test_timer_d_is_32_seconds_however_short_t1_is() -> None:
    rig = Rig(timings=Timings(t1=0.05))
    rig.send()
    rig.answer(404)
    rig.advance(31.9)
    assert rig.heard == ["ResponseReceived 404"]
    rig.advance(0.1)
    assert rig.heard == ["TransactionTerminated"]


@pytest.mark.row("INV-7", part="transaction")
@pytest.mark.row("ACK-4", part="transaction")
@pytest.mark.rfc("6026 8.4")
@pytest.mark.threat("T13")
def test_passes_every_2xx_up_for_64_t1_and_acknowledges_none(rig: Rig) -> None:
    key = rig.send()
    rig.answer(180)
    rig.answer(200, to_tag="one")
    rig.answer(200, to_tag="one")
    rig.answer(183, to_tag="two")
    rig.answer(404, to_tag="two")
    rig.advance(31.9)
    rig.answer(200, to_tag="three")
    tags = [event.response.to_tag for event in rig.told if isinstance(event, ResponseReceived)]
    assert tags == ["bt", "one", "one", "three"]
    assert rig.layer.client_request(key) is None
    assert rig.lines == ["INVITE sip:bob@192.0.2.2;ob SIP/2.0"]
    rig.told.clear()
    rig.advance(0.1)
    assert rig.heard == ["TransactionTerminated"]
    rig.answer(200, to_tag="four")
    assert rig.heard == ["StrayResponse 200"]
    assert rig.is_quiet()


@pytest.mark.rfc("6026 8.4")
def test_a_2xx_may_come_before_any_provisional(rig: Rig) -> None:
    rig.send()
    rig.answer(200)
    rig.advance(32)  # Timers A, B and M
    assert rig.times == [0]
    assert rig.heard == ["ResponseReceived 200", "TransactionTerminated"]
    assert rig.is_quiet()


@pytest.mark.rfc("3261 16.7")
@pytest.mark.threat("T13")
def test_a_2xx_that_follows_a_failure_reaches_the_user_too(rig: Rig) -> None:
    rig.send()
    rig.answer(487, to_tag="one")
    rig.answer(200, to_tag="two")
    assert rig.heard == ["ResponseReceived 487", "ResponseReceived 200"]
    assert len(rig.lines) == 2  # INVITE and the ACK of 487


@pytest.mark.row("CAN-2", "CAN-5", part="transaction")
@pytest.mark.rfc("3261 9.1")
def test_cancel_is_the_invite_without_what_must_not_be_in_it(rig: Rig) -> None:
    key = rig.send(
        cseq=4711,
        extra="Route: <sip:p1.example.test;lr>\r\nRequire: 100rel\r\nProxy-Require: sec-agree\r\n"
        "Contact: <sip:ann@192.0.2.1>\r\nSupported: timer\r\n",
    )
    rig.answer(180)
    rig.cancel(key, ("Reason", 'SIP;cause=200;text="Call completed elsewhere"'), ("Proxy-Require", "x"))
    cancel = rig.wire[-1][1]
    assert cancel.start_line == "CANCEL sip:bob@192.0.2.2;ob SIP/2.0"
    assert list(zip(cancel.names, [line.partition(": ")[2] for line in cancel.lines], strict=True)) == [
        ("via", "SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKo"),
        ("max-forwards", "70"),
        ("from", '"Ann" <sip:ann@example.test>;tag=af'),
        ("to", "Bob <sip:bob@example.test>"),
        ("call-id", "c-9@192.0.2.1"),
        ("cseq", "4711 CANCEL"),
        ("route", "<sip:p1.example.test;lr>"),
        ("reason", 'SIP;cause=200;text="Call completed elsewhere"'),
        ("content-length", "0"),
    ]
    assert rig.sends[-1].flow is rig.flow


@pytest.mark.row("CAN-3", part="transaction")
@pytest.mark.rfc("3261 9.1")
@pytest.mark.threat("T13")
def test_cancel_waits_for_the_first_provisional(rig: Rig) -> None:
    key = rig.send()
    rig.cancel(key, ("Reason", "SIP;cause=200"))
    rig.cancel(key, ("Reason", "SIP;cause=486"))
    rig.advance(1)
    assert [line[:6] for line in rig.lines] == ["INVITE", "INVITE"]
    rig.answer(100, to_tag="")
    cancel = rig.wire[-1][1]
    assert cancel.start_line == "CANCEL sip:bob@192.0.2.2;ob SIP/2.0"
    assert cancel.get("reason") == "SIP;cause=200"
    rig.answer(180)
    rig.cancel(key)
    assert len(rig.lines) == 1


@pytest.mark.row("CAN-3", part="transaction")
@pytest.mark.rfc("3261 9.1")
@pytest.mark.threat("T13")
@pytest.mark.parametrize("status", [200, 486])
def test_cancel_is_dropped_when_a_final_response_comes_first(rig: Rig, status: int) -> None:
    key = rig.send()
    rig.cancel(key)
    rig.answer(status)
    rig.cancel(key)
    rig.answer(180)
    rig.advance(64)
    rig.cancel(key)  # the transaction is gone by now
    assert not any(line.startswith("CANCEL") for line in rig.lines)
    assert rig.is_quiet()


def test_cancel_after_a_2xx_or_failure_does_nothing(rig: Rig) -> None:
    accepted = rig.send(branch="z9hG4bK1")
    refused = rig.send(branch="z9hG4bK2")
    rig.answer(200, branch="z9hG4bK1")
    rig.answer(486, branch="z9hG4bK2")
    rig.wire.clear()
    rig.cancel(accepted)
    rig.cancel(refused)
    assert rig.lines == []


@pytest.mark.rfc("3261 9.1")
def test_the_user_hears_nothing_of_the_cancel_itself(rig: Rig) -> None:
    key = rig.send()
    rig.answer(180)
    rig.cancel(key)
    rig.told.clear()
    rig.answer(100, "CANCEL", to_tag="")
    rig.answer(200, "CANCEL")
    rig.answer(487)
    rig.advance(64)
    assert rig.heard == ["ResponseReceived 487", "TransactionTerminated"]
    assert rig.is_quiet()


@pytest.mark.rfc("3261 9.1")
def test_a_cancel_that_nobody_answers_ends_in_silence(rig: Rig) -> None:
    key = rig.send()
    rig.answer(180)
    rig.cancel(key)
    rig.told.clear()
    rig.advance(32)
    assert [line for line in rig.lines if line.startswith("CANCEL")] == 11 * ["CANCEL sip:bob@192.0.2.2;ob SIP/2.0"]
    assert rig.heard == []
    rig.abandon(key)  # CAN-9 is the owner's: 64*T1 after CANCEL
    assert rig.heard == ["TransactionTerminated"]
    rig.advance(4)
    assert rig.is_quiet()


def test_a_cancel_that_cannot_be_sent_ends_in_silence(rig: Rig) -> None:
    key = rig.send()
    rig.answer(180)
    rig.cancel(key)
    rig.told.clear()
    rig.fail((key[0], "CANCEL"))
    assert rig.heard == []
    assert rig.layer.counts()["client_transactions"] == 1


def test_a_cancel_of_the_users_own_stands_for_the_layers(rig: Rig) -> None:
    key = rig.send()
    rig.answer(180)
    rig.send("CANCEL")
    rig.cancel(key)
    assert [line[:6] for line in rig.lines] == ["INVITE", "CANCEL"]


@pytest.mark.rfc("3261 17.1.4")
def test_a_transport_error_while_calling_is_told_and_is_the_end(rig: Rig) -> None:
    key = rig.send()
    rig.fail(key)
    failed = rig.told[0]
    assert isinstance(failed, TransportFailed)
    assert (failed.key, failed.user, failed.server, failed.text) == (key, "uac", False, "no route")
    assert rig.heard == ["TransportFailed", "TransactionTerminated"]
    rig.advance(32)
    assert rig.is_quiet()


@pytest.mark.rfc("6026 8.4")
def test_a_transport_error_matters_only_where_something_was_sent(rig: Rig) -> None:
    key = rig.send()
    rig.answer(180)
    rig.fail(key)
    assert rig.heard == ["ResponseReceived 180"]
    rig.answer(200)
    rig.fail(key)
    assert rig.heard == ["ResponseReceived 200"]
    refused = rig.send(branch="z9hG4bK2")
    rig.answer(486, branch="z9hG4bK2")
    rig.fail(refused)
    assert rig.heard == ["ResponseReceived 486", "TransportFailed", "TransactionTerminated"]
    rig.advance(32)  # Timer D finds nothing
    assert rig.is_quiet()


@pytest.mark.rfc("3261 9.1")
@pytest.mark.parametrize("status", [None, 180, 200, 486])
def test_an_abandoned_transaction_is_gone_whatever_its_state(rig: Rig, status: int | None) -> None:
    key = rig.send()
    if status is not None:
        rig.answer(status)
    rig.told.clear()
    rig.abandon(key)
    rig.abandon(key)
    assert rig.heard == ["TransactionTerminated"]
    rig.answer(200)
    assert rig.heard == ["StrayResponse 200"]
    rig.advance(32)
    assert rig.is_quiet()
    assert rig.heard == []
