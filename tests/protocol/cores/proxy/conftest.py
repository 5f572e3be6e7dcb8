"""A proxy core over a real transaction layer, with a fake now: messages go in as bytes and come out as messages."""

from random import Random

import pytest

from ringback.protocol.cores.proxy.context import ContextDone
from ringback.protocol.cores.proxy.core import ProxyCore
from ringback.protocol.cores.proxy.policy import ProxyPolicy
from ringback.protocol.cores.proxy.target_set import Target
from ringback.protocol.errors import TransportError
from ringback.protocol.message.build import build_request, build_response
from ringback.protocol.message.model import Response
from ringback.protocol.message.parser import parse_message, validate
from ringback.protocol.routing.flow import Flow, format_address
from ringback.protocol.routing.locate import Locate
from ringback.protocol.routing.route import LocalNames
from ringback.protocol.routing.via import stamp
from ringback.protocol.transaction.events import RequestReceived, SendMessage, StrayResponse
from ringback.protocol.transaction.layer import TransactionLayer
from ringback.testing.seeded import SeededIds

US = ("192.0.2.2", 5060)
CALLER = ("192.0.2.1", 5060)


def desk(number):
    """The address of a phone."""
    return (f"198.51.100.{number}", 5060)


class Exchange:
    """A composition root in miniature: admits, accepts, forwards; what the proxy sends lands in ``sent``."""

    def __init__(self, **policy):
        self.now = 1_000.0
        self.ids = SeededIds(Random(7))
        self.layer = TransactionLayer(self.ids)
        self.local = LocalNames(["example.test"], [US])
        self.down = set()  # addresses that cannot be sent to
        self.core = ProxyCore(
            self.layer,
            self.ids,
            ProxyPolicy(b"secret", **policy),
            self.local,
            flow_to=self.flow_to,
            sent_by=lambda flow: format_address(flow.local),
        )
        self.targets = {}  # Request-URI -> targets; without an entry the Request-URI itself
        self.responsible = True
        self.forward_later = False
        self.pending = []
        self.sent = []  # (message, remote address)
        self.events = []  # what the core says
        self.admissions = []
        self.strays = 0
        self.cseq = 0
        self.seen = set()
        self.legs_seen = []

    def flow_to(self, hop):
        if (hop.host, hop.port) in self.down:
            raise TransportError("no route")
        return Flow(hop.transport, US, (hop.host, hop.port))

    def receive(self, message, source=CALLER, transport="UDP"):
        """A message from the wire."""
        data = message if isinstance(message, bytes) else message.to_bytes()
        message = parse_message(data)
        validate(message)
        flow = Flow(transport, US, source)
        if not isinstance(message, Response):
            stamp(message, flow)
        self.layer.receive(message, flow, self.now)
        self.drain()

    def drain(self):
        while True:
            events = [*self.layer.poll(), *self.core.poll()]
            if not events:
                return
            for event in events:
                self._event(event)

    def _event(self, event):
        if isinstance(event, SendMessage):
            self.sent.append((parse_message(event.data), event.flow.remote))
        elif isinstance(event, RequestReceived):
            self._request(event)
        elif isinstance(event, StrayResponse):
            self.strays += 1
        elif isinstance(event, Locate | ContextDone):
            self.events.append(event)
        else:
            assert event.user == "proxy"
            self.core.handle_event(event, self.now)

    def _request(self, event):
        request = event.request
        admission = self.core.admit(request, event.flow)
        self.admissions.append(admission)
        if request.method in ("ACK", "CANCEL"):
            if admission.refusal is None:
                self.core.forward_stateless(request, self.now)
            return
        key = self.layer.accept(request, event.flow, self.now, "proxy")
        if admission.refusal is not None:
            refusal = admission.refusal
            self.layer.respond(
                key, build_response(request, refusal.status, to_tag="t", headers=refusal.headers), self.now
            )
            return
        self.pending.append((request, key, admission))
        if not self.forward_later:
            self.forward()

    def forward(self):
        """Hand what was accepted to the proxy core."""
        for request, key, admission in self.pending:
            targets = self.targets.get(request.uri_text)
            if targets is None:
                targets = [Target(request.uri_text)]
            self.core.forward(request, key, targets, self.now, admission, responsible=self.responsible)
        self.pending = []
        self.drain()

    def locate(self, hops):
        """Answer the resolver question that is open."""
        question = next(event for event in self.events if isinstance(event, Locate))
        self.events.remove(question)
        self.core.located(question.token, hops, self.now)
        self.drain()
        return question

    def advance(self, seconds):
        """Let time pass, every timer at its moment."""
        end = self.now + seconds
        while True:
            deadlines = [d for d in (self.layer.next_deadline(), self.core.next_deadline()) if d is not None]
            if not deadlines or min(deadlines) > end:
                break
            self.now = max(self.now, min(deadlines))
            self.layer.handle_timers(self.now)
            self.drain()
            self.core.handle_timers(self.now)
            self.drain()
        self.now = end

    # Who is called

    def bind(self, *numbers, uri="sip:bob@example.test", **more):
        """Targets of a URI: a phone each."""
        targets = self.targets.setdefault(uri, [])
        targets += [Target(f"sip:desk@{desk(number)[0]}", **more) for number in numbers]

    # The caller

    def call(self, uri="sip:bob@example.test", method="INVITE", *, headers=(), call_id="c1", source=CALLER, **more):
        """A request from the caller; returned as it was sent."""
        self.cseq += 1
        given = {
            "via": f"SIP/2.0/UDP {source[0]}:{source[1]};branch=z9hG4bKcaller{self.cseq}",
            "from_": "<sip:alice@example.test>;tag=a",
            "to": "<sip:bob@example.test>",
            "call_id": call_id,
            "cseq": self.cseq,
            **more,
        }
        request = build_request(method, uri, headers=headers, **given)
        self.receive(request, source)
        return request

    def hang_up(self, invite, headers=()):
        """CANCEL of a call."""
        self.receive(follow(invite, "CANCEL", headers))

    def acknowledge(self, invite, response):
        """ACK of a final response of 300 or above."""
        ack = follow(invite, "ACK")
        ack.set("To", response.get("to"))
        self.receive(ack)

    # What went out

    def take(self):
        """Everything sent since the last look, as (message, remote)."""
        sent, self.sent = self.sent, []
        return sent

    def legs(self):
        """New requests that went out since the last look, CANCEL and ACK apart; retransmissions are not new."""
        return [leg for leg in self._outgoing() if leg.request.method not in ("ACK", "CANCEL")]

    def cancels(self):
        """New CANCELs."""
        return [leg for leg in self._outgoing() if leg.request.method == "CANCEL"]

    def acks(self):
        """New ACKs."""
        return [leg for leg in self._outgoing() if leg.request.method == "ACK"]

    def _outgoing(self):
        found, rest = [], []
        for message, remote in self.sent:
            (rest if isinstance(message, Response) else found).append((message, remote))
        self.sent = rest
        legs = []
        for message, remote in found:
            data = message.to_bytes()
            if data not in self.seen:
                self.seen.add(data)
                legs.append(Leg(self, message, remote))
        self.legs_seen += legs
        return legs

    def leg(self, request, remote):
        """The phone at ``remote`` with a request that went to it."""
        return Leg(self, request, remote)

    def answers(self):
        """Responses that went to the caller since the last look."""
        found = [message for message, remote in self.sent if isinstance(message, Response) and remote == CALLER]
        self.sent = [(m, remote) for m, remote in self.sent if not (isinstance(m, Response) and remote == CALLER)]
        return found

    def statuses(self):
        """Their statuses."""
        return [answer.status for answer in self.answers()]

    def done(self):
        """The outcomes that the core has reported."""
        return [event.status for event in self.events if isinstance(event, ContextDone)]

    def empty(self):
        """True when nothing is left in any table."""
        return not any(self.core.counts().values()) and not any(self.layer.counts().values())


class Leg:
    """A request that the proxy sent, and the phone that got it."""

    def __init__(self, exchange, request, remote):
        self.exchange = exchange
        self.request = request
        self.remote = remote

    def answer(self, status, tag=None, headers=(), **more):
        """A response from that phone."""
        tag = f"desk{self.remote[0].rpartition('.')[2]}" if tag is None else tag
        response = build_response(self.request, status, to_tag=tag, headers=headers, record_route=True, **more)
        self.exchange.receive(response, self.remote)
        return response


def follow(invite, method, headers=()):
    """A CANCEL or ACK with the branch of ``invite``."""
    return build_request(
        method,
        invite.uri_text,
        via=invite.get("via"),
        from_=invite.get("from"),
        to=invite.get("to"),
        call_id=invite.call_id,
        cseq=invite.cseq.number,
        headers=headers,
    )


@pytest.fixture
def exchange():
    """Makes an ``Exchange`` with the given policy."""
    return Exchange
