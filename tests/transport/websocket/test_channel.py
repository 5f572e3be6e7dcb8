"""Two ends of a SIP WebSocket that talk to each other without a network between them."""

from __future__ import annotations

import random

import pytest

from ringback.protocol.message.framing import PING as CRLF_PING
from ringback.transport.websocket.channel import WebRules, WebSocket
from ringback.transport.websocket.frames import BINARY, PING, TEXT, encode_frame
from tests.transport.websocket.test_handshake import REQUEST

RULES = WebRules(random.Random(1).randint)


def exchange(one: WebSocket, other: WebSocket) -> list[bytes]:
    """Carry what each has to say until both are silent; what ``other`` has heard."""
    heard: list[bytes] = []
    while data := one.outgoing():
        heard += other.feed(data)
        one.feed(other.outgoing())
    return heard


def pair() -> tuple[WebSocket, WebSocket]:
    client, server = WebSocket(RULES, "example.com"), WebSocket(RULES)
    client.start()
    exchange(client, server)
    assert client.ready
    assert server.ready
    return client, server


def test_two_of_ours_understand_each_other() -> None:
    client, server = pair()
    assert server.feed(client.wrap(b"hello") + client.wrap(b"\xff")) == [b"hello", b"\xff"]
    assert client.feed(server.wrap(b"hello")) == [b"hello"]
    assert client.idle
    assert server.idle


def test_messages_may_come_right_behind_the_handshake() -> None:
    server = WebSocket(RULES)
    assert server.feed(REQUEST.encode() + encode_frame(TEXT, b"hello", b"1234")) == [b"hello"]


def test_a_handshake_may_come_byte_by_byte() -> None:
    server = WebSocket(RULES)
    for byte in REQUEST.encode():
        assert not server.ready
        server.feed(bytes([byte]))
    assert server.ready


@pytest.mark.rfc("6455 5.5.3")
def test_a_ping_is_answered_and_of_many_the_last() -> None:
    client, server = pair()
    server.feed(b"".join(encode_frame(PING, bytes([number]), b"1234") for number in range(100)))
    assert server.outgoing() == b"\x8a\x01\x63"
    assert client.feed(server.ping()) == []
    assert len(client.outgoing()) == 6


@pytest.mark.rfc("7118 6")
def test_crlf_alone_is_a_keep_alive() -> None:
    client, server = pair()
    assert server.feed(client.wrap(CRLF_PING)) == [CRLF_PING]
    assert server.feed(client.wrap(b"\r\n") + client.wrap(b"") + client.wrap(b"INVITE")) == [b"INVITE"]


@pytest.mark.rfc("6455 5.5.1")
def test_a_close_is_answered_once_and_in_kind() -> None:
    client, server = pair()
    client.close(1001)
    client.close()
    assert exchange(client, server) == []
    assert client.closed
    assert server.closed
    assert client.failure is None
    assert server.failure is None
    assert server.outgoing() == b""


@pytest.mark.rfc("6455 7.1.7")
@pytest.mark.threat("T8")
def test_who_breaks_the_rules_is_told_which_one() -> None:
    client, server = pair()
    assert server.feed(encode_frame(TEXT, b"first", b"1234") + encode_frame(BINARY, b"not masked")) == [b"first"]
    assert server.closed
    assert "not masked" in str(server.failure)
    said = server.outgoing()
    assert said[:4] == b"\x88" + bytes([len(said) - 2]) + (1002).to_bytes(2, "big")
    assert client.feed(said) == []
    assert client.closed


@pytest.mark.threat("T8")
@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00", 400),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 2000, 431),
        (b"G" * 8192, 431),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 426),
    ],
)
def test_strangers_are_answered_and_kept_nothing_of(data: bytes, status: int) -> None:
    server = WebSocket(RULES)
    assert server.feed(data) == []
    assert server.closed
    assert not server.ready
    assert server.outgoing().startswith(f"HTTP/1.1 {status} ".encode())
    server.close()
    assert server.outgoing() == b""
    assert server.feed(REQUEST.encode()) == []


def test_a_client_says_why_there_is_no_websocket() -> None:
    for answer, words in (
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "answered by HTTP/1.1 403 Forbidden"),
        (b"\x15\x03\x01", "not HTTP"),
        (b"HTTP/1.1 101\r\n" + b"X: y\r\n" * 2000, "bytes of header"),
    ):
        client = WebSocket(RULES, "example.com")
        client.start()
        client.outgoing()
        client.feed(answer)
        assert client.closed
        assert words in str(client.failure)
        assert client.outgoing() == b""
