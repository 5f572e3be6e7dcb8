"""From a stream of bytes to messages (RFC 3261 §18.3), and the keep-alives between them (RFC 5626 §4.4.1).

Rules:

1. What comes out depends on the bytes alone, never on how they were cut on their way. Time is linear in their number.
2. A message ends where its Content-Length says. It must have exactly one (§18.3); the parser, which reads the header
   again, comes to the same length or refuses the message.
3. An error is the last thing that comes out: nobody can say where the next message would begin. Its ``message`` is what
   could be read, so that the peer is answered before the connection is closed.
4. No more is kept than one message may measure. One that is going to be too large is refused when its header says so,
   without its body being waited for.
"""

from __future__ import annotations

import re
from typing import final

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.message.parser import DEFAULT_LIMITS, Limits, _refuse

PING = b"\r\n\r\n"
"""What ``StreamFramer.feed`` gives for a keep-alive, and what one looks like on the wire."""

PONG = b"\r\n"
"""The answer to a keep-alive."""

_TOKEN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~")
_MOST = 2**31 - 1

# Content-Length = ( "Content-Length" / "l" ) HCOLON 1*DIGIT
_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:((?:[^\r\n]|\r\n[ \t])*)", re.IGNORECASE)


@final
class StreamFramer:
    """Cuts one direction of a connection into messages.

    ``error`` is None until the stream cannot be read any further; then it is the ``RemoteProtocolError`` to answer
    with, where its ``message`` is a request. ``feed`` gives nothing more from then on.
    """

    __slots__ = ("_buffer", "_crlfs", "_is_sip", "_limits", "_needed", "_searched", "error")

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.error: RemoteProtocolError | None = None
        self._limits = limits
        self._buffer = bytearray()  # what has come of a message that is not complete
        self._searched = 0  # so far in the buffer no header ends
        self._needed = 0  # length of the message once its header is there, else 0
        self._is_sip = False  # its start line is there and looks like one
        self._crlfs = 0  # CRLFs since the last message or pair of them

    @property
    def idle(self) -> bool:
        """Whether no message is half here."""
        return not self._buffer

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete with ``data``, in order, each ready for ``parse_message``, and ``PING`` for
        each pair of CRLFs between them."""
        found: list[bytes] = []
        if self.error is not None:
            return found
        buffer = self._buffer
        source: bytes | bytearray = data
        if buffer:
            buffer += data
            source = buffer
        at = self._cut(source, found)
        if self.error is not None:
            buffer.clear()
        elif source is data:
            if at < len(data):
                buffer += data[at:]
        elif at:
            del buffer[:at]
        self._searched -= at
        return found

    def _cut(self, source: bytes | bytearray, found: list[bytes]) -> int:
        """Move the messages at the beginning of ``source`` to ``found``; where what is left begins."""
        at = 0
        size = len(source)
        while True:
            needed = self._needed
            if not needed:
                while source.startswith(PONG, at):
                    at += 2
                    self._crlfs += 1
                    if self._crlfs == 2:
                        self._crlfs = 0
                        found.append(PING)
                if at == size or (source[at] == 13 and at + 1 == size):
                    return at
                needed = self._measure(source, at)
                if not needed:
                    return at
            end = at + needed
            if end > size:
                self._needed = needed
                return at
            found.append(bytes(source) if not at and end == size else bytes(source[at:end]))
            at = self._searched = end
            self._needed = self._crlfs = 0
            self._is_sip = False

    def _measure(self, source: bytes | bytearray, at: int) -> int:
        """The length of the message at ``at``: 0 when its header is not all there, or ``error`` has been set."""
        start = max(at, self._searched)
        if not self._is_sip:
            line_end = source.find(b"\r\n", start)
            if source[at] not in _TOKEN or (line_end > 0 and b" SIP/" not in b" " + source[at:line_end].upper()):
                self.error = RemoteProtocolError("not a SIP message", offset=0, clause="RFC 3261 §7.1")
                return 0
            self._is_sip = line_end > 0
        limits = self._limits
        head_end = source.find(PING, start)
        size = (head_end if head_end >= 0 else len(source) - 3) - at
        if size > limits.message:
            return self._fail(source[at:], "header too large", 513, "RFC 3261 §21.5.7")
        if head_end < 0:
            self._searched = max(at, len(source) - 3)
            return 0
        # One line end inside a line, and two readers see two headers.
        lines = source.count(b"\r\n", at, head_end)
        if source.count(b"\n", at, head_end) != lines or source.count(b"\r", at, head_end) != lines:
            return self._fail(source[at:head_end], "a line end that is not CRLF", 400, "RFC 3261 §7")
        lengths = _LENGTH.findall(source, at, head_end)
        if len(lengths) != 1:
            how_many = "several" if lengths else "no"
            return self._fail(source[at:head_end], f"{how_many} Content-Length", 400, "RFC 3261 §18.3")
        digits = bytes(lengths[0]).replace(b"\r\n", b"").strip(b" \t")
        if not digits.isdigit() or len(digits) > 10 or int(digits) > _MOST:
            return self._fail(source[at:head_end], "bad Content-Length", 400, "RFC 3261 §20.14")
        body = int(digits)
        if size + 4 + body > limits.message:
            return self._fail(source[at:head_end], "message too large", 513, "RFC 3261 §21.5.7")
        if body > limits.body:
            return self._fail(source[at:head_end], "body too large", 413, "RFC 3261 §21.4.11")
        return size + 4 + body

    def _fail(self, head: bytes | bytearray, text: str, status: int, clause: str) -> int:
        try:
            _refuse(bytes(head[: self._limits.message]), text, status, clause, self._limits)
        except RemoteProtocolError as error:
            self.error = error.with_traceback(None)  # which would lead back to this framer: a cycle
        return 0
