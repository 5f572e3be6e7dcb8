"""CANCEL through the proxy, Timer C, and the races between them (RFC 3261 §9.1, §16.8, §16.10)."""

import pytest

from ringback.protocol.transaction.events import CancelReceived


@pytest.mark.row("CAN-6", "CAN-10")
@pytest.mark.rfc("3261 16.10")
def test_a_cancel_is_answered_at_once_and_made_anew_for_each_pending_branch(exchange):
    x = exchange()
    x.bind(1, 2, 3)
    invite = x.call()
    one, two, three = x.legs()
    one.answer(180)
    two.answer(183)
    three.answer(486)
    x.hang_up(invite, headers=[("Reason", 'Q.850;cause=16;text="Terminated"'), ("Reason", "SIP;cause=600")])
    answers = x.answers()
    assert [(answer.cseq.method, answer.status) for answer in answers] == [
        ("INVITE", 180),
        ("INVITE", 183),
        ("CANCEL", 200),
    ]
    cancels = x.cancels()
    assert [cancel.remote for cancel in cancels] == [one.remote, two.remote]
    for cancel, leg in zip(cancels, (one, two), strict=True):
        # a CANCEL of our own, hop by hop: one Via, that of our INVITE (CAN-2, CAN-5)
        assert cancel.request.get_all("via") == [leg.request.get("via")]
        assert cancel.request.uri_text == leg.request.uri_text
        assert cancel.request.get_all("reason") == ['Q.850;cause=16;text="Terminated"', "SIP;cause=600"]
        cancel.answer(200)
        leg.answer(487)
    assert x.statuses() == [487]
    assert x.done() == [487]
    x.advance(64)
    assert x.empty()


@pytest.mark.row("CAN-6")
@pytest.mark.row("CAN-3", part="PX")
@pytest.mark.threat("T13")
def test_a_cancel_before_any_1xx_waits_for_it(exchange):
    x = exchange()
    x.bind(1)
    invite = x.call()
    (one,) = x.legs()
    x.hang_up(invite, headers=[("Reason", "SIP;cause=600")])
    assert x.cancels() == []
    assert x.statuses() == [200]
    one.answer(100)
    (cancel,) = x.cancels()
    assert cancel.request.get("reason") == "SIP;cause=600"
    one.answer(487)
    assert x.statuses() == [487]
    x.advance(64)
    assert x.empty()


@pytest.mark.threat("T13")
def test_a_1xx_that_lets_the_cancel_out_is_forwarded_as_well(exchange):
    x = exchange()
    x.bind(1)
    invite = x.call()
    (one,) = x.legs()
    x.hang_up(invite)
    one.answer(180)
    assert len(x.cancels()) == 1
    one.answer(183)
    one.answer(100)
    one.answer(487)
    assert x.statuses() == [200, 180, 183, 487]


@pytest.mark.threat("T13")
def test_a_2xx_after_the_callers_cancel_is_forwarded(exchange):
    x = exchange()
    x.bind(1, 2)
    invite = x.call()
    one, two = x.legs()
    one.answer(180)
    two.answer(180)
    x.hang_up(invite)
    one.answer(200)
    two.answer(487)
    assert [status for status in x.statuses() if status != 180] == [200, 200]
    x.advance(64)
    assert x.done() == [200]
    assert x.empty()


def test_a_cancel_ends_the_sequence(exchange):
    x = exchange()
    x.bind(1)
    x.bind(2, q=0.5)
    invite = x.call()
    (one,) = x.legs()
    one.answer(180)
    x.hang_up(invite)
    one.answer(487)
    assert x.legs() == []
    assert x.statuses()[-1] == 487


def test_a_cancelled_call_that_nobody_ever_answers_ends_with_timer_b(exchange):
    x = exchange()
    x.bind(1)
    invite = x.call()
    x.hang_up(invite)
    x.advance(32.1)
    assert x.statuses() == [200, 100, 408]
    assert x.done() == [408]
    x.advance(64)
    assert x.empty()


@pytest.mark.row("CAN-9", part="64*T1")
@pytest.mark.rfc("3261 9.1")
def test_a_branch_that_ignores_its_cancel_is_given_up_after_64_t1(exchange):
    x = exchange()
    x.bind(1)
    invite = x.call()
    (one,) = x.legs()
    one.answer(180)
    x.advance(100)
    x.hang_up(invite)
    x.cancels()[0].answer(200)
    x.advance(31.9)
    assert x.done() == []
    x.advance(0.2)
    assert x.done() == [408]
    x.advance(64)
    assert x.empty()


@pytest.mark.row("CAN-6")
@pytest.mark.threat("T13")
def test_a_cancel_that_overtakes_the_location_service_ends_the_call_before_it_begins(exchange):
    x = exchange()
    x.forward_later = True
    invite = x.call()
    x.hang_up(invite)
    assert x.statuses() == [200]
    assert x.core.counts()["withdrawn"] == 1
    x.forward()
    assert x.legs() == []
    assert x.statuses() == [487]
    x.advance(64)
    assert x.empty()


def test_a_withdrawn_call_that_is_never_forwarded_leaves_nothing(exchange):
    x = exchange()
    x.forward_later = True
    invite = x.call()
    x.hang_up(invite)
    ((_request, key, _admission),) = x.pending
    x.layer.abandon(key, x.now)
    x.drain()
    x.advance(64)
    assert x.empty()


def test_a_cancel_while_the_next_hop_is_sought_ends_the_call(exchange):
    x = exchange()
    invite = x.call("sip:bob@far.test")
    x.hang_up(invite)
    assert x.statuses() == [200, 487]
    question = x.locate([])
    assert str(question.uri) == "sip:bob@far.test"
    x.advance(64)
    assert x.empty()


def test_a_second_cancel_changes_nothing(exchange):
    x = exchange()
    x.bind(1)
    invite = x.call()
    (one,) = x.legs()
    one.answer(180)
    x.hang_up(invite)
    x.hang_up(invite)
    assert len(x.cancels()) == 1
    one.answer(487)
    assert x.done() == [487]


def test_a_cancel_after_the_answer_stops_nothing(exchange):
    x = exchange()
    x.bind(1)
    invite = x.call()
    (one,) = x.legs()
    one.answer(180)
    one.answer(200)
    x.hang_up(invite)
    assert x.cancels() == []
    assert x.statuses() == [180, 200, 200]
    assert x.done() == [200]


@pytest.mark.row("CAN-6", part="matches nothing")
@pytest.mark.rfc("3261 16.10")
def test_a_cancel_that_matches_nothing_is_forwarded_without_state(exchange):
    x = exchange()
    cancel = x.call("sip:bob@198.51.100.7", "CANCEL")
    (out,) = x.cancels()
    assert out.remote == ("198.51.100.7", 5060)
    assert [via.branch for via in out.request.vias][1:] == [cancel.top_via.branch]
    assert not any(x.core.counts().values())
    assert x.statuses() == []


@pytest.mark.row("PX-1", "CAN-1")
@pytest.mark.rfc("3261 16.8")
def test_timer_c_cancels_a_branch_that_rings_for_ever(exchange):
    x = exchange()
    x.bind(1)
    x.call()
    (one,) = x.legs()
    one.answer(180)
    x.advance(184)
    assert x.cancels() == []
    x.advance(2)
    (cancel,) = x.cancels()
    cancel.answer(200)
    one.answer(487)
    assert x.statuses() == [180, 408]
    x.advance(64)
    assert x.empty()


@pytest.mark.row("PX-1", part="Timer C reset")
@pytest.mark.rfc("3261 16.7")
def test_timer_c_starts_again_at_each_101_to_199_but_not_at_100(exchange):
    x = exchange()
    x.bind(1)
    x.call()
    (one,) = x.legs()
    one.answer(180)
    for _ in range(4):
        x.advance(180)
        one.answer(183)
    x.advance(180)
    one.answer(100)
    assert x.cancels() == []
    x.advance(6)
    assert len(x.cancels()) == 1


@pytest.mark.row("PX-1", part="408 without 1xx")
@pytest.mark.rfc("3261 16.8")
def test_timer_c_without_any_1xx_counts_as_408(exchange):
    x = exchange(timer_c=10.0)
    x.bind(1)
    x.call()
    x.legs()
    x.advance(10.1)
    assert x.done() == [408]
    assert x.cancels() == []
    x.advance(64)
    assert x.empty()


def test_timer_c_of_a_branch_that_then_ignores_its_cancel_ends_in_408(exchange):
    x = exchange()
    x.bind(1)
    x.call()
    (one,) = x.legs()
    one.answer(180)
    x.advance(185.1)
    x.cancels()
    x.advance(32.1)
    assert x.done() == [408]
    x.advance(64)
    assert x.empty()


def test_the_callers_cancel_after_timer_c_is_one_cancel_too_many(exchange):
    x = exchange()
    x.bind(1)
    invite = x.call()
    (one,) = x.legs()
    one.answer(180)
    x.advance(185.1)
    assert len(x.cancels()) == 1
    x.hang_up(invite)
    assert x.cancels() == []
    one.answer(487)
    x.advance(64)
    assert x.empty()


def test_timers_of_ended_calls_do_not_pile_up(exchange):
    x = exchange()
    for n in range(50):
        x.call("sip:bob@198.51.100.7", call_id=f"c{n}")
        x.legs()[0].answer(486)
    x.advance(33)
    assert x.core.next_deadline() is None


@pytest.mark.row("PX-1", part="100 and 1xx")
def test_100_is_ours_after_200_ms_and_101_to_199_pass_at_once(exchange):
    x = exchange()
    x.bind(1, 2)
    invite = x.call()
    one, two = x.legs()
    one.answer(100)
    x.advance(0.19)
    assert x.statuses() == []
    x.advance(0.02)
    (trying,) = x.answers()
    assert trying.status == 100
    one.answer(180)
    two.answer(183)
    two.answer(199)
    two.answer(100)
    answers = x.answers()
    assert [(answer.status, answer.to_tag) for answer in answers] == [(180, "desk1"), (183, "desk2"), (199, "desk2")]
    assert all([via.branch for via in answer.vias] == [invite.top_via.branch] for answer in answers)


def test_the_timer_of_an_answered_branch_finds_nothing_to_do(exchange):
    x = exchange()
    x.bind(1)
    invite = x.call()
    (one,) = x.legs()
    one.answer(180)
    x.advance(20)
    one.answer(200)
    x.advance(20)
    assert x.core.counts()["branches"] == 1  # a late 2xx would still be passed on
    key = (invite.top_via.branch, "192.0.2.1:5060", "INVITE")
    x.core.handle_event(CancelReceived(key, invite, "proxy"), x.now)
    x.advance(64)
    assert x.cancels() == []
    assert x.empty()
