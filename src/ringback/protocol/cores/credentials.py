"""How a user agent answers 401 and 407 (RFC 3261 §22.2, §22.3, RFC 8760).

Rule 1. Each realm is answered once; again only if the server says that nothing but the nonce was wrong (stale). That a
        proxy asked (407) is no answer to the phone behind it (401), though both may be of one realm.
Rule 2. Only realms that the account belongs to are answered. Any stranger who can be called, or can call, may send a
        challenge; a digest of the password for a nonce of his choice lets him guess it at leisure.
Rule 3. The answer to a new challenge of a realm takes the place of the old one. All are made anew for each transaction,
        with the next count of their nonce, for a count is good for one request (RFC 7616 §3.4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.protocol.auth.digest import DigestSession, choose, is_stale, read_challenges

if TYPE_CHECKING:
    from ringback.protocol.cores.exchange import Account, Exchange
    from ringback.protocol.message.model import Response

# Challenge header and the header that answers it.
_ANSWERS = (("www-authenticate", "Authorization"), ("proxy-authenticate", "Proxy-Authorization"))
_MOST_ANSWERS = 3  # to one realm in one exchange: a server that calls each fresh nonce stale would go on for ever


def answer_challenges(exchange: Exchange, response: Response, account: Account) -> bool:
    """Put credentials for the challenges of a 401 or 407 into the exchange, for its next transaction.

    False, and nothing changed, when a challenge cannot be answered: no password, a realm that is not the account's, a
    scheme or algorithm that is not known, or credentials that were refused already.
    """
    if account.password is None and account.ha1 is None:
        return False
    found: dict[tuple[str, str], DigestSession] = {}
    for header, name in _ANSWERS:
        for challenge in choose(read_challenges(response.get_all(header)), None if account.password else account.ha1):
            realm = challenge.params["realm"]
            times = exchange.answered.get((name, realm), 0)
            if realm not in account.realms and "*" not in account.realms and exchange.method != "REGISTER":
                return False
            if times >= _MOST_ANSWERS or (times and not is_stale(challenge)):
                return False
            found[name, realm] = DigestSession(challenge, account.username, password=account.password, ha1=account.ha1)
    for place, session in found.items():
        if exchange.method == "REGISTER":
            account.realms.add(session.realm)  # the registrar's own: what comes through its proxy has the same
        exchange.answered[place] = exchange.answered.get(place, 0) + 1
        exchange.sessions[place] = session
    return bool(found)
