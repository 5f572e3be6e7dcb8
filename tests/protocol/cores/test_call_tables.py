"""The tables of a call, crossed with every input, and reached row by row by real messages."""

from __future__ import annotations

import pytest

from ringback.protocol.cores.callee import CALLEE
from ringback.protocol.cores.caller import CALLER
from ringback.protocol.cores.calls import ENDING, REASONS, Input, State
from ringback.protocol.cores.session import SESSION, Action

CALLER_STATES = {State.CALLING, State.PROCEEDING, State.WITHDRAWN, State.CANCELLING}
CALLEE_STATES = {State.TRYING, State.RINGING, State.ANSWERED, State.CLOSING}
SESSION_STATES = {State.CONFIRMED, State.LEAVING, State.TERMINATED}

# What may come in a state and changes nothing, with the reason; every other pair without a row cannot come about.
IGNORED = {
    (State.WITHDRAWN, Input.WITHDRAW): "withdrawn already",
    (State.CANCELLING, Input.WITHDRAW): "withdrawn already",
    (State.CANCELLING, Input.PROVISIONAL): "it still rings there",
    (State.WITHDRAWN, Input.HANG_UP): "withdrawn already",
    (State.CANCELLING, Input.HANG_UP): "withdrawn already",
    (State.CONFIRMED, Input.WITHDRAW): "answered: CANCEL comes too late",
    (State.LEAVING, Input.WITHDRAW): "BYE is out",
    (State.LEAVING, Input.HANG_UP): "BYE is out",
    (State.LEAVING, Input.BYE): "both hung up; ours is still to be answered",
    (State.LEAVING, Input.LOST): "BYE is out",
    (State.CLOSING, Input.HANG_UP): "BYE is queued",
    (State.CONFIRMED, Input.ABANDON): "a deadline of before the answer",
}


def test_the_tables_cover_their_states_and_no_others() -> None:
    assert set(SESSION) == SESSION_STATES
    assert set(CALLER) == CALLER_STATES | SESSION_STATES
    assert set(CALLEE) == CALLEE_STATES | SESSION_STATES


@pytest.mark.parametrize("table", [CALLER, CALLEE], ids=["caller", "callee"])
def test_every_row_leads_to_a_state_of_its_table(table: object) -> None:
    for rows in table.values():
        for action, following in rows.values():
            assert following in table
            assert action is None or isinstance(action, Action)


@pytest.mark.parametrize("table", [CALLER, CALLEE], ids=["caller", "callee"])
def test_what_begins_to_end_never_comes_back(table: object) -> None:
    for state in ENDING & set(table):
        assert {following for _, following in table[state].values()} <= ENDING


@pytest.mark.parametrize("table", [CALLER, CALLEE], ids=["caller", "callee"])
def test_whatever_begins_the_end_of_a_call_has_a_reason(table: object) -> None:
    for state, rows in table.items():
        for what, (_, following) in rows.items():
            if following in ENDING and state not in ENDING:
                assert what in REASONS, (state, what)


def test_every_state_can_be_left_but_the_last() -> None:
    for table in (CALLER, CALLEE):
        for state, rows in table.items():
            if state is not State.TERMINATED:
                assert any(following is not state for _, following in rows.values())


def test_what_is_ignored_has_no_row() -> None:
    for state, what in IGNORED:
        for table in (CALLER, CALLEE):
            assert what not in table.get(state, {})


def test_every_action_is_used() -> None:
    used = {action for table in (CALLER, CALLEE) for rows in table.values() for action, _ in rows.values()}
    assert used == set(Action)


@pytest.mark.row("CAN-7", part="UAS")
def test_a_cancel_has_an_effect_only_before_the_final_response() -> None:
    assert [state for state, rows in CALLEE.items() if Input.CANCEL in rows] == [State.TRYING, State.RINGING]


@pytest.mark.row("BYE-6")
def test_the_callee_sends_no_bye_before_the_ack_or_its_time_out() -> None:
    for state in CALLEE_STATES:
        for what, (action, _) in CALLEE[state].items():
            assert action is not Action.SEND_BYE or what in (Input.ACK, Input.NO_ACK)
