"""The invariants see what is missing: a sound run passes, and the same run without some of its packets does not."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from ringback.testing.invariants import check_one_outcome, check_trace, check_unacknowledged, read
from ringback.testing.network import Packet
from ringback.testing.simulation import run_seed
from ringback.testing.world import World
from tests.simulation import scenarios
from tests.simulation.office import GROUP, Person, Plan

SERVER = scenarios.SERVER
CALLERS = ("10.0.1.1", "10.0.1.2")


async def hunt(world: World) -> None:
    """Two callers ring three desks each; some desk answers, another is busy, and the rest are cancelled."""
    plan = Plan(Random(1))
    plan.digest = plan.by_q = False
    plan.ring_time = plan.cut = plan.deaf_to_acks = None
    plan.desks = [Person("desk", f"10.0.2.{number}", world.random, 2.0) for number in (1, 2, 3)]
    plan.callers = [Person(f"caller{number}", address, world.random, 2.0) for number, address in enumerate(CALLERS)]
    plan.calls = [[GROUP], [GROUP]]
    plan.starts = [1.0, 1.5]
    for person in plan.people:
        person.mood, person.patience, person.changes, person.leaves_at = "answers", "waits", False, None
    plan.desks[1].mood = "is busy"
    await scenarios.attend(world, plan)


@pytest.fixture(scope="module")
def trace() -> list[Packet]:
    """The packets of such a hunt in bad weather."""
    return run_seed(1, hunt).trace


def without(trace: list[Packet], unwanted: Callable[[Packet], bool]) -> list[Packet]:
    kept = [packet for packet in trace if not unwanted(packet)]
    assert len(kept) < len(trace)
    return kept


def altered(packet: Packet, old: bytes, new: bytes) -> Packet:
    other = Packet(packet.number, packet.sent_at, packet.inside, packet.destination, packet.data.replace(old, new))
    other.fate, other.arrives_at = packet.fate, packet.arrives_at
    assert other.data != packet.data
    return other


def is_response(packet: Packet, status: int, method: str = "INVITE") -> bool:
    return packet.data.startswith(b"SIP/2.0 %d" % status) and f" {method}\r\n".encode() in packet.data


def test_a_sound_run_passes(trace: list[Packet]) -> None:
    check_trace(trace)


def test_a_malformed_message_is_found(trace: list[Packet]) -> None:
    with pytest.raises(AssertionError, match="malformed message sent"):
        read([altered(trace[0], b"Call-ID: ", b"Call-IT: ")])


def test_keepalives_are_no_messages(trace: list[Packet]) -> None:
    assert read([Packet(0, 0.0, (SERVER, 5060), (SERVER, 5060), b"\r\n\r\n")]) == []


def test_a_2xx_without_ack_is_found(trace: list[Packet]) -> None:
    ours = without(trace, lambda packet: packet.data.startswith(b"ACK") and packet.inside[0] in CALLERS)
    with pytest.raises(AssertionError, match="2xx arrived and 0 ACKs were sent"):
        check_trace(ours)


def test_a_refusal_without_ack_is_found(trace: list[Packet]) -> None:
    ours = without(trace, lambda packet: packet.data.startswith(b"ACK") and packet.inside[0] == SERVER)
    with pytest.raises(AssertionError, match=r"0 ACKs instead of \d for .*487"):
        check_trace(ours)


def test_a_repeated_refusal_that_is_not_acknowledged_again_is_found(trace: list[Packet]) -> None:
    acks = [packet for packet in trace if packet.data.startswith(b"ACK") and packet.inside[0] == SERVER]
    twice = next(packet.data for packet in acks if sum(other.data == packet.data for other in acks) > 1)
    last = [packet for packet in acks if packet.data == twice][-1]
    with pytest.raises(AssertionError, match=r"1 ACKs instead of 2"):
        check_trace(without(trace, lambda packet: packet is last))


def test_two_outcomes_of_one_transaction_are_found(trace: list[Packet]) -> None:
    at, refused = next((at, packet) for at, packet in enumerate(trace) if is_response(packet, 487))
    refused.fate, before = "delivered", refused.fate
    ours = [*trace[: at + 1], altered(refused, b"487 Request Terminated", b"486 Busy Here"), *trace[at + 1 :]]
    with pytest.raises(AssertionError, match=r"several outcomes .*\[486, 487\]"):
        check_one_outcome(read(ours))
    refused.fate = before


def test_a_cancel_before_any_provisional_response_is_found(trace: list[Packet]) -> None:
    def provisional(packet: Packet) -> bool:
        return packet.data.startswith(b"SIP/2.0 1") and packet.destination[0] == SERVER

    with pytest.raises(AssertionError, match=r"no provisional response came before .*CANCEL"):
        check_trace(without(trace, provisional))


def test_a_cancel_that_overtakes_the_provisional_response_is_found(trace: list[Packet]) -> None:
    late = [packet for packet in trace if packet.data.startswith(b"SIP/2.0 1") and packet.destination[0] == SERVER]
    arrivals = [packet.arrives_at for packet in late]
    for packet in late:
        packet.arrives_at += 10_000
    with pytest.raises(AssertionError, match="too early"):
        check_trace(trace)
    for packet, arrival in zip(late, arrivals, strict=True):
        packet.arrives_at = arrival


def test_a_loser_that_is_left_ringing_is_found(trace: list[Packet]) -> None:
    def ends_losers(packet: Packet) -> bool:
        return packet.data.startswith(b"CANCEL") or is_response(packet, 487) or is_response(packet, 486)

    with pytest.raises(AssertionError, match=r"left branch .* ringing"):
        check_trace(without(trace, ends_losers))


def test_an_unacknowledged_answer_without_bye_is_found(trace: list[Packet]) -> None:
    def ends_it(packet: Packet) -> bool:
        return packet.data.startswith((b"ACK", b"BYE")) and packet.inside[0] == SERVER

    def says_bye(packet: Packet) -> bool:
        return packet.data.startswith(b"BYE")

    with pytest.raises(AssertionError, match=r"got no ACK in 32 s and sent no BYE"):
        check_unacknowledged(read(without(trace, lambda packet: ends_it(packet) or says_bye(packet))))
    check_unacknowledged(read(without(trace, lambda packet: packet.data.startswith(b"ACK"))))  # BYE came or went
