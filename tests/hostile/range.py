"""The range on which hostile messages are fired: a server in the simulated world, one phone behind it, and the rules
that hold whatever comes in."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Iterable
from typing import Any, final

import pytest

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.grammar import has_bare_nul
from ringback.protocol.message.build import build_response
from ringback.protocol.message.model import Request, Response
from ringback.protocol.message.parser import Limits, parse_message, validate
from ringback.protocol.routing.via import response_hop
from ringback.server.server import Server
from ringback.server.settings import build
from ringback.testing.network import Packet
from ringback.testing.world import World
from ringback.transport.network import DatagramEndpoint
from tests.hostile.cases import INVITE, Case, render

SERVER = ("10.0.0.1", 5060)
PHONE = ("10.0.0.8", 5060)
ATTACKER = ("10.0.0.9", 5060)
DOMAIN = "example.test"
COOKIE = b"z9hG4bK"
PASSWORD = "secret"

# A reply repeats these of the request (§8.2.6.2); what else it holds is of our own making.
REPEATED = frozenset({"via", "from", "to", "call-id", "cseq"})
OURS = frozenset(
    {
        "warning",
        "content-length",
        "server",
        "www-authenticate",
        "proxy-authenticate",
        "unsupported",
        "retry-after",
        "allow",
    }
    | {"accept", "accept-encoding", "supported", "contact", "date", "path", "min-expires", "timestamp", "record-route"}
)
# What a proxy adds to a request or changes in it (§16.6).
PROXIES = frozenset(
    {"via", "max-forwards", "max-breadth", "record-route", "proxy-authorization", "authorization", "route"}
)

# A reply repeats what was too long.
ANY_SIZE = Limits(start_line=65535, header_line=65535, header_count=65535, via_count=65535)

_NAMES = re.compile(rb"^([^\r\n: \t]+)[ \t]*:", re.MULTILINE)


@final
class Range:
    """One server with a phone of bob's behind it, and an attacker that nobody knows.

    ``cost`` is CPU seconds by case, ``forwarded`` what reached the phone. The phone refuses every INVITE with 486 and
    answers all else with 200.
    """

    def __init__(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        self.world = world
        self.caplog = caplog
        self.cost: dict[str, tuple[float, int]] = {}
        self.forwarded: list[Request] = []
        self.statuses: dict[int, int] = {}
        self.silent = 0
        self.server: Server
        self._alive = 0
        self._seen: set[bytes] = set()
        self._attacker = world.host(ATTACKER[0]).bind(*ATTACKER, lambda endpoint: endpoint.receive(1 << 20) and None)
        self._phone = world.host(PHONE[0]).bind(*PHONE, self._answer)

    async def start(self, users: Iterable[str] = (), **settings: Any) -> None:
        """Start the server, with passwords when there are users, and register the phone."""
        host = self.world.host(SERVER[0])
        users = tuple(users)
        values = {"listen": ["udp:10.0.0.1:5060"], "domains": [DOMAIN], "store": "sqlite::memory:", "open": not users}
        self.server = Server(build(values | settings), network=host, clock=host.clock, resolver=host, ids=host.ids)
        for user in users:
            self.server.store.add_user(user, DOMAIN, PASSWORD)
        self.server.store.commit()
        await self.server.start()
        self.world.watch("server", self.server.counts)
        self.bind_phone()
        take = self.server.stack._take

        def timed(data: bytes, *rest: Any) -> None:
            begun = time.thread_time()
            take(data, *rest)
            self.last_cost = time.thread_time() - begun

        self.server.stack._take = timed

    def bind_phone(self) -> None:
        """Put the phone's binding into the store, as its REGISTER would have."""
        from ringback.protocol.registration.binding import Binding, Change, ChangeKind

        store = self.server.store
        store.begin()
        binding = Binding(f"sip:bob@{DOMAIN}", "sip:bob@10.0.0.8", expires_at=self.world.clock.now() + 1e6, call_id="x")
        store.apply(f"sip:bob@{DOMAIN}", [Change(ChangeKind.ADD, binding)])
        store.commit()

    def _answer(self, endpoint: DatagramEndpoint) -> None:
        for data, _ in endpoint.receive(1 << 20):
            message = parse_message(data, ANY_SIZE)
            if isinstance(message, Request):
                self.forwarded.append(message)
                if message.method != "ACK":
                    response = build_response(message, 486 if message.method == "INVITE" else 200, to_tag="phone")
                    hop = response_hop(message.top_via)
                    endpoint.send(response.to_bytes(), (hop.host, hop.port))

    async def fire(self, case: Case) -> list[Packet]:
        """Send the case; what the server sent because of it, repetitions of what it sent before left out."""
        mark = len(self.world.trace)
        self.last_cost = 0.0
        self._attacker.send(case.data, SERVER)
        await asyncio.sleep(0.045)
        self.cost[case.name] = self.last_cost, len(case.data)
        packets = []
        for packet in self.world.trace[mark:]:
            if packet.source == SERVER and packet.data not in self._seen:
                self._seen.add(packet.data)
                packets.append(packet)
        self._check_log(case.name)
        return packets

    async def judge(self, case: Case) -> int | str:
        """Fire the case and hold what comes of it to the rules.

        Gives the status of the answer, ``"forward"`` or ``"drop"``.
        """
        verdict: int | str = "drop"
        for packet in await self.fire(case):
            message = readable(packet.data, case)
            if isinstance(message, Request):
                assert packet.destination == PHONE, f"{case.name}: {packet.first_line} went to {packet.destination}"
                if message.method == "ACK":
                    validate(message)  # for the phone's 486, by the proxy itself
                    continue
                check_forwarded(message, case)
                verdict = "forward"
            else:
                check_reply(message, case)
                if verdict == "drop" and message.status >= 200:
                    verdict = message.status
                    self.statuses[message.status] = self.statuses.get(message.status, 0) + 1
        self.silent += verdict == "drop"
        return verdict

    async def is_alive(self) -> None:
        """AssertionError unless a plain OPTIONS is answered and a plain INVITE rings bob's phone."""
        self._alive += 1
        number = 90_000_000 + self._alive
        options = (
            f"OPTIONS sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKo{number}\r\n"
            f"From: <sip:a@b>;tag=1\r\nTo: <sip:{DOMAIN}>\r\nCall-ID: o{number}\r\nCSeq: 1 OPTIONS\r\n"
            "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
        [packet] = await self.fire(Case("alive", options.encode()))
        assert packet.data.startswith(b"SIP/2.0 200")
        assert await self.judge(Case("a plain INVITE", render(INVITE, number))) == "forward"

    async def barrage(self, cases: Iterable[Case], every: int = 100) -> None:
        """Judge all cases, with a sign of life after each ``every``."""
        await self.is_alive()
        wrong = []
        for number, case in enumerate(cases, 1):
            try:
                await self.judge(case)
                await self._time_again(case)
            except AssertionError as error:
                self.caplog.clear()
                wrong.append(str(error)[:260] or repr(error))
            if number % every == 0:
                await self.is_alive()
        await self.is_alive()
        assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong[:8])

    def _check_log(self, name: str) -> None:
        loud = [record for record in self.caplog.records if record.levelno >= logging.ERROR or record.exc_info]
        assert not loud, f"{name}: {loud[0].getMessage()}\n{loud[0].exc_text or loud[0].exc_info}"
        self.caplog.clear()

    async def _time_again(self, case: Case) -> None:
        """A case that seems too dear is sent again, under other branches: the machine may have been busy itself."""
        for number in range(3):
            cost, length = self.cost[case.name]
            if not self._is_dear(cost, length):
                return
            await self.fire(Case(case.name, case.data.replace(COOKIE, COOKIE + b"again%d" % number, 1)))
            again = self.cost[case.name][0]
            self.cost[case.name] = min(cost, again), length

    def _is_dear(self, cost: float, length: int, factor: float = 25.0) -> bool:
        plain, size = self.cost["a plain INVITE"]
        return cost > 0.001 + factor * plain / size * length

    def check_cost(self) -> None:
        """No message may cost more CPU a byte than 25 times the plain INVITE, which is timed here as well.

        A millisecond is granted whatever the size, for what the machine does meanwhile.
        """
        plain, size = self.cost["a plain INVITE"]
        worst = {name: cost for name, cost in self.cost.items() if self._is_dear(*cost)}
        assert not worst, f"plain {plain * 1e6:.0f} us for {size} bytes; {worst}"


def readable(data: bytes, case: Case) -> Request | Response:
    """What the server sent, parsed; AssertionError when it cannot be."""
    try:
        return parse_message(data, ANY_SIZE)
    except RemoteProtocolError as error:
        raise AssertionError(f"{case.name}: sent what cannot be parsed ({error}): {data[:300]!r}") from error


def check_reply(reply: Response, case: Case) -> None:
    """Our own headers, and those it repeats, which are the request's own bytes."""
    for name, line in zip(reply.names, reply.lines, strict=True):
        assert name in REPEATED or name in OURS, f"{case.name}: {line!r} in the reply"
        assert not has_bare_nul(line), f"{case.name}: NUL in the reply"
    assert reply.names.count("from") <= 1 or case.data.lower().count(b"from") > 1
    for name in ("warning", "content-length"):
        assert reply.names.count(name) <= 1
    assert reply.body == b""
    try:
        parse_and_validate(case.data)
    except RemoteProtocolError:
        return
    validate(reply, ANY_SIZE)  # a request in order has an answer in order


def check_forwarded(request: Request, case: Case) -> None:
    """In order, and nothing in it but what the case held and what a proxy adds."""
    validate(request, ANY_SIZE)
    came = parse_and_validate(case.data)
    assert isinstance(came, Request)
    assert request.method == came.method
    assert request.body == came.body
    assert [name for name in request.names if name not in PROXIES] == [
        name for name in came.names if name not in PROXIES
    ]
    spellings = {name.lower() for name in _NAMES.findall(request.to_bytes().partition(b"\r\n\r\n")[0])}
    known = {name.lower() for name in _NAMES.findall(case.data.lstrip(b"\r\n").partition(b"\r\n\r\n")[0])}
    assert spellings - known <= {name.encode() for name in PROXIES}, f"{case.name}: {spellings - known}"


def parse_and_validate(data: bytes) -> Request | Response:
    """The message; RemoteProtocolError when it would not be let in."""
    message = parse_message(data)
    validate(message)
    return message
