"""Requests that are too large for a datagram go by TCP (RFC 3261 §18.1.1).

Rule 1. A request of more than 1300 bytes that was to go by UDP goes by TCP to the same address and port, with TCP in
        its Via. Its transaction hears nothing of that: the response is matched by the branch.
Rule 2. Only from a port on which we listen by UDP and TCP: sent-by stays, and must be true for both.
Rule 3. What belongs to the request goes the same way: CANCEL, and the ACK of a failure (§9.1, §17.1.1.3). What its
        transaction repeats is not sent: TCP repeats by itself.
Rule 4. Where no connection can be had the datagram is sent after all, and for a while so are the next to that place.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, final

from ringback.errors import TransportError
from ringback.protocol.routing.flow import Address, Flow, Hop
from ringback.protocol.transaction.events import SendMessage

if TYPE_CHECKING:
    from ringback.transport.connections import ConnectionTable
    from ringback.transport.table import TransportTable

LARGEST_DATAGRAM = 1300  # bytes of a request, where nothing is known of the path
REMEMBERED = 8192  # branches, and places that refused
BRANCH_LASTS = 240.0  # seconds: an INVITE that rings to Timer C, and its CANCEL
REFUSED_FOR = 300.0  # seconds
_VIA = b"\r\nVia: SIP/2.0/UDP "


@final
class _Diverted:
    """A branch that goes by TCP: its flow, the methods sent so far, and when it is forgotten."""

    __slots__ = ("flow", "methods", "until")

    def __init__(self, flow: Flow, until: float) -> None:
        self.flow = flow
        self.until = until
        self.methods: set[bytes] = set()


@final
class LargeRequests:
    """Diverts what is too large. ``is_active`` while small messages may be concerned too."""

    __slots__ = ("_branches", "_connections", "_refused", "_table")

    def __init__(self, table: TransportTable, connections: ConnectionTable) -> None:
        self._table = table
        self._connections = connections
        self._branches: OrderedDict[str, _Diverted] = OrderedDict()
        self._refused: OrderedDict[Address, float] = OrderedDict()

    @property
    def is_active(self) -> bool:
        """Whether some branch goes by TCP."""
        return bool(self._branches)

    def divert(self, item: SendMessage, now: float) -> SendMessage | None:
        """What to send by TCP in place of a datagram; ``item`` itself if nothing is to be sent; None: the datagram."""
        data = item.data
        if data.startswith(b"SIP/2.0 "):
            return None
        branch = item.key[0] if item.key is not None else ""
        while self._branches and next(iter(self._branches.values())).until <= now:
            self._branches.popitem(last=False)
        diverted = self._branches.get(branch)
        if diverted is None:
            if len(data) <= LARGEST_DATAGRAM:
                return None
            flow = self._flow(item.flow, now)
            if flow is None:
                return None
            diverted = _Diverted(flow, now + BRANCH_LASTS)
            if branch:
                self._branches[branch] = diverted
                if len(self._branches) > REMEMBERED:
                    self._branches.popitem(last=False)
        head, via, tail = data.partition(_VIA)
        if not via:
            return None
        method = data[: data.find(b" ")]
        if method in diverted.methods and method != b"ACK":
            return item
        diverted.methods.add(method)
        return SendMessage(head + via.replace(b"UDP", b"TCP") + tail, diverted.flow, item.key)

    def refused(self, item: SendMessage, now: float) -> None:
        """No connection could be had for this datagram."""
        if item.key is not None:
            self._branches.pop(item.key[0], None)
        self._refused[item.flow.remote] = now + REFUSED_FOR
        if len(self._refused) > REMEMBERED:
            self._refused.popitem(last=False)

    def _flow(self, flow: Flow, now: float) -> Flow | None:
        """The flow by TCP between the same places; None where there is none."""
        if self._refused.get(flow.remote, 0.0) > now:
            return None
        place = self._table.twin_of(flow)
        if place is None:
            return None
        try:
            return self._connections.flow_to(Hop("TCP", *flow.remote), place)
        except TransportError:
            return None
