"""The session that an answered call is (RFC 3261 §13.2.2.4, §15), the same for caller and callee.

Rule 1. No timer ends a session. It ends by a BYE, theirs or ours, and ours is sent when the user hangs up or when
        the dialog is lost: a request in it was answered 481 or 408 or not at all (§12.2.1.2).
Rule 2. Whatever answers our BYE, silence included, the session is over (§15.1.1). Only a challenge is different: the
        UAC core repeats the BYE with credentials and reports it done when that one is answered.
Rule 3. When both sides hang up at once each gets a 200 for its own BYE. Ours is still waited for.
Rule 4. A 2xx from a fork that lost is acknowledged and its dialog ended, in whatever state the call is (§13.2.2.4).

Theory: a state is left only by a row. An input without a row changes nothing; which those are is proved by a test
that crosses all states with all inputs.
"""

from __future__ import annotations

from enum import StrEnum

from ringback.protocol.cores.calls import Input, State


class Action(StrEnum):
    """What a row does besides moving; the cores carry it out."""

    # caller
    REPORT_PROGRESS = "report progress"
    ESTABLISH = "ACK, report answered"
    ESTABLISH_AND_LEAVE = "ACK, BYE"
    RETRY = "send again"
    REPORT_FAILURE = "report failure"
    CANCEL = "CANCEL"
    CANCEL_AND_WAIT = "CANCEL, wait 64*T1"
    WAIT = "wait 64*T1"
    ABANDON = "destroy the transaction, report cancelled"
    DISMISS = "ACK and BYE the fork that lost"
    # callee
    SEND_PROVISIONAL = "send 1xx"
    SEND_SUCCESS = "send 2xx, repeat until ACK"
    SEND_FAILURE = "send 3xx-6xx"
    SEND_CANCELLED = "send 487, report cancelled"
    SEND_ENDED = "send 487, report remote"
    CONFIRM = "report confirmed"
    QUEUE_BYE = "BYE when acknowledged"
    # both
    SEND_BYE = "BYE"
    REPORT_OVER = "report over"


Row = tuple[Action, State]
Table = dict[State, dict[Input, Row]]

SESSION: Table = {
    State.CONFIRMED: {
        Input.HANG_UP: (Action.SEND_BYE, State.LEAVING),  # §15.1.1
        Input.LOST: (Action.SEND_BYE, State.LEAVING),  # §12.2.1.2
        Input.BYE: (Action.REPORT_OVER, State.TERMINATED),  # §15.1.2
        Input.SUCCESS: (Action.DISMISS, State.CONFIRMED),  # §13.2.2.4, another fork
    },
    State.LEAVING: {
        Input.BYE_DONE: (Action.REPORT_OVER, State.TERMINATED),  # §15.1.1
        Input.SUCCESS: (Action.DISMISS, State.LEAVING),  # §13.2.2.4, another fork
    },
    State.TERMINATED: {
        Input.SUCCESS: (Action.DISMISS, State.TERMINATED),  # §13.2.2.4, another fork
    },
}
