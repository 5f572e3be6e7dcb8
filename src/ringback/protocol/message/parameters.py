"""Header parameters: ``*( SEMI generic-param )`` behind a value (RFC 3261 §25.1, §7.3.1).

Names come in lower case, in order. A value stays as it was written, quotes included, because only then can it be
written back; ``grammar.unquote`` reads it. A parameter without ``=`` is None.
"""

from __future__ import annotations

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.grammar import ascii_lower, find_closing_quote, is_token, split_unquoted


# generic-param = token [ EQUAL gen-value ] ; gen-value = token / host / quoted-string
def parse_params(text: str, what: str) -> dict[str, str | None]:
    """The parameters in ``text``, which is empty or starts with ``;``.

    Raises ``RemoteProtocolError`` (400) that names ``what``, the header: an empty parameter, a name that is no
    token, a value that is no value, or a name met twice (§7.3.1 forbids it, and two readers would choose differently).
    """
    params: dict[str, str | None] = {}
    if not text:
        return params
    parts = split_unquoted(text, ";", what) if '"' in text or "<" in text else text.split(";")
    if parts[0].strip(" \t"):
        raise RemoteProtocolError(f"text after the value of {what}", header=what, clause="RFC 3261 §25.1")
    for part in parts[1:]:
        name, equals, value = part.partition("=")
        name = name.strip(" \t")
        if not is_token(name):
            raise RemoteProtocolError(f"bad parameter name in {what}", header=what, clause="RFC 3261 §25.1")
        name = ascii_lower(name)
        if name in params:
            raise RemoteProtocolError(f"parameter {name} twice in {what}", header=what, clause="RFC 3261 §7.3.1")
        if equals:
            value = value.strip(" \t")
            if not (value.isascii() and value.isalnum()) and not _is_value(value):
                raise RemoteProtocolError(f"bad value of {name} in {what}", header=what, clause="RFC 3261 §25.1")
            params[name] = value
        else:
            params[name] = None
    return params


# Within a value that is no quoted string: what would end it or open something else, and white space.
_SEPARATORS = frozenset(' \t\r\n\0\x0b\x0c"<>,;')


def _is_value(value: str) -> bool:
    """A quoted string, or text without separators: token, host (IPv6 with or without brackets), or a URI fragment."""
    if value[:1] == '"':
        return find_closing_quote(value, 1) == len(value) - 1 and is_clean(value)
    return bool(value) and _SEPARATORS.isdisjoint(value)


def is_clean(text: str) -> bool:
    """True when no control character but HTAB stands in the text of a quoted string, except escaped ones (§25.1)."""
    if text.isprintable():
        return True
    escaped = False
    for char in text:
        if escaped:
            if char in "\r\n":
                return False
            escaped = False
        elif char == "\\":
            escaped = True
        elif (char < " " and char != "\t") or char == "\x7f":
            return False
    return True


def format_params(params: dict[str, str | None]) -> str:
    """``params`` as they are written behind a value, each with its ``;``."""
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in params.items()])
