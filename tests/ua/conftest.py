"""Phones in the simulated world."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from ringback import UserAgent
from ringback.testing.fixtures import pytest_runtest_makereport, world
from ringback.testing.world import World

__all__ = ["PhoneBench", "phones", "pytest_runtest_makereport", "world"]

OFFER = b"v=0\r\no=alice 1 1 IN IP4 10.0.0.1\r\n"
ANSWER = b"v=0\r\no=bob 1 1 IN IP4 10.0.0.2\r\n"
LONG_ENOUGH = 75.0  # seconds: 64*T1 twice, and Timer K


class PhoneBench:
    """User agents in one world: ``alice`` at 10.0.0.1, ``bob`` at 10.0.0.2, and whoever else is wanted."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.agents: list[UserAgent] = []

    def agent(self, name: str, address: str, domain: str = "", **options: Any) -> UserAgent:
        """A user agent that listens on port 5060 of that address."""
        host = self.world.host(address)
        agent = UserAgent(
            f"sip:{name}@{domain or address}",
            **{"listen": f"udp:{address}:5060"} | options,
            network=host,
            resolver=host,
            clock=host.clock,
            ids=host.ids,
        )
        self.agents.append(agent)
        return agent

    def pair(self, **options: Any) -> tuple[UserAgent, UserAgent]:
        """Alice and Bob, with a session description each."""
        alice = self.agent("alice", "10.0.0.1", sdp=OFFER, **options)
        return alice, self.agent("bob", "10.0.0.2", sdp=ANSWER, **options)

    def run(self, scenario: Callable[[], Awaitable[None]]) -> None:
        """Start everybody, play the scenario, wait until nothing can be under way, and see that nothing is left."""

        async def main() -> None:
            async with AsyncExitStack() as stack:
                for agent in self.agents:
                    await stack.enter_async_context(agent)
                await scenario()
                await asyncio.sleep(LONG_ENOUGH)
                for agent in self.agents:
                    assert {name: size for name, size in agent.counts().items() if size} == {}, agent.aor

        self.world.run(main())

    def ladder(self) -> list[str]:
        """What was sent: the last number of the sender's address, and method or status."""
        lines = []
        for packet in self.world.trace:
            words = packet.data.split(b" ", 2)
            what = words[1] if words[0] == b"SIP/2.0" else words[0]
            lines.append(f"{packet.source[0].rpartition('.')[2]} {what.decode()}")
        return lines


@pytest.fixture
def phones(world: World) -> PhoneBench:
    return PhoneBench(world)
