"""The small pieces of SIP's grammar (RFC 3261 §25.1) that every parser here is made of, and the injected ids.

Rule 1: text from the wire may hold any Unicode character and, as lone surrogates, any byte. ``str.strip``, ``split``,
``isdigit``, ``lower`` and ``int`` without arguments know far more white space, digits and letters than SIP does, so
wire text goes through the functions of this file.

Rule 2: every scanner takes time linear in its input, whatever the input is.

Rule 3: what cannot be read raises ``RemoteProtocolError`` and nothing else.
"""

from __future__ import annotations

import re
from typing import Protocol

from ringback.protocol.errors import RemoteProtocolError


class Ids(Protocol):
    """The source of everything that must be unique or unguessable. Injected, so that a run can be repeated."""

    def branch(self) -> str:
        """A new Via branch, the magic cookie ``z9hG4bK`` in front (RFC 3261 §8.1.1.7)."""

    def tag(self) -> str:
        """A new From or To tag with at least 32 random bits (RFC 3261 §19.3)."""

    def call_id(self) -> str:
        """A new globally unique Call-ID (RFC 3261 §8.1.1.4)."""

    def number(self, low: int, high: int) -> int:
        """A random integer from ``low`` to ``high``, both included."""


_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_UPPER = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}


def ascii_lower(text: str) -> str:
    """``text`` with A-Z in lower case and every other character as it is (case is an ASCII matter, §7.3.1)."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


def ascii_upper(text: str) -> str:
    """``text`` with a-z in capitals and every other character as it is."""
    return text.upper() if text.isascii() else text.translate(_UPPER)


# LWS = [*WSP CRLF] 1*WSP ; WSP = SP / HTAB. Values are unfolded before they come here.
def strip_lws(text: str) -> str:
    """``text`` without the SP and HTAB at its ends."""
    return text.strip(" \t")


def unfold(text: str) -> str:
    """A field value with each fold (CRLF and the white space around it) made one space (RFC 3261 §7.3.1)."""
    if "\r\n" not in text:
        return text
    first, *rest = text.split("\r\n")
    return " ".join([first.rstrip(" \t"), *[part.strip(" \t") for part in rest[:-1]], rest[-1].lstrip(" \t")])


# token = 1*(alphanum / "-" / "." / "!" / "%" / "*" / "_" / "+" / "`" / "'" / "~")
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")


def is_token(text: str) -> bool:
    """True when ``text`` is a token (RFC 3261 §25.1)."""
    return (text.isascii() and text.isalnum()) or _TOKEN.fullmatch(text) is not None


# word = 1*(token characters / "(" / ")" / "<" / ">" / ":" / "\" / DQUOTE / "/" / "[" / "]" / "?" / "{" / "}")
# callid = word [ "@" word ]
_CALL_ID = re.compile(r"[A-Za-z0-9.!%*_+`'~()<>:\\\"/\[\]?{}-]+(?:@[A-Za-z0-9.!%*_+`'~()<>:\\\"/\[\]?{}-]+)?")


def is_call_id(text: str) -> bool:
    """True when ``text`` is the value of a Call-ID (RFC 3261 §25.1 callid)."""
    return _CALL_ID.fullmatch(text) is not None


def parse_uint(text: str, maximum: int, what: str) -> int:
    """The number written in ``text``: 1*DIGIT in ASCII, at most ``maximum``; leading zeros count for nothing.

    Raises ``RemoteProtocolError`` (400) that names ``what``, the header or field, when it is anything else.
    """
    if not (text.isascii() and text.isdigit()):
        raise RemoteProtocolError(f"{what} is not a number", header=what, clause="RFC 3261 §25.1")
    if len(text) > 20:
        text = text.lstrip("0") or "0"
    # Twenty digits are past 2^64; longer ones are never converted, because that takes quadratic time.
    if len(text) > 20 or int(text) > maximum:
        raise RemoteProtocolError(f"{what} is greater than {maximum}", header=what, clause="RFC 3261 §25.1")
    return int(text)


_SCAN = re.compile(r'["<>\\]')


def split_unquoted(text: str, sep: str, what: str | None = None) -> list[str]:
    """``text`` cut at each ``sep`` (one character) that stands outside a quoted string and outside ``<...>``.

    The parts come without the white space at their ends; empty ones stay. Raises ``RemoteProtocolError`` (400) when
    a quoted string or a ``<`` is never closed: a reader that guesses where it ended would see other values than the
    next one does (RFC 4475 §3.1.2.6). ``what`` names the header in it.
    """
    pieces = text.split(sep)
    if '"' not in text and "<" not in text:
        return [piece.strip(" \t") for piece in pieces]
    parts: list[str] = []
    pending: list[str] = []
    state = ""  # "" outside, '"' within a quoted string, "<" within angle brackets
    for piece in pieces:
        state = _state_after(piece, state)
        if state:
            pending.append(piece)
        elif pending:
            pending.append(piece)
            parts.append(sep.join(pending).strip(" \t"))
            pending = []
        else:
            parts.append(piece.strip(" \t"))
    if state:
        mark = "quoted string" if state[0] == '"' else "<"
        raise RemoteProtocolError(f"unclosed {mark}", header=what, clause="RFC 3261 §25.1")
    return parts


def _state_after(piece: str, state: str) -> str:
    """The quoting state behind ``piece`` when it is ``state`` before it. ``'"\\\\'``: the next character is escaped."""
    at = 0
    if state == '"\\':  # the separator itself was the escaped character
        state = '"'
    for found in _SCAN.finditer(piece):
        if found.start() < at:
            continue
        mark = found.group()
        if state == '"':
            if mark == "\\":
                at = found.end() + 1
                if at > len(piece):
                    return '"\\'
            elif mark == '"':
                state = ""
        elif state == "<":
            if mark == ">":
                state = ""
        elif mark in '"<':
            state = mark
    return state


def find_closing_quote(text: str, start: int) -> int:
    """Position of the DQUOTE that closes the quoted string opened just before ``start``; -1 when there is none."""
    while True:
        end = text.find('"', start)
        if end < 0:
            return -1
        slashes = end
        while slashes > start and text[slashes - 1] == "\\":
            slashes -= 1
        if (end - slashes) % 2 == 0:
            return end
        start = end + 1


# quoted-string = DQUOTE *(qdtext / quoted-pair) DQUOTE
# quoted-pair   = "\" (%x00-09 / %x0B-0C / %x0E-7F)
def quote(text: str) -> str:
    """``text`` as a quoted string: DQUOTE, backslash and every control character but HTAB escaped.

    CR and LF no quoted string can hold; they are left as they are, to be refused where the text goes into a message.
    """
    if not text.isprintable():
        return '"' + _NOT_QDTEXT.sub(r"\\\g<0>", text) + '"'
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# What qdtext does not hold, CR and LF aside.
_NOT_QDTEXT = re.compile(r'[\x00-\x08\x0b\x0c\x0e-\x1f\x7f"\\]')


def has_bare_nul(text: str) -> bool:
    """True when ``text`` has a NUL with no backslash before it. No grammar allows one outside a quoted-pair (§25.1)."""
    return text.count("\0") != text.count("\\\0")


_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)


def unquote(text: str) -> str:
    """The text that a quoted string stands for; text that is not in quotes comes back as it is."""
    if len(text) >= 2 and text[0] == '"' and text[-1] == '"':
        text = text[1:-1]
        if "\\" in text:
            return _QUOTED_PAIR.sub(r"\1", text)
    return text


# escaped = "%" HEXDIG HEXDIG
_ESCAPED = re.compile(r"(?:%[0-9A-Fa-f]{2})+")


def unescape(text: str) -> str:
    """``text`` with every ``%HH`` replaced by its byte, once, and the bytes read as UTF-8 (RFC 3261 §19.1.2).

    A ``%`` that two hexadecimal digits do not follow stays as it is. Bytes that are not UTF-8 become lone
    surrogates, so that ``escape_user`` gives them back.
    """
    if "%" not in text:
        return text
    return _ESCAPED.sub(lambda m: bytes.fromhex(m.group().replace("%", "")).decode("utf-8", "surrogateescape"), text)


# user = 1*( unreserved / escaped / user-unreserved )
# user-unreserved = "&" / "=" / "+" / "$" / "," / ";" / "?" / "/"
_NOT_USER = re.compile(r"[^A-Za-z0-9\-_.!~*'()&=+$,;?/]")
# paramchar = param-unreserved / unreserved / escaped ; param-unreserved = "[" / "]" / "/" / ":" / "&" / "+" / "$"
_NOT_PARAM = re.compile(r"[^A-Za-z0-9\-_.!~*'()\[\]/:&+$]")


def _percent(match: re.Match[str]) -> str:
    return "".join([f"%{byte:02X}" for byte in match.group().encode("utf-8", "surrogateescape")])


def escape_user(text: str) -> str:
    """``text`` as the user part of a SIP URI: only what the grammar forbids there is escaped."""
    return _NOT_USER.sub(_percent, text)


def escape_param(text: str) -> str:
    """``text`` as a name or value of a URI parameter: only what the grammar forbids there is escaped."""
    return _NOT_PARAM.sub(_percent, text)


# IPv4address = 1*3DIGIT "." 1*3DIGIT "." 1*3DIGIT "." 1*3DIGIT
def is_ipv4(host: str) -> bool:
    """True when ``host`` is a numeric IPv4 address, each part at most 255."""
    parts = host.split(".")
    if len(parts) != 4 or not host.isascii():
        return False
    return all(part.isdigit() and len(part) <= 3 and int(part) <= 255 for part in parts)


_HEX4 = re.compile(r"[0-9A-Fa-f]{1,4}")


# IPv6address as RFC 5954 §4.1 corrects it. RFC 3261's own rule allowed ":::" before an IPv4 part, and there are
# stacks that write it, so RFC 5118 §4.10 asks for tolerance: it is read as "::".
def is_ipv6(host: str) -> bool:
    """True when ``host`` (without brackets) is a numeric IPv6 address."""
    host = host.replace(":::", "::", 1)
    halves = host.split("::")
    if len(halves) > 2 or not host.isascii():
        return False
    count = 0
    for index, half in enumerate(halves):
        if not half:
            if len(halves) == 1:
                return False
            continue
        groups = half.split(":")
        if "." in groups[-1]:
            if index != len(halves) - 1 or not is_ipv4(groups.pop()):
                return False
            count += 2
        for group in groups:
            if _HEX4.fullmatch(group) is None:
                return False
        count += len(groups)
    return count == 8 if len(halves) == 1 else count <= 7


# hostname = *( domainlabel "." ) toplabel [ "." ]; the underscore is not in it, but names of Windows hosts have it.
_HOSTNAME = re.compile(r"[A-Za-z0-9_.-]+")


def is_host(text: str) -> bool:
    """True when ``text`` is a host name, an IPv4 address or an IPv6 reference in brackets."""
    if text[:1] == "[":
        return text[-1] == "]" and is_ipv6(text[1:-1])
    return _HOSTNAME.fullmatch(text) is not None and ".." not in text and text[0] not in ".-"


# hostport = host [ ":" port ]
def split_hostport(text: str, what: str) -> tuple[str, int | None]:
    """Host (IPv6 in brackets, as written) and port or None of a ``hostport``.

    Raises ``RemoteProtocolError`` (400) that names ``what`` when the host is none or the port is not 1 to 65535.
    """
    host, colon, port = text, "", ""
    if text[:1] == "[":
        end = text.find("]")
        host, rest = text[: end + 1], text[end + 1 :]
        if rest:
            colon, port = rest[0], rest[1:]
    elif ":" in text:
        host, colon, port = text.partition(":")
    if not host or not is_host(host) or colon not in ("", ":"):
        raise RemoteProtocolError(f"bad host in {what}", header=what, clause="RFC 3261 §25.1")
    if not colon:
        return host, None
    number = parse_uint(port, 65535, f"port in {what}")
    if number == 0:
        raise RemoteProtocolError(f"port 0 in {what}", header=what, clause="RFC 3261 §25.1")
    return host, number
