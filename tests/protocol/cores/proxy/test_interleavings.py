"""Random interleavings of all that can happen to a forked request; after any of them everything ends as it must."""

from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from ringback.protocol.cores.proxy import response_context
from ringback.protocol.cores.proxy.branch import BRANCH_TABLE
from ringback.protocol.cores.proxy.target_set import Target
from ringback.protocol.message.build import build_response
from ringback.protocol.message.model import Response
from ringback.protocol.routing.flow import Hop
from ringback.protocol.routing.locate import Locate

CALLER = ("192.0.2.1", 5060)
STATUSES = [100, 180, 183, 200, 302, 401, 404, 407, 408, 486, 487, 500, 503, 603]
CONTACTS = ("Contact", "<sip:d1@198.51.100.1>, <sip:new@198.51.100.77>")
QS = [1.0, 1.0, 0.5, 0.1]
RING_TIMES = [None, None, 3.0, 20.0]
WAYS = ["number", "farm", "name"]
METHODS = ["INVITE", "INVITE", "INVITE", "MESSAGE"]
STEPS_TAKEN = ["answer", "answer", "answer", "accept", "bare", "wait", "wait", "hang up", "fail", "resolve"]
STEPS = [0.0, 0.3, 4.0, 19.0, 33.0, 100.0, 181.0]


class Call:
    """What is known of one request of the caller."""

    def __init__(self, request):
        self.request = request
        self.invite = request.method == "INVITE"
        self.finals = []  # without retransmissions
        self.closed = False  # no new branch may start
        self.legs = []


class Play:
    """The caller, the phones, the resolver and the clock, with the checks that hold at each moment."""

    def __init__(self, exchange, timer_c=185.0):
        self.x = exchange(recurse=True, timer_c=timer_c)
        self.calls = {}  # by Call-ID
        self.legs = {}  # by branch
        self.seen = set()

    def call(self, method, shape):
        """``shape``: (q, ring time, how it is found) for each target."""
        number = len(self.calls)
        uri = f"sip:user{number}@example.test"
        targets = []
        for n, (q, ring_time, way) in enumerate(shape):
            name = f"desk{n}.test" if way == "name" else f"198.51.100.{n}"
            hops = [Hop("UDP", f"198.51.100.{n}", 5060 + k) for k in range(2)] if way == "farm" else None
            targets.append(Target(f"sip:d{n}@{name}", q=q, ring_time=ring_time, hops=hops))
        self.x.targets[uri] = targets
        self.x.forward_later = True  # so that the call is known before anything is sent for it
        request = self.x.call(uri, method, call_id=f"call{number}")
        self.calls[request.call_id] = Call(request)
        self.x.forward()
        self.look()

    def alive(self, leg):
        key = (leg.request.top_via.branch, leg.request.method)
        return key in self.x.core._machine.by_key

    def answer(self, leg, status):
        if self.alive(leg):
            if status < 200:
                leg.rang = True
            else:
                leg.ended = True
        leg.answer(status, headers=[CONTACTS])
        self.look()

    def answer_bare(self, leg):
        """A final response with no Via but ours: it is not for the caller."""
        leg.ended = leg.ended or self.alive(leg)
        response = build_response(leg.request, 404, to_tag="bare")
        response.set("Via", leg.request.get("via"))
        self.x.receive(response, leg.remote)
        self.look()

    def hang_up(self, call):
        call.closed = call.closed or call.invite  # nothing but an INVITE can be withdrawn
        self.x.hang_up(call.request)
        self.look()

    def fail(self, leg, given_up=False):
        key = (leg.request.top_via.branch, leg.request.method)
        if self.alive(leg):
            leg.ended = True
        if given_up:
            self.x.layer.abandon(key, self.x.now)
        else:
            self.x.layer.transport_failed(key, "unreachable", self.x.now)
        self.x.drain()
        self.look()

    def questions(self):
        return [event for event in self.x.events if isinstance(event, Locate)]

    def resolve(self, known):
        self.x.locate([Hop("UDP", "198.51.100.50", 5060), Hop("UDP", "198.51.100.51", 5060)] if known else [])
        self.look()

    def advance(self, seconds):
        self.x.advance(seconds)
        self.look()

    def look(self):
        """Check what went out since the last look, in its order."""
        sent, self.x.sent = self.x.sent, []
        for message, remote in sent:
            data = message.to_bytes()
            if data in self.seen:
                continue
            self.seen.add(data)
            if isinstance(message, Response):
                if remote == CALLER and message.status >= 200 and message.cseq.method != "CANCEL":
                    self._final(self.calls[message.call_id], message.status)
            elif message.method == "CANCEL":
                leg = self.legs.get(message.top_via.branch)
                if leg is None:
                    assert len(message.vias) == 2, "made here, and for no branch"
                    continue  # the caller's own, too late to match anything, and forwarded without state
                assert leg.request.method == "INVITE"
                assert leg.rang, "a CANCEL before any response"
                assert not leg.cancelled, "a second CANCEL"
                leg.cancelled = True
            elif message.method != "ACK":
                self._leg(self.calls[message.call_id], message, remote)

    def _final(self, call, status):
        if call.invite and status < 300:
            assert all(earlier < 300 for earlier in call.finals), "a 2xx after a failure"
        else:
            assert not call.finals, "a second final response"
            assert call.invite or status != 408
        call.finals.append(status)
        call.closed = True

    def _leg(self, call, message, remote):
        assert message.method == call.request.method
        assert not call.closed, "a new branch after the end"
        assert message.top_via.branch not in self.legs
        leg = self.x.leg(message, remote)
        leg.rang = leg.ended = leg.cancelled = False
        self.legs[message.top_via.branch] = leg
        call.legs.append(leg)

    def finish(self):
        """Nobody says anything any more; all must end by itself."""
        while self.questions():
            self.resolve(False)
        self.advance(3000)
        for call in self.calls.values():
            assert call.finals or not call.invite, "a call without an answer"
            for leg in call.legs:
                assert leg.ended or leg.cancelled or not leg.rang or not call.invite, "a phone rings for ever"
        assert self.x.empty(), (self.x.core.counts(), self.x.layer.counts())


@pytest.mark.row("FRK-1", "FRK-2", "FRK-3", "CAN-4", "PX-1", part="random interleavings")
@pytest.mark.threat("T7")
@pytest.mark.threat("T13")
def test_any_interleaving_ends_with_one_outcome_and_empty_tables(exchange):
    class Interleaving(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            self.play = Play(exchange)

        @rule(
            method=st.sampled_from(METHODS),
            shape=st.lists(
                st.tuples(st.sampled_from(QS), st.sampled_from(RING_TIMES), st.sampled_from(WAYS)),
                min_size=1,
                max_size=4,
            ),
        )
        def call(self, method, shape):
            if len(self.play.calls) < 3:
                self.play.call(method, shape)

        @precondition(lambda self: self.play.legs)
        @rule(data=st.data(), status=st.sampled_from(STATUSES))
        def answer(self, data, status):
            self.play.answer(data.draw(st.sampled_from(list(self.play.legs.values()))), status)

        @precondition(lambda self: self.play.calls)
        @rule(data=st.data())
        def hang_up(self, data):
            self.play.hang_up(data.draw(st.sampled_from(list(self.play.calls.values()))))

        @precondition(lambda self: self.play.legs)
        @rule(data=st.data(), given_up=st.booleans())
        def fail(self, data, given_up):
            self.play.fail(data.draw(st.sampled_from(list(self.play.legs.values()))), given_up)

        @precondition(lambda self: self.play.questions())
        @rule(known=st.booleans())
        def resolve(self, known):
            self.play.resolve(known)

        @rule(seconds=st.sampled_from(STEPS))
        def advance(self, seconds):
            self.play.advance(seconds)

        def teardown(self):
            self.play.finish()

    Interleaving.TestCase.settings = settings(max_examples=150, stateful_step_count=25)
    case = Interleaving.TestCase()
    case.runTest()


class Recorded(dict):
    """The rows of one state, which note that they were used."""

    def __init__(self, state, rows, used):
        super().__init__(rows)
        self.state = state
        self.used = used

    def get(self, what):
        if what in self:
            self.used.add((self.state, what))
        return super().get(what)


def test_every_row_of_the_branch_table_is_reached_by_real_messages(exchange, monkeypatch):
    used = set()
    recorded = {state: Recorded(state, rows, used) for state, rows in BRANCH_TABLE.items()}
    monkeypatch.setattr(response_context, "BRANCH_TABLE", recorded)
    every = {(state, what) for state, rows in BRANCH_TABLE.items() for what in rows}
    for seed in range(2000):
        if used == every:
            break
        _play_at_random(exchange, Random(seed))
    assert not sorted(f"{state} {what}" for state, what in every - used)


def _play_at_random(exchange, random):
    play = Play(exchange, random.choice([185.0, 185.0, 10.0]))
    play.call(
        random.choice(METHODS),
        [(random.choice(QS), random.choice(RING_TIMES), random.choice(WAYS)) for _ in range(random.randint(1, 3))],
    )
    for _ in range(12):
        leg = random.choice(list(play.legs.values())) if play.legs else None
        step = random.choice(STEPS_TAKEN)
        if step == "answer" and leg is not None:
            play.answer(leg, random.choice(STATUSES))
        elif step == "accept" and leg is not None:
            play.answer(leg, 200)
        elif step == "bare" and leg is not None:
            play.answer_bare(leg)
        elif step == "wait":
            play.advance(random.choice(STEPS))
        elif step == "hang up":
            play.hang_up(random.choice(list(play.calls.values())))
        elif step == "fail" and leg is not None:
            play.fail(leg, random.random() < 0.5)
        elif step == "resolve" and play.questions():
            play.resolve(random.random() < 0.8)
    play.finish()
