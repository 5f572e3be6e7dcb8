"""The shapes in which people write where a request is to go, made one SIP URI.

``sip:u@h:p;transport=udp`` · ``sips:u@h`` · ``<sip:…>`` with or without a display name · ``u@h`` · ``h`` · ``h:p`` ·
``h p`` · ``udp:h:p`` · ``tls:h:p`` · ``[2001:db8::1]:5060`` · ``ws://h:p`` · ``tel:+1555`` and ``+1555`` · and, with a
profile, the name of an alias or a user of the profile's domain.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ringback.cli.terminal import complain
from ringback.errors import RemoteProtocolError, SettingsError

if TYPE_CHECKING:
    from ringback.cli.profiles import Book

_SOCKET = re.compile(
    r"(udp|tcp|tls|ws|wss):(?://)?((?:\[[0-9a-f:.]+\]|[^:@/\[\]]+)(?::[0-9]+)?)(?:/.*)?", re.IGNORECASE | re.ASCII
)
_BARE_IPV6 = re.compile(r"[0-9a-f]*:[0-9a-f:.]*:[0-9a-f:.]*", re.IGNORECASE | re.ASCII)
_NUMBER = re.compile(r"(?:tel:)?(\+?[0-9][0-9().-]*)(;.*)?", re.IGNORECASE | re.ASCII)
_HOST_AND_PORT = re.compile(r"(\S+)\s+([0-9]{1,5})", re.ASCII)
_WORD = re.compile(r"[\w-]+", re.ASCII)
_PASSWORD = re.compile(r"(sips?:)?(?!sips?:)([^:@]+):([^@]*)@(.+)", re.IGNORECASE)


class Target(NamedTuple):
    """Where a request goes: its URI, and the credentials that stood in it."""

    uri: str
    user: str | None = None
    password: str | None = None


def read_target(text: str, book: Book | None = None, domain: str | None = None) -> Target:
    """What ``text`` means. ``domain`` is the one of the profile, for bare words and telephone numbers.

    Raises ``SettingsError`` for what is none. A password in it is taken out, and a warning printed.
    """
    written = text.strip()
    if book is not None and written in book.aliases:
        written = book.aliases[written]
    elif book is not None and written in book.profiles and book.profiles[written].aor:
        written = book.profiles[written].aor or ""
    if written.endswith(">") and "<" in written:
        written = written[written.rindex("<") + 1 : -1]
    secret = _PASSWORD.fullmatch(written)
    if secret is not None:
        complain("warning: a password in a URI is seen by everyone on the way and in your history: use --auth")
        scheme, user, password, rest = secret.groups()
        return Target(_uri(text, f"{scheme or 'sip:'}{user}@{rest}", domain), user, password)
    return Target(_uri(text, written, domain))


def parse_target(text: str) -> str:
    """The SIP URI that ``text`` means, where no credentials are wanted. Raises ``SettingsError`` for what is none."""
    return read_target(text).uri


def _uri(text: str, written: str, domain: str | None) -> str:
    from ringback.protocol.message.uri import Uri

    number = _NUMBER.fullmatch(written)
    socket = _SOCKET.fullmatch(written)
    pair = _HOST_AND_PORT.fullmatch(written)
    if number is not None and (written[:4].lower() == "tel:" or number.group(1).startswith("+")):
        if domain is None:
            raise SettingsError("target", f"{text!r} is a telephone number: say by --profile or --from in which domain")
        written = f"sip:{number.group(1)}@{domain};user=phone"
    elif socket is not None:
        written = f"sip:{socket.group(2)};transport={socket.group(1).lower()}"
    elif pair is not None:
        written = f"sip:{pair.group(1)}:{pair.group(2)}"
    elif _BARE_IPV6.fullmatch(written):
        written = f"sip:[{written}]"
    elif domain is not None and _WORD.fullmatch(written) and written.lower() != "localhost":
        written = f"sip:{written}@{domain}"
    elif not re.match(r"sips?:", written, re.IGNORECASE):
        written = f"sip:{written}"
    try:
        uri = Uri.parse(written)
    except RemoteProtocolError as error:
        raise SettingsError("target", f"{text!r} is not a SIP address: {error.text}") from None
    if not uri.is_sip or uri.password is not None:
        raise SettingsError("target", f"expected a sip: address, got {text!r}")
    return written
