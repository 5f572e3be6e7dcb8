"""The registrar: bindings of addresses-of-record in domains of ours (RFC 3261 §10.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, final

from ringback.protocol.cores import registrar
from ringback.server.chain import SERVER, Destination, Exchange, Verdict

if TYPE_CHECKING:
    from ringback.protocol.message.model import Response
    from ringback.server.domains import Domains
    from ringback.server.stores.base import LocationStore


@final
class Register:
    """Applies a REGISTER and holds its 200 until the store has committed it.

    ``owner_of`` gives the address-of-record of an authenticated user (name, realm), which is the only one that the user
    may change; None where nobody is authenticated and every name is good. ``hold`` keeps an answer until the commit.
    """

    def __init__(
        self,
        store: LocationStore,
        domains: Domains,
        policy: registrar.Policy,
        owner_of: Callable[[str, str], str | None] | None,
        hold: Callable[[Exchange, Response], None],
    ) -> None:
        self._store = store
        self._domains = domains
        self._policy = policy
        self._owner_of = owner_of
        self._hold = hold

    async def __call__(self, exchange: Exchange) -> Verdict:
        """DONE for every REGISTER to a domain of ours; one for another domain is proxied on (REG-4)."""
        request = exchange.request
        if request.method != "REGISTER" or exchange.destination is Destination.FOREIGN:
            return Verdict.NEXT
        registrar.address_of_record(request)  # 400 where To is none
        aor = self._domains.address_of_record(request.to.uri)
        if not aor:
            return exchange.refuse(404, why="the address-of-record is in no domain of ours (RFC 3261 §10.3 step 5)")
        if self._owner_of is not None and self._owner_of(exchange.user, exchange.realm) != aor:
            return exchange.refuse(403, why="the user may not change this address-of-record (RFC 3261 §10.3 step 4)")
        store = self._store
        store.begin()
        bindings = store.bindings(aor, exchange.now)
        outcome = registrar.process(request, bindings, self._policy, exchange.now, exchange.flow, aor=aor)
        # From here on a repeat of this request must find its answer: applied anew it would be out of order (500).
        exchange.accept(SERVER)
        if outcome.changes:
            store.apply(aor, outcome.changes)
        self._hold(exchange, outcome.response(request, exchange.stateless_tag()))
        return Verdict.DONE
