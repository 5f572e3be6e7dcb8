"""User agents on a bench: real cores over real layers, every message written and parsed, a clock that the test moves.

What is sent arrives at once, in order, unless ``lose`` says otherwise. Addresses where no phone stands belong to the
test: what goes there is only kept, and the test sends from there by ``inject``.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from ringback.protocol.cores.calls import Calls
from ringback.protocol.cores.capabilities import Capabilities
from ringback.protocol.cores.exchange import Account
from ringback.protocol.cores.uac import UacCore
from ringback.protocol.cores.uas import UasCore
from ringback.protocol.errors import TransportError
from ringback.protocol.message.build import build_response
from ringback.protocol.message.model import Message, Request, Response
from ringback.protocol.message.parser import parse_message, validate
from ringback.protocol.routing.flow import Address, Flow, Hop, format_address
from ringback.protocol.routing.locate import Locate
from ringback.protocol.routing.via import stamp
from ringback.protocol.transaction.events import RequestReceived, SendMessage, StrayResponse
from ringback.protocol.transaction.layer import TransactionLayer
from ringback.protocol.transaction.timings import Timings
from ringback.testing.seeded import SeededIds

ALICE = ("192.0.2.1", 5060)
BOB = ("192.0.2.2", 5060)
CAROL = ("192.0.2.3", 5060)
OFFER = b"v=0\r\no=alice\r\n"
ANSWER = b"v=0\r\no=bob\r\n"
SDP = "application/sdp"
START = 1000.0


class Phone:
    """The two cores of a user agent and what they told it."""

    def __init__(self, bench: Bench, name: str, address: Address, **options: Any) -> None:
        ids = SeededIds(Random(f"{name}"))
        timings = Timings()
        self.address = address
        self.bench = bench
        self.layer = TransactionLayer(ids, timings)
        self.calls = Calls()
        self.account = Account(
            f"sip:{name}@example.test",
            user=name,
            username=name,
            password=options.pop("password", None),
            ha1=options.pop("ha1", None),
            realms=options.pop("realms", ["example.test"]),
            routes=options.pop("routes", []),
            display_name=options.pop("display_name", None),
            headers=[("User-Agent", "bench")],
            redirects=options.pop("redirects", True),
            supported=options.pop("supported", []),
        )
        self.can = options.pop("can", None) or Capabilities()
        self.uac = UacCore(
            self.layer, ids, self.account, self.calls, timings, flow_to=self.flow_to, sent_by=self.sent_by
        )
        self.uas = UasCore(self.layer, ids, self.calls, self.can, timings, self.uac, **options)
        self.told: list[Any] = []
        self.cores: dict[str, Any] = {"uac": self.uac, "uas": self.uas}
        self.unreachable: set[str] = set()

    def flow_to(self, hop: Hop) -> Flow:
        if hop.host in self.unreachable:
            raise TransportError("no socket of ours reaches it")
        return Flow(hop.transport, self.address, (hop.host, hop.port))

    def sent_by(self, flow: Flow) -> str:
        return format_address(self.address)

    def drain(self) -> bool:
        """Hand out what the layer and the cores have; True if there was anything."""
        worked = False
        now = self.bench.now
        for event in self.layer.poll():
            worked = True
            if isinstance(event, SendMessage):
                self.bench.carry(event.data, self.address, event.flow.remote, event.flow.transport)
            elif isinstance(event, RequestReceived):
                self.uas.receive(event, now)
            elif isinstance(event, StrayResponse):
                self.uac.stray(event, now)
            else:
                self.cores[event.user].handle_event(event, now)
        for core in (self.uac, self.uas):
            for event in core.poll():
                worked = True
                if isinstance(event, Locate):
                    self.bench.locates.append((self, event))
                    self.bench.answer_locates()
                else:
                    self.told.append(event)
        return worked

    def take(self, data: bytes, source: Address, transport: str) -> None:
        message = parse_message(data)
        validate(message)
        flow = Flow(transport, self.address, source)
        if isinstance(message, Request):
            stamp(message, flow)
        self.layer.receive(message, flow, self.bench.now)

    def names(self) -> list[str]:
        """The names of the events told so far."""
        return [type(event).__name__ for event in self.told]

    def last(self, kind: type) -> Any:
        """The last event of that kind."""
        return [event for event in self.told if isinstance(event, kind)][-1]

    def leftovers(self) -> dict[str, int]:
        """Every table entry that is still there, but for stale timers of the layer, which has tests of its own."""
        counts = {**self.layer.counts(), **self.uac.counts(), **self.uas.counts(), **self.calls.counts()}
        return {name: size for name, size in counts.items() if size and name != "timers"}


class Bench:
    """Phones, what went between them, and the time."""

    def __init__(self) -> None:
        self.now = START
        self.phones: dict[Address, Phone] = {}
        self.wire: list[tuple[float, Address, Address, Any]] = []
        self.lose: Callable[[Message], bool] = lambda message: False
        self.zone: dict[str, str | list[str] | None] = {}
        self.locates: list[tuple[Phone, Locate]] = []
        self._on_the_way: list[tuple[bytes, Address, Address, str]] = []

    def phone(self, name: str, address: Address, **options: Any) -> Phone:
        phone = self.phones[address] = Phone(self, name, address, **options)
        return phone

    def carry(self, data: bytes, source: Address, destination: Address, transport: str = "UDP") -> None:
        message = parse_message(data)
        self.wire.append((self.now - START, source, destination, message))
        if not self.lose(message):
            self._on_the_way.append((data, source, destination, transport))

    def answer_locates(self) -> None:
        """Answer the questions whose names are in the zone; None there is a name that does not exist."""
        for asked in list(self.locates):
            phone, question = asked
            host = question.uri.host
            if host in self.zone:
                self.locates.remove(asked)
                address = self.zone[host]
                hosts = address if isinstance(address, list) else [address]
                answer: Any = TransportError("no such name")
                if address is not None:
                    answer = [Hop("UDP", host, 5060) for host in hosts]
                phone.uac.located(question.token, answer, self.now)

    def settle(self) -> None:
        """Carry everything to its end at this moment."""
        self.answer_locates()
        while True:
            worked = [phone.drain() for phone in self.phones.values()]
            if self._on_the_way:
                data, source, destination, transport = self._on_the_way.pop(0)
                if destination in self.phones:
                    self.phones[destination].take(data, source, transport)
            elif not any(worked):
                return

    def advance(self, seconds: float) -> None:
        """Let time go by, deadline by deadline."""
        self.settle()
        end = self.now + seconds
        while True:
            machines = [machine for phone in self.phones.values() for machine in (phone.layer, phone.uac, phone.uas)]
            due = [machine.next_deadline() for machine in machines]
            earliest = min((deadline for deadline in due if deadline is not None), default=None)
            if earliest is None or earliest > end:
                self.now = end
                return
            self.now = max(self.now, earliest)
            for machine, deadline in zip(machines, due, strict=True):
                if deadline is not None and deadline <= self.now:
                    machine.handle_timers(self.now)
            self.settle()

    def inject(self, message: Message | bytes, source: Address, destination: Address, transport: str = "UDP") -> None:
        """A message from an address of the test's to a phone, and what comes of it."""
        data = message if isinstance(message, bytes) else message.to_bytes()
        self._on_the_way.append((data, source, destination, transport))
        self.settle()

    def answer(self, request: Request, status: int, to_tag: str = "far", body: bytes = b"", **headers: str) -> Response:
        """The test answers a request that went to one of its addresses, from there."""
        fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
        if status < 300 and "contact" not in headers:
            fields.append(("Contact", "<sip:far@192.0.2.3:5060>"))
        kind = SDP if body else None
        response = build_response(request, status, to_tag=to_tag, headers=fields, body=body, content_type=kind)
        destination = next(phone.address for phone in self.phones.values())
        self.inject(response, CAROL, destination)
        return response

    # looking back

    def sent(self, what: str | int, source: Address | None = None) -> list[Any]:
        """The messages with that method or status, in order."""
        found = []
        for _, origin, _, message in self.wire:
            is_it = message.method == what if isinstance(message, Request) else message.status == what
            if is_it and (source is None or origin == source):
                found.append(message)
        return found

    def times(self, what: str | int) -> list[float]:
        """When the messages with that method or status were sent, in seconds since the start."""
        wanted = self.sent(what)
        return [at for at, _, _, message in self.wire if any(message is one for one in wanted)]

    def ladder(self) -> list[str]:
        """Who sent what, as "1 INVITE" (from 192.0.2.1) and so on."""
        return [
            f"{origin[0][-1]} {message.method if isinstance(message, Request) else message.status}"
            for _, origin, _, message in self.wire
        ]
