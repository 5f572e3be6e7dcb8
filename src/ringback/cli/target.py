"""The shapes in which people write where a request is to go, made one SIP URI.

``sip:u@h:p;transport=udp`` · ``<sip:…>`` with or without a display name · ``u@h`` · ``h`` · ``h:p`` · ``udp:h:p`` ·
``[2001:db8::1]:5060``
"""

from __future__ import annotations

import re

from ringback.errors import RemoteProtocolError, SettingsError

_SOCKET = re.compile(r"(udp|tcp|tls):(?://)?((?:\[[0-9a-f:.]+\]|[^:@\[\]]+)(?::[0-9]+)?)", re.IGNORECASE | re.ASCII)
_BARE_IPV6 = re.compile(r"[0-9a-f]*:[0-9a-f:.]*:[0-9a-f:.]*", re.IGNORECASE | re.ASCII)


def parse_target(text: str) -> str:
    """The SIP URI that ``text`` means. Raises ``SettingsError`` for what is none, or has a password in it."""
    from ringback.protocol.message.uri import Uri

    written = text.strip()
    if written.endswith(">") and "<" in written:
        written = written[written.rindex("<") + 1 : -1]
    socket = _SOCKET.fullmatch(written)
    if socket is not None:
        written = f"sip:{socket.group(2)};transport={socket.group(1).lower()}"
    elif _BARE_IPV6.fullmatch(written):
        written = f"sip:[{written}]"
    elif not re.match(r"(sips?|tel):", written, re.IGNORECASE):
        written = f"sip:{written}"
    try:
        uri = Uri.parse(written)
    except RemoteProtocolError as error:
        raise SettingsError("target", f"{text!r} is not a SIP address: {error.text}") from None
    if uri.password is not None:
        raise SettingsError("target", "a password in a URI is seen by everyone on the way: use --auth")
    if not uri.is_sip:
        raise SettingsError("target", f"expected a sip: address, got {text!r}")
    if uri.transport not in (None, "UDP"):
        raise SettingsError("target", f"transport {uri.transport} is not there yet, only UDP")
    return written
