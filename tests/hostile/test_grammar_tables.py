"""The grammar of RFC 3261 §25.1 by example: odd messages that are right, and near ones that are wrong.

An entry is a header line that takes the place of the base message's line of that name (or is added), or, with ``=``
in front, a start line. Right ones are accepted, written back byte for byte, and read alike after an edit of another
header; an expectation says what one of their values must read as. Wrong ones are refused with the status named.
"""

from __future__ import annotations

from typing import Any

import pytest

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.message.model import Request
from ringback.protocol.message.parser import parse_message, validate
from ringback.protocol.message.registry import header_key

BASE = (
    "INVITE sip:bob@example.test SIP/2.0",
    "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1",
    "Max-Forwards: 70",
    "From: <sip:alice@example.test>;tag=a",
    "To: <sip:bob@example.test>",
    "Call-ID: c@192.0.2.1",
    "CSeq: 1 INVITE",
    "Contact: <sip:alice@192.0.2.1>",
)


def message(*changes: str, body: bytes = b"") -> bytes:
    """The base message with each change in its place; ``-Name`` leaves a header out, ``+line`` adds a line."""
    lines = list(BASE)
    for change in changes:
        if change[:1] == "=":
            lines[0] = change[1:]
        elif change[:1] == "-":
            lines = [line for line in lines if not line.startswith(f"{change[1:]}:")]
        elif change[:1] == "+":
            lines.append(change[1:])
        else:
            key = header_key(change.partition(":")[0])
            at = [at for at, line in enumerate(lines) if header_key(line.partition(":")[0]) == key]
            if at:
                lines[at[0]] = change
            else:
                lines.append(change)
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body


# What is changed, what is then read (an expression over the message ``m``), and what it gives.
RIGHT: list[tuple[tuple[str, ...], str, Any]] = [
    # start line and Request-URI
    (("=INVITE sip:example.test SIP/2.0",), "m.uri.user", None),
    (("=INVITE SIP:bob@EXAMPLE.test SIP/2.0",), "m.uri.aor", "sip:bob@example.test"),
    (("=INVITE sip:bob@example.test sip/2.0",), "m.method", "INVITE"),
    (("=INVITE sip:bob;x=y@example.test SIP/2.0",), "m.uri.user", "bob;x=y"),
    (("=INVITE sip:;par@example.test SIP/2.0",), "m.uri.user", ";par"),
    (("=INVITE sip:;par=u@example.test;x SIP/2.0",), "m.uri.params", {"x": None}),
    (("=INVITE sip:bob?a@example.test SIP/2.0",), "m.uri.user", "bob?a"),
    (("=INVITE sip:a/b&c=d+e$f,g@example.test SIP/2.0",), "m.uri.user", "a/b&c=d+e$f,g"),
    (("=INVITE sip:a-_.!~*'()b@example.test SIP/2.0",), "m.uri.host", "example.test"),
    (("=INVITE sip:%62ob@example.test SIP/2.0",), "m.uri.aor", "sip:bob@example.test"),
    (("=INVITE sip:b%3ab@example.test SIP/2.0",), "m.uri.aor", "sip:b%3Ab@example.test"),
    (("=INVITE sip:null%00@example.test SIP/2.0",), "m.uri.user", "null%00"),
    (("=INVITE sip:bob:secret@example.test SIP/2.0",), "m.uri.password", "secret"),
    (("=INVITE sip:bob:@example.test SIP/2.0",), "m.uri.password", ""),
    (("=INVITE sip:bob:a&b=c+d$,@example.test SIP/2.0",), "m.uri.password", "a&b=c+d$,"),
    (("=INVITE sip:+1-212-555-1212:1234@gateway.test;user=phone SIP/2.0",), "m.uri.params", {"user": "phone"}),
    (("=INVITE sip:bob@example.test. SIP/2.0",), "m.uri.host", "example.test."),
    (("=INVITE sip:bob@a.b-c.d1.test SIP/2.0",), "m.uri.host", "a.b-c.d1.test"),
    (("=INVITE sip:bob@127.0.0.1:1 SIP/2.0",), "m.uri.port", 1),
    (("=INVITE sip:bob@example.test:05060 SIP/2.0",), "m.uri.port", 5060),
    (("=INVITE sip:bob@example.test:65535 SIP/2.0",), "m.uri.port", 65535),
    (("=INVITE sip:[2001:db8::10] SIP/2.0",), "m.uri.ip", "2001:db8::10"),
    (("=INVITE sip:bob@[2001:db8::192.0.2.1]:5070;lr SIP/2.0",), "(m.uri.port, m.uri.lr)", (5070, True)),
    (("=INVITE sip:bob@[::] SIP/2.0",), "m.uri.host_is_ip", True),
    (("=INVITE sip:bob@[::ffff:192.0.2.1] SIP/2.0",), "m.uri.host_is_ip", True),
    (("=INVITE sip:bob@[1:2:3:4:5:6:7:8] SIP/2.0",), "m.uri.host_is_ip", True),
    (("=INVITE sip:bob@[FE80::Abcd] SIP/2.0",), "m.uri.ip", "FE80::Abcd"),
    (("=INVITE sip:bob@example.test;LR SIP/2.0",), "m.uri.lr", True),
    (("=INVITE sip:bob@example.test;lr=true SIP/2.0",), "m.uri.lr", True),
    (("=INVITE sip:bob@example.test;Transport=TcP SIP/2.0",), "m.uri.transport", "TCP"),
    (("=INVITE sip:bob@example.test;l%72 SIP/2.0",), "m.uri.lr", True),
    (("=INVITE sip:bob@example.test;a=%3B;b=[x]/:&+$ SIP/2.0",), "m.uri.params", {"a": ";", "b": "[x]/:&+$"}),
    (("=INVITE sip:bob@example.test;maddr=[2001:db8::1];ttl=255 SIP/2.0",), "m.uri.params['maddr']", "[2001:db8::1]"),
    (("=INVITE sips:bob@example.test SIP/2.0",), "m.uri.scheme", "sips"),
    (("=INVITE tel:+1-212-555-1212;phone-context=example.test SIP/2.0",), "m.uri.scheme", "tel"),
    (("=INVITE urn:service:sos SIP/2.0",), "m.uri.opaque", "service:sos"),
    (("=INVITE nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0",), "m.uri.is_sip", False),
    (("=FOO sip:bob@example.test SIP/2.0", "CSeq: 1 FOO"), "m.method", "FOO"),
    (("=invite sip:bob@example.test SIP/2.0", "CSeq: 1 invite"), "m.method", "invite"),
    (
        (
            "=!interesting-Method0123456789_*+`.%indeed'~ sip:a@b SIP/2.0",
            "CSeq: 1 !interesting-Method0123456789_*+`.%indeed'~",
        ),
        "m.cseq.number",
        1,
    ),
    # header names
    (("v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",), "m.top_via.host", "192.0.2.1"),
    (("V: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",), "m.top_via.branch", "z9hG4bK1"),
    (("f:<sip:alice@example.test>;tag=a",), "m.from_tag", "a"),
    (("t:sip:bob@example.test",), "m.to.uri_text", "sip:bob@example.test"),
    (("i:x",), "m.call_id", "x"),
    (("m:*",), "m.contact_is_star", True),
    (("+l:0",), "m.content_length", 0),
    (("+c : text/plain",), "m.content_type", "text/plain"),
    (("+k:a,b",), "m.supported", ["a", "b"]),
    (("+s:",), "m.get('subject')", ""),
    (("FROM: <sip:alice@example.test>;tag=a",), "m.from_tag", "a"),
    (("fRoM \t : <sip:alice@example.test>;tag=a",), "m.from_tag", "a"),
    (("From\t:\t<sip:alice@example.test>;tag=a\t",), "m.from_tag", "a"),
    (("From:\r\n <sip:alice@example.test>\r\n\t;tag=a",), "m.from_tag", "a"),
    (("+X-!%*_+`'~.1: x",), 'm.get("x-!%*_+`\'~.1")', "x"),
    (("+Subject: a:b::c",), "m.get('s')", "a:b::c"),
    (("+Subject:\r\n \r\n\ta",), "m.get('s').strip(' ')", "a"),
    (("+Subject: \udcff\u2028\x85",), "m.get('s')", "\udcff\u2028\x85"),
    (("+Accept-Encoding:",), "m.values('accept-encoding')", []),
    (("+Supported:",), "m.supported", []),
    (("+Allow: ",), "m.allow", []),
    (("+Accept:",), "m.accept", []),
    (
        ("+User-Agent: Ringback/1 (a (nested) comment) B/2",),
        "m.get('user-agent')",
        "Ringback/1 (a (nested) comment) B/2",
    ),
    (('+Server: (only, a; comment \\) ")',), "m.get('server')", '(only, a; comment \\) ")'),
    (
        ("+Date: Sat, 13 Nov 2010 23:29:00 GMT (what, a day)",),
        "m.values('date')",
        ["Sat, 13 Nov 2010 23:29:00 GMT (what, a day)"],
    ),
    (("+Organization: a, b, c",), "m.values('organization')", ["a, b, c"]),
    (('+Accept: application/sdp;level=1, application/x-private, text/html;q=0.5;x="a,b"',), "len(m.accept)", 3),
    (("+Accept-Language: da, en-gb;q=0.8, en;q=0.7",), "len(m.values('accept-language'))", 3),
    (('+Warning: 307 isi.edu "Session, parameter \'foo\' not; understood", 301 x "y"',), "len(m.values('warning'))", 2),
    (
        ("+Call-Info: <http://x.test/a,b;c>;purpose=icon, <http://y.test/>;purpose=info",),
        "len(m.values('call-info'))",
        2,
    ),
    (('+Reason: SIP;cause=200;text="Call completed, elsewhere"',), "len(m.values('reason'))", 1),
    (('+Unknown: "unclosed <and odd, (values',), "m.get('unknown')", '"unclosed <and odd, (values'),
    # addresses
    (("From: sip:alice@example.test;tag=a",), "m.from_.uri.params", {}),
    (("From: sip:alice@example.test ; tag = a",), "m.from_tag", "a"),
    (("From: Alice <sip:alice@example.test>;tag=a",), "m.from_.display", "Alice"),
    (("From: Alice B. Carol-Dee  <sip:alice@example.test>;tag=a",), "m.from_.uri.user", "alice"),
    (("From:Alice<sip:alice@example.test>;tag=a",), "m.from_.display", "Alice"),
    (('From: "" <sip:alice@example.test>;tag=a',), "m.from_.display", ""),
    (('From: "A \\"B\\" \\\\" <sip:alice@example.test>;tag=a',), "m.from_.display", 'A "B" \\'),
    (('From: "a <sip:x@y>;tag=z, " <sip:alice@example.test>;tag=a',), "(m.from_tag, m.from_.uri.user)", ("a", "alice")),
    (('From: "é\u4e2d" <sip:alice@example.test>;tag=a',), "m.from_.display", "é\u4e2d"),
    (('From: "\\\0" <sip:alice@example.test>;tag=a',), "m.from_.display", "\0"),
    (('From: "a\tb"<sip:alice@example.test>;tag=a',), "m.from_.display", "a\tb"),
    (('From: "a"\r\n <sip:alice@example.test>;tag=a',), "m.from_.display", "a"),
    (("From: <tel:+12125551212>;tag=a",), "m.from_.uri.scheme", "tel"),
    (("From: tel:+12125551212;tag=a",), "m.from_tag", "a"),
    (("From: <sip:alice@example.test;tag=u>",), "m.from_tag", None),
    (("From: <sip:alice@example.test;tag=u>;tag=h",), "m.from_tag", "h"),
    (("From: <sip:alice@example.test>;TAG=a",), "m.from_tag", "a"),
    (('From: <sip:alice@example.test>;x;y=z;tag=a;q="a;b=c"',), "m.from_tag", "a"),
    (('From: <sip:alice@example.test>;x="tag=b;tag=c";tag=a',), "m.from_tag", "a"),
    (("From: <sip:alice@example.test> ; x = y ; tag = a",), "m.from_tag", "a"),
    (
        ("From: <sip:alice@example.test?Subject=x&Priority=urgent>;tag=a",),
        "m.from_.uri.headers",
        "Subject=x&Priority=urgent",
    ),
    (("From: <sip:alice@[2001:db8::1]>;tag=a;h=[2001:db8::2]",), "m.from_.params['h']", "[2001:db8::2]"),
    (("From: <sip:alice@example.test>;tag=-_.!~*'%+`a1",), "m.from_tag", "-_.!~*'%+`a1"),
    (("To: <sip:bob@example.test>;tag=b",), "m.to_tag", "b"),
    (('To: "Anonymous" <sip:anonymous@anonymous.invalid>',), "m.to.display", "Anonymous"),
    # Contact
    (("-Contact",), "m.contacts", []),
    (("Contact: <sip:a@b>, <sip:c@d>",), "len(m.contacts)", 2),
    (('Contact: <sip:a@b>,\r\n <sip:c@d>,\r\n\t"e, f" <sip:e@f>', "+m: sip:g@h"), "len(m.contacts)", 4),
    (("Contact: <sip:a@b>;q=0.123",), "m.contacts[0].q", 0.123),
    (("Contact: <sip:a@b>;q=1.000",), "m.contacts[0].q", 1.0),
    (("Contact: <sip:a@b>;q=0",), "m.contacts[0].q", 0.0),
    (("Contact: <sip:a@b>;q=0.",), "m.contacts[0].q", 0.0),
    (("Contact: <sip:a@b>;Q=.5",), "m.contacts[0].q", 0.5),
    (("Contact: <sip:a@b>;expires=0",), "m.contacts[0].expires", 0),
    (("Contact: <sip:a@b>;expires=4294967295",), "m.contacts[0].expires", 4294967295),
    (
        ('Contact: <sip:a@b>;+sip.instance="<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>";reg-id=1',),
        "len(m.contacts)",
        1,
    ),
    (
        ('Contact: <sip:a@b>;+sip.ice;audio;methods="INVITE,ACK;x"',),
        "m.contacts[0].params['methods']",
        '"INVITE,ACK;x"',
    ),
    (('Contact: "Mr. Watson" <mailto:watson@bell-telephone.test> ;q=0.1',), "m.contacts[0].uri.scheme", "mailto"),
    (("Contact: <sip:a,b@c>, <sip:d;e,f@g;h=i>;j",), "len(m.contacts)", 2),
    (("Contact: sip:a@b;expires=5",), "(m.contacts[0].expires, m.contacts[0].uri.params)", (5, {})),
    (("Contact: *",), "m.contact_is_star", True),
    (("Contact: <sip:a@b?Route=%3Csip:c%3E>",), "m.contacts[0].uri.headers", "Route=%3Csip:c%3E"),
    # Via
    (("Via: SIP / 2.0 / UDP 192.0.2.1;branch=z9hG4bK1",), "m.top_via.transport", "UDP"),
    (
        ("Via: SIP  /\t2.0/UDP\r\n 192.0.2.1 : 5061 ; branch = z9hG4bK1",),
        "(m.top_via.port, m.top_via.branch)",
        (5061, "z9hG4bK1"),
    ),
    (("Via: SIP/2.0/udp 192.0.2.1;branch=z9hG4bK1",), "m.top_via.transport", "UDP"),
    (("Via: SIP/2.0/TLS-SCTP 192.0.2.1;branch=z9hG4bK1",), "m.top_via.transport", "TLS-SCTP"),
    (("Via: SIP/2.0/UNKNOWN host.test;branch=z9hG4bK1",), "m.top_via.transport", "UNKNOWN"),
    (
        ("Via: SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bK1;received=2001:db8::2",),
        "m.top_via.received",
        "2001:db8::2",
    ),
    (("Via: SIP/2.0/UDP [2001:db8::1];received=[2001:db8::2];branch=z9hG4bK1",), "m.top_via.received", "[2001:db8::2]"),
    (("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;rport",), "m.top_via.rport", ""),
    (("Via: SIP/2.0/UDP 192.0.2.1;rport=1;branch=z9hG4bK1",), "m.top_via.rport", "1"),
    (
        ("Via: SIP/2.0/UDP 192.0.2.1;BRANCH=z9hG4bK1;Received=192.0.2.9",),
        "(m.top_via.branch, m.top_via.received)",
        ("z9hG4bK1", "192.0.2.9"),
    ),
    (("Via: SIP/2.0/UDP 192.0.2.1",), "m.top_via.branch", None),
    (("Via: SIP/2.0/UDP 192.0.2.1;branch=x",), "m.top_via.branch", "x"),
    (('Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;ttl=16;maddr=224.2.0.1;hidden;x="a,b;c"',), "len(m.vias)", 1),
    (
        ("Via: SIP/2.0/UDP a.test;branch=z9hG4bK1, SIP/2.0/TCP b.test;branch=z9hG4bK2,SIP/2.0/TLS c.test",),
        "len(m.vias)",
        3,
    ),
    (
        ("Via: SIP/2.0/UDP a.test;branch=z9hG4bK1", "+v: SIP/2.0/TCP b.test;branch=z9hG4bK2"),
        "[v.host for v in m.vias]",
        ["a.test", "b.test"],
    ),
    (("Via: SIP/2.0/UDP under_score.test;branch=z9hG4bK1",), "m.top_via.host", "under_score.test"),
    (("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK" + "a" * 500,), "len(m.top_via.branch)", 507),
    # CSeq, Call-ID, Max-Forwards and other numbers
    (("CSeq: 0 INVITE",), "m.cseq.number", 0),
    (("CSeq: 2147483647 INVITE",), "m.cseq.number", 2147483647),
    (("CSeq: 0009 INVITE",), "m.cseq.number", 9),
    (("CSeq:\r\n 9\r\n  INVITE",), "str(m.cseq)", "9 INVITE"),
    (("CSeq: 1   \t INVITE",), "m.cseq.method", "INVITE"),
    (("Call-ID: a",), "m.call_id", "a"),
    (('Call-ID: <>()"\\/[]?{}:@%*',), "m.call_id", '<>()"\\/[]?{}:@%*'),
    (("Call-ID:\r\n a@b",), "m.call_id", "a@b"),
    (("Max-Forwards: 0",), "m.max_forwards", 0),
    (("Max-Forwards: 255",), "m.max_forwards", 255),
    (("Max-Forwards: 000070",), "m.max_forwards", 70),
    (("Max-Forwards: 300",), "m.max_forwards", None),
    (("-Max-Forwards",), "m.max_forwards", None),
    (("+Expires: 0",), "m.expires", 0),
    (("+Expires: 4294967296",), "m.expires", 3600),
    (("+Expires: soon",), "m.expires", 3600),
    (("+Content-Length: 000",), "m.content_length", 0),
    (("+Content-Length:\r\n 0",), "m.content_length", 0),
    (('+Content-Type: Application / SDP ; charset = "x;y"',), "m.content_type", "application/sdp"),
    (('+Content-Type: multipart/mixed;boundary="a b"',), "m.content_type", "multipart/mixed"),
    # routes and lists
    (("+Route: <sip:a.test;lr>, <sip:b.test;lr>", '+Route: "x, y" <sip:c.test>;p="q,r"'), "len(m.routes)", 3),
    (('+Record-Route: <sip:a.test;lr;x=y>;z="<>"',), "m.record_routes[0].uri.lr", True),
    (("+Require: 100REL, Foo", "+Require: bar"), "m.require", ["100rel", "foo", "bar"]),
    (("+Proxy-Require: a ,\t b",), "m.proxy_require", ["a", "b"]),
    (("+Allow: INVITE,ACK , BYE,foo",), "m.allow", ["INVITE", "ACK", "BYE", "foo"]),
    (("+Supported: a,,b,",), "m.supported", ["a", "b"]),
    (("+Path: <sip:p@a.test;lr>",), "m.paths[0].uri.user", "p"),
    (
        ('+Authorization: Digest username="a\\"b", realm="x,y", nonce="", uri="sip:a", response="0"',),
        "len(m.get_all('authorization'))",
        1,
    ),
    (("+Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",), "m.has('authorization')", True),
    (("+Authorization: Digest a=b", "+Authorization: Digest a=c"), "len(m.get_all('authorization'))", 2),
    (("+Timestamp: 54.3 0.1",), "m.get('timestamp')", "54.3 0.1"),
    (("+In-Reply-To: a@b, c@d",), "len(m.values('in-reply-to'))", 2),
]

# What is changed, and the status it is refused with.
WRONG: list[tuple[tuple[str, ...], int]] = [
    # start line
    *(
        ((f"={line}",), 400)
        for line in (
            "INVITE  sip:bob@example.test SIP/2.0",
            "INVITE sip:bob@example.test  SIP/2.0",
            "INVITE sip:bob@example.test SIP/2.0 ",
            "INVITE\tsip:bob@example.test SIP/2.0",
            "INVITE sip:bob@example.test\tSIP/2.0",
            "INVITE <sip:bob@example.test> SIP/2.0",
            'INVITE "Bob" <sip:bob@example.test> SIP/2.0',
            "INVITE sip:bob@example.test;a b SIP/2.0",
            "INVITE SIP/2.0",
            "INVITE  SIP/2.0",
            "INVITE sip:bob@example.test SIP/2",
            "INVITE sip:bob@example.test SIP/2.",
            "INVITE sip:bob@example.test SIP/ 2.0",
            "INVITE sip:bob@example.test HTTP/1.1",
            "INVITE sip:bob@example.test SIP",
            "INVITE sip:bob@example.test SIP/x.y",
            "INVITE sip: SIP/2.0",
            "INVITE : SIP/2.0",
            "INVITE bob@example.test SIP/2.0",
            "INVITE bob SIP/2.0",
            "INVITE * SIP/2.0",
            "INVITE 1sip:bob@example.test SIP/2.0",
            "INVITE sip:bob@ SIP/2.0",
            "INVITE sip:@example.test SIP/2.0",
            "INVITE sip:a@b@c SIP/2.0",
            "INVITE sip:bob@example..test SIP/2.0",
            "INVITE sip:bob@.test SIP/2.0",
            "INVITE sip:bob@-a.test SIP/2.0",
            "INVITE sip:bob@example.test: SIP/2.0",
            "INVITE sip:bob@example.test:0 SIP/2.0",
            "INVITE sip:bob@example.test:65536 SIP/2.0",
            "INVITE sip:bob@example.test:-1 SIP/2.0",
            "INVITE sip:bob@example.test:5x SIP/2.0",
            "INVITE sip:bob@example.test:\u0665 SIP/2.0",
            "INVITE sip:bob@example.test:" + "9" * 5000 + " SIP/2.0",
            "INVITE sip:bob@2001:db8::1 SIP/2.0",
            "INVITE sip:bob@[2001:db8::1 SIP/2.0",
            "INVITE sip:bob@2001:db8::1] SIP/2.0",
            "INVITE sip:bob@[2001:db8::1]x SIP/2.0",
            "INVITE sip:bob@[] SIP/2.0",
            "INVITE sip:bob@[:] SIP/2.0",
            "INVITE sip:bob@[1::2::3] SIP/2.0",
            "INVITE sip:bob@[1:2:3:4:5:6:7] SIP/2.0",
            "INVITE sip:bob@[1:2:3:4:5:6:7:8:9] SIP/2.0",
            "INVITE sip:bob@[::256.0.0.1] SIP/2.0",
            "INVITE sip:bob@[::12345] SIP/2.0",
            "INVITE sip:bob@[::g] SIP/2.0",
            "INVITE sip:bob@[fe80::1%25eth0] SIP/2.0",
            "INVITE sip:bob@ex ample.test SIP/2.0",
            "INVITE sip:bob@ex%61mple.test SIP/2.0",
            "INVITE sip:bob@ex\u00e4mple.test SIP/2.0",
            "INVITE sip:b%zzob@example.test SIP/2.0",
            "INVITE sip:bob%4@example.test SIP/2.0",
            "INVITE sip:bob@example.test; SIP/2.0",
            "INVITE sip:bob@example.test;; SIP/2.0",
            "INVITE sip:bob@example.test;=x SIP/2.0",
            "INVITE sip:bob@example.test;x= SIP/2.0",
            "INVITE sip:bob@example.test;x;x SIP/2.0",
            "INVITE sip:bob@example.test;lr;LR SIP/2.0",
            "INVITE sip:bob@example.test;l%72;lr SIP/2.0",
            "INVITE sip:bob@example.test?Subject=x SIP/2.0",
            "INVITE sip:bob@example.test? SIP/2.0",
            'INVITE sip:b"ob@example.test SIP/2.0',
            "INVITE sip:b<ob@example.test SIP/2.0",
            "INVITE sip:b\x00ob@example.test SIP/2.0",
            "INVITE sip:b\x7fob@example.test SIP/2.0",
            "INVITE sip:b\x0bob@example.test SIP/2.0",
        )
    ),
    (("=INVITE sip:bob@example.test SIP/3.0",), 505),
    (("=INVITE sip:bob@example.test SIP/1.0",), 505),
    (("=INVITE sip:bob@example.test SIP/02.0",), 505),
    (("=INVITE sip:bob@example.test SIP/2.00",), 505),
    (("=INVITE sip:bob@example.test SIP/" + "9" * 400 + ".0",), 505),
    (("=INVITE sip:" + "a" * 8192 + "@example.test SIP/2.0",), 414),
    (("=FOO sip:bob@example.test SIP/2.0", "CSeq: 1 BAR"), 501),
    (("=invite sip:bob@example.test SIP/2.0",), 501),
    (("=BYE sip:bob@example.test SIP/2.0",), 400),
    # mandatory and single header fields
    *(((f"-{name}",), 400) for name in ("Via", "From", "To", "Call-ID", "CSeq")),
    *(
        ((f"+{line}",), 400)
        for line in (
            "From: <sip:a@b>;tag=c",
            "f: <sip:a@b>;tag=c",
            "FROM : <sip:a@b>;tag=c",
            "To: <sip:a@b>",
            "t:<sip:a@b>",
            "Call-ID: c@192.0.2.1",
            "i: other",
            "CSeq: 1 INVITE",
            "cseq:2 INVITE",
            "Max-Forwards: 70",
            "max-forwards : 1",
            "Content-Length: 0\r\nContent-Length: 0",
            "Content-Length: 0\r\nl: 0",
            "Expires: 1\r\nExpires: 2",
            "Max-Breadth: 1\r\nMax-Breadth: 2",
            "Content-Type: a/b\r\nc: a/b",
            "Refer-To: <sip:a>\r\nr: <sip:b>",
            "Event: a\r\no: b",
            "Replaces: a\r\nReplaces: b",
            "No colon here",
            ": no name",
            "Bad name: x",
            "B\u00e4d: x",
            "Bad@name: x",
            "Bad(name): x",
            '"Bad": x',
            "<Bad>: x",
            "Bad/name: x",
            "Bad=name: x",
            "Bad[name]: x",
            "Bad\x7f: x",
            "Bad\x0b: x",
            "\x0bBad: x",
            "\u00a0Bad: x",
        )
    ),
    # Via
    *(
        ((f"Via: {value}",), 400)
        for value in (
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ;branch=z9hG4bK1",
            "SIP/2.0 192.0.2.1",
            "SIP/2.0/ 192.0.2.1",
            "/2.0/UDP 192.0.2.1",
            "SIP//UDP 192.0.2.1",
            "SIP/2.0/UDP/x 192.0.2.1",
            "SIP/2.0/U=P 192.0.2.1",
            "SIP/2.0/UDP 192.0.2.1:;branch=z9hG4bK1",
            "SIP/2.0/UDP 192.0.2.1:0;branch=z9hG4bK1",
            "SIP/2.0/UDP 192.0.2.1:65536",
            "SIP/2.0/UDP 192.0.2.1:x",
            "SIP/2.0/UDP 192.0.2.1:\u0661",
            "SIP/2.0/UDP 192.0.2.1 x",
            "SIP/2.0/UDP a b",
            "SIP/2.0/UDP [2001:db8::1",
            "SIP/2.0/UDP 2001:db8::1",
            "SIP/2.0/UDP <a.test>",
            "SIP/2.0/UDP a@b",
            "SIP/2.0/UDP 192.0.2.1;",
            "SIP/2.0/UDP 192.0.2.1;;branch=z9hG4bK1",
            "SIP/2.0/UDP 192.0.2.1;branch=",
            "SIP/2.0/UDP 192.0.2.1;branch",
            "SIP/2.0/UDP 192.0.2.1;branch=a b",
            'SIP/2.0/UDP 192.0.2.1;branch="z9hG4bK1"',
            "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;branch=z9hG4bK2",
            "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK",
            'SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;x="',
            'SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;x="a\\"',
            ",SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
            "SIP/2.0/UDP 192.0.2.1;bra nch=z9hG4bK1",
            "SIP/2.0/UDP 192.0.2.1;=x",
            "SIP/2.0/UDP 192.0.2.1;rport;RPORT",
            "a" * 8192,
            ",".join(["SIP/2.0/UDP a"] * 129),
        )
    ),
    # From, To
    *(
        ((f"From: {value}",), 400)
        for value in (
            "",
            "<>",
            "<>;tag=a",
            "alice",
            "<alice>",
            "<sip:alice@example.test",
            "sip:alice@example.test>;tag=a",
            "<<sip:a@b>>;tag=a",
            "<sip:a@b>>;tag=a",
            "<sip:a@b><sip:c@d>;tag=a",
            "<sip:a@b>, <sip:c@d>;tag=a",
            '"Alice <sip:a@b>;tag=a',
            'Alice" <sip:a@b>;tag=a',
            '"A"B" <sip:a@b>;tag=a',
            '"Alice\\" <sip:a@b>;tag=a',
            '"Alice" sip:a@b;tag=a',
            '"Alice" x <sip:a@b>;tag=a',
            '"Alice"',
            "Alice, Bob <sip:a@b>;tag=a",
            "Alice: <sip:a@b>;tag=a",
            "Ali;ce <sip:a@b>;tag=a",
            "< sip:a@b>;tag=a",
            "<sip:a@b >;tag=a",
            "<sip:a b@c>;tag=a",
            "<sip:a@b>tag=a",
            "<sip:a@b> x;tag=a",
            "<sip:a@b>;",
            "<sip:a@b>;;tag=a",
            "<sip:a@b>;tag=",
            "<sip:a@b>;tag=a b",
            "<sip:a@b>;tag=a,b",
            '<sip:a@b>;tag="a"',
            "<sip:a@b>;tag=a;tag=b",
            "<sip:a@b>;tag=a;TAG=b",
            '<sip:a@b>;tag=a;x="',
            "<sip:a@b>;tag=\u00e9",
            "<sip:a@b>;tag=<a>",
            "sip:a@b?x=y;tag=a",
            "sip:a,b@c;tag=a",
            '"a\x01b" <sip:a@b>;tag=a',
            '"a\x7fb" <sip:a@b>;tag=a',
            "(comment) <sip:a@b>;=a",
            "<:a@b>;tag=a",
            "<1sip:a@b>;tag=a",
        )
    ),
    *(
        ((f"To: {value}",), 400)
        for value in ("", "*", "<sip:a@b>;tag", "<sip:a@b>;tag=a=b", "<sip:a@b", '"x <sip:a@b>', "<sip:a@b>,")
    ),
    # Call-ID, CSeq, numbers
    *(
        ((f"Call-ID: {value}",), 400)
        for value in ("", " ", "a b", "a@b@c", "@", "a@", "@b", "a,b", "a;b", "\u00e9", "a\x01b", "a=b")
    ),
    *(
        ((f"CSeq: {value}",), 400)
        for value in (
            "",
            "1",
            "INVITE",
            "1INVITE",
            "-1 INVITE",
            "+1 INVITE",
            "1.0 INVITE",
            "0x1 INVITE",
            "1_0 INVITE",
            "\u0661 INVITE",
            "2147483648 INVITE",
            "4294967296 INVITE",
            "18446744073709551617 INVITE",
            "9" * 5000 + " INVITE",
            "1 invite",
            "1 ACK",
            "1 INVITE x",
            "1 IN VITE",
            "1, INVITE",
            '1 "INVITE"',
            "1 INVITE,",
            "\u00b2 INVITE",
        )
    ),
    *(
        ((f"Max-Forwards: {value}",), 400)
        for value in ("", "-1", "+1", "x", "1.0", "7 0", "0x46", "\u0667\u0660", "1_0", "\u00b2", "70,", "70;a")
    ),
    *(
        ((f"+Content-Length: {value}",), 400)
        for value in (
            "",
            "-1",
            "+0",
            "x",
            "0x0",
            "0 0",
            "0,0",
            "1",
            "99999",
            "2147483648",
            "4294967296",
            "18446744073709551616",
            "9" * 5000,
            "\u0660",
            "0;a",
            "0.0",
        )
    ),
    # Contact, Route, Record-Route
    *(
        ((f"Contact: {value}",), 400)
        for value in (
            "",
            "*, <sip:a@b>",
            "<sip:a@b>, *",
            "<sip:a@b>,",
            ",<sip:a@b>",
            "<sip:a@b>,,<sip:c@d>",
            "<sip:a@b",
            '"x <sip:a@b>',
            "<sip:a@b>;",
            "<sip:a@b>;a;a",
            "sip:a@b?c=d",
            "a@b",
            "<a@b>",
            "<sip:a@b> <sip:c@d>",
            ",".join(["<sip:a@b>"] * 257),
        )
    ),
    *(
        ((f"+Route: {value}",), 400)
        for value in ("*", "sip", "<sip:a;lr", "<sip:a;lr>,", "<sip:a;lr>;;", ",".join(["<sip:a;lr>"] * 257))
    ),
    *(((f"+Record-Route: {value}",), 400) for value in ("", "<>", "<sip:a;lr>,,<sip:b;lr>", '"<sip:a;lr>')),
    # lines and limits
    (("+Subject: " + "a" * 8192,), 400),
    (tuple(["+X: y"] * 256), 400),
    (("+Subject: a\nb",), 400),
    (("+Subject: a\rb",), 400),
    (("+Subject: a\n b",), 400),
    (("+Subject: a\0b",), 400),
    (("= INVITE sip:bob@example.test SIP/2.0",), 400),
]


def ids(entries: list[Any]) -> list[str]:
    return [f"{number} {ascii(entry[0][0])[:60]}" for number, entry in enumerate(entries)]


def typed(request: Request) -> list[str]:
    """All that routing and dialogs read, as text."""
    values = [request.method, request.uri_text, request.call_id, str(request.cseq), str(request.from_), str(request.to)]
    values += map(str, [*request.vias, *request.contacts, *request.routes, *request.record_routes])
    return [*values, str(request.max_forwards), str(request.expires)]


@pytest.mark.row("TRN-4", part="the grammar by example")
@pytest.mark.rfc("3261 25.1")
@pytest.mark.parametrize(("changes", "expression", "expected"), RIGHT, ids=ids(RIGHT))
def test_what_the_grammar_allows_is_read_and_written_back(
    changes: tuple[str, ...], expression: str, expected: Any
) -> None:
    data = message(*changes)
    m = parse_message(data)
    assert isinstance(m, Request)
    validate(m)
    assert m.to_bytes() == data
    assert eval(expression, {"m": m}) == expected
    before = typed(m)
    m.append("X-Edit", "1")
    again = parse_message(m.to_bytes())
    validate(again)
    assert isinstance(again, Request)
    assert typed(again) == before
    assert again.lines == m.lines


@pytest.mark.row("TRN-4", part="the grammar by example")
@pytest.mark.threat("T1")
@pytest.mark.parametrize(("changes", "status"), WRONG, ids=ids(WRONG))
def test_what_the_grammar_forbids_is_refused_with_its_status(changes: tuple[str, ...], status: int) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        validate(parse_message(message(*changes)))
    assert caught.value.status == status
