"""Messages are read on first touch and written back as they came; an edit changes its own lines only."""

import pytest

from ringback.protocol.errors import LocalProtocolError, RemoteProtocolError
from ringback.protocol.message.model import Request, Response
from ringback.protocol.message.parser import parse_message, validate
from ringback.protocol.message.values import Via
from tests.protocol.message.samples import INVITE, OK, replaced, with_header


@pytest.fixture
def request_() -> Request:
    message = parse_message(INVITE)
    assert isinstance(message, Request)
    return message


@pytest.fixture
def response() -> Response:
    message = parse_message(OK)
    assert isinstance(message, Response)
    return message


def test_reads_headers_in_any_spelling(request_):
    assert request_.get("CALL-ID") == request_.get("i") == "c1@192.0.2.1"
    assert request_.get("supported") == "Timer, 100rel"
    assert request_.get_all("supported") == ["Timer, 100rel", "path"]
    assert request_.values("supported") == ["Timer", "100rel", "path"]
    assert request_.get("x-odd") == "café \udcff"
    assert request_.get("subject") is None
    assert request_.get_all("subject") == request_.values("subject") == []
    assert request_.values("cseq") == ["1 INVITE"]
    assert request_.has("K")
    assert not request_.has("route")
    assert not request_.has("no token")


def test_reads_typed_values(request_, response):
    assert request_.start_line == "INVITE sip:bob@example.com SIP/2.0"
    assert [via.branch for via in request_.vias] == ["z9hG4bK1", "z9hG4bK2", "z9hG4bK3"]
    assert request_.top_via is request_.vias[0]
    assert request_.from_.display == "Alice"
    assert (request_.from_tag, request_.to_tag) == ("a1", None)
    assert request_.call_id == "c1@192.0.2.1"
    assert (request_.cseq.number, request_.cseq.method) == (1, "INVITE")
    assert [str(contact) for contact in request_.contacts] == ["<sip:alice@192.0.2.1>"]
    assert (request_.max_forwards, request_.expires, request_.content_length) == (70, None, 5)
    assert request_.content_type == "application/sdp"
    assert request_.supported == ["timer", "100rel", "path"]
    assert request_.require == request_.proxy_require == request_.unsupported == []
    assert request_.allow == request_.accept == []
    assert (
        request_.routes == request_.record_routes == request_.paths == request_.addresses("P-Asserted-Identity") == []
    )
    assert request_.uri.host == "example.com"
    assert request_.uri is request_.uri
    assert (response.status, response.reason, response.to_tag) == (200, "OK", "b1")
    assert (response.contacts, response.max_forwards, response.content_type) == ([], None, None)
    assert response.content_length == 0
    assert response.top_via is response.top_via is response.vias[0]
    assert repr(request_) == "<Request INVITE sip:bob@example.com SIP/2.0>"
    assert repr(response) == "<Response SIP/2.0 200 OK>"


def test_reading_twice_gives_the_same_value(request_):
    for name in ("top_via", "vias", "from_", "to", "cseq", "contacts", "call_id"):
        assert getattr(request_, name) is getattr(request_, name)


def test_reads_tags_with_the_address_parsed_and_without():
    for to, tag in [
        ("<sip:b@c>;tag=x", "x"),
        ("<sip:b@c>", None),
        ("<sip:b@c>;x=y;tag=x", "x"),
        ("<sip:b@c> ; TAG = x", "x"),
        ("sip:b@c;tag=x", "x"),
        ("sip:b@c", None),
        ('"a>;tag=no" <sip:b@c>', None),
        ('<sip:b@c>;x=">;tag=no"', None),
        ('<sip:b@c>;x=">;tag=no";tag=x', "x"),
        ("\r\n <sip:b@c>\r\n ;tag=x", "x"),
    ]:
        message = parse_message(replaced("To", f"To: {to}"))
        assert message.to_tag == tag
        assert message.to.tag == tag
        assert message.to_tag == tag


@pytest.mark.threat("T1")
@pytest.mark.parametrize("to", ["<sip:b@c>;tag", "<sip:b@c>;tag=", '<sip:b@c>;tag="x"', "<sip:b@c>;tag=a;tag=a"])
def test_a_tag_that_is_no_token_is_refused(to):
    message = parse_message(replaced("To", f"To: {to}"))
    for name in ("to_tag", "to"):
        with pytest.raises(RemoteProtocolError) as caught:
            getattr(message, name)
        assert (caught.value.header, caught.value.message) == ("To", message)


def test_a_malformed_value_raises_when_it_is_read_and_names_its_header():
    for name, line, read in [
        ("Contact", "Contact: <sip:a@b", "contacts"),
        ("Call-ID", "Call-ID: a b", "call_id"),
        ("CSeq", "CSeq: x", "cseq"),
        ("From", "From: x", "from_"),
        ("Max-Forwards", "Max-Forwards: x", "max_forwards"),
    ]:
        message = parse_message(replaced(name, line))
        with pytest.raises(RemoteProtocolError) as caught:
            getattr(message, read)
        assert (caught.value.header, caught.value.message, caught.value.status) == (name, message, 400)
    message = parse_message(replaced("Via", "Via: x"))
    for read in ("vias", "top_via"):
        with pytest.raises(RemoteProtocolError) as caught:
            getattr(message, read)
        assert (caught.value.header, caught.value.message) == ("Via", message)
    message = parse_message(with_header('Allow: "a'))
    with pytest.raises(RemoteProtocolError) as caught:
        _ = message.allow
    assert (caught.value.header, caught.value.message) == ("Allow", message)


def test_a_missing_single_header_raises_when_it_is_read():
    message = parse_message(b"ACK sip:a@b SIP/2.0\r\n\r\n")
    for name, read in [("From", "from_"), ("To", "to"), ("Call-ID", "call_id"), ("CSeq", "cseq"), ("Via", "top_via")]:
        with pytest.raises(RemoteProtocolError) as caught:
            getattr(message, read)
        assert (caught.value.header, caught.value.message) == (name, message)
    for read in ("from_tag", "to_tag"):
        with pytest.raises(RemoteProtocolError):
            getattr(message, read)
    assert message.vias == []


def test_a_bad_request_uri_raises_when_it_is_read():
    message = parse_message(INVITE.replace(b"sip:bob@example.com SIP", b"sip: SIP", 1))
    assert isinstance(message, Request)
    with pytest.raises(RemoteProtocolError) as caught:
        _ = message.uri
    assert (caught.value.header, caught.value.message) == ("Request-URI", message)


def test_reads_the_white_space_that_the_grammar_allows():
    message = parse_message(replaced("CSeq", "CSeq :\t1 \t INVITE "))
    assert message.cseq.number == 1
    message = parse_message(replaced("Call-ID", "i:\r\n a@b \t"))
    assert message.call_id == "a@b"


@pytest.mark.rfc("3261 10.2.2")
def test_a_lone_star_is_no_contact():
    for line in ("Contact: *", "m:* \t", "Contact:\r\n *"):
        message = parse_message(replaced("Contact", line))
        assert message.contacts == []
        assert message.contact_is_star
    for line in ("Contact: *\r\nContact: *", "Contact: *, <sip:a@b>", "Contact: <sip:a@b>\r\nm: *", "Contact: **"):
        message = parse_message(replaced("Contact", line))
        assert not message.contact_is_star
        with pytest.raises(RemoteProtocolError):
            _ = message.contacts
    assert not parse_message(INVITE).contact_is_star


@pytest.mark.threat("T1")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("70", 70),
        ("255", 255),
        ("0068", 68),
        ("256", None),
        (str(2**31), None),
        (str(2**32), None),
        (str(2**64), None),
        ("9" * 5000, None),
        ("0" * 30 + "1", None),
    ],
)
def test_reads_max_forwards_and_takes_one_that_is_too_large_as_absent(text, value):
    assert parse_message(replaced("Max-Forwards", f"Max-Forwards: {text}")).max_forwards == value


@pytest.mark.threat("T1")
@pytest.mark.parametrize("name", ["Max-Forwards", "Content-Length"])
@pytest.mark.parametrize("text", ["-1", "+1", "1_0", "٣", "", "x", "0x1", "1 0", "1,1"])
def test_refuses_what_is_no_number(name, text):
    with pytest.raises(RemoteProtocolError) as caught:
        _ = parse_message(replaced(name, f"{name}: {text}")).max_forwards
    assert (caught.value.header, caught.value.status) == (name, 400)
    assert isinstance(caught.value.message, Request)


def test_set_makes_one_line_where_the_first_was(request_):
    request_.set("supported", "gruu")
    assert request_.lines.index("Supported: gruu") == request_.names.index("supported") == 9
    assert request_.supported == ["gruu"]
    request_.set("Subject", "hello")
    assert request_.lines[-1] == "Subject: hello"
    request_.set("subject", "again")
    assert request_.get_all("s") == ["again"]


def test_append_goes_behind_the_last_line_of_that_header(request_):
    request_.append("v", "SIP/2.0/UDP z;branch=z9hG4bK9")
    assert request_.names[:4] == ["via", "via", "via", "max-forwards"]
    assert len(request_.vias) == 4
    request_.append("X-New", "1")
    request_.append("x-other", "2")
    assert request_.lines[-2:] == ["X-New: 1", "X-Other: 2"]
    assert request_.get("x-new") == "1"


def test_prepend_goes_before_the_first_line_of_that_header(request_):
    request_.prepend("Supported", "gruu")
    assert request_.supported == ["gruu", "timer", "100rel", "path"]
    request_.prepend("record-route", "<sip:p;lr>")
    assert request_.lines[0] == "Record-Route: <sip:p;lr>"
    assert request_.record_routes[0].uri.lr


@pytest.mark.threat("T4")
def test_remove_leaves_none_under_any_spelling():
    """CVE-2020-28361: a header with white space before its colon escaped removal."""
    spellings = ["P-Asserted-Identity", "p-asserted-IDENTITY ", "P-ASSERTED-IDENTITY\t", "P-Asserted-Identity \t "]
    data = INVITE
    for spelling in spellings:
        data = with_header(f"{spelling}: <sip:evil@x>", data)
        data = with_header(f"{spelling}:\r\n <sip:evil@y>", data)
    request = parse_message(data)
    assert len(request.get_all("p-asserted-identity")) == 8
    request.remove("P-Asserted-Identity")
    request.remove("P-Asserted-Identity")
    assert b"asserted" not in request.to_bytes().lower()
    assert request.to_bytes() == INVITE
    request.remove("Contact")
    request.remove("Supported")
    assert request.get("m") is None
    assert b"Timer" not in request.to_bytes()


def test_pop_first_takes_one_value_and_leaves_the_rest_parsed(request_):
    assert [via.transport for via in request_.vias] == ["UDP", "TCP", "UDP"]
    second = request_.vias[1]
    assert request_.pop_first("via") == "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport"
    assert request_.top_via is second
    assert request_.pop_first("via") == "SIP/2.0/TCP 192.0.2.2;branch=z9hG4bK2"
    assert request_.lines[0] == "Via: SIP/2.0/UDP 192.0.2.3;branch=z9hG4bK3"
    assert request_.top_via.branch == "z9hG4bK3"
    assert request_.pop_first("via") == "SIP/2.0/UDP 192.0.2.3;branch=z9hG4bK3"
    assert request_.pop_first("via") is None
    assert request_.vias == []
    assert request_.pop_first("CSeq") == "1 INVITE"


def test_pop_first_reads_anew_what_was_not_parsed(request_):
    request_.pop_first("via")
    assert request_.top_via.branch == "z9hG4bK2"
    request_.pop_first("supported")
    assert request_.supported == ["100rel", "path"]


def test_replace_first_changes_one_value(request_):
    request_.replace_first("via", "SIP/2.0/UDP a;branch=z9hG4bK8")
    assert [via.branch for via in request_.vias] == ["z9hG4bK8", "z9hG4bK2", "z9hG4bK3"]
    request_.pop_first("via")
    request_.replace_first("via", "SIP/2.0/UDP a;branch=z9hG4bK8")
    assert [via.branch for via in request_.vias] == ["z9hG4bK8", "z9hG4bK3"]
    request_.replace_first("max-forwards", "69")
    assert request_.max_forwards == 69
    request_.replace_first("route", "<sip:a;lr>")
    assert request_.lines[0] == "Route: <sip:a;lr>"
    request_.replace_first("contact", "<sip:c@d,e>")
    request_.replace_first("contact", "<sip:f@g>")
    assert request_.get_all("contact") == ["<sip:f@g>"]


def test_replace_top_via_spares_the_parse(request_):
    value = "SIP/2.0/UDP a;branch=z9hG4bK8"
    via = Via.parse(value)
    request_.replace_top_via(value, via)
    assert request_.top_via is via
    rest = request_.vias[1:]
    request_.replace_top_via(value, via)
    assert request_.vias == [via, *rest]
    assert request_.lines[0] == f"Via: {value}"


def test_an_edit_of_a_list_that_cannot_be_read_is_refused():
    message = parse_message(with_header('Route: "a, b'))
    for edit in (lambda: message.pop_first("route"), lambda: message.replace_first("route", "<sip:a>")):
        with pytest.raises(RemoteProtocolError) as caught:
            edit()
        assert (caught.value.header, caught.value.message) == ("Route", message)
    assert message.raw is not None


@pytest.mark.threat("T4")
@pytest.mark.parametrize("text", ["a\rb", "a\nb", "a\r\nX: y", "a\0b", "\ud800"])
def test_setters_refuse_line_ends_nul_and_stray_surrogates(request_, response, text):
    before = request_.to_bytes()
    for edit in (
        lambda: request_.set("subject", text),
        lambda: request_.append("subject", text),
        lambda: request_.prepend("subject", text),
        lambda: request_.replace_first("subject", text),
        lambda: request_.replace_first("via", text),
        lambda: request_.set(text, "x"),
        lambda: request_.set_uri(f"sip:{text}"),
        lambda: response.set_status(200, text),
        lambda: request_.set_body(b"x", text),
    ):
        with pytest.raises(LocalProtocolError):
            edit()
    assert request_.to_bytes() == before


@pytest.mark.parametrize("name", ["", "a b", "a:b", "é"])
def test_setters_refuse_names_that_are_no_tokens(request_, name):
    with pytest.raises(LocalProtocolError):
        request_.set(name, "x")


def test_set_uri_changes_the_request_line(request_):
    assert request_.uri.host == "example.com"
    request_.set_uri("sip:c@d")
    assert request_.to_bytes().startswith(b"INVITE sip:c@d SIP/2.0\r\n")
    assert request_.uri.host == "d"
    for text in ("", "a b", "a\tb"):
        with pytest.raises(LocalProtocolError):
            request_.set_uri(text)


def test_set_status_changes_the_status_line(response):
    response.set_status(486)
    assert response.to_bytes().startswith(b"SIP/2.0 486 Busy Here\r\n")
    response.set_status(299, "Ça va")
    assert response.to_bytes().startswith("SIP/2.0 299 Ça va\r\n".encode())
    for status in (99, 700):
        with pytest.raises(LocalProtocolError):
            response.set_status(status)


def test_set_body_keeps_length_and_type_true(request_):
    request_.set_body(b"hello", "text/plain")
    assert (request_.content_type, request_.content_length, request_.body) == ("text/plain", 5, b"hello")
    request_.set_body(b"hell")
    assert (request_.content_type, request_.content_length) == ("text/plain", 4)
    request_.set_body(b"")
    assert (request_.content_type, request_.content_length) == (None, 0)
    again = parse_message(request_.to_bytes())
    assert again.body == b""


@pytest.mark.parametrize("data", [INVITE, OK])
def test_a_copy_is_edited_alone(data):
    message = parse_message(data)
    validate(message)
    copy = message.copy()
    assert copy.to_bytes() == data
    assert copy.top_via is message.top_via
    copy.prepend("via", "SIP/2.0/UDP x;branch=z9hG4bKx")
    copy.remove("call-id")
    copy.pop_first("cseq")
    assert message.to_bytes() == data
    assert message.call_id == "c1@192.0.2.1"
    assert message.top_via.branch == "z9hG4bK1"
    assert copy.raw is None


def test_an_edited_message_keeps_every_other_line_byte_for_byte(request_):
    request_.prepend("via", "SIP/2.0/UDP p;branch=z9hG4bKp")
    request_.replace_first("max-forwards", "69")
    expected = INVITE.replace(b"\r\nVia", b"\r\nVia: SIP/2.0/UDP p;branch=z9hG4bKp\r\nVia", 1)
    assert request_.to_bytes() == expected.replace(b"wards: 70", b"wards: 69")


def test_equal_values_read_the_same_whether_parsed_before_an_edit_or_after(request_):
    """What policy saw is what is sent: no cached value outlives an edit of its header."""
    for name, value, read in [
        ("via", "SIP/2.0/UDP n;branch=z9hG4bKn", lambda m: m.top_via.branch),
        ("from", "<sip:n@n>;tag=n", lambda m: (m.from_.uri_text, m.from_tag)),
        ("to", "<sip:n@n>;tag=n", lambda m: (m.to.uri_text, m.to_tag)),
        ("call-id", "n", lambda m: m.call_id),
        ("cseq", "5 BYE", lambda m: m.cseq),
        ("contact", "<sip:n@n>", lambda m: [c.uri_text for c in m.contacts]),
        ("supported", "n", lambda m: m.supported),
        ("max-forwards", "5", lambda m: m.max_forwards),
        ("content-type", "a/n", lambda m: m.content_type),
    ]:
        before = read(request_)
        request_.set(name, value)
        assert read(request_) != before
        assert read(request_) == read(parse_message(request_.to_bytes()))
