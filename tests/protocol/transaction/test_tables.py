"""The tables: whole, consistent, every state crossed with every input, every row reached by real messages."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from ringback.errors import LocalProtocolError
from ringback.protocol.message.build import build_response
from ringback.protocol.timer_queue import TimerQueue
from ringback.protocol.transaction.events import SendMessage
from ringback.protocol.transaction.invite_client import InviteClient
from ringback.protocol.transaction.invite_server import InviteServer
from ringback.protocol.transaction.layer import Timings
from ringback.protocol.transaction.machine import (
    ClientTransaction,
    Input,
    Outlet,
    ServerTransaction,
    State,
    Transaction,
    ignore,
    never,
    stale,
)
from ringback.protocol.transaction.non_invite_client import NonInviteClient
from ringback.protocol.transaction.non_invite_server import NonInviteServer
from tests.protocol.transaction import (
    test_invite_client,
    test_invite_server,
    test_layer,
    test_non_invite_client,
    test_non_invite_server,
)
from tests.protocol.transaction.rig import MACHINES, Reached, Rig, recorded

CLASSES: dict[str, type[ClientTransaction | ServerTransaction]] = {
    "invite client": InviteClient,
    "non-INVITE client": NonInviteClient,
    "invite server": InviteServer,
    "non-INVITE server": NonInviteServer,
}
PAIRS = [
    (name, state, event) for name, module in MACHINES.items() for state in module.STATES for event in module.INPUTS
]


# The arrows of RFC 6026 figures 5 and 7 and of RFC 3261 figures 6 and 8, with what RFC 4320 and our users add:
# state, input, next state. Everything else that happens leaves the state as it is.
ARROWS = {
    "invite client": """
        Calling     1xx                 Proceeding
        Calling     2xx                 Accepted
        Calling     300-699             Completed
        Calling     Timer B             Terminated
        Calling     transport error     Terminated
        Calling     abandon             Terminated
        Proceeding  2xx                 Accepted
        Proceeding  300-699             Completed
        Proceeding  abandon             Terminated
        Completed   Timer D             Terminated
        Completed   transport error     Terminated
        Completed   abandon             Terminated
        Accepted    Timer M             Terminated
        Accepted    abandon             Terminated
    """,
    "non-INVITE client": """
        Trying      1xx                 Proceeding
        Trying      200-699             Completed
        Trying      Timer F             Terminated
        Trying      transport error     Terminated
        Trying      abandon             Terminated
        Proceeding  200-699             Completed
        Proceeding  Timer F             Terminated
        Proceeding  transport error     Terminated
        Proceeding  abandon             Terminated
        Completed   Timer K             Terminated
        Completed   abandon             Terminated
    """,
    "invite server": """
        Proceeding  2xx                 Accepted
        Proceeding  300-699             Completed
        Proceeding  abandon             Terminated
        Completed   ACK                 Confirmed
        Completed   Timer H             Terminated
        Completed   abandon             Terminated
        Confirmed   Timer I             Terminated
        Confirmed   abandon             Terminated
        Accepted    Timer L             Terminated
        Accepted    abandon             Terminated
    """,
    "non-INVITE server": """
        Trying      100 is due          Proceeding
        Trying      200-699             Completed
        Trying      408                 Completed
        Trying      abandon             Terminated
        Proceeding  200-699             Completed
        Proceeding  408                 Completed
        Proceeding  too late to answer  Terminated
        Proceeding  abandon             Terminated
        Completed   Timer J             Terminated
        Completed   abandon             Terminated
    """,
}


def in_state(name: str, state: State) -> Transaction:
    """A transaction that stands in ``state`` with what it would hold there."""
    rig = Rig()
    kind = CLASSES[name]
    method = "INVITE" if name.startswith("invite") else "INFO"
    transaction: Transaction
    if issubclass(kind, ClientTransaction):
        transaction = kind(("z9hG4bKo", method), rig.ours(method), rig.flow, "user")
    else:
        assert issubclass(kind, ServerTransaction)
        transaction = kind(("z9hG4bKa", "192.0.2.2:5060", method), rig.request(method), rig.flow, "user", None)
    transaction.state = state
    transaction.interval = 0.5
    return transaction


def value_for(transaction: Transaction, event: Input) -> Any:
    """What comes with ``event``: a response, a request, headers, a text or nothing."""
    rig = Rig()
    status = {"1xx": 180, "2xx": 200, "300-699": 486, "200-699": 404, "408": 408}.get(event)
    if status is not None:
        return build_response(rig.request("INVITE"), status, to_tag="t")
    if event is Input.CANCEL and not transaction.is_server:
        return ()
    if event in (Input.REQUEST, Input.ACK, Input.CANCEL):
        return rig.request("CANCEL" if event is Input.CANCEL else "INVITE")
    return "no route" if event is Input.TRANSPORT_ERROR else None


@pytest.mark.row("TRN-1", part="tables")
@pytest.mark.parametrize("name", MACHINES)
def test_a_table_has_a_row_for_every_state_and_input_and_a_clause_on_each(name: str) -> None:
    module = MACHINES[name]
    assert set(module.TABLE) == set(module.STATES)
    for state, rows in module.TABLE.items():
        assert set(rows) == set(module.INPUTS), state
        for event, (action, following, clause) in rows.items():
            assert following in module.STATES
            assert clause, (state, event)
            if action in (ignore, stale, never):
                assert following is state, (state, event)
            if action in (stale, never) and state is not State.TERMINATED:
                assert event.startswith("Timer") or event in (Input.TIMER_TRYING, Input.TIMER_LIFETIME)


@pytest.mark.row("TRN-1", part="tables")
@pytest.mark.rfc("6026 figures 5, 7")
@pytest.mark.rfc("3261 figures 6, 8")
@pytest.mark.parametrize("name", MACHINES)
def test_the_arrows_of_a_table_are_those_of_the_rfcs_figure(name: str) -> None:
    drawn = {" ".join(line.split()) for line in ARROWS[name].strip().splitlines()}
    found = {
        f"{state} {event} {following}"
        for state, rows in MACHINES[name].TABLE.items()
        for event, (_, following, _) in rows.items()
        if following is not state
    }
    assert found == drawn


@pytest.mark.row("TRN-1", part="tables")
@pytest.mark.parametrize(("name", "state", "event"), PAIRS)
def test_every_state_crossed_with_every_input_does_what_its_row_says(name: str, state: State, event: Input) -> None:
    transaction = in_state(name, state)
    outlet = Outlet(TimerQueue(), Timings())
    action, following, _ = MACHINES[name].TABLE[state][event]
    value = value_for(transaction, event)
    if action.__name__ == "_refuse":
        with pytest.raises(LocalProtocolError):
            transaction.step(event, outlet, value, transaction.flow, 0.0)
    else:
        transaction.step(event, outlet, value, transaction.flow, 0.0)
    assert transaction.state is following
    if action in (ignore, stale, never) or action.__name__ == "_refuse":
        assert outlet.events == []
        assert outlet.born == []
        assert len(outlet.timers) == 0
    if following is State.TERMINATED and state is not State.TERMINATED:
        assert type(outlet.events[-1]).__name__ == "TransactionTerminated"
        assert transaction.request is None
        assert transaction.data is None
    if following in (State.COMPLETED, State.ACCEPTED) and state not in (following, State.CONFIRMED):
        assert transaction.request is None
    # Nothing is said twice, and nothing goes out but by the transaction's own flow.
    assert len(outlet.events) <= 2
    assert all(event.flow is transaction.flow for event in outlet.events if isinstance(event, SendMessage))


def test_a_kind_of_transaction_has_to_say_how_it_starts_and_what_a_status_means() -> None:
    bare = Transaction()
    with pytest.raises(NotImplementedError):
        bare.start(Outlet(TimerQueue(), Timings()), 0.0)
    with pytest.raises(NotImplementedError):
        bare.input_of(200)


@pytest.mark.row("TRN-1", part="tables")
def test_the_messages_of_these_tests_reach_every_row_and_none_that_cannot_come_about() -> None:
    reached: Reached = set()
    cannot = {
        (name, state, event)
        for name, module in MACHINES.items()
        for state, rows in module.TABLE.items()
        for event, row in rows.items()
        if row[0] is never
    }
    with recorded(reached):
        for module in (
            test_invite_client,
            test_non_invite_client,
            test_invite_server,
            test_non_invite_server,
            test_layer,
        ):
            for test in vars(module).values():
                if inspect.isfunction(test) and test.__name__.startswith("test_"):
                    for arguments in examples(test):
                        test(**arguments)
    unreached = set(PAIRS) - reached - cannot
    assert not unreached, sorted(unreached)
    assert not reached & cannot, sorted(reached & cannot)


def examples(test: Any) -> list[dict[str, Any]]:
    """The arguments pytest would call ``test`` with, a fresh rig included."""
    rows: list[dict[str, Any]] = [{}]
    for mark in getattr(test, "pytestmark", []):
        if mark.name == "parametrize":
            names, values = mark.args
            names = (names,) if isinstance(names, str) else names
            values = [(value,) if len(names) == 1 else value for value in values]
            rows = [{**row, **dict(zip(names, value, strict=True))} for row in rows for value in values]
    wants_rig = "rig" in inspect.signature(test).parameters
    return [{**row, "rig": Rig()} if wants_rig else row for row in rows]
