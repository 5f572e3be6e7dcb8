"""One end of a SIP WebSocket (RFC 7118): the handshake, then messages, above any stream of bytes.

It stands where ``protocol.message.framing.StreamFramer`` stands on TCP. One message of WebSocket is one of SIP (§5); a
message of CRLFs alone is a keep-alive (§6, RFC 5626).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection
from typing import final

from ringback.errors import TransportError
from ringback.protocol.message.framing import PING as CRLF_PING
from ringback.protocol.message.parser import DEFAULT_LIMITS
from ringback.transport.websocket.frames import (
    NORMAL,
    PING,
    PONG,
    FrameReader,
    encode_close,
    encode_frame,
    encode_message,
)
from ringback.transport.websocket.handshake import MOST_HEAD, Refusal, answer_request, check_response, make_request

_TOKEN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~#$&^|")


@final
class WebRules:
    """What all WebSockets of a stack have in common.

    ``origins``, lower case, are the web origins whose pages may connect, none means all. ``number(low, high)`` draws
    masks and keys: nobody else may foresee it.
    """

    __slots__ = ("number", "origins")

    def __init__(self, number: Callable[[int, int], int], origins: Collection[str] = ()) -> None:
        self.number = number
        self.origins = frozenset(origins)


@final
class WebSocket:
    """One connection's end; with ``host`` (the value of Host) the client's, else the server's.

    ``ready`` is true from the end of the handshake on; ``closed`` when nothing more will be read: then ``failure`` says
    why, unless the peer has ended it in order. Everything may leave bytes to send, which ``outgoing`` gives.
    """

    __slots__ = ("_close_sent", "_head", "_host", "_key", "_out", "_reader", "_rules", "closed", "failure", "ready")

    error = None  # what comes next can always be told from what cannot be read

    def __init__(self, rules: WebRules, host: str = "", most: int = DEFAULT_LIMITS.message) -> None:
        self.ready = False
        self.closed = False
        self.failure: TransportError | None = None
        self._rules = rules
        self._host = host
        self._key = ""
        self._head = bytearray()
        self._out: list[bytes] = []
        self._close_sent = False
        self._reader = FrameReader(not host, most)

    def start(self) -> None:
        """Begin the handshake, on the client's side."""
        self._key = b64encode(self._rules.number(0, (1 << 128) - 1).to_bytes(16, "big")).decode()
        self._out.append(make_request(self._host, self._key))

    @property
    def idle(self) -> bool:
        """Whether no message is half here."""
        return self._reader.idle

    def feed(self, data: bytes) -> list[bytes]:
        """The SIP messages that are complete with ``data``, and ``framing.PING`` for each keep-alive."""
        if self.closed:
            return []
        if not self.ready:
            data = self._shake_hands(data)
            if not self.ready:
                return []
        reader = self._reader
        messages = reader.feed(data)
        if reader.pinged is not None:
            self._out.append(encode_frame(PONG, reader.pinged, self._mask()))
            reader.pinged = None
        if reader.breach is not None:
            self._fail(f"WebSocket: {reader.breach}")
            self.close(reader.breach.code, str(reader.breach))
        elif reader.closed is not None:
            self.closed = True
            self.close(reader.closed)
        if any(message[:1] <= b" " for message in messages):
            messages = [_keepalive(message) for message in messages if message not in (b"", b"\r\n")]
        return messages

    def wrap(self, message: bytes) -> bytes:
        """A SIP message as it is sent."""
        return encode_message(message, self._mask())

    def ping(self) -> bytes:
        """A Ping as it is sent (RFC 6455 §5.5.2)."""
        return encode_frame(PING, b"", self._mask())

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Say that we end, once."""
        if self.ready and not self._close_sent:
            self._close_sent = True
            self._out.append(encode_close(code, reason, self._mask()))

    def outgoing(self) -> bytes:
        """What is to be sent to the peer."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    def _mask(self) -> bytes | None:
        return self._rules.number(0, 0xFFFFFFFF).to_bytes(4, "big") if self._host else None

    def _shake_hands(self, data: bytes) -> bytes:
        """Take the peer's half of the handshake; what comes after it."""
        head = self._head
        searched = max(0, len(head) - 3)
        head += data
        end = head.find(b"\r\n\r\n", searched) + 4
        try:
            if end < 4 and head[:1] and head[0] not in _TOKEN:
                raise Refusal(400, "not HTTP")
            if end > MOST_HEAD or (end < 4 and len(head) >= MOST_HEAD):
                raise Refusal(431, f"more than {MOST_HEAD} bytes of header")
            if end < 4:
                return b""
            if self._host:
                check_response(bytes(head[:end]), self._key)
            else:
                self._out.append(answer_request(bytes(head[:end]), self._rules.origins))
        except Refusal as refusal:
            if not self._host:
                self._out.append(refusal.response())
            self._fail(f"WebSocket: {refusal}")
        except TransportError as error:
            self._fail(str(error))
        else:
            self.ready = True
        rest = bytes(head[end:])
        head.clear()
        return rest

    def _fail(self, text: str) -> None:
        self.closed = True
        self.failure = TransportError(text)


def _keepalive(message: bytes) -> bytes:
    """What a message that may be a keep-alive is for the connection."""
    return CRLF_PING if not message.strip(b"\r\n") else message
