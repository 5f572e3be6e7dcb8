"""A datagram becomes a message or one documented error; the door check lets through what can be routed."""

import pytest

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.grammar import quote
from ringback.protocol.message.build import build_error
from ringback.protocol.message.model import Request, Response
from ringback.protocol.message.parser import Limits, is_keepalive, parse_message, validate
from tests.protocol.message.samples import INVITE, OK, replaced, with_header


def refusal(data: bytes, limits: Limits | None = None) -> RemoteProtocolError:
    """The error of parsing and validating ``data``."""

    def accept() -> None:
        validate(parse_message(data, limits or Limits()), limits or Limits())

    with pytest.raises(RemoteProtocolError) as caught:
        accept()
    return caught.value


@pytest.mark.parametrize("data", [INVITE, OK])
def test_an_untouched_message_is_the_datagram_itself(data):
    message = parse_message(data)
    assert message.to_bytes() is data
    validate(message)


def test_keepalives_are_no_messages():
    for data in (b"", b"\r\n", b"\r\n\r\n", b"\0", b"\0\0\0\0", b"\n"):
        assert is_keepalive(data)
    for data in (b"\r\nA", b"INVITE", OK, b" "):
        assert not is_keepalive(data)


@pytest.mark.rfc("3261 7.5")
def test_skips_empty_lines_before_the_start_line():
    message = parse_message(b"\r\n" * 3 + INVITE)
    assert message.to_bytes() == INVITE


@pytest.mark.rfc("3261 18.3")
def test_drops_what_stands_behind_the_content_length():
    message = parse_message(INVITE + b"rest")
    assert (message.body, message.to_bytes()) == (b"v=0\r\n", INVITE)
    message = parse_message(replaced("Content-Length", "l:3"))
    assert message.body == b"v=0"
    message = parse_message(replaced("Content-Length", ""))
    assert message.body == b"v=0\r\n"
    message = parse_message(replaced("Content-Length", "Content-Length  :\r\n\t0000000005 "))
    assert message.body == b"v=0\r\n"


@pytest.mark.rfc("3261 18.3")
@pytest.mark.threat("T1")
@pytest.mark.parametrize(
    "text", ["6", "-1", "+5", " -1", "5 5", "5,5", "1_0", "٣", "", "x", str(2**31), str(2**32), str(2**64), "9" * 5000]
)
def test_refuses_a_length_that_is_wrong(text):
    error = refusal(replaced("Content-Length", f"Content-Length: {text}"))
    assert (error.status, error.header) == (400, "Content-Length")
    assert isinstance(error.message, Request)


@pytest.mark.threat("T4")
@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Content-Length", "Content-Length:9: 5"),
        ("Call-ID", "Call-ID:a: b"),
        ("Max-Forwards", "Max-Forwards:9: 7"),
        ("CSeq", "CSeq:2 X: 1 INVITE"),
        ("To", "To:x: <sip:a@b>"),
        ("Via", "Via:x: SIP/2.0/UDP a"),
    ],
)
def test_a_value_starts_at_the_first_colon(name, line):
    assert refusal(replaced(name, line)).header == name


@pytest.mark.threat("T4")
@pytest.mark.parametrize("line", ["Content-Length: 5", "l: 0", "Content-Length : 5", "CONTENT-LENGTH: 5"])
def test_refuses_two_lengths_even_if_they_agree(line):
    assert refusal(with_header(line)).header == "Content-Length"


@pytest.mark.threat("T4")
@pytest.mark.parametrize(
    "data",
    [
        INVITE.replace(b"\r\n", b"\n"),
        INVITE.replace(b"\r\nCall-ID", b"\nCall-ID"),
        INVITE.replace(b"\r\nCall-ID", b"\rCall-ID"),
        with_header("X: a\nVia: SIP/2.0/UDP evil"),
        with_header("X: a\rb"),
        with_header("X: a\n b"),
        with_header("X: \r"),
        with_header("X: a\n\nINVITE sip:x@y SIP/2.0"),
        INVITE.partition(b"\r\n\r\n")[0] + b"\r\n",
        INVITE.replace(b"\r\n\r\n", b"\r\n", 1),
        b"INVITE",
        b" ",
        b"\x00\x01\x02\x03",
    ],
)
def test_refuses_every_line_end_but_crlf_and_a_head_that_does_not_end(data):
    error = refusal(data)
    assert error.status == 400
    if error.message is not None:
        assert all("\r" not in line and "\n" not in line for line in error.message.lines)


def test_a_refused_request_can_still_be_answered():
    error = refusal(INVITE.replace(b"\r\n", b"\n"))
    assert isinstance(error.message, Request)
    assert error.message.call_id == "c1@192.0.2.1"
    assert len(error.message.vias) == 3
    assert error.message.supported == ["timer", "100rel", "path"]
    assert isinstance(refusal(OK.replace(b"\r\n", b"\n")).message, Response)


def test_a_refused_head_is_read_only_as_far_as_it_is_whole():
    data = INVITE.replace(b"\r\n\r\n", b"\r\n", 1).replace(b"v=0\r\n", b"X: " + b"a" * 9000)
    error = refusal(data)
    assert error.message.names[-1] == "content-length"
    assert error.message.get("x") is None


@pytest.mark.rfc("3261 7.3.1")
@pytest.mark.threat("T4")
@pytest.mark.parametrize(
    "line", ["Foo bar: x", "Foobar roobar", ": x", "Via", "Supported", "é: x", "X\0: y", "\x0bX: y", ""]
)
def test_refuses_a_header_without_a_name(line):
    data = with_header(line) if line else INVITE.replace(b"\r\nVia", b"\r\n :\r\nVia", 1)
    error = refusal(data)
    assert error.status == 400
    assert error.message.call_id == "c1@192.0.2.1"


@pytest.mark.threat("T3")
def test_counts_the_via_values_of_every_line():
    limits = Limits(via_count=4)
    for vias in (["a", "b,c,d"], ["a,b,c", "d"], ["a", "b", "c", "d"], ["a,b,c,d"]):
        lines = [f"Via: {','.join([f'SIP/2.0/UDP {host}' for host in line.split(',')])}" for line in vias]
        data = replaced("Via", "", INVITE).replace(b"Max-Forwards", "\r\n".join([*lines, "Max-Forwards"]).encode())
        validate(parse_message(data, limits), limits)
        more = data.replace(b"Max-Forwards", b"v: SIP/2.0/UDP e\r\nMax-Forwards")
        assert refusal(more, limits).header == "Via"


@pytest.mark.threat("T4")
def test_refuses_a_nul_that_nothing_escapes_and_repeats_it_in_no_answer():
    for line in ("Subject: a\0b", "Require: \0", "Reason: SIP;text=\0", 'X: "\\\0\0"'):
        error = refusal(with_header(line))
        assert error.status == 400
        assert error.message.call_id == "c1@192.0.2.1"
        assert not any("\0" in each for each in error.message.lines)
    error = refusal(replaced("From", "From: a\0 <sip:alice@example.com>;tag=a1"))
    assert "\0" not in build_error(error, error.message, "t").to_bytes().decode()


@pytest.mark.threat("T4")
@pytest.mark.rfc("4475 3.1.1.2")
def test_a_nul_that_came_escaped_can_leave_by_every_edit():
    message = parse_message(with_header('Path: "NUL:\\\0 DEL:\\\x7f" <sip:a@b>;x="\\\0"'))
    [path] = message.paths
    for value in (message.get("path"), str(path), quote(path.display)):
        message.set("Path", value)
        assert parse_message(message.to_bytes()).get("path") == value
    assert path.display == "NUL:\0 DEL:\x7f"


def test_keeps_folds_within_their_line():
    data = with_header("X: a\r\n  b :\r\n\tVia: c\r\n ")
    message = parse_message(data)
    assert message.get("x") == "a b : Via: c"
    assert message.names.count("via") == 2
    assert message.to_bytes() == data
    message.remove("x")
    assert message.to_bytes() == INVITE


@pytest.mark.threat("T4")
def test_a_continuation_line_never_becomes_a_header():
    parse_message(INVITE).get(" Via")
    message = parse_message(with_header("X: a\r\n Via: SIP/2.0/UDP evil"))
    assert message.names.count("via") == 2


@pytest.mark.rfc("3261 7.1")
@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("INVITE sip:a@b SIP/3.0", 505),
        ("INVITE sip:a@b SIP/2.1", 505),
        ("INVITE sip:a@b HTTP/1.1", 400),
        ("INVITE sip:a@b", 400),
        ("INVITE sip:a@b ", 400),
        ("INVITE  SIP/2.0", 400),
        ("INVITE", 400),
        ("", 400),
        (" INVITE sip:a@b SIP/2.0", 400),
        ("INVITE\tsip:a@b\tSIP/2.0", 400),
        ("INVITE sip:a@b SIP/2.0 ", 400),
        ("INVITE sip:a@b SIP/2.0x", 400),
        ("INVITE  sip:a@b SIP/2.0", 400),
        ("INVITE sip:a@b  SIP/2.0", 400),
        ("INVITE sip:a b SIP/2.0", 400),
        ("INVITE sip:a\tb@c SIP/2.0", 400),
        ("IN(VITE sip:a@b SIP/2.0", 400),
        ("INVITE <sip:a@b> SIP/2.0", 400),
        ("INVITE sip:a@b?x=y SIP/2.0", 400),
        ("invite sip:a@b SIP/2.0", 501),
    ],
)
def test_refuses_a_bad_request_line(line, status):
    assert refusal(INVITE.replace(b"INVITE sip:bob@example.com SIP/2.0", line.encode(), 1)).status == status


@pytest.mark.rfc("3261 7.2")
@pytest.mark.threat("T1")
@pytest.mark.parametrize(
    "line",
    [
        *("SIP/2.0 20 OK", "SIP/2.0 2000 OK", "SIP/2.0 099 OK", "SIP/2.0 700 OK", "SIP/2.0 4294967301 OK", "SIP/2.0"),
        *("SIP/2.0 2x0 OK", "SIP/2.0 -20 OK", "SIP/2.0 ٣٣٣ OK", "SIP/3.0 200 OK", "SIP/2.0  200 OK", "SIP/2.0 200OK"),
    ],
)
def test_a_bad_status_line_makes_a_response_to_drop(line):
    assert isinstance(refusal(OK.replace(b"SIP/2.0 200 OK", line.encode(), 1)).message, Response)


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        ("SIP/2.0 200 ", 200, ""),
        ("SIP/2.0 200", 200, ""),
        ("sip/2.0 180 Es klingelt  laut ", 180, "Es klingelt  laut "),
        ("SIP/2.0 699 x", 699, "x"),
    ],
)
def test_reads_a_status_line(line, status, reason):
    message = parse_message(OK.replace(b"SIP/2.0 200 OK", line.encode(), 1))
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (status, reason)


@pytest.mark.rfc("3261 7.1")
def test_reads_a_request_line_of_any_method_and_a_version_in_any_case():
    message = parse_message(INVITE.replace(b"INVITE sip:bob@example.com SIP/2.0", b"FOO tel:+1 sip/2.0"))
    assert isinstance(message, Request)
    assert (message.method, message.uri.scheme) == ("FOO", "tel")
    message.remove("x-odd")
    assert message.to_bytes().startswith(b"FOO tel:+1 SIP/2.0\r\n")


@pytest.mark.threat("T3")
def test_holds_a_message_to_its_limits():
    long = b"a" * 9000
    start = INVITE.replace(b"sip:bob@", b"sip:" + long + b"@", 1)
    assert (refusal(start).status, refusal(start).clause) == (414, "RFC 3261 §21.4.12")
    assert refusal(with_header("X: " + "é" * 4100)).status == 400
    assert refusal(with_header("Subject: " + "a" * 9000)).header == "Subject"
    folded = with_header("X: a" + "\r\n a" * 3000)
    assert refusal(folded).status == 400
    assert refusal(with_header("X: y\r\n" * 300 + "X: y")).status == 400
    assert refusal(INVITE + b"x" * 66000).status == 513
    assert refusal(INVITE, Limits(body=4)).status == 413
    assert refusal(INVITE, Limits(message=100)).status == 513
    for separator in (b", ", b"\r\nVia: "):
        vias = INVITE.replace(b"\r\nVia: ", b"\r\nVia: " + b"SIP/2.0/UDP b%s" % separator * 128, 1)
        assert refusal(vias).header == "Via"
    for name in ("Contact", "Route", "Record-Route"):
        many = with_header(f"{name}: <sip:a@b>" + ",<sip:a@b>" * 260)
        error = refusal(many)
        assert (error.status, error.header) == (400, name)
    for start, line in [(INVITE, "a" * 8100), (OK, "é" * 4000)]:
        validate(parse_message(with_header(f"X: {line}", start)))


@pytest.mark.rfc("3261 8.1.1")
@pytest.mark.parametrize("name", ["Via", "From", "To", "Call-ID", "CSeq"])
@pytest.mark.parametrize("data", [INVITE, OK])
def test_the_door_wants_every_mandatory_header(name, data):
    error = refusal(replaced(name, "", data))
    assert (error.status, error.header) == (400, name)
    assert error.message is not None


@pytest.mark.threat("T4")
@pytest.mark.parametrize(
    "line",
    [
        "f: <sip:a@b>;tag=x",
        "To : <sip:a@b>",
        "i:x",
        "CSEQ: 1 INVITE",
        "max-forwards\t: 1",
        "c: text/plain",
        "Event: a\r\no: b",
        "Expires: 1\r\nExpires: 1",
        "Refer-To: <sip:a@b>\r\nr: <sip:a@b>",
        "Session-Expires: 90\r\nx: 90",
    ],
)
def test_the_door_wants_single_headers_once(line):
    error = refusal(with_header(line))
    assert (error.status, error.clause) == (400, "RFC 3261 §7.3.1")


def test_the_door_lets_headers_repeat_that_may():
    lines = "Via: SIP/2.0/UDP a\r\nRoute: <sip:a>\r\nRoute: <sip:b>\r\n"
    lines += "Authorization: Digest a=b\r\nAuthorization: X\r\nX-A: 1\r\nX-A: 2"
    validate(parse_message(with_header(lines)))


@pytest.mark.rfc("3261 8.1.1.5")
@pytest.mark.parametrize(("method", "status"), [("BYE", 400), ("invite", 501), ("FOO", 501)])
def test_the_door_wants_the_method_in_cseq(method, status):
    error = refusal(INVITE.replace(b"INVITE", method.encode(), 1))
    assert (error.status, error.header) == (status, "CSeq")


@pytest.mark.rfc("3261 8.1.1.7")
@pytest.mark.parametrize("branch", ["z9hG4bK", "Z9HG4BK"])
def test_the_door_refuses_a_branch_that_is_the_bare_cookie(branch):
    assert refusal(INVITE.replace(b"z9hG4bK1", branch.encode(), 1)).header == "Via"


@pytest.mark.rfc("3261 16.3")
@pytest.mark.parametrize("lower", ["\r\nVia: b", ", b", " , b;;", "\r\nv: SIP/2.0/UDP c;branch=;x"])
def test_a_lower_via_is_its_owners_business_and_goes_on_as_it_came(lower):
    message = parse_message(replaced("Via", f"Via: SIP/2.0/UDP a;branch=z9hG4bK1{lower}"))
    validate(message)
    assert message.top_via.branch == "z9hG4bK1"
    assert message.pop_first("via") == "SIP/2.0/UDP a;branch=z9hG4bK1"
    assert message.get("via") == lower.strip("\r\n ,").removeprefix("Via: ").removeprefix("v: ")
    with pytest.raises(RemoteProtocolError):
        _ = message.vias


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Via", "Via: SIP/2.0/UDP a;;"),
        ("Via", "Via: b, SIP/2.0/UDP a"),
        ("Via", "Via:"),
        ("Via", 'Via: SIP/2.0/UDP a;x="'),
        ("From", "From: sip"),
        ("To", 'To: "a'),
        ("Call-ID", "Call-ID: a b"),
        ("CSeq", "CSeq: INVITE"),
        ("Contact", "Contact: <sip:a@b>;;"),
        ("Contact", "Contact:"),
        ("Contact", "Contact: <sip:a@b>,"),
        ("Route", "Route: x"),
        ("Record-Route", "Record-Route: <sip:a"),
        ("Max-Forwards", "Max-Forwards: x"),
    ],
)
def test_the_door_reads_what_routing_and_dialogs_need(name, line):
    data = with_header(line) if name in ("Route", "Record-Route") else replaced(name, line)
    error = refusal(data)
    assert (error.status, error.header) == (400, name)
    assert isinstance(error.message, Request)


def test_the_door_does_not_want_max_forwards_in_a_response():
    validate(parse_message(with_header("Max-Forwards: x", OK)))


def test_an_empty_route_is_none():
    message = parse_message(with_header("Route: "))
    validate(message)
    assert not message.has("route")
    assert message.routes == []
    assert b"\r\nRoute" not in message.to_bytes()
    assert refusal(with_header("Route:\r\nRoute: <sip:a;lr>")).header == "Route"
