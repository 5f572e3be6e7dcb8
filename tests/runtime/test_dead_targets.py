"""What failed of late is tried last, for a while (RFC 3263 §4.3)."""

from __future__ import annotations

import pytest

from ringback.protocol.message.parser import parse_message
from ringback.protocol.routing.flow import Flow, Hop
from ringback.protocol.transaction.events import ResponseReceived, TransactionTimedOut, TransportFailed
from ringback.runtime import dead_targets as module
from ringback.runtime.dead_targets import DEAD_FOR, LONGEST, DeadTargets

ONE, TWO, THREE = (Hop("UDP", f"192.0.2.{number}", 5060) for number in (1, 2, 3))
FLOW = Flow("UDP", ("192.0.2.9", 5060), ("192.0.2.1", 5060))


def response(status: int, *headers: str) -> ResponseReceived:
    head = [
        f"SIP/2.0 {status} x",
        "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1",
        "From: <sip:a@b>;tag=1",
        "To: <sip:b@b>;tag=2",
        "Call-ID: c",
        "CSeq: 1 INVITE",
        *headers,
        "Content-Length: 0",
    ]
    message = parse_message(("\r\n".join(head) + "\r\n\r\n").encode())
    return ResponseReceived(("z9hG4bK1", "INVITE"), message, FLOW, "core")


@pytest.mark.row("TRN-3", part="dead targets")
def test_a_dead_hop_comes_last_until_its_time_is_up() -> None:
    dead = DeadTargets()
    assert dead.order([ONE, TWO], 0.0) == [ONE, TWO]
    dead.bury("UDP", ("192.0.2.1", 5060), 0.0)
    assert dead.order([ONE, TWO, THREE], 1.0) == [TWO, THREE, ONE]
    assert dead.order([ONE], 1.0) == [ONE]
    assert dead.order([TWO, THREE], 1.0) == [TWO, THREE]
    assert dead.order([ONE, TWO], DEAD_FOR) == [ONE, TWO]
    assert len(dead) == 0


def test_another_transport_or_port_of_the_same_host_is_not_dead() -> None:
    dead = DeadTargets()
    dead.bury("UDP", ("192.0.2.1", 5060), 0.0)
    assert not dead.is_dead(Hop("TCP", "192.0.2.1", 5060), 1.0)
    assert not dead.is_dead(Hop("UDP", "192.0.2.1", 5070), 1.0)
    assert dead.is_dead(Hop("UDP", "192.0.2.1", 5060, "example.test"), 1.0)


def test_when_all_are_dead_the_order_is_the_old_one() -> None:
    dead = DeadTargets()
    dead.bury("UDP", ("192.0.2.1", 5060), 0.0)
    dead.bury("UDP", ("192.0.2.2", 5060), 5.0)
    assert dead.order([ONE, TWO], 10.0) == [ONE, TWO]


@pytest.mark.row("TRN-3", part="failover")
@pytest.mark.rfc("3263 4.3")
@pytest.mark.parametrize(
    ("event", "until"),
    [
        (TransactionTimedOut(("b", "INVITE"), "core", False, FLOW), DEAD_FOR),
        (TransportFailed(("b", "INVITE"), "core", False, "refused", FLOW), DEAD_FOR),
        (response(503, "Retry-After: 120;duration=60"), 120),
        (response(503, "Retry-After: 18000 (maintenance)"), LONGEST),
        (response(503), 0),
        (response(503, "Retry-After: soon"), 0),
        (response(480, "Retry-After: 120"), 0),
        (TransportFailed(("b", "INVITE"), "core", False, "too many transactions"), 0),
        (TransportFailed(("b", "h", "INVITE"), "core", True, "refused", FLOW), 0),
        (TransactionTimedOut(("b", "h", "INVITE"), "core", True), 0),
    ],
)
def test_learns_from_silence_from_the_transport_and_from_a_503_that_names_a_time(event: object, until: float) -> None:
    dead = DeadTargets()
    dead.learn(event, 0.0)
    assert dead.is_dead(ONE, until - 0.1) is (until > 0)
    assert not dead.is_dead(ONE, until + 0.1)


@pytest.mark.threat("T7")
def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_DEAD", 10)
    dead = DeadTargets()
    for number in range(100):
        dead.bury("UDP", (f"192.0.2.{number}", 5060), float(number))
        assert len(dead) <= 10
    assert dead.is_dead(Hop("UDP", "192.0.2.99", 5060), 100.0)
    dead.bury("UDP", ("192.0.2.200", 5060), 1000.0)
    while len(dead) < 10:
        dead.bury("UDP", (f"192.0.2.{len(dead)}", 5061), 1000.0)
    dead.bury("UDP", ("192.0.2.201", 5060), 1000.0 + DEAD_FOR)  # all others have run out
    assert len(dead) == 1
