"""The domains that the server answers for, and which address-of-record a URI in one of them means."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from ringback.protocol.grammar import ascii_lower
from ringback.protocol.message.uri import Uri
from ringback.protocol.message.values import Via
from ringback.protocol.routing.route import LocalNames

if TYPE_CHECKING:
    from ringback.protocol.message.model import Request


@final
class Domains:
    """Makes addresses-of-record canonical (RFC 3261 §10.3 step 5).

    ``default`` is the domain that our numeric addresses stand for: a phone that was only told an address can then be
    reached by its name, and the other way round. Domains are written without port, an IPv6 address with brackets.
    """

    __slots__ = ("_local", "default")

    def __init__(self, local: LocalNames, default: str) -> None:
        self._local = local
        self.default = ascii_lower(default)

    def owns(self, uri: Uri) -> bool:
        """Whether a request with this Request-URI is for us, host and port (RFC 3261 §16.4, §16.5)."""
        return self._local.owns(uri)

    def domain_of(self, uri: Uri) -> str | None:
        """The domain of ours that ``uri`` is in, None when it is in none. The port does not matter to an identity."""
        if not uri.is_sip:
            return None
        host = ascii_lower(uri.host)
        if host[-1:] == ".":
            host = host[:-1]  # the same name, written as absolute: who claims it must prove it all the same
        if bare(host) in self._local.domains:
            return host
        return self.default if self._local.owns(uri) else None

    def passes(self, request: Request) -> int:
        """How often the request has been here before: the Via lines that are ours, which are all of plain form."""
        vias = [Via.read(f"Via: {value}") for value in request.get_all("via")]
        return sum([via is not None and self._local.owns_place(via.host, via.port) for via in vias])

    def address_of_record(self, uri: Uri) -> str:
        """The canonical ``sip:user@domain`` of a URI in a domain of ours; "" for any other."""
        domain = self.domain_of(uri)
        if domain is None or not uri.user:
            return ""
        return Uri("sip", domain, user=uri.user).aor


def bare(host: str) -> str:
    """A host without the brackets of an IPv6 address."""
    return host[1:-1] if host[:1] == "[" else host
