"""The opening handshake of WebSocket (RFC 6455 §4) with the subprotocol ``sip`` (RFC 7118 §4.1), as values.

Rule 1. Whatever is not a proper request for this subprotocol is answered by HTTP: 400, 403 for a page whose origin is
        not among those allowed, 405, 426 with the version that we speak, 431, 505.
Rule 2. No extension is agreed on: an offer of permessage-deflate is passed over, and a server that agrees to what was
        never offered is refused.
Rule 3. A request has no body, no folded lines, and every header that we read once: nobody behind an intermediary can
        have two readers see two requests.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Collection
from hashlib import sha1
from typing import final

from ringback.errors import TransportError
from ringback.protocol.grammar import ascii_lower, is_token, strip_lws

MOST_HEAD = 8192  # bytes of a request or response, its empty line included
SUBPROTOCOL = "sip"
VERSION = "13"

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_REASONS = {
    400: "Bad Request",
    403: "Forbidden",
    405: "Method Not Allowed",
    426: "Upgrade Required",
    431: "Request Header Fields Too Large",
    505: "HTTP Version Not Supported",
}

Headers = dict[str, list[str]]


@final
class Refusal(Exception):
    """A handshake that is answered by ``status``; ``headers`` go with the answer."""

    def __init__(self, status: int, text: str, *headers: str) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers

    def response(self) -> bytes:
        """The HTTP response, after which the connection is closed."""
        body = f"{self}\n"
        lines = [
            f"HTTP/1.1 {self.status} {_REASONS[self.status]}",
            *self.headers,
            "Connection: close" if self.status != 426 else "Connection: Upgrade, close",
            "Content-Type: text/plain; charset=us-ascii",
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join([*lines, "", body]).encode("ascii", "replace")


def accept_key(key: str) -> str:
    """The value of Sec-WebSocket-Accept (§4.2.2)."""
    return b64encode(sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


def answer_request(head: bytes, origins: Collection[str] = ()) -> bytes:
    """The 101 to a client's request; ``head`` ends with its empty line. Raises Refusal.

    ``origins``, lower case, are the web origins (``https://example.com``) whose pages may connect; none means all. A
    client that is no browser sends no Origin, and could send any: it is not what this protects from (§10.2).
    """
    line, headers = _read_head(head)
    parts = line.split(" ")
    if len(parts) != 3 or not parts[1].startswith("/") or not parts[2].startswith("HTTP/"):
        raise Refusal(400, "not HTTP")
    if parts[0] != "GET":
        raise Refusal(405, "only GET opens a WebSocket", "Allow: GET")
    if parts[2] != "HTTP/1.1":
        raise Refusal(505, "only HTTP/1.1 opens a WebSocket")
    _one(headers, "host")
    if "content-length" in headers or "transfer-encoding" in headers:
        raise Refusal(400, "a body in a GET")
    if "websocket" not in _tokens(headers, "upgrade") or "upgrade" not in _tokens(headers, "connection"):
        raise Refusal(426, "here is SIP over WebSocket", "Upgrade: websocket", f"Sec-WebSocket-Version: {VERSION}")
    if headers.get("sec-websocket-version") != [VERSION]:
        raise Refusal(426, "another version of WebSocket", "Upgrade: websocket", f"Sec-WebSocket-Version: {VERSION}")
    key = _one(headers, "sec-websocket-key")
    if not _is_key(key):
        raise Refusal(400, "a bad Sec-WebSocket-Key")
    if SUBPROTOCOL not in _values(headers, "sec-websocket-protocol"):
        raise Refusal(400, "the subprotocol sip is not offered (RFC 7118)")
    if origins and "origin" in headers and ascii_lower(_one(headers, "origin")) not in origins:
        raise Refusal(403, "pages of this origin may not connect")
    lines = (
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_key(key)}",
        f"Sec-WebSocket-Protocol: {SUBPROTOCOL}",
    )
    return "\r\n".join([*lines, "", ""]).encode()


def make_request(host: str, key: str) -> bytes:
    """A client's request; ``host`` is the value of Host, ``key`` sixteen bytes in base 64 (§4.1)."""
    lines = (
        "GET / HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        f"Sec-WebSocket-Protocol: {SUBPROTOCOL}",
        f"Sec-WebSocket-Version: {VERSION}",
    )
    return "\r\n".join([*lines, "", ""]).encode()


def check_response(head: bytes, key: str) -> None:
    """Judge a server's answer to ``make_request`` with this key (§4.1). Raises TransportError."""
    try:
        line, headers = _read_head(head)
    except Refusal as refusal:
        raise TransportError(f"WebSocket: not a response of HTTP: {refusal}") from None
    if not line.startswith("HTTP/1.1 101 "):
        shown = line[:80] if line.startswith("HTTP/") else "no HTTP"
        raise TransportError(f"WebSocket: the handshake was answered by {shown}")
    if "websocket" not in _tokens(headers, "upgrade") or "upgrade" not in _tokens(headers, "connection"):
        raise TransportError("WebSocket: a 101 that upgrades to something else")
    if headers.get("sec-websocket-accept") != [accept_key(key)]:
        raise TransportError("WebSocket: a 101 to somebody else's handshake")
    if headers.get("sec-websocket-protocol") != [SUBPROTOCOL]:
        raise TransportError("WebSocket: the server does not speak the subprotocol sip (RFC 7118)")
    if "sec-websocket-extensions" in headers:
        raise TransportError("WebSocket: the server agrees to an extension that was not offered")


def _read_head(head: bytes) -> tuple[str, Headers]:
    """The first line, and the values of each header by its name in lower case. Raises Refusal."""
    text = head[:-4].decode("latin-1")
    lines = text.split("\r\n")
    headers: Headers = {}
    if any(mark in line for line in lines for mark in "\r\n\0"):
        raise Refusal(400, "a line end that is not CRLF")
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not is_token(name):
            raise Refusal(400, "a line that is no header")
        headers.setdefault(ascii_lower(name), []).append(strip_lws(value))
    return lines[0], headers


def _one(headers: Headers, name: str) -> str:
    values = headers.get(name, [])
    if len(values) != 1:
        raise Refusal(400, f"{'several' if values else 'no'} {name.title()}")
    return values[0]


def _values(headers: Headers, name: str) -> list[str]:
    return [strip_lws(part) for value in headers.get(name, ()) for part in value.split(",")]


def _tokens(headers: Headers, name: str) -> list[str]:
    return [ascii_lower(value) for value in _values(headers, name)]


def _is_key(key: str) -> bool:
    """Sixteen bytes in base 64."""
    try:
        return len(key) == 24 and len(b64decode(key, validate=True)) == 16
    except ValueError:
        return False
