from __future__ import annotations

import pytest

from ringback.errors import LocalProtocolError
from ringback.protocol.message.build import build_response
from ringback.protocol.transaction.events import SendMessage
from ringback.protocol.transaction.layer import Timings
from tests.protocol.transaction.rig import Rig


@pytest.mark.row("TRN-6", part="transaction")
@pytest.mark.rfc("4320 4.1")
def test_says_100_when_the_clients_timer_e_has_reached_t2_and_not_before(rig: Rig) -> None:
    key = rig.invite("OPTIONS")
    rig.respond(key, 100)
    rig.respond(key, 183)
    rig.receive(rig.request("OPTIONS"))
    rig.advance(3.49)
    assert rig.lines == []
    rig.advance(0.01)
    rig.respond(key, 183)
    assert rig.lines == ["SIP/2.0 100 Trying"]


@pytest.mark.row("TRN-6", part="transaction")
@pytest.mark.rfc("4320 4.1")
@pytest.mark.parametrize(("t1", "t2", "due"), [(0.5, 4.0, 3.5), (1.0, 4.0, 3.0), (0.5, 0.5, 0.5), (4.0, 2.0, 4.0)])
def test_the_moment_of_100_follows_from_t1_and_t2(t1: float, t2: float, due: float) -> None:
    rig = Rig(timings=Timings(t1=t1, t2=t2))
    rig.invite("OPTIONS")
    rig.advance(due)
    assert rig.times == [due]


@pytest.mark.rfc("3261 17.2.2")
def test_swallows_the_request_while_trying_and_repeats_100_while_proceeding(rig: Rig) -> None:
    rig.invite("INFO")
    rig.receive(rig.request("INFO"))
    assert rig.lines == []
    rig.advance(3.5)
    rig.receive(rig.request("INFO"))
    assert rig.lines == 2 * ["SIP/2.0 100 Trying"]
    assert rig.heard == []


@pytest.mark.row("TRN-1", part="non-INVITE server")
@pytest.mark.rfc("3261 17.2.2")
@pytest.mark.parametrize("status", [200, 404, 503])
def test_a_repeated_request_gets_the_final_response_for_64_t1(rig: Rig, status: int) -> None:
    key = rig.invite("BYE")
    rig.respond(key, status)
    rig.advance(31.9)  # the 100's timer finds it completed
    rig.receive(rig.request("BYE"))
    assert len(rig.lines) == 2
    assert rig.layer.server_request(key) is None
    rig.advance(0.1)
    assert rig.heard == ["TransactionTerminated"]
    rig.receive(rig.request("BYE"))
    assert rig.heard == ["RequestReceived"]
    assert rig.is_quiet()


@pytest.mark.rfc("3261 17.2.2")
def test_is_over_at_once_over_a_reliable_transport() -> None:
    rig = Rig("TCP")
    rig.respond(rig.invite("BYE"), 200)
    rig.advance(0)
    assert rig.heard == ["TransactionTerminated"]
    rig.advance(3.5)
    assert rig.lines == ["SIP/2.0 200 OK"]
    assert rig.is_quiet()


@pytest.mark.rfc("3261 17.2.2")
def test_a_final_response_follows_the_100(rig: Rig) -> None:
    key = rig.invite("MESSAGE")
    rig.advance(30)
    rig.respond(key, 202)
    rig.advance(10)  # the time after which nobody waits passes
    assert [line[8:11] for line in rig.lines] == ["100", "202"]
    rig.advance(22)
    assert rig.heard == ["TransactionTerminated"]
    assert rig.is_quiet()


@pytest.mark.row("TRN-6", part="transaction")
@pytest.mark.rfc("4320 4.2")
@pytest.mark.parametrize("wait", [1, 31])
def test_never_sends_408_and_swallows_the_request_after_one(rig: Rig, wait: int) -> None:
    key = rig.invite("MESSAGE")
    rig.advance(wait)
    rig.wire.clear()
    rig.respond(key, 408)
    rig.receive(rig.request("MESSAGE"))
    assert rig.lines == []
    assert rig.heard == []
    rig.advance(37)
    assert rig.heard == ["TransactionTerminated"]
    assert rig.is_quiet()


@pytest.mark.row("TRN-6", part="transaction")
@pytest.mark.rfc("4320 4.2")
@pytest.mark.threat("T7")
def test_forgets_a_request_that_nobody_answered(rig: Rig) -> None:
    key = rig.invite("MESSAGE")
    rig.advance(36.9)
    assert rig.heard == []
    rig.advance(0.1)
    assert rig.lines == ["SIP/2.0 100 Trying"]
    assert rig.heard == ["TransactionTerminated"]
    assert rig.is_quiet()
    with pytest.raises(LocalProtocolError):
        rig.respond(key, 200, request=rig.request("MESSAGE"))


@pytest.mark.rfc("3261 17.2.2")
def test_refuses_another_answer_after_the_final_one(rig: Rig) -> None:
    key = rig.invite("BYE")
    bye = rig.layer.server_request(key)
    rig.respond(key, 200)
    for status in (100, 200, 408, 500):
        with pytest.raises(LocalProtocolError):
            rig.respond(key, status, request=bye)
    assert rig.lines == ["SIP/2.0 200 OK"]


@pytest.mark.rfc("6026 8.8")
def test_a_transport_error_is_told_and_changes_nothing(rig: Rig) -> None:
    key = rig.invite("BYE")
    rig.fail(key)
    rig.advance(3.5)
    rig.fail(key)
    rig.respond(key, 200)
    rig.fail(key)
    assert rig.heard == 3 * ["TransportFailed"]
    assert rig.layer.counts()["server_transactions"] == 1


@pytest.mark.row("CAN-7", part="transaction")
@pytest.mark.rfc("3261 9.2")
@pytest.mark.parametrize("when", ["trying", "proceeding", "completed"])
def test_a_cancel_of_it_gets_200_and_does_nothing(rig: Rig, when: str) -> None:
    key = rig.invite("MESSAGE")
    if when == "proceeding":
        rig.advance(3.5)
    elif when == "completed":
        rig.respond(key, 200)
    rig.wire.clear()
    rig.receive(rig.request("CANCEL"))
    assert rig.lines == ["SIP/2.0 200 OK"]
    assert rig.heard == []


@pytest.mark.parametrize("when", ["trying", "proceeding", "completed"])
def test_an_abandoned_transaction_is_gone_whatever_its_state(rig: Rig, when: str) -> None:
    key = rig.invite("MESSAGE")
    if when != "trying":
        rig.advance(3.5)
    if when == "completed":
        rig.respond(key, 200)
    rig.abandon(key)
    assert rig.heard == ["TransactionTerminated"]
    rig.wire.clear()
    rig.advance(37)  # no timer finds anything
    assert rig.lines == []
    assert rig.heard == []
    assert rig.is_quiet()


@pytest.mark.rfc("3261 18.3")
@pytest.mark.parametrize(("transport", "added"), [("UDP", False), ("TCP", True), ("WS", True)])
def test_a_response_that_has_no_content_length_gets_it_on_a_stream(transport: str, added: bool) -> None:
    rig = Rig(transport)
    key = rig.invite("MESSAGE")
    request = rig.layer.server_request(key)
    assert request is not None
    response = build_response(request, 200, to_tag="t", body=b"hello", content_type="text/plain")
    response.remove("Content-Length")
    rig.layer.respond(key, response, rig.now)
    [sent] = [event.data for event in rig.layer.poll() if isinstance(event, SendMessage)]
    assert (b"Content-Length: 5\r\n" in sent) is added
