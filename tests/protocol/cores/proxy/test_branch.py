"""The branch table: every state crossed with every input, and every row reached by real messages elsewhere."""

import pytest

from ringback.protocol.cores.proxy.branch import (
    BRANCH_TABLE,
    PENDING,
    RINGING,
    BranchAction,
    BranchInput,
    BranchState,
)
from ringback.protocol.cores.proxy.context import ResponseContext
from ringback.protocol.cores.proxy.response_context import ACTIONS, ContextMachine

FINAL = {BranchInput.FAILURE, BranchInput.UNREACHABLE, BranchInput.TERMINATED}


def test_every_state_has_its_rows_and_every_action_its_method():
    assert set(BRANCH_TABLE) == set(BranchState)
    assert set(ACTIONS) == set(BranchAction)
    used = {action for rows in BRANCH_TABLE.values() for action, _ in rows.values()}
    assert used == set(BranchAction)


@pytest.mark.parametrize("state", sorted(PENDING - {BranchState.LOCATING}))
def test_every_state_with_a_transaction_hears_all_that_can_end_it(state):
    rows = BRANCH_TABLE[state]
    assert rows[BranchInput.SUCCESS] == (BranchAction.ACCEPT, BranchState.ACCEPTED)
    assert all(rows[what][1] is BranchState.COMPLETED for what in FINAL)


@pytest.mark.parametrize("state", list(BranchState))
@pytest.mark.parametrize("what", list(BranchInput))
def test_no_input_brings_a_branch_back_to_life(state, what):
    row = BRANCH_TABLE[state].get(what)
    if state is BranchState.COMPLETED:
        assert row is None
    elif row is not None and row[1] in RINGING:
        assert state in RINGING
        assert what is not BranchInput.CANCEL


@pytest.mark.row("CAN-3", part="PX")
@pytest.mark.parametrize("state", sorted(RINGING))
def test_cancel_waits_where_no_1xx_has_come(state):
    assert (
        BRANCH_TABLE[state][BranchInput.CANCEL]
        == {
            BranchState.LOCATING: (BranchAction.DROP, BranchState.COMPLETED),
            BranchState.CALLING: (BranchAction.CANCEL, BranchState.WITHDRAWN),
            BranchState.PROCEEDING: (BranchAction.CANCEL, BranchState.CANCELLING),
        }[BranchState(state)]
    )


def test_an_input_that_a_state_does_not_know_is_nothing(exchange):
    x = exchange()
    x.bind(1)
    x.call()
    (one,) = x.legs()
    one.answer(180)
    machine: ContextMachine = x.core._machine
    (branch,) = machine.live.values()
    (context,) = machine.contexts.values()
    assert isinstance(context, ResponseContext)
    machine.apply(branch, BranchInput.GIVE_UP, x.now)
    machine.apply(branch, BranchInput.HOPS, x.now)
    assert branch.state is BranchState.PROCEEDING
    one.answer(486)
    assert branch.state is BranchState.COMPLETED
    assert repr(x.events[-1]) == "ContextDone(INVITE sip:bob@example.test 486)"
