"""Time grows with size and no faster, whatever a message is filled with (THREATS T1, T3)."""

from __future__ import annotations

import time

import pytest

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.grammar import (
    escape_user,
    find_closing_quote,
    split_hostport,
    split_unquoted,
    unescape,
    unfold,
    unquote,
)
from ringback.protocol.message.model import Message
from ringback.protocol.message.parser import Limits, parse_message, validate
from ringback.protocol.message.uri import Uri
from ringback.protocol.message.values import Credentials, CSeq, NameAddr, Via
from tests.protocol.message.samples import INVITE

SIZE = 10**5
FILLINGS = [
    *(
        ",",
        ";",
        '"',
        "<",
        ">",
        "(",
        ")",
        "\\",
        '\\"',
        '"\\',
        " ",
        "\t",
        "=",
        "a",
        "a,",
        "a;",
        "a=b;",
        ";a",
        '"a",',
        "<a>,",
    ),
    *(
        "a.",
        ".",
        "-",
        ":",
        "::",
        "@",
        "%",
        "%41",
        "%zz",
        "/",
        "?",
        "&",
        "[",
        "]",
        "*",
        "<sip:a@b>,",
        ";tag=x",
        "SIP/2.0/UDP a,",
    ),
    *("a b ", "\r\n ", " \r\n\t", "é", "\udcff", "9", "0", "a@", '"" ', "<<", "a <", 'a="b",', "[::", "sip:"),
]
OPENINGS = [
    "",
    '"',
    "<",
    "sip:",
    "sip:a@b;",
    "SIP/2.0/UDP a;",
    "<sip:a@b>;",
    "Digest a=b,",
    "1 ",
    '"a" <sip:',
    "sip:[",
    "SIP/",
]


def attempt(function, text):
    try:
        function(text)
    except RemoteProtocolError:
        pass


def read_everything(text: str) -> None:
    """Every scanner of the grammar on ``text``, quickest first to fail."""
    for scanner in (
        *(Uri.parse, Uri._parse, Via.parse, NameAddr.parse, CSeq.parse, Credentials.parse, unfold, unescape, unquote),
        lambda t: split_unquoted(t, ","),
        lambda t: split_unquoted(t, ";"),
        lambda t: find_closing_quote(t, 1),
        lambda t: split_hostport(t, "Test"),
        lambda t: Via.read(f"Via: {t}"),
        lambda t: NameAddr.read(f"To: {t}"),
        escape_user,
    ):
        attempt(scanner, text)


def duration(function, text: str | bytes, runs: int = 1) -> float:
    """Seconds of this process in the quickest run: the others were disturbed."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        function(text)
        times.append(time.process_time() - start)
    return min(times)


def is_linear(function, short: str | bytes, long: str | bytes) -> bool:
    """True when ten times the size takes at most 25 times the time. Asked again before a busy machine is blamed."""
    return any(duration(function, long, runs) <= 25 * duration(function, short, runs) + 0.005 for runs in (1, 3, 9))


@pytest.mark.threat("T1")
@pytest.mark.parametrize("filling", FILLINGS, ids=ascii)
def test_ten_times_the_text_takes_at_most_25_times_the_time(filling: str):
    small = SIZE // 50
    for opening in OPENINGS:
        short = opening + filling * (small // len(filling))
        long = opening + filling * (10 * small // len(filling))
        assert is_linear(read_everything, short, long), opening


def read_message(data: bytes) -> None:
    limits = Limits(start_line=10**7, header_line=10**7, header_count=10**6, message=10**7, value_count=10**6)
    try:
        message: Message = parse_message(data, limits)
    except RemoteProtocolError:
        return
    attempt(lambda m: validate(m, limits), message)
    for name in ("vias", "contacts", "supported", "accept", "routes"):
        attempt(lambda m, name=name: getattr(m, name), message)
    for name in ("via", "supported", "x"):
        attempt(lambda m, name=name: m.pop_first(name), message)
        message.remove(name)
    message.to_bytes()


HEADS = {
    "commas": lambda n: "Supported: " + "," * n,
    "folds": lambda n: "X: a" + "\r\n a" * (n // 4),
    "lines": lambda n: "\r\n".join(["X: a"] * (n // 6)),
    "strange names": lambda n: "\r\n".join([f"X{i}: a" for i in range(n // 8)]),
    "vias": lambda n: "\r\n".join(["Via: SIP/2.0/UDP a"] * (n // 20)),
    "via list": lambda n: "Via: SIP/2.0/UDP a" + ", SIP/2.0/UDP a" * (n // 15),
    "quotes": lambda n: 'Contact: "' + '\\"' * (n // 2) + '" <sip:a@b>',
    "open quotes": lambda n: "Contact: " + '"' * (n | 1),
    "angles": lambda n: "Contact: " + "<" * n,
    "parentheses": lambda n: "User-Agent: " + "(" * n,
    "semicolons": lambda n: "Contact: <sip:a@b>" + ";a" * (n // 2),
    "many params": lambda n: "Contact: <sip:a@b>" + "".join([f";p{i}=x" for i in range(n // 8)]),
    "bare CR": lambda n: "X: " + "\r" * n,
    "bare LF": lambda n: "X: " + "\n" * n,
    "no colon": lambda n: "X" * n,
    "colons": lambda n: ":" * n,
    "contacts": lambda n: "Contact: <sip:a@b>" + ",<sip:a@b>" * (n // 10),
}


@pytest.mark.threat("T3")
@pytest.mark.parametrize("shape", HEADS)
def test_ten_times_the_message_takes_at_most_25_times_the_time(shape: str):
    def data(size: int) -> bytes:
        return INVITE.replace(b"\r\n\r\n", b"\r\n" + HEADS[shape](size).encode() + b"\r\n\r\n", 1)

    assert is_linear(read_message, data(SIZE // 10), data(SIZE))


@pytest.mark.threat("T1")
def test_a_datagram_full_of_anything_is_refused_or_read_within_the_default_limits():
    for filling in FILLINGS:
        text = filling * (60000 // len(filling.encode("utf-8", "surrogateescape")))
        for name in ("Via", "Contact", "To", "CSeq", "Call-ID", "X"):
            line = f"{name}: {text}".encode("utf-8", "surrogateescape")
            with pytest.raises(RemoteProtocolError):
                parse_message(INVITE.replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n\r\n", 1))


@pytest.mark.threat("T1")
def test_white_space_and_line_ends_of_unicode_are_ordinary_characters():
    odd = "\u2028\u2029\x85\x0b\x0c\x1c\u00a0\u3000"
    data = INVITE.replace(b"X-Odd: ", f"X-Odd: {odd}".encode(), 1)
    message = parse_message(data)
    validate(message)
    assert (message.get("x-odd") or "").startswith(odd)
    assert message.to_bytes() == data
    assert parse_message(INVITE.replace(b"Timer", f"{odd}a".encode(), 1)).supported[0] == f"{odd}a"
