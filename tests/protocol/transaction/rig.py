"""One transaction layer on a bench: real messages in, real bytes out, and a clock that the test moves.

The rows that tests go through are recorded by ``recorded``, so that the unreached ones can be named.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from ringback.protocol.message.build import build_response
from ringback.protocol.message.model import Request, Response
from ringback.protocol.message.parser import parse_message, validate
from ringback.protocol.routing.flow import Flow
from ringback.protocol.routing.via import stamp
from ringback.protocol.transaction import invite_client, invite_server, non_invite_client, non_invite_server
from ringback.protocol.transaction.events import SendMessage
from ringback.protocol.transaction.key import ClientKey, ServerKey
from ringback.protocol.transaction.layer import TableLimits, Timings, TransactionLayer
from ringback.protocol.transaction.machine import Input, Row, State
from ringback.testing.seeded import SeededIds

MACHINES = {
    "invite client": invite_client,
    "non-INVITE client": non_invite_client,
    "invite server": invite_server,
    "non-INVITE server": non_invite_server,
}

OURS = ("192.0.2.1", 5060)
THEIRS = ("192.0.2.2", 5060)
START = 1000.0
TAG = "ours-7"

Reached = set[tuple[str, State, Input]]


@contextmanager
def recorded(reached: Reached) -> Iterator[None]:
    """Add to ``reached`` each row that is gone through while the context lasts."""
    originals: list[tuple[dict[Input, Row], Input, Row]] = []

    def record(name: str, state: State, event: Input, row: Row) -> Row:
        action, following, clause = row

        def recording(*args: Any) -> None:
            reached.add((name, state, event))
            action(*args)

        return recording, following, clause

    for name, module in MACHINES.items():
        for state, rows in module.TABLE.items():
            for event, row in list(rows.items()):
                originals.append((rows, event, row))
                rows[event] = record(name, state, event, row)
    try:
        yield
    finally:
        for rows, event, row in originals:
            rows[event] = row


class Rig:
    """A layer at 192.0.2.1 whose only peer is 192.0.2.2. ``wire`` holds (seconds since the start, message) as sent."""

    def __init__(
        self, transport: str = "UDP", *, timings: Timings | None = None, limits: TableLimits | None = None
    ) -> None:
        self.layer = TransactionLayer(SeededIds(Random(7)), timings or Timings(), limits or TableLimits())
        self.flow = Flow(transport, OURS, THEIRS)
        self.transport = transport
        self.now = START
        self.wire: list[tuple[float, Request | Response]] = []
        self.sends: list[SendMessage] = []
        self.told: list[Any] = []

    # Messages

    def text(self, method: str, branch: str = "z9hG4bKa", *, cseq: int = 1, to_tag: str = "", extra: str = "") -> str:
        """A request of the peer. ``branch`` "" leaves the parameter out, as an RFC 2543 peer does."""
        to = f";tag={to_tag}" if to_tag else ""
        via = f";branch={branch}" if branch else ""
        return (
            f"{method} sip:desk@192.0.2.1 SIP/2.0\r\n"
            f"Via: SIP/2.0/{self.transport} 192.0.2.2:5060{via}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:ann@example.test>;tag=theirs-1\r\nTo: <sip:desk@example.test>{to}\r\n"
            f"Call-ID: c-1@192.0.2.2\r\nCSeq: {cseq} {method}\r\n{extra}Content-Length: 0\r\n\r\n"
        )

    def parse(self, data: bytes | str) -> Request | Response:
        message = parse_message(data.encode() if isinstance(data, str) else data)
        validate(message)
        return message

    def request(self, method: str, branch: str = "z9hG4bKa", **options: Any) -> Request:
        """A request of the peer as the door hands it on: parsed, validated, stamped."""
        request = self.parse(self.text(method, branch, **options))
        assert isinstance(request, Request)
        stamp(request, self.flow)
        return request

    def ours(self, method: str, branch: str = "z9hG4bKo", *, cseq: int = 1, extra: str = "") -> Request:
        """A request that we are about to send."""
        request = self.parse(
            f"{method} sip:bob@192.0.2.2;ob SIP/2.0\r\n"
            f"Via: SIP/2.0/{self.transport} 192.0.2.1:5060;rport;branch={branch}\r\n"
            f"Via: SIP/2.0/UDP 198.51.100.9;branch=z9hG4bKdownstairs\r\n"
            f'Max-Forwards: 66\r\nFrom: "Ann" <sip:ann@example.test>;tag=af\r\nTo: Bob <sip:bob@example.test>\r\n'
            f"Call-ID: c-9@192.0.2.1\r\nCSeq: {cseq} {method}\r\n{extra}Content-Length: 0\r\n\r\n"
        )
        assert isinstance(request, Request)
        return request

    # What happens

    def receive(self, message: Request | Response | str) -> None:
        """The peer's message arrives."""
        if isinstance(message, str):
            message = self.parse(message)
        self.layer.receive(message, self.flow, self.now)
        self.drain()

    def invite(self, method: str = "INVITE", branch: str = "z9hG4bKa", **options: Any) -> ServerKey:
        """A request arrives and its transaction is wanted."""
        request = self.request(method, branch, **options)
        self.receive(request)
        assert self.told.pop().request is request
        key = self.layer.accept(request, self.flow, self.now, "uas", TAG)
        self.drain()
        return key

    def respond(self, key: ServerKey, status: int, to_tag: str = TAG, request: Request | None = None) -> Response:
        """The user answers, with a response to ``request`` if the layer has none any more."""
        known = self.layer.server_request(key) or request
        assert known is not None
        response = build_response(known, status, to_tag=to_tag)
        self.layer.respond(key, response, self.now)
        self.drain()
        return response

    def send(self, method: str = "INVITE", branch: str = "z9hG4bKo", **options: Any) -> ClientKey:
        """The user sends a request."""
        key = self.layer.send_request(self.ours(method, branch, **options), self.flow, self.now, "uac")
        self.drain()
        return key

    def answer(self, status: int, method: str = "INVITE", branch: str = "z9hG4bKo", to_tag: str = "bt") -> None:
        """The peer's response to ``ours(method, branch)`` arrives."""
        self.receive(self.parse(build_response(self.ours(method, branch), status, to_tag=to_tag).to_bytes()))

    def cancel(self, key: ClientKey, *headers: tuple[str, str]) -> None:
        self.layer.cancel(key, self.now, headers)
        self.drain()

    def fail(self, key: ClientKey | ServerKey) -> None:
        self.layer.transport_failed(key, "no route", self.now)
        self.drain()

    def abandon(self, key: ClientKey | ServerKey) -> None:
        self.layer.abandon(key, self.now)
        self.drain()

    def advance(self, seconds: float) -> None:
        """Let time pass, each timer firing at its moment."""
        until = round(self.now + seconds, 6)
        while True:
            deadline = self.layer.next_deadline()
            if deadline is None or round(deadline, 6) > until:
                break
            self.now = max(self.now, round(deadline, 6))
            self.layer.handle_timers(max(self.now, deadline))
            self.drain()
        self.now = until

    def drain(self) -> None:
        while events := self.layer.poll():
            for event in events:
                if isinstance(event, SendMessage):
                    self.sends.append(event)
                    self.wire.append((round(self.now - START, 6), self.parse(event.data)))
                else:
                    self.told.append(event)

    # What can be asked

    @property
    def lines(self) -> list[str]:
        """The start lines that went out, in order, and are then forgotten."""
        lines = [message.start_line for _, message in self.wire]
        self.wire.clear()
        return lines

    @property
    def times(self) -> list[float]:
        """The times of what went out, in order, and is then forgotten."""
        times = [time for time, _ in self.wire]
        self.wire.clear()
        return times

    @property
    def heard(self) -> list[str]:
        """What users were told, in order, and is then forgotten: class names, with the status of a response."""
        heard = [
            f"{type(event).__name__} {event.response.status}" if hasattr(event, "response") else type(event).__name__
            for event in self.told
        ]
        self.told.clear()
        return heard

    def is_quiet(self) -> bool:
        """True when every table is empty."""
        return not any(self.layer.counts().values())
