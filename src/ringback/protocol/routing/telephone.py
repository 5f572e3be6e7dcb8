"""A telephone number as a SIP URI (RFC 3261 §19.1.6, RFC 3966): what a gateway of one's own is asked to dial."""

from __future__ import annotations

from string import ascii_letters, digits
from typing import TYPE_CHECKING

from ringback.protocol.errors import RemoteProtocolError

if TYPE_CHECKING:
    from ringback.protocol.message.uri import Uri

# What RFC 3966 §3 has in a number and its parameters but brackets, with which an address would stand for a domain. All
# of it may stand in a user part as it is, but for the colon.
_NUMBER = frozenset(ascii_letters + digits + "+-.()*_!~'&$;=/?:%")


def as_sip(uri: Uri, hostport: str, scheme: str = "sip") -> str:
    """The SIP URI that asks ``hostport`` for the number of a ``tel`` URI: ``sip:+1201@gw.test;user=phone``.

    Raises ``RemoteProtocolError`` when the URI is no telephone number, so that nothing in it can name another host.
    """
    number = uri.opaque
    if uri.scheme != "tel" or not number or not _NUMBER.issuperset(number):
        raise RemoteProtocolError("not a telephone number", clause="RFC 3966 §3")
    user = number.replace(":", "%3A")
    return f"{scheme}:{user}@{hostport};user=phone"
