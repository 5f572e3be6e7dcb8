"""Is this a request that we can serve, and whom is it for? (RFC 3261 §16.3, §16.4)"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, final

from ringback.server.chain import Destination, Exchange, Verdict

if TYPE_CHECKING:
    from ringback.protocol.cores.proxy.core import Admission
    from ringback.protocol.message.model import Request
    from ringback.protocol.routing.flow import Flow
    from ringback.server.domains import Domains


@final
class Screen:
    """Refuses what may not be proxied, takes our own Route values off and says whom the request is for.

    ``admit`` is the proxy core's: validation of the request as it was received, then the routing information. Only a
    request with a To tag that came by a Record-Route of ours is within a dialog, and no REGISTER ever is; any other is
    as from outside.
    """

    def __init__(self, admit: Callable[[Request, Flow], Admission], domains: Domains) -> None:
        self._admit = admit
        self._domains = domains

    async def __call__(self, exchange: Exchange) -> Verdict:
        """Sets ``admission``, ``destination``, ``within_dialog`` and, for a user of ours, ``aor``."""
        request = exchange.request
        if self._is_ours_to_answer(request):
            exchange.destination = Destination.SELF
            return Verdict.NEXT
        admission = exchange.admission = self._admit(request, exchange.flow)
        if admission.refusal is not None:
            return exchange.refuse(admission.refusal.status, admission.refusal.headers)
        exchange.within_dialog = admission.within_dialog and request.to_tag is not None and request.method != "REGISTER"
        uri = request.uri
        if request.method == "OPTIONS" and request.max_forwards == 0:
            exchange.destination = Destination.SELF  # nobody else will ever see it (§16.3 item 3)
        elif request.has("route") or uri.params.get("maddr") or not self._domains.owns(uri):
            exchange.destination = Destination.FOREIGN
        elif not uri.user:
            exchange.destination = Destination.SELF
        else:
            exchange.destination = Destination.LOCAL
            exchange.aor = self._domains.address_of_record(uri)
        return Verdict.NEXT

    def _is_ours_to_answer(self, request: Request) -> bool:
        """Whether we are the UAS, as the Request-URI alone tells: what only a proxy checks is then not looked at.

        A REGISTER with a user part is taken as well, though §10.2 forbids it: too many phones send one.
        """
        if request.has("route"):
            return False
        uri = request.uri
        return self._domains.owns(uri) and (not uri.user or request.method == "REGISTER")
