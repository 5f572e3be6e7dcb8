"""SIP and SIPS URIs, and others as far as SIP must carry them (RFC 3261 §19.1, §25.1)."""

from __future__ import annotations

import re
from typing import final

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.grammar import (
    ascii_lower,
    ascii_upper,
    escape_param,
    escape_user,
    is_ipv4,
    split_hostport,
    unescape,
)
from ringback.protocol.message.kept import Kept

# scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")

# The plain form: a SIP URI without escapes, password and headers, its host a name or IPv4 address. It is read in one
# go; all else takes the long way through ``parse``, which reads this form alike (a property test holds them together).
_match_plain = re.compile(
    r"(sips?+):(?:([A-Za-z0-9_.!~*'()&=+$,;?/-]++)@)?"
    r"([A-Za-z0-9_][A-Za-z0-9_-]*+(?:\.[A-Za-z0-9_-]++)*+)(?::([1-9][0-9]{0,4}+))?"
    r"((?:;[a-z][a-z0-9-]*+(?:=[A-Za-z0-9_.!~*'()&+$/-]++)?)*+)"
).fullmatch

# What no URI holds unescaped: white space, controls, and the marks that end a URI in a header.
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f<>\"]")

# A "%" that does not start an escape.
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

# Parameters that two URIs must both have, with the same value, or both lack (§19.1.4).
_MUST_MATCH = ("user", "ttl", "method", "maddr", "transport")


def _bad(text: str) -> RemoteProtocolError:
    return RemoteProtocolError(text, clause="RFC 3261 §19.1.1")


@final
class Uri:
    """A URI as it was written, taken apart. A value: never changed after it is made.

    ``scheme`` lower case; for sip and sips ``user`` (as written, escapes kept) or None, ``password`` or None,
    ``host`` (as written, IPv6 in brackets), ``port`` or None, ``params`` (names and values unescaped once, names in
    lower case, None for a name without ``=``), ``headers`` the raw text after ``?`` or None, ``opaque`` "". For any
    other scheme ``opaque`` is all after the colon, and the rest is empty.
    """

    __slots__ = ("_text", "headers", "host", "opaque", "params", "password", "port", "scheme", "user")

    def __init__(
        self,
        scheme: str,
        host: str = "",
        *,
        user: str | None = None,
        password: str | None = None,
        port: int | None = None,
        params: dict[str, str | None] | None = None,
        headers: str | None = None,
        opaque: str = "",
    ) -> None:
        self.scheme = scheme
        self.user = user
        self.password = password
        self.host = host
        self.port = port
        self.params: dict[str, str | None] = {} if params is None else params
        self.headers = headers
        self.opaque = opaque
        self._text: str | None = None

    @staticmethod
    def parse(text: str) -> Uri:
        """The URI written in ``text``. Raises ``RemoteProtocolError`` (400) for what is none.

        A non-sip URI is only checked for its scheme and for white space. A SIP URI must have at most one ``@``, a
        host, a port from 1 to 65535, no empty and no repeated parameter, and no broken escape.
        """
        return _kept[text]

    @staticmethod
    def _read(text: str) -> Uri:
        found = _match_plain(text)
        if found is None:
            return Uri._parse(text)
        scheme, user, host, digits, rest = found.groups()
        port: int | None = None
        if digits is not None:
            port = int(digits)
            if port > 65535:
                return Uri._parse(text)
        params: dict[str, str | None] = {}
        if rest:
            parts = rest.split(";")
            for at in range(1, len(parts)):
                name, equals, value = parts[at].partition("=")
                params[name] = value if equals else None
            if len(params) != len(parts) - 1:
                return Uri._parse(text)
        uri = Uri.__new__(Uri)
        uri.scheme = scheme
        uri.user = user
        uri.password = None
        uri.host = host
        uri.port = port
        uri.params = params
        uri.headers = None
        uri.opaque = ""
        uri._text = text
        return uri

    @staticmethod
    def _parse(text: str) -> Uri:
        """``parse`` by the whole grammar."""
        scheme, colon, rest = text.partition(":")
        if scheme != "sip":
            if not colon or _SCHEME.fullmatch(scheme) is None:
                raise _bad("not a URI")
            scheme = ascii_lower(scheme)
        elif not colon:
            raise _bad("not a URI")
        if not rest or _FORBIDDEN.search(rest) is not None:
            raise _bad("empty URI, or a character that a URI cannot hold")
        if scheme != "sip" and scheme != "sips":
            uri = Uri(scheme, opaque=rest)
            uri._text = text
            return uri
        if "%" in rest and _BAD_ESCAPE.search(rest) is not None:
            raise _bad("broken escape in the URI")
        user: str | None = None
        password: str | None = None
        before, at, after = rest.partition("@")
        if at:
            if "@" in after:
                raise _bad("two @ in the URI")
            user, colon, secret = before.partition(":")
            if not user:
                raise _bad("empty user in the URI")
            if colon:
                password = secret
            rest = after
        headers: str | None = None
        rest, question, after = rest.partition("?")
        if question:
            headers = after
        params: dict[str, str | None] = {}
        if ";" in rest:
            rest, _, after = rest.partition(";")
            _read_params(after, params)
        host, port = split_hostport(rest, "URI") if not rest.isalnum() or not rest.isascii() else (rest, None)
        uri = Uri(scheme, host, user=user, password=password, port=port, params=params, headers=headers)
        uri._text = text
        return uri

    def __str__(self) -> str:
        """The URI as it was written; one made from parts is put together with what must be escaped escaped."""
        if self._text is None:
            self._text = self._build()
        return self._text

    def __repr__(self) -> str:
        return f"Uri({str(self)!r})"

    def _build(self) -> str:
        if not self.is_sip:
            return f"{self.scheme}:{self.opaque}"
        parts = [self.scheme, ":"]
        if self.user is not None:
            parts.append(self.user)
            if self.password is not None:
                parts.append(f":{self.password}")
            parts.append("@")
        parts.append(self.hostport)
        for name, value in self.params.items():
            parts.append(f";{escape_param(name)}" if value is None else f";{escape_param(name)}={escape_param(value)}")
        if self.headers is not None:
            parts.append(f"?{self.headers}")
        return "".join(parts)

    @property
    def is_sip(self) -> bool:
        """True for sip and sips."""
        return self.scheme == "sip" or self.scheme == "sips"

    @property
    def hostport(self) -> str:
        """``host`` or ``host:port``, as written."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def transport(self) -> str | None:
        """The transport parameter in capitals, None when there is none."""
        value = self.params.get("transport")
        return ascii_upper(value) if value else None

    @property
    def lr(self) -> bool:
        """True when the URI names a loose router (§19.1.1)."""
        return "lr" in self.params

    @property
    def ip(self) -> str:
        """The host without brackets, and with the ``:::`` of RFC 5118 §4.10 made ``::``."""
        host = self.host
        return host[1:-1].replace(":::", "::") if host[:1] == "[" else host

    @property
    def host_is_ip(self) -> bool:
        """True when the host is a numeric address."""
        return self.host[:1] == "[" or is_ipv4(self.host)

    @property
    def aor(self) -> str:
        """The canonical address-of-record (§10.3 step 5): ``scheme:user@host``, to be compared as a string.

        The user is unescaped once and only what must be escaped is escaped again; the host is in lower case; a port
        stays unless it is the scheme's default; parameters, headers and password are gone.
        """
        if not self.is_sip:
            return str(self)
        host = ascii_lower(self.host)
        if self.port is not None and self.port != (5060 if self.scheme == "sip" else 5061):
            host = f"{host}:{self.port}"
        user = self.user
        if user is None:
            return f"{self.scheme}:{host}"
        if not (user.isascii() and user.isalnum()):
            user = escape_user(unescape(user))
        return f"{self.scheme}:{user}@{host}"

    def equals(self, other: Uri) -> bool:
        """True when the two URIs are equal in the sense of §19.1.4 (which is not transitive)."""
        if self.scheme != other.scheme:
            return False
        if not self.is_sip:
            return self.opaque == other.opaque
        if (
            self.port != other.port
            or _plain(self.user) != _plain(other.user)
            or _plain(self.password) != _plain(other.password)
            or ascii_lower(self.ip) != ascii_lower(other.ip)
        ):
            return False
        mine, theirs = self.params, other.params
        for name in _MUST_MATCH:
            if (name in mine) != (name in theirs):
                return False
        for name, value in mine.items():
            if name in theirs and ascii_lower(value or "") != ascii_lower(theirs[name] or ""):
                return False
        return _headers(self.headers) == _headers(other.headers)


_kept: Kept[Uri] = Kept(Uri._read, 8192)


def _plain(text: str | None) -> str | None:
    return None if text is None else unescape(text)


def _headers(text: str | None) -> list[tuple[str, str]]:
    """The header components, names in lower case, for comparison in any order (§19.1.4)."""
    found = []
    for part in (text or "").split("&"):
        name, _, value = part.partition("=")
        if name:
            found.append((ascii_lower(unescape(name)), unescape(value)))
    found.sort()
    return found


# uri-parameters = *( ";" uri-parameter ) ; other-param = pname [ "=" pvalue ] ; pname = 1*paramchar
def _read_params(text: str, params: dict[str, str | None]) -> None:
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if not name or (equals and not value):
            raise _bad("empty parameter in the URI")
        if "%" in part:
            name, value = unescape(name), unescape(value)
        name = ascii_lower(name)
        if name in params:
            raise _bad(f"parameter {name} twice in the URI")
        params[name] = value if equals else None
