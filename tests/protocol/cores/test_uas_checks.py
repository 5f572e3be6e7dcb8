"""What a UAS refuses, with what, and in which order (RFC 3261 §8.2)."""

from __future__ import annotations

import pytest

from ringback.protocol.cores.capabilities import Capabilities, accepts
from ringback.protocol.message.model import Request
from tests.protocol.cores.bench import BOB, CAROL, SDP, Bench, Phone


def far(
    method: str = "OPTIONS",
    uri: str = "sip:bob@192.0.2.2",
    *,
    branch: str = "1",
    to_tag: str = "",
    cseq: int = 5,
    call_id: str = "c1",
    tag: str = "far",
    body: bytes = b"",
    **headers: str,
) -> bytes:
    """A request from the test's address to Bob."""
    extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    to = f";tag={to_tag}" if to_tag else ""
    return (
        f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.3;branch=z9hG4bK{method}{branch}\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:far@192.0.2.3>;tag={tag}\r\nTo: <sip:bob@example.test>{to}\r\n"
        f"Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:far@192.0.2.3>\r\n{extra}"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


@pytest.fixture
def bob(bench: Bench) -> Phone:
    return bench.phone("bob", BOB, headers=[("Server", "bench")])


def status_of(bench: Bench, request: bytes) -> int | None:
    """Bob's answer to a request; None when there is none."""
    before = len(bench.wire)
    bench.inject(request, CAROL, BOB)
    answers = [message.status for _, source, _, message in bench.wire[before:] if source == BOB]
    return answers[-1] if answers else None


def refusal(bench: Bench, request: bytes) -> object:
    status_of(bench, request)
    return bench.wire[-1][3]


@pytest.mark.rfc("3261 8.2.1")
def test_a_method_that_nobody_knows_gets_501_with_allow(bench: Bench, bob: Phone) -> None:
    response = refusal(bench, far("DANCE"))
    assert response.status == 501
    assert response.allow == ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"]
    assert response.to_tag
    assert "8.2.1" in response.get("warning")
    assert response.get("server") == "bench"


@pytest.mark.rfc("3261 8.2.1")
@pytest.mark.parametrize("method", ["REGISTER", "MESSAGE", "SUBSCRIBE", "PRACK"])
def test_a_method_that_is_known_and_not_taken_gets_405_with_allow(bench: Bench, bob: Phone, method: str) -> None:
    response = refusal(bench, far(method))
    assert response.status == 405
    assert "INVITE" in response.allow


@pytest.mark.rfc("3261 8.2.2.1")
def test_a_request_uri_of_another_scheme_gets_416(bench: Bench, bob: Phone) -> None:
    assert status_of(bench, far(uri="tel:+4930123")) == 416
    assert status_of(bench, far(uri="sips:bob@192.0.2.2", branch="2")) == 200


@pytest.mark.row("DLG-1")
@pytest.mark.rfc("3261 8.2.2.2")
def test_the_same_request_by_another_path_gets_482(bench: Bench, bob: Phone) -> None:
    assert status_of(bench, far("INVITE", branch="one")) is None
    assert status_of(bench, far("INVITE", branch="two")) == 482
    assert status_of(bench, far("INVITE", branch="three", cseq=6)) is None
    assert status_of(bench, far("INVITE", branch="four", tag="other")) is None
    assert bob.names() == ["CallOffered"] * 3


@pytest.mark.rfc("3261 8.2.2.3")
def test_required_extensions_that_we_lack_get_420_and_are_named(bench: Bench, bob: Phone) -> None:
    response = refusal(bench, far(Require="100rel, nothing", Supported="timer"))
    assert response.status == 420
    assert response.get("unsupported") == "100rel, nothing"


def test_required_extensions_that_we_have_pass(bench: Bench) -> None:
    bench.phone("bob", BOB, can=Capabilities(supported=["timer"]))
    assert status_of(bench, far(Require="Timer")) == 200


@pytest.mark.row("INV-9", part="UAS")
@pytest.mark.rfc("3261 8.2.3")
def test_a_body_that_is_not_understood_gets_415_and_says_what_is(bench: Bench, bob: Phone) -> None:
    response = refusal(bench, far("INVITE", body=b"x", Content_Type="text/html"))
    assert (response.status, response.get("accept")) == (415, SDP)
    response = refusal(bench, far("INVITE", branch="2", cseq=6, body=b"x", Content_Type=SDP, Content_Encoding="gzip"))
    assert (response.status, response.get("accept-encoding")) == (415, "identity")
    assert status_of(bench, far("INVITE", branch="3", cseq=7, body=b"x")) == 415


@pytest.mark.rfc("3261 8.2.3")
@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Type": SDP, "Content_Encoding": "identity"},
        {"Content_Type": "Application/SDP ; charset=utf-8"},
        {"Content_Type": "text/html", "Content_Disposition": "render; handling=optional"},
    ],
)
def test_a_body_that_is_understood_or_optional_passes(bench: Bench, bob: Phone, headers: dict[str, str]) -> None:
    assert status_of(bench, far("INVITE", body=b"x", **headers)) is None
    assert bob.names() == ["CallOffered"]


@pytest.mark.rfc("3261 21.4.7")
def test_an_invite_whose_sender_reads_no_sdp_gets_406(bench: Bench, bob: Phone) -> None:
    assert status_of(bench, far("INVITE", Accept="text/nobodyKnowsThis")) == 406
    assert status_of(bench, far("INVITE", branch="2", cseq=6, Accept="text/x, application/*")) is None


@pytest.mark.parametrize(
    ("ranges", "fits"),
    [
        (["application/sdp"], True),
        (["APPLICATION/SDP;level=1"], True),
        (["*/*"], True),
        (["application/*;q=0.1"], True),
        (["application/sdp;q=0"], False),
        (["application/sdp; q = 0.000"], False),
        (["application/sdp;q=0.01"], True),
        (["text/*", "application/pidf+xml"], False),
        ([], False),
    ],
)
@pytest.mark.rfc("3261 20.1")
def test_accept_ranges(ranges: list[str], fits: bool) -> None:
    assert accepts(ranges, SDP) is fits


@pytest.mark.row("DLG-1")
@pytest.mark.row("BYE-2")
@pytest.mark.rfc("3261 12.2.2")
@pytest.mark.parametrize("method", ["INVITE", "BYE", "OPTIONS", "MESSAGE"])
def test_a_to_tag_of_no_dialog_gets_481(bench: Bench, method: str) -> None:
    bench.phone("bob", BOB, can=Capabilities(methods=["MESSAGE"]))
    response = refusal(bench, far(method, to_tag="nobody"))
    assert response.status == 481
    assert response.to_tag == "nobody"


@pytest.mark.row("BYE-2")
def test_a_bye_outside_of_any_dialog_gets_481(bench: Bench, bob: Phone) -> None:
    assert status_of(bench, far("BYE", body=b"x", Content_Type="text/html")) == 481


@pytest.mark.row("ACK-1")
@pytest.mark.row("DLG-1")
@pytest.mark.parametrize("headers", [{}, {"to_tag": "nobody"}, {"Require": "nothing"}, {"body": b"x"}])
def test_nothing_ever_answers_an_ack(bench: Bench, bob: Phone, headers: dict[str, object]) -> None:
    assert status_of(bench, far("ACK", **headers)) is None
    assert bob.leftovers() == {}


@pytest.mark.row("CAN-8")
@pytest.mark.rfc("3261 9.2")
def test_a_cancel_that_matches_nothing_gets_481_and_leaves_no_trace(bench: Bench, bob: Phone) -> None:
    response = refusal(bench, far("CANCEL", Require="ignored"))
    assert response.status == 481
    assert response.to_tag
    assert bob.leftovers() == {}


@pytest.mark.row("AUT-1", part="UAS")
@pytest.mark.rfc("3261 22.2")
def test_a_uas_challenges_with_401_whatever_but_ack_and_cancel(bench: Bench) -> None:
    def challenge(request: Request, now: float) -> list[str]:
        return [] if request.get("authorization") else ['Digest realm="x", nonce="1"', 'Digest realm="x", nonce="2"']

    bob = bench.phone("bob", BOB, challenge=challenge)
    response = refusal(bench, far("DANCE"))
    assert response.status == 401
    assert len(response.get_all("www-authenticate")) == 2
    assert bob.leftovers() == {}
    assert status_of(bench, far("CANCEL")) == 481
    assert status_of(bench, far("ACK", to_tag="x")) is None
    assert status_of(bench, far(branch="2", Authorization='Digest realm="x"')) == 200


@pytest.mark.rfc("3261 8.2")
def test_the_first_check_that_fails_decides(bench: Bench, bob: Phone) -> None:
    everything = {"Require": "nothing", "Accept": "text/x", "Content_Type": "text/html", "body": b"x"}
    assert status_of(bench, far("DANCE", "tel:1", to_tag="x", branch="1", **everything)) == 501
    assert status_of(bench, far("INVITE", "tel:1", to_tag="x", branch="2", **everything)) == 416
    assert status_of(bench, far("INVITE", to_tag="x", branch="3", **everything)) == 420
    del everything["Require"]
    assert status_of(bench, far("INVITE", to_tag="x", branch="4", **everything)) == 415
    del everything["body"]
    assert status_of(bench, far("INVITE", to_tag="x", branch="5", **everything)) == 406
    assert status_of(bench, far("INVITE", to_tag="x", branch="6")) == 481


def test_what_cannot_be_parsed_on_the_way_is_refused(bench: Bench, bob: Phone) -> None:
    assert status_of(bench, far(Require='"unclosed, x')) == 400


# OPTIONS


@pytest.mark.row("OPT-1", part="UA")
@pytest.mark.row("OPT-3")
@pytest.mark.rfc("3261 11.2")
def test_options_is_answered_with_what_we_can_do(bench: Bench) -> None:
    can = Capabilities(methods=["MESSAGE", "INVITE"], accept=["text/plain", SDP], supported=["timer"], sdp=b"v=0\r\n")
    bench.phone("bob", BOB, can=can)
    response = refusal(bench, far())
    assert response.status == 200
    assert response.get("allow") == "INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE"
    assert response.get("accept") == "application/sdp, text/plain"
    assert response.get("accept-encoding") == "identity"
    assert response.get("accept-language") == "en"
    assert response.get("supported") == "timer"
    assert response.get("contact") == "<sip:bob@192.0.2.2:5060>"
    assert (response.body, response.content_type) == (b"v=0\r\n", SDP)


@pytest.mark.row("OPT-3")
def test_options_gets_no_body_that_its_sender_cannot_read(bench: Bench) -> None:
    bench.phone("bob", BOB, can=Capabilities(sdp=b"v=0\r\n"))
    assert refusal(bench, far(Accept="text/plain")).body == b""
    assert refusal(bench, far(branch="2", cseq=6, Accept=SDP)).body == b"v=0\r\n"


@pytest.mark.row("OPT-3")
def test_options_says_that_nothing_is_supported_when_nothing_is(bench: Bench, bob: Phone) -> None:
    response = refusal(bench, far())
    assert response.get("supported") == ""
    assert response.body == b""


@pytest.mark.row("OPT-5")
@pytest.mark.row("INV-9", part="UAS")
def test_a_busy_phone_says_486_to_invite_and_options_outside_a_dialog(bench: Bench, bob: Phone) -> None:
    bob.uas.busy = True
    assert status_of(bench, far("INVITE")) == 486
    assert status_of(bench, far("OPTIONS")) == 486
    assert status_of(bench, far("BYE")) == 481
    assert bob.told == []


@pytest.mark.row("OPT-5")
@pytest.mark.row("INV-9", part="UAS")
def test_a_phone_that_takes_no_calls_says_480_to_invite_and_options(bench: Bench, bob: Phone) -> None:
    bob.uas.takes_calls = False
    assert status_of(bench, far("INVITE")) == 480
    assert status_of(bench, far("OPTIONS")) == 480
    assert bob.told == []


@pytest.mark.threat("T7")
def test_more_calls_than_allowed_are_busy(bench: Bench) -> None:
    bob = bench.phone("bob", BOB, most_calls=2)
    statuses = [status_of(bench, far("INVITE", branch=str(turn), call_id=f"c{turn}")) for turn in range(3)]
    assert statuses == [None, None, 486]
    assert bob.names() == ["CallOffered", "CallOffered"]
