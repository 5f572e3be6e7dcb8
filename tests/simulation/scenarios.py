"""The scenarios that run over many seeds, by name: ``make sim SEED=name:number`` replays one.

A scenario is a coroutine function that takes a world; an entry is the scenario, or the scenario and its weather (FOUL
unless told: 20 % loss, jitter, duplicates, reorder).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ringback.errors import CallEnded, CallRejected, TransactionTimeout
from ringback.protocol.message.build import build_request, build_response
from ringback.protocol.routing.flow import Hop
from ringback.protocol.transaction.events import (
    RequestReceived,
    ResponseReceived,
    TransactionTerminated,
    TransactionTimedOut,
)
from ringback.runtime.stack import Stack
from ringback.server.server import Server
from ringback.server.settings import build
from ringback.testing.invariants import check_trace
from ringback.testing.world import World
from ringback.ua.call import Call
from ringback.ua.user_agent import UserAgent

Scenario = Callable[[World], Coroutine[Any, Any, None]]

SERVER = "10.0.0.1"
CLIENTS = ("10.0.0.2", "10.0.0.3")


class Outcomes:
    """A core that keeps the one outcome that each of its client transactions must have, and which have ended."""

    def __init__(self) -> None:
        self.final: dict[Any, list[int]] = {}
        self.ended: set[Any] = set()
        self.repeated_2xx = 0

    def handle_event(self, event: Any, now: float) -> None:
        if isinstance(event, ResponseReceived) and event.response.status >= 200:
            finals = self.final.setdefault(event.key, [])
            if finals and finals[0] < 300 and event.response.status < 300:
                self.repeated_2xx += 1  # RFC 6026: each 2xx to an INVITE goes up
            else:
                finals.append(event.response.status)
        elif isinstance(event, TransactionTimedOut) and not event.server:
            self.final.setdefault(event.key, []).append(408)
        elif isinstance(event, TransactionTerminated) and not event.server:
            self.ended.add(event.key)

    def handle_timers(self, now: float) -> None:
        pass

    def next_deadline(self) -> float | None:
        return None

    def poll(self) -> list[Any]:
        return []


async def element(world: World, host: str) -> tuple[Stack, Outcomes]:
    """A listening stack with a core that keeps outcomes; it answers OPTIONS 200 and INVITE 180 and 486."""
    stack = world.stack(world.host(host))
    core = Outcomes()
    stack.add("outcomes", core)

    def on_request(event: RequestReceived, now: float) -> None:
        request = event.request
        if request.method == "ACK":
            return
        key = stack.layer.accept(request, event.flow, now, "outcomes")
        tag = stack.ids.tag()
        if request.method == "INVITE":
            stack.layer.respond(key, build_response(request, 180, to_tag=tag), now)
            busy = build_response(request, 486, to_tag=tag)
            world.loop.call_later(3.0, lambda: (stack.layer.respond(key, busy, stack.clock.now()), stack.wake()))
        else:
            stack.layer.respond(key, build_response(request, 200, to_tag=tag), now)

    stack.on_request = on_request
    await stack.listen("UDP", host, 5060)
    return stack, core


def start(stack: Stack, method: str) -> Any:
    """Send a request to the server and give its transaction's key."""
    flow = stack.flow_to(Hop("UDP", SERVER, 5060))
    request = build_request(
        method,
        f"sip:{SERVER}",
        via=f"SIP/2.0/UDP {stack.sent_by(flow)};branch={stack.ids.branch()};rport",
        from_=f"<sip:client@example.test>;tag={stack.ids.tag()}",
        to="<sip:server@example.test>",
        call_id=stack.ids.call_id(),
        cseq=1,
    )
    key = stack.layer.send_request(request, flow, stack.clock.now(), "outcomes")
    stack.wake()
    return key


async def _each_has_one_outcome(world: World, method: str) -> None:
    await element(world, SERVER)
    started: list[tuple[Outcomes, Any]] = []
    for host in CLIENTS:
        stack, core = await element(world, host)
        for _ in range(3):
            started.append((core, start(stack, method)))
            await asyncio.sleep(world.random.random())
    await asyncio.sleep(100)
    for core, key in started:
        assert len(core.final.get(key, [])) == 1, f"outcomes of {key}: {core.final.get(key)}"
        assert key in core.ended


async def options(world: World) -> None:
    """Each OPTIONS transaction ends with exactly one outcome: a final response or a time-out."""
    await _each_has_one_outcome(world, "OPTIONS")


async def busy(world: World) -> None:
    """Each INVITE to a busy server ends with exactly one outcome, and both sides come to rest."""
    await _each_has_one_outcome(world, "INVITE")


# whole calls through a server


DOMAIN = "example.test"
DESKS = ("10.0.2.1", "10.0.2.2", "10.0.2.3")
OFFER = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


async def make_server(world: World) -> Server:
    """An open server at SERVER, watched for leaks and closed with the world."""
    host = world.host(SERVER)
    settings = build(
        {"listen": [f"udp:{SERVER}:5060"], "domains": [DOMAIN], "store": "sqlite::memory:", "open": True},
    )
    server = Server(settings, network=host, clock=host.clock, resolver=host, ids=host.ids)
    await server.start()
    world.watch("server", server.counts)
    world.at_end(server.close)
    return server


async def make_phone(world: World, user: str, address: str) -> UserAgent:
    """A phone of the domain, registered; under loss that may take more than one try."""
    host = world.host(address)
    phone = UserAgent(
        f"sip:{user}@{DOMAIN}",
        proxy=f"sip:{SERVER}",
        listen=f"udp:{address}:5060",
        sdp=OFFER,
        network=host,
        resolver=host,
        clock=host.clock,
        ids=host.ids,
    )
    await phone.start()
    world.watch(f"{user} at {address}", phone.counts)
    while True:
        try:
            await phone.register()
        except TransactionTimeout:
            continue
        return phone


def staff(world: World, desk: UserAgent) -> None:
    """Someone at the desk who takes the call after a while, refuses it, lets it ring, or hangs up some time later."""
    mood = world.random.choice(["answers", "answers", "answers", "is busy", "declines", "is away"])
    rings_after, acts_after, talks = world.random.random(), world.random.random() * 6, world.random.random() * 10

    @desk.on_call
    async def take(call: Call) -> None:
        await asyncio.sleep(rings_after)
        await call.ring()
        if mood == "is away":
            await asyncio.sleep(240)  # then the phone stops ringing by itself, with 480
            return
        await asyncio.sleep(acts_after)
        if mood == "answers":
            await call.answer()
            await asyncio.sleep(talks)
            await call.hangup()
        else:
            await call.reject(486 if mood == "is busy" else 603)


async def place(world: World, phone: UserAgent, outcomes: list[str]) -> None:
    """Call the hunt group; give up, or talk and hang up. Files exactly one outcome."""
    patience = world.random.choice([world.random.random() * 8, 60.0])
    talks = world.random.random() * 10
    call = phone.dial(f"sip:desk@{DOMAIN}")
    try:
        async with asyncio.timeout(patience):
            await call.answered()
    except TimeoutError as error:
        if isinstance(error, TransactionTimeout):
            outcomes.append("timed out")
        else:
            await call.cancel()
            outcomes.append("gave up")
    except CallRejected as error:
        outcomes.append(f"rejected {error.status}")
    except CallEnded:
        outcomes.append("ended")
    else:
        outcomes.append("answered")
        await asyncio.wait([asyncio.ensure_future(_end_of(call))], timeout=talks)
        await call.hangup()
    await call.ended


async def _end_of(call: Call) -> None:
    await call.ended


async def calls(world: World) -> None:
    """Phones register, two callers ring three desks at once through the server; one desk wins, the others stop."""
    await _hunt(world)


async def cut_off(world: World) -> None:
    """The same, while the way between the server and one of the phones is cut for a while."""
    cut = world.random.choice([*DESKS, *CLIENTS])
    begins = 5 + world.random.random() * 10
    lasts = world.random.choice([world.random.random() * 5, world.random.random() * 100])
    world.loop.call_later(begins, world.partition, SERVER, cut)
    world.loop.call_later(begins + lasts, world.heal)
    await _hunt(world)


async def _hunt(world: World) -> None:
    await make_server(world)
    desks = [await make_phone(world, "desk", address) for address in DESKS]
    callers = [await make_phone(world, f"caller{number}", address) for number, address in enumerate(CLIENTS)]
    for desk in desks:
        staff(world, desk)
    outcomes: list[str] = []
    placed = [asyncio.ensure_future(place(world, caller, outcomes)) for caller in callers]
    await asyncio.gather(*placed)
    assert len(outcomes) == len(callers), outcomes
    await asyncio.sleep(300)
    check_trace(world.trace)


SCENARIOS = {scenario.__name__: scenario for scenario in (options, busy, calls, cut_off)}
