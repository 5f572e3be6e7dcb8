"""What the user agent client sends again: redirected, amended, or elsewhere (RFC 3261 §8.1.3, RFC 3263 §4.3)."""

from __future__ import annotations

import pytest

from ringback.protocol.cores.calls import EndReason, State
from ringback.protocol.cores.ua_events import CallAnswered, CallOver, RequestDone
from ringback.protocol.errors import TransactionTimeout, TransportError
from ringback.protocol.message.model import Request
from tests.protocol.cores.bench import ALICE, ANSWER, SDP, Bench, Phone
from tests.protocol.cores.test_uac_calls import CHALLENGE, FAR, dial, dial_far, state

HERE = "192.0.2.3:5060"


def invites(bench: Bench) -> list[Request]:
    return bench.sent("INVITE")


def targets(bench: Bench) -> list[str]:
    """The Request-URIs that were called, in order, without what is retransmitted."""
    return list(dict.fromkeys(request.uri_text for request in invites(bench)))


def three_servers(bench: Bench, method: str = "INVITE", **options: object) -> tuple[Phone, int]:
    """Alice asks a name with three addresses."""
    bench.zone["far.test"] = ["192.0.2.3", "192.0.2.4", "192.0.2.5"]
    alice = bench.phone("alice", ALICE, **options)
    if method == "INVITE":
        number = dial(bench, alice, "sip:carol@far.test")
    else:
        number = alice.uac.request(method, "sip:carol@far.test", bench.now)
    bench.settle()
    return alice, number


def destinations(bench: Bench, method: str = "INVITE") -> list[str]:
    return list(
        dict.fromkeys(
            to[0] for _, _, to, message in bench.wire if isinstance(message, Request) and message.method == method
        )
    )


# redirection


@pytest.mark.row("INV-6", part="3xx")
@pytest.mark.rfc("3261 8.1.3.4")
def test_a_redirected_call_is_made_anew_to_the_contacts_by_their_q(bench: Bench) -> None:
    alice, number, first = dial_far(bench)
    contact = f"<sip:low@{HERE}>;q=0.2, <sip:high@{HERE};transport=udp?Subject=x>;q=0.9"
    bench.answer(first, 302, contact=contact)
    second = invites(bench)[-1]
    assert second.uri_text == f"sip:high@{HERE};transport=udp"
    assert (second.call_id, second.get("to"), second.get("from")) == (first.call_id, first.get("to"), first.get("from"))
    assert second.cseq.number == first.cseq.number + 1
    assert second.top_via.branch != first.top_via.branch
    assert second.body == first.body
    bench.answer(second, 404)
    third = invites(bench)[-1]
    assert third.uri_text == f"sip:low@{HERE}"
    bench.answer(third, 200, body=ANSWER)
    assert alice.names() == ["CallAnswered"]
    assert state(alice, number) is State.CONFIRMED


@pytest.mark.row("INV-6", part="3xx")
@pytest.mark.threat("T8")
def test_no_uri_is_tried_twice_however_they_point_at_each_other(bench: Bench) -> None:
    alice, _, invite = dial_far(bench)
    for _ in range(5):
        both = f"<{FAR}>, <sip:b@{HERE}>, <sip:B@{HERE}>, <sip:%62@{HERE}>"
        bench.answer(invites(bench)[-1], 302, contact=both)
    assert targets(bench) == [invite.uri_text, f"sip:b@{HERE}", f"sip:B@{HERE}"]
    over = alice.last(CallOver)
    assert (over.reason, over.message.status) == (EndReason.REJECTED, 302)
    bench.advance(40)
    assert alice.leftovers() == {}


@pytest.mark.row("INV-6", part="3xx")
@pytest.mark.threat("T8")
def test_redirections_without_end_are_followed_ten_times(bench: Bench) -> None:
    alice, _, _ = dial_far(bench)
    for number in range(50):
        if alice.told:
            break
        bench.answer(invites(bench)[-1], 302, contact=f"<sip:{number}@{HERE}>")
    assert len(targets(bench)) == 11
    assert alice.last(CallOver).message.status == 302


@pytest.mark.row("INV-6", part="3xx")
@pytest.mark.row("TRN-7", part="no fall-back")
def test_a_secure_call_is_not_redirected_to_a_uri_without_tls(bench: Bench) -> None:
    alice = bench.phone("alice", ALICE)
    dial(bench, alice, "sips:bob@192.0.2.3")
    bench.answer(invites(bench)[-1], 300, contact=f"<sip:b@{HERE}>, <sips:c@192.0.2.3>;q=0.1")
    assert targets(bench) == ["sips:bob@192.0.2.3", "sips:c@192.0.2.3"]
    bench.answer(invites(bench)[-1], 302, contact=f"<sip:b@{HERE}>")
    assert alice.last(CallOver).message.contacts[0].uri_text == f"sip:b@{HERE}"


@pytest.mark.row("INV-6", part="3xx")
@pytest.mark.parametrize(
    ("status", "contact"),
    [
        (302, "<tel:+4930123>"),
        (302, "<sip:a@192.0.2.3:99999>"),
        (305, f"<sip:b@{HERE}>"),
        (380, f"<sip:b@{HERE}>"),
        (603, f"<sip:b@{HERE}>"),
    ],
)
def test_what_is_no_redirection_to_a_sip_address_is_the_outcome(bench: Bench, status: int, contact: str) -> None:
    alice, _, invite = dial_far(bench)
    bench.answer(invite, status, contact=contact)
    assert invites(bench) == [invite]
    assert alice.last(CallOver).message.status == status


@pytest.mark.row("INV-6", part="3xx")
def test_an_unknown_3xx_counts_as_300_and_a_6xx_ends_the_search(bench: Bench) -> None:
    alice, _, invite = dial_far(bench)
    bench.answer(invite, 399, contact=f"<sip:b@{HERE}>, <sip:c@{HERE}>")
    bench.answer(invites(bench)[-1], 603)
    assert targets(bench) == [invite.uri_text, f"sip:b@{HERE}"]
    assert alice.last(CallOver).message.status == 603


def test_a_user_agent_may_be_told_not_to_follow(bench: Bench) -> None:
    alice, _, invite = dial_far(bench, redirects=False)
    bench.answer(invite, 302, contact=f"<sip:b@{HERE}>")
    assert invites(bench) == [invite]
    assert alice.last(CallOver).message.status == 302


@pytest.mark.threat("T5")
def test_credentials_do_not_follow_a_redirection(bench: Bench) -> None:
    alice, _, invite = dial_far(bench, password="secret")
    bench.answer(invite, 401, WWW_Authenticate=CHALLENGE)
    assert invites(bench)[-1].get("authorization") is not None
    bench.answer(invites(bench)[-1], 302, contact=f"<sip:b@{HERE}>")
    again = invites(bench)[-1]
    assert again.get("authorization") is None
    bench.answer(again, 401, WWW_Authenticate=CHALLENGE)
    assert invites(bench)[-1].get("authorization") is not None
    assert alice.told == []


@pytest.mark.threat("T5")
def test_a_registration_and_a_request_in_a_dialog_are_not_led_elsewhere(bench: Bench) -> None:
    alice, number, invite = dial_far(bench)
    bench.answer(invite, 200, body=ANSWER)
    alice.uac.request_in_call(number, "INFO", bench.now)
    alice.uac.request("REGISTER", "sip:192.0.2.3", bench.now)
    bench.settle()
    for method in ("INFO", "REGISTER"):
        [request] = bench.sent(method)
        bench.answer(request, 302, contact=f"<sip:b@{HERE}>")
        assert bench.sent(method) == [request]
        assert alice.last(RequestDone).response.status == 302


def test_a_redirected_request_goes_through_the_same_proxy(bench: Bench) -> None:
    alice = bench.phone("alice", ALICE, routes=["<sip:192.0.2.3;lr>"])
    alice.uac.request("MESSAGE", "sip:bob@far.test", bench.now, body=b"x", content_type="text/plain")
    bench.settle()
    bench.answer(bench.sent("MESSAGE")[-1], 302, contact="<sip:bob@elsewhere.test>")
    again = bench.sent("MESSAGE")[-1]
    assert (again.uri_text, again.get("route")) == ("sip:bob@elsewhere.test", "<sip:192.0.2.3;lr>")
    assert bench.wire[-1][2] == ("192.0.2.3", 5060)


@pytest.mark.row("INV-6", part="3xx")
def test_a_silent_contact_gives_way_to_the_next(bench: Bench) -> None:
    alice, _, invite = dial_far(bench)
    bench.answer(invite, 302, contact=f"<sip:a@{HERE}>, <sip:b@{HERE}>;q=0.5")
    bench.advance(33)
    assert targets(bench)[1:] == [f"sip:a@{HERE}", f"sip:b@{HERE}"]
    bench.answer(invites(bench)[-1], 486)
    assert alice.last(CallOver).message.status == 486


# amendments


@pytest.mark.row("INV-6", part="420")
@pytest.mark.rfc("3261 8.1.3.5")
def test_options_that_are_not_supported_there_are_left_out(bench: Bench) -> None:
    alice = bench.phone("alice", ALICE)
    headers = [("Require", "100rel, Timer"), ("Proxy-Require", "foo"), ("Subject", "x")]
    alice.uac.request("OPTIONS", FAR, bench.now, headers=headers)
    bench.settle()
    bench.answer(bench.sent("OPTIONS")[-1], 420, unsupported="timer, foo")
    again = bench.sent("OPTIONS")[-1]
    assert (again.require, again.get("proxy-require"), again.get("subject")) == (["100rel"], None, "x")
    bench.answer(again, 420, unsupported="timer")
    assert len(bench.sent("OPTIONS")) == 2
    assert alice.last(RequestDone).response.status == 420


@pytest.mark.row("INV-6", part="421")
@pytest.mark.rfc("3261 21.4.16")
def test_an_extension_that_is_demanded_is_offered_if_we_have_it(bench: Bench) -> None:
    alice = bench.phone("alice", ALICE, supported=["100rel"])
    alice.uac.request("OPTIONS", FAR, bench.now, headers=[("k", "replaces"), ("Subject", "x")])
    bench.settle()
    bench.answer(bench.sent("OPTIONS")[-1], 421, require="100Rel")
    again = bench.sent("OPTIONS")[-1]
    assert again.supported == ["replaces", "100rel"]
    bench.answer(again, 421, require="100rel")
    assert len(bench.sent("OPTIONS")) == 2
    alice.uac.request("OPTIONS", FAR, bench.now)
    bench.settle()
    bench.answer(bench.sent("OPTIONS")[-1], 421, require="gruu")
    assert len(bench.sent("OPTIONS")) == 3


@pytest.mark.row("INV-6", part="416")
def test_a_number_that_is_no_uri_there_is_dialled_in_our_own_domain(bench: Bench) -> None:
    alice = bench.phone("alice", ALICE, routes=["<sip:192.0.2.3;lr>"])
    dial(bench, alice, "tel:+4930123")
    bench.answer(invites(bench)[-1], 416)
    again = invites(bench)[-1]
    assert again.uri_text == "sip:+4930123@example.test;user=phone"
    bench.answer(again, 416)
    assert alice.last(CallOver).message.status == 416
    alice.account.uri = "tel:+4930999"
    dial(bench, alice, "tel:+4930123")
    bench.answer(invites(bench)[-1], 416)
    assert len(invites(bench)) == 3


@pytest.mark.row("INV-6", part="413")
@pytest.mark.row("INV-6", part="415")
@pytest.mark.parametrize("status", [413, 415])
def test_a_body_that_the_request_does_not_need_is_left_out(bench: Bench, status: int) -> None:
    alice = bench.phone("alice", ALICE)
    alice.uac.request("OPTIONS", FAR, bench.now, body=b"v=0\r\n", content_type=SDP)
    bench.settle()
    bench.answer(bench.sent("OPTIONS")[-1], status)
    again = bench.sent("OPTIONS")[-1]
    assert (again.body, again.get("content-type")) == (b"", None)
    bench.answer(again, status)
    assert alice.last(RequestDone).response.status == status
    _, _, invite = dial_far(bench)
    bench.answer(invite, status)
    assert invites(bench) == [invite], "what an INVITE offers is its user's to choose"


# the next address


@pytest.mark.row("TRN-3", part="failover")
@pytest.mark.rfc("3263 4.3")
def test_a_503_a_silence_and_an_error_send_the_call_to_the_next_address(bench: Bench) -> None:
    alice, _ = three_servers(bench)
    first = invites(bench)[-1]
    bench.answer(first, 100)
    bench.answer(first, 503)
    assert destinations(bench) == ["192.0.2.3", "192.0.2.4"]
    bench.advance(33)
    assert destinations(bench) == ["192.0.2.3", "192.0.2.4", "192.0.2.5"]
    last = invites(bench)[-1]
    branches = {invite.top_via.branch for invite in invites(bench)}
    assert len(branches) == 3
    assert last.cseq == first.cseq
    bench.answer(last, 200, body=ANSWER)
    assert alice.names() == ["CallAnswered"]
    assert len(bench.sent("ACK")) == 2


@pytest.mark.row("TRN-3", part="failover")
def test_when_no_address_is_left_the_last_failure_is_the_outcome(bench: Bench) -> None:
    alice, _ = three_servers(bench)
    bench.advance(97)
    assert len(destinations(bench)) == 3
    assert isinstance(alice.last(CallOver).error, TransactionTimeout)
    bench.advance(40)
    assert alice.leftovers() == {}


@pytest.mark.row("TRN-3", part="failover")
def test_other_requests_go_to_the_next_address_too(bench: Bench) -> None:
    alice, _ = three_servers(bench, "OPTIONS")
    key = (bench.sent("OPTIONS")[-1].top_via.branch, "OPTIONS")
    alice.layer.transport_failed(key, "port unreachable", bench.now)
    bench.settle()
    assert destinations(bench, "OPTIONS") == ["192.0.2.3", "192.0.2.4"]
    bench.advance(33)
    bench.answer(bench.sent("OPTIONS")[-1], 503)
    assert alice.last(RequestDone).response.status == 503
    bench.advance(40)
    assert alice.leftovers() == {}


def test_an_address_that_no_socket_reaches_is_passed_over(bench: Bench) -> None:
    bench.zone["far.test"] = ["192.0.2.4", "192.0.2.3"]
    alice = bench.phone("alice", ALICE)
    alice.unreachable.add("192.0.2.4")
    dial(bench, alice, "sip:carol@far.test")
    bench.settle()
    assert destinations(bench) == ["192.0.2.3"]
    alice.unreachable.add("192.0.2.3")
    dial(bench, alice, "sip:carol@far.test")
    bench.settle()
    assert isinstance(alice.last(CallOver).error, TransportError)


def test_a_challenge_is_answered_where_it_came_from(bench: Bench) -> None:
    three_servers(bench, password="secret")
    bench.answer(invites(bench)[-1], 503)
    bench.zone.clear()
    bench.answer(invites(bench)[-1], 401, WWW_Authenticate=CHALLENGE)
    assert invites(bench)[-1].get("authorization") is not None
    assert bench.wire[-1][2] == ("192.0.2.4", 5060)
    bench.answer(invites(bench)[-1], 503)
    assert bench.wire[-1][2] == ("192.0.2.5", 5060)


@pytest.mark.row("CAN-9")
@pytest.mark.parametrize("how", ["silence", "503"])
def test_a_call_that_was_withdrawn_goes_nowhere_else(bench: Bench, how: str) -> None:
    alice, number = three_servers(bench)
    alice.uac.cancel(number, bench.now)
    bench.settle()
    if how == "silence":
        bench.advance(33)
    else:
        bench.answer(invites(bench)[-1], 503)
    assert destinations(bench) == ["192.0.2.3"]
    assert alice.last(CallOver).reason is EndReason.CANCELLED
    bench.advance(66)
    assert alice.leftovers() == {}


def test_a_call_that_rings_is_not_made_elsewhere_when_the_way_breaks(bench: Bench) -> None:
    alice, _ = three_servers(bench)
    invite = invites(bench)[-1]
    bench.answer(invite, 180)
    alice.layer.abandon((invite.top_via.branch, "INVITE"), bench.now)
    bench.settle()
    assert isinstance(alice.last(CallOver).error, TransportError)
    assert destinations(bench) == ["192.0.2.3"]
    bench.advance(40)
    assert alice.leftovers() == {}


@pytest.mark.threat("T13")
def test_an_address_that_answers_when_it_was_given_up_is_acknowledged_and_left(bench: Bench) -> None:
    alice, number = three_servers(bench)
    late = invites(bench)[0]
    bench.advance(33)
    second = invites(bench)[-1]
    bench.answer(second, 200, to_tag="quick", body=ANSWER)
    assert isinstance(alice.last(CallAnswered), CallAnswered)
    bench.answer(late, 200, to_tag="late", body=ANSWER)
    assert [bye.to_tag for bye in bench.sent("BYE")] == ["late"]
    assert state(alice, number) is State.CONFIRMED
    bench.answer(bench.sent("BYE")[0], 200)
    alice.uac.hang_up(number, bench.now)
    bench.settle()
    bench.answer(bench.sent("BYE")[-1], 200)
    bench.advance(70)
    assert alice.leftovers() == {}
