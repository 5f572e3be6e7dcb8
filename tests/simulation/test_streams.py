"""Calls and registrations over TCP: whatever breaks, and when, everybody learns how it ended and nothing is left."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from ringback.errors import CallEnded, CallRejected, SipError
from ringback.server.server import Server
from ringback.server.settings import build
from ringback.testing.network import Packet
from ringback.testing.simulation import Weather, run_seeds
from ringback.testing.world import World
from ringback.ua.call import Call
from ringback.ua.user_agent import UserAgent

SERVER = "10.0.0.1"
ALICE = "10.0.0.2"
BOB = "10.0.0.3"
DOMAIN = "example.test"
ROUGH = Weather(loss=0.1, delay=0.010, jitter=0.040)


class House:
    """A server that listens on UDP, TCP and WS, and two phones that know it by TCP, or as said."""

    def __init__(self, world: World, *, alice: str = "tcp", bob: str = "tcp", rings_for: float = 0.1) -> None:
        self.world = world
        host = world.host(SERVER)
        self.server = Server(
            build(
                {
                    "listen": [f"udp:{SERVER}:5060", f"tcp:{SERVER}:5060", f"ws:{SERVER}:80"],
                    "domains": [DOMAIN],
                    "store": "sqlite::memory:",
                    "open": True,
                }
            ),
            network=host,
            clock=host.clock,
            resolver=host,
            ids=host.ids,
        )
        world.at_end(self.server.close)
        self.alice = self.phone("alice", ALICE, alice)
        self.bob = self.phone("bob", BOB, bob)
        self.taken: list[Call] = []
        self.endings: list[str] = []

        @self.bob.on_call
        async def _(call: Call) -> None:
            self.taken.append(call)
            try:
                await call.ring()
                await asyncio.sleep(rings_for)
                await call.answer(b"v=0\r\n", content_type="application/sdp")
            except CallEnded:
                pass
            await call.ended
            self.endings.append("bob")

    def phone(self, name: str, address: str, transport: str) -> UserAgent:
        host = self.world.host(address)
        agent = UserAgent(
            f"sip:{name}@{DOMAIN}",
            listen=f"{transport}:{address}:5060",
            proxy=f"sip:{SERVER};transport={transport}",
            sdp=b"v=0\r\n",
            network=host,
            resolver=host,
            clock=host.clock,
            ids=host.ids,
        )
        self.world.watch(name, agent.counts)
        self.world.at_end(agent.close)
        return agent

    async def open(self, *, register: bool = True) -> None:
        await self.server.start()
        self.world.watch("server", self.server.counts)
        await self.alice.start()
        await self.bob.start()
        if register:
            await self.bob.register(expires=7200)

    async def call(self, talk: float = 0.2) -> str:
        """Alice calls Bob and hangs up; how it went for her."""
        try:
            call = await self.alice.call(f"sip:bob@{DOMAIN}")
        except CallRejected as error:
            return f"rejected {error.status}"
        except SipError as error:
            return type(error).__name__
        await asyncio.sleep(talk)
        try:
            await call.hangup()
        except CallEnded:
            pass
        await call.ended
        return "talked"


def packets(world: World, start: str) -> list[Packet]:
    return [packet for packet in world.trace if packet.first_line.startswith(start)]


@pytest.mark.row("TRN-2", "INV-1", "BYE-4", part="TCP")
@pytest.mark.parametrize(
    ("alice", "bob"),
    [("tcp", "tcp"), ("udp", "tcp"), ("tcp", "udp"), ("ws", "ws"), ("ws", "udp"), ("tcp", "ws")],
)
def test_a_whole_call(alice: str, bob: str) -> None:
    with World("a whole call") as world:
        house = House(world, alice=alice, bob=bob)

        async def main() -> None:
            await house.open()
            assert await house.call() == "talked"
            assert house.endings == ["bob"]

        world.run(main())
        world.check_quiet()
        [invite] = [packet for packet in packets(world, "INVITE") if packet.destination[0] == BOB]
        assert invite.data.count(b"\r\nRecord-Route:") == (1 if alice == bob else 2)


@pytest.mark.rfc("5923 8.1", "5626 5.3.1")
def test_all_requests_of_a_dialog_and_its_responses_use_one_connection_on_each_side() -> None:
    with World("one connection") as world:
        house = House(world)

        async def main() -> None:
            await house.open()
            for _ in range(3):
                assert await house.call() == "talked"

        world.run(main())
        world.check_quiet()
        ends = {frozenset((packet.source, packet.destination)) for packet in world.trace}
        assert len(ends) == 2


@pytest.mark.row("ACK-5", part="TCP")
@pytest.mark.rfc("3261 13.3.1.4")
def test_a_2xx_is_repeated_over_tcp_too_until_the_ack_comes() -> None:
    from ringback.testing.stream_peer import StreamPeer

    with World("2xx again") as world:
        house = House(world, rings_for=0.0)

        async def main() -> None:
            await house.open(register=False)
            peer = await StreamPeer.connect(world.host(ALICE), (BOB, 5060))
            peer.send(
                f"""
                INVITE sip:bob@{BOB}:5060;transport=tcp SIP/2.0
                Via: SIP/2.0/TCP {ALICE}:5070;branch=z9hG4bK1
                Max-Forwards: 70
                From: <sip:x@{ALICE}>;tag=1
                To: <sip:bob@{BOB}>
                Call-ID: 1
                CSeq: 1 INVITE
                Contact: <sip:x@{ALICE}:5070;transport=tcp>
                Content-Length: 0
                """
            )
            times = []
            for _ in range(5):
                await peer.expect(200, skip=(180, 100))
                times.append(round(world.now, 1))
            assert [round(after - before, 1) for before, after in pairwise(times)] == [
                0.5,
                1.0,
                2.0,
                4.0,
            ]
            await asyncio.sleep(64)
            assert house.endings == ["bob"]
            peer.close()

        world.run(main())
        world.check_quiet()


@pytest.mark.row("TRN-2", part="loss in every state of a call")
@pytest.mark.rfc("3261 18.4", "3261 18.2.2")
@pytest.mark.threat("T13")
@pytest.mark.parametrize("side", [ALICE, BOB])
def test_a_connection_that_breaks_at_any_moment_of_a_call(side: str) -> None:
    outcomes: dict[str, int] = {}
    for step in range(130):
        with World(f"break {step}") as world:
            house = House(world)

            async def main(house: House = house, world: World = world, moment: float = step * 0.005) -> str:
                await house.open()
                task = asyncio.create_task(house.call())
                await asyncio.sleep(moment)
                world.break_connections(SERVER, side)
                outcome = await asyncio.wait_for(task, 300.0)
                await asyncio.sleep(100.0)
                assert len(house.endings) == len(house.taken), f"Bob does not know that it is over: {outcome}"
                return outcome

            outcome = world.run(main())
            world.check_quiet()
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    # An INVITE that had arrived when the connection broke on which Bob had registered, and then came another way too,
    # is a merged request (RFC 3261 §8.2.2.2). A connection that is reset while it is being opened is none.
    assert outcomes["talked"] > 125, outcomes
    assert set(outcomes) <= {"talked", "rejected 482", "TransportError"}


async def registered(phone: UserAgent) -> int:
    """The seconds granted, 0 when it failed."""
    try:
        return await phone.register(expires=120)
    except SipError:
        return 0


@pytest.mark.row("REG-5", part="loss in every state of a registration")
def test_a_connection_that_breaks_at_any_moment_of_a_registration() -> None:
    for step in range(12):
        with World(f"registration {step}") as world:
            house = House(world)

            async def main(house: House = house, world: World = world, moment: float = step * 0.005) -> None:
                await house.open(register=False)
                asyncio.get_running_loop().call_later(moment, world.break_connections, SERVER, BOB)
                assert 120 in (await registered(house.bob), await registered(house.bob))
                await asyncio.sleep(300.0)  # it has refreshed since, on another connection
                assert await house.call() == "talked"
                await house.bob.unregister()

            world.run(main())
            world.check_quiet()


@pytest.mark.threat("T8")
def test_a_phone_that_vanishes_is_not_waited_for_by_others() -> None:
    with World("vanished") as world:
        house = House(world)

        async def main() -> None:
            await house.open()
            carol = house.phone("carol", "10.0.0.4", "tcp")
            await carol.start()
            await carol.register(expires=7200)
            carol.on_call(answer)
            world.partition(SERVER, BOB)
            lost = asyncio.create_task(house.call())
            call = await house.alice.call(f"sip:carol@{DOMAIN}")
            assert world.now < 1.0
            await call.hangup()
            assert await lost in ("rejected 500", "rejected 408", "rejected 480")
            world.heal()
            assert await house.call() == "talked"

        world.run(main())
        world.check_quiet()


async def answer(call: Call) -> None:
    await call.answer(b"v=0\r\n", content_type="application/sdp")


async def rough(world: World, transport: str = "tcp") -> None:
    """Three calls over connections that lose segments and break now and then."""
    house = House(world, alice=transport, bob=transport, rings_for=world.random.random())
    await house.open(register=False)
    for _ in range(20):
        try:
            await house.bob.register(expires=7200)
            break
        except SipError:
            continue

    async def breaks() -> None:
        while True:
            await asyncio.sleep(world.random.expovariate(0.5))
            world.break_connections(SERVER, world.random.choice([ALICE, BOB]))

    chaos = asyncio.create_task(breaks())
    for _ in range(3):
        outcome: Any = await asyncio.wait_for(house.call(talk=world.random.random()), 400.0)
        assert outcome in ("talked", "TransportError", "TransactionTimeout") or outcome.startswith("rejected")
    chaos.cancel()
    await asyncio.sleep(150.0)
    assert len(house.endings) == len(house.taken)


@pytest.mark.simulation
@pytest.mark.threat("T13")
@pytest.mark.row("TRN-2", part="streams that lose and break")
@pytest.mark.parametrize("seeds", [range(first, first + 25) for first in range(0, 100, 25)], ids=str)
def test_calls_over_connections_that_lose_and_break(seeds: range) -> None:
    run_seeds(seeds, rough, ROUGH)


async def rough_web(world: World) -> None:
    """The same over WebSockets."""
    await rough(world, "ws")


@pytest.mark.simulation
@pytest.mark.threat("T13")
@pytest.mark.row("TRN-2", part="WebSockets that lose and break")
@pytest.mark.parametrize("seeds", [range(first, first + 25) for first in range(0, 50, 25)], ids=str)
def test_calls_over_websockets_that_lose_and_break(seeds: range) -> None:
    run_seeds(seeds, rough_web, ROUGH)
