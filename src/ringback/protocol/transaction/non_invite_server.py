"""The non-INVITE server transaction (RFC 3261 §17.2.2 as corrected by RFC 4320 §4 and RFC 6026 §8.8).

Rule 1: the only provisional response is 100, and the transaction sends it itself, at the moment when the client's Timer
E has reached T2: earlier it would do harm, later the client would repeat for nothing. A 1xx of the user is discarded.

Rule 2: 408 is never sent. A user that has nothing better to say says nothing: its 408 silences the transaction.

Rule 3: what is not answered by the time that the client's own Timer F is long past is forgotten.

Rule 4: a transport error is told, and changes nothing.

Theory of operation. Repetitions of the request are swallowed in Trying and get the last response in Proceeding and
Completed; Timer J ends it. The layer's own answer to a CANCEL runs on this machine with an empty ``user``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NoReturn, final

from ringback.protocol.errors import LocalProtocolError
from ringback.protocol.message.build import build_response
from ringback.protocol.transaction.events import SendMessage
from ringback.protocol.transaction.machine import (
    Input,
    Outlet,
    ServerTransaction,
    State,
    Table,
    end,
    ignore,
    inform,
    never,
    resend,
    stale,
)

if TYPE_CHECKING:
    from ringback.protocol.message.model import Response

STATES = (State.TRYING, State.PROCEEDING, State.COMPLETED, State.TERMINATED)
INPUTS = (
    Input.REQUEST,
    Input.CANCEL,
    Input.PROVISIONAL,
    Input.FINAL,
    Input.REQUEST_TIMEOUT,
    Input.ABANDON,
    Input.TRANSPORT_ERROR,
    Input.TIMER_TRYING,
    Input.TIMER_LIFETIME,
    Input.TIMER_J,
)


@final
class NonInviteServer(ServerTransaction):
    """A request other than INVITE and ACK that we received and whose transaction was wanted, starting in Trying."""

    __slots__ = ()

    table: ClassVar[Table]
    initial = State.TRYING

    def start(self, outlet: Outlet, now: float) -> None:
        """100 is due when the client's Timer E reaches T2 (RFC 4320 §4.1)."""
        outlet.timers.start(outlet.timings.trying_due, (self, Input.TIMER_TRYING), now)

    @staticmethod
    def input_of(status: int) -> Input:
        """1xx, 408 or another one of 200-699."""
        if status < 200:
            return Input.PROVISIONAL
        return Input.FINAL if status != 408 else Input.REQUEST_TIMEOUT


def _send_trying(tx: NonInviteServer, outlet: Outlet, value: object, flow: object, now: float) -> None:
    assert tx.request is not None  # shed with the final response only
    tx.data = build_response(tx.request, 100).to_bytes()
    outlet.events.append(SendMessage(tx.data, tx.flow, tx.key))
    outlet.timers.start(outlet.timings.trying_lifetime, (tx, Input.TIMER_LIFETIME), now)


def _complete(tx: NonInviteServer, outlet: Outlet, response: Response, flow: object, now: float) -> None:
    tx.data = data = response.to_bytes()
    outlet.events.append(SendMessage(data, tx.flow, tx.key))
    _linger(tx, outlet, now)


def _fall_silent(tx: NonInviteServer, outlet: Outlet, response: Response, flow: object, now: float) -> None:
    tx.data = None
    _linger(tx, outlet, now)


def _linger(tx: NonInviteServer, outlet: Outlet, now: float) -> None:
    tx.request = None
    outlet.timers.start(0.0 if tx.flow.reliable else outlet.timings.timer_j, (tx, Input.TIMER_J), now)


def _refuse(tx: NonInviteServer, outlet: Outlet, response: Response, flow: object, now: float) -> NoReturn:
    raise LocalProtocolError(f"{response.status} after the final response to {tx.key}")


TABLE: Table = {
    State.TRYING: {
        Input.REQUEST: (ignore, State.TRYING, "RFC 3261 §17.2.2"),
        Input.CANCEL: (ignore, State.TRYING, "RFC 3261 §9.2"),
        Input.PROVISIONAL: (ignore, State.TRYING, "RFC 4320 §4.1"),
        Input.FINAL: (_complete, State.COMPLETED, "RFC 3261 §17.2.2"),
        Input.REQUEST_TIMEOUT: (_fall_silent, State.COMPLETED, "RFC 4320 §4.2"),
        Input.ABANDON: (end, State.TERMINATED, "the user's word"),
        Input.TRANSPORT_ERROR: (inform, State.TRYING, "RFC 6026 §8.8"),
        Input.TIMER_TRYING: (_send_trying, State.PROCEEDING, "RFC 4320 §4.1"),
        Input.TIMER_LIFETIME: (never, State.TRYING, "started in Proceeding"),
        Input.TIMER_J: (never, State.TRYING, "started in Completed"),
    },
    State.PROCEEDING: {
        Input.REQUEST: (resend, State.PROCEEDING, "RFC 3261 §17.2.2"),
        Input.CANCEL: (ignore, State.PROCEEDING, "RFC 3261 §9.2"),
        Input.PROVISIONAL: (ignore, State.PROCEEDING, "RFC 4320 §4.1"),
        Input.FINAL: (_complete, State.COMPLETED, "RFC 3261 §17.2.2"),
        Input.REQUEST_TIMEOUT: (_fall_silent, State.COMPLETED, "RFC 4320 §4.2"),
        Input.ABANDON: (end, State.TERMINATED, "the user's word"),
        Input.TRANSPORT_ERROR: (inform, State.PROCEEDING, "RFC 6026 §8.8"),
        Input.TIMER_TRYING: (never, State.PROCEEDING, "it led here"),
        Input.TIMER_LIFETIME: (end, State.TERMINATED, "RFC 4320 §4.2"),
        Input.TIMER_J: (never, State.PROCEEDING, "started in Completed"),
    },
    State.COMPLETED: {
        Input.REQUEST: (resend, State.COMPLETED, "RFC 3261 §17.2.2"),
        Input.CANCEL: (ignore, State.COMPLETED, "RFC 3261 §9.2"),
        Input.PROVISIONAL: (_refuse, State.COMPLETED, "RFC 3261 §17.2.2"),
        Input.FINAL: (_refuse, State.COMPLETED, "RFC 3261 §17.2.2"),
        Input.REQUEST_TIMEOUT: (_refuse, State.COMPLETED, "RFC 3261 §17.2.2"),
        Input.ABANDON: (end, State.TERMINATED, "the user's word"),
        Input.TRANSPORT_ERROR: (inform, State.COMPLETED, "RFC 6026 §8.8"),
        Input.TIMER_TRYING: (stale, State.COMPLETED, "RFC 4320 §4.1"),
        Input.TIMER_LIFETIME: (stale, State.COMPLETED, "RFC 4320 §4.2"),
        Input.TIMER_J: (end, State.TERMINATED, "RFC 3261 §17.2.2"),
    },
    State.TERMINATED: {
        Input.REQUEST: (never, State.TERMINATED, "out of the table"),
        Input.CANCEL: (never, State.TERMINATED, "out of the table"),
        Input.PROVISIONAL: (never, State.TERMINATED, "out of the table"),
        Input.FINAL: (never, State.TERMINATED, "out of the table"),
        Input.REQUEST_TIMEOUT: (never, State.TERMINATED, "out of the table"),
        Input.ABANDON: (never, State.TERMINATED, "out of the table"),
        Input.TRANSPORT_ERROR: (never, State.TERMINATED, "out of the table"),
        Input.TIMER_TRYING: (stale, State.TERMINATED, "RFC 4320 §4.1"),
        Input.TIMER_LIFETIME: (stale, State.TERMINATED, "RFC 4320 §4.2"),
        Input.TIMER_J: (stale, State.TERMINATED, "RFC 3261 §17.2.2"),
    },
}

NonInviteServer.table = TABLE
