"""Next hops that failed of late, so that the next request need not find out anew (RFC 3263 §4.3).

A hop is dead when a transaction had no answer from it, when the transport could not reach it, or when it answered 503
with a Retry-After; a 503 without one says nothing about the next request (RFC 3261 §21.5.4). Dead hops are tried last,
never left out: should all be dead, the order is the DNS's again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from ringback.errors import RemoteProtocolError
from ringback.protocol.grammar import parse_uint, strip_lws
from ringback.protocol.transaction.events import ResponseReceived, TransactionTimedOut, TransportFailed

if TYPE_CHECKING:
    from ringback.protocol.message.model import Response
    from ringback.protocol.routing.flow import Address, Hop

DEAD_FOR = 60.0  # seconds, unless a Retry-After says otherwise
LONGEST = 600.0  # seconds that a Retry-After may ask for
MOST_DEAD = 1024  # remembered; of more, those whose time is up first are forgotten


@final
class DeadTargets:
    """Until when which hop is not worth a first try. ``now`` is the caller's clock, in seconds."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until: dict[tuple[str, Address], float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def bury(self, transport: str, address: Address, now: float, seconds: float = DEAD_FOR) -> None:
        """This transport address failed at ``now``; think so for ``seconds``, at most ``LONGEST``."""
        if len(self._until) >= MOST_DEAD and (transport, address) not in self._until:
            self._forget_some(now)
        self._until[transport, address] = now + min(seconds, LONGEST)

    def learn(self, event: object, now: float) -> None:
        """What an event of the transaction layer tells about the way that its request went."""
        if isinstance(event, ResponseReceived):
            seconds = retry_after(event.response) if event.response.status == 503 else 0
            if seconds:
                self.bury(event.flow.transport, event.flow.remote, now, seconds)
        elif isinstance(event, TransactionTimedOut | TransportFailed) and not event.server and event.flow is not None:
            self.bury(event.flow.transport, event.flow.remote, now)

    def order(self, hops: list[Hop], now: float) -> list[Hop]:
        """The same hops, those that are dead last, otherwise in their order."""
        if not self._until or len(hops) < 2:
            return hops
        dead = [hop for hop in hops if self.is_dead(hop, now)]
        return [hop for hop in hops if hop not in dead] + dead if dead else hops

    def is_dead(self, hop: Hop, now: float) -> bool:
        """Whether it failed of late."""
        key = (hop.transport, (hop.host, hop.port))
        until = self._until.get(key)
        if until is None:
            return False
        if until <= now:
            del self._until[key]
            return False
        return True

    def _forget_some(self, now: float) -> None:
        """Make room: whatever has run out, else the half that would run out first."""
        left = sorted(item for item in ((until, key) for key, until in self._until.items()) if item[0] > now)
        if len(left) >= MOST_DEAD:
            del left[: len(left) // 2]
        self._until = {key: until for until, key in left}


def retry_after(response: Response) -> int:
    """The seconds in a Retry-After header field, 0 where there are none to be read (RFC 3261 §20.33)."""
    value = response.get("retry-after") or ""
    try:
        return parse_uint(strip_lws(value.partition(";")[0].partition("(")[0]), 2**31 - 1, "Retry-After")
    except RemoteProtocolError:
        return 0
