"""The non-INVITE client transaction (RFC 3261 §17.1.2).

Rule 1: the user hears each 1xx and the first final response, and of later ones nothing.

Rule 2: the request is repeated over an unreliable transport until a final response comes or Timer F ends it, in
Proceeding too (at T2), because only a repetition makes the far end repeat a final response that was lost.

Theory of operation. Timer E doubles from T1 up to T2. Completed lives for T4 to swallow repetitions of the response.
The layer's own CANCEL runs on this machine with an empty ``user``: then nobody hears anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from ringback.protocol.transaction.events import ResponseReceived, SendMessage, TransactionTimedOut
from ringback.protocol.transaction.machine import (
    ClientTransaction,
    Input,
    Outlet,
    State,
    Table,
    end,
    fail,
    ignore,
    never,
    resend,
    stale,
)

if TYPE_CHECKING:
    from ringback.protocol.message.model import Response
    from ringback.protocol.routing.flow import Flow

STATES = (State.TRYING, State.PROCEEDING, State.COMPLETED, State.TERMINATED)
INPUTS = (
    Input.PROVISIONAL,
    Input.FINAL,
    Input.ABANDON,
    Input.TRANSPORT_ERROR,
    Input.TIMER_E,
    Input.TIMER_F,
    Input.TIMER_K,
)


@final
class NonInviteClient(ClientTransaction):
    """A request other than INVITE and ACK that we sent, starting in Trying."""

    __slots__ = ()

    table: ClassVar[Table]
    initial = State.TRYING

    def start(self, outlet: Outlet, now: float) -> None:
        """Send the request and start Timer E, over a reliable transport Timer F (§17.1.2.2).

        Where there is a Timer E, Timer F starts with its first repetition: by then most requests have been answered.
        """
        assert self.request is not None  # a transaction that has not started has shed nothing
        data = self.request.to_bytes()
        outlet.events.append(SendMessage(data, self.flow, self.key))
        if not self.flow.reliable:
            self.data = data
            self.interval = outlet.timings.t1
            outlet.timers.start(self.interval, (self, Input.TIMER_E), now)
        else:
            outlet.timers.start(outlet.timings.timer_f, (self, Input.TIMER_F), now)

    @staticmethod
    def input_of(status: int) -> Input:
        """1xx or 200-699."""
        return Input.PROVISIONAL if status < 200 else Input.FINAL


def _start_timer_f(tx: NonInviteClient, outlet: Outlet, now: float) -> None:
    """At the first repetition, T1 after the request."""
    timings = outlet.timings
    if tx.interval == timings.t1:
        outlet.timers.start(timings.timer_f - timings.t1, (tx, Input.TIMER_F), now)


def _repeat_doubling(tx: NonInviteClient, outlet: Outlet, value: object, flow: object, now: float) -> None:
    resend(tx, outlet, value, flow, now)
    _start_timer_f(tx, outlet, now)
    tx.interval = min(2 * tx.interval, outlet.timings.t2)
    outlet.timers.start(tx.interval, (tx, Input.TIMER_E), now)


def _repeat_slowly(tx: NonInviteClient, outlet: Outlet, value: object, flow: object, now: float) -> None:
    resend(tx, outlet, value, flow, now)
    _start_timer_f(tx, outlet, now)
    tx.interval = outlet.timings.t2
    outlet.timers.start(tx.interval, (tx, Input.TIMER_E), now)


def _time_out(tx: NonInviteClient, outlet: Outlet, value: object, flow: object, now: float) -> None:
    if tx.user:
        outlet.events.append(TransactionTimedOut(tx.key, tx.user, False, tx.flow))
    end(tx, outlet, value, flow, now)


def _report(tx: NonInviteClient, outlet: Outlet, response: Response, flow: Flow, now: float) -> None:
    if tx.user:
        outlet.events.append(ResponseReceived(tx.key, response, flow, tx.user))


def _complete(tx: NonInviteClient, outlet: Outlet, response: Response, flow: Flow, now: float) -> None:
    tx.request = None
    tx.data = None
    if tx.user:
        outlet.events.append(ResponseReceived(tx.key, response, flow, tx.user))
    outlet.timers.start(0.0 if tx.flow.reliable else outlet.timings.t4, (tx, Input.TIMER_K), now)


TABLE: Table = {
    State.TRYING: {
        Input.PROVISIONAL: (_report, State.PROCEEDING, "RFC 3261 §17.1.2.2"),
        Input.FINAL: (_complete, State.COMPLETED, "RFC 3261 §17.1.2.2"),
        Input.ABANDON: (end, State.TERMINATED, "the user's word"),
        Input.TRANSPORT_ERROR: (fail, State.TERMINATED, "RFC 3261 §17.1.4"),
        Input.TIMER_E: (_repeat_doubling, State.TRYING, "RFC 3261 §17.1.2.2"),
        Input.TIMER_F: (_time_out, State.TERMINATED, "RFC 3261 §17.1.2.2"),
        Input.TIMER_K: (never, State.TRYING, "started in Completed"),
    },
    State.PROCEEDING: {
        Input.PROVISIONAL: (_report, State.PROCEEDING, "RFC 3261 figure 6"),
        Input.FINAL: (_complete, State.COMPLETED, "RFC 3261 §17.1.2.2"),
        Input.ABANDON: (end, State.TERMINATED, "the user's word"),
        Input.TRANSPORT_ERROR: (fail, State.TERMINATED, "RFC 3261 §17.1.4"),
        Input.TIMER_E: (_repeat_slowly, State.PROCEEDING, "RFC 3261 §17.1.2.2"),
        Input.TIMER_F: (_time_out, State.TERMINATED, "RFC 3261 §17.1.2.2"),
        Input.TIMER_K: (never, State.PROCEEDING, "started in Completed"),
    },
    State.COMPLETED: {
        Input.PROVISIONAL: (ignore, State.COMPLETED, "RFC 3261 figure 6"),
        Input.FINAL: (ignore, State.COMPLETED, "RFC 3261 §17.1.2.2"),
        Input.ABANDON: (end, State.TERMINATED, "the user's word"),
        Input.TRANSPORT_ERROR: (ignore, State.COMPLETED, "RFC 3261 figure 6: nothing is sent from here"),
        Input.TIMER_E: (stale, State.COMPLETED, "RFC 3261 §17.1.2.2"),
        Input.TIMER_F: (stale, State.COMPLETED, "RFC 3261 §17.1.2.2"),
        Input.TIMER_K: (end, State.TERMINATED, "RFC 3261 §17.1.2.2"),
    },
    State.TERMINATED: {
        Input.PROVISIONAL: (never, State.TERMINATED, "out of the table"),
        Input.FINAL: (never, State.TERMINATED, "out of the table"),
        Input.ABANDON: (never, State.TERMINATED, "out of the table"),
        Input.TRANSPORT_ERROR: (never, State.TERMINATED, "out of the table"),
        Input.TIMER_E: (stale, State.TERMINATED, "RFC 3261 §17.1.2.2"),
        Input.TIMER_F: (stale, State.TERMINATED, "RFC 3261 §17.1.2.2"),
        Input.TIMER_K: (stale, State.TERMINATED, "RFC 3261 §17.1.2.2"),
    },
}

NonInviteClient.table = TABLE
