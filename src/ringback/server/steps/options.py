"""What is addressed to the server itself: OPTIONS is answered (OPT-4), CANCEL and all other methods are refused."""

from __future__ import annotations

from typing import final

from ringback.protocol.message.build import build_response
from ringback.protocol.message.headers import make_line
from ringback.protocol.message.registry import METHODS
from ringback.server.chain import Destination, Exchange, Headers, Verdict

ALLOW = ("Allow", "OPTIONS, REGISTER")


@final
class Options:
    """Answers for the server. ``headers`` are the capabilities that a 200 to OPTIONS lists besides Allow (§11.2)."""

    def __init__(self, headers: Headers) -> None:
        self._lines = [make_line(name, value) for name, value in (ALLOW, *headers)]

    async def __call__(self, exchange: Exchange) -> Verdict:
        """DONE for every request to the server itself. All answers are stateless: a repeat gets the same one."""
        if exchange.destination is not Destination.SELF:
            return Verdict.NEXT
        request = exchange.request
        method = request.method
        if method == "OPTIONS":
            unknown = request.require
            if unknown:
                return exchange.refuse(420, [("Unsupported", ", ".join(unknown))])
            exchange.respond(build_response(request, 200, to_tag=exchange.stateless_tag(), ready=self._lines))
            return Verdict.DONE
        if method == "ACK":
            return Verdict.DONE
        if method == "CANCEL":
            return exchange.refuse(481)
        # A method that we know is not taken here (§8.2.1), any other is not known (§21.5.2).
        return exchange.refuse(405 if method in METHODS else 501, [ALLOW])
