"""Two phones over a terrible network: whatever gets lost, every call ends once on both sides and leaves nothing."""

from __future__ import annotations

import asyncio

import pytest

from ringback import Call, CallEnded, CallRejected, SipError, UserAgent
from ringback.protocol.message.model import Request, Response
from ringback.protocol.message.parser import parse_message
from ringback.testing.network import Packet
from ringback.testing.world import World
from tests.ua.conftest import PhoneBench

BOB = "sip:bob@10.0.0.2"
SEEDS = range(60)


def somebody(world: World, phone: UserAgent, ends: list[str]) -> None:
    """Whoever is at this phone: takes the call, refuses it, lets it ring, and hangs up when they like."""
    draw = world.random.random

    @phone.on_call
    async def _(call: Call) -> None:
        mood = draw()
        await asyncio.sleep(draw() * 2)
        if mood < 0.9:
            await call.ring()
            await asyncio.sleep(draw() * 4)
        if mood < 0.2:
            await call.reject(486)
        elif mood < 0.8:
            try:
                await call.answer()
                await asyncio.sleep(draw() * 4)
                await call.hangup()
            finally:
                ends.append(str(await call.ended))


async def call_somebody(world: World, phone: UserAgent, outcomes: list[str]) -> None:
    """One call, with more patience or less, and one outcome."""
    draw = world.random.random
    try:
        async with asyncio.timeout(draw() * 10):
            call = await phone.call(BOB)
    except CallRejected as refusal:
        outcomes.append(f"refused {refusal.status}")
    except CallEnded:
        outcomes.append("ended")
    except SipError as error:
        outcomes.append(type(error).__name__)
    except TimeoutError:
        outcomes.append("gave up")
    else:
        await asyncio.sleep(draw() * 4)
        await call.hangup()
        outcomes.append(str(await call.ended))


@pytest.mark.simulation
@pytest.mark.threat("T13")
@pytest.mark.row("INV-1", part="2xx")
@pytest.mark.row("CAN-9")
@pytest.mark.parametrize("seed", SEEDS)
def test_every_call_ends_once_and_every_2xx_is_acknowledged(seed: int) -> None:
    with World(seed, loss=0.2, delay=0.01, jitter=0.3, duplicate=0.05, reorder=0.1) as world:
        phones = PhoneBench(world)
        alice, bob = phones.pair(drain=200.0)
        outcomes: list[str] = []
        ends: list[str] = []
        somebody(world, bob, ends)

        async def scenario() -> None:
            await asyncio.gather(*[call_somebody(world, alice, outcomes) for _ in range(4)])
            await asyncio.sleep(100)

        phones.run(scenario)
        assert len(outcomes) == 4
        check_acknowledged(world.trace)
        world.check_quiet()


def check_acknowledged(trace: list[Packet]) -> None:
    """Each 2xx to INVITE that reached Alice was answered by an ACK at that moment, and nothing else got one."""
    acks: dict[tuple[str, str, int], int] = {}
    answers: dict[tuple[str, str, int], int] = {}
    refused: set[tuple[str, str, int]] = set()
    for packet in trace:
        message = parse_message(packet.data)
        if isinstance(message, Request):
            if message.method == "ACK" and not packet.copy:
                key = (message.call_id, message.to_tag or "", message.cseq.number)
                acks[key] = acks.get(key, 0) + 1
        elif isinstance(message, Response) and message.cseq.method == "INVITE" and packet.fate == "delivered":
            key = (message.call_id, message.to_tag or "", message.cseq.number)
            if message.status >= 300:
                refused.add(key)
            elif message.status >= 200:
                answers[key] = answers.get(key, 0) + 1
    for key, count in answers.items():
        assert acks.get(key) == count, f"{count} answers, {acks.get(key)} ACKs: {key}"
    assert set(acks) <= set(answers) | refused
