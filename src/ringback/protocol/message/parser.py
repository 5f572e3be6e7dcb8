"""From a datagram to a message (RFC 3261 §7, §18.3), and the check at the door.

Rules:

1. ``parse_message`` finds the lines and names the headers. It refuses what has two readings: line ends other than CRLF,
   a header without a colon, several Content-Length. Everything else waits until somebody reads it.
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
from ringback.protocol.grammar import is_token, parse_uint
from ringback.protocol.message.model import Message, Request, Response
from ringback.protocol.message.registry import KEYS, METHODS, header_key


@final
class Limits:
    """What a message may measure, in bytes of the wire unless said otherwise. Past them it is refused.

    ``start_line``: 414 for a request (§21.4.12). ``message``: 513 (§21.5.7). ``body``: 413 (§21.4.11). ``header_line`` (one
    field with its folds), ``header_count`` (lines), ``via_count`` and ``value_count`` (values of any one list that the
    door check reads): 400.
    """

    __slots__ = ("body", "header_count", "header_line", "message", "start_line", "value_count", "via_count")

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


DEFAULT_LIMITS = Limits()


def is_keepalive(data: bytes) -> bool:
    """True for a datagram of nothing but CR, LF and NUL, or of nothing: it keeps a NAT binding open, no message."""
    return data[:1] in b"\r\n\0" and not data.strip(b"\r\n\0")


_ANY_LINE_END = re.compile(r"\r\n|\r|\n")


def parse_message(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Request | Response:
    """The message in a datagram. CRLFs before it are skipped, bytes behind its Content-Length dropped (§7.5, §18.3).

    Raises ``RemoteProtocolError``: 400 when it cannot be read, 414, 413 or 513 past a limit, 505 for another version.
    """
    start = 0
    if data[:2] == b"\r\n":
        start = 2
        while data.startswith(b"\r\n", start):
            start += 2
    if len(data) > limits.message:
        _refuse(data, start, "message too large", 513, "RFC 3261 §21.5.7", limits)
    end = data.find(b"\r\n\r\n", start)
    if end < 0:
        _refuse(data, start, "no empty line after the headers", 400, "RFC 3261 §7", limits)
    lines = data[start:end].decode("utf-8", "surrogateescape").split("\r\n")
    head = data[start:end]
    folded = b"\r\n " in head or b"\r\n\t" in head
    if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
        _refuse(data, start, "a line end that is not CRLF", 400, "RFC 3261 §7", limits)
    first = lines.pop(0)
    if folded:
        lines = _join_folds(first, lines, data, start, limits)
    names = [KEYS.get(line.partition(":")[0], "") for line in lines]
    bad = ""
    if "" in names:
        bad = _name_others(names, lines)
    message = _read_start_line(first, names, lines, limits)
    if bad:
        raise RemoteProtocolError(bad, clause="RFC 3261 §7.3.1", message=message)
    if len(lines) > limits.header_count:
        raise RemoteProtocolError("too many headers", clause="RFC 3261 §21.4.1", message=message)
    if end - start > limits.header_line:
        for line in lines:
            if len(line) > limits.header_line or len(line.encode("utf-8", "surrogateescape")) > limits.header_line:
                name = line.partition(":")[0][:64]
                raise RemoteProtocolError("header too long", header=name, clause="RFC 3261 §21.4.1", message=message)
    body = end + 4
    size = len(data) - body
    if "content-length" in message._first:
        if names.count("content-length") > 1:
            raise RemoteProtocolError(
                "several Content-Length", header="Content-Length", clause="RFC 4475 §3.3.9", message=message
            )
        length = message.content_length or 0
        if length > size:
            raise RemoteProtocolError(
                "Content-Length is greater than the body",
                header="Content-Length",
                offset=len(data),
                clause="RFC 3261 §18.3",
                message=message,
            )
        size = length
    if size > limits.body:
        raise RemoteProtocolError("body too large", status=413, clause="RFC 3261 §21.4.11", message=message)
    if start == 0 and body + size == len(data):
        message.raw = data
    else:
        message.raw = data[start : body + size]
    message.body = data[body : body + size]
    return message


def _join_folds(first: str, lines: list[str], data: bytes, start: int, limits: Limits) -> list[str]:
    """``lines`` with each continuation line put back, CRLF and all, to the one it continues (§7.3.1)."""
    groups: list[list[str]] = []
    for line in lines:
        if line[:1] in (" ", "\t"):
            if not groups:
                _refuse(data, start, "a folded start line", 400, "RFC 3261 §7.1", limits)
            groups[-1].append(line)
        else:
            groups.append([line])
    return ["\r\n".join(group) for group in groups]


def _name_others(names: list[str], lines: list[str]) -> str:
    """Fill in the keys of headers in unusual spelling. Returns what is wrong with the first bad line, "" if none is.

    A bad line is taken out, so that what is left can be answered.
    """
    bad = ""
    for at in range(len(names) - 1, -1, -1):
        if not names[at]:
            name, colon, _ = lines[at].partition(":")
            key = header_key(name) if colon else ""
            if key:
                names[at] = key
            else:
                bad = "a header whose name is no token" if colon else "a header without a colon"
                del names[at], lines[at]
    return bad


# Request-Line = Method SP Request-URI SP SIP-Version CRLF ; Status-Line = SIP-Version SP Status-Code SP Reason-Phrase CRLF
_VERSION = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)


def _read_start_line(first: str, names: list[str], lines: list[str], limits: Limits) -> Request | Response:
    word, _, rest = first.partition(" ")
    if word == "SIP/2.0" or word[:4].upper() == "SIP/":
        return _read_status_line(word, rest, first, names, lines, limits)
    uri_text, _, version = rest.partition(" ")
    request = Request(word, uri_text, names, lines)
    if version == "SIP/2.0" and uri_text and len(first) <= limits.start_line and (word in METHODS or is_token(word)):
        return request
    if len(first) > limits.start_line:
        raise RemoteProtocolError("Request-URI too long", status=414, clause="RFC 3261 §21.4.12", message=request)
    if not is_token(word) or not uri_text or " " in version or "\t" in first:
        raise RemoteProtocolError("bad Request-Line", offset=0, clause="RFC 3261 §7.1", message=request)
    if version.upper() == "SIP/2.0":  # the version is case-insensitive, and sent in capitals (§7.1)
        return request
    if _VERSION.fullmatch(version) is None:
        raise RemoteProtocolError("bad Request-Line", offset=0, clause="RFC 3261 §7.1", message=request)
    raise RemoteProtocolError("not SIP/2.0", status=505, clause="RFC 3261 §21.5.6", message=request)


def _read_status_line(word: str, rest: str, first: str, names: list[str], lines: list[str], limits: Limits) -> Response:
    code, _, reason = rest.partition(" ")
    known = len(code) == 3 and code.isascii() and code.isdigit() and 100 <= int(code) <= 699
    response = Response(int(code) if known else 500, reason, names, lines)
    if not known or word.upper() != "SIP/2.0" or len(first) > limits.start_line:
        raise RemoteProtocolError("bad Status-Line", offset=0, clause="RFC 3261 §7.2", message=response)
    return response


def _refuse(data: bytes, start: int, text: str, status: int, clause: str, limits: Limits) -> NoReturn:
    """Raise for a message whose lines cannot be found for sure, with the headers that look whole, for the answer.

    Read here is only what a reply copies, each line by any line end, so that none carries a CR or LF along.
    """
    head = data[start : start + limits.header_line]
    text_lines = _ANY_LINE_END.split(head.decode("utf-8", "surrogateescape"))
    message: Message | None = None
    word, _, rest = text_lines[0].partition(" ")
    uri_text = rest.partition(" ")[0]
    if is_token(word) and uri_text and word[:4].upper() != "SIP/":
        names: list[str] = []
        lines: list[str] = []
        for line in text_lines[1 : limits.header_count]:
            name, colon, _ = line.partition(":")
            key = header_key(name) if colon and line[:1] not in (" ", "\t") else ""
            if not line:
                break
            if key:
                names.append(key)
                lines.append(line)
        message = Request(word, uri_text, names, lines)
    raise RemoteProtocolError(text, status=status, clause=clause, message=message)


# The headers that every message has, exactly once (§8.1.1), besides Via.
_MANDATORY = ("from", "to", "call-id", "cseq")

# Those that have at most one line; two would be read differently by two readers.
_AT_MOST_ONCE = (
    "max-forwards",
    "content-length",
    "content-type",
    "expires",
    "event",
    "subscription-state",
    "rack",
    "rseq",
)


def validate(message: Request | Response, limits: Limits = DEFAULT_LIMITS) -> None:
    """The check at the door: what passes can be routed, matched and answered.

    Mandatory headers are there, single ones once (§7.3.1, §8.1.1); CSeq names the request's method (§8.1.1.5); Via, From, To,
    Call-ID, CSeq, Contact, Route, Record-Route and the Request-URI are well-formed. Raises ``RemoteProtocolError`` with
    ``message`` set: 400, or 501 for a method that nobody registered and its CSeq does not name either.
    """
    first = message._first
    names = message.names
    for key in _MANDATORY:
        if key not in first:
            _complain(message, f"no {key}", key, "RFC 3261 §8.1.1")
    if "via" not in first:
        _complain(message, "no Via", "via", "RFC 3261 §8.1.1")
    if len(first) != len(names):
        for key in _MANDATORY:
            if names.count(key) > 1:
                _complain(message, f"several {key}", key, "RFC 4475 §3.3.8")
        for key in _AT_MOST_ONCE:
            if names.count(key) > 1:
                _complain(message, f"several {key}", key, "RFC 3261 §7.3.1")
    cseq = message.cseq
    if isinstance(message, Request):
        method = message.method
        if cseq.method != method:
            status = 400 if method in METHODS else 501
            raise RemoteProtocolError(
                "CSeq names another method", status=status, header="CSeq", clause="RFC 3261 §8.1.1.5", message=message
            )
        if message.uri.headers is not None:
            raise RemoteProtocolError(
                "headers in the Request-URI", header="Request-URI", clause="RFC 3261 §19.1.1", message=message
            )
        if "max-forwards" in first:
            message.max_forwards  # noqa: B018
    if len(message.vias) > limits.via_count:
        _complain(message, "too many Via", "via", "RFC 3261 §21.4.1")
    branch = message.top_via.branch
    if branch is not None and branch.lower() == "z9hg4bk":
        _complain(message, "branch is the bare cookie", "via", "RFC 3261 §8.1.1.7")
    message.call_id
    message.from_
    message.to
    if "contact" in first:
        message.contacts
    if "route" in first:
        message.routes
    if "record-route" in first:
        message.record_routes


def _complain(message: Message, text: str, key: str, clause: str) -> NoReturn:
    raise RemoteProtocolError(text, header=key, clause=clause, message=message)
