"""The record of a request under way in the proxy, and the report when it is answered."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from ringback.protocol.cores.proxy.best_response import Candidate
    from ringback.protocol.cores.proxy.branch import Branch
    from ringback.protocol.cores.proxy.target_set import TargetSet
    from ringback.protocol.message.model import Request
    from ringback.protocol.routing.flow import Flow
    from ringback.protocol.transaction.key import ServerKey


class ContextState(StrEnum):
    """Where a response context is."""

    FORKING = "Forking"
    CLOSING = "Closing"
    ANSWERED = "Answered"


@final
class ContextDone:
    """A request has been answered. ``status`` is what went back, None when nothing may (RFC 4320 §4.2).

    ``branches`` counts the client transactions started for it, ``cancelled`` is true if its sender withdrew it,
    ``started`` is when it came to the proxy core.
    """

    __slots__ = ("branches", "call_id", "cancelled", "key", "method", "started", "status", "uri_text")

    def __init__(
        self, key: ServerKey, request: Request, status: int | None, started: float, branches: int, cancelled: bool
    ) -> None:
        self.key = key
        self.method = request.method
        self.uri_text = request.uri_text
        self.call_id = request.call_id
        self.status = status
        self.started = started
        self.branches = branches
        self.cancelled = cancelled

    def __repr__(self) -> str:
        return f"ContextDone({self.method} {self.uri_text} {self.status})"


@final
class ResponseContext:
    """The record of one request under way.

    ``free`` is the Max-Breadth that no branch holds, ``q`` that of the group at work, ``reason`` the Reason of the
    CANCELs to make, ``sent`` how many client transactions were started. Once answered, all but what a late 2xx
    needs is gone: ``request``, ``targets``, ``candidates`` and ``arrived`` no longer exist.
    """

    __slots__ = (
        "arrived",
        "branches",
        "cancelled",
        "candidates",
        "free",
        "invite",
        "key",
        "loop",
        "q",
        "reason",
        "recurse",
        "request",
        "sent",
        "started",
        "state",
        "targets",
        "why",
    )

    def __init__(
        self,
        key: ServerKey,
        request: Request,
        targets: TargetSet,
        now: float,
        *,
        breadth: int,
        loop: str,
        arrived: Flow | None,
        recurse: bool,
    ) -> None:
        self.key = key
        self.request = request
        self.targets = targets
        self.started = now
        self.free = breadth
        self.loop = loop
        self.arrived = arrived
        self.recurse = recurse
        self.invite = request.method == "INVITE"
        self.state = ContextState.FORKING
        self.branches: list[Branch] = []
        self.candidates: list[Candidate] = []
        self.reason: tuple[tuple[str, str], ...] = ()
        self.cancelled = False
        self.why = ""  # the first target that could not be located, in words
        self.q: float | None = None
        self.sent = 0
