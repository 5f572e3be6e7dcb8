"""A stream of bytes cut into messages, however it was cut on its way."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.message.framing import PING, StreamFramer
from ringback.protocol.message.model import Request
from ringback.protocol.message.parser import Limits, parse_message
from tests.protocol.message.samples import INVITE, OK, replaced

BYE = replaced("Content-Length", "l : 0", INVITE.replace(b"INVITE", b"BYE")).removesuffix(b"v=0\r\n")
FOLDED = replaced("Content-Length", "CONTENT-LENGTH:\r\n 5")


def frame(*pieces: bytes, limits: Limits | None = None) -> tuple[list[bytes], RemoteProtocolError | None]:
    framer = StreamFramer(limits) if limits else StreamFramer()
    found = [message for piece in pieces for message in framer.feed(piece)]
    return found, framer.error


def one_by_one(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def outcome(found: list[bytes], error: RemoteProtocolError | None) -> object:
    """What must be the same however the bytes were cut."""
    if error is None:
        return found, None
    return found, str(error), error.status, error.message and error.message.start_line


@pytest.mark.rfc("3261 18.3")
def test_a_message_ends_where_its_content_length_says() -> None:
    assert frame(INVITE + OK + FOLDED + BYE) == ([INVITE, OK, FOLDED, BYE], None)


@pytest.mark.threat("T8")
def test_a_byte_at_a_time_makes_the_same_messages() -> None:
    assert frame(*one_by_one(INVITE + PING + OK + b"\r\n" + BYE)) == ([INVITE, PING, OK, BYE], None)


def test_what_is_not_complete_waits() -> None:
    framer = StreamFramer()
    assert framer.idle
    assert framer.feed(INVITE[:100]) == []
    assert not framer.idle
    assert framer.feed(INVITE[100:-1]) == []
    assert framer.feed(INVITE[-1:] + OK[:1]) == [INVITE]
    assert framer.feed(OK[1:]) == [OK]
    assert framer.idle


@pytest.mark.rfc("5626 4.4.1")
def test_a_pair_of_crlfs_between_messages_is_a_keep_alive() -> None:
    assert frame(b"\r\n", b"\r", b"\n") == ([PING], None)
    assert frame(b"\r\n\r\n\r\n" + OK + b"\r\n" + OK) == ([PING, OK, OK], None)
    framer = StreamFramer()
    assert framer.feed(PING * 1000) == [PING] * 1000
    assert framer.idle


@pytest.mark.rfc("3261 7.5")
def test_a_single_crlf_before_a_message_is_skipped() -> None:
    assert frame(b"\r\n" + OK) == ([OK], None)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("", "no Content-Length"),
        ("Content-Length: 5\r\nl: 5", "several Content-Length"),
        ("Content-Length: -5", "bad Content-Length"),
        ("Content-Length: 5 5", "bad Content-Length"),
        ("Content-Length: \u0665", "bad Content-Length"),
        ("Content-Length: 1_0", "bad Content-Length"),
        ("Content-Length:", "bad Content-Length"),
        ("Content-Length: 2147483648", "bad Content-Length"),
        ("Content-Length: " + "9" * 5000, "bad Content-Length"),
        ("Content-Length: 2147483647", "message too large"),
    ],
)
@pytest.mark.rfc("4475 3.1.2.3", "4475 3.3.9")
@pytest.mark.threat("T1", "T8")
def test_a_message_whose_end_cannot_be_known_ends_the_stream_and_can_be_answered(line: str, text: str) -> None:
    bad = replaced("Content-Length", line)
    whole = frame(OK + bad + OK)
    assert outcome(*frame(*one_by_one(OK + bad + OK))) == outcome(*whole)
    found, error = whole
    assert found == [OK]
    assert error is not None
    assert error.text == text
    assert isinstance(error.message, Request)
    assert error.message.get("call-id") == "c1@192.0.2.1"


@pytest.mark.threat("T4")
@pytest.mark.parametrize("line", [b"X: a\nContent-Length: 3", b"X: a\rl: 3", b"X: a\r\r\nl: 3"])
def test_a_line_end_that_is_not_crlf_ends_the_stream(line: bytes) -> None:
    found, error = frame(INVITE.replace(b"X-Odd: ", line + b"\r\nX-Odd: "))
    assert found == []
    assert error is not None
    assert error.text == "a line end that is not CRLF"


def test_a_length_in_a_folded_value_is_no_header() -> None:
    message = INVITE.replace(b"X-Odd: ", b"Subject: a\r\n l: 3\r\nX-Odd: ")
    assert frame(message) == ([message], None)


@pytest.mark.threat("T8")
@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\n\n",
        b"\rOPTIONS",
        b" OPTIONS sip:a SIP/2.0\r\n",
        b"\x00" * 4,
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
def test_what_is_not_sip_ends_the_stream_at_once_and_gets_no_answer(data: bytes) -> None:
    for pieces in ([data], one_by_one(data)):
        found, error = frame(OK, *pieces)
        assert found == [OK]
        assert error is not None
        assert error.text == "not a SIP message"
        assert error.message is None


def test_a_wrong_start_line_is_for_the_parser_to_refuse() -> None:
    for line in (b"SIP/7.0 200 OK", b"OPTIONS sip:a  SIP/2.0 ", b"OPTIONS sip:a sip/3.0"):
        message = line + OK[OK.index(b"\r\n") :]
        assert frame(message) == ([message], None)


@pytest.mark.threat("T3")
def test_a_header_that_does_not_end_is_refused_at_the_limit() -> None:
    limits = Limits(message=1000)
    start = INVITE[: INVITE.index(b"\r\n\r\n")] + b"\r\nX: "
    found, error = frame(*one_by_one(start + b"a" * 1000), limits=limits)
    assert (found, error and error.status) == ([], 513)
    assert error is not None
    assert isinstance(error.message, Request)
    found, error = frame(b"OPTIONS " + b"a" * 2000, limits=limits)
    assert (found, error and error.status) == ([], 513)


@pytest.mark.threat("T3")
def test_a_body_that_is_too_large_is_refused_before_it_comes() -> None:
    head = replaced("Content-Length", "Content-Length: 900").partition(b"v=0")[0]
    for limits, status in ((Limits(body=899), 413), (Limits(message=1000), 513), (Limits(body=900), None)):
        _, error = frame(head, limits=limits)
        assert (error and error.status) == status


def test_nothing_comes_after_an_error() -> None:
    framer = StreamFramer()
    framer.feed(b"?\r\n\r\n")
    assert framer.error is not None
    assert framer.feed(OK) == []
    assert framer.idle


@pytest.mark.rfc("4475 3.1.1.8")
def test_two_requests_in_one_segment_are_two_messages() -> None:
    first, second = BYE, INVITE
    assert frame(first + b"\r\n" * 3 + second)[0] == [first, PING, second]


pieces = st.lists(st.sampled_from([INVITE, OK, BYE, FOLDED, PING, b"\r\n", b"\r"]), max_size=8).map(b"".join)
noise = st.tuples(pieces, st.binary(max_size=40), st.sampled_from([b"", INVITE[:300], OK])).map(b"".join)
mutated = st.builds(
    lambda data, at, byte: data[: at % len(data)] + byte + data[at % len(data) + 1 :],
    st.just(INVITE + OK + BYE),
    st.integers(0, 5000),
    st.binary(max_size=2),
)


@pytest.mark.hypothesis
@pytest.mark.threat("T8")
@given(st.one_of(pieces, noise, mutated), st.lists(st.integers(0, 2000), max_size=30))
def test_any_cutting_gives_the_same(data: bytes, cuts: list[int]) -> None:
    whole = outcome(*frame(data))
    at = 0
    parts = []
    for cut in sorted(cuts):
        parts.append(data[at:cut])
        at = max(at, min(cut, len(data)))
    parts.append(data[at:])
    assert b"".join(parts) == data
    assert outcome(*frame(*parts)) == whole
    assert outcome(*frame(*one_by_one(data))) == whole


@pytest.mark.hypothesis
@pytest.mark.threat("T4")
@given(st.one_of(noise, mutated))
def test_the_parser_reads_the_same_length(data: bytes) -> None:
    for message in frame(data)[0]:
        if message == PING:
            continue
        assert read(message) in (message, "refused")


def read(message: bytes) -> bytes | str:
    """What the parser takes the message to be, or that it refuses it for something else than its length."""
    try:
        return parse_message(message).to_bytes()
    except RemoteProtocolError as error:
        return error.text if "Content-Length" in error.text else "refused"


@pytest.mark.threat("T8")
@pytest.mark.parametrize(
    "line",
    ["X: " + "a" * 40000, "\r\n".join(["X: a"] * 8000), "\r\n ".join(["X: a"] * 8000), "X:" + "\tl:" * 10000],
)
def test_time_is_linear_however_it_comes(line: str) -> None:
    message = replaced("X-Odd", line)
    begun = time.process_time()
    assert frame(*one_by_one(message))[0] == [message]
    assert time.process_time() - begun < 0.5


def test_a_long_body_byte_by_byte_is_not_copied_each_time() -> None:
    message = replaced("Content-Length", "Content-Length: 50000").removesuffix(b"v=0\r\n") + b"b" * 50000
    begun = time.process_time()
    assert frame(*one_by_one(message))[0] == [message]
    assert time.process_time() - begun < 0.5
