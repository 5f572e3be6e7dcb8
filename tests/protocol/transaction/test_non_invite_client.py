from __future__ import annotations

import pytest

from ringback.protocol.transaction.layer import Timings
from tests.protocol.transaction.rig import Rig


@pytest.mark.row("TRN-1", part="non-INVITE client")
@pytest.mark.rfc("3261 17.1.2.2")
def test_repeats_the_request_up_to_t2_until_timer_f_reports_a_timeout(rig: Rig) -> None:
    rig.send("OPTIONS")
    rig.advance(32)
    assert rig.times == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert {send.data for send in rig.sends} == {rig.ours("OPTIONS").to_bytes()}
    assert rig.heard == ["TransactionTimedOut", "TransactionTerminated"]
    rig.advance(4)  # Timer E was still running
    assert rig.times == []
    assert rig.is_quiet()


@pytest.mark.rfc("3261 17.1.2.2")
def test_repeats_at_t2_after_a_provisional(rig: Rig) -> None:
    rig.send("BYE")
    rig.advance(0.1)
    rig.answer(100, "BYE", to_tag="")
    rig.answer(100, "BYE", to_tag="")
    rig.advance(31.9)
    assert rig.times == [0, 0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]
    assert rig.heard == [
        "ResponseReceived 100",
        "ResponseReceived 100",
        "TransactionTimedOut",
        "TransactionTerminated",
    ]


@pytest.mark.rfc("3261 17.1.2.2")
def test_sends_once_over_a_reliable_transport() -> None:
    rig = Rig("TLS")
    rig.send("REGISTER")
    rig.advance(31)
    rig.answer(200, "REGISTER")
    rig.advance(0)
    assert rig.times == [0]
    assert rig.heard == ["ResponseReceived 200", "TransactionTerminated"]
    rig.advance(1)
    assert rig.is_quiet()


@pytest.mark.row("ACK-1", part="client transaction")
@pytest.mark.rfc("3261 17.1.2.2")
@pytest.mark.parametrize("status", [200, 302, 404, 500, 603])
def test_reports_the_first_final_response_and_swallows_the_rest_for_t4(rig: Rig, status: int) -> None:
    key = rig.send("BYE")
    rig.answer(status, "BYE")
    rig.answer(100, "BYE", to_tag="")
    rig.answer(status, "BYE")
    rig.answer(200, "BYE")
    rig.fail(key)
    assert rig.heard == [f"ResponseReceived {status}"]
    assert rig.layer.client_request(key) is None
    rig.advance(5)  # Timer E finds it completed
    assert rig.heard == ["TransactionTerminated"]
    assert rig.lines == ["BYE sip:bob@192.0.2.2;ob SIP/2.0"]  # and no ACK
    rig.advance(27)  # Timer F finds nothing
    assert rig.is_quiet()


@pytest.mark.rfc("3261 17.1.2.2")
def test_a_final_response_may_follow_a_provisional(rig: Rig) -> None:
    rig.send("BYE")
    rig.advance(30)
    rig.answer(100, "BYE", to_tag="")
    rig.answer(200, "BYE")
    rig.advance(2)  # Timer F finds it completed
    assert rig.heard == ["ResponseReceived 100", "ResponseReceived 200"]
    rig.advance(3)
    assert rig.heard == ["TransactionTerminated"]
    assert rig.is_quiet()


@pytest.mark.rfc("3261 17.1.4")
@pytest.mark.parametrize("status", [None, 100])
def test_a_transport_error_is_told_and_is_the_end(rig: Rig, status: int | None) -> None:
    key = rig.send("MESSAGE")
    if status is not None:
        rig.answer(status, "MESSAGE", to_tag="")
    rig.told.clear()
    rig.fail(key)
    rig.fail(key)
    assert rig.heard == ["TransportFailed", "TransactionTerminated"]
    rig.advance(32)
    assert rig.is_quiet()


@pytest.mark.parametrize("status", [None, 100, 200])
def test_an_abandoned_transaction_is_gone_whatever_its_state(rig: Rig, status: int | None) -> None:
    key = rig.send("MESSAGE")
    if status is not None:
        rig.answer(status, "MESSAGE", to_tag="")
    rig.told.clear()
    rig.abandon(key)
    assert rig.heard == ["TransactionTerminated"]
    rig.advance(32)  # Timers E, F and K find nothing
    assert rig.is_quiet()
    assert rig.heard == []


@pytest.mark.rfc("3261 17.1.2.2")
def test_a_t1_above_t2_is_cut_to_t2() -> None:
    rig = Rig(timings=Timings(t1=1.0, t2=0.5))
    rig.send("OPTIONS")
    rig.advance(2.1)
    assert rig.times == [0, 1, 1.5, 2.0]
