"""Calls and dialogs as the UAC core and the UAS core share them.

A user agent sends requests into a dialog that it was called by and answers requests in one that it called: the two
cores are two roles over one table. A ``Call`` is what its user sees: one INVITE, its outcome, and the session that
came of it. Which states it may be in and how it moves is told in ``caller.py`` (we sent the INVITE), ``callee.py``
(we received it) and ``session.py`` (it was answered and acknowledged, whoever began).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from ringback.protocol.dialog.identity import DialogId
    from ringback.protocol.dialog.state import Dialog
    from ringback.protocol.message.model import Request
    from ringback.protocol.transaction.key import ServerKey


class State(StrEnum):
    """Where a call is: four states of the caller alone, four of the callee, and the session's, which are of both."""

    CALLING = "Calling"
    PROCEEDING = "Proceeding"
    WITHDRAWN = "Withdrawn"
    CANCELLING = "Cancelling"
    TRYING = "Trying"
    RINGING = "Ringing"
    ANSWERED = "Answered"
    CLOSING = "Closing"
    CONFIRMED = "Confirmed"
    LEAVING = "Leaving"
    TERMINATED = "Terminated"


class Input(StrEnum):
    """What moves a call: messages, its own user, and time."""

    # responses to our INVITE, and what stands for one
    PROVISIONAL = "1xx"
    SUCCESS = "2xx"
    AGAIN = "to be sent again"  # a challenge, a redirection, another address
    FAILURE = "300-699"
    TIMEOUT = "no response"
    BROKEN = "transport error"
    # requests of the peer
    ACK = "ACK"
    BYE = "BYE"
    CANCEL = "CANCEL"
    # our user
    WITHDRAW = "withdraw"
    RING = "ring"
    ANSWER = "answer"
    REJECT = "reject"
    HANG_UP = "hang up"
    # time, and the fate of our own requests
    OVERDUE = "no final response in all the time there is"
    ABANDON = "64*T1 since CANCEL"
    NO_ACK = "64*T1 since 2xx"
    LOST = "dialog lost"
    BYE_DONE = "BYE answered or given up"


class EndReason(StrEnum):
    """Why a call is over."""

    HUNG_UP = "hung up"  # our side sent BYE
    REMOTE = "remote hung up"  # the peer sent BYE
    CANCELLED = "cancelled"  # the caller withdrew before an answer, here or there
    REJECTED = "rejected"  # a final response other than 2xx
    FAILED = "failed"  # the INVITE got no answer at all, or could not be sent or answered
    NO_ACK = "not acknowledged"  # our 2xx got no ACK in 64*T1
    LOST = "lost"  # a request in the dialog got 481, 408 or nothing


# What a call is over for, by the input that began its end.
REASONS: dict[Input, EndReason] = {
    Input.FAILURE: EndReason.REJECTED,
    Input.TIMEOUT: EndReason.FAILED,
    Input.BROKEN: EndReason.FAILED,
    Input.OVERDUE: EndReason.FAILED,
    Input.WITHDRAW: EndReason.CANCELLED,
    Input.CANCEL: EndReason.CANCELLED,
    Input.REJECT: EndReason.REJECTED,
    Input.HANG_UP: EndReason.HUNG_UP,
    Input.BYE: EndReason.REMOTE,
    Input.NO_ACK: EndReason.NO_ACK,
    Input.LOST: EndReason.LOST,
}
ENDING = frozenset({State.WITHDRAWN, State.CANCELLING, State.CLOSING, State.LEAVING, State.TERMINATED})


@final
class Call:
    """One call, from its INVITE to its end.

    ``number`` is how the outside names it. ``dialog`` is the one dialog of the session, None before one is made.
    ``body`` and ``content_type`` are the session description that we sent last. ``reason`` is set once, by what began
    its end.

    A caller's call has ``token``, naming the exchange of its INVITE; ``early``, the dialogs that nobody has answered
    in yet, by remote tag; ``left``, the remote tags of those it sent BYE to; ``cancel_headers``; ``overdue_at``, when
    it is given up although it rings, 0.0 while no timer runs for that.

    A callee's call has ``key``, the transaction of its INVITE; ``request``, that INVITE until it is answered; ``tag``,
    its To tag; and ``contact``, our Contact value where the caller reached us.
    """

    __slots__ = (
        "body",
        "cancel_headers",
        "contact",
        "content_type",
        "dialog",
        "early",
        "is_caller",
        "key",
        "left",
        "number",
        "overdue_at",
        "reason",
        "request",
        "state",
        "tag",
        "token",
    )

    def __init__(self, number: int, state: State, *, is_caller: bool) -> None:
        self.number = number
        self.state = state
        self.is_caller = is_caller
        self.dialog: Dialog | None = None
        self.token = 0
        self.early: dict[str, Dialog] = {}
        self.left: set[str] = set()
        self.cancel_headers: list[tuple[str, str]] = []
        self.overdue_at = 0.0
        self.key: ServerKey = ()
        self.request: Request | None = None
        self.tag = ""
        self.contact = ""
        self.body = b""
        self.content_type: str | None = None
        self.reason: EndReason | None = None


@final
class Calls:
    """The calls that live and the dialogs they are in. ``counts()`` must return to zero when all is over."""

    __slots__ = ("_dialogs", "_last", "_live", "_owners")

    def __init__(self) -> None:
        self._last = 0
        self._live: dict[int, Call] = {}
        self._dialogs: dict[DialogId, Dialog] = {}
        self._owners: dict[DialogId, Call] = {}

    def begin(self, state: State, *, is_caller: bool) -> Call:
        """A new call with a number of its own."""
        self._last += 1
        call = Call(self._last, state, is_caller=is_caller)
        self._live[call.number] = call
        return call

    def get(self, number: int) -> Call | None:
        """The living call of that number."""
        return self._live.get(number)

    def end(self, call: Call) -> None:
        """The call is over: it and every dialog it still has leave the tables."""
        self._live.pop(call.number, None)
        self.drop_early(call)
        if call.dialog is not None:
            self.remove(call.dialog)

    def clear(self) -> None:
        """Every call is over, and every dialog."""
        self._live.clear()
        self._dialogs.clear()
        self._owners.clear()

    def drop_early(self, call: Call) -> None:
        """The early dialogs of a caller that nobody answered in (§13.2.2.4) are forgotten."""
        for dialog in call.early.values():
            self.remove(dialog)
        call.early.clear()

    def add(self, dialog: Dialog, call: Call | None) -> None:
        """Remember a dialog. One without a call is a fork that lost: it is only there to be ended."""
        self._dialogs[dialog.id] = dialog
        if call is not None:
            self._owners[dialog.id] = call

    def remove(self, dialog: Dialog) -> None:
        """Forget a dialog; forgetting it twice is no harm."""
        self._dialogs.pop(dialog.id, None)
        self._owners.pop(dialog.id, None)

    def dialog(self, identity: DialogId) -> Dialog | None:
        """The living dialog of that identity."""
        return self._dialogs.get(identity)

    def owner(self, dialog: Dialog) -> Call | None:
        """The call that a dialog belongs to, None for a fork that lost."""
        return self._owners.get(dialog.id)

    def counts(self) -> dict[str, int]:
        """Sizes of the tables, for statistics and leak checks."""
        return {"calls": len(self._live), "dialogs": len(self._dialogs)}
