"""A user agent that is closed in the middle of everything: its tables are empty at once, and nothing more is sent."""

from __future__ import annotations

from ringback.protocol.cores.ua_events import CallOffered, CallProgress, RequestDone
from ringback.protocol.errors import TransportError
from tests.protocol.cores.bench import ALICE, ANSWER, BOB, OFFER, SDP, Bench


def test_clearing_leaves_no_entry_and_no_timer(bench: Bench) -> None:
    alice, bob = bench.phone("alice", ALICE), bench.phone("bob", BOB)
    alice.uac.invite("sip:bob@192.0.2.2", bench.now, body=OFFER, content_type=SDP)
    bench.settle()
    bob.uas.answer(bob.last(CallOffered).call, bench.now, body=ANSWER, content_type=SDP)
    bench.settle()
    alice.uac.invite("sip:bob@192.0.2.2", bench.now, body=OFFER, content_type=SDP)
    alice.uac.request("MESSAGE", "sip:carol@nowhere.test", bench.now)
    bench.settle()
    for phone in (alice, bob):
        for table in (phone.layer, phone.uac, phone.uas, phone.calls):
            table.clear()
        left = {**phone.layer.counts(), **phone.uac.counts(), **phone.uas.counts(), **phone.calls.counts()}
        assert set(left.values()) == {0}
        assert phone.layer.next_deadline() is None


def test_an_event_says_what_it_is() -> None:
    assert repr(RequestDone(7, None, None, TransportError("no route"))) == "<RequestDone error=no route token=7>"


def test_an_event_shows_the_start_line_of_its_message(bench: Bench) -> None:
    alice, bob = bench.phone("alice", ALICE), bench.phone("bob", BOB)
    number = alice.uac.invite("sip:bob@192.0.2.2", bench.now, body=OFFER, content_type=SDP)
    bench.settle()
    offered = bob.last(CallOffered)
    assert repr(offered) == f"<CallOffered call={offered.call} request={offered.request.start_line}>"
    bob.uas.ring(offered.call, bench.now)
    bench.settle()
    assert repr(alice.last(CallProgress)) == f"<CallProgress call={number} response=SIP/2.0 180 Ringing>"
