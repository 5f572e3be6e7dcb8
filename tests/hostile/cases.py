"""Hostile requests: each element of an INVITE and a REGISTER crossed with the anomalies, and requests wrong as a whole.

A template is a request with its elements marked ``{{name:usual text}}``. A case is the request with one of them
replaced. ``{n}`` in it becomes the case's number, so that no case is a repetition of another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ringback.protocol.message.registry import HEADERS, METHODS
from tests.hostile.anomalies import ADDRESSES, BRIEF, EMPTY, GENERAL, HOSTS, NUMBERS, QUOTING

SDP = (
    "v={{sdp-v:0}}\r\no={{sdp-o:- 1 1 IN IP4 10.0.0.9}}\r\ns={{sdp-s:-}}\r\nc={{sdp-c:IN IP4 10.0.0.9}}\r\n"
    "t={{sdp-t:0 0}}\r\nm={{sdp-m:audio 4000 RTP/AVP 0}}\r\na={{sdp-a:rtpmap:0 PCMU/8000}}\r\n"
)

INVITE = (
    "{{method:INVITE}}{{gap: }}{{uri-scheme:sip}}:{{uri-user:bob}}@{{uri-host:example.test}}{{uri-port:}}{{uri-tail:}} "
    "{{version-name:SIP}}/{{version-number:2.0}}\r\n"
    "{{via-name:Via}}{{via-colon:: }}{{via-protocol:SIP/2.0/UDP}} {{via-host:10.0.0.9}}{{via-port:}}"
    ";branch={{branch:z9hG4bK{n}}}{{via-tail:}}\r\n"
    "Max-Forwards: {{max-forwards:70}}\r\n"
    "{{from-name:From}}: {{from-display:}}<{{from-uri:sip:carol@elsewhere.test}}>"
    ";tag={{from-tag:f{n}}}{{from-tail:}}\r\n"
    "{{to-name:To}}: {{to-display:}}<{{to-uri:sip:bob@example.test}}>{{to-tail:}}\r\n"
    "{{call-id-name:Call-ID}}: {{call-id:{n}@hostile}}\r\n"
    "{{cseq-name:CSeq}}: {{cseq-number:1}} {{cseq-method:INVITE}}\r\n"
    "Contact: {{contact-display:}}<{{contact-uri:sip:carol@10.0.0.9}}>{{contact-tail:}}\r\n"
    "{{header:Subject: x}}\r\n"
    "Content-Type: {{content-type:application/sdp}}\r\n"
    "Content-Length: {{content-length:{length}}}\r\n\r\n" + SDP
)

REGISTER = (
    "REGISTER {{uri:sip:example.test}} SIP/2.0\r\n"
    "Via: SIP/2.0/UDP {{via-host:10.0.0.9}};branch={{branch:z9hG4bK{n}}}\r\n"
    "Max-Forwards: 70\r\n"
    "From: <{{from-uri:sip:dave@example.test}}>;tag={{from-tag:f{n}}}\r\n"
    "To: {{to-display:}}<{{to-uri:sip:dave@example.test}}>{{to-tail:}}\r\n"
    "Call-ID: {{call-id:{n}@hostile}}\r\n"
    "CSeq: {{cseq-number:1}} REGISTER\r\n"
    "Contact: {{contact-display:}}<{{contact-uri:sip:dave@10.0.0.9}}>;q={{q:0.5}};expires={{contact-expires:60}}"
    ';+sip.instance={{instance:"<urn:uuid:1>"}};reg-id={{reg-id:1}}{{contact-tail:}}\r\n'
    "Expires: {{expires:120}}\r\n"
    "Path: {{path-display:}}<{{path-uri:sip:10.0.0.9;lr}}>{{path-tail:}}\r\n"
    "Supported: {{supported:path}}\r\n"
    "Require: {{require:path}}\r\n"
    "User-Agent: {{user-agent:x}}\r\n"
    "Content-Length: 0\r\n\r\n"
)

# Credentials that name a nonce which cannot be ours: they are read, and challenged anew.
CREDENTIALS = (
    '{{authorization-name:Authorization}}: {{scheme:Digest}} username={{username:"dave"}}, '
    'realm={{realm:"example.test"}}, '
    'nonce={{nonce:"00"}}, uri={{digest-uri:"sip:example.test"}}, response={{response:"' + "0" * 32 + '"}}, '
    'algorithm={{algorithm:MD5}}, qop={{qop:auth}}, nc={{nc:00000001}}, cnonce={{cnonce:"x"}}{{credentials-tail:}}\r\n'
)

_NUMERIC = GENERAL | NUMBERS
_HOST = BRIEF | HOSTS | QUOTING
_ADDRESS = GENERAL | ADDRESSES | {f"host {name}": f"sip:u@{host}" for name, host in HOSTS.items()}
_SPECIAL = {
    **dict.fromkeys(
        ("max-forwards", "cseq-number", "content-length", "contact-expires", "expires", "reg-id"), _NUMERIC
    ),
    **dict.fromkeys(("q", "nc"), BRIEF | NUMBERS),
    **dict.fromkeys(("uri-host", "via-host"), GENERAL | HOSTS),
    **dict.fromkeys(("uri-port", "via-port"), BRIEF | {f":{name}": f":{text}" for name, text in NUMBERS.items()}),
    **dict.fromkeys(("from-uri", "to-uri", "contact-uri", "path-uri", "uri"), _ADDRESS),
    **dict.fromkeys(("version-number",), BRIEF | NUMBERS),
    **dict.fromkeys(("from-display", "to-display", "contact-display", "path-display"), BRIEF | QUOTING),
    **dict.fromkeys(re.findall(r"\{\{(sdp-\w)", SDP), BRIEF),
    **dict.fromkeys(
        ("version-name", "gap", "user-agent", "content-type", "scheme", "algorithm", "qop", "response"), BRIEF
    ),
    **dict.fromkeys(("username", "realm", "nonce", "digest-uri", "cnonce", "authorization-name"), BRIEF | QUOTING),
}
_TAILS = {
    f"tail {text[:20]!r}": text
    for text in (
        *(
            ";",
            ";;",
            ";=",
            ";a=",
            ";a;a",
            ";a;A",
            ";tag=x",
            ';a="',
            ';a="\\"',
            ';a="x;y,z"',
            ";a=<b>",
            ";a=b c",
            ";" * 300,
            ";a" * 300,
        ),
        *(
            ";rport",
            ";rport=1",
            ";rport=x;received=y",
            ";received=10.6.6.6",
            ";received=10.6.6.6;rport=53",
            ";RPORT",
            ";rport;rport",
        ),
        *(
            ";maddr=10.6.6.6",
            ";maddr=name.test",
            ";maddr=[::1]",
            ";maddr=127.0.0.1",
            ";maddr=",
            ";ttl=0",
            ";ttl=256",
            ";branch=z9hG4bK",
        ),
        *(
            ";received=[::1]",
            ";received=name",
            ";received=10.0.0.9:5060",
            ";lr",
            ";transport=tcp",
            ";hidden",
            ";comp=sigcomp",
            ";a=\0",
        ),
        *(
            ",",
            ",,",
            ", <sip:10.6.6.6;lr>",
            ", SIP/2.0/UDP 10.6.6.6;branch=z9hG4bKx",
            ", *",
            ";expires=-1",
            ";expires=9" * 2,
            ";q=2",
        ),
        *(
            "(",
            "(comment)",
            " (a (b))",
            ">",
            "<",
            ' "',
            ";\xe9=\xe9",
            ';a="\\\0"',
            ";a=%0d%0a",
            "?a=b",
            "@",
            ":",
            "::",
            "%",
        ),
    )
}

_MARK = re.compile(r"\{\{([a-z-]+):(.*?)\}\}(?!\})", re.DOTALL)


class Case(NamedTuple):
    """``name`` says what was done to the request, ``data`` is the datagram."""

    name: str
    data: bytes


def elements(template: str) -> dict[str, str]:
    """The elements that a template marks, with their usual text."""
    return dict(_MARK.findall(template))


def render(template: str, number: int, **changed: str) -> bytes:
    """The request with some elements changed, as case ``number``. Content-Length is true unless it was changed."""
    text = _MARK.sub(lambda mark: changed.get(mark[1].replace("-", "_"), mark[2]), template)
    text = text.replace("{n}", str(number))
    body = text.partition("\r\n\r\n")[2]
    return text.replace("{length}", str(len(body.encode("utf-8", "surrogateescape")))).encode(
        "utf-8", "surrogateescape"
    )


def crossed(template: str, start: int, only: tuple[str, ...] = ()) -> Iterator[Case]:
    """Every element of the template (or those in ``only``) crossed with its anomalies."""
    number = start
    for element in only or elements(template):
        values = _SPECIAL.get(element, GENERAL)
        if element.endswith("-tail"):
            values = BRIEF | _TAILS
        for name, text in values.items():
            number += 1
            data = render(template, number, **{element.replace("-", "_"): text})
            if len(data) <= 65507:
                yield Case(f"{element} = {name}", data)


def headers(start: int) -> Iterator[Case]:
    """Every registered header field, and one that is not, with what no grammar allows, in long and compact form."""
    number = start
    values = [
        *EMPTY.values(),
        ",",
        ";",
        '"',
        "<",
        "\0",
        "a" * 8192,
        "9" * 30,
        "a\r\n b",
        ",,,",
        '"\\\0" <sip:a@b>',
        "\xff;=;",
    ]
    for header in (*HEADERS.values(), None):
        names = ["X-Unknown"] if header is None else [header.name, *([header.compact] if header.compact else [])]
        for spelling in names:
            for value in values:
                number += 1
                data = render(INVITE, number, header=f"{spelling}: {value}")
                yield Case(f"{spelling}: {ascii(value)[:30]}", data)
            for line in (
                f"{spelling}",
                f"{spelling} \t : x",
                f"{spelling}\t:",
                f" {spelling}: x",
                f"{spelling}:x\r\n{spelling.upper()} : y",
            ):
                number += 1
                yield Case(f"line {line!r}"[:60], render(INVITE, number, header=line))


def structures(start: int) -> Iterator[Case]:
    """Requests wrong as a whole: lines missing, repeated, out of order, cut off, and odd line ends."""
    number = start

    def plain() -> bytes:
        nonlocal number
        number += 1
        return render(INVITE, number)

    count = len(plain().split(b"\r\n\r\n")[0].split(b"\r\n"))
    for at in range(count):
        for what in (
            "without",
            "twice",
            "thrice at the end",
            "folded",
            "padded",
            "with LF",
            "with CR",
            "with CRCRLF",
            "empty",
        ):
            head, _, body = plain().partition(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            line = lines[at]
            if what == "without":
                del lines[at]
            elif what == "twice":
                lines.insert(at, line)
            elif what == "thrice at the end":
                lines += [line, line]
            elif what == "folded":
                lines[at] = line.replace(b" ", b"\r\n\t ", 1)
            elif what == "padded":
                lines[at] = line + b" \t "
            elif what == "empty":
                lines[at] = line.partition(b":")[0] + b":"
            else:
                end = {"with LF": b"\n", "with CR": b"\r", "with CRCRLF": b"\r\r\n"}[what]
                lines[at : at + 2] = [line + end + b"".join(lines[at + 1 : at + 2])]
            yield Case(f"line {at} {what}", b"\r\n".join(lines) + b"\r\n\r\n" + body)
    whole = plain()
    for size in range(0, len(whole), 7):
        yield Case(f"cut at {size}", plain()[:size])
    for name, old, new in (
        ("all LF", b"\r\n", b"\n"),
        ("all CR", b"\r\n", b"\r"),
        ("all LFCR", b"\r\n", b"\n\r"),
        ("all CRCRLF", b"\r\n", b"\r\r\n"),
        ("no spaces", b" ", b""),
        ("double spaces", b" ", b"  "),
        ("tabs", b" ", b"\t"),
        ("no colons", b":", b""),
        ("UTF-16", b"", b""),
    ):
        yield Case(name, plain().decode().encode("utf-16") if name == "UTF-16" else plain().replace(old, new))
    for method in (
        *sorted(METHODS.keys() - {"REGISTER"}),
        "invite",
        "Invite",
        "INVITE\t",
        "INVITE,ACK",
        "CANCEL",
        "FOO",
        "\xe9",
        "A" * 300,
        "-",
        "PRI",
        "GET",
    ):
        yield Case(f"method {method[:20]!r}", plain().replace(b"INVITE", method.encode()))
    for count in (2, 100, 250, 256, 300, 1400):
        for line in (
            "Via: SIP/2.0/UDP 10.0.0.7;branch=z9hG4bKv",
            "Route: <sip:10.6.6.6;lr>",
            "Contact: <sip:a@b>",
            "X: y",
            "Require: a",
        ):
            yield Case(f"{line[:10]} x {count}", plain().replace(b"Subject: x", "\r\n".join([line] * count).encode()))
    for value in (
        "Via: " + "SIP/2.0/UDP h," * 500 + "SIP/2.0/UDP h",
        "Route: " + "<sip:10.0.0.1;lr>," * 250 + "<sip:10.0.0.1;lr>",
    ):
        yield Case(f"{value[:10]} in one line", plain().replace(b"Subject: x", value.encode()))
    yield Case("bytes behind the body", plain() + b"INVITE sip:bob@example.test SIP/2.0\r\n\r\n")
    yield Case("empty lines before", b"\r\n" * 1000 + plain())
    yield Case("a space before", b" " + plain())
    yield Case("NUL before", b"\0\0\0\0" + plain())
    yield Case("a response as request", b"SIP/2.0 200 OK\r\n" + plain().partition(b"\r\n")[2])
    yield Case("response 99", b"SIP/2.0 99 OK\r\n" + plain().partition(b"\r\n")[2])
    yield Case("response 4294967301", b"SIP/2.0 4294967301 OK\r\n" + plain().partition(b"\r\n")[2])
    yield Case("HTTP", b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n")
    yield Case("STUN", b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(range(12)))
    yield Case("RTP", b"\x80\x00" + bytes(170))
    yield Case("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200))
    yield Case("DNS", b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x04test\x00\x00\x01\x00\x01")
    yield Case("64 KB of CRLF", b"\r\n" * 32700)
    yield Case("64 KB of spaces", b" " * 65000)
    yield Case("64 KB of a", b"a" * 65000)
