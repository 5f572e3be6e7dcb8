"""The scenarios that run over many seeds, by name: ``make sim SEED=name:number`` replays one.

A scenario is a coroutine function that takes a world; ``SCENARIOS`` has each with the weather it begins in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from ringback.protocol.message.build import build_request, build_response
from ringback.protocol.routing.flow import Hop
from ringback.protocol.transaction.events import (
    RequestReceived,
    ResponseReceived,
    TransactionTerminated,
    TransactionTimedOut,
)
from ringback.runtime.stack import Stack
from ringback.testing.simulation import FAIR, FOUL, Weather
from ringback.testing.world import World
from tests.simulation.invariants import check_office, check_registrations
from tests.simulation.office import Office, Plan

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


# whole servers and phones


async def office(world: World) -> None:
    """Phones register, call a hunt group and each other, fork, answer, refuse, cancel and hang up; a fifth of all
    packets is lost, and the seed decides how late, doubled and out of order the others are."""
    conditions, draw = world.conditions, Random(f"{world.seed}/weather")
    conditions.delay = draw.choice([0.001, 0.010, 0.010, 0.100])
    conditions.jitter = draw.choice([0.0, 0.040, 0.040, 0.300])
    conditions.duplicate = draw.choice([0.0, 0.05, 0.3])
    conditions.reorder = draw.choice([0.0, 0.05, 0.3])
    await attend(world)


async def races(world: World) -> None:
    """The same with nothing lost: every message arrives, at moments drawn anew, so that those which cross each other
    (CANCEL and 200, BYE and BYE, two 200s) do so in every order."""
    conditions, draw = world.conditions, Random(f"{world.seed}/weather")
    conditions.delay = draw.choice([0.0, 0.001, 0.010])
    conditions.jitter = draw.choice([0.0, 0.010, 0.200, 0.450])
    conditions.duplicate = draw.choice([0.0, 0.0, 0.5])
    conditions.reorder = draw.choice([0.0, 0.3, 0.6])
    await attend(world)


async def attend(world: World, plan: Plan | None = None) -> None:
    """Run an office, to the plan or to the seed's own, and hold it against the invariants."""
    here = Office(world, plan)
    try:
        await here.work()
        check_registrations(here)
        await here.close_up()
        check_office(here)
    except Exception as error:
        error.add_note(str(here.plan))
        raise


SCENARIOS: dict[str, tuple[Scenario, Weather]] = {
    "options": (options, FOUL),
    "busy": (busy, FOUL),
    "office": (office, FOUL),
    "races": (races, FAIR),
}

NAMES = {
    **{f"10.0.1.{number}:5060": f"caller{number - 1}" for number in range(1, 10)},
    f"{SERVER}:5060": "server",
    **{f"10.0.2.{number}:5060": f"desk {number}" for number in range(1, 10)},
}
"""Who is at which address in the office, in the order in which a ladder shows them."""
