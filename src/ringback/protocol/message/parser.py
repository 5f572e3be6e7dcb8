"""From a datagram to a message (RFC 3261 §7, §18.3), and the check at the door.

Rules:

1. ``parse_message`` finds the lines and names the headers. It refuses what has two readings: line ends other than CRLF,
   a bare NUL, a header without a colon, several Content-Length. Everything else waits until somebody reads it.
2. ``validate`` is called once for each message that comes in, before anything acts on it. What passes it has every
   mandatory header exactly once, and in the headers that routing and dialogs read nothing is malformed.
3. Both raise ``RemoteProtocolError`` and nothing else, whatever the bytes are. Its ``message`` is what could be read: a
   ``Request`` can be answered with the error's status, a ``Response`` or None is dropped in silence.
4. Where RFC 4475 lets one refuse or repair, we refuse: a repaired message is not what the next hop saw.
"""

from __future__ import annotations

import re
from typing import NoReturn, final

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.grammar import has_bare_nul, is_token, unfold
from ringback.protocol.message.model import USUAL_MAX_FORWARDS, Request, Response, kept_call_ids
from ringback.protocol.message.registry import KEYS, METHODS, display_name, header_key
from ringback.protocol.message.values import kept_addresses


@final
class Limits:
    """What a message may measure, in bytes of the wire unless said otherwise. Past them it is refused.

    ``start_line``: 414 for a request (§21.4.12). ``message``: 513 (§21.5.7). ``body``: 413 (§21.4.11). ``header_line``
    (one field with its folds), ``header_count`` (lines), ``via_count`` (Via lines, and values in the first of them) and
    ``value_count`` (values of any other list that the door check reads): 400.
    """

    __slots__ = ("body", "header_count", "header_line", "least", "message", "start_line", "value_count", "via_count")

    def __init__(
        self,
        *,
        start_line: int = 8192,
        header_line: int = 8192,
        header_count: int = 256,
        message: int = 65535,
        body: int = 65535,
        via_count: int = 128,
        value_count: int = 256,
    ) -> None:
        self.start_line = start_line
        self.header_line = header_line
        self.header_count = header_count
        self.message = message
        self.body = body
        self.via_count = via_count
        self.value_count = value_count
        # A head no longer than this has no line that is too long.
        self.least = min(start_line, header_line)


DEFAULT_LIMITS = Limits()


def is_keepalive(data: bytes) -> bool:
    """True for a datagram of nothing but CR, LF and NUL, or of nothing: it keeps a NAT binding open, no message."""
    return data[:1] in b"\r\n\0" and not data.strip(b"\r\n\0")


_ANY_LINE_END = re.compile(r"\r\n|\r|\n")


def parse_message(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Request | Response:
    """The message in a datagram. CRLFs before it are skipped, bytes behind its Content-Length dropped (§7.5, §18.3).

    Raises ``RemoteProtocolError``: 400 when it cannot be read, 414, 413 or 513 past a limit, 505 for another version.
    """
    if data[:2] == b"\r\n":
        start = 2
        while data.startswith(b"\r\n", start):
            start += 2
        data = data[start:]
    end = data.find(b"\r\n\r\n")
    if end < 0:
        _refuse(data, "no empty line after the headers", 400, "RFC 3261 §7", limits)
    if len(data) > limits.message:
        _refuse(data, "message too large", 513, "RFC 3261 §21.5.7", limits)
    if 0 in data and data.count(b"\0", 0, end) != data.count(b"\\\0", 0, end):
        _refuse(data, "a NUL that no backslash escapes", 400, "RFC 3261 §25.1", limits)
    lines = data[:end].decode("utf-8", "surrogateescape").split("\r\n")
    joined = "".join(lines)
    if "\n" in joined or "\r" in joined:
        _refuse(data, "a line end that is not CRLF", 400, "RFC 3261 §7", limits)
    first = lines[0]
    del lines[0]
    names: list[str]
    bad = ""
    try:
        # The inner "loop" is an assignment, and costs as little.
        names = [KEYS[name] for line in lines for name, colon, _ in [line.partition(":")] if colon]
    except KeyError:
        names = []
    if len(names) != len(lines):
        names, lines, bad = _name_lines(lines)
    message: Request | Response
    words = first.split(" ")
    if len(words) == 3 and words[2] == "SIP/2.0" and words[0] in METHODS and words[1]:
        message = Request(words[0], words[1], names, lines, b"", first)
    elif words[0] == "SIP/2.0" and first[8:12] in _CODES:
        message = Response(int(first[8:11]), first[12:], names, lines)
    else:
        message = _read_start_line(first, names, lines)
    if bad:
        raise RemoteProtocolError(bad, clause="RFC 3261 §7.3.1", message=message)
    if end > limits.least or len(lines) > limits.header_count:
        _check_sizes(message, first, limits)
    size = body = end + 4
    length = message._first.get("content-length")
    if length is None:
        size = len(data)
    else:
        if len(names) != len(message._first) and names.count("content-length") > 1:
            raise RemoteProtocolError(
                "several Content-Length", header="Content-Length", clause="RFC 4475 §3.3.9", message=message
            )
        digits = length.partition(":")[2].strip(" \t")
        if len(digits) < 6 and digits.isdigit() and digits.isascii():
            size += int(digits)
        else:
            size += message.content_length or 0
    if size > len(data):
        raise RemoteProtocolError(
            "Content-Length is greater than the body",
            header="Content-Length",
            offset=len(data),
            clause="RFC 3261 §18.3",
            message=message,
        )
    if size - body > limits.body:
        raise RemoteProtocolError("body too large", status=413, clause="RFC 3261 §21.4.11", message=message)
    message.raw = data if size == len(data) else data[:size]
    message.body = data[body:size]
    return message


def _check_sizes(message: Request | Response, first: str, limits: Limits) -> None:
    """Hold a message that is long enough to break them to the limits of its parts."""
    if _size(first) > limits.start_line:
        raise RemoteProtocolError("Request-URI too long", status=414, clause="RFC 3261 §21.4.12", message=message)
    if len(message.lines) > limits.header_count:
        raise RemoteProtocolError("too many headers", clause="RFC 3261 §21.4.1", message=message)
    for at, line in enumerate(message.lines):
        if _size(line) > limits.header_line:
            name = display_name(message.names[at])[:64]
            raise RemoteProtocolError(f"{name} is too long", header=name, clause="RFC 3261 §21.4.1", message=message)


def _size(text: str) -> int:
    """Bytes of ``text`` on the wire."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))


def _name_lines(lines: list[str]) -> tuple[list[str], list[str], str]:
    """Keys and lines where some are folded, unregistered or wrong; and what is wrong with the first bad one, or "".

    A continuation line is put back, CRLF and all, to the line it continues (§7.3.1). Bad lines are left out, so that
    what is left can be answered.
    """
    groups: list[list[str]] = []
    bad = ""
    for line in lines:
        if line[:1] == " " or line[:1] == "\t":
            if groups:
                groups[-1].append(line)
            else:
                bad = bad or "a folded start line"
        else:
            groups.append([line])
    names: list[str] = []
    whole: list[str] = []
    for group in groups:
        name, colon, _ = group[0].partition(":")
        key = header_key(name) if colon else ""
        if key:
            names.append(key)
            whole.append("\r\n".join(group))
        else:
            bad = bad or ("a header whose name is no token" if colon else "a header without a colon")
    return names, whole, bad


_CODES = frozenset(f"{code} " for code in range(100, 700))

# SIP-Version = "SIP" "/" 1*DIGIT "." 1*DIGIT
_VERSION = re.compile(r"[Ss][Ii][Pp]/[0-9]+\.[0-9]+")


# Request-Line = Method SP Request-URI SP SIP-Version CRLF
# Status-Line = SIP-Version SP Status-Code SP Reason-Phrase CRLF
def _read_start_line(first: str, names: list[str], lines: list[str]) -> Request | Response:
    """The message of a start line that is not one of the usual ones: another method or version, or a wrong one."""
    word, _, rest = first.partition(" ")
    if _VERSION.fullmatch(word) is not None:
        code, _, reason = rest.partition(" ")
        if f"{code} " not in _CODES or word.upper() != "SIP/2.0":
            response = Response(500, "", names, lines)
            raise RemoteProtocolError("bad Status-Line", offset=0, clause="RFC 3261 §7.2", message=response)
        # A missing space before an empty reason phrase is let pass; it is written again with one.
        return Response(int(code), reason, names, lines)
    uri_text, _, version = rest.partition(" ")
    if not is_token(word):
        raise RemoteProtocolError("bad Request-Line", offset=0, clause="RFC 3261 §7.1")
    request = Request(word, uri_text, names, lines)
    if not uri_text or _VERSION.fullmatch(version) is None:
        raise RemoteProtocolError("bad Request-Line", offset=0, clause="RFC 3261 §7.1", message=request)
    if version.upper() != "SIP/2.0":  # the version is case-insensitive, and sent in capitals (§7.1)
        raise RemoteProtocolError("not SIP/2.0", status=505, clause="RFC 3261 §21.5.6", message=request)
    return request


def _refuse(data: bytes, text: str, status: int, clause: str, limits: Limits) -> NoReturn:
    """Raise for a message whose lines cannot be found for sure, with the headers that look whole, for the answer.

    Read here is only what a reply copies, from the first bytes, each line by any line end, so that none carries a CR
    or LF along; nor a NUL, where a reader in C would see the line end.
    """
    text_lines = _ANY_LINE_END.split(data[: limits.header_line].decode("utf-8", "surrogateescape"))
    if "" in text_lines:
        del text_lines[text_lines.index("") :]
    elif len(data) > limits.header_line:
        del text_lines[-1]  # it may be cut
    names, lines, _ = _name_lines(text_lines[1 : limits.header_count])
    if b"\0" in data:
        kept = [at for at, line in enumerate(lines) if not has_bare_nul(line)]
        names, lines = [names[at] for at in kept], [lines[at] for at in kept]
    lines = [unfold(line) for line in lines]
    message: Request | Response | None = None
    try:
        message = _read_start_line(text_lines[0] if text_lines else "", names, lines)
    except RemoteProtocolError as error:
        message = error.message
    raise RemoteProtocolError(text, status=status, clause=clause, message=message)


# The headers that every message has, exactly once (§8.1.1), besides Via.
_MANDATORY = ("from", "to", "call-id", "cseq")

# Those that have at most one line, because two would be read differently by two readers (§7.3.1). A second line of a
# header that only a person reads is let through.
_AT_MOST_ONCE = frozenset(
    {
        *_MANDATORY,
        "content-disposition",
        "content-length",
        "content-type",
        "event",
        "expires",
        "info-package",
        "join",
        "max-breadth",
        "max-forwards",
        "min-expires",
        "min-se",
        "rack",
        "refer-to",
        "replaces",
        "rseq",
        "session-expires",
        "sip-etag",
        "sip-if-match",
        "subscription-state",
        "target-dialog",
    }
)


def validate(message: Request | Response, limits: Limits = DEFAULT_LIMITS) -> None:
    """The check at the door: what passes can be routed, matched and answered.

    Mandatory headers are there, single ones once (§7.3.1, §8.1.1); CSeq names the request's method (§8.1.1.5); the
    top Via, From, To, Call-ID, CSeq, Max-Forwards, Contact, Route, Record-Route and the Request-URI are well-formed.
    Lower Via lines are other elements' business, and nobody's reason to refuse (§16.3 item 1). Raises
    ``RemoteProtocolError`` with ``message`` set: 400, or 501 for a method that nobody registered when CSeq has another.
    """
    first = message._first
    if not ("via" in first and "from" in first and "to" in first and "call-id" in first and "cseq" in first):
        key = next(key for key in (*_MANDATORY, "via") if key not in first)
        _complain(message, "no", key, "RFC 3261 §8.1.1")
    several = len(first) != len(message.names)
    if several:
        _check_once(message)
    cseq = message.cseq
    if isinstance(message, Request):
        if cseq.method != message.method:
            raise RemoteProtocolError(
                "CSeq names another method",
                status=400 if message.method in METHODS else 501,
                header="CSeq",
                clause="RFC 3261 §8.1.1.5",
                message=message,
            )
        if message.uri.headers is not None:
            raise RemoteProtocolError(
                "headers in the Request-URI", header="Request-URI", clause="RFC 3261 §19.1.1", message=message
            )
        if "max-forwards" in first and first["max-forwards"] not in USUAL_MAX_FORWARDS:
            _read(message.max_forwards)
    raw = message.raw
    if raw is None or len(raw) > _SHORTEST_VIA * limits.via_count:
        _check_vias(message, limits)
    branch = message.top_via.branch
    if branch is not None and len(branch) == 7 and branch.lower() == "z9hg4bk":
        _complain(message, "a branch that is the bare cookie in", "via", "RFC 3261 §8.1.1.7")
    # The usual form is one look-up; any other is read by the whole grammar, or refused.
    typed = message._typed
    typed["call-id"] = kept_call_ids[first["call-id"]] or message.call_id
    typed["from"] = kept_addresses[first["from"]] or message.from_
    typed["to"] = kept_addresses[first["to"]] or message.to
    if "contact" in first and len(message.contacts) > limits.value_count:
        _complain(message, "too many", "contact", "RFC 3261 §21.4.1")
    if "route" in first:
        if not first["route"].partition(":")[2].strip(" \t") and message.names.count("route") == 1:
            message.remove("route")  # SIPp scenarios write an empty Route where there is no route set: it says nothing
        elif len(message.routes) > limits.value_count:
            _complain(message, "too many", "route", "RFC 3261 §21.4.1")
    if "record-route" in first and len(message.record_routes) > limits.value_count:
        _complain(message, "too many", "record-route", "RFC 3261 §21.4.1")


def _read(*values: object) -> None:
    """The values are in order: reading them has shown it."""


_SHORTEST_VIA = len("SIP/2.0/T h,")  # a message shorter than so many of them cannot have too many


def _check_vias(message: Request | Response, limits: Limits) -> None:
    """Count Via values. Lower ones are not read, so a comma within quotes counts as well."""
    if sum([line.count(",") + 1 for line in message._lines("via")]) > limits.via_count:
        _complain(message, "too many", "via", "RFC 3261 §21.4.1")


def _check_once(message: Request | Response) -> None:
    if message.names.count("via") - 1 == len(message.names) - len(message._first):
        return  # nothing but Via occurs twice
    seen = set()
    for key in message.names:
        if key in seen and key in _AT_MOST_ONCE:
            _complain(message, "several", key, "RFC 3261 §7.3.1")
        seen.add(key)


def _complain(message: Request | Response, what: str, key: str, clause: str) -> NoReturn:
    name = display_name(key)
    raise RemoteProtocolError(f"{what} {name}", header=name, clause=clause, message=message)
