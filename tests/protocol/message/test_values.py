"""Via, addresses, CSeq and credentials as values."""

import pytest

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.message.parameters import format_params, parse_params
from ringback.protocol.message.values import Credentials, CSeq, NameAddr, Via, seconds


def test_parameters_keep_their_order_and_their_values_as_written():
    params = parse_params(' ; Tag = a1;lr;x="a;\\"b" ;ip=[::1];y=2001:db8::1', "Test")
    assert params == {"tag": "a1", "lr": None, "x": '"a;\\"b"', "ip": "[::1]", "y": "2001:db8::1"}
    assert format_params(params) == ';tag=a1;lr;x="a;\\"b";ip=[::1];y=2001:db8::1'
    assert parse_params("", "Test") == {}


@pytest.mark.threat("T4")
@pytest.mark.parametrize(
    "text",
    [
        ";",
        ";;",
        ";a=",
        ";=a",
        ";a b",
        ";a=b c",
        ";a;A",
        ';a="b',
        ';a="b"c',
        ';a=b"c"',
        "x;a",
        ";a=<b>",
        ";a=b,c",
        ";é=1",
        ';a="\x07"',
        ';a="\\\r\n"',
        ";a=b\x00",
        ';a="\x7f"',
    ],
)
def test_refuses_bad_parameters(text):
    with pytest.raises(RemoteProtocolError) as caught:
        parse_params(text, "Test")
    assert (caught.value.status, caught.value.header) == (400, "Test")


def test_a_quoted_value_may_hold_escaped_controls_and_any_script():
    assert parse_params(';a="\\\x07\té"', "Test") == {"a": '"\\\x07\té"'}


def test_reads_a_via():
    via = Via.parse("SIP/2.0/udp Host.Example.com:5070;branch=z9hG4bK1;rport;received=192.0.2.1;ttl=1")
    assert (via.transport, via.host, via.port) == ("UDP", "Host.Example.com", 5070)
    assert via.sent_by == "host.example.com:5070"
    assert (via.branch, via.rport, via.received) == ("z9hG4bK1", "", "192.0.2.1")
    assert str(via) == "SIP/2.0/UDP Host.Example.com:5070;branch=z9hG4bK1;rport;received=192.0.2.1;ttl=1"
    assert repr(via).startswith("Via('SIP/2.0/UDP ")


def test_reads_a_via_with_white_space_and_brackets():
    via = Via.parse("SIP / 2.0 / TLS \t [::1] : 5061 ; branch = a")
    assert (via.transport, via.host, via.port, via.sent_by, via.branch) == ("TLS", "[::1]", 5061, "[::1]:5061", "a")
    via = Via.parse("SIP/2.0/UDP [::1]")
    assert (via.host, via.port, via.rport, via.received, via.branch) == ("[::1]", None, None, None, None)
    assert str(Via("UDP", "[::1]")) == "SIP/2.0/UDP [::1]"
    assert Via.parse("SIP/7.0/UDP\ta").host == "a"
    assert Via.parse("SIP/2.0/UDP a;rport=5060").rport == "5060"


@pytest.mark.threat("T1")
@pytest.mark.parametrize(
    "text",
    [
        "",
        ";",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/2.0 host",
        "SIP/2.0/U(P a",
        "a b/2.0/UDP c",
        "SIP/2.0/UDP a:0",
        "SIP//UDP a",
        "SIP/2.0/UDP a;branch",
        'SIP/2.0/UDP a;branch="b"',
        "SIP/2.0/UDP a;branch=",
        "SIP/2.0/UDP a;rport;rport",
        "a",
        "SIP/2.0/UDP a b",
        "SIP/2.0/UDP a:99999",
        "SIP/2.0/UDP a:" + "1" * 5000,
        "SIP/2.0/UDP a,",
        "SIP/2.0/UDP [::1",
        "///",
    ],
)
def test_refuses_what_is_no_via(text):
    with pytest.raises(RemoteProtocolError) as caught:
        Via.parse(text)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("line", "params"),
    [
        ("Via: SIP/2.0/UDP a.b:5060;branch=z9;rport", {"branch": "z9", "rport": None}),
        ("v:SIP/2.0/UDP a.b:5060;rport;branch=z9", {"rport": None, "branch": "z9"}),
        ("Via: SIP/2.0/UDP a.b:5060", {}),
        ("Via: SIP/2.0/UDP a.b:5060;branch=z9;received=192.0.2.1", {"branch": "z9", "received": "192.0.2.1"}),
    ],
)
def test_reads_the_plain_form_of_a_via(line, params):
    via = Via.read(line)
    assert via is not None
    assert via.params == params
    assert (via.sent_by, via.port) == ("a.b:5060", 5060)


@pytest.mark.parametrize(
    "line",
    [
        "Via: SIP/2.0/UDP a;rport;branch=z9;rport",
        "Via: SIP/2.0/UDP a;branch=z9;branch=z8",
        "Via: SIP/2.0/UDP a;ttl=1;branch",
        "Via: SIP/2.0/UDP a:99999",
        "Via: SIP/2.0/UDP a;x;x",
        "Via: SIP/2.0/UDP a, SIP/2.0/UDP b",
    ],
)
def test_leaves_other_forms_of_a_via_to_the_whole_grammar(line):
    assert Via.read(line) is None


def test_reads_an_address_with_a_display_name():
    address = NameAddr.parse('"Bob \\"B\\" <x>" <sip:bob@example.com;lr?x=y>;tag=a;q=0.5;expires=60')
    assert (address.display, address.uri_text) == ('Bob "B" <x>', "sip:bob@example.com;lr?x=y")
    assert (address.tag, address.q, address.expires) == ("a", 0.5, 60)
    assert address.uri.lr
    assert address.uri is address.uri
    assert NameAddr.parse(str(address)).display == address.display
    assert repr(address) == f"NameAddr({str(address)!r})"


@pytest.mark.rfc("3261 20.10")
def test_reads_addresses_in_their_other_forms():
    assert NameAddr.parse("Bob Smith<sip:b@c>").display == "Bob Smith"
    assert NameAddr.parse("José (work) <sip:b@c>").display == "José (work)"
    bare = NameAddr.parse("sip:b@c ; tag=x")
    assert (bare.uri_text, bare.tag, bare.display) == ("sip:b@c", "x", None)
    plain = NameAddr.parse("<sip:b@c>")
    assert (plain.display, plain.params, plain.q, plain.expires, plain.tag) == (None, {}, None, None, None)
    assert str(plain) == "<sip:b@c>"


@pytest.mark.threat("T4")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "bob",
        '"Bob',
        '"Bob" sip:b@c',
        '"Bob" x <sip:b@c>',
        "<sip:b@c",
        "<<sip:b@c>>",
        "< sip:b@c>",
        "<sip:b@c >",
        "<>",
        "sip:b@c?x=y",
        "sip:b@c,",
        "Bell, A <sip:b@c>",
        '"\x07" <sip:b@c>',
        "a\x07 <sip:b@c>",
        "<sip:b@c>x",
        "<sip:b@c>;",
        "<:x>",
        'a"b" <sip:b@c>',
        "<sip:b@c>;tag=a;tag=b",
        "a;b <sip:b@c>",
        "a>b <sip:b@c>",
        "sip:a@b <sip:b@c>",
        '<sip:"b"@c>',
        "<sip:b@c\t>",
        "1:x",
    ],
)
def test_refuses_what_is_no_address(text):
    with pytest.raises(RemoteProtocolError) as caught:
        NameAddr.parse(text, "To")
    assert (caught.value.status, caught.value.header) == (400, "To")


def test_an_escaped_control_in_a_display_name_is_let_through():
    assert NameAddr.parse('"a\\\x07" <sip:b@c>').display == "a\x07"


@pytest.mark.parametrize(
    ("line", "display", "params"),
    [
        ("To: <sip:b@c>", None, {}),
        ("t:<sip:b@c>;tag=a", None, {"tag": "a"}),
        ('To: "" <sip:b@c>', "", {}),
        ('To: "Bob, B"<sip:b@c>;x=y;z', "Bob, B", {"x": "y", "z": None}),
        ("To: Bob B <sip:b@c>;tag=a;x=1", "Bob B", {"tag": "a", "x": "1"}),
    ],
)
def test_reads_the_plain_form_of_an_address(line, display, params):
    address = NameAddr.read(line)
    assert address is not None
    assert (address.display, address.uri_text, address.params) == (display, "sip:b@c", params)


@pytest.mark.parametrize(
    "line", ["To: <sip:b@c>;x;tag=a", "To: <sip:b@c>;x;x", "To: <sip:b@c>, <sip:d@e>", "To: sip:b@c"]
)
def test_leaves_other_forms_of_an_address_to_the_whole_grammar(line):
    assert NameAddr.read(line) is None


@pytest.mark.parametrize(
    ("text", "q"), [("1", 1.0), ("0", 0.0), ("0.7", 0.7), ("1.000", 1.0), (".5", 0.5), ("0.", 0.0)]
)
def test_reads_q(text, q):
    assert NameAddr("sip:a@b", params={"q": text}).q == q


@pytest.mark.threat("T1")
@pytest.mark.parametrize("text", ["1.1", "2", "-1", "", ".", "0.٣", "1e-3", "nan", "0." + "1" * 5000, "0.5.1", "00.5"])
def test_refuses_what_is_no_q(text):
    with pytest.raises(RemoteProtocolError):
        _ = NameAddr("sip:a@b", params={"q": text}).q


@pytest.mark.rfc("3261 10.2.1.1")
@pytest.mark.threat("T1")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        (None, None),
        ("0", 0),
        ("60", 60),
        ("4294967295", 4294967295),
        ("4294967296", 3600),
        ("-1", 3600),
        ("", 3600),
        ("1_0", 3600),
        ("٣", 3600),
        ("9" * 10**5, 3600),
        (" 1", 3600),
        ("Thu, 01 Dec 1994 16:00:00 GMT", 3600),
    ],
)
def test_a_malformed_number_of_seconds_is_an_hour(text, value):
    assert seconds(text) == value


def test_reads_a_cseq():
    for text in ("4711 INVITE", "4711 \t INVITE", "4711\tINVITE", "0004711 INVITE", "0" * 20 + "4711 INVITE"):
        cseq = CSeq.parse(text)
        assert (cseq.number, cseq.method) == (4711, "INVITE")
    assert CSeq(1, "ACK") == CSeq(1, "ACK") != CSeq(1, "BYE")
    assert CSeq(1, "ACK") != "1 ACK"
    assert len({CSeq(1, "ACK"), CSeq(1, "ACK")}) == 1
    assert (str(CSeq(1, "ACK")), repr(CSeq(1, "ACK"))) == ("1 ACK", "CSeq(1 ACK)")
    assert CSeq.parse(f"{2**31 - 1} X").number == 2**31 - 1
    assert CSeq.read("CSeq: 1 ACK") == CSeq(1, "ACK")


@pytest.mark.threat("T1")
@pytest.mark.rfc("3261 8.1.1.5")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1 ",
        "INVITE",
        "-1 INVITE",
        "+1 INVITE",
        "1_0 INVITE",
        "٣ INVITE",
        f"{2**31} INVITE",
        f"{2**32} INVITE",
        f"{2**64} INVITE",
        "9" * 10**5 + " INVITE",
        "1 INVITE x",
        "1 IN(VITE",
        "1 INVITÉ",
    ],
)
def test_refuses_what_is_no_cseq(text):
    with pytest.raises(RemoteProtocolError) as caught:
        CSeq.parse(text)
    assert caught.value.header == "CSeq"


@pytest.mark.parametrize("line", ["CSeq: 1 FOO", "CSeq: ٣ ACK", "CSeq: 1  ACK", "CSeq : 1 ACK", "CSeq:1 ACK"])
def test_leaves_other_forms_of_a_cseq_to_the_whole_grammar(line):
    read = CSeq.read(line)
    assert read is None


def test_reads_a_challenge():
    text = 'Digest realm="a, \\"b\\"", nonce="n=",qop="auth,auth-int" , algorithm=SHA-256,stale=FALSE'
    challenge = Credentials.parse(text)
    assert challenge.scheme == "Digest"
    assert challenge.params == {
        "realm": 'a, "b"',
        "nonce": "n=",
        "qop": "auth,auth-int",
        "algorithm": "SHA-256",
        "stale": "FALSE",
    }
    again = Credentials.parse(str(challenge))
    assert (again.params, again.quoted) == (challenge.params, {"realm", "nonce", "qop"})
    assert repr(challenge).startswith("Credentials('Digest', ['algorithm'")


@pytest.mark.rfc("4475 3.3.7")
def test_reads_credentials_of_other_schemes():
    assert Credentials.parse("Negotiate").params == {}
    assert str(Credentials.parse("Negotiate")) == "Negotiate"
    bearer = Credentials.parse("Bearer YWJj.ZGVm==")
    assert (bearer.token68, bearer.params) == ("YWJj.ZGVm==", {})
    assert str(bearer) == "Bearer YWJj.ZGVm=="
    assert Credentials.parse("Basic YWJj").token68 == "YWJj"
    assert Credentials.parse("Authorization: Digest a=b").params == {"a": "b"}
    assert Credentials.parse("Digest a=b,,c=d,").params == {"a": "b", "c": "d"}


@pytest.mark.threat("T1")
@pytest.mark.parametrize(
    "text",
    [
        "",
        '"a"',
        "Digest a=b, c",
        'Digest a="b',
        'Digest a="b"c',
        "Digest a=b,a=c",
        "Digest é=1",
        "Digest a=b, =c",
        'Digest a="\x07"',
        "Digest a=b, c=",
    ],
)
def test_refuses_bad_credentials(text):
    with pytest.raises(RemoteProtocolError) as caught:
        Credentials.parse(text)
    assert caught.value.status == 400
