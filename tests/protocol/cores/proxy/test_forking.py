"""Forking: in parallel, in turn, and what comes of it (RFC 3261 §16.6, §16.7)."""

import pytest

from ringback.protocol.cores.proxy.target_set import Target

ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'


def hosts(legs):
    return [leg.remote[0].rpartition(".")[2] for leg in legs]


@pytest.mark.row("FRK-1", "CAN-4")
@pytest.mark.rfc("3261 16.7")
def test_all_targets_ring_at_once_and_the_first_2xx_stops_the_rest(exchange):
    x = exchange()
    x.bind(1, 2, 3)
    invite = x.call()
    one, two, three = x.legs()
    assert hosts([one, two, three]) == ["1", "2", "3"]
    one.answer(180)
    two.answer(180)
    three.answer(180)
    two.answer(200)
    answers = x.answers()
    assert [answer.status for answer in answers] == [180, 180, 180, 200]
    assert answers[-1].to_tag == "desk2"
    assert [via.branch for via in answers[-1].vias] == [invite.top_via.branch]
    cancels = x.cancels()
    assert hosts(cancels) == ["1", "3"]
    for cancel, leg in zip(cancels, (one, three), strict=True):
        assert cancel.request.get_all("reason") == [ELSEWHERE]
        assert cancel.request.get_all("via") == [leg.request.get("via")]
    for leg, cancel in zip((one, three), cancels, strict=True):
        cancel.answer(200)
        leg.answer(487)
    assert x.statuses() == []
    assert hosts(x.acks()) == ["1", "3"]
    assert x.done() == [200]
    x.advance(64)
    assert x.empty()


@pytest.mark.row("CAN-3", "CAN-4", part="PX")
@pytest.mark.threat("T13")
def test_a_branch_without_1xx_is_cancelled_at_its_first_1xx(exchange):
    x = exchange()
    x.bind(1, 2)
    x.call()
    one, two = x.legs()
    one.answer(200)
    assert x.cancels() == []
    two.answer(180)
    assert x.statuses() == [200]  # the 180 came after the final response
    (cancel,) = x.cancels()
    assert cancel.request.get("reason") == ELSEWHERE
    cancel.answer(200)
    two.answer(487)
    x.advance(64)
    assert x.statuses() == []
    assert x.empty()


@pytest.mark.row("CAN-3", part="PX")
def test_no_cancel_goes_to_a_branch_that_gives_a_final_response_first(exchange):
    x = exchange()
    x.bind(1, 2)
    x.call()
    one, two = x.legs()
    one.answer(200)
    two.answer(486)
    x.advance(64)
    assert x.cancels() == []
    assert x.statuses() == [200]
    assert x.empty()


@pytest.mark.row("FRK-3", part="every 2xx")
@pytest.mark.row("INV-7", part="proxy")
@pytest.mark.threat("T13")
def test_a_2xx_that_crosses_the_cancel_is_forwarded_too(exchange):
    x = exchange()
    x.bind(1, 2)
    x.call()
    one, two = x.legs()
    one.answer(180)
    two.answer(180)
    one.answer(200)
    two.answer(200)
    two.answer(200)  # its retransmission
    answers = x.answers()
    assert [(answer.status, answer.to_tag) for answer in answers[2:]] == [
        (200, "desk1"),
        (200, "desk2"),
        (200, "desk2"),
    ]
    (cancel,) = x.cancels()
    cancel.answer(200)
    x.advance(64)
    assert x.done() == [200]
    assert x.empty()


@pytest.mark.row("FRK-3", part="6xx first")
@pytest.mark.row("CAN-4")
@pytest.mark.rfc("3261 16.7")
def test_a_6xx_stops_the_others_and_goes_up_when_they_have_ended(exchange):
    x = exchange()
    x.bind(1, 2)
    x.bind(3, q=0.5)
    x.call()
    one, two = x.legs()
    one.answer(180)
    two.answer(603)
    assert x.statuses() == [180]
    (cancel,) = x.cancels()
    assert hosts([cancel]) == ["1"]
    assert cancel.request.get("reason") == 'SIP;cause=603;text="Decline"'
    cancel.answer(200)
    one.answer(487)
    assert x.statuses() == [603]
    assert x.legs() == []  # no new branch after a 6xx
    x.advance(64)
    assert x.empty()


@pytest.mark.threat("T13")
def test_a_2xx_after_a_6xx_wins(exchange):
    x = exchange()
    x.bind(1, 2)
    x.call()
    one, two = x.legs()
    one.answer(180)
    two.answer(600)
    one.answer(200)
    assert x.statuses() == [180, 200]
    x.cancels()[0].answer(200)
    x.advance(64)
    assert x.statuses() == []
    assert x.empty()


@pytest.mark.row("FRK-2")
def test_groups_of_equal_q_ring_in_turn(exchange):
    x = exchange()
    x.bind(3, q=0.5)
    x.bind(1, 2)
    x.bind(4, q=0.1)
    x.call()
    one, two = x.legs()
    assert hosts([one, two]) == ["1", "2"]
    one.answer(486)
    assert x.legs() == []
    two.answer(480)
    (three,) = x.legs()
    assert hosts([three]) == ["3"]
    three.answer(404)
    (four,) = x.legs()
    four.answer(200)
    assert x.statuses() == [200]
    x.advance(64)
    assert x.empty()


@pytest.mark.row("FRK-2", part="2xx ends the sequence")
def test_a_2xx_ends_the_sequence(exchange):
    x = exchange()
    x.bind(1)
    x.bind(2, q=0.5)
    x.call()
    (one,) = x.legs()
    one.answer(200)
    x.advance(64)
    assert x.legs() == []
    assert x.empty()


@pytest.mark.row("FRK-2", part="ring time")
def test_a_branch_that_rang_too_long_is_cancelled_before_the_next_starts(exchange):
    x = exchange()
    x.bind(1, ring_time=20)
    x.bind(2, q=0.5, ring_time=20)
    x.call()
    (one,) = x.legs()
    one.answer(180)
    x.advance(10)
    one.answer(180)  # a ring time is not restarted by a 1xx
    x.advance(9.9)
    assert x.cancels() == []
    x.advance(0.2)
    order = [message.method for message, _ in x.sent if hasattr(message, "method")]
    assert order == ["CANCEL", "INVITE"]
    (two,) = x.legs()
    two.answer(486)
    assert x.statuses() == [180, 180]  # the first branch still owes its final response
    one.answer(487)
    assert x.statuses() == [486]
    x.advance(64)
    assert x.empty()


@pytest.mark.row("FRK-2", part="ring time")
def test_a_487_from_a_branch_that_rang_too_long_counts_as_408(exchange):
    x = exchange()
    x.bind(1, ring_time=20)
    x.call()
    (one,) = x.legs()
    one.answer(180)
    x.advance(21)
    x.cancels()[0].answer(200)
    one.answer(487)
    assert x.statuses() == [180, 408]
    x.advance(64)
    assert x.empty()


@pytest.mark.row("FRK-2", part="ring time")
@pytest.mark.threat("T13")
def test_a_branch_that_never_rang_is_withdrawn_and_its_late_2xx_still_wins(exchange):
    x = exchange()
    x.bind(1, ring_time=5)
    x.bind(2, q=0.5)
    x.call()
    (one,) = x.legs()
    x.advance(6)
    (two,) = x.legs()
    assert x.cancels() == []
    two.answer(180)
    one.answer(200)
    assert x.statuses() == [100, 180, 200]
    (cancel,) = x.cancels()
    assert hosts([cancel]) == ["2"]
    cancel.answer(200)
    two.answer(487)
    x.advance(64)
    assert x.empty()


@pytest.mark.row("FRK-3", part="challenges")
@pytest.mark.rfc("3261 16.7")
def test_challenges_of_all_branches_go_up_together(exchange):
    x = exchange()
    x.bind(1, 2)
    x.call()
    one, two = x.legs()
    one.answer(401, headers=[("WWW-Authenticate", 'Digest realm="one"')])
    two.answer(407, headers=[("Proxy-Authenticate", 'Digest realm="two"')])
    (answer,) = x.answers()
    assert answer.status == 401
    assert answer.get_all("www-authenticate") == ['Digest realm="one"']
    assert answer.get_all("proxy-authenticate") == ['Digest realm="two"']
    x.advance(64)
    assert x.empty()


@pytest.mark.row("FRK-3", part="503 as 500")
@pytest.mark.threat("T12")
def test_a_lone_503_goes_up_as_500(exchange):
    x = exchange()
    x.bind(1)
    x.call()
    x.legs()[0].answer(503, headers=[("Retry-After", "3600")])
    (answer,) = x.answers()
    assert (answer.status, answer.get("retry-after")) == (500, None)


@pytest.mark.row("FRK-3", part="nothing received")
def test_an_invite_that_nobody_answers_gets_408(exchange):
    x = exchange()
    x.bind(1, 2)
    x.call()
    x.advance(32.1)
    assert x.statuses() == [100, 408]
    assert x.done() == [408]
    x.advance(64)
    assert x.empty()


@pytest.mark.row("FRK-3", part="nothing received")
@pytest.mark.row("TRN-6", part="never a 408")
@pytest.mark.rfc("4320 4.2")
def test_a_non_invite_that_nobody_answers_gets_no_response(exchange):
    x = exchange()
    x.bind(1)
    x.call(method="MESSAGE")
    x.legs()
    x.advance(64)
    assert 408 not in x.statuses()
    assert x.done() == [None]
    x.advance(64)
    assert x.empty()


def test_a_408_to_a_non_invite_goes_no_further(exchange):
    x = exchange()
    x.bind(1)
    x.call(method="MESSAGE")
    x.legs()[0].answer(408)
    assert x.statuses() == []
    x.advance(64)
    assert x.empty()


@pytest.mark.rfc("3261 16.7")
def test_exactly_one_final_response_answers_a_forked_non_invite(exchange):
    x = exchange()
    x.bind(1, 2, 3)
    x.call(method="MESSAGE")
    one, two, three = x.legs()
    one.answer(404)
    two.answer(200)
    assert x.statuses() == [200]
    assert not any(x.core.counts().values())
    three.answer(200)
    x.advance(64)
    assert x.statuses() == []
    assert x.cancels() == []
    assert x.empty()


def test_a_6xx_to_a_forked_non_invite_waits_for_the_others_without_cancel(exchange):
    x = exchange()
    x.bind(1, 2)
    x.bind(3, q=0.5)
    x.call(method="MESSAGE")
    one, two = x.legs()
    one.answer(600)
    two.answer(486)
    assert x.statuses() == [600]
    x.advance(64)
    assert x.cancels() == []
    assert x.legs() == []
    assert x.empty()


@pytest.mark.row("PX-3", part="3xx passed up")
def test_a_redirection_is_passed_up_by_default(exchange):
    x = exchange()
    x.bind(1)
    x.call()
    x.legs()[0].answer(302, headers=[("Contact", "<sip:desk@198.51.100.9>")])
    (answer,) = x.answers()
    assert (answer.status, answer.get("contact")) == (302, "<sip:desk@198.51.100.9>")
    assert x.legs() == []


@pytest.mark.row("PX-3", part="3xx recursed")
@pytest.mark.rfc("3261 16.7")
def test_a_redirection_is_followed_by_setting_and_no_uri_is_tried_twice(exchange):
    x = exchange(recurse=True)
    x.bind(1)
    x.call()
    contacts = "<sip:desk@198.51.100.2>;q=0.2, <sip:desk@198.51.100.1>, <sip:desk@198.51.100.3>;q=0.9"
    x.legs()[0].answer(302, headers=[("Contact", contacts)])
    (three,) = x.legs()
    assert hosts([three]) == ["3"]
    three.answer(302, headers=[("Contact", "<sip:desk@198.51.100.1>")])  # nothing new: passed up if it is the best
    (two,) = x.legs()
    two.answer(486)
    (answer,) = x.answers()
    assert (answer.status, answer.get("contact")) == (302, "<sip:desk@198.51.100.1>")
    x.advance(64)
    assert x.empty()


def test_a_redirection_that_was_followed_whole_is_no_candidate(exchange):
    x = exchange(recurse=True)
    x.bind(1)
    x.call()
    x.legs()[0].answer(302, headers=[("Contact", "<sip:desk@198.51.100.2>")])
    x.legs()[0].answer(486)
    assert x.statuses() == [486]


def test_what_cannot_be_followed_stays_in_the_redirection(exchange):
    x = exchange(recurse=True)
    x.bind(1)
    x.call()
    x.legs()[0].answer(300, headers=[("Contact", "<mailto:bob@x.test>, <sip:desk@198.51.100.2>")])
    (two,) = x.legs()
    two.answer(486)
    (answer,) = x.answers()
    assert (answer.status, answer.get_all("contact")) == (300, ["<mailto:bob@x.test>"])


def test_a_sips_request_is_not_redirected_to_sip(exchange):
    x = exchange(recurse=True)
    x.targets["sips:bob@example.test"] = [Target("sips:desk@198.51.100.1")]
    x.call("sips:bob@example.test")
    (one,) = x.legs()
    assert one.request.top_via.transport == "TLS"
    x.answers()
    one.answer(302, headers=[("Contact", "<sip:desk@198.51.100.2>")])
    assert x.legs() == []


@pytest.mark.parametrize("contact", [None, "<sip:@198.51.100.2>", "<sip:desk@198.51.100.2>;q=7", "*"])
def test_a_redirection_without_usable_contacts_is_passed_up(exchange, contact):
    x = exchange(recurse=True)
    x.bind(1)
    x.call()
    x.legs()[0].answer(302, headers=[] if contact is None else [("Contact", contact)])
    assert x.statuses() == [302]


@pytest.mark.rfc("3261 16.5")
def test_no_redirection_is_followed_for_a_domain_that_is_not_ours(exchange):
    x = exchange(recurse=True)
    x.responsible = False
    x.call("sip:bob@198.51.100.7")
    x.legs()[0].answer(302, headers=[("Contact", "<sip:desk@198.51.100.9>")])
    assert x.statuses() == [302]


@pytest.mark.threat("T11")
def test_the_targets_of_one_request_are_limited(exchange):
    x = exchange(recurse=True, max_targets=3)
    x.bind(1)
    x.call()
    contacts = ", ".join(f"<sip:desk@198.51.100.{n}>" for n in range(2, 9))
    x.legs()[0].answer(302, headers=[("Contact", contacts)])
    assert len(x.legs()) == 2


@pytest.mark.row("TRN-5", part="Max-Breadth")
@pytest.mark.rfc("5393 5.3.3")
def test_max_breadth_is_split_between_parallel_branches(exchange):
    x = exchange()
    x.bind(*range(1, 8))
    x.call()
    shares = [int(leg.request.get("max-breadth")) for leg in x.legs()]
    assert sum(shares) == 60
    assert min(shares) >= 8


@pytest.mark.rfc("5393 5.3.3")
def test_a_sequence_gives_each_branch_the_whole_breadth(exchange):
    x = exchange()
    x.bind(1)
    x.bind(2, q=0.5)
    x.call(headers=[("Max-Breadth", "7")])
    (one,) = x.legs()
    one.answer(486)
    (two,) = x.legs()
    assert [leg.request.get("max-breadth") for leg in (one, two)] == ["7", "7"]


def test_a_sequence_by_ring_time_keeps_breadth_for_the_next(exchange):
    x = exchange()
    x.bind(1, ring_time=20)
    x.bind(2, q=0.5, ring_time=20)
    x.call(headers=[("Max-Breadth", "2")])
    (one,) = x.legs()
    one.answer(180)
    x.advance(21)
    (two,) = x.legs()
    assert [leg.request.get("max-breadth") for leg in (one, two)] == ["1", "1"]


@pytest.mark.row("TRN-5", part="440")
def test_a_fork_wider_than_max_breadth_is_refused(exchange):
    x = exchange()
    x.bind(1, 2, 3)
    x.call(headers=[("Max-Breadth", "2")])
    assert x.legs() == []
    assert x.statuses() == [440]


@pytest.mark.rfc("5393 5.5")
def test_a_fork_wider_than_max_breadth_goes_on_as_breadth_becomes_free_by_setting(exchange):
    x = exchange(fork_serially=True)
    x.bind(1, 2, 3)
    x.call(headers=[("Max-Breadth", "2")])
    one, two = x.legs()
    two.answer(486)
    (three,) = x.legs()
    assert [leg.request.get("max-breadth") for leg in (one, two, three)] == ["1", "1", "1"]
    one.answer(404)
    three.answer(200)
    assert x.statuses() == [200]
    x.advance(64)
    assert x.empty()
