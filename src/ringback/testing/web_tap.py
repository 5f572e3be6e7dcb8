"""Listening in on a WebSocket: what the trace of the simulated world shows of one."""

from __future__ import annotations

from typing import final

from ringback.protocol.message.parser import DEFAULT_LIMITS
from ringback.transport.websocket.frames import FrameReader

BEGINNINGS = (b"GET /", b"HTTP/")  # of the two directions


@final
class WebTap:
    """One direction, from its handshake on. It stands where ``StreamFramer`` stands on TCP."""

    __slots__ = ("_head", "_reader")

    error = None

    def __init__(self) -> None:
        self._head = b""
        self._reader: FrameReader | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """The SIP messages that are complete with ``data``."""
        if self._reader is None:
            self._head += data
            head, found, data = self._head.partition(b"\r\n\r\n")
            if not found:
                return []
            self._reader = FrameReader(head.startswith(BEGINNINGS[0]), DEFAULT_LIMITS.message)
        return [message for message in self._reader.feed(data) if message[:1] > b" "]
