"""The redirect server (RFC 3261 §8.3): tells where a user is instead of going there. It sends no request of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, final

from ringback.protocol.cores.redirect import redirect
from ringback.protocol.grammar import ascii_lower
from ringback.protocol.message.build import build_response
from ringback.protocol.message.uri import Uri
from ringback.server.chain import SERVER, Destination, Exchange, Verdict

if TYPE_CHECKING:
    from ringback.server.stores.base import LocationStore


@final
class Redirect:
    """Answers for the users that ``concerns`` is true of, by address-of-record; the others go on to the proxy.

    ``is_user`` says whether an address-of-record is valid here, bindings or none.
    """

    def __init__(self, store: LocationStore, is_user: Callable[[str], bool], concerns: Callable[[str], bool]) -> None:
        self._store = store
        self._is_user = is_user
        self._concerns = concerns

    async def __call__(self, exchange: Exchange) -> Verdict:
        """DONE for every request to a user who is redirected. Answers are kept: for a repeat, and for CANCEL."""
        if exchange.destination is not Destination.LOCAL or not self._concerns(exchange.aor):
            return Verdict.NEXT
        request = exchange.request
        if request.method == "ACK":
            return Verdict.DONE
        if request.method == "CANCEL":
            return exchange.refuse(481)
        bindings = self._store.bindings(exchange.aor, exchange.now)
        answer = redirect(request, bindings, exchange.now, known=bool(bindings) or self._is_user(exchange.aor))
        headers = [("Contact", contact) for contact in answer.contacts]
        exchange.accept(SERVER)
        exchange.respond(build_response(request, answer.status, to_tag=exchange.stateless_tag(), headers=headers))
        return Verdict.DONE


def redirected(*, everyone: bool, domains: Iterable[str], users: Iterable[str]) -> Callable[[str], bool]:
    """Whether requests to a canonical address-of-record are redirected; ``users`` as user@domain."""
    if everyone:
        return lambda aor: True
    wanted_domains = {ascii_lower(name) for name in domains}
    wanted = set()
    for name in users:
        user, _, domain = name.rpartition("@")
        wanted.add(Uri("sip", ascii_lower(domain), user=user).aor)
    return lambda aor: aor in wanted or aor.rpartition("@")[2] in wanted_domains
