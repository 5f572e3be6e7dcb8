"""A call that we get, until its 2xx is acknowledged (RFC 3261 §9.2, §13.3, §15; RFC 6026).

Rule 1. The user's first final answer decides. Whatever comes from the caller after it (CANCEL above all) is too late.
Rule 2. A 2xx is repeated until its ACK arrives, by the core and over every transport; after 64*T1 without one the
        session is ended with BYE (§13.3.1.4).
Rule 3. The callee may not send BYE before the ACK for its 2xx has come or can come no more (§15): hanging up in
        between is remembered (Closing) and done then.
Rule 4. A BYE in the early dialog, or before the ACK, ends the call like any other; an INVITE still open gets 487.

Theory: after the ACK the call is a session like any other, and ``session.py`` goes on with it.
"""

from __future__ import annotations

from ringback.protocol.cores.calls import Input, State
from ringback.protocol.cores.session import SESSION, Action, Table

CALLEE: Table = {
    State.TRYING: {
        Input.RING: (Action.SEND_PROVISIONAL, State.RINGING),  # §13.3.1.1
        Input.ANSWER: (Action.SEND_SUCCESS, State.ANSWERED),  # §13.3.1.4
        Input.REJECT: (Action.SEND_FAILURE, State.TERMINATED),  # §13.3.1.3
        Input.CANCEL: (Action.SEND_CANCELLED, State.TERMINATED),  # §9.2
        Input.BROKEN: (Action.REPORT_OVER, State.TERMINATED),  # §17.2.4: the transaction is gone
    },
    State.RINGING: {
        Input.RING: (Action.SEND_PROVISIONAL, State.RINGING),  # §13.3.1.1
        Input.ANSWER: (Action.SEND_SUCCESS, State.ANSWERED),  # §13.3.1.4
        Input.REJECT: (Action.SEND_FAILURE, State.TERMINATED),  # §13.3.1.3
        Input.CANCEL: (Action.SEND_CANCELLED, State.TERMINATED),  # §9.2
        Input.BYE: (Action.SEND_ENDED, State.TERMINATED),  # §15.1.2
        Input.BROKEN: (Action.REPORT_OVER, State.TERMINATED),  # §17.2.4: the transaction is gone
    },
    State.ANSWERED: {
        Input.ACK: (Action.CONFIRM, State.CONFIRMED),  # §13.3.1.4
        Input.NO_ACK: (Action.SEND_BYE, State.LEAVING),  # §13.3.1.4
        Input.HANG_UP: (Action.QUEUE_BYE, State.CLOSING),  # §15: not before the ACK
        Input.BYE: (Action.REPORT_OVER, State.TERMINATED),  # §15.1.2
    },
    State.CLOSING: {
        Input.ACK: (Action.SEND_BYE, State.LEAVING),  # §15
        Input.NO_ACK: (Action.SEND_BYE, State.LEAVING),  # §13.3.1.4, §15
        Input.BYE: (Action.REPORT_OVER, State.TERMINATED),  # §15.1.2
    },
    **SESSION,
}
