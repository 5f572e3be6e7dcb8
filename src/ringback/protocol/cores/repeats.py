"""What a user agent client does about a response that is no outcome yet (RFC 3261 §8.1.3.4, §8.1.3.5, §22.2).

``amend`` changes an exchange so that it may be sent again, or says that it cannot be.

Rule 1. 401 and 407 are answered as ``credentials.py`` says.
Rule 2. A 3xx to a request outside a dialog is followed: its Contacts are tried one after another, from the highest q
        to the lowest, each URI at most once in the whole exchange, ``MOST_TARGETS`` in all. A sips URI is never left
        for a sip one, and a REGISTER for no other registrar: the 3xx is the outcome, and the user may decide.
Rule 3. When a Contact of a redirection fails, the next is tried, unless by a 6xx. The last failure is the outcome.
Rule 4. 420 takes the options that are not supported there out of Require and Proxy-Require; 421 adds those that we
        have to Supported; 416 turns a tel URI into a sip URI of our own domain (§19.1.6); 413 and 415 leave out a body
        that says nothing the request needs. Each can happen only so often, because each takes away its own cause.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.protocol.cores.credentials import answer_challenges
from ringback.protocol.cores.proxy.forwarding import request_uri
from ringback.protocol.cores.proxy.target_set import Target, TargetSet
from ringback.protocol.dialog import state as dialogs
from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.grammar import ascii_lower, split_unquoted, strip_lws
from ringback.protocol.message.uri import Uri
from ringback.protocol.routing.telephone import as_sip

if TYPE_CHECKING:
    from ringback.protocol.cores.exchange import Account, Exchange
    from ringback.protocol.message.model import Response

MOST_TARGETS = 10  # that one request is redirected to
NOT_FOLLOWED = (305, 380)  # a proxy to use (§21.3.4), a service that is another (§21.3.5)
BODY_IS_EXTRA = ("BYE", "OPTIONS")


def amend(exchange: Exchange, response: Response, account: Account) -> bool:
    """Change ``exchange`` as ``response``, of 300 or above, asks for; False when that is its outcome."""
    status = response.status
    if status in (401, 407) and answer_challenges(exchange, response, account):
        return True
    if status < 400:
        return _redirect(exchange, response, account)
    if status == 420 and _leave_out(exchange, response.unsupported):
        return True
    if status == 421 and _offer(exchange, response.require, account):
        return True
    if status == 416 and exchange.dialog is None and _as_sip(exchange, account):
        return True
    if status in (413, 415) and exchange.body and exchange.method in BODY_IS_EXTRA:
        exchange.body = b""
        exchange.content_type = None
        return True
    return status < 600 and next_target(exchange)


def next_target(exchange: Exchange) -> bool:
    """Turn to the next Contact of a redirection; False when none is left."""
    if exchange.targets is None or not exchange.targets.waiting:
        return False
    _turn_to(exchange, exchange.targets.waiting.pop().uri_text)
    return True


def _redirect(exchange: Exchange, response: Response, account: Account) -> bool:
    if not account.redirects or exchange.dialog is not None or exchange.method == "REGISTER":
        return False
    if response.status not in NOT_FOLLOWED:
        targets = exchange.targets
        if targets is None:
            targets = exchange.targets = TargetSet([Target(exchange.uri)], MOST_TARGETS + 1)
            targets.waiting.clear()
        secure = exchange.uri[:5] == "sips:"
        try:
            for contact in response.contacts:
                uri = contact.uri
                if uri.is_sip and (uri.scheme == "sips" or not secure):
                    targets.add(Target(request_uri(contact.uri_text), q=1.0 if contact.q is None else contact.q))
        except RemoteProtocolError:
            pass  # what was read before the one that cannot be read is as good as any
    return next_target(exchange)


def _turn_to(exchange: Exchange, uri: str) -> None:
    """Another Request-URI (§8.1.3.4). The credentials were for the old one, and are not for the eyes of a new one."""
    exchange.uri, exchange.routes, exchange.next_hop = dialogs.addressing(uri, exchange.preloaded)
    exchange.credentials = []
    exchange.sessions = {}
    exchange.answered = {}
    exchange.hop = None
    exchange.hops = []


def _leave_out(exchange: Exchange, tags: list[str]) -> bool:
    unwanted = {ascii_lower(tag) for tag in tags}
    kept: list[tuple[str, str]] = []
    changed = False
    for name, value in exchange.headers:
        if ascii_lower(name) not in ("require", "proxy-require"):
            kept.append((name, value))
            continue
        asked = [strip_lws(tag) for tag in split_unquoted(value, ",")]
        left = [tag for tag in asked if ascii_lower(tag) not in unwanted]
        changed = changed or len(left) < len(asked)
        if left:
            kept.append((name, ", ".join(left)))
    exchange.headers = kept
    return changed


def _offer(exchange: Exchange, tags: list[str], account: Account) -> bool:
    offered = {
        ascii_lower(strip_lws(tag))
        for name, value in exchange.headers
        if ascii_lower(name) in ("supported", "k")
        for tag in split_unquoted(value, ",")
    }
    missing = [tag for tag in map(ascii_lower, tags) if tag not in offered]
    if not missing or any(tag not in account.supported for tag in missing):
        return False
    exchange.headers = [*exchange.headers, ("Supported", ", ".join(missing))]
    return True


def _as_sip(exchange: Exchange, account: Account) -> bool:
    own = Uri.parse(account.uri)
    if not own.is_sip:
        return False
    try:
        uri = as_sip(Uri.parse(exchange.uri), own.hostport, own.scheme)
    except RemoteProtocolError:
        return False
    _turn_to(exchange, uri)
    return True
