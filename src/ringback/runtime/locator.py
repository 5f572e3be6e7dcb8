"""The answer to ``Locate``: RFC 3263 with a resolver for its questions.

The machine is ``protocol.routing.locate.Location``. Its rounds have at most twice as many questions as servers, all of
a round asked at once. A name that is slow, or whose DNS lies, costs its own request ``PATIENCE`` seconds at most, a
third of it in each round: where the DNS is out of reach, a name of the hosts file is found all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ringback.errors import RemoteProtocolError, TransportError
from ringback.protocol.routing.flow import Hop
from ringback.protocol.routing.locate import Locate, Location, Question, Reach
from ringback.protocol.routing.records import Record
from ringback.runtime.dead_targets import DeadTargets
from ringback.transport.coroutines import Suspended, drive, suspend
from ringback.transport.network import Resolver

PATIENCE = 10.0  # seconds for all questions that one URI leads to
ROUNDS = 3  # NAPTR, SRV, addresses
TRANSPORTS = ("UDP", "TCP", "TLS", "WS", "WSS")  # in the order in which we like them, where the DNS has no opinion
# IPv4 first: where a route for IPv6 is there and leads nowhere, a request over UDP would find out in 32 s only.
_SAMPLES = ((4, "192.0.2.1"), (6, "2001:db8::1"))

Reaches = Callable[[str, str], bool]
Number = Callable[[int, int], int]


def reach_of(reaches: Reaches) -> Reach:
    """What sockets we have. ``reaches(transport, host)``: whether one has this transport and the host's family."""
    transports = [name for name in TRANSPORTS if any(reaches(name, host) for _, host in _SAMPLES)]
    families = [family for family, host in _SAMPLES if any(reaches(name, host) for name in transports)]
    return Reach(transports, families)


async def locate(
    question: Locate,
    resolver: Resolver,
    reaches: Reaches,
    number: Number = min,
    dead: DeadTargets | None = None,
    now: float = 0.0,
) -> list[Hop]:
    """The hops for ``question``, best first, at least one: those that are ``dead`` at ``now`` come last.

    ``number(low, high)`` draws the random numbers of RFC 2782. Does not suspend when the resolver knows every answer.
    Raises TransportError when nothing can be reached.
    """
    try:
        location = Location.of_uri(question.uri, reach_of(reaches), number, question.transport)
    except RemoteProtocolError as error:
        raise TransportError(error.text) from None
    return await reachable_hops(location, resolver, reaches, dead, now)


async def reachable_hops(
    location: Location, resolver: Resolver, reaches: Reaches, dead: DeadTargets | None = None, now: float = 0.0
) -> list[Hop]:
    """Take ``location`` to its end and give those of its hops that a socket of ours reaches; as ``locate``."""
    while location.questions:
        location.answer(await _ask_all(location.questions, resolver))
    if not location.hops:
        raise TransportError(location.problem)
    reached = [hop for hop in location.hops if reaches(hop.transport, hop.host)]
    if not reached:
        raise TransportError(f"no socket of ours reaches {location.hops[0]!r}")
    return reached if dead is None else dead.order(reached, now)


async def _ask_all(questions: list[Question], resolver: Resolver) -> list[list[Record] | None]:
    """The answers to all, None for those that failed or took too long."""
    answers: list[list[Record] | None] = []
    for question in questions:
        answer = drive(_ask(question, resolver))
        if isinstance(answer, Suspended):
            answer.rest.close()
            break
        answers.append(answer)
    else:
        return answers
    await suspend()
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(_ask(question, resolver)) for question in questions]
    try:
        await asyncio.wait(tasks, timeout=PATIENCE / ROUNDS)
        return [task.result() if task.done() else None for task in tasks]
    finally:
        for task in tasks:
            task.cancel()


async def _ask(question: Question, resolver: Resolver) -> list[Record] | None:
    try:
        return await resolver.records(question.name, question.kind)
    except TransportError:
        return None
