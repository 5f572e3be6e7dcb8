"""Requests and responses made from parts (RFC 3261 §8.1.1, §8.2.6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ringback.protocol.errors import LocalProtocolError, RemoteProtocolError
from ringback.protocol.grammar import is_token, quote, unfold
from ringback.protocol.message.headers import Headers, check_text, make_line
from ringback.protocol.message.model import Request, Response
from ringback.protocol.message.registry import STATUS, display_name

COPIED = {key: f"{display_name(key)}: " for key in ("via", "record-route", "from", "to", "call-id", "cseq")}

HeaderPairs = Iterable[tuple[str, str]]


def build_request(
    method: str,
    uri: str,
    *,
    via: str | Sequence[str],
    from_: str,
    to: str,
    call_id: str,
    cseq: int,
    max_forwards: int = 70,
    headers: HeaderPairs = (),
    body: bytes = b"",
    content_type: str | None = None,
) -> Request:
    """A request with the six mandatory headers (§8.1.1), then ``headers`` in their order, then the body's.

    ``via`` is one value or several, the top one first; every value is text as it goes on the wire. Raises
    ``LocalProtocolError`` for CR, LF or NUL in any of them, and for a method that is no token.
    """
    if not is_token(method):
        raise LocalProtocolError("a method must be a token")
    names: list[str] = []
    lines: list[str] = []
    for value in (via,) if isinstance(via, str) else via:
        _add(names, lines, "via", value)
    _add(names, lines, "max-forwards", str(max_forwards))
    _add(names, lines, "from", from_)
    _add(names, lines, "to", to)
    _add(names, lines, "call-id", call_id)
    _add(names, lines, "cseq", f"{cseq} {method}")
    _add_rest(names, lines, headers, body, content_type)
    request = Request(method, uri, names, lines, body)
    request.set_uri(uri)
    return request


def build_response(
    request: Request,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str | None = None,
    headers: HeaderPairs = (),
    ready: HeaderPairs = (),
    body: bytes = b"",
    content_type: str | None = None,
    record_route: bool = False,
) -> Response:
    """The response to ``request`` (§8.2.6.2): its Via values, From, To, Call-ID and CSeq, then ``headers``.

    What is copied keeps its value as it came, and leaves under its canonical name, in one line.

    ``to_tag`` goes into a To that has no tag, but never into a 100. Timestamp is copied into a 100 (§8.2.6.1),
    Record-Route when ``record_route`` says so (§12.1.1). ``reason`` None is the canonical phrase. What the request
    lacks, the response lacks. ``ready`` are lines that ``make_line`` made before, for who sends them often. Raises
    ``LocalProtocolError`` as the setters do.
    """
    if not 100 <= status <= 699:
        raise LocalProtocolError("a status is from 100 to 699")
    if reason is None:
        reason = STATUS.get(status, "")
    else:
        check_text(reason)
    first = request._first
    names: list[str] = []
    lines: list[str] = []
    _copy_all(request, "via", names, lines)
    if record_route:
        _copy_all(request, "record-route", names, lines)
    for key in ("from", "to", "call-id", "cseq"):
        line = first.get(key)
        if line is not None:
            line = _canonical(key, line)
            if key == "to" and to_tag and status != 100 and not _has_tag(request):
                check_text(to_tag)
                line = f"{line};tag={to_tag}"
            names.append(key)
            lines.append(line)
    if status == 100 and "timestamp" in first:
        names.append("timestamp")
        lines.append(first["timestamp"])
    for key, line in ready:
        names.append(key)
        lines.append(line)
    _add_rest(names, lines, headers, body, content_type)
    return Response(status, reason, names, lines, body)


def build_error(error: RemoteProtocolError, request: Request, to_tag: str | None = None) -> Response:
    """The answer to a request that broke a rule: the error's status with its canonical phrase, and a Warning.

    The Warning (399) says what was wrong and names the clause. A To that cannot be read is copied as it is, without a
    tag.
    """
    text = "".join([char if char.isprintable() else "?" for char in str(error)])
    return build_response(request, error.status, to_tag=to_tag, headers=(("warning", f"399 ringback {quote(text)}"),))


def _has_tag(request: Request) -> bool:
    """True when To has a tag, or cannot be read so that none may be added."""
    try:
        return request.to_tag is not None
    except RemoteProtocolError:
        return True


def _copy_all(request: Headers, key: str, names: list[str], lines: list[str]) -> None:
    if key in request._first:
        for at, name in enumerate(request.names):
            if name == key:
                names.append(key)
                lines.append(_canonical(key, request.lines[at]))


def _canonical(key: str, line: str) -> str:
    """A line of one of ``COPIED`` as we write it: most come so already."""
    head = COPIED[key]
    if line.startswith(head) and "\n" not in line:
        return line
    return head + unfold(line.partition(":")[2]).strip(" \t")


def _add(names: list[str], lines: list[str], name: str, value: str) -> None:
    key, line = make_line(name, value)
    names.append(key)
    lines.append(line)


def _add_rest(names: list[str], lines: list[str], headers: HeaderPairs, body: bytes, content_type: str | None) -> None:
    for name, value in headers:
        _add(names, lines, name, value)
    if content_type is not None:
        _add(names, lines, "content-type", content_type)
    names.append("content-length")
    lines.append(f"Content-Length: {len(body)}")
