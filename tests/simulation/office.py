"""A house with a hunt group, its callers and its bad lines: whole servers and phones, every choice drawn from the seed.

``Plan`` is what a seed decides before anything runs: who is there, what each person does and when, and what befalls the
network. ``Office`` runs it and keeps what the phones told their users, for ``invariants`` to hold against the packets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import ExitStack
from random import Random
from typing import Any

from ringback.errors import CallEnded, CallRejected, LocalProtocolError, SipError, TransactionTimeout, TransportError
from ringback.protocol.cores.calls import EndReason
from ringback.protocol.cores.ua_events import CallAnswered, CallConfirmed, CallOver, CallProgress
from ringback.server.server import Server
from ringback.server.settings import build
from ringback.testing.network import Packet
from ringback.testing.world import QUIET_AFTER, World
from ringback.ua.call import Call
from ringback.ua.user_agent import UserAgent
from tests.simulation.transactions import Journal, listen_in

SERVER = "10.0.0.1"
DOMAIN = "example.test"
GROUP = f"sip:desk@{DOMAIN}"
PASSWORD = "secret"
LONGEST = 1200.0  # seconds for all that a plan holds: two calls in a row, each ringing to Timer C
OFFER = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"

MOODS = ("answers",) * 6 + (
    "hangs up before the ACK",
    "picks up at once",
    "is busy",
    "declines",
    "is away",
    "forgets",
    "is engaged",
)
PATIENCE = ("waits",) * 4 + ("gives up",) * 2 + ("gives up at once", "gives up on ringing", "gives up on the answer")


class Person:
    """What somebody does with a phone: ``mood`` for calls that come, ``patience`` with calls that are made.

    ``talks`` and ``acts_after`` are seconds, from the answer and from the ringing. ``q`` is the desk's, None for none.
    ``changes`` is whether it sends a re-INVITE, ``expires`` what it asks the registrar for, in seconds, ``leaves_at``
    when it unregisters, if it does.
    """

    def __init__(self, name: str, address: str, draw: Random, tempo: float) -> None:
        self.name = name
        self.address = address
        self.mood = draw.choice(MOODS)
        self.patience = draw.choice(PATIENCE)
        self.rings_after = draw.choice([0.0, 0.0, draw.random()])
        self.acts_after = draw.choice([tempo, tempo, draw.random() * 8])
        self.gives_up_after = draw.choice([0.05, 0.3, draw.random() * 8])
        self.talks = draw.choice([0.0, tempo, tempo, draw.random() * 20, 90.0])
        self.changes = draw.random() < 0.15
        self.q = draw.choice([None, None, 1.0, 0.5, 0.5, 0.2])
        self.expires = draw.choice([90, 300, 3600])
        self.leaves_at = draw.choice([None, None, None, draw.random() * 60])

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in vars(self).items())


class Plan:
    """All that a seed decides. ``str()`` of it goes with a failure."""

    def __init__(self, draw: Random) -> None:
        tempo = draw.choice([1.0, 2.0])  # several do things at the very same moment
        self.digest = draw.random() < 0.4
        self.by_q = draw.random() < 0.4
        self.ring_time = draw.choice([None, 3.0, 10.0]) if self.by_q else None
        self.desks = [Person("desk", f"10.0.2.{1 + at}", draw, tempo) for at in range(draw.choice([1, 2, 2, 3, 3, 4]))]
        self.callers = [Person(f"caller{at}", f"10.0.1.{1 + at}", draw, tempo) for at in range(draw.choice([1, 2, 2]))]
        self.calls = [self._calls(caller, draw) for caller in self.callers]
        self.starts = [draw.choice([1.0, 1.0, draw.random() * 3]) for _ in self.callers]
        addresses = [person.address for person in self.people]
        self.cut = draw.choice(addresses) if draw.random() < 0.2 else None
        self.cut_at = draw.random() * 12
        self.cut_for = draw.choice([draw.random() * 10, draw.random() * 100, 1000.0])
        self.deaf_to_acks = draw.choice([None] * 9 + [draw.choice(self.desks).address])

    @property
    def people(self) -> list[Person]:
        """Everybody who has a phone."""
        return [*self.desks, *self.callers]

    def _calls(self, caller: Person, draw: Random) -> list[str]:
        others = [f"sip:{other.name}@{DOMAIN}" for other in self.callers if other is not caller]
        return draw.choices([GROUP, GROUP, GROUP, *others, f"sip:nobody@{DOMAIN}"], k=draw.choice([1, 1, 2]))

    def __str__(self) -> str:
        facts = {name: value for name, value in vars(self).items() if name not in ("desks", "callers")}
        return "\n".join([f"plan: {facts}", *map(str, self.people)])


class Story:
    """What a phone told of one call, in the order it told it: (seconds since the world began, event).

    ``outcome`` is what ``answered()`` gave a caller: "answered", "rejected 486", "timed out", "failed", "withdrawn";
    "" for one that nobody waited for. ``call_id`` is the dialog's, ``host`` the phone's.
    """

    def __init__(self, host: str, call: Call, began_at: float) -> None:
        self.host = host
        self.is_caller = call.is_caller
        self.began_at = began_at
        self.call_id = "" if call.request is None else call.request.call_id
        self.subject = ""
        self.outcome = ""
        self.tag: str | None = None  # the remote tag of the dialog that the caller was given
        self.withdrawn_at: float | None = None
        self.answered_at: float | None = None
        self.over_at: float | None = None
        self.reason: EndReason | None = None
        self.told: list[tuple[float, str]] = []

    def __str__(self) -> str:
        return f"the {'caller' if self.is_caller else 'callee'} {self.host} in call {self.call_id} ({self.subject})"


class Office:
    """A plan being carried out in a world."""

    def __init__(self, world: World, plan: Plan | None = None) -> None:
        self.world = world
        self.plan = plan or Plan(world.random)
        self.journal = Journal()
        self.stories: list[Story] = []
        self.phones: dict[str, UserAgent] = {}  # by address
        self.server: Server
        self._moment = asyncio.Event()  # somebody at a desk has taken a call
        self._tasks: set[asyncio.Task[None]] = set()

    async def work(self) -> None:
        """From the first REGISTER to the end of the last call."""
        plan, world = self.plan, self.world
        with ExitStack() as rules:
            if plan.deaf_to_acks is not None:
                rules.enter_context(world.dropping(self._is_unheard))
            await self._open()
            await asyncio.sleep(0.1)
            await asyncio.gather(*map(self._move_in, plan.people))
            if plan.cut is not None:
                world.loop.call_later(plan.cut_at, world.partition, SERVER, plan.cut)
                world.loop.call_later(plan.cut_at + plan.cut_for, world.heal)
            for person in plan.people:
                if person.leaves_at is not None:
                    self._begin(self._move_out(person, person.leaves_at))
            for caller, targets, begins in zip(plan.callers, plan.calls, plan.starts, strict=True):
                self._begin(self._make_calls(caller, targets, begins))
            await self._last_to_leave()

    async def close_up(self) -> None:
        """Mend the network, unregister the phones that refresh often, and wait until every table is empty."""
        self.world.heal()
        await asyncio.gather(*(self._move_out(person, 0.0) for person in self.plan.people if person.expires < 3600))
        ends = self.world.now + QUIET_AFTER
        while self.world.unfinished() and self.world.now < ends:
            await asyncio.sleep(1.0)
        assert not self.world.unfinished(), f"not quiet after {QUIET_AFTER:.0f} s: {self.world.unfinished()}"

    async def _last_to_leave(self) -> None:
        """Wait until everybody has done what they meant to do; names who has not after a generous while."""
        ends = self.world.now + LONGEST
        while self._tasks and self.world.now < ends:
            done, _ = await asyncio.wait(self._tasks, timeout=ends - self.world.now)
            for task in done:
                task.result()
        waiting = ", ".join(sorted(task.get_coro().__qualname__ for task in self._tasks))
        assert not self._tasks, f"still waiting after {LONGEST:.0f} s: {waiting}"

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _is_unheard(self, packet: Packet) -> bool:
        return packet.destination[0] == self.plan.deaf_to_acks and packet.data.startswith(b"ACK")

    # the house

    async def _open(self) -> None:
        plan = self.plan
        host = self.world.host(SERVER)
        values: dict[str, Any] = {"listen": [f"udp:{SERVER}:5060"], "domains": [DOMAIN], "store": "sqlite::memory:"}
        values |= {"open": not plan.digest, "proxy": {"ring_time": plan.ring_time}}
        server = Server(build(values), network=host, clock=host.clock, resolver=host, ids=host.ids)
        self.server = server
        if plan.digest:
            for name in {person.name for person in plan.people}:
                server.store.add_user(name, DOMAIN, PASSWORD)
            server.store.commit()
        await server.start()
        listen_in(server.stack, SERVER, self.journal)
        self.world.watch("server", server.counts)
        self.world.at_end(server.close)

    async def _move_in(self, person: Person) -> None:
        """Register, at once and as often as it takes."""
        host = self.world.host(person.address)
        phone = UserAgent(
            f"sip:{person.name}@{DOMAIN}",
            password=PASSWORD if self.plan.digest else None,
            proxy=f"sip:{SERVER}",
            listen=f"udp:{person.address}:5060",
            sdp=OFFER,
            network=host,
            resolver=host,
            clock=host.clock,
            ids=host.ids,
        )
        await phone.start()
        listen_in(phone._stack, person.address, self.journal)
        self.phones[person.address] = phone
        self.world.watch(f"{person.name} at {person.address}", phone.counts)
        phone.busy = person.mood == "is engaged"
        self._sit_down(person, phone)
        while True:
            try:
                if self.plan.by_q and person.q is not None:
                    await self._register_with_q(person, phone)
                else:
                    await phone.register(expires=person.expires)
            except TransactionTimeout:
                continue
            return

    async def _register_with_q(self, person: Person, phone: UserAgent) -> None:
        token = phone.uac.request(
            "REGISTER",
            f"sip:{DOMAIN}",
            self.world.clock.now(),
            headers=[("Contact", f"<{phone.uri}>;q={person.q}"), ("Expires", "3600")],
            to=f"<{phone.aor}>",
        )
        response = await phone._done(token)
        assert response.status == 200, f"{person.name} may not register: {response.status}"

    async def _move_out(self, person: Person, after: float) -> None:
        await asyncio.sleep(after)
        try:
            await self.phones[person.address].unregister()
        except (TransactionTimeout, TransportError):
            pass  # the binding may be there or not; what the registrar told last decides

    # those who are called

    def _sit_down(self, person: Person, phone: UserAgent) -> None:
        @phone.on_call
        async def take(call: Call) -> None:
            story = self._follow(person, call)
            if person.mood == "picks up at once":
                await self._talk(person, call, story)
                return
            await asyncio.sleep(person.rings_after)
            await call.ring()
            await asyncio.sleep(240.0 if person.mood == "is away" else person.acts_after)
            if person.mood == "answers":
                await self._talk(person, call, story)
            elif person.mood == "hangs up before the ACK":
                await asyncio.gather(call.answer(), call.hangup(), return_exceptions=True)
            elif person.mood in ("is busy", "declines"):
                await call.reject(486 if person.mood == "is busy" else 603)

    async def _talk(self, person: Person, call: Call, story: Story) -> None:
        self._moment.set()
        story.answered_at = self.world.now
        await call.answer()
        if person.changes:
            await self._change(call)
        await asyncio.sleep(person.talks)
        await call.hangup()

    async def _change(self, call: Call) -> None:
        """A re-INVITE, as for hold; whatever comes of it, the call goes on or is over."""
        try:
            await call.request_inside("INVITE", body=OFFER)
        except (SipError, LocalProtocolError):
            pass

    # those who call

    async def _make_calls(self, caller: Person, targets: list[str], begins: float) -> None:
        await asyncio.sleep(begins)
        for number, target in enumerate(targets):
            phone = self.phones[caller.address]
            subject = f"{caller.name} {number}"
            call = phone.dial(target, headers=[("Subject", subject)])
            story = self._follow(caller, call)
            story.subject = subject
            giving_up = asyncio.get_running_loop().create_task(self._lose_patience(caller, call, story))
            try:
                await call.answered()
            except CallRejected as error:
                story.outcome += f"rejected {error.status}"
            except TransactionTimeout:
                story.outcome += "timed out"
            except CallEnded:
                story.outcome += "withdrawn"
            except TransportError:
                story.outcome += "failed"
            else:
                story.outcome += "answered"
                story.tag = call.response.to_tag if call.response is not None else None
                if caller.changes:
                    await self._change(call)
                await asyncio.wait([asyncio.ensure_future(_end_of(call))], timeout=caller.talks)
                await call.hangup()
            await call.ended
            giving_up.cancel()
            await asyncio.wait([giving_up])

    async def _lose_patience(self, caller: Person, call: Call, story: Story) -> None:
        patience = caller.patience
        if patience == "waits":
            return
        if patience == "gives up":
            await asyncio.sleep(caller.gives_up_after)
        elif patience == "gives up on the answer":
            self._moment.clear()
            await self._moment.wait()
        elif patience == "gives up on ringing":
            while not story.told:
                await asyncio.sleep(0.01)
        if call.state in ("Calling", "Proceeding"):
            story.withdrawn_at = self.world.now
        await call.cancel()

    # what is kept

    def _follow(self, person: Person, call: Call) -> Story:
        story = Story(person.address, call, self.world.now)
        self.stories.append(story)
        self._begin(self._write_down(call, story))
        return story

    async def _write_down(self, call: Call, story: Story) -> None:
        async for event in call.events():
            now = self.world.now
            if isinstance(event, CallProgress):
                story.told.append((now, str(event.response.status)))
                story.call_id = event.response.call_id
            elif isinstance(event, CallAnswered):
                story.told.append((now, "answered"))
                story.call_id = event.response.call_id
                story.answered_at = now
            elif isinstance(event, CallConfirmed):
                story.told.append((now, "confirmed"))
            elif isinstance(event, CallOver):
                story.told.append((now, "over"))
                story.over_at = now
                story.reason = event.reason


async def _end_of(call: Call) -> None:
    await call.ended
