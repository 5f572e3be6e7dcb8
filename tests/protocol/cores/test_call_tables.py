"""The tables of a call, crossed with every input, and reached row by row by real messages."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ringback.protocol.cores.callee import CALLEE
from ringback.protocol.cores.caller import CALLER
from ringback.protocol.cores.calls import ENDING, REASONS, Input, State
from ringback.protocol.cores.capabilities import Capabilities
from ringback.protocol.cores.session import SESSION, Action, Row
from tests.protocol.cores import test_uac_calls, test_uac_requests, test_uas_calls
from tests.protocol.cores.bench import BOB, Bench

Reached = set[tuple[State, Input]]

CALLER_STATES = {State.CALLING, State.PROCEEDING, State.WITHDRAWN, State.CANCELLING}
CALLEE_STATES = {State.TRYING, State.RINGING, State.ANSWERED, State.CLOSING}
SESSION_STATES = {State.CONFIRMED, State.LEAVING, State.TERMINATED}

# Pairs that come about and change nothing, with the reason. A pair that is neither here nor in a row never comes about
# in the whole of the scenarios; those that only the user's own verbs could bring are refused before they get here.
IGNORED = {
    (State.WITHDRAWN, Input.WITHDRAW): "withdrawn already",
    (State.CANCELLING, Input.WITHDRAW): "withdrawn already",
    (State.CANCELLING, Input.PROVISIONAL): "it still rings there",
    (State.WITHDRAWN, Input.HANG_UP): "withdrawn already",
    (State.CANCELLING, Input.HANG_UP): "withdrawn already",
    (State.CONFIRMED, Input.WITHDRAW): "answered: CANCEL comes too late",
    (State.CONFIRMED, Input.ABANDON): "a deadline of before the answer",
    (State.CONFIRMED, Input.OVERDUE): "a deadline of before the answer",
    (State.LEAVING, Input.ABANDON): "a deadline of before the answer",
    (State.LEAVING, Input.WITHDRAW): "BYE is out",
    (State.LEAVING, Input.HANG_UP): "BYE is out",
    (State.LEAVING, Input.BYE): "both hung up; ours is still to be answered",
    (State.LEAVING, Input.LOST): "BYE is out",
    (State.CLOSING, Input.HANG_UP): "BYE is queued",
    (State.CLOSING, Input.LOST): "BYE is queued",
    (State.ANSWERED, Input.LOST): "the ACK decides",
    (State.TERMINATED, Input.LOST): "over already",
    (State.TERMINATED, Input.TIMEOUT): "over already",
    (State.TERMINATED, Input.BROKEN): "over already",
}


class Rows(dict[Input, Row]):
    """The rows of a state that note which of them are gone through, and what is asked for in vain."""

    def __init__(self, state: State, rows: dict[Input, Row], reached: Reached, missed: Reached) -> None:
        super().__init__(rows)
        self._state = state
        self._reached = reached
        self._missed = missed

    def get(self, what: Input, default: object = None) -> object:
        row = super().get(what)
        (self._missed if row is None else self._reached).add((self._state, what))
        return row


@contextmanager
def recorded(table: dict[State, dict[Input, Row]], reached: Reached, missed: Reached) -> Iterator[None]:
    originals = dict(table)
    table.update({state: Rows(state, rows, reached, missed) for state, rows in originals.items()})
    try:
        yield
    finally:
        table.update(originals)


def play_everything() -> tuple[Reached, Reached, Reached]:
    """Every scenario of the call tests that needs only a bench, and some: rows of both tables reached, pairs missed."""
    caller: Reached = set()
    callee: Reached = set()
    missed: Reached = set()
    with recorded(CALLER, caller, missed), recorded(CALLEE, callee, missed):
        for module in (test_uac_calls, test_uac_requests, test_uas_calls):
            for name, scenario in vars(module).items():
                wanted = set(inspect.signature(scenario).parameters) if name.startswith("test_") else {"none"}
                if wanted == {"bench"}:
                    scenario(Bench())
                elif wanted == {"bench", "bob"}:
                    bench = Bench()
                    scenario(bench, bench.phone("bob", BOB, can=Capabilities(methods=["INFO"])))
        test_uac_calls.test_cancel_is_dropped_when_a_final_response_comes_first(Bench(), 401)
        test_uac_calls.test_cancel_is_dropped_when_a_final_response_comes_first(Bench(), 487)
        challenge = ("WWW_Authenticate", "authorization")
        test_uac_calls.test_a_challenged_invite_is_repeated_with_credentials(Bench(), 401, *challenge)
        for turn in (True, False):
            test_uac_calls.test_a_2xx_that_crosses_the_withdrawal_is_acknowledged_and_ended(Bench(), turn)
            test_uac_calls.test_whatever_ends_a_cancelled_invite_the_call_is_cancelled(Bench(), turn)
            for scenario in (
                test_uas_calls.test_a_cancel_before_the_answer_gets_200_and_the_invite_487,
                test_uas_calls.test_a_bye_before_the_ack_ends_the_call_and_the_repetition,
            ):
                bench = Bench()
                scenario(bench, bench.phone("bob", BOB), turn)
    return caller, callee, missed


def rows_of(table: dict[State, dict[Input, Row]]) -> Reached:
    return {(state, what) for state, rows in table.items() for what in rows}


def test_every_row_is_reached_by_real_messages() -> None:
    caller, callee, missed = play_everything()
    session = rows_of(SESSION)
    assert rows_of(CALLER) - caller == set()
    assert rows_of(CALLEE) - session - callee == set()
    assert missed - set(IGNORED) == set()


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
