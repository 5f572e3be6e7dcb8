"""The opening handshake: what is answered 101, and what is not and why (RFC 6455 §4, RFC 7118 §4.1)."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import TransportError
from ringback.transport.websocket.handshake import Refusal, accept_key, answer_request, check_response, make_request

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
REQUEST = (
    "GET / HTTP/1.1\r\nHost: sip-ws.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Key: {KEY}\r\nOrigin: http://www.example.com\r\nSec-WebSocket-Protocol: sip\r\n"
    "Sec-WebSocket-Version: 13\r\n\r\n"
)
RESPONSE = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
)


def refusal(request: str, origins: tuple[str, ...] = ()) -> bytes:
    with pytest.raises(Refusal) as caught:
        answer_request(request.encode("latin-1"), origins)
    return caught.value.response()


@pytest.mark.rfc("7118 4.1")
def test_the_example_of_the_rfc() -> None:
    assert accept_key(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert answer_request(REQUEST.encode()) == RESPONSE.encode()
    check_response(RESPONSE.encode(), KEY)
    assert answer_request(make_request("sip-ws.example.com", KEY)) == RESPONSE.encode()


@pytest.mark.rfc("6455 9.1")
def test_compression_is_passed_over() -> None:
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
    assert answer_request((REQUEST[:-2] + offer).encode()) == RESPONSE.encode()


def test_names_and_tokens_are_read_whatever_their_case_and_company() -> None:
    request = REQUEST.replace("Upgrade: websocket", "UPGRADE:  WebSocket ").replace(
        "Connection: Upgrade", "connection: keep-alive, upgrade"
    )
    request = request.replace("Protocol: sip", "Protocol: xmpp, sip")
    assert answer_request(request.encode()) == RESPONSE.encode()


@pytest.mark.rfc("6455 4.2.1")
@pytest.mark.threat("T8")
@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        ("Sec-WebSocket-Protocol: sip\r\n", "", 400),
        ("Protocol: sip", "Protocol: SIP", 400),
        ("Protocol: sip", "Protocol: msrp", 400),
        ("GET", "POST", 405),
        ("GET / ", "GET ", 400),
        ("GET / HTTP/1.1", "OPTIONS sip:example.com SIP/2.0", 400),
        ("HTTP/1.1", "HTTP/1.0", 505),
        ("Host: sip-ws.example.com\r\n", "", 400),
        ("Host:", "Host: another\r\nHost:", 400),
        ("Upgrade: websocket\r\n", "", 426),
        ("Upgrade: websocket", "Upgrade: h2c", 426),
        ("Connection: Upgrade", "Connection: close", 426),
        ("Version: 13", "Version: 8", 426),
        (KEY, "dG9vIHNob3J0", 400),
        (KEY, "!" * 24, 400),
        (f"Sec-WebSocket-Key: {KEY}\r\n", "", 400),
        ("Host:", "Content-Length: 5\r\nHost:", 400),
        ("Host:", "Transfer-Encoding: chunked\r\nHost:", 400),
        ("Host:", "X: y\r\n folded\r\nHost:", 400),
        ("Host:", "X: y\nHost:", 400),
        ("Host:", "no header\r\nHost:", 400),
        ("Host:", "X\x00: y\r\nHost:", 400),
    ],
)
def test_what_is_no_request_for_sip_over_websocket_is_answered_by_http(old: str, new: str, status: int) -> None:
    assert old in REQUEST
    response = refusal(REQUEST.replace(old, new, 1))
    assert response.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"\r\nContent-Length: " in response
    if status == 426:
        assert b"\r\nSec-WebSocket-Version: 13\r\n" in response
        assert b"\r\nUpgrade: websocket\r\n" in response


@pytest.mark.rfc("6455 10.2")
def test_only_pages_of_known_origins_may_connect_and_who_is_no_browser() -> None:
    assert refusal(REQUEST, ("https://example.com",)).startswith(b"HTTP/1.1 403 ")
    assert refusal(REQUEST.replace("http://www.example.com", "null"), ("https://x",)).startswith(b"HTTP/1.1 403 ")
    answer_request(REQUEST.replace("www.example", "WWW.Example").encode(), ("http://www.example.com",))
    answer_request(REQUEST.replace("Origin: http://www.example.com\r\n", "").encode(), ("https://example.com",))


@pytest.mark.rfc("6455 4.1")
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("101 Switching Protocols", "404 Not Found", "answered by HTTP/1.1 404 Not Found"),
        ("HTTP/1.1", "SIP/2.0", "answered by no HTTP"),
        ("s3pP", "s4pP", "somebody else's"),
        ("Upgrade: websocket", "Upgrade: h2c", "something else"),
        ("Sec-WebSocket-Protocol: sip\r\n", "", "subprotocol sip"),
        ("Protocol: sip", "Protocol: xmpp", "subprotocol sip"),
        ("Upgrade: websocket", "Upgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate", "extension"),
        ("Upgrade: websocket", "nothing", "not a response"),
    ],
)
def test_a_server_that_agrees_to_something_else_is_refused(old: str, new: str, words: str) -> None:
    with pytest.raises(TransportError, match=words):
        check_response(RESPONSE.replace(old, new, 1).encode(), KEY)


@pytest.mark.threat("T8")
@given(
    st.lists(st.sampled_from(REQUEST.encode().split(b"\r\n")[:-2]) | st.binary(max_size=20), max_size=10),
    st.booleans(),
)
def test_whatever_comes_is_agreed_to_or_answered_by_http(lines: list[bytes], from_server: bool) -> None:
    head = b"\r\n".join([*lines, b"", b""])
    if from_server:
        with suppress(TransportError):
            check_response(head, KEY)
        return
    try:
        answer = answer_request(head)
    except Refusal as refusal:
        answer = refusal.response()
    assert answer.split(b" ")[1] in (b"101", b"400", b"403", b"405", b"426", b"505")
