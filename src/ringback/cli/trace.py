"""What ``-v``, ``-vv`` and ``-vvv`` show of the messages that cross the wire, on standard error.

-v    a line for each response: status, whose it is, between whom
-vv   that, a line for each request, and the responses in full
-vvv  every message in full, byte for byte, framed by size, source, destination, transport and time

Bytes are written as they are when standard error is a file or a pipe; on a terminal what could drive it is escaped.
"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import BinaryIO, final

from ringback.callflow.correlate import summarise


@final
class WireTrace:
    """An observer of a stack (``ringback.protocol.trace``) that writes to ``out``, a binary stream."""

    def __init__(self, verbosity: int, out: BinaryIO | None = None, *, escape: bool | None = None) -> None:
        self._verbosity = verbosity
        self._out = sys.stderr.buffer if out is None else out
        self._escape = sys.stderr.isatty() if escape is None else escape

    def message(self, direction: str, data: bytes, transport: str, local: str, remote: str, now: float) -> None:
        """See one message. A stream that is gone (a closed pipe) is no reason to stop serving."""
        verbosity = self._verbosity
        is_response = data.lstrip(b"\r\n").startswith(b"SIP/")
        if verbosity <= 0 or (verbosity == 1 and not is_response):
            return
        source, destination = (remote, local) if direction == "in" else (local, remote)
        try:
            if verbosity >= 3 or (verbosity == 2 and is_response):
                self._frame(direction, data, transport, source, destination, now)
            else:
                summary = summarise(data)
                of = f" to {summary.method}" if is_response else ""
                line = f"{clock(now)} {source} -> {destination} {transport} {summary.label}{of} {summary.call_id}\n"
                self._out.write(self._shown(line.encode("utf-8", "replace")))
            self._out.flush()
        except (OSError, ValueError):
            self._verbosity = 0

    def _frame(self, direction: str, data: bytes, transport: str, source: str, destination: str, now: float) -> None:
        verb = "received" if direction == "in" else "sent"
        way = f"from {transport}:{source} to {transport}:{destination}"
        self._out.write(f"<--- {verb} {len(data)} bytes {way} at {clock(now)} --->\n".encode())
        self._out.write(self._shown(data))
        self._out.write(b"" if data.endswith(b"\n") else b"\n")

    def _shown(self, data: bytes) -> bytes:
        if not self._escape:
            return data
        text = data.decode("utf-8", "backslashreplace")
        shown = (char if char.isprintable() or char in "\r\n\t" else ascii(char)[1:-1] for char in text)
        return "".join(shown).encode()


def clock(now: float) -> str:
    """Local time of day to the microsecond."""
    return datetime.fromtimestamp(now).strftime("%H:%M:%S.%f")
