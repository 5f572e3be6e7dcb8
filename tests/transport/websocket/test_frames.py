"""Frames of WebSocket (RFC 6455 §5), written by hand and read however they are cut."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.transport.websocket.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    NO_UTF8,
    PING,
    PROTOCOL_ERROR,
    TEXT,
    TOO_LARGE,
    FrameReader,
    apply_mask,
    encode_close,
    encode_frame,
    encode_message,
)

MASK = bytes((0x37, 0xFA, 0x21, 0x3D))
MOST = 70_000


def frame(opcode: int, payload: bytes = b"", *, last: bool = True, mask: bytes | None = MASK) -> bytes:
    data = bytearray(encode_frame(opcode, payload, mask))
    if not last:
        data[0] &= 0x7F
    return bytes(data)


def refused(*data: bytes, masked: bool = True, most: int = MOST) -> int | None:
    """The code that a reader closes with."""
    reader = FrameReader(masked, most)
    for piece in data:
        reader.feed(piece)
    if reader.breach is None:
        return None
    assert reader.feed(frame(TEXT, b"more")) == []
    return reader.breach.code


@pytest.mark.rfc("6455 5.7")
def test_examples_of_the_rfc() -> None:
    hello = bytes.fromhex("818537fa213d7f9f4d5158")
    assert encode_frame(TEXT, b"Hello", MASK) == hello
    assert FrameReader(True, MOST).feed(hello) == [b"Hello"]
    assert FrameReader(False, MOST).feed(bytes.fromhex("010348656c80026c6f")) == [b"Hello"]
    assert encode_frame(BINARY, bytes(256))[:4] == bytes.fromhex("827e0100")
    assert encode_frame(BINARY, bytes(65536))[:10] == bytes.fromhex("827f0000000000010000")


@pytest.mark.rfc("6455 5.3")
@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 1000])
def test_a_mask_is_taken_off_as_it_was_put_on(size: int) -> None:
    payload = random.Random(size).randbytes(size)
    masked = apply_mask(payload, MASK)
    assert masked == bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))
    assert apply_mask(masked, MASK) == payload


@pytest.mark.rfc("7118 4.2")
def test_a_message_is_text_where_it_can_be_else_binary() -> None:
    assert encode_message("grüß".encode())[0] == 0x80 | TEXT
    assert encode_message(b"\xff")[0] == 0x80 | BINARY


@pytest.mark.threat("T8")
@pytest.mark.parametrize("seed", range(20))
def test_what_comes_out_does_not_depend_on_how_it_was_cut(seed: int) -> None:
    dice = random.Random(seed)
    messages = [dice.randbytes(size) for size in (0, 1, 125, 126, 127, 65535, 65536)]
    data = b""
    for message in messages:
        cut = dice.randint(0, len(message))
        data += frame(BINARY, message[:cut], last=False) + frame(PING, b"p") + frame(CONTINUATION, message[cut:])
    reader = FrameReader(True, MOST)
    found: list[bytes] = []
    at = 0
    while at < len(data):
        step = dice.choice((1, 2, 3, 7, 100, 5000, 70_000))
        found += reader.feed(data[at : at + step])
        at += step
    assert found == messages
    assert reader.idle
    assert reader.pinged == b"p"


@pytest.mark.rfc("6455 5.1")
def test_a_client_masks_and_a_server_does_not() -> None:
    assert refused(frame(TEXT, b"x", mask=None)) == PROTOCOL_ERROR
    assert refused(frame(TEXT, b"x"), masked=False) == PROTOCOL_ERROR


@pytest.mark.rfc("6455 5.5")
@pytest.mark.threat("T8")
def test_a_control_frame_is_short_and_whole() -> None:
    assert refused(frame(PING, bytes(125))) is None
    assert refused(frame(PING, bytes(126))) == PROTOCOL_ERROR
    assert refused(frame(CLOSE, bytes(126))) == PROTOCOL_ERROR
    assert refused(frame(PING, b"x", last=False)) == PROTOCOL_ERROR


@pytest.mark.rfc("6455 5.2")
def test_what_is_reserved_is_refused() -> None:
    for bit in (0x40, 0x20, 0x10):
        assert refused(bytes((0x80 | bit | TEXT, 0x80)) + MASK) == PROTOCOL_ERROR
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        assert refused(frame(opcode)) == PROTOCOL_ERROR


@pytest.mark.rfc("6455 5.2")
def test_a_length_is_written_as_short_as_it_can_be() -> None:
    assert refused(b"\x82\xfe\x00\x7d") == PROTOCOL_ERROR
    assert refused(b"\x82\xff" + (65535).to_bytes(8, "big")) == PROTOCOL_ERROR


@pytest.mark.rfc("6455 10.4")
@pytest.mark.threat("T8")
def test_a_length_of_64_bits_is_refused_before_a_byte_of_it_is_kept() -> None:
    assert refused(b"\x82\xff" + ((1 << 63) - 1).to_bytes(8, "big")) == TOO_LARGE
    assert refused(b"\x82\xff" + bytes([255] * 8)) == PROTOCOL_ERROR
    assert refused(b"\x82\xff" + (70_001).to_bytes(8, "big")) == TOO_LARGE
    assert refused(frame(TEXT, bytes(100), last=False), frame(CONTINUATION, bytes(10)), most=110) is None
    assert refused(frame(TEXT, bytes(100), last=False), frame(CONTINUATION, bytes(11)), most=110) == TOO_LARGE


@pytest.mark.rfc("6455 5.4")
def test_fragments_come_in_order() -> None:
    assert refused(frame(CONTINUATION, b"x")) == PROTOCOL_ERROR
    assert refused(frame(TEXT, b"x", last=False), frame(TEXT, b"y")) == PROTOCOL_ERROR
    assert refused(frame(TEXT, b"x", last=False), frame(BINARY, b"y", last=False)) == PROTOCOL_ERROR


@pytest.mark.rfc("6455 8.1")
def test_text_is_utf8_and_a_character_may_be_cut_by_fragments() -> None:
    reader = FrameReader(True, MOST)
    euro = "€".encode()
    assert reader.feed(frame(TEXT, euro[:1], last=False) + frame(CONTINUATION, euro[1:])) == [euro]
    assert refused(frame(TEXT, euro[:1])) == NO_UTF8
    assert FrameReader(True, MOST).feed(frame(BINARY, euro[:1])) == [euro[:1]]


@pytest.mark.rfc("6455 7.4")
def test_a_close_frame_is_understood_and_nothing_is_read_after_it() -> None:
    reader = FrameReader(True, MOST)
    assert reader.feed(frame(TEXT, b"x") + frame(CLOSE, b"\x03\xe9bye") + frame(TEXT, b"y")) == [b"x"]
    assert reader.closed == 1001
    assert reader.breach is None
    plain = FrameReader(True, MOST)
    plain.feed(encode_close(1005, mask=MASK))
    assert plain.closed == 1005
    for payload in (b"\x03", b"\x03\xed", b"\x03\xee", b"\x00\x00", b"\x07\xd0", b"\x13\x88"):
        assert refused(frame(CLOSE, payload)) == PROTOCOL_ERROR
    assert refused(frame(CLOSE, b"\x03\xe8\xff")) == NO_UTF8


@pytest.mark.threat("T8")
@given(st.lists(st.binary(max_size=40) | st.builds(frame, st.integers(0, 15), st.binary(max_size=130)), max_size=12))
def test_whatever_comes_is_read_or_refused(pieces: list[bytes]) -> None:
    whole, cut = FrameReader(True, 200), FrameReader(True, 200)
    messages = whole.feed(b"".join(pieces))
    assert [message for piece in pieces for message in cut.feed(piece)] == messages
    assert all(len(message) <= 200 for message in messages)
    assert (whole.closed, str(whole.breach), whole.idle) == (cut.closed, str(cut.breach), cut.idle)
