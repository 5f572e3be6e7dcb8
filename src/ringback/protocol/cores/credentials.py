"""How a user agent answers 401 and 407 (RFC 3261 §22.2, §22.3, RFC 8760).

Rule 1. Each realm is answered once; again only if the server says that nothing but the nonce was wrong (stale).
Rule 2. Only realms that the account belongs to are answered. Any stranger who can be called, or can call, may send a
        challenge; a digest of the password for a nonce of his choice lets him guess it at leisure.
Rule 3. The answer to a new challenge of a realm takes the place of the old one; those of other realms stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.protocol.auth.digest import DigestSession, choose, is_stale, read_challenges
from ringback.protocol.message.values import Credentials

if TYPE_CHECKING:
    from ringback.protocol.cores.exchange import Account, Exchange
    from ringback.protocol.grammar import Ids
    from ringback.protocol.message.model import Response

# Challenge header and the header that answers it.
_ANSWERS = (("www-authenticate", "Authorization"), ("proxy-authenticate", "Proxy-Authorization"))
_MOST_ANSWERS = 3  # to one realm in one exchange: a server that calls each fresh nonce stale would go on for ever


def answer_challenges(exchange: Exchange, response: Response, account: Account, ids: Ids) -> bool:
    """Put credentials for the challenges of a 401 or 407 into the exchange, for its next transaction.

    False, and nothing changed, when a challenge cannot be answered: no password, a realm that is not the account's, a
    scheme or algorithm that is not known, or credentials that were refused already.
    """
    if account.password is None:
        return False
    found: list[tuple[str, str, str]] = []
    for header, name in _ANSWERS:
        for challenge in choose(read_challenges(response.get_all(header))):
            realm = challenge.params["realm"]
            times = exchange.answered.get(realm, 0)
            if realm not in account.realms and exchange.method != "REGISTER":
                return False
            if times >= _MOST_ANSWERS or (times and not is_stale(challenge)):
                return False
            session = DigestSession(challenge, account.username, password=account.password)
            value = session.authorize(exchange.method, exchange.uri, ids.tag(), exchange.body)
            found.append((realm, name, value))
    for realm, name, value in found:
        if exchange.method == "REGISTER":
            account.realms.add(realm)  # the registrar's own: what comes through its proxy has the same
        exchange.answered[realm] = exchange.answered.get(realm, 0) + 1
        kept = [old for old in exchange.credentials if old[0] != name or _realm(old[1]) != realm]
        exchange.credentials = [*kept, (name, value)]
    return bool(found)


def _realm(value: str) -> str:
    return Credentials.parse(value).params["realm"]
