"""Requests and responses made from parts."""

import pytest

from ringback.protocol.errors import LocalProtocolError, RemoteProtocolError
from ringback.protocol.message.build import build_error, build_request, build_response
from ringback.protocol.message.headers import make_line
from ringback.protocol.message.model import Request, Response
from ringback.protocol.message.parser import parse_message, validate
from tests.protocol.message.samples import INVITE, replaced, with_header

PARTS = {
    "via": "SIP/2.0/UDP a;branch=z9hG4bK1",
    "from_": "<sip:a@b>;tag=1",
    "to": "<sip:c@d>",
    "call_id": "x",
    "cseq": 7,
}


def received(data: bytes = INVITE) -> Request:
    message = parse_message(data)
    assert isinstance(message, Request)
    return message


@pytest.mark.rfc("3261 8.1.1")
def test_builds_a_request():
    request = build_request("OPTIONS", "sip:c@d", **PARTS, headers=[("Accept", "application/sdp"), ("X-Y", "z")])
    assert request.to_bytes() == (
        b"OPTIONS sip:c@d SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
        b"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 7 OPTIONS\r\n"
        b"Accept: application/sdp\r\nX-Y: z\r\nContent-Length: 0\r\n\r\n"
    )
    validate(request)
    again = parse_message(request.to_bytes())
    validate(again)
    assert again.lines == request.lines


def test_lines_made_once_stand_where_headers_made_now_would():
    headers = [("Allow", "OPTIONS"), ("accept", "application/sdp")]
    ready = [make_line(name, value) for name, value in headers]
    made_before = build_response(received(), 200, to_tag="t", ready=ready)
    assert made_before.to_bytes() == build_response(received(), 200, to_tag="t", headers=headers).to_bytes()
    assert made_before.allow == ["OPTIONS"]


def test_builds_a_request_with_a_body_and_several_vias():
    parts = {**PARTS, "via": ["SIP/2.0/UDP a", "SIP/2.0/UDP b"]}
    request = build_request("INVITE", "sip:c@d", **parts, max_forwards=5, body=b"v=0", content_type="application/sdp")
    assert [via.host for via in request.vias] == ["a", "b"]
    assert (request.max_forwards, request.content_type, request.content_length) == (5, "application/sdp", 3)


@pytest.mark.threat("T4")
@pytest.mark.parametrize("name", ["via", "from_", "to", "call_id"])
def test_refuses_line_ends_in_any_part(name):
    with pytest.raises(LocalProtocolError):
        build_request("OPTIONS", "sip:c@d", **{**PARTS, name: "x\r\ny: z"})


def test_refuses_a_bad_method_or_uri():
    with pytest.raises(LocalProtocolError):
        build_request("OPT IONS", "sip:c@d", **PARTS)
    with pytest.raises(LocalProtocolError):
        build_request("OPTIONS", "sip:c d", **PARTS)


@pytest.mark.rfc("3261 8.2.6.2")
def test_a_response_has_the_requests_lines_as_they_came():
    request = received(with_header("Record-Route: <sip:p;lr>"))
    response = build_response(request, 180, to_tag="t1")
    assert response.start_line == "SIP/2.0 180 Ringing"
    assert response.names == ["via", "via", "from", "to", "call-id", "cseq", "content-length"]
    assert response.lines[:2] == request.lines[:2]
    assert response.to_tag == "t1"
    validate(parse_message(response.to_bytes()))
    response = build_response(request, 200, "Fine", to_tag="t1", record_route=True, headers=[("Contact", "<sip:x@y>")])
    assert response.record_routes[0].uri.host == "p"
    assert (response.reason, response.contacts[0].uri_text) == ("Fine", "<sip:x@y>"[1:-1])


@pytest.mark.row("TRN-4", part="canonical output")
@pytest.mark.rfc("3261 7.3.3")
def test_what_a_response_copies_leaves_under_its_canonical_name_in_one_line():
    odd = INVITE
    for name, spelling in ((b"Via: ", b"v:"), (b"From: ", b"f:\r\n "), (b"To: ", b"TO :"), (b"Call-ID: ", b"i:\t")):
        odd = odd.replace(b"\r\n" + name, b"\r\n" + spelling)
    response = build_response(received(odd), 200, to_tag="t")
    assert response.to_bytes() == build_response(received(INVITE), 200, to_tag="t").to_bytes()


@pytest.mark.rfc("3261 8.2.6.1")
def test_a_100_has_no_tag_of_ours_and_the_timestamp():
    request = received(with_header("Timestamp: 54.2"))
    response = build_response(request, 100, to_tag="t1")
    assert (response.to_tag, response.get("timestamp")) == (None, "54.2")
    assert build_response(request, 200, to_tag="t1").get("timestamp") is None


def test_a_to_with_a_tag_keeps_it():
    request = received(replaced("To", "To: <sip:b@c>;tag=old"))
    assert build_response(request, 200, to_tag="new").get_all("to") == ["<sip:b@c>;tag=old"]
    folded = received(replaced("To", "t:\r\n sip:b@c"))
    response = build_response(folded, 200, to_tag="new")
    assert response.to_tag == "new"
    assert parse_message(response.to_bytes()).to_tag == "new"
    assert build_response(received(), 200).to_tag is None


def test_a_response_may_have_a_body_and_any_status_from_100_to_699():
    response = build_response(received(), 299, body=b"x", content_type="text/plain")
    assert (response.reason, response.body, response.content_length) == ("", b"x", 1)
    for status in (99, 700):
        with pytest.raises(LocalProtocolError):
            build_response(received(), status)


@pytest.mark.threat("T4")
def test_refuses_line_ends_in_reason_and_tag():
    for bad in ({"reason": "a\r\nb"}, {"to_tag": "a\nb"}, {"headers": [("X", "a\rb")]}, {"content_type": "a\0"}):
        with pytest.raises(LocalProtocolError):
            build_response(received(), 200, **bad)


def test_an_error_says_what_was_wrong_and_names_the_clause():
    error = RemoteProtocolError('bad "x"\r\n', status=505, clause="RFC 3261 §21.5.6")
    response = build_error(error, received(), "t1")
    assert isinstance(response, Response)
    assert response.start_line == "SIP/2.0 505 Version Not Supported"
    assert response.get("warning") == '399 ringback "bad \\"x\\"?? (RFC 3261 §21.5.6)"'
    assert response.to_tag == "t1"
    assert build_error(error, received()).to_tag is None


def test_an_error_copies_what_the_request_has():
    request = received(b'FOO sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nTo: "x\r\n\r\n')
    response = build_error(RemoteProtocolError("x"), request, "t1")
    assert response.names == ["via", "to", "warning", "content-length"]
    assert response.lines[1] == 'To: "x'
