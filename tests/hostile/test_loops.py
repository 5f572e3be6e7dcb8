"""Contacts that point at ourselves: every call comes to an end, and soon (RFC 5393, THREATS T11, T15)."""

from __future__ import annotations

import asyncio

import pytest

from ringback.protocol.registration.binding import Binding, Change, ChangeKind
from ringback.testing.fixtures import pytest_runtest_makereport, world
from ringback.testing.world import World
from tests.hostile.cases import Case
from tests.hostile.range import ATTACKER, DOMAIN, SERVER, Range

__all__ = ["pytest_runtest_makereport", "world"]

MOST = 1200  # INVITEs that one INVITE may become

# AOR number, contact, q
SCHEMES: dict[str, list[tuple[int, str, float]]] = {
    "at itself": [(0, "sip:a0@10.0.0.1", 1.0)],
    "at its domain": [(0, f"sip:a0@{DOMAIN}", 1.0)],
    "at its domain's other name": [(0, f"sip:%61%30@{DOMAIN}:5060;x", 1.0)],
    "ten at itself in parallel": [(0, f"sip:a0@10.0.0.1;x={at}", 1.0) for at in range(10)],
    "two at itself in parallel": [(0, f"sip:a0@10.0.0.1;x={at}", 1.0) for at in range(2)],
    "ten at itself in turn": [(0, f"sip:a0@10.0.0.1;x={at}", at / 10) for at in range(10)],
    "at each other": [(0, "sip:a1@10.0.0.1", 1.0), (1, "sip:a0@10.0.0.1", 1.0)],
    "two at each of ten": [
        (at, f"sip:a{(at + step) % 10}@10.0.0.1;x={at}", 1.0) for at in range(10) for step in (1, 2)
    ],
    "ten at each of ten in turn": [(at, f"sip:a{to}@10.0.0.1;x={at}", to / 10) for at in range(10) for to in range(10)],
    "a chain of eighty": [(at, f"sip:a{at + 1}@10.0.0.1", 1.0) for at in range(80)],
    "at itself by another's route": [(0, "sip:a0@10.0.0.1;lr", 1.0), (0, "sip:a0@10.0.0.1:5060;maddr=10.0.0.1", 1.0)],
}


@pytest.mark.threat("T11")
@pytest.mark.threat("T15")
@pytest.mark.row("TRN-5", part="loops through ourselves")
@pytest.mark.rfc("5393 5")
@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_points_at_ourselves_comes_to_an_end(world: World, caplog: pytest.LogCaptureFixture, scheme: str) -> None:
    world.zone[DOMAIN] = [SERVER[0]]
    target = Range(world, caplog)

    async def scenario() -> None:
        await target.start()
        store = target.server.store
        store.begin()
        for number, uri, q in SCHEMES[scheme]:
            binding = Binding(f"sip:a{number}@{DOMAIN}", uri, q=q, expires_at=world.clock.now() + 1e6, call_id="x")
            store.apply(binding.aor, [Change(ChangeKind.ADD, binding)])
        store.commit()
        mark = len(world.trace)
        invite = (
            f"INVITE sip:a0@{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKl\r\nFrom: <sip:c@d>;tag=1\r\n"
            f"To: <sip:a0@{DOMAIN}>\r\nCall-ID: l\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
        )
        await target.fire(Case(scheme, invite.encode()))
        for _ in range(40):
            await asyncio.sleep(1)
            invites = sum(packet.data.startswith(b"INVITE") for packet in world.trace[mark:])
            assert invites <= MOST
        answers = [packet.first_line for packet in world.trace[mark:] if packet.destination == ATTACKER]
        assert any(int(line.split(" ")[1]) in (408, 440, 482, 483) for line in answers), answers
        await target.is_alive()

    world.run(scenario())
    world.check_quiet()
    world.run(target.server.close())
