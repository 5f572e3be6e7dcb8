"""The INVITE server transaction (RFC 3261 §17.2.1 as corrected by RFC 6026 §8.5 to §8.8).

Rule 1: the user owes a final response and there is no timer for it; until then a repeated INVITE gets the last 1xx
again. If the user says nothing for 200 ms the transaction says 100.

Rule 2: a 300-699 is repeated here (Timer G) until its ACK comes or Timer H gives up. A 2xx never is: whoever accepted
the call repeats it, and each 2xx that the user hands down is passed on.

Rule 3: an ACK that ends in Accepted goes up to the user; one for a 300-699 is absorbed.

Rule 4: a transport error is told, and changes nothing: the state must stay, or the next repetition of the INVITE would
be taken for a new call.

Theory of operation. Completed waits for ACK, Confirmed swallows further ACKs (Timer I), Accepted swallows repetitions
of an INVITE that was answered 2xx (Timer L). A 2xx that a forking proxy hands down after another final response has
been sent is passed on and not repeated, because every 2xx must reach the caller (§16.7 step 5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NoReturn, final

from ringback.protocol.errors import LocalProtocolError, RemoteProtocolError
from ringback.protocol.message.build import build_response
from ringback.protocol.transaction.events import (
    CancelReceived,
    RequestReceived,
    SendMessage,
    TransactionTimedOut,
)
from ringback.protocol.transaction.key import LEGACY
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
    from ringback.protocol.message.model import Request, Response
    from ringback.protocol.routing.flow import Flow

STATES = (State.PROCEEDING, State.COMPLETED, State.CONFIRMED, State.ACCEPTED, State.TERMINATED)
INPUTS = (
    Input.REQUEST,
    Input.ACK,
    Input.CANCEL,
    Input.PROVISIONAL,
    Input.SUCCESS,
    Input.FAILURE,
    Input.ABANDON,
    Input.TRANSPORT_ERROR,
    Input.TIMER_TRYING,
    Input.TIMER_G,
    Input.TIMER_H,
    Input.TIMER_I,
    Input.TIMER_L,
)


@final
class InviteServer(ServerTransaction):
    """An INVITE that we received and whose transaction was wanted, starting in Proceeding."""

    __slots__ = ()

    table: ClassVar[Table]
    initial = State.PROCEEDING

    def start(self, outlet: Outlet, now: float) -> None:
        """100 is due in 200 ms (§17.2.1)."""
        outlet.timers.start(outlet.timings.trying_delay, (self, Input.TIMER_TRYING), now)

    @staticmethod
    def input_of(status: int) -> Input:
        """1xx, 2xx or 300-699."""
        if status < 200:
            return Input.PROVISIONAL
        return Input.SUCCESS if status < 300 else Input.FAILURE


def _send(tx: InviteServer, outlet: Outlet, response: Response, flow: object, now: float) -> None:
    _learn_tag(tx, response)
    tx.data = response.to_bytes()
    outlet.events.append(SendMessage(tx.data, tx.flow, tx.key))


def _send_trying(tx: InviteServer, outlet: Outlet, value: object, flow: object, now: float) -> None:
    if tx.data is None:
        assert tx.request is not None  # shed with the final response only
        _send(tx, outlet, build_response(tx.request, 100), flow, now)


def _accept(tx: InviteServer, outlet: Outlet, response: Response, flow: object, now: float) -> None:
    _pass_on(tx, outlet, response, flow, now)
    tx.request = None
    tx.data = None  # a repeated INVITE is answered by the user's own repetition of the 2xx
    outlet.timers.start(outlet.timings.timer_l, (tx, Input.TIMER_L), now)


def _complete(tx: InviteServer, outlet: Outlet, response: Response, flow: object, now: float) -> None:
    _send(tx, outlet, response, flow, now)
    tx.request = None
    if not tx.flow.reliable:
        tx.interval = outlet.timings.t1
        outlet.timers.start(tx.interval, (tx, Input.TIMER_G), now)
    outlet.timers.start(outlet.timings.timer_h, (tx, Input.TIMER_H), now)


def _pass_on(tx: InviteServer, outlet: Outlet, response: Response, flow: object, now: float) -> None:
    _learn_tag(tx, response)
    outlet.events.append(SendMessage(response.to_bytes(), tx.flow, tx.key))


def _refuse(tx: InviteServer, outlet: Outlet, response: Response, flow: object, now: float) -> NoReturn:
    raise LocalProtocolError(f"{response.status} after the final response to {tx.key}")


def _repeat(tx: InviteServer, outlet: Outlet, value: object, flow: object, now: float) -> None:
    resend(tx, outlet, value, flow, now)
    tx.interval = min(2 * tx.interval, outlet.timings.t2)
    outlet.timers.start(tx.interval, (tx, Input.TIMER_G), now)


def _time_out(tx: InviteServer, outlet: Outlet, value: object, flow: object, now: float) -> None:
    if tx.user:
        outlet.events.append(TransactionTimedOut(tx.key, tx.user, True))
    end(tx, outlet, value, flow, now)


def _confirm(tx: InviteServer, outlet: Outlet, value: object, flow: object, now: float) -> None:
    tx.data = None
    outlet.timers.start(0.0 if tx.flow.reliable else outlet.timings.t4, (tx, Input.TIMER_I), now)


def _ack_up(tx: InviteServer, outlet: Outlet, request: Request, flow: Flow, now: float) -> None:
    outlet.events.append(RequestReceived(request, tx.key, flow))


def _report_cancel(tx: InviteServer, outlet: Outlet, request: Request, flow: Flow, now: float) -> None:
    if tx.user:
        outlet.events.append(CancelReceived(tx.key, request, tx.user))


def _learn_tag(tx: InviteServer, response: Response) -> None:
    """Keep the To tag of what we answer, if our 200 to a CANCEL has none of its own, or an ACK is matched by it."""
    if tx.to_tag is None or tx.key[0] == LEGACY:
        try:
            tx.to_tag = response.to_tag or tx.to_tag
        except RemoteProtocolError:
            return  # a To that cannot be read has no tag to learn


TABLE: Table = {
    State.PROCEEDING: {
        Input.REQUEST: (resend, State.PROCEEDING, "RFC 3261 §17.2.1"),
        Input.ACK: (ignore, State.PROCEEDING, "RFC 3261 §17: nothing to acknowledge yet"),
        Input.CANCEL: (_report_cancel, State.PROCEEDING, "RFC 3261 §9.2"),
        Input.PROVISIONAL: (_send, State.PROCEEDING, "RFC 3261 §17.2.1"),
        Input.SUCCESS: (_accept, State.ACCEPTED, "RFC 6026 §8.5, §8.7"),
        Input.FAILURE: (_complete, State.COMPLETED, "RFC 3261 §17.2.1"),
        Input.ABANDON: (end, State.TERMINATED, "the user's word"),
        Input.TRANSPORT_ERROR: (inform, State.PROCEEDING, "RFC 6026 §8.8"),
        Input.TIMER_TRYING: (_send_trying, State.PROCEEDING, "RFC 3261 §17.2.1"),
        Input.TIMER_G: (never, State.PROCEEDING, "started in Completed"),
        Input.TIMER_H: (never, State.PROCEEDING, "started in Completed"),
        Input.TIMER_I: (never, State.PROCEEDING, "started in Confirmed"),
        Input.TIMER_L: (never, State.PROCEEDING, "started in Accepted"),
    },
    State.COMPLETED: {
        Input.REQUEST: (resend, State.COMPLETED, "RFC 3261 §17.2.1"),
        Input.ACK: (_confirm, State.CONFIRMED, "RFC 3261 §17.2.1"),
        Input.CANCEL: (ignore, State.COMPLETED, "RFC 3261 §9.2"),
        Input.PROVISIONAL: (_refuse, State.COMPLETED, "RFC 3261 §17.2.1"),
        Input.SUCCESS: (_pass_on, State.COMPLETED, "RFC 3261 §16.7 step 5"),
        Input.FAILURE: (_refuse, State.COMPLETED, "RFC 3261 §17.2.1"),
        Input.ABANDON: (end, State.TERMINATED, "the user's word"),
        Input.TRANSPORT_ERROR: (inform, State.COMPLETED, "RFC 6026 §8.8"),
        Input.TIMER_TRYING: (stale, State.COMPLETED, "RFC 3261 §17.2.1"),
        Input.TIMER_G: (_repeat, State.COMPLETED, "RFC 3261 §17.2.1"),
        Input.TIMER_H: (_time_out, State.TERMINATED, "RFC 3261 §17.2.1"),
        Input.TIMER_I: (never, State.COMPLETED, "started in Confirmed"),
        Input.TIMER_L: (never, State.COMPLETED, "started in Accepted"),
    },
    State.CONFIRMED: {
        Input.REQUEST: (ignore, State.CONFIRMED, "RFC 3261 figure 7: late, and acknowledged already"),
        Input.ACK: (ignore, State.CONFIRMED, "RFC 3261 §17.2.1"),
        Input.CANCEL: (ignore, State.CONFIRMED, "RFC 3261 §9.2"),
        Input.PROVISIONAL: (_refuse, State.CONFIRMED, "RFC 3261 §17.2.1"),
        Input.SUCCESS: (_pass_on, State.CONFIRMED, "RFC 3261 §16.7 step 5"),
        Input.FAILURE: (_refuse, State.CONFIRMED, "RFC 3261 §17.2.1"),
        Input.ABANDON: (end, State.TERMINATED, "the user's word"),
        Input.TRANSPORT_ERROR: (inform, State.CONFIRMED, "RFC 6026 §8.8"),
        Input.TIMER_TRYING: (stale, State.CONFIRMED, "RFC 3261 §17.2.1"),
        Input.TIMER_G: (stale, State.CONFIRMED, "RFC 3261 §17.2.1"),
        Input.TIMER_H: (stale, State.CONFIRMED, "RFC 3261 §17.2.1"),
        Input.TIMER_I: (end, State.TERMINATED, "RFC 3261 §17.2.1"),
        Input.TIMER_L: (never, State.CONFIRMED, "started in Accepted"),
    },
    State.ACCEPTED: {
        Input.REQUEST: (ignore, State.ACCEPTED, "RFC 6026 §8.7"),
        Input.ACK: (_ack_up, State.ACCEPTED, "RFC 6026 §8.7"),
        Input.CANCEL: (ignore, State.ACCEPTED, "RFC 3261 §9.2"),
        Input.PROVISIONAL: (_refuse, State.ACCEPTED, "RFC 6026 figure 7"),
        Input.SUCCESS: (_pass_on, State.ACCEPTED, "RFC 6026 §8.7"),
        Input.FAILURE: (_refuse, State.ACCEPTED, "RFC 6026 figure 7"),
        Input.ABANDON: (end, State.TERMINATED, "the user's word"),
        Input.TRANSPORT_ERROR: (inform, State.ACCEPTED, "RFC 6026 §8.8"),
        Input.TIMER_TRYING: (stale, State.ACCEPTED, "RFC 3261 §17.2.1"),
        Input.TIMER_G: (never, State.ACCEPTED, "started in Completed"),
        Input.TIMER_H: (never, State.ACCEPTED, "started in Completed"),
        Input.TIMER_I: (never, State.ACCEPTED, "started in Confirmed"),
        Input.TIMER_L: (end, State.TERMINATED, "RFC 6026 §8.7"),
    },
    State.TERMINATED: {
        Input.REQUEST: (never, State.TERMINATED, "out of the table"),
        Input.ACK: (never, State.TERMINATED, "out of the table"),
        Input.CANCEL: (never, State.TERMINATED, "out of the table"),
        Input.PROVISIONAL: (never, State.TERMINATED, "out of the table"),
        Input.SUCCESS: (never, State.TERMINATED, "out of the table"),
        Input.FAILURE: (never, State.TERMINATED, "out of the table"),
        Input.ABANDON: (never, State.TERMINATED, "out of the table"),
        Input.TRANSPORT_ERROR: (never, State.TERMINATED, "out of the table"),
        Input.TIMER_TRYING: (stale, State.TERMINATED, "RFC 3261 §17.2.1"),
        Input.TIMER_G: (stale, State.TERMINATED, "RFC 3261 §17.2.1"),
        Input.TIMER_H: (stale, State.TERMINATED, "RFC 3261 §17.2.1"),
        Input.TIMER_I: (stale, State.TERMINATED, "RFC 3261 §17.2.1"),
        Input.TIMER_L: (stale, State.TERMINATED, "RFC 6026 §8.7"),
    },
}

InviteServer.table = TABLE
