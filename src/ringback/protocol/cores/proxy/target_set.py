"""The target set of a request (RFC 3261 §16.5): where it may go, in which order, and no URI twice.

Targets are tried from the highest q to the lowest, those of equal q together (FRK-2). A target without q counts as
1.0. What has once been in the set is never added again, which is what ends a redirection that points at itself.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, final

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.message.uri import Uri

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringback.protocol.routing.flow import Flow, Hop


@final
class Target:
    """One place to send a request to.

    ``uri_text`` becomes the Request-URI. ``route`` is pushed onto Route (the Path of a binding), first value first.
    ``hops`` are addresses to try in order, ``flow`` a way that is already open (a binding's); with neither, the next
    hop is found from Route or Request-URI. ``ring_time`` limits the wait for a final response to INVITE, in seconds
    from the moment the request leaves; None leaves it to Timer C.
    """

    __slots__ = ("flow", "hops", "q", "ring_time", "route", "uri_text")

    def __init__(
        self,
        uri_text: str,
        *,
        hops: list[Hop] | None = None,
        route: Iterable[str] = (),
        q: float = 1.0,
        flow: Flow | None = None,
        ring_time: float | None = None,
    ) -> None:
        self.uri_text = uri_text
        self.hops = hops
        self.route = list(route)
        self.q = q
        self.flow = flow
        self.ring_time = ring_time

    def __repr__(self) -> str:
        return f"Target({self.uri_text} q={self.q})"


@final
class TargetSet:
    """Targets waiting for their turn, and the URIs that have ever been among them.

    ``waiting`` is sorted by q, the next target last.
    """

    __slots__ = ("_limit", "_seen", "waiting")

    def __init__(self, targets: Iterable[Target] = (), limit: int = 100) -> None:
        self.waiting: list[Target] = []
        self._seen: list[Uri | str | None] = []  # the first one as text until another is compared with it
        self._limit = limit
        for target in targets:
            self.add(target)

    def add(self, target: Target) -> bool:
        """Add a target in its place by q; False if its URI was there before, or is none, or the set is full (§16.5).

        The first URI is not looked at: most requests have but one target.
        """
        seen = self._seen
        if not seen:
            seen.append(target.uri_text)
        elif len(seen) >= self._limit:
            return False
        else:
            if isinstance(seen[0], str):
                seen[0] = _parse(seen[0])
            uri = _parse(target.uri_text)
            if uri is None or any(isinstance(known, Uri) and known.equals(uri) for known in seen):
                return False
            seen.append(uri)
        waiting = self.waiting
        place = 0
        while place < len(waiting) and waiting[place].q < target.q:
            place += 1
        waiting.insert(place, target)
        return True

    def group(self) -> list[Target]:
        """The targets of the next q that still wait; they are tried in parallel. There must be one."""
        q = self.waiting[-1].q
        return [target for target in self.waiting if target.q == q]

    def widest(self) -> int:
        """The size of the largest group that would be tried in parallel."""
        if len(self.waiting) < 2:
            return len(self.waiting)
        return max(Counter([target.q for target in self.waiting]).values())


def _parse(text: str) -> Uri | None:
    try:
        return Uri.parse(text)
    except RemoteProtocolError:
        return None
