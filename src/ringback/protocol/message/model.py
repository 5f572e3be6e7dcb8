"""Requests and responses: raw header lines, read on first touch, written back as they came.

Theory of operation. A message is its start line, its header lines (``headers.Headers``) and its body. Typed values are
a cache over the lines, never the other way round: an edit changes lines and drops what was parsed of that header. A
message that nobody edited is written back byte for byte; in an edited one every other line is.

A typed read raises ``RemoteProtocolError`` with the header named and the message attached. After ``parser.validate``
those that it touches cannot raise any more.
"""

from __future__ import annotations

from typing import NoReturn, final

from ringback.protocol.errors import LocalProtocolError, RemoteProtocolError
from ringback.protocol.grammar import ascii_lower, is_call_id, is_token, parse_uint, unfold
from ringback.protocol.message.headers import Headers, check_text, split_line
from ringback.protocol.message.headers import make_line as make_line
from ringback.protocol.message.kept import Kept
from ringback.protocol.message.registry import KEYS, STATUS, display_name, header_key
from ringback.protocol.message.uri import Uri
from ringback.protocol.message.values import CSeq, NameAddr, Via, kept_addresses, kept_cseqs, seconds

MAX_FORWARDS = 255  # RFC 3261 §20.22

# Every value as nearly everybody writes it, so that reading one is a look-up.
USUAL_MAX_FORWARDS = {f"Max-Forwards: {hops}": hops for hops in range(MAX_FORWARDS + 1)}


def _read_call_id(line: str) -> str | None:
    """The value of a whole line that has no folds and is well-formed, else None."""
    value = line.partition(":")[2].strip(" \t")
    return value if is_call_id(value) else None


kept_call_ids: Kept[str | None] = Kept(_read_call_id, 4096)


def _missing(key: str, message: Message) -> NoReturn:
    name = display_name(key)
    raise RemoteProtocolError(f"no {name}", header=name, clause="RFC 3261 §8.1.1", message=message)


class Message(Headers):
    """What requests and responses share. Made by ``parse_message``, ``build_request`` and ``build_response``.

    ``names`` and ``lines`` run parallel and are only changed by the verbs of ``Headers``. ``body`` is changed by
    ``set_body``, which sets Content-Length with it. ``raw`` is the message as it came, None once it was edited.
    """

    __slots__ = ("_start", "body")

    _start: str
    body: bytes

    @property
    def start_line(self) -> str:
        """The Request-Line or Status-Line, without its CRLF."""
        return self._start

    @property
    def vias(self) -> list[Via]:
        """Every Via value, the top one first. Raises ``RemoteProtocolError`` when one is malformed."""
        cached = self._typed.get("via")
        if cached is None:
            cached = []
            for line in self._lines("via"):
                via = Via.read(line)
                if via is not None:
                    cached.append(via)
                    continue
                try:
                    cached.extend([Via.parse(value) for value in split_line(line)])
                except RemoteProtocolError as error:
                    raise self._blame(error, "via") from None
            self._typed["via"] = cached
        found: list[Via] = cached
        return found

    @property
    def top_via(self) -> Via:
        """The first Via value. Raises ``RemoteProtocolError`` when it is missing or malformed."""
        typed = self._typed
        vias = typed.get("via")
        if vias:
            top: Via = vias[0]
            return top
        via = typed.get("top_via")
        if via is None:
            line = self._first.get("via")
            if line is None:
                _missing("via", self)
            via = Via.read(line)
            if via is not None and len(self.names) == len(self._first):
                typed["via"] = [via]  # the only one
                return via
            if via is None and "," in line:
                # A plain form has no comma within it, so that this one ends the value.
                via = Via.read(line[: line.index(",")].rstrip(" \t"))
            if via is None:
                try:
                    via = Via.parse(split_line(line)[0])
                except RemoteProtocolError as error:
                    raise self._blame(error, "via") from None
            typed["top_via"] = via
        found: Via = via
        return found

    def _address(self, key: str) -> NameAddr:
        """From or To, parsed now and kept."""
        line = self._first.get(key)
        if line is None:
            _missing(key, self)
        address = kept_addresses[line]
        if address is None:
            try:
                address = NameAddr.parse(unfold(line.partition(":")[2]).strip(" \t"), display_name(key))
                if "tag" in address.params and not is_token(address.params["tag"] or ""):
                    raise RemoteProtocolError("a tag is a token", clause="RFC 3261 §19.3")
            except RemoteProtocolError as error:
                raise self._blame(error, key) from None
        self._typed[key] = address
        return address

    @property
    def from_(self) -> NameAddr:
        """The From value (§20.20). Raises ``RemoteProtocolError`` when it is missing or malformed."""
        cached = self._typed.get("from")
        address: NameAddr = self._address("from") if cached is None else cached
        return address

    @property
    def to(self) -> NameAddr:
        """The To value (§20.39). Raises ``RemoteProtocolError`` when it is missing or malformed."""
        cached = self._typed.get("to")
        address: NameAddr = self._address("to") if cached is None else cached
        return address

    def _tag(self, key: str) -> str | None:
        """The tag of From or To, without parsing the rest when it is written the usual way: ``<...>;tag=x``."""
        cached = self._typed.get(key)
        if cached is None:
            line = self._first.get(key)
            if line is not None:
                # A ";tag=" behind the last ">" is the header's unless that ">" stood in a quoted string, and then what
                # follows holds the quote that ends it and is no token.
                _, bracket, rest = line.rpartition(">")
                if bracket:
                    if not rest:
                        return None
                    if rest[:5] == ";tag=" and is_token(rest[5:]):
                        return rest[5:]
            return self._address(key).params.get("tag")
        tag: str | None = cached.params.get("tag")
        return tag

    @property
    def from_tag(self) -> str | None:
        """The tag of From, None when there is none (an RFC 2543 peer)."""
        return self._tag("from")

    @property
    def to_tag(self) -> str | None:
        """The tag of To, None when there is none."""
        return self._tag("to")

    @property
    def call_id(self) -> str:
        """The Call-ID (§20.8), compared byte by byte. Raises ``RemoteProtocolError`` when it is missing or none."""
        cached = self._typed.get("call-id")
        if cached is None:
            line = self._first.get("call-id")
            if line is None:
                _missing("call-id", self)
            cached = kept_call_ids[line]
            if cached is None:
                cached = unfold(line.partition(":")[2]).strip(" \t")
                if not is_call_id(cached):
                    raise RemoteProtocolError("bad Call-ID", header="Call-ID", clause="RFC 3261 §20.8", message=self)
            self._typed["call-id"] = cached
        call_id: str = cached
        return call_id

    @property
    def cseq(self) -> CSeq:
        """The CSeq. Raises ``RemoteProtocolError`` when it is missing, malformed or its number is not below 2^31."""
        cached = self._typed.get("cseq")
        if cached is None:
            line = self._first.get("cseq")
            if line is None:
                _missing("cseq", self)
            cached = kept_cseqs[line]
            if cached is None:
                try:
                    cached = CSeq.parse(unfold(line.partition(":")[2]).strip(" \t"))
                except RemoteProtocolError as error:
                    raise self._blame(error, "cseq") from None
            self._typed["cseq"] = cached
        cseq: CSeq = cached
        return cseq

    def addresses(self, name: str) -> list[NameAddr]:
        """The values of a header that holds a list of addresses (Contact, Route, Path, P-Asserted-Identity ...).

        Parsed on first touch and kept. Raises ``RemoteProtocolError`` for a malformed or empty one.
        """
        return self._addresses(KEYS.get(name) or header_key(name))

    def _addresses(self, key: str) -> list[NameAddr]:
        if key not in self._first:
            return []
        cached = self._typed.get(key)
        if cached is None:
            cached = []
            for line in self._lines(key):
                address = kept_addresses[line]
                if address is not None:
                    cached.append(address)
                    continue
                what = display_name(key)
                try:
                    cached.extend([NameAddr.parse(value, what) for value in split_line(line)])
                except RemoteProtocolError as error:
                    raise self._blame(error, key) from None
            self._typed[key] = cached
        found: list[NameAddr] = cached
        return found

    @property
    def contacts(self) -> list[NameAddr]:
        """Every Contact value; empty for ``Contact: *``. Raises ``RemoteProtocolError`` for a malformed one."""
        cached = self._typed.get("contact")
        if cached is None:
            line = self._first.get("contact")
            if line is None:
                return []
            if "*" in line and self.contact_is_star:
                return []
            return self._addresses("contact")
        found: list[NameAddr] = cached
        return found

    @property
    def contact_is_star(self) -> bool:
        """True when the only Contact is ``*``, which only REGISTER may have (§10.2.2)."""
        return self.get("contact") == "*" and self.names.count("contact") == 1

    @property
    def routes(self) -> list[NameAddr]:
        """Every Route value, in order (§20.34)."""
        return self._addresses("route")

    @property
    def record_routes(self) -> list[NameAddr]:
        """Every Record-Route value, in order (§20.30)."""
        return self._addresses("record-route")

    @property
    def paths(self) -> list[NameAddr]:
        """Every Path value, in order (RFC 3327)."""
        return self._addresses("path")

    @property
    def max_forwards(self) -> int | None:
        """Max-Forwards from 0 to 255; None when absent or greater, which counts as absent (RFC 4475 §3.1.2.4).

        Raises ``RemoteProtocolError`` when it is no number.
        """
        line = self._first.get("max-forwards")
        if line is None:
            return None
        hops = USUAL_MAX_FORWARDS.get(line)
        if hops is not None:
            return hops
        value = unfold(line.partition(":")[2]).strip(" \t")
        if value.isascii() and value.isdigit() and (len(value) > 20 or int(value) > MAX_FORWARDS):
            return None
        return self._uint(value, MAX_FORWARDS, "Max-Forwards")

    def _uint(self, value: str, maximum: int, name: str) -> int:
        try:
            return parse_uint(value, maximum, name)
        except RemoteProtocolError as error:
            error.message = self
            raise

    @property
    def expires(self) -> int | None:
        """Expires in seconds, None when absent; a malformed or too large one counts as 3600 (§10.2.1.1)."""
        return seconds(self.get("expires"))

    @property
    def content_length(self) -> int | None:
        """Content-Length in bytes, None when absent. Raises ``RemoteProtocolError`` when it is no number below 2^31."""
        value = self.get("content-length")
        return None if value is None else self._uint(value, 2**31 - 1, "Content-Length")

    @property
    def content_type(self) -> str | None:
        """The media type of the body in lower case, without parameters; None when there is no Content-Type."""
        value = self.get("content-type")
        if value is None:
            return None
        kind, _, subtype = value.partition(";")[0].partition("/")
        return ascii_lower(kind.strip(" \t") + "/" + subtype.strip(" \t"))

    @property
    def require(self) -> list[str]:
        """The option tags of Require, in lower case (§20.32)."""
        return self._tags("require")

    @property
    def supported(self) -> list[str]:
        """The option tags of Supported, in lower case (§20.37)."""
        return self._tags("supported")

    @property
    def proxy_require(self) -> list[str]:
        """The option tags of Proxy-Require, in lower case (§20.29)."""
        return self._tags("proxy-require")

    @property
    def unsupported(self) -> list[str]:
        """The option tags of Unsupported, in lower case (§20.40)."""
        return self._tags("unsupported")

    def _tags(self, key: str) -> list[str]:
        if key not in self._first:
            return []
        return [ascii_lower(value) for value in self.values(key)]

    @property
    def allow(self) -> list[str]:
        """The methods of Allow (§20.5), as written: methods are case-sensitive."""
        return self.values("allow")

    @property
    def accept(self) -> list[str]:
        """The values of Accept (§20.1), as written, parameters included."""
        return self.values("accept")

    def replace_top_via(self, value: str, via: Via) -> None:
        """Put ``value`` in the place of the first Via value; ``via`` is what it parses to, so that nobody has to.

        For whoever stamps a Via that was read already. Raises ``LocalProtocolError`` as every edit does.
        """
        vias = self._typed.get("via")
        self.replace_first("via", value)
        if vias:
            self._typed["via"] = [via, *vias[1:]]
        else:
            self._typed["top_via"] = via

    def set_body(self, body: bytes, content_type: str | None = None) -> None:
        """Replace the body, with Content-Length and, when given, Content-Type; an empty body has no Content-Type."""
        if content_type is not None:
            self.set("content-type", content_type)
        elif not body:
            self.remove("content-type")
        self.set("content-length", str(len(body)))
        self.body = body

    def _copy_into(self, other: Message) -> None:
        other._start = self._start
        other.names = self.names.copy()
        other.lines = self.lines.copy()
        other.body = self.body
        other.raw = self.raw
        other._typed = self._typed.copy()
        other._first = self._first.copy()

    # Writing

    def to_bytes(self) -> bytes:
        """The message as it goes on the wire: as it came when nothing was edited."""
        raw = self.raw
        if raw is not None:
            return raw
        head = "\r\n".join([self._start, *self.lines, "", ""])
        return head.encode("utf-8", "surrogateescape") + self.body


@final
class Request(Message):
    """A request: ``method`` (case-sensitive) and ``uri_text``, the Request-URI as written."""

    __slots__ = ("_uri", "method", "uri_text")

    def __init__(
        self, method: str, uri_text: str, names: list[str], lines: list[str], body: bytes = b"", start: str = ""
    ) -> None:
        self._fill(names, lines)
        self._start = start or f"{method} {uri_text} SIP/2.0"
        self.body = body
        self.method = method
        self.uri_text = uri_text
        self._uri: Uri | None = None

    @property
    def uri(self) -> Uri:
        """The Request-URI, parsed on first touch. Raises ``RemoteProtocolError`` (400)."""
        if self._uri is None:
            try:
                self._uri = Uri.parse(self.uri_text)
            except RemoteProtocolError as error:
                error.header = "Request-URI"
                error.message = self
                raise
        return self._uri

    def set_uri(self, text: str) -> None:
        """Replace the Request-URI. Raises ``LocalProtocolError`` for white space, CR, LF, NUL or nothing in it."""
        check_text(text)
        if not text or " " in text or "\t" in text:
            raise LocalProtocolError("white space in a Request-URI, or none at all")
        self.uri_text = text
        self._start = f"{self.method} {text} SIP/2.0"
        self._uri = None
        self.raw = None

    def copy(self) -> Request:
        """A copy that can be edited without touching this one. Parsed values are shared."""
        other = Request.__new__(Request)
        self._copy_into(other)
        other.method = self.method
        other.uri_text = self.uri_text
        other._uri = self._uri
        return other

    def __repr__(self) -> str:
        return f"<Request {self._start}>"


@final
class Response(Message):
    """A response: ``status`` from 100 to 699 and its ``reason`` phrase, which may be empty."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str, names: list[str], lines: list[str], body: bytes = b"") -> None:
        self._fill(names, lines)
        self._start = f"SIP/2.0 {status} {reason}"
        self.body = body
        self.status = status
        self.reason = reason

    def set_status(self, status: int, reason: str | None = None) -> None:
        """Replace the status and its reason phrase, the canonical one when none is given."""
        if not 100 <= status <= 699:
            raise LocalProtocolError("a status is from 100 to 699")
        reason = STATUS.get(status, "") if reason is None else reason
        check_text(reason)
        self.status = status
        self.reason = reason
        self._start = f"SIP/2.0 {status} {reason}"
        self.raw = None

    def copy(self) -> Response:
        """A copy that can be edited without touching this one. Parsed values are shared."""
        other = Response.__new__(Response)
        self._copy_into(other)
        other.status = self.status
        other.reason = self.reason
        return other

    def __repr__(self) -> str:
        return f"<Response {self._start}>"
