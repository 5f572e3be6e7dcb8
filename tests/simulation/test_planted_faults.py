"""The invariants find what they are there for: each of these faults, planted into a sound system, fails some seed soon.

A fault replaces a row of a table or a step of a core, as a slip of the pen might. Beside it stands what the invariants
must say of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from ringback.protocol.cores import registrar
from ringback.protocol.cores.callee import CALLEE
from ringback.protocol.cores.caller import CALLER
from ringback.protocol.cores.calls import Calls, Input, State
from ringback.protocol.cores.proxy import branch as proxy_branch
from ringback.protocol.cores.proxy.branch import BranchAction, BranchInput, BranchState
from ringback.protocol.cores.proxy.response_context import ContextMachine
from ringback.protocol.cores.proxy.target_set import Target
from ringback.protocol.cores.session import Action
from ringback.protocol.cores.uac import UacCore
from ringback.protocol.transaction import machine
from ringback.protocol.transaction.invite_client import TABLE as INVITE_CLIENT
from ringback.protocol.transaction.invite_server import TABLE as INVITE_SERVER
from ringback.protocol.transaction.machine import Input as Event
from ringback.protocol.transaction.machine import State as Phase
from ringback.testing.simulation import FOUL, SimulationFailed, run_seed
from tests.simulation import scenarios

SEEDS = 300
Patch = pytest.MonkeyPatch


def row(table: Any, state: Any, what: Any, *new: Any) -> Callable[[Patch], None]:
    """Replace a row of a table, or take it out."""

    def plant(patch: Patch) -> None:
        if new:
            patch.setitem(table[state], what, new)
        else:
            patch.delitem(table[state], what)

    return plant


def without_acks(patch: Patch) -> None:
    sound = UacCore._route

    def route(self: UacCore, item: Any, now: float) -> None:
        if item.method != "ACK":
            sound(self, item, now)

    patch.setattr(UacCore, "_route", route)


def one_ack_is_enough(patch: Patch) -> None:
    sound = UacCore._success

    def success(self: UacCore, exchange: Any, response: Any, now: float) -> None:
        if (response.to_tag or "") not in exchange.acks:
            sound(self, exchange, response, now)

    patch.setattr(UacCore, "_success", success)


def forgotten_losers(patch: Patch) -> None:
    patch.setattr(ContextMachine, "_close", lambda self, context, reason, now: context.targets.waiting.clear())


def second_answer_kept_back(patch: Patch) -> None:
    patch.delitem(proxy_branch.BRANCH_TABLE[BranchState.CANCELLING], BranchInput.SUCCESS)


def extra_answers_left_up(patch: Patch) -> None:
    patch.setattr(UacCore, "_dismiss", lambda self, dialog, now: self._calls.remove(dialog))


def dialogs_left_behind(patch: Patch) -> None:
    patch.setattr(Calls, "drop_early", lambda self, call: call.early.clear())


def bindings_shorter_than_told(patch: Patch) -> None:
    sound = registrar.process

    def process(*arguments: Any, **named: Any) -> Any:
        outcome = sound(*arguments, **named)
        for change in outcome.changes:
            change.binding.expires_at -= 30
        return outcome

    patch.setattr(registrar, "process", process)


def q_upside_down(patch: Patch) -> None:
    sound = Target.__init__

    def made(self: Target, *args: Any, **settings: Any) -> None:
        sound(self, *args, **settings)
        self.q = 1.0 - self.q

    patch.setattr(Target, "__init__", made)


FAULTS: dict[str, tuple[Callable[[Patch], None], str]] = {
    "no ACK to a 2xx": (without_acks, "ACKs were sent"),
    "a repeated 2xx is not acknowledged again": (one_ack_is_enough, "ACKs were sent"),
    "a refusal that comes again is not acknowledged again": (
        row(INVITE_CLIENT, Phase.COMPLETED, Event.FAILURE, machine.ignore, Phase.COMPLETED, ""),
        "ACKs instead of",
    ),
    "a server transaction does not know a CANCEL": (
        row(INVITE_SERVER, Phase.PROCEEDING, Event.CANCEL, machine.ignore, Phase.PROCEEDING, ""),
        "left ringing",
    ),
    "CANCEL before a provisional response": (
        row(
            INVITE_CLIENT,
            Phase.CALLING,
            Event.CANCEL,
            INVITE_CLIENT[Phase.PROCEEDING][Event.CANCEL][0],
            Phase.CALLING,
            "",
        ),
        "no provisional response came|too early",
    ),
    "losers are not cancelled": (forgotten_losers, "left ringing"),
    "a 2xx that crosses CANCEL is not forwarded": (second_answer_kept_back, "kept for itself"),
    "a second 2xx is not ended by BYE": (extra_answers_left_up, "neither taken up by"),
    "a withdrawn call that is answered is not hung up": (
        row(CALLER, State.CANCELLING, Input.SUCCESS, Action.ESTABLISH, State.CONFIRMED),
        "over because",
    ),
    "no BYE when no ACK came": (
        row(CALLEE, State.ANSWERED, Input.NO_ACK, Action.REPORT_OVER, State.TERMINATED),
        "no ACK .* sent no BYE",
    ),
    "BYE before the ACK": (
        row(CALLEE, State.ANSWERED, Input.HANG_UP, Action.SEND_BYE, State.LEAVING),
        "before the ACK",
    ),
    "CANCEL does not stop the ringing": (row(CALLEE, State.RINGING, Input.CANCEL), "long after"),
    "BYE does not end the call": (row(CALLER, State.CONFIRMED, Input.BYE), "from when BYE came"),
    "a branch that is cancelled is forgotten": (
        row(
            proxy_branch.BRANCH_TABLE,
            BranchState.CANCELLING,
            BranchInput.GIVE_UP,
            BranchAction.NOTHING,
            BranchState.CANCELLING,
        ),
        "not quiet",
    ),
    "early dialogs are never forgotten": (dialogs_left_behind, "not quiet"),
    "bindings end sooner than was told": (bindings_shorter_than_told, "told"),
    "the lowest q rings first": (q_upside_down, "before .* was over"),
}


@pytest.mark.simulation
@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, said = FAULTS[name]
    plant(monkeypatch)
    for seed in range(SEEDS):
        try:
            run_seed(seed, scenarios.office, FOUL)
        except SimulationFailed as failure:
            first = str(failure).partition("\n")[0]
            assert re.search(said, first), first
            print(f"{name}: found at seed {seed}: {first}")
            return
    raise AssertionError(f"{SEEDS} seeds did not find: {name}")
