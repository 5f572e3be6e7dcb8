"""Registering, calling, forking, answering, cancelling and hanging up through a server, over many seeds.

Each seed draws who answers, refuses, rings on or gives up, and when; a fifth of all packets is lost, others are late,
doubled or out of order. What must hold is in ``ringback.testing.invariants``, and in the end every table is empty.
"""

from __future__ import annotations

import pytest
import scenarios

from ringback.testing.simulation import run_seeds

CHUNK = 50


def chunks(seeds: int) -> list[range]:
    """So many seeds in parts that several processes can share."""
    return [range(first, first + CHUNK) for first in range(0, seeds, CHUNK)]


@pytest.mark.simulation
@pytest.mark.threat("T13")
@pytest.mark.row("INV-1", part="under loss")
@pytest.mark.row("ACK-5", part="under loss")
@pytest.mark.row("CAN-3", part="under loss")
@pytest.mark.row("CAN-4", part="under loss")
@pytest.mark.row("FRK-1", part="under loss")
@pytest.mark.parametrize("seeds", chunks(2000), ids=str)
def test_a_forked_call_ends_well_for_everyone_under_loss(seeds: range) -> None:
    run_seeds(seeds, scenarios.calls)


@pytest.mark.simulation
@pytest.mark.threat("T13")
@pytest.mark.row("INV-3", part="under loss and partition")
@pytest.mark.row("CAN-9", part="under loss and partition")
@pytest.mark.parametrize("seeds", chunks(400), ids=str)
def test_a_phone_that_is_cut_off_for_a_while_leaves_nothing_behind(seeds: range) -> None:
    run_seeds(seeds, scenarios.cut_off)
