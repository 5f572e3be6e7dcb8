"""The INVITE client transaction (RFC 3261 §17.1.1 as corrected by RFC 6026 §8.4).

Rule 1: the user hears every 1xx, the first final response, and every 2xx, however many there are: each is another
answer to a call that was forked (§13.2.2.4, §16.7).

Rule 2: a 300-699 is acknowledged here, once for each time it arrives; a 2xx never is, its ACK being the user's.

Rule 3: in Proceeding there is no timer. A called phone may ring for ever, and how long is the user's affair: a proxy's
Timer C, a caller's patience. The user has ``cancel`` and ``abandon`` for the purpose.

Rule 4: CANCEL waits for the first provisional response, and is dropped when a final one comes first (§9.1). It is a
transaction of its own then, of which the user hears nothing: what counts is the final response to the INVITE.

Theory of operation. Calling repeats the INVITE (Timer A, doubling without limit) until anything comes or Timer B ends
it. Completed lives on to acknowledge repetitions of the failure (Timer D), Accepted to let further 2xx through
(Timer M). What a late response could need is all that is kept in either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from ringback.protocol.transaction.derive import build_ack, build_cancel
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
from ringback.protocol.transaction.non_invite_client import NonInviteClient

if TYPE_CHECKING:
    from ringback.protocol.message.model import Response
    from ringback.protocol.routing.flow import Flow

STATES = (State.CALLING, State.PROCEEDING, State.COMPLETED, State.ACCEPTED, State.TERMINATED)
INPUTS = (
    Input.PROVISIONAL,
    Input.SUCCESS,
    Input.FAILURE,
    Input.CANCEL,
    Input.ABANDON,
    Input.TRANSPORT_ERROR,
    Input.TIMER_A,
    Input.TIMER_B,
    Input.TIMER_D,
    Input.TIMER_M,
)


@final
class InviteClient(ClientTransaction):
    """An INVITE that we sent, starting in Calling."""

    __slots__ = ()

    table: ClassVar[Table]
    initial = State.CALLING

    def start(self, outlet: Outlet, now: float) -> None:
        """Send the INVITE and start Timer A, over a reliable transport Timer B (§17.1.1.2).

        Where there is a Timer A, Timer B starts with its first repetition: by then most INVITEs have been answered.
        """
        assert self.request is not None  # a transaction that has not started has shed nothing
        data = self.request.to_bytes()
        outlet.events.append(SendMessage(data, self.flow, self.key))
        if not self.flow.reliable:
            self.data = data
            self.interval = outlet.timings.t1
            outlet.timers.start(self.interval, (self, Input.TIMER_A), now)
        else:
            outlet.timers.start(outlet.timings.timer_b, (self, Input.TIMER_B), now)

    @staticmethod
    def input_of(status: int) -> Input:
        """1xx, 2xx or 300-699."""
        if status < 200:
            return Input.PROVISIONAL
        return Input.SUCCESS if status < 300 else Input.FAILURE


def _repeat(tx: InviteClient, outlet: Outlet, value: object, flow: object, now: float) -> None:
    resend(tx, outlet, value, flow, now)
    timings = outlet.timings
    if tx.interval == timings.t1:
        outlet.timers.start(timings.timer_b - timings.t1, (tx, Input.TIMER_B), now)
    tx.interval *= 2
    outlet.timers.start(tx.interval, (tx, Input.TIMER_A), now)


def _time_out(tx: InviteClient, outlet: Outlet, value: object, flow: object, now: float) -> None:
    outlet.events.append(TransactionTimedOut(tx.key, tx.user, False, tx.flow))
    end(tx, outlet, value, flow, now)


def _report(tx: InviteClient, outlet: Outlet, response: Response, flow: Flow, now: float) -> None:
    outlet.events.append(ResponseReceived(tx.key, response, flow, tx.user))


def _proceed(tx: InviteClient, outlet: Outlet, response: Response, flow: Flow, now: float) -> None:
    tx.data = None  # the INVITE is not repeated any more
    outlet.events.append(ResponseReceived(tx.key, response, flow, tx.user))
    if tx.cancel is not None:
        _bear_cancel(tx, outlet)


def _accept(tx: InviteClient, outlet: Outlet, response: Response, flow: Flow, now: float) -> None:
    tx.request = None
    tx.data = None
    outlet.events.append(ResponseReceived(tx.key, response, flow, tx.user))
    outlet.timers.start(outlet.timings.timer_m, (tx, Input.TIMER_M), now)


def _acknowledge(tx: InviteClient, outlet: Outlet, response: Response, flow: Flow, now: float) -> None:
    assert tx.request is not None  # shed here and in _accept only
    tx.data = build_ack(tx.request, response).to_bytes()
    tx.request = None
    outlet.events.append(SendMessage(tx.data, tx.flow, tx.key))
    outlet.events.append(ResponseReceived(tx.key, response, flow, tx.user))
    outlet.timers.start(0.0 if tx.flow.reliable else outlet.timings.timer_d, (tx, Input.TIMER_D), now)


def _hold_cancel(
    tx: InviteClient, outlet: Outlet, headers: tuple[tuple[str, str], ...], flow: object, now: float
) -> None:
    if tx.cancel is None:
        tx.cancel = headers


def _send_cancel(
    tx: InviteClient, outlet: Outlet, headers: tuple[tuple[str, str], ...], flow: object, now: float
) -> None:
    if tx.cancel is None:
        tx.cancel = headers
        _bear_cancel(tx, outlet)


def _bear_cancel(tx: InviteClient, outlet: Outlet) -> None:
    assert tx.request is not None  # not shed before a final response
    assert tx.cancel is not None  # a word of the user led here
    request = build_cancel(tx.request, tx.cancel)
    outlet.born.append(NonInviteClient((tx.key[0], "CANCEL"), request, tx.flow, ""))


TABLE: Table = {
    State.CALLING: {
        Input.PROVISIONAL: (_proceed, State.PROCEEDING, "RFC 3261 §17.1.1.2, a held CANCEL: §9.1"),
        Input.SUCCESS: (_accept, State.ACCEPTED, "RFC 6026 §8.4"),
        Input.FAILURE: (_acknowledge, State.COMPLETED, "RFC 6026 §8.4, RFC 3261 §17.1.1.3"),
        Input.CANCEL: (_hold_cancel, State.CALLING, "RFC 3261 §9.1"),
        Input.ABANDON: (end, State.TERMINATED, "RFC 3261 §9.1"),
        Input.TRANSPORT_ERROR: (fail, State.TERMINATED, "RFC 3261 §17.1.4"),
        Input.TIMER_A: (_repeat, State.CALLING, "RFC 3261 §17.1.1.2"),
        Input.TIMER_B: (_time_out, State.TERMINATED, "RFC 3261 §17.1.1.2"),
        Input.TIMER_D: (never, State.CALLING, "started in Completed"),
        Input.TIMER_M: (never, State.CALLING, "started in Accepted"),
    },
    State.PROCEEDING: {
        Input.PROVISIONAL: (_report, State.PROCEEDING, "RFC 3261 §17.1.1.2"),
        Input.SUCCESS: (_accept, State.ACCEPTED, "RFC 6026 §8.4"),
        Input.FAILURE: (_acknowledge, State.COMPLETED, "RFC 6026 §8.4, RFC 3261 §17.1.1.3"),
        Input.CANCEL: (_send_cancel, State.PROCEEDING, "RFC 3261 §9.1"),
        Input.ABANDON: (end, State.TERMINATED, "RFC 3261 §9.1, §16.8"),
        Input.TRANSPORT_ERROR: (ignore, State.PROCEEDING, "RFC 6026 figure 5: the INVITE has arrived"),
        Input.TIMER_A: (stale, State.PROCEEDING, "RFC 3261 §17.1.1.2"),
        Input.TIMER_B: (stale, State.PROCEEDING, "RFC 3261 §17.1.1.2"),
        Input.TIMER_D: (never, State.PROCEEDING, "started in Completed"),
        Input.TIMER_M: (never, State.PROCEEDING, "started in Accepted"),
    },
    State.COMPLETED: {
        Input.PROVISIONAL: (ignore, State.COMPLETED, "RFC 6026 figure 5"),
        Input.SUCCESS: (_report, State.COMPLETED, "RFC 3261 §13.2.2.4, §16.7 step 5"),
        Input.FAILURE: (resend, State.COMPLETED, "RFC 6026 §8.4"),
        Input.CANCEL: (ignore, State.COMPLETED, "RFC 3261 §9.1"),
        Input.ABANDON: (end, State.TERMINATED, "the user's word"),
        Input.TRANSPORT_ERROR: (fail, State.TERMINATED, "RFC 6026 figure 5"),
        Input.TIMER_A: (stale, State.COMPLETED, "RFC 3261 §17.1.1.2"),
        Input.TIMER_B: (stale, State.COMPLETED, "RFC 3261 §17.1.1.2"),
        Input.TIMER_D: (end, State.TERMINATED, "RFC 6026 §8.4"),
        Input.TIMER_M: (never, State.COMPLETED, "started in Accepted"),
    },
    State.ACCEPTED: {
        Input.PROVISIONAL: (ignore, State.ACCEPTED, "RFC 6026 figure 5"),
        Input.SUCCESS: (_report, State.ACCEPTED, "RFC 6026 §8.4"),
        Input.FAILURE: (ignore, State.ACCEPTED, "RFC 6026 figure 5"),
        Input.CANCEL: (ignore, State.ACCEPTED, "RFC 3261 §9.1"),
        Input.ABANDON: (end, State.TERMINATED, "the user's word"),
        Input.TRANSPORT_ERROR: (ignore, State.ACCEPTED, "RFC 6026 figure 5: nothing is sent from here"),
        Input.TIMER_A: (stale, State.ACCEPTED, "RFC 3261 §17.1.1.2"),
        Input.TIMER_B: (stale, State.ACCEPTED, "RFC 3261 §17.1.1.2"),
        Input.TIMER_D: (never, State.ACCEPTED, "started in Completed"),
        Input.TIMER_M: (end, State.TERMINATED, "RFC 6026 §8.4"),
    },
    State.TERMINATED: {
        Input.PROVISIONAL: (never, State.TERMINATED, "out of the table"),
        Input.SUCCESS: (never, State.TERMINATED, "out of the table"),
        Input.FAILURE: (never, State.TERMINATED, "out of the table"),
        Input.CANCEL: (never, State.TERMINATED, "out of the table"),
        Input.ABANDON: (never, State.TERMINATED, "out of the table"),
        Input.TRANSPORT_ERROR: (never, State.TERMINATED, "out of the table"),
        Input.TIMER_A: (stale, State.TERMINATED, "RFC 3261 §17.1.1.2"),
        Input.TIMER_B: (stale, State.TERMINATED, "RFC 3261 §17.1.1.2"),
        Input.TIMER_D: (stale, State.TERMINATED, "RFC 6026 §8.4"),
        Input.TIMER_M: (stale, State.TERMINATED, "RFC 6026 §8.4"),
    },
}

InviteClient.table = TABLE
