"""Who sends this, and may they? (RFC 3261 §22, and no open relay)

Rules
-----
1. A request within a dialog that we record-routed passes; ACK and CANCEL are never challenged (§22.1), and pass only if
   they are within such a dialog or for a user of ours.
2. REGISTER for a domain of ours is challenged 401, as the registrar is its UAS. Everything else is challenged 407.
3. Who claims to be a user of ours (From in a domain of ours) must prove it. A stranger may reach our users, and us.
4. Nobody is relayed to a host that is not ours but our users, unless the settings open the relay.
5. With ``passwords`` off (a lab) nobody is challenged, and rule 4 leaves no one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, final

from ringback.protocol.auth.authenticator import VerdictKind
from ringback.server.chain import Destination, Exchange, Verdict

if TYPE_CHECKING:
    from ringback.protocol.auth.authenticator import Authenticator
    from ringback.server.domains import Domains
    from ringback.server.stores.base import UserStore

logger = logging.getLogger("ringback.server.auth")


@final
class Authenticate:
    """Finds out the user, and refuses what needs one and has none.

    ``authenticator_for`` gives the authenticator of a domain of ours; ``relay`` is "users", "nobody" or "anyone".
    ``redirects`` says for which addresses-of-record we are a redirect server, which challenges with 401 (§22.1).
    """

    def __init__(
        self,
        users: UserStore,
        domains: Domains,
        authenticator_for: Callable[[str], Authenticator],
        *,
        passwords: bool,
        relay: str,
        redirects: Callable[[str], bool],
    ) -> None:
        self._users = users
        self._domains = domains
        self._authenticator_for = authenticator_for
        self._passwords = passwords
        self._relay = relay
        self._redirects = redirects

    async def __call__(self, exchange: Exchange) -> Verdict:
        """Sets ``user`` and ``realm`` of an authenticated request."""
        method = exchange.request.method
        foreign = exchange.destination is Destination.FOREIGN
        if exchange.within_dialog:
            return Verdict.NEXT
        if method in ("ACK", "CANCEL"):
            return exchange.refuse(481) if foreign else Verdict.NEXT
        registers = method == "REGISTER" and not foreign
        if foreign and self._relay == "anyone":
            return Verdict.NEXT
        if foreign and (self._relay == "nobody" or not self._passwords):
            return exchange.refuse(403, why="no relay to hosts that are not ours (RFC 3261 §26.3.1.2)")
        if not self._passwords or not (registers or foreign or self._must_prove(exchange)):
            return Verdict.NEXT
        return self._identify(exchange, registers)

    def _must_prove(self, exchange: Exchange) -> bool:
        """Rule 3. What is for the server itself (a keep-alive, or a method that it refuses) needs no name."""
        if exchange.destination is Destination.SELF:
            return False
        return self._domains.domain_of(exchange.request.from_.uri) is not None

    def _identify(self, exchange: Exchange, registers: bool) -> Verdict:
        request = exchange.request
        claimed = request.to if registers else request.from_
        by_user_agent = registers or (exchange.destination is Destination.LOCAL and self._redirects(exchange.aor))
        authenticator = self._authenticator_for(self._domains.domain_of(claimed.uri) or self._domains.default)
        credentials = request.get_all("authorization" if by_user_agent else "proxy-authorization")
        verdict = authenticator.verify(request, credentials, self._users.ha1, exchange.now)
        if verdict.kind is VerdictKind.ACCEPTED and verdict.username is not None:
            exchange.user = verdict.username
            exchange.realm = authenticator.realm
            return Verdict.NEXT
        if verdict.kind is VerdictKind.DENIED:
            # One line of fixed shape, for tools that count failures by address.
            host = exchange.flow.remote[0]
            logger.warning("authentication failed from %s for %r: %s", host, verdict.username, verdict.reason)
        name = "WWW-Authenticate" if by_user_agent else "Proxy-Authenticate"
        challenges = authenticator.challenge(exchange.now, stale=verdict.kind is VerdictKind.STALE)
        return exchange.refuse(401 if by_user_agent else 407, [(name, value) for value in challenges])
