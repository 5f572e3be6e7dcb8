"""A call that we make, until it is answered (RFC 3261 §9.1, §13.2; RFC 6026).

Rule 1. Every call has exactly one outcome: answered, refused, failed or cancelled.
Rule 2. A user who withdraws is rid of the call at once; the machine is not. It stays until the far end has been told:
        CANCEL goes out after the first provisional response and not before (the transaction layer keeps it back),
        and a 2xx that crosses it is acknowledged and ended by BYE (§9.1, §15).
Rule 3. An INVITE transaction that has heard a 1xx has no timer of its own. So a call that rings is withdrawn by itself
        when nothing more has come for longer than any proxy lets it ring (Timer C, §16.6 step 11): the final response
        is lost for good. And 64*T1 after CANCEL went out the transaction is destroyed (§9.1).
Rule 4. What can be sent again, after a challenge, a redirection or to another address, has no outcome yet, unless the
        user has withdrawn: then any will do.
Rule 5. A BYE in an early dialog, ours or theirs, ends that dialog only: other forks live on, and a final response to
        the INVITE comes all the same. It is no input here.

Theory: Withdrawn and Cancelling differ in one thing only, whether a provisional response has been heard, because that
is when CANCEL leaves and the 64*T1 begin. Until then Timer B bounds the wait; after a 1xx there is no time-out.
"""

from __future__ import annotations

from ringback.protocol.cores.calls import Input, State
from ringback.protocol.cores.session import SESSION, Action, Table

CALLER: Table = {
    State.CALLING: {
        Input.PROVISIONAL: (Action.REPORT_PROGRESS, State.PROCEEDING),  # §13.2.2.1
        Input.SUCCESS: (Action.ESTABLISH, State.CONFIRMED),  # §13.2.2.4
        Input.AGAIN: (Action.RETRY, State.CALLING),  # §8.1.3.4, §8.1.3.5, §22.2, RFC 3263 §4.3
        Input.FAILURE: (Action.REPORT_FAILURE, State.TERMINATED),  # §13.2.2.2, §13.2.2.3
        Input.TIMEOUT: (Action.REPORT_FAILURE, State.TERMINATED),  # §8.1.3.1, as 408
        Input.BROKEN: (Action.REPORT_FAILURE, State.TERMINATED),  # §8.1.3.1, as 503
        Input.WITHDRAW: (Action.CANCEL, State.WITHDRAWN),  # §9.1, kept back until a 1xx
    },
    State.PROCEEDING: {
        Input.PROVISIONAL: (Action.REPORT_PROGRESS, State.PROCEEDING),  # §13.2.2.1
        Input.SUCCESS: (Action.ESTABLISH, State.CONFIRMED),  # §13.2.2.4
        Input.AGAIN: (Action.RETRY, State.CALLING),  # §8.1.3.5: a new transaction, nothing heard in it yet
        Input.FAILURE: (Action.REPORT_FAILURE, State.TERMINATED),  # §13.2.2.2, §13.2.2.3
        Input.BROKEN: (Action.REPORT_FAILURE, State.TERMINATED),  # §8.1.3.1, as 503
        Input.WITHDRAW: (Action.CANCEL_AND_WAIT, State.CANCELLING),  # §9.1
        Input.OVERDUE: (Action.CANCEL_AND_WAIT, State.CANCELLING),  # §9.1, as a proxy does after Timer C (§16.8)
    },
    State.WITHDRAWN: {
        Input.PROVISIONAL: (Action.WAIT, State.CANCELLING),  # §9.1: the layer's CANCEL leaves now
        Input.SUCCESS: (Action.ESTABLISH_AND_LEAVE, State.LEAVING),  # §9.1: ACK, then BYE
        Input.FAILURE: (Action.REPORT_FAILURE, State.TERMINATED),  # §13.2.2.2, §13.2.2.3
        Input.TIMEOUT: (Action.REPORT_FAILURE, State.TERMINATED),  # §8.1.3.1, as 408
        Input.BROKEN: (Action.REPORT_FAILURE, State.TERMINATED),  # §8.1.3.1, as 503
    },
    State.CANCELLING: {
        Input.SUCCESS: (Action.ESTABLISH_AND_LEAVE, State.LEAVING),  # §9.1, §13.2.2.4: ACK, then BYE
        Input.FAILURE: (Action.REPORT_FAILURE, State.TERMINATED),  # §9.2: 487, as a rule
        Input.BROKEN: (Action.REPORT_FAILURE, State.TERMINATED),  # §8.1.3.1, as 503
        Input.ABANDON: (Action.ABANDON, State.TERMINATED),  # §9.1, 64*T1 after CANCEL
    },
    **SESSION,
}
