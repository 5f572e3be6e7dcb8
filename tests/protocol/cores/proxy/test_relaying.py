"""Dialogs through the proxy, next hops and failover, what is addressed to nobody, loops and floods."""

import pytest

from ringback.protocol.cores.proxy.target_set import Target
from ringback.protocol.errors import RemoteProtocolError, TransportError
from ringback.protocol.message.build import build_request, build_response
from ringback.protocol.routing.flow import Flow, Hop


def established(x):
    """A call that was answered; returns its INVITE, the leg and the 200 that the caller got."""
    x.bind(1)
    invite = x.call()
    (leg,) = x.legs()
    leg.answer(200, headers=[("Contact", "<sip:desk@198.51.100.1>")])
    *_, ok = x.answers()
    return invite, leg, ok


def route_of(answer):
    return [("Route", value) for value in reversed(answer.values("record-route"))]


@pytest.mark.row("ACK-4")
@pytest.mark.row("PX-2", part="loose routing")
@pytest.mark.rfc("3261 16.11")
def test_the_ack_of_a_2xx_follows_the_route_with_a_branch_of_its_own_and_no_state(exchange):
    x = exchange()
    invite, leg, ok = established(x)
    ack = x.call("sip:desk@198.51.100.1", "ACK", headers=route_of(ok), to=ok.get("to"), cseq=invite.cseq.number)
    (out,) = x.acks()
    assert x.admissions[-1].within_dialog
    assert out.remote == leg.remote
    assert out.request.uri_text == "sip:desk@198.51.100.1"
    assert out.request.values("route") == []
    assert out.request.get("max-forwards") == "69"
    assert out.request.top_via.branch not in (leg.request.top_via.branch, ack.top_via.branch)
    x.receive(ack)  # a retransmission leaves with the same branch
    again = [message for message, _ in x.sent if getattr(message, "method", "") == "ACK"]
    assert [message.to_bytes() for message in again] == [out.request.to_bytes()]
    x.advance(64)
    assert x.statuses() == []
    assert x.empty()


@pytest.mark.row("ACK-4", part="hop by hop")
def test_the_ack_of_a_failure_is_made_here_and_the_callers_is_absorbed(exchange):
    x = exchange()
    x.bind(1)
    invite = x.call()
    (leg,) = x.legs()
    leg.answer(486)
    (ack,) = x.acks()
    assert ack.request.get("via") == leg.request.get("via")
    (busy,) = x.answers()
    x.acknowledge(invite, busy)
    assert x.acks() == []
    x.advance(64)
    assert x.empty()


def ack_to(uri, hops):
    return build_request(
        "ACK",
        uri,
        via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKq",
        from_="<sip:a@x.test>;tag=1",
        to="<sip:b@x.test>;tag=2",
        call_id="c",
        cseq=1,
        max_forwards=hops,
    )


def test_an_ack_without_hops_left_is_dropped(exchange):
    x = exchange()
    x.receive(ack_to("sip:desk@198.51.100.1", 0))
    assert x.admissions[-1].refusal.status == 483  # which nobody answers
    x.core.forward_stateless(ack_to("sip:desk@198.51.100.1", 0), x.now)
    x.drain()
    assert x.sent == []


@pytest.mark.row("BYE-1", part="PX")
def test_a_bye_passes_end_to_end_and_the_proxy_makes_none(exchange):
    x = exchange()
    _, _, ok = established(x)
    x.call("sip:desk@198.51.100.1", "BYE", headers=route_of(ok), to=ok.get("to"))
    (bye,) = x.legs()
    assert x.admissions[-1].within_dialog
    assert bye.request.method == "BYE"
    assert bye.request.values("record-route") == []
    bye.answer(200)
    assert x.statuses() == [200]
    x.advance(200)
    assert [seen.request.method for seen in x.legs_seen] == ["INVITE", "BYE"]
    assert x.empty()


@pytest.mark.row("BYE-1", part="PX")
def test_no_bye_is_made_when_everything_goes_wrong(exchange):
    x = exchange()
    x.bind(1, 2)
    x.call()
    one, two = x.legs()
    one.answer(200)
    two.answer(200)  # a second answer, and no ACK ever comes
    x.advance(300)
    x.legs()
    assert {seen.request.method for seen in x.legs_seen} <= {"INVITE", "CANCEL"}
    assert x.empty()


@pytest.mark.row("PX-2", part="closed relay")
@pytest.mark.threat("T15")
def test_a_preloaded_route_through_us_is_not_within_a_dialog(exchange):
    x = exchange()
    x.call("sip:victim@198.51.100.9", headers=[("Route", "<sip:192.0.2.2;lr>"), ("Route", "<sip:198.51.100.8;lr>")])
    assert not x.admissions[-1].within_dialog
    (leg,) = x.legs()
    assert leg.remote == ("198.51.100.8", 5060)  # the server decides whether it gets this far


@pytest.mark.row("PX-2", part="strict routing")
@pytest.mark.rfc("3261 16.12.1.2")
def test_a_strict_router_on_either_side_is_served(exchange):
    x = exchange()
    x.call("sip:bob@198.51.100.9", headers=[("Route", "<sip:198.51.100.8>")])
    (leg,) = x.legs()
    assert leg.remote == ("198.51.100.8", 5060)
    assert leg.request.uri_text == "sip:198.51.100.8"
    assert leg.request.values("route") == ["<sip:bob@198.51.100.9>"]
    ours = leg.request.values("record-route")[0].strip("<>")
    x.call(ours, "MESSAGE", headers=[("Route", "<sip:carol@198.51.100.7>")])
    assert x.admissions[-1].within_dialog
    (back,) = x.legs()
    assert (back.request.uri_text, back.remote) == ("sip:carol@198.51.100.7", ("198.51.100.7", 5060))


@pytest.mark.row("TRN-6", part="stray responses")
@pytest.mark.rfc("6026 7.3")
def test_a_response_that_matches_nothing_goes_nowhere(exchange):
    x = exchange()
    _, leg, _ = established(x)
    x.advance(64)
    leg.answer(200)
    assert x.strays == 1
    assert x.sent == [] or x.statuses() == []


@pytest.mark.rfc("3261 16.7")
@pytest.mark.parametrize(
    ("status", "outcome"), [(200, [500]), (302, [500]), (401, [500]), (404, [404]), (603, [603]), (180, [])]
)
def test_a_response_without_a_second_via_is_not_passed_on(exchange, status, outcome):
    x = exchange()
    x.bind(1)
    x.call()
    (leg,) = x.legs()
    response = build_response(leg.request, status, to_tag="d")
    response.set("Via", leg.request.get("via"))
    x.receive(response, leg.remote)
    assert x.statuses() == outcome


@pytest.mark.row("CAN-6")
def test_a_487_with_the_via_of_the_cancel_ends_the_call_as_cancelled(exchange):
    x = exchange()
    x.bind(1, 2)
    invite = x.call()
    first, second = x.legs()
    first.answer(180)
    second.answer(180)
    x.statuses()
    x.hang_up(invite)
    for leg in (first, second):
        response = build_response(leg.request, 487, to_tag="d")
        response.set("Via", leg.request.get("via"))
        x.receive(response, leg.remote)
    assert x.statuses() == [200, 487]


@pytest.mark.row("TRN-3", part="failover")
@pytest.mark.rfc("3261 16.6")
def test_the_next_address_is_tried_with_a_new_branch_when_one_fails(exchange):
    x = exchange()
    hops = [Hop("UDP", f"198.51.100.{n}", 5060) for n in (1, 2, 3, 4)]
    x.down.add(("198.51.100.1", 5060))
    x.targets["sip:bob@example.test"] = [Target("sip:desk@farm.test", hops=hops)]
    x.call()
    (two,) = x.legs()
    assert two.remote[0] == "198.51.100.2"  # the transport could not reach the first
    x.layer.transport_failed((two.request.top_via.branch, "INVITE"), "unreachable", x.now)
    x.drain()
    (three,) = x.legs()
    three.answer(180)
    three.answer(503)
    (four,) = x.legs()
    assert len({leg.request.top_via.branch for leg in (two, three, four)}) == 3
    assert len(four.request.vias) == 2
    four.answer(503)
    assert x.statuses() == [180, 500]
    x.advance(64)
    assert x.empty()


@pytest.mark.row("TRN-3", part="failover")
def test_a_timeout_of_an_invite_tries_the_next_address(exchange):
    x = exchange()
    x.bind(9, hops=[Hop("UDP", "198.51.100.1", 5060), Hop("UDP", "198.51.100.2", 5060)])
    x.call()
    x.legs()
    x.advance(32.1)
    (two,) = x.legs()
    assert two.remote[0] == "198.51.100.2"
    two.answer(200)
    assert x.done() == [200]


@pytest.mark.rfc("4320 4.2")
def test_a_timeout_of_a_non_invite_is_the_end_of_it(exchange):
    x = exchange()
    x.bind(9, hops=[Hop("UDP", "198.51.100.1", 5060), Hop("UDP", "198.51.100.2", 5060)])
    x.call(method="MESSAGE")
    x.legs()
    x.advance(32.1)
    assert x.legs() == []
    assert x.done() == [None]
    x.advance(64)
    assert x.empty()


def test_no_address_is_tried_after_the_caller_gave_up(exchange):
    x = exchange()
    x.bind(9, hops=[Hop("UDP", "198.51.100.1", 5060), Hop("UDP", "198.51.100.2", 5060)])
    invite = x.call()
    (one,) = x.legs()
    x.hang_up(invite)
    x.layer.transport_failed((one.request.top_via.branch, "INVITE"), "unreachable", x.now)
    x.drain()
    assert x.legs() == []
    assert x.statuses() == [200, 500]


def test_the_addresses_of_one_target_are_limited(exchange):
    x = exchange(max_hops=2)
    x.bind(9, hops=[Hop("UDP", f"198.51.100.{n}", 5060) for n in range(1, 9)])
    x.call()
    for _ in range(2):
        x.legs()[0].answer(503)
    assert x.legs() == []
    assert x.statuses() == [500]


@pytest.mark.rfc("3261 16.9")
def test_a_target_that_cannot_be_reached_counts_as_503(exchange):
    x = exchange()
    x.bind(1, 2)
    x.down.add(("198.51.100.1", 5060))
    x.call()
    (two,) = x.legs()
    two.answer(404)
    assert x.statuses() == [404]
    x.bind(1, uri="sip:lone@example.test")
    x.call("sip:lone@example.test")
    assert x.statuses() == [500]
    x.advance(64)
    assert x.empty()


@pytest.mark.rfc("3261 16.9")
def test_a_failure_to_send_a_response_disturbs_no_branch(exchange):
    x = exchange()
    x.bind(1)
    invite = x.call()
    (one,) = x.legs()
    one.answer(180)
    x.layer.transport_failed((invite.top_via.branch, "192.0.2.1:5060", "INVITE"), "unreachable", x.now)
    x.drain()
    assert x.cancels() == []
    one.answer(200)
    assert x.done() == [200]


def test_a_binding_is_reached_by_its_own_flow(exchange):
    x = exchange()
    flow = Flow("UDP", ("192.0.2.2", 5060), ("203.0.113.5", 40_000))
    x.bind(1, flow=flow)
    x.call()
    (leg,) = x.legs()
    assert leg.remote == ("203.0.113.5", 40_000)
    assert leg.request.uri_text == "sip:desk@198.51.100.1"


def test_a_name_is_asked_for_and_the_answer_used(exchange):
    x = exchange()
    x.call("sip:bob@far.test")
    question = x.locate([Hop("UDP", "198.51.100.7", 5070)])
    assert (question.user, str(question.uri), question.transport) == ("proxy", "sip:bob@far.test", None)
    (leg,) = x.legs()
    assert leg.remote == ("198.51.100.7", 5070)
    x.core.located(question.token, [Hop("UDP", "198.51.100.8", 5070)], x.now)  # a second answer is none
    x.drain()
    assert x.legs() == []
    leg.answer(200)
    x.advance(64)
    x.core.located(question.token, [], x.now)
    assert x.empty()


def test_the_addresses_of_a_name_are_limited_too(exchange):
    x = exchange(max_hops=2)
    x.call("sip:bob@far.test")
    x.locate([Hop("UDP", f"198.51.100.{n}", 5060) for n in range(1, 9)])
    for _ in range(2):
        x.legs()[0].answer(503)
    assert x.legs() == []
    assert x.statuses() == [500]


@pytest.mark.row("PX-2", part="two values")
def test_a_call_that_changes_transport_is_record_routed_twice(exchange):
    x = exchange()
    invite = x.call("sip:bob@198.51.100.9;transport=tcp")
    (leg,) = x.legs()
    assert [route.uri.transport for route in leg.request.record_routes] == ["TCP", None]
    leg.answer(200)
    *_, ok = x.answers()
    ack = x.call("sip:desk@198.51.100.9;transport=tcp", "ACK", headers=route_of(ok), cseq=invite.cseq.number)
    assert len(ack.routes) == 2
    (out,) = x.acks()
    assert out.request.routes == []  # both were ours


@pytest.mark.parametrize("answer", [[], TransportError("no such name")])
def test_a_name_that_nobody_knows_ends_in_500(exchange, answer):
    x = exchange()
    x.call("sips:bob@far.test")
    assert x.locate(answer).transport == "TLS"
    assert x.statuses() == [500]
    x.advance(64)
    assert x.empty()


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ("INVITE", "sip:far.test cannot be found: no such name"),
        ("REGISTER", "sip:far.test is not a registrar of this server and cannot be found: no such name"),
    ],
)
def test_who_asked_for_a_name_that_nobody_knows_is_told_which(exchange, method, says):
    x = exchange()
    x.call("sip:far.test", method)
    x.locate(TransportError("no such name"))
    (answer,) = x.answers()
    assert answer.status == 500
    assert answer.get("warning") == f'399 ringback "{says}"'


@pytest.mark.threat("T10")
@pytest.mark.parametrize(("method", "outcome"), [("INVITE", [408]), ("MESSAGE", [None])])
def test_a_resolver_that_never_answers_leaves_nothing_behind(exchange, method, outcome):
    x = exchange()
    x.call("sip:bob@far.test", method)
    x.advance(33)
    assert x.done() == outcome
    x.advance(64)
    assert x.empty()


def test_an_ack_to_a_name_waits_for_the_resolver(exchange):
    x = exchange()
    x.call("sip:bob@far.test", "ACK")
    assert x.core.counts()["stateless"] == 1
    x.locate([Hop("UDP", "198.51.100.7", 5060)])
    assert x.acks()[0].remote == ("198.51.100.7", 5060)
    x.call("sip:bob@far.test", "ACK")
    x.locate([])
    assert x.acks() == []
    x.down.add(("198.51.100.7", 5060))
    x.call("sip:bob@198.51.100.7", "ACK")
    assert x.acks() == []
    assert x.empty()


def test_an_ack_that_leads_nowhere_is_dropped(exchange):
    x = exchange()
    x.call("sip:bob@198.51.100.7", "ACK", headers=[("Route", "<http://far.test>")])
    assert x.sent == []


@pytest.mark.parametrize("uri", ["mailto:bob@far.test", "sip:bob@198.51.100.1"])
def test_a_target_or_route_that_is_no_sip_uri_gets_416(exchange, uri):
    x = exchange()
    x.targets["sip:bob@example.test"] = [Target(uri)]
    x.call(headers=[("Route", "<http://far.test>")] if uri.startswith("sip") else [])
    assert x.statuses() == [416]
    x.advance(64)
    assert x.empty()


@pytest.mark.threat("T7")
def test_stateless_relays_that_wait_for_the_resolver_are_bounded(exchange):
    x = exchange()
    ack = ack_to("sip:bob@far.test", 70)
    for _ in range(1100):
        x.core.forward_stateless(ack, x.now)
    assert x.core.counts()["stateless"] == 1000


@pytest.mark.row("OPT-4")
def test_options_for_others_is_forwarded_and_its_answer_passed_back(exchange):
    x = exchange()
    x.bind(1)
    x.call(method="OPTIONS")
    (leg,) = x.legs()
    assert leg.request.method == "OPTIONS"
    leg.answer(200)
    assert x.statuses() == [200]


@pytest.mark.row("TRN-5", part="Max-Forwards")
@pytest.mark.row("OPT-4", part="Max-Forwards 0")
def test_a_request_without_hops_left_is_never_forwarded(exchange):
    x = exchange()
    x.call(max_forwards=0)
    x.call(method="OPTIONS", max_forwards=0)  # passes the check, and would be answered by the server
    assert x.legs() == []
    assert x.statuses() == [483, 483]


@pytest.mark.row("PX-3", part="no binding")
def test_a_request_without_targets_gets_480(exchange):
    x = exchange()
    x.targets["sip:bob@example.test"] = []
    x.call()
    assert x.statuses() == [480]
    (done,) = x.events
    assert (done.status, done.method, done.call_id, done.branches, done.cancelled) == (480, "INVITE", "c1", 0, False)


@pytest.mark.row("PX-3", part="420")
def test_an_unknown_proxy_require_is_refused_with_unsupported(exchange):
    x = exchange()
    x.call(headers=[("Proxy-Require", "foo, bar")])
    (answer,) = x.answers()
    assert (answer.status, answer.get("unsupported")) == (420, "foo, bar")


def test_a_malformed_target_does_not_stop_the_others(exchange):
    x = exchange()
    x.targets["sip:bob@example.test"] = [Target("sip:@"), *[Target("sip:desk@198.51.100.2")]]
    x.call()
    (two,) = x.legs()
    two.answer(200)
    assert x.statuses() == [200]


def test_a_malformed_target_alone_is_400(exchange):
    x = exchange()
    x.targets["sip:bob@example.test"] = [Target("sip:@")]
    x.call()
    assert x.statuses() == [400]
    x.advance(64)
    assert x.empty()


@pytest.mark.rfc("3261 16.3")
def test_a_malformed_route_is_refused_at_the_door(exchange):
    x = exchange()
    with pytest.raises(RemoteProtocolError):
        x.call(headers=[("Route", "<sip:a@b;lr")])


def test_an_answer_to_a_transaction_that_has_gone_is_dropped(exchange):
    x = exchange()
    x.bind(1)
    invite = x.call()
    (one,) = x.legs()
    x.layer.abandon((invite.top_via.branch, "192.0.2.1:5060", "INVITE"), x.now)
    x.drain()
    one.answer(180)
    one.answer(200)
    assert x.statuses() == []
    x.advance(64)
    assert x.empty()


def test_a_refusal_of_a_transaction_that_has_gone_is_dropped(exchange):
    x = exchange()
    x.forward_later = True
    invite = x.call(headers=[("Max-Breadth", "1")])
    x.bind(1, 2)
    x.layer.abandon((invite.top_via.branch, "192.0.2.1:5060", "INVITE"), x.now)
    x.drain()
    x.forward()
    assert x.statuses() == []


def test_a_full_client_table_counts_as_unreachable(exchange):
    x = exchange()
    x.layer._limits.client = 0
    try:
        x.bind(1)
        x.call()
        assert x.statuses() == [500]
    finally:
        x.layer._limits.client = 500_000
    x.advance(64)
    assert x.empty()


@pytest.mark.row("TRN-5", part="loop")
def test_a_request_that_comes_back_unchanged_gets_482(exchange):
    x = exchange()
    x.call("sip:bob@198.51.100.7")
    (leg,) = x.legs()
    x.receive(leg.request, leg.remote)
    statuses = [message.status for message, _ in x.sent if hasattr(message, "status")]
    assert statuses == [482]
    assert x.legs() == []


@pytest.mark.row("TRN-5", part="a spiral is no loop")
def test_a_spiral_passes(exchange):
    x = exchange()
    x.targets["sip:hunt@example.test"] = [Target("sip:bob@example.test")]
    x.bind(1)
    x.targets["sip:hunt@example.test"][0].hops = [Hop("UDP", "198.51.100.8", 5060)]
    x.call("sip:hunt@example.test")
    (out,) = x.legs()
    x.receive(out.request, out.remote)  # the next proxy sends it back to us
    (leg,) = x.legs()
    assert leg.request.uri_text == "sip:desk@198.51.100.1"
    assert len(leg.request.vias) == 3


def reflect(x, uri, targets, limit=10_000):
    """Every request that the proxy sends comes straight back to it; returns how many went out for a call to ``uri``."""
    for aor, to in targets.items():
        x.targets[aor] = [Target(other, hops=[Hop("UDP", "192.0.2.2", 5060)]) for other in to]
    x.call(uri)
    count = 0
    queue = x.legs()
    while queue:
        leg = queue.pop(0)
        count += 1
        assert count < limit
        x.receive(leg.request, ("192.0.2.2", 5060))
        _return_responses(x)
        queue += x.legs()
    return count


def _return_responses(x):
    """Responses that the proxy owes to itself."""
    while True:
        responses = [m for m, remote in x.sent if hasattr(m, "status") and remote == ("192.0.2.2", 5060)]
        x.sent = [(m, remote) for m, remote in x.sent if not (hasattr(m, "status") and remote == ("192.0.2.2", 5060))]
        if not responses:
            return
        for response in responses:
            x.receive(response, ("192.0.2.2", 5060))


@pytest.mark.row("TRN-5", part="loop")
@pytest.mark.threat("T11")
@pytest.mark.rfc("5393 3")
def test_two_aors_that_point_at_each_other_end(exchange):
    x = exchange()
    pairs = {
        "sip:a@example.test": ["sip:a@example.test;x=1", "sip:b@example.test"],
        "sip:b@example.test": ["sip:a@example.test", "sip:b@example.test;x=1"],
        "sip:a@example.test;x=1": ["sip:b@example.test", "sip:a@example.test"],
        "sip:b@example.test;x=1": ["sip:b@example.test", "sip:a@example.test"],
    }
    assert reflect(x, "sip:a@example.test", pairs) <= 60
    x.advance(300)
    assert x.empty()


@pytest.mark.row("TRN-5", part="440")
@pytest.mark.threat("T11")
@pytest.mark.rfc("5393 5.7")
def test_aors_that_all_fork_to_each_other_are_bounded_by_max_breadth(exchange):
    x = exchange()
    uris = [f"sip:{n}@example.test" for n in range(10)]
    everyone = {uri: [other for other in uris if other != uri] for uri in uris}
    sent = reflect(x, uris[0], everyone)
    assert sent <= 60 * 2  # without the limit: millions (RFC 5393 §3)
    assert x.statuses()[-1] in (440, 482)
    x.advance(300)
    assert x.empty()
