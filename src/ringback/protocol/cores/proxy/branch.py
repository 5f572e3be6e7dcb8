"""A branch: one request on its way to one target, as the response context sees it (RFC 3261 §16.7 to §16.10).

Rule 1. A branch is *pending* until it has a final response or what counts as one. The context answers with the best
        response when no branch is pending and no target is left.
Rule 2. CANCEL goes only to an INVITE that has had a provisional response (§9.1). A branch cancelled before that is
        Withdrawn: the transaction layer holds the CANCEL until the first 1xx, and Timer B bounds the wait.
Rule 3. A 2xx is forwarded from whatever state, and what follows it on an Accepted branch is forwarded too.
Rule 4. A branch that could not deliver tries the next address of its target as a new transaction (§16.6 step 7),
        unless it was cancelled.
Rule 5. An INVITE client transaction in Proceeding has no timer of its own, so the branch has a deadline: Timer C,
        or the ring time of a hunt group; after CANCEL it is 64*T1.

A non-INVITE branch uses the same rows; it is never cancelled and has no deadline, for Timer F ends it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from ringback.protocol.cores.proxy.target_set import Target
    from ringback.protocol.message.model import Request
    from ringback.protocol.routing.flow import Hop
    from ringback.protocol.transaction.key import ClientKey, ServerKey


class BranchState(StrEnum):
    """Where a branch is."""

    LOCATING = "Locating"  # the next hop is being resolved, nothing was sent
    CALLING = "Calling"  # sent, no response yet
    PROCEEDING = "Proceeding"  # a provisional response came
    WITHDRAWN = "Withdrawn"  # cancelled before any response; CANCEL follows the first 1xx
    CANCELLING = "Cancelling"  # CANCEL sent, the final response is owed
    ACCEPTED = "Accepted"  # a 2xx came; more may follow
    COMPLETED = "Completed"  # over: a final response of 300 or above, or what counts as one


class BranchInput(StrEnum):
    """What may happen to a branch."""

    HOPS = "hops"  # the next hop is known
    TRYING = "100"
    PROGRESS = "101-199"
    SUCCESS = "2xx"
    FAILURE = "3xx-6xx"
    NEXT_HOP = "next hop"  # this address failed, and the target has another one
    UNREACHABLE = "unreachable"  # no hop found, or the transport failed
    TIMEOUT = "timeout"  # Timer B or F
    TIMER_C = "Timer C"
    RING_TIME = "ring time"
    GIVE_UP = "64*T1"  # since the CANCEL was sent, or since the resolver was asked
    CANCEL = "cancel"  # this branch is to stop
    TERMINATED = "terminated"  # the client transaction is gone


class BranchAction(StrEnum):
    """What is done; each is a method of the response context machine."""

    NOTHING = "nothing"
    SEND = "send"  # forward the request by the next hop
    EXTEND = "extend"  # forward the 1xx and restart Timer C
    RELAY = "relay"  # forward the 1xx
    ACCEPT = "accept"  # forward the 2xx, stop everything else
    STORE = "store"  # keep the response as a candidate
    REFUSE = "refuse"  # counts as 503
    TIME_OUT = "time_out"  # counts as 408
    EXPIRE = "expire"  # counts as 408, and the transaction is abandoned
    DROP = "drop"  # nothing was sent, so nothing counts
    CANCEL = "cancel"  # have the layer cancel it
    AWAIT_FINAL = "await_final"  # the CANCEL is out now: 64*T1 from here
    FORGET = "forget"  # the transaction of an accepted branch has ended


S = BranchState
I = BranchInput  # noqa: E741 - the column of inputs
A = BranchAction

# Clauses are of RFC 3261 where no other is named.
BRANCH_TABLE: dict[BranchState, dict[BranchInput, tuple[BranchAction, BranchState]]] = {
    S.LOCATING: {
        I.HOPS: (A.SEND, S.CALLING),  # §16.6 steps 7 to 11
        I.UNREACHABLE: (A.REFUSE, S.COMPLETED),  # §16.9
        I.GIVE_UP: (A.TIME_OUT, S.COMPLETED),  # §16.6 step 7; the resolver never answered
        I.CANCEL: (A.DROP, S.COMPLETED),  # §16.10; nothing was sent
    },
    S.CALLING: {
        I.TRYING: (A.NOTHING, S.PROCEEDING),  # §16.7 step 5: a 100 is not forwarded
        I.PROGRESS: (A.EXTEND, S.PROCEEDING),  # §16.7 steps 2 and 5
        I.SUCCESS: (A.ACCEPT, S.ACCEPTED),  # §16.7 steps 5 and 10
        I.FAILURE: (A.STORE, S.COMPLETED),  # §16.7 step 4
        I.NEXT_HOP: (A.SEND, S.CALLING),  # §16.6 step 7, RFC 3263 §4.3
        I.UNREACHABLE: (A.REFUSE, S.COMPLETED),  # §16.9
        I.TIMEOUT: (A.TIME_OUT, S.COMPLETED),  # §16.6 step 7
        I.TIMER_C: (A.EXPIRE, S.COMPLETED),  # §16.8: no provisional response
        I.RING_TIME: (A.CANCEL, S.WITHDRAWN),  # §16.10: a CANCEL at any time
        I.CANCEL: (A.CANCEL, S.WITHDRAWN),  # §9.1
        I.TERMINATED: (A.TIME_OUT, S.COMPLETED),  # §16.7 step 6
    },
    S.PROCEEDING: {
        I.TRYING: (A.NOTHING, S.PROCEEDING),  # §16.7 step 2: a 100 does not restart Timer C
        I.PROGRESS: (A.EXTEND, S.PROCEEDING),  # §16.7 steps 2 and 5
        I.SUCCESS: (A.ACCEPT, S.ACCEPTED),  # §16.7 steps 5 and 10
        I.FAILURE: (A.STORE, S.COMPLETED),  # §16.7 step 4
        I.NEXT_HOP: (A.SEND, S.CALLING),  # RFC 3263 §4.3: a 503
        I.UNREACHABLE: (A.REFUSE, S.COMPLETED),  # §16.9, §16.7 step 3
        I.TIMEOUT: (A.TIME_OUT, S.COMPLETED),  # §16.6 step 7: Timer F
        I.TIMER_C: (A.CANCEL, S.CANCELLING),  # §16.8
        I.RING_TIME: (A.CANCEL, S.CANCELLING),  # §16.10: a CANCEL at any time
        I.CANCEL: (A.CANCEL, S.CANCELLING),  # §16.7 step 10, §16.10
        I.TERMINATED: (A.TIME_OUT, S.COMPLETED),  # §16.7 step 6
    },
    S.WITHDRAWN: {
        I.TRYING: (A.AWAIT_FINAL, S.CANCELLING),  # §9.1: the layer sends the CANCEL now
        I.PROGRESS: (A.AWAIT_FINAL, S.CANCELLING),  # §9.1, §16.7 step 5
        I.SUCCESS: (A.ACCEPT, S.ACCEPTED),  # §16.7 step 5
        I.FAILURE: (A.STORE, S.COMPLETED),  # §16.7 step 4
        I.UNREACHABLE: (A.REFUSE, S.COMPLETED),  # §16.9
        I.TIMEOUT: (A.TIME_OUT, S.COMPLETED),  # §17.1.1.2: Timer B
        I.CANCEL: (A.NOTHING, S.WITHDRAWN),  # §9.1: one is enough
        I.TERMINATED: (A.TIME_OUT, S.COMPLETED),  # §16.7 step 6
    },
    S.CANCELLING: {
        I.TRYING: (A.NOTHING, S.CANCELLING),  # §16.7 step 5
        I.PROGRESS: (A.RELAY, S.CANCELLING),  # §16.7 step 5; 64*T1 goes on
        I.SUCCESS: (A.ACCEPT, S.ACCEPTED),  # §16.7 step 5: it crossed the CANCEL
        I.FAILURE: (A.STORE, S.COMPLETED),  # §16.7 step 4
        I.UNREACHABLE: (A.REFUSE, S.COMPLETED),  # §16.7 step 3
        I.GIVE_UP: (A.EXPIRE, S.COMPLETED),  # §9.1
        I.CANCEL: (A.NOTHING, S.CANCELLING),  # §9.1: one is enough
        I.TERMINATED: (A.TIME_OUT, S.COMPLETED),  # §16.7 step 6
    },
    S.ACCEPTED: {
        I.SUCCESS: (A.ACCEPT, S.ACCEPTED),  # §16.7 step 5: every 2xx to INVITE
        I.CANCEL: (A.NOTHING, S.ACCEPTED),  # §9.1: too late
        I.TERMINATED: (A.FORGET, S.COMPLETED),  # RFC 6026 §7.2: Timer M
    },
    S.COMPLETED: {},
}

PENDING = frozenset({S.LOCATING, S.CALLING, S.PROCEEDING, S.WITHDRAWN, S.CANCELLING})
RINGING = frozenset({S.LOCATING, S.CALLING, S.PROCEEDING})  # pending, and nobody has asked it to stop


@final
class Branch:
    """The record of a branch. ``context`` names its response context by key, so that nothing refers upwards.

    ``number`` is unique in the proxy and names the branch to timers and to the resolver. ``hops`` are the addresses
    not tried yet, ``request`` the copy made for it and not sent yet. ``deadline`` is when ``deadline_input`` happens to
    it (None: never), ``check_at`` when a timer will look. ``breadth`` is its share of Max-Breadth. ``overdue`` is set
    when its own deadline stopped it, so that the 487 it brings counts as the 408 it is.
    """

    __slots__ = (
        "breadth",
        "check_at",
        "context",
        "deadline",
        "deadline_input",
        "flow",
        "hops",
        "key",
        "number",
        "overdue",
        "request",
        "state",
        "target",
    )

    def __init__(self, context: ServerKey, target: Target, number: int, breadth: int) -> None:
        self.context = context
        self.target = target
        self.number = number
        self.breadth = breadth
        self.state = BranchState.LOCATING
        self.key: ClientKey | None = None
        self.flow = target.flow
        self.hops: list[Hop] = []
        self.request: Request | None = None
        self.deadline: float | None = None
        self.deadline_input = BranchInput.TIMER_C
        self.check_at: float | None = None
        self.overdue = False
