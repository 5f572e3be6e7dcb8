"""Frames of WebSocket, both ways (RFC 6455 §5): bytes in and messages out, without a socket.

Rules:

1. What comes out depends on the bytes alone, never on how they were cut.
2. The client masks and the server does not; who breaks this, or any rule of §5, gets a Close frame that says so and is
   read no further. No extension is ever agreed on, so every reserved bit is such a breach.
3. No more is kept than one message may measure: the length in a frame's header is judged before its payload is waited
   for, together with the fragments that came before.
4. Of the Pings that came together the last is answered (§5.5.3).
"""

from __future__ import annotations

from typing import final

CONTINUATION, TEXT, BINARY = 0, 1, 2
CLOSE, PING, PONG = 8, 9, 10
_KNOWN = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})
MOST_CONTROL = 125  # bytes of payload in a control frame

NORMAL = 1000
PROTOCOL_ERROR = 1002
NO_UTF8 = 1007
TOO_LARGE = 1009
_CODES = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})  # that may be sent (§7.4)


def encode_frame(opcode: int, payload: bytes, mask: bytes | None = None) -> bytes:
    """One whole frame; with ``mask`` (four bytes) as a client sends it."""
    size = len(payload)
    bit = 0 if mask is None else 0x80
    if size < 126:
        head = bytes((0x80 | opcode, bit | size))
    elif size < 65536:
        head = bytes((0x80 | opcode, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, bit | 127)) + size.to_bytes(8, "big")
    return head + payload if mask is None else head + mask + apply_mask(payload, mask)


def apply_mask(payload: bytes, mask: bytes) -> bytes:
    """Mask or unmask (§5.3): as one number, which is many times faster than byte by byte."""
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


class Breach(Exception):
    """What the peer must not do; ``code`` is that of the Close frame."""

    def __init__(self, text: str, code: int = PROTOCOL_ERROR) -> None:
        super().__init__(text)
        self.code = code


@final
class FrameReader:
    """One direction of a connection. ``masked``: whether it is the client's; ``most``: bytes of a message.

    ``pinged`` is the payload of the last Ping that nobody has answered yet, ``closed`` the code of the Close frame that
    has come (1005 for one without), ``breach`` what ended the reading otherwise.
    """

    __slots__ = ("_buffer", "_message", "_opcode", "breach", "closed", "masked", "most", "pinged")

    def __init__(self, masked: bool, most: int) -> None:
        self.masked = masked
        self.most = most
        self.pinged: bytes | None = None
        self.closed: int | None = None
        self.breach: Breach | None = None
        self._buffer = bytearray()
        self._message = bytearray()  # the fragments so far
        self._opcode = CONTINUATION  # that of the fragmented message

    @property
    def idle(self) -> bool:
        """Whether neither a frame nor a message is half here."""
        return not self._buffer and not self._opcode

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete with ``data``, in order; none any more after a Close or a breach."""
        found: list[bytes] = []
        if self.closed is not None or self.breach is not None:
            return found
        buffer = self._buffer
        buffer += data
        at = 0
        try:
            while self.closed is None:
                end = self._frame(at, found)
                if not end:
                    break
                at = end
        except Breach as breach:
            self.breach = breach.with_traceback(None)  # which would lead back to this reader: a cycle
        if self.closed is not None or self.breach is not None:
            buffer.clear()
            self._message.clear()
            self._opcode = CONTINUATION
        elif at:
            del buffer[:at]
        return found

    def _frame(self, at: int, found: list[bytes]) -> int:
        """Take the frame that begins at ``at``; where the next begins, 0 while it is not all here. Raises Breach."""
        buffer = self._buffer
        if len(buffer) - at < 2:
            return 0
        first, second = buffer[at], buffer[at + 1]
        opcode, final_, size = first & 0x0F, first & 0x80, second & 0x7F
        self._judge(first, opcode, second)
        start = at + 2
        if size > MOST_CONTROL:
            width = 2 if size == 126 else 8
            if len(buffer) - start < width:
                return 0
            size = int.from_bytes(buffer[start : start + width], "big")
            start += width
            if size <= MOST_CONTROL or (width == 8 and not 65536 <= size < 1 << 63):
                raise Breach("a length that is not written as short as it can be")
        if opcode < CLOSE and len(self._message) + size > self.most:
            raise Breach(f"a message of more than {self.most} bytes", TOO_LARGE)
        mask = None
        if self.masked:
            mask = bytes(buffer[start : start + 4])
            start += 4
        end = start + size
        if end > len(buffer):
            return 0
        payload = bytes(buffer[start:end])
        if mask is not None:
            payload = apply_mask(payload, mask)
        if opcode >= CLOSE:
            self._control(opcode, payload)
        else:
            self._data(opcode, payload, bool(final_), found)
        return end

    def _judge(self, first: int, opcode: int, second: int) -> None:
        if first & 0x70:
            raise Breach("a reserved bit, but no extension was agreed on")
        if opcode not in _KNOWN:
            raise Breach(f"the reserved opcode {opcode}")
        if bool(second & 0x80) is not self.masked:
            raise Breach("a client's frame that is not masked" if self.masked else "a server's frame that is masked")
        if opcode >= CLOSE:
            if not first & 0x80:
                raise Breach("a control frame in fragments")
            if second & 0x7F > MOST_CONTROL:
                raise Breach(f"a control frame of more than {MOST_CONTROL} bytes")
        elif opcode == CONTINUATION and not self._opcode:
            raise Breach("a continuation of nothing")
        elif opcode != CONTINUATION and self._opcode:
            raise Breach("a new message inside a fragmented one")

    def _data(self, opcode: int, payload: bytes, is_last: bool, found: list[bytes]) -> None:
        kind = opcode or self._opcode
        if opcode and is_last:
            message = payload
        else:
            self._opcode = kind
            self._message += payload
            if not is_last:
                return
            message = bytes(self._message)
            self._message.clear()
            self._opcode = CONTINUATION
        if kind == TEXT and not is_utf8(message):
            raise Breach("text that is not UTF-8", NO_UTF8)
        found.append(message)

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.pinged = payload
        elif opcode == CLOSE:
            code = int.from_bytes(payload[:2], "big") if payload else 1005
            if payload and (len(payload) == 1 or code not in _CODES):
                raise Breach("a Close frame without a proper code")
            if not is_utf8(payload[2:]):
                raise Breach("a reason that is not UTF-8", NO_UTF8)
            self.closed = code


def is_utf8(data: bytes) -> bool:
    """Whether these bytes are text."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def encode_message(message: bytes, mask: bytes | None = None) -> bytes:
    """A SIP message as one frame: text where it is UTF-8, else binary (RFC 7118 §4.2)."""
    return encode_frame(TEXT if is_utf8(message) else BINARY, message, mask)


def encode_close(code: int, reason: str = "", mask: bytes | None = None) -> bytes:
    """A Close frame; 1005 stands for one without a code. ``reason`` is ASCII and short."""
    payload = b"" if code == 1005 else code.to_bytes(2, "big") + reason.encode()[: MOST_CONTROL - 2]
    return encode_frame(CLOSE, payload, mask)
