"""Two layers back to back over a network that loses, repeats and reorders as Hypothesis likes."""

from __future__ import annotations

from collections import Counter
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ringback.errors import LocalProtocolError
from ringback.protocol.message.build import build_request, build_response
from ringback.protocol.message.model import Request
from ringback.protocol.message.parser import parse_message, validate
from ringback.protocol.routing.flow import Flow
from ringback.protocol.routing.via import stamp
from ringback.protocol.transaction.events import (
    CancelReceived,
    RequestReceived,
    ResponseReceived,
    SendMessage,
    TransactionTerminated,
    TransactionTimedOut,
    TransportFailed,
)
from ringback.protocol.transaction.key import ClientKey, ServerKey
from ringback.protocol.transaction.layer import TransactionLayer
from ringback.protocol.transaction.machine import never
from ringback.protocol.transaction.timings import DEFAULT_T4
from ringback.testing.seeded import SeededIds
from tests.protocol.transaction.rig import MACHINES, Reached, recorded

A, B = ("192.0.2.1", 5060), ("192.0.2.2", 5060)
END = 600.0

# What becomes of each datagram: the delays of its copies in seconds; none is a loss.
FATE = st.sampled_from([(0.01,), (0.01,), (0.01,), (0.05,), (), (0.01, 0.02), (0.3,), (0.7, 0.01), (6.0,)])
# What the callee does with an INVITE, and after how long; what it does with another request.
BEHAVIOUR = st.tuples(
    st.sampled_from([(), (180,), (180, 183)]), st.sampled_from([200, 302, 486, 600]), st.sampled_from([0.0, 0.1, 3, 40])
)
CALL = st.tuples(
    st.sampled_from(["INVITE", "INVITE", "OPTIONS", "MESSAGE"]),
    BEHAVIOUR,
    st.sampled_from([None, None, 0.0, 0.05, 1.0, 39.99]),  # when the caller cancels an INVITE
    st.sampled_from([None, None, None, None, 0.02, 2.0]),  # when a transport error hits the client transaction
)


class World:
    """The caller at A, the callee at B, the datagrams between them and what each side has been told."""

    def __init__(self, calls: list[Any], fates: list[tuple[float, ...]], seed: int) -> None:
        self.ids = SeededIds(Random(seed))
        self.caller = TransactionLayer(self.ids)
        self.callee = TransactionLayer(self.ids)
        self.there = Flow("UDP", A, B)
        self.back = Flow("UDP", B, A)
        self.fates = fates
        self.sent = 0
        self.order = count()
        self.now = 0.0
        self.agenda: list[tuple[float, int, Any, Any]] = []
        self.calls = calls
        self.behaviour: dict[str, Any] = {}
        self.outcomes: Counter[ClientKey] = Counter()
        self.late: Counter[ClientKey] = Counter()
        self.terminated: Counter[Any] = Counter()
        # How often the callee took a request for a new one: a copy that is under way for longer than T4 may be.
        self.accepted: Counter[ServerKey] = Counter()
        self.living: set[ServerKey] = set()
        self.since: dict[ServerKey, float] = {}
        self.cancels: Counter[ServerKey] = Counter()

    def later(self, delay: float, verb: Any, *arguments: Any) -> None:
        heappush(self.agenda, (self.now + delay, next(self.order), verb, arguments))

    def run(self) -> None:
        for number, call in enumerate(self.calls):
            self.later(0.1 * number, self.start, number, call)
        while True:
            deadlines = [self.caller.next_deadline(), self.callee.next_deadline()]
            if self.agenda:
                deadlines.append(self.agenda[0][0])
            due = [deadline for deadline in deadlines if deadline is not None]
            if not due:
                return
            self.now = max(self.now, min(due))
            assert self.now < END, "the world does not come to rest"
            self.caller.handle_timers(self.now)
            self.callee.handle_timers(self.now)
            self.drain()
            while self.agenda and self.agenda[0][0] <= self.now:
                _, _, verb, arguments = heappop(self.agenda)
                verb(*arguments)
                self.drain()

    def drain(self) -> None:
        while True:
            events = [(self.callee, event) for event in self.caller.poll()]
            events += [(self.caller, event) for event in self.callee.poll()]
            if not events:
                return
            for other, event in events:
                if isinstance(event, SendMessage):
                    for delay in self.fates[self.sent % len(self.fates)]:
                        self.later(delay, self.deliver, other, event.data)
                    self.sent += 1
                else:
                    self.hear(event)

    def deliver(self, layer: TransactionLayer, data: bytes) -> None:
        message = parse_message(data)
        validate(message)
        flow = self.back if layer is self.callee else self.there
        if isinstance(message, Request):
            stamp(message, flow)
            layer.receive(message, flow, self.now)
            return
        key = (message.top_via.branch or "", message.cseq.method)
        waiting = message.status >= 200 and self.caller.client_request(key) is not None
        layer.receive(message, flow, self.now)
        self.drain()
        assert not waiting or key[1] == "CANCEL" or self.outcomes[key], "a final response that nobody heard of"

    # The caller

    def start(self, number: int, call: Any) -> None:
        method, behaviour, cancel_at, fail_at = call
        branch = self.ids.branch()
        self.behaviour[branch] = behaviour
        request = build_request(
            method,
            "sip:b@192.0.2.2",
            via=f"SIP/2.0/UDP 192.0.2.1:5060;branch={branch}",
            from_="<sip:a@192.0.2.1>;tag=a",
            to="<sip:b@192.0.2.2>",
            call_id=f"call-{number}",
            cseq=1,
        )
        key = self.caller.send_request(request, self.there, self.now, "uac")
        self.outcomes[key] = 0
        if cancel_at is not None and method == "INVITE":
            self.later(cancel_at, self.cancel, key)
        if fail_at is not None:
            self.later(fail_at, self.fail, key)
        # Whatever happens, the owner loses its patience in the end (Timer C, CAN-9).
        self.later(150.0, self.caller.abandon, key, 150.0 + self.now)

    def cancel(self, key: ClientKey) -> None:
        self.caller.cancel(key, self.now)

    def fail(self, key: ClientKey) -> None:
        self.caller.transport_failed(key, "unreachable", self.now)

    # The callee

    def answer(self, key: ServerKey, request: Request, status: int) -> None:
        if key in self.living:
            try:
                self.callee.respond(key, build_response(request, status, to_tag="b"), self.now)
            except LocalProtocolError:
                assert self.callee.server_request(key) is None, "only an answer too many is refused"

    def hear(self, event: Any) -> None:
        if isinstance(event, RequestReceived):
            if event.request.method in ("ACK", "CANCEL"):
                return
            self.callee.accept(event.request, event.flow, self.now, "uas", "b")
            since = self.now - self.since.setdefault(event.key, self.now)
            assert not since or since >= DEFAULT_T4, "a repetition was taken for a new request"
            self.accepted[event.key] += 1
            self.living.add(event.key)
            provisionals, final, delay = self.behaviour[event.key[0]]
            for status in provisionals:
                self.later(delay / 2, self.answer, event.key, event.request, status)
            self.later(delay, self.answer, event.key, event.request, final)
        elif isinstance(event, CancelReceived):
            self.cancels[event.key] += 1
            request = self.callee.server_request(event.key)
            assert request is not None
            self.answer(event.key, request, 487)
        elif isinstance(event, ResponseReceived):
            if event.response.status >= 200:
                if self.outcomes[event.key]:
                    self.late[event.key] += 1
                    assert event.response.status < 300
                    assert event.key[1] == "INVITE"
                else:
                    self.outcomes[event.key] += 1
            else:
                assert not self.outcomes[event.key], "a provisional response after the outcome"
        elif isinstance(event, TransactionTimedOut | TransportFailed):
            if not event.server and not self.terminated[event.key]:
                if isinstance(event, TransactionTimedOut) or not self.outcomes[event.key]:
                    self.outcomes[event.key] += 1
        elif isinstance(event, TransactionTerminated):
            self.terminated[event.key] += 1
            if event.server:
                self.living.discard(event.key)
            elif not self.outcomes[event.key]:
                assert self.now >= 150, "a transaction ended without an outcome"
                self.outcomes[event.key] += 1  # abandoned


@pytest.mark.row("TRN-1", "TRN-6", "INV-1", "ACK-1", "CAN-3", "CAN-7", part="transaction")
@pytest.mark.threat("T13", "T7")
@settings(max_examples=150)
@example(calls=[("INVITE", ((), 200, 0.0), None, None), ("OPTIONS", ((), 200, 0.0), None, None)], fates=[()], seed=0)
@example(calls=[("OPTIONS", ((), 200, 40), None, None), ("OPTIONS", ((), 200, 40), None, 2.0)], fates=[(0.01,)], seed=0)
@given(
    st.lists(CALL, min_size=1, max_size=4),
    st.lists(FATE, min_size=1, max_size=24),
    st.integers(min_value=0, max_value=9),
)
def test_each_client_transaction_has_one_outcome_and_nothing_is_left_behind(
    calls: list[Any], fates: list[tuple[float, ...]], seed: int
) -> None:
    world = World(calls, fates, seed)
    reached: Reached = set()
    with recorded(reached):
        world.run()
    assert len(world.outcomes) == len(calls)
    assert set(world.outcomes.values()) == {1}
    assert all(world.terminated[key] == 1 for key in world.outcomes)
    assert all(world.terminated[key] == times for key, times in world.accepted.items())
    assert not world.living
    assert all(times <= world.accepted[key] for key, times in world.cancels.items())
    assert not any(world.caller.counts().values())
    assert not any(world.callee.counts().values())
    for name, state, event in reached:
        assert MACHINES[name].TABLE[state][event][0] is not never, (name, state, event)
