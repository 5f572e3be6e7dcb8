"""Which packets belong together, and what each one is.

Messages are read leniently here: a call flow must also show what is broken. What cannot be read is empty, no error.
A call is what shares a Call-ID, its forked branches included; a packet whose bytes went the same way before is a
retransmission.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

from ringback.callflow.record import Packet

_COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "c": "content-type", "l": "content-length"}
UNREADABLE = "(not SIP)"
_WANTED = frozenset({"via", "from", "to", "call-id", "cseq", "content-type"})


@final
class Summary:
    """What a ladder needs to know of a message. ``status`` is 0 for a request, ``method`` the CSeq's for a response."""

    __slots__ = ("branch", "call_id", "cseq", "from_uri", "has_sdp", "label", "method", "reason", "status", "to_uri")

    def __init__(self) -> None:
        self.method = ""
        self.status = 0
        self.reason = ""
        self.call_id = ""
        self.cseq = 0
        self.branch = ""
        self.from_uri = ""
        self.to_uri = ""
        self.has_sdp = False
        self.label = ""


def printable(text: str) -> str:
    """``text`` with everything that could move a cursor or hide itself in a terminal shown as ``\N{MIDDLE DOT}``."""
    return "".join(char if char.isprintable() else "\N{MIDDLE DOT}" for char in text)


def summarise(data: bytes) -> Summary:
    """Read what can be read of a message's bytes."""
    summary = Summary()
    head = data.lstrip(b"\r\n").partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    start, _, rest = head.partition("\r\n")
    headers: dict[str, str] = {}
    for line in rest.replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n"):
        name, colon, value = line.partition(":")
        key = name.strip(" \t").lower()
        key = _COMPACT.get(key, key)
        if colon and key in _WANTED and key not in headers:
            headers[key] = value.strip(" \t")
    summary.call_id = headers.get("call-id", "")
    summary.from_uri = _bare_uri(headers.get("from", ""))
    summary.to_uri = _bare_uri(headers.get("to", ""))
    number, _, method = headers.get("cseq", "").partition(" ")
    summary.cseq = int(number) if number.isascii() and number.isdigit() and len(number) < 12 else 0
    summary.branch = _parameter(headers.get("via", ""), "branch")
    summary.has_sdp = headers.get("content-type", "").lower().startswith("application/sdp")
    _read_start(summary, start, method.strip(" \t"))
    return summary


def _read_start(summary: Summary, start: str, cseq_method: str) -> None:
    first, _, rest = start.partition(" ")
    if first.startswith("SIP/"):
        code, _, reason = rest.strip(" ").partition(" ")
        summary.status = int(code) if code.isascii() and code.isdigit() and len(code) == 3 else 0
        summary.reason = printable(reason)
        summary.method = printable(cseq_method)
        summary.label = f"{printable(code)} {summary.reason}".rstrip(" ") or UNREADABLE
    else:
        summary.method = printable(first)
        summary.label = summary.method or UNREADABLE
    if summary.has_sdp:
        summary.label += " (SDP)"


def _bare_uri(value: str) -> str:
    """The URI of a From or To value."""
    _, bracket, rest = value.rpartition("<") if "<" in value else ("", "", value)
    return printable(rest.partition(">")[0] if bracket else rest.partition(";")[0]).strip(" \t")


def _parameter(value: str, name: str) -> str:
    for piece in value.partition(",")[0].split(";")[1:]:
        key, _, text = piece.partition("=")
        if key.strip(" \t").lower() == name:
            return text.strip(" \t")
    return ""


@final
class Arrow:
    """A packet in its call: what it is, the time since the one before (seconds), whether it repeats an earlier one."""

    __slots__ = ("delta", "packet", "retransmission", "summary")

    def __init__(self, packet: Packet, summary: Summary, delta: float, retransmission: bool) -> None:
        self.packet = packet
        self.summary = summary
        self.delta = delta
        self.retransmission = retransmission


@final
class CallFlow:
    """The packets of one Call-ID, in the order they were added."""

    def __init__(self, call_id: str = "") -> None:
        self.call_id = call_id
        self.arrows: list[Arrow] = []
        self.participants: list[str] = []  # host:port in order of appearance
        self._seen: set[tuple[str, str, bytes]] = set()

    def add(self, packet: Packet, summary: Summary | None = None) -> Arrow:
        """Append ``packet`` and return it as an arrow."""
        for end in (packet.source, packet.destination):
            if end not in self.participants:
                self.participants.append(end)
        route = (packet.source, packet.destination, packet.data)
        delta = packet.time - self.arrows[-1].packet.time if self.arrows else 0.0
        arrow = Arrow(packet, summary or summarise(packet.data), delta, route in self._seen)
        self._seen.add(route)
        self.arrows.append(arrow)
        return arrow

    @property
    def state(self) -> str:
        """What became of the call, in sngrep's words; of other requests, their last status line."""
        invites = [arrow.summary for arrow in self.arrows if arrow.summary.method == "INVITE"]
        methods = {arrow.summary.method for arrow in self.arrows}
        if not invites:
            finals = [arrow.summary.label for arrow in self.arrows if arrow.summary.status >= 200]
            return finals[-1] if finals else "NO ANSWER"
        caller = self.arrows[0].packet.source
        statuses = [
            arrow.summary.status
            for arrow in self.arrows
            if arrow.summary.method == "INVITE" and arrow.packet.destination == caller
        ]
        if any(200 <= status < 300 for status in statuses):
            return "COMPLETED" if "BYE" in methods else "IN CALL"
        refused = [status for status in statuses if status >= 300 and status not in (401, 407)]
        if not refused:
            return "CALL SETUP"
        last = refused[-1]
        named = {487: "CANCELLED", 486: "BUSY", 600: "BUSY"}
        return named.get(last, "DIVERTED" if last < 400 else "REJECTED")


def correlate(packets: Iterable[Packet]) -> list[CallFlow]:
    """Sort packets into call flows by Call-ID, in order of first appearance."""
    flows: dict[str, CallFlow] = {}
    for packet in packets:
        summary = summarise(packet.data)
        flow = flows.get(summary.call_id)
        if flow is None:
            flow = flows[summary.call_id] = CallFlow(summary.call_id)
        flow.add(packet, summary)
    return list(flows.values())
