"""Hands a request with its targets to the proxy core (RFC 3261 §16.6, §16.10, §16.11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from ringback.server.chain import Destination, Exchange, Verdict

if TYPE_CHECKING:
    from ringback.protocol.cores.proxy.core import ProxyCore


@final
class Relay:
    """The last step. ACK to a 2xx, and a CANCEL that matches no transaction, go on without state."""

    def __init__(self, proxy: ProxyCore) -> None:
        self._proxy = proxy

    async def __call__(self, exchange: Exchange) -> Verdict:
        """Always DONE."""
        request = exchange.request
        local = exchange.destination is Destination.LOCAL
        if request.method in ("ACK", "CANCEL"):
            if local:
                # Stateless means one next hop (§16.11): the binding that is preferred.
                best = max(exchange.targets, key=lambda target: target.q)
                request.set_uri(best.uri_text)
                for value in reversed(best.route):
                    request.prepend("Route", value)
            admission = exchange.admission
            self._proxy.forward_stateless(request, exchange.now, None if admission is None else admission.beyond)
            return Verdict.DONE
        exchange.accept(self._proxy.name)
        self._proxy.forward(
            request, exchange.key, exchange.targets, exchange.now, exchange.admission, responsible=local
        )
        return Verdict.DONE
