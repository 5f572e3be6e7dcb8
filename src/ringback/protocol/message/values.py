"""The typed values of the headers that routing and dialogs read. Values: never changed after they are made."""

from __future__ import annotations

import re
from typing import final

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.grammar import (
    ascii_lower,
    ascii_upper,
    find_closing_quote,
    is_token,
    parse_uint,
    quote,
    split_hostport,
    split_unquoted,
    unquote,
)
from ringback.protocol.message.kept import Kept
from ringback.protocol.message.parameters import format_params, is_clean, parse_params
from ringback.protocol.message.registry import METHODS
from ringback.protocol.message.uri import Uri

# The plain forms. Nearly every header line that comes in is written one way: no folds, no escapes, no odd spacing. For
# that form one expression reads the whole line (half the cost of taking it apart by hand); a line that it does not
# match goes to ``parse``, which knows the whole grammar and words the errors. Whatever a plain form matches, ``parse``
# reads alike (a property test holds them together). Every repeat is possessive, so that no input makes them backtrack.
_T = r"A-Za-z0-9.!%*_+`'~\-"
_NAME = "[A-Za-z-]++: ?"
_PARAMS = rf"((?:;[a-z][a-z0-9-]*+(?:=[{_T}]++)?)*+)"
_PORT = "(?::([1-9][0-9]{0,4}+))?"
_match_address = re.compile(
    rf'{_NAME}(?:"([^"\\\x00-\x1f\x7f]*+)" ?+|((?:[{_T}]++ ?)++))?+'
    rf'<([A-Za-z][A-Za-z0-9+.-]*+:[^<>"\x00-\x20\x7f]++)>(?:;tag=([{_T}]++))?{_PARAMS}'
).fullmatch
_match_via = re.compile(
    rf"{_NAME}SIP/2\.0/([A-Z]++) (([A-Za-z0-9][A-Za-z0-9_-]*+(?:\.[A-Za-z0-9_-]++)*+){_PORT})"
    rf"(;rport)?+(?:;branch=([{_T}]++)(;rport)?+)?+{_PARAMS}"
).fullmatch


def _plain_params(params: dict[str, str | None], text: str) -> bool:
    """Add the parameters of a plain form to ``params``. False when one is there twice."""
    parts = text.split(";")
    count = len(params) + len(parts) - 1
    for at in range(1, len(parts)):
        name, equals, value = parts[at].partition("=")
        params[name] = value if equals else None
    return len(params) == count


MAX_CSEQ = 2**31 - 1  # RFC 3261 §8.1.1.5
MAX_SECONDS = 2**32 - 1  # delta-seconds, RFC 3261 §20.19
DEFAULT_EXPIRES = 3600  # what a malformed expires counts as, RFC 3261 §10.2.1.1


@final
class CSeq:
    """``CSeq: number method`` (RFC 3261 §20.16)."""

    __slots__ = ("method", "number")

    def __init__(self, number: int, method: str) -> None:
        self.number = number
        self.method = method

    @staticmethod
    def read(line: str) -> CSeq | None:
        """The value of a whole header line in plain form; None when it has another form."""
        if line[:6] == "CSeq: ":
            number, _, method = line[6:].partition(" ")
            if method in METHODS and len(number) < 10 and number.isdigit() and number.isascii():
                return CSeq(int(number), method)
        return None

    # CSeq = "CSeq" HCOLON 1*DIGIT LWS Method
    @staticmethod
    def parse(text: str) -> CSeq:
        """Raises ``RemoteProtocolError`` (400) when the number is not below 2^31 or the method is no token."""
        number, _, method = text.partition(" ")
        if "\t" in text:
            number, _, method = text.replace("\t", " ").partition(" ")
        method = method.strip(" ")
        if not is_token(method):
            raise RemoteProtocolError("CSeq without a method", header="CSeq", clause="RFC 3261 §20.16")
        if len(number) < 10 and number.isdigit() and number.isascii():
            return CSeq(int(number), method)
        return CSeq(parse_uint(number, MAX_CSEQ, "CSeq"), method)

    def __str__(self) -> str:
        return f"{self.number} {self.method}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CSeq) and self.number == other.number and self.method == other.method

    def __hash__(self) -> int:
        return hash((self.number, self.method))

    def __repr__(self) -> str:
        return f"CSeq({self})"


@final
class Via:
    """One Via value (RFC 3261 §20.42): transport in capitals, sent-by host and port as written, params."""

    __slots__ = ("host", "params", "port", "sent_by", "transport")

    def __init__(
        self, transport: str, host: str, port: int | None = None, params: dict[str, str | None] | None = None
    ) -> None:
        self.transport = transport
        self.host = host
        self.port = port
        self.params: dict[str, str | None] = {} if params is None else params
        # In lower case, for transaction keys: "host" or "host:port".
        self.sent_by = ascii_lower(host) if port is None else f"{ascii_lower(host)}:{port}"

    @staticmethod
    def read(line: str) -> Via | None:
        """The only value of a whole header line in plain form; None when it has another form."""
        found = _match_via(line)
        if found is None:
            return None
        transport, sent_by, host, port, before, branch, after, rest = found.groups()
        params: dict[str, str | None] = {} if before is None else {"rport": None}
        if branch is not None:
            params["branch"] = branch
            if after is not None:
                if before is not None:
                    return None
                params["rport"] = None
        if rest and (";branch" in rest or not _plain_params(params, rest)):
            return None
        via = Via.__new__(Via)
        via.transport = transport
        via.host = host
        if port is None:
            via.port = None
        else:
            via.port = number = int(port)
            if number > 65535:
                return None
        via.params = params
        via.sent_by = sent_by.lower()
        return via

    # via-parm = sent-protocol LWS sent-by *( SEMI via-params )
    # sent-protocol = protocol-name SLASH protocol-version SLASH transport ; SLASH = SWS "/" SWS
    # sent-by = host [ COLON port ] ; COLON = SWS ":" SWS
    @staticmethod
    def parse(text: str) -> Via:
        """One via-parm. Raises ``RemoteProtocolError`` (400)."""
        head, semi, tail = text.partition(";")
        if head.startswith("SIP/2.0/") and head.count(" ") == 1 and "\t" not in head:
            transport, _, sent_by = head[8:].partition(" ")
        else:
            transport, sent_by = _split_protocol(head)
        if not is_token(transport):
            raise RemoteProtocolError("bad transport in Via", header="Via", clause="RFC 3261 §20.42")
        host, port = split_hostport(sent_by, "Via")
        params = parse_params(semi + tail, "Via")
        if "branch" in params and not is_token(params["branch"] or ""):
            raise RemoteProtocolError("a branch is a token", header="Via", clause="RFC 3261 §20.42")
        return Via(ascii_upper(transport), host, port, params)

    @property
    def branch(self) -> str | None:
        """The branch as written, None when there is none (an RFC 2543 peer)."""
        return self.params.get("branch")

    @property
    def received(self) -> str | None:
        """The address the request came from (§18.2.1), as written."""
        return self.params.get("received")

    @property
    def rport(self) -> str | None:
        """The source port (RFC 3581): None when absent, "" when asked for and not filled in."""
        return (self.params["rport"] or "") if "rport" in self.params else None

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.transport} {self.host}{port}{format_params(self.params)}"

    def __repr__(self) -> str:
        return f"Via({str(self)!r})"


def _split_protocol(head: str) -> tuple[str, str]:
    """Transport and sent-by of a via-parm that has white space where the grammar allows it, or another version."""
    parts = head.replace("\t", " ").split("/", 2)
    if len(parts) != 3 or not is_token(parts[0].strip(" ")) or not is_token(parts[1].strip(" ")):
        raise RemoteProtocolError("bad protocol in Via", header="Via", clause="RFC 3261 §20.42")
    transport, _, sent_by = parts[2].strip(" ").partition(" ")
    host, colon, port = sent_by.rpartition(":")
    if colon and "]" not in port:
        sent_by = f"{host.strip(' ')}:{port.strip(' ')}"
    return transport, sent_by.strip(" ")


# Characters that an unquoted display name cannot hold: they end it, or open something else. RFC 3261 allows tokens
# only; "Bob (work)" and names in other scripts are written too, do no harm, and are let through. A colon does harm: to
# some readers "sip:a@b <sip:c@d>" is the first of the two.
_NOT_DISPLAY = re.compile(r'[\x00-\x08\x0a-\x1f\x7f",:;<>\\]')

# An addr-spec, in angle brackets or without them, as far as it can be told without knowing its scheme.
_ADDRESS = re.compile(r'[A-Za-z][A-Za-z0-9+.-]*+:[^<>"\x00-\x20\x7f]++')


@final
class NameAddr:
    """``[display name] <uri>`` or ``uri``, with header parameters: From, To, Contact, Route, Refer-To ... (§20.10)."""

    __slots__ = ("_uri", "display", "params", "uri_text")

    def __init__(self, uri_text: str, display: str | None = None, params: dict[str, str | None] | None = None) -> None:
        self.display = display
        self.uri_text = uri_text
        self.params: dict[str, str | None] = {} if params is None else params
        self._uri: Uri | None = None

    @staticmethod
    def read(line: str) -> NameAddr | None:
        """The only value of a whole header line in plain form; None when it has another form."""
        found = _match_address(line)
        if found is None:
            return None
        quoted, words, uri_text, tag, rest = found.groups()
        params: dict[str, str | None] = {} if tag is None else {"tag": tag}
        if rest and (";tag" in rest or not _plain_params(params, rest)):
            return None
        address = NameAddr.__new__(NameAddr)
        address.display = quoted if words is None else words.rstrip(" ")
        address.uri_text = uri_text
        address.params = params
        address._uri = None
        return address

    # name-addr = [ display-name ] LAQUOT addr-spec RAQUOT ; display-name = *( token LWS ) / quoted-string
    @staticmethod
    def parse(text: str, what: str = "address") -> NameAddr:
        """One value. Raises ``RemoteProtocolError`` (400) that names ``what``, the header.

        The URI itself is parsed when it is read; here it must only be free of white space and have a scheme. Without
        angle brackets a ``?`` or a comma is refused and parameters are the header's, not the URI's (§20.10).
        """
        display: str | None = None
        if text[:1] == '"':
            end = find_closing_quote(text, 1)
            if end < 0:
                raise RemoteProtocolError(f"unclosed quoted string in {what}", header=what, clause="RFC 3261 §25.1")
            display = text[: end + 1]
            if not is_clean(display):
                raise RemoteProtocolError(f"control character in {what}", header=what, clause="RFC 3261 §25.1")
            display = unquote(display)
            before, bracket, rest = text[end + 1 :].partition("<")
            if before.strip(" \t") or not bracket:
                raise RemoteProtocolError(
                    f"no <URI> after the display name of {what}", header=what, clause="RFC 3261 §20.10"
                )
        else:
            before, bracket, rest = text.partition("<")
            if bracket:
                before = before.strip(" \t")
                if before:
                    if _NOT_DISPLAY.search(before) is not None:
                        raise RemoteProtocolError(f"bad display name in {what}", header=what, clause="RFC 3261 §20.10")
                    display = before
        if bracket:
            uri_text, bracket, rest = rest.partition(">")
            if not bracket:
                raise RemoteProtocolError(f"unclosed < in {what}", header=what, clause="RFC 3261 §20.10")
            rest = rest.lstrip(" \t")
        else:
            uri_text, semi, rest = before.partition(";")
            uri_text = uri_text.rstrip(" \t")
            rest = semi + rest
            if "?" in uri_text or "," in uri_text:
                raise RemoteProtocolError(f"URI of {what} needs angle brackets", header=what, clause="RFC 3261 §20.10")
        if _ADDRESS.fullmatch(uri_text) is None:
            raise RemoteProtocolError(f"bad URI in {what}", header=what, clause="RFC 3261 §25.1")
        return NameAddr(uri_text, display, parse_params(rest, what) if rest else {})

    @property
    def uri(self) -> Uri:
        """The URI, parsed on first touch. Raises ``RemoteProtocolError`` (400)."""
        if self._uri is None:
            self._uri = Uri.parse(self.uri_text)
        return self._uri

    @property
    def tag(self) -> str | None:
        """The tag parameter (§19.3), None when there is none or it is empty."""
        return self.params.get("tag")

    @property
    def q(self) -> float | None:
        """The preference from 0.0 to 1.0 (§20.10), None when there is none. Raises ``RemoteProtocolError`` (400)."""
        text = self.params.get("q")
        if text is None:
            return None
        whole, _, part = text.partition(".")
        # qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] ); more decimals than three are read as well.
        if (
            whole in ("0", "1", "")
            and len(part) <= 9
            and (not part or (part.isascii() and part.isdigit()))
            and whole + part
        ):
            number = float(f"{whole or '0'}.{part or '0'}")
            if number <= 1.0:
                return number
        raise RemoteProtocolError("q is not between 0 and 1", header="Contact", clause="RFC 3261 §25.1")

    @property
    def expires(self) -> int | None:
        """The expires parameter in seconds, None when there is none; a malformed one is 3600 (§10.2.1.1)."""
        return seconds(self.params.get("expires"))

    def __str__(self) -> str:
        """The value in angle brackets, so that it can be written into any header."""
        display = "" if self.display is None else f"{quote(self.display)} "
        return f"{display}<{self.uri_text}>{format_params(self.params)}"

    def __repr__(self) -> str:
        return f"NameAddr({str(self)!r})"


def seconds(text: str | None) -> int | None:
    """A number of seconds; what cannot be read, or is not below 2^32, counts as 3600 (§10.2.1.1). None stays None."""
    if text is None:
        return None
    if len(text) <= 10 and text.isascii() and text.isdigit() and int(text) <= MAX_SECONDS:
        return int(text)
    return DEFAULT_EXPIRES


# SIPp's [authentication] writes the header's name as well; scenarios that write it before that send it twice.
_AGAIN = ("authorization:", "proxy-authorization:")


@final
class Credentials:
    """``scheme name=value, ...`` of WWW-Authenticate, Authorization and their proxy kin (RFC 3261 §25.1, RFC 7616).

    ``scheme`` as written ("Digest"), ``params`` names in lower case, values without their quotes. ``quoted`` holds the
    names whose value was in quotes. ``token68`` is what a scheme without parameters carries ("" otherwise).
    """

    __slots__ = ("params", "quoted", "scheme", "token68")

    def __init__(
        self, scheme: str, params: dict[str, str], quoted: frozenset[str] = frozenset(), token68: str = ""
    ) -> None:
        self.scheme = scheme
        self.params = params
        self.quoted = quoted
        self.token68 = token68

    # challenge = ("Digest" LWS digest-cln *(COMMA digest-cln)) / other-challenge
    # other-challenge = auth-scheme LWS auth-param *(COMMA auth-param)
    @staticmethod
    def parse(text: str) -> Credentials:
        """One header line's value. Raises ``RemoteProtocolError`` (400): no scheme, a bad or repeated parameter."""
        scheme, _, rest = text.replace("\t", " ", 1).partition(" ")
        rest = rest.strip(" \t")
        if not is_token(scheme):
            if ascii_lower(scheme) in _AGAIN:
                return Credentials.parse(rest)
            raise RemoteProtocolError("no authentication scheme", clause="RFC 3261 §25.1")
        params: dict[str, str] = {}
        if not rest:
            return Credentials(scheme, params)
        quoted = []
        for part in split_unquoted(rest, ","):
            name, equals, value = part.partition("=")
            name = ascii_lower(name.strip(" \t"))
            value = value.strip(" \t")
            if not part:
                continue
            if not equals or not value.strip("="):
                if not params and part == rest:
                    return Credentials(scheme, params, token68=rest)
                raise RemoteProtocolError("bad authentication parameter", clause="RFC 3261 §25.1")
            if not is_token(name) or name in params:
                raise RemoteProtocolError("bad or repeated authentication parameter", clause="RFC 3261 §25.1")
            if value[0] == '"':
                if find_closing_quote(value, 1) != len(value) - 1 or not is_clean(value):
                    raise RemoteProtocolError("bad quoted string in credentials", clause="RFC 3261 §25.1")
                quoted.append(name)
                value = unquote(value)
            params[name] = value
        return Credentials(scheme, params, frozenset(quoted))

    def __str__(self) -> str:
        if self.token68:
            return f"{self.scheme} {self.token68}"
        pairs = [f"{name}={quote(value) if name in self.quoted else value}" for name, value in self.params.items()]
        return f"{self.scheme} {', '.join(pairs)}" if pairs else self.scheme

    def __repr__(self) -> str:
        return f"Credentials({self.scheme!r}, {sorted(self.params)!r})"


Challenge = Credentials  # the same form the other way


# Whole header lines in plain form, and their values; None for another form. Via is not among them: its branch is new
# in each transaction, and ``routing.via.stamp`` writes into it.
kept_addresses: Kept[NameAddr | None] = Kept(NameAddr.read, 8192)
kept_cseqs: Kept[CSeq | None] = Kept(CSeq.read, 1024)
