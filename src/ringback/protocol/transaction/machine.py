"""What the four transaction machines share: states, inputs, the step through a table, the two kinds of transaction.

Rule 1: a machine is a table, state by state and input by input: ``TABLE[state][input]`` is a row of action, next state
and clause. Every pair has a row. There are three kinds of row in which nothing happens, because a reader wants to know
why nothing does: ``ignore`` (the RFC says so, the clause tells where), ``stale`` (a timer of a state that was left
meanwhile) and ``never`` (the pair cannot come about, and the tests hold us to it).

Rule 2: the step sets the next state first and runs the action after, so that an action sees the state it leads to.

Rule 3: a machine knows nothing above itself. What it has to say it appends to the event list of the ``Outlet`` that
is handed in; the timers it wants it starts there; a transaction that it gives birth to (CANCEL) it leaves in ``born``.
It ends by being in Terminated, and whoever drives it takes it out of the table then.

Rule 4: timers are never stopped. A timer's item is the transaction itself and the input; a transaction that is gone
stays in Terminated for ever, so that a branch that is used again never gets the timers of its predecessor.

Theory of operation. A request is written to bytes once and a response once; retransmission sends the same bytes. As
soon as a transaction needs its message no more it sheds it, because most of a transaction's life is waiting for
stragglers: in Completed and Accepted only key, flow and the bytes that may have to be repeated remain.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, final

from ringback.protocol.transaction.events import (
    Event,
    SendMessage,
    TransactionTerminated,
    TransportFailed,
)

if TYPE_CHECKING:
    from ringback.protocol.message.model import Request
    from ringback.protocol.routing.flow import Flow
    from ringback.protocol.timer_queue import TimerQueue
    from ringback.protocol.transaction.key import ClientKey, ServerKey
    from ringback.protocol.transaction.timings import Timings


class State(StrEnum):
    """The states of RFC 3261 §17 and RFC 6026."""

    CALLING = "Calling"
    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    CONFIRMED = "Confirmed"
    ACCEPTED = "Accepted"
    TERMINATED = "Terminated"


class Input(StrEnum):
    """What can happen to a transaction: a message from the network, a word of its user, a timer, a failure.

    The same word serves both directions: 1xx is received by a client transaction and handed down to a server one.
    """

    REQUEST = "request again"
    ACK = "ACK"
    CANCEL = "CANCEL"
    PROVISIONAL = "1xx"
    SUCCESS = "2xx"
    FAILURE = "300-699"
    FINAL = "200-699"
    REQUEST_TIMEOUT = "408"
    TRANSPORT_ERROR = "transport error"
    ABANDON = "abandon"
    TIMER_A = "Timer A"
    TIMER_B = "Timer B"
    TIMER_D = "Timer D"
    TIMER_E = "Timer E"
    TIMER_F = "Timer F"
    TIMER_G = "Timer G"
    TIMER_H = "Timer H"
    TIMER_I = "Timer I"
    TIMER_J = "Timer J"
    TIMER_K = "Timer K"
    TIMER_L = "Timer L"
    TIMER_M = "Timer M"
    TIMER_TRYING = "100 is due"
    TIMER_LIFETIME = "too late to answer"


# Member look-up on the class costs more than the table look-up does, so the hot code uses these.
TERMINATED = State.TERMINATED

# An action gets the transaction, the outlet, the message (or whatever belongs to the input), the flow it came on, now.
Action = Callable[[Any, "Outlet", Any, Any, float], None]
Row = tuple[Action, State, str]
Table = dict[State, dict[Input, Row]]


@final
class Outlet:
    """Where machines put what they have to say. One for all transactions of a layer, handed in with every step."""

    __slots__ = ("born", "events", "timers", "timings")

    def __init__(self, timers: TimerQueue, timings: Timings) -> None:
        self.events: list[Event] = []
        self.born: list[ClientTransaction] = []
        self.timers = timers
        self.timings = timings


class Transaction:
    """What client and server transactions share.

    ``user`` is "" when nobody is to hear of it (the layer's own). ``request`` and ``data``, the bytes to send again,
    are None once they are shed. ``interval`` is what the running retransmission timer was started with.
    """

    __slots__ = ("data", "flow", "interval", "request", "state", "user")

    table: ClassVar[Table]
    initial: ClassVar[State]
    is_server: ClassVar[bool]
    # Here for the checker; the two kinds have keys of their own.
    key: Any
    request: Request | None
    flow: Flow
    user: str
    state: State
    data: bytes | None
    interval: float

    def start(self, outlet: Outlet, now: float) -> None:
        """Send what is to be sent at once and start the first timers."""
        raise NotImplementedError

    @staticmethod
    def input_of(status: int) -> Input:
        """What a response with this status is to the machine."""
        raise NotImplementedError

    def step(self, event: Input, outlet: Outlet, value: Any, flow: Flow | None, now: float) -> None:
        """Go through the row for this state and ``event``."""
        action, self.state, _ = self.table[self.state][event]
        action(self, outlet, value, flow, now)


class ClientTransaction(Transaction):
    """A request of ours and the responses to it. ``cancel``: the headers of a CANCEL that is asked for, else None."""

    __slots__ = ("cancel", "key")

    is_server = False

    def __init__(self, key: ClientKey, request: Request, flow: Flow, user: str) -> None:
        self.key: ClientKey = key
        self.request = request
        self.flow = flow
        self.user = user
        self.state = self.initial
        self.data = None
        self.interval = 0.0
        self.cancel: tuple[tuple[str, str], ...] | None = None


class ServerTransaction(Transaction):
    """A request of a peer and our responses to it.

    ``to_tag`` is the To tag of our own answer to a CANCEL; ``merge`` what finds a merged request, if that is asked for.
    """

    __slots__ = ("key", "merge", "to_tag")

    is_server = True

    def __init__(self, key: ServerKey, request: Request, flow: Flow, user: str, to_tag: str | None) -> None:
        self.key: ServerKey = key
        self.request = request
        self.flow = flow
        self.user = user
        self.state = self.initial
        self.data = None
        self.interval = 0.0
        self.to_tag = to_tag
        self.merge: tuple[str, ...] | None = None


# Actions that more than one machine has.


def ignore(tx: Transaction, outlet: Outlet, value: object, flow: object, now: float) -> None:
    """Nothing happens, as the clause of the row says."""


def stale(tx: Transaction, outlet: Outlet, value: object, flow: object, now: float) -> None:
    """A timer of a state that has been left: nothing happens."""


def never(tx: Transaction, outlet: Outlet, value: object, flow: object, now: float) -> None:
    """The pair cannot come about. If it ever did, nothing would be the harmless thing to do."""


def end(tx: Transaction, outlet: Outlet, value: object, flow: object, now: float) -> None:
    """The transaction is over: everything it holds is let go, and its user is told."""
    tx.request = None
    tx.data = None
    if tx.user:
        outlet.events.append(TransactionTerminated(tx.key, tx.user, tx.is_server))


def fail(tx: Transaction, outlet: Outlet, text: str, flow: object, now: float) -> None:
    """The request could not be sent, and with it the transaction is over."""
    inform(tx, outlet, text, flow, now)
    end(tx, outlet, None, None, now)


def inform(tx: Transaction, outlet: Outlet, text: str, flow: object, now: float) -> None:
    """The user is told of a transport error."""
    if tx.user:
        outlet.events.append(TransportFailed(tx.key, tx.user, tx.is_server, text, tx.flow))


def resend(tx: Transaction, outlet: Outlet, value: object, flow: object, now: float) -> None:
    """Send once more what was sent last, if anything was."""
    if tx.data is not None:
        outlet.events.append(SendMessage(tx.data, tx.flow, tx.key))
