"""What holds for any input: only the documented error escapes, writing undoes parsing, and the plain forms agree with
the whole grammar."""

from __future__ import annotations

from ast import literal_eval
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.grammar import escape_user, is_token, quote, split_unquoted, unescape, unfold, unquote
from ringback.protocol.message.build import build_error, build_request, build_response
from ringback.protocol.message.model import Message, Request, Response
from ringback.protocol.message.parser import is_keepalive, parse_message, validate
from ringback.protocol.message.uri import Uri
from ringback.protocol.message.values import Credentials, CSeq, NameAddr, Via
from tests.protocol.message.samples import INVITE, OK

pytestmark = pytest.mark.hypothesis

READS = (
    *(
        "vias",
        "top_via",
        "from_",
        "to",
        "from_tag",
        "to_tag",
        "call_id",
        "cseq",
        "contacts",
        "contact_is_star",
        "routes",
    ),
    *("record_routes", "paths", "max_forwards", "expires", "content_length", "content_type", "require", "supported"),
    *("proxy_require", "unsupported", "allow", "accept", "uri"),
)


def assert_documented(error: RemoteProtocolError, message: Message | None) -> None:
    """The error can be turned into an answer at once, and carries what could be read."""
    assert 400 <= error.status <= 699
    assert error.clause
    assert error.message is message


def read_all(message: Message) -> dict[str, str]:
    """Every typed value as text, or the documented error's."""
    found = {}
    for name in READS:
        if name == "uri" and isinstance(message, Response):
            continue
        try:
            found[name] = repr(getattr(message, name))
        except RemoteProtocolError as error:
            assert_documented(error, message)
            found[name] = f"error {error}"
    return found


def exercise(data: bytes) -> None:
    """Feed ``data`` to everything; only ``RemoteProtocolError`` may come, and an accepted message must be stable."""
    is_keepalive(data)
    try:
        message: Request | Response = parse_message(data)
    except RemoteProtocolError as error:
        assert_documented(error, error.message)
        if isinstance(error.message, Request):
            answer = build_error(error, error.message, "t").to_bytes()
            assert parse_message(answer).to_bytes() == answer
            read_all(error.message)
        return
    assert message.to_bytes() in data
    values = read_all(message)
    try:
        validate(message)
    except RemoteProtocolError as error:
        assert_documented(error, message)
        if isinstance(message, Request):
            parse_message(build_error(error, message, "t").to_bytes())
    else:
        assert not [name for name in ("top_via", "from_", "to", "cseq", "call_id") if values[name].startswith("error")]
        if isinstance(message, Request):
            again = parse_message(build_response(message, 200, to_tag="t").to_bytes())
            assert again.get_all("via") == message.get_all("via")
            assert (again.to_tag or "t") == (message.to_tag or "t")
    # Written anew it reads the same, and a second time it is written the same (T4).
    copy = message.copy()
    copy.raw = None
    written = copy.to_bytes()
    again = parse_message(written)
    assert again.to_bytes() == written
    assert (again.names, again.lines, again.body) == (message.names, message.lines, message.body)
    assert read_all(again) == values


@given(st.binary(max_size=400))
def test_any_bytes_raise_nothing_but_the_documented_error(data: bytes):
    exercise(data)
    exercise(data + b"\r\n\r\n")
    exercise(b"INVITE sip:a@b SIP/2.0\r\n" + data + b"\r\n\r\n")


FRAGMENTS = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n ",
        b" ",
        b"\t",
        b":",
        b";",
        b",",
        b'"',
        b"<",
        b">",
        b"\\",
        b"=",
        b"@",
        b"?",
        b"%",
        b"\0",
    ),
    *(b"[", b"]", b"sip:", b"Via: SIP/2.0/UDP a", b";branch=z9hG4bK", b";tag=", b"Contact", b"*", b"\xff", b"\xd9\xa3"),
    *("\u2028\x85\x0b".encode(), b"Content-Length: 0", b"l", b"1", b"9" * 30, b"-", b"::", b"SIP/2.0", b"%00", b"\x0c"),
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good message with a few places cut out or written over."""
    data = draw(st.sampled_from([INVITE, OK]))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 0, 1, 2, 5, 40])))
        data = data[:start] + draw(st.sampled_from(FRAGMENTS)) + data[end:]
    return data


@given(damaged())
def test_a_damaged_message_is_read_alike_before_and_after_writing(data: bytes):
    exercise(data)


def test_the_crashers_of_others_are_harmless(corpora: Path):
    files = sorted((corpora / "sipgo_fuzz" / "FuzzParseSipMessage").iterdir())
    assert files
    for file in files:
        for line in file.read_text().splitlines()[1:]:
            value = literal_eval(line[line.index("(") + 1 : line.rindex(")")].replace("[]byte(", ""))
            data = value.encode("latin-1") if isinstance(value, str) else value
            exercise(data)
            exercise(data + b"\r\n\r\n")


def test_every_torture_message_cut_anywhere_is_harmless(corpora: Path):
    for file in sorted((corpora / "rfc4475" / "dat").glob("*.dat")):
        data = file.read_bytes()
        exercise(data)
        for at in range(0, len(data), 41):
            exercise(data[:at])
            exercise(data[:at] + b"\r\n\r\n")


ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
WIRE = st.lists(
    st.sampled_from(
        [
            *'aZ09.-_%:;,="<>\\@?[]()*+ \t\r\n\0\x7fé\u0663\udcff',
            *("sip:a@b", '"x"', ";tag=y", "SIP/2.0/UDP ", "Digest "),
        ]
    ),
    max_size=20,
).map("".join)


@given(WIRE)
def test_every_reader_raises_nothing_but_the_documented_error(text: str):
    for reader in (
        Uri.parse,
        Via.parse,
        NameAddr.parse,
        CSeq.parse,
        Credentials.parse,
        lambda t: split_unquoted(t, ","),
    ):
        try:
            value = reader(text)
        except RemoteProtocolError as error:
            assert_documented(error, None)
        else:
            repr(value)


@given(ANY_TEXT)
def test_quoting_and_escaping_are_undone(text: str):
    assert unquote(quote(text)) == text
    assert unescape(escape_user(text)) == text
    assert escape_user(unescape(escape_user(text))) == escape_user(text)


NAMES = st.text(st.sampled_from("abcXYZ09.-_~"), min_size=1, max_size=8)
VALUES = st.text(st.sampled_from('abcXYZ09.-_~:[]é %"\\'), max_size=8)
PARAMS = st.lists(st.tuples(st.sampled_from("abcdefgtuvw").map(str) | NAMES, st.none() | NAMES | VALUES), max_size=3)
SPACE = st.sampled_from(["", "", "", " ", "\t", "\r\n "])


@st.composite
def header_lines(draw: st.DrawFn) -> str:
    """A Via, From or CSeq line, mostly right."""
    params = ""
    pairs = draw(PARAMS)
    pairs.insert(
        draw(st.integers(0, len(pairs))), draw(st.sampled_from([("tag", "x"), ("branch", "z9"), ("rport", None)]))
    )
    for name, value in pairs:
        params += f"{draw(SPACE)};{name}" + ("" if value is None else f"={value}")
    host = draw(st.sampled_from(["a", "a.b", "192.0.2.1", "[::1]", "a_b", "A..b", "-a"]))
    port = draw(st.sampled_from(["", "", ":5060", ":0", ":65536", ":05060", ":x"]))
    kind = draw(st.integers(0, 2))
    if kind == 0:
        return f"Via:{draw(SPACE)}SIP/2.0/{draw(NAMES)} {host}{port}{params}"
    if kind == 1:
        display = draw(st.sampled_from(["", "Bob ", "Bob B ", '"Bob" ', '"B\\"" ', '""', "é ", "a,b "]))
        uri = draw(st.sampled_from(["sip:a@b", "sip:a@b;x=y", "tel:+1", "x", "sip:a b", "1:x", "sip:a,b@c"]))
        return f"From:{draw(SPACE)}{display}<{uri}>{params}"
    number = draw(st.sampled_from(["1", "007", "2147483648", "٣", "x"]))
    return f"CSeq:{draw(SPACE)}{number} {draw(NAMES | st.just('ACK'))}"


@given(header_lines())
@example("Via: SIP/2.0/UDP a:5060;rport;branch=z9;x=y")
@example("From: Bob B <sip:a@b>;tag=x;y=z")
def test_the_plain_forms_agree_with_the_whole_grammar(line: str):
    name, _, rest = line.partition(":")
    value = unfold(rest).strip(" \t")
    reader = {"Via": Via, "From": NameAddr, "CSeq": CSeq}[name]
    plain = reader.read(line)
    if plain is not None:
        whole = reader.parse(value)
        for slot in reader.__slots__:
            assert getattr(plain, slot) == getattr(whole, slot), slot


@given(
    st.sampled_from(["sip:", "sips:", "SIP:"]),
    st.sampled_from(["", "a@", "a;b@", "a:p@", "%61@", "é@", "@", "a b@"]),
    st.sampled_from(["a", "a.b", "192.0.2.1", "[::1]", "a_b", "A..b", "-a", "a."]),
    st.sampled_from(["", ":5060", ":0", ":65535", ":65536", ":05060", ":x", ":"]),
    PARAMS,
    st.sampled_from(["", "?x=y", "?"]),
)
def test_the_plain_form_of_a_uri_agrees_with_the_whole_grammar(scheme, user, host, port, pairs, headers):
    text = scheme + user + host + port
    text += "".join([f";{name}" if value is None else f";{name}={value}" for name, value in pairs]) + headers
    try:
        fast: Uri | None = Uri.parse(text)
    except RemoteProtocolError:
        fast = None
    try:
        slow: Uri | None = Uri._parse(text)
    except RemoteProtocolError:
        slow = None
    assert (fast is None) == (slow is None)
    if fast is not None and slow is not None:
        for slot in Uri.__slots__:
            assert getattr(fast, slot) == getattr(slow, slot), slot
        assert fast.equals(slow)
        again = Uri.parse(fast._build())
        assert again.params == fast.params
        assert again.equals(fast)


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=20)


@given(
    st.lists(st.tuples(NAMES.map(lambda name: f"X-{name}"), TEXT), max_size=4), st.binary(max_size=20), TEXT.map(quote)
)
def test_parsing_undoes_writing(headers: list[tuple[str, str]], body: bytes, display: str):
    request = build_request(
        "MESSAGE",
        "sip:a@b",
        via="SIP/2.0/UDP a;branch=z9hG4bK1",
        from_=f"{display} <sip:a@b>;tag=1",
        to="<sip:a@b>",
        call_id="x",
        cseq=1,
        headers=headers,
        body=body,
    )
    again = parse_message(request.to_bytes())
    assert isinstance(again, Request)
    assert (again.lines, again.names, again.body) == (request.lines, request.names, body)
    for name, value in headers:
        assert value.strip(" \t") in again.get_all(name)
        assert is_token(name)


@st.composite
def edits(draw: st.DrawFn) -> list[tuple[str, str, str]]:
    names = st.sampled_from(
        ["via", "Via", "v", "max-forwards", "contact", "subject", "route", "supported", "k", "x-odd"]
    )
    verbs = st.sampled_from(["set", "append", "prepend", "remove", "pop_first", "replace_first"])
    values = st.sampled_from(["SIP/2.0/UDP z", "<sip:z@z>", "7", '"a, b" <sip:c>, <sip:d>'])
    return draw(st.lists(st.tuples(verbs, names, values), max_size=8))


@given(edits())
def test_what_is_read_after_any_edits_is_what_is_sent(steps: list[tuple[str, str, str]]):
    message = parse_message(INVITE)
    original = message.copy()
    read_all(message)
    for verb, name, value in steps:
        if verb in ("remove", "pop_first"):
            getattr(message, verb)(name)
        else:
            getattr(message, verb)(name, value)
        again = parse_message(message.to_bytes())
        assert (again.names, again.lines, again._first) == (message.names, message.lines, message._first)
        assert read_all(again) == read_all(message)
    assert original.to_bytes() == INVITE
