"""Registering, calling, forking, answering, cancelling and hanging up through a server, over many seeds.

What a seed decides is in ``office.Plan``, what must hold in ``invariants``. A failing seed prints its number, its plan
and the command that draws it as a ladder.
"""

from __future__ import annotations

import pytest

from ringback.testing.simulation import FAIR, FOUL, run_seeds
from tests.simulation import scenarios

CHUNK = 50


def chunks(seeds: int) -> list[range]:
    """So many seeds in parts that several processes can share."""
    return [range(first, first + CHUNK) for first in range(0, seeds, CHUNK)]


@pytest.mark.simulation
@pytest.mark.threat("T7")
@pytest.mark.threat("T13")
@pytest.mark.row("INV-1", part="under loss")
@pytest.mark.row("INV-3", part="under loss")
@pytest.mark.row("INV-7", part="under loss")
@pytest.mark.row("ACK-5", part="under loss")
@pytest.mark.row("BYE-3", part="under loss")
@pytest.mark.row("BYE-4", part="under loss")
@pytest.mark.row("BYE-6", part="under loss")
@pytest.mark.row("CAN-3", part="under loss")
@pytest.mark.row("CAN-4", part="under loss")
@pytest.mark.row("CAN-6", part="under loss")
@pytest.mark.row("CAN-7", part="under loss")
@pytest.mark.row("CAN-9", part="under loss")
@pytest.mark.row("FRK-1", part="under loss")
@pytest.mark.row("FRK-2", part="under loss")
@pytest.mark.row("REG-3", part="under loss")
@pytest.mark.row("REG-5", part="under loss")
@pytest.mark.parametrize("seeds", chunks(3000), ids=str)
def test_a_house_under_twenty_percent_loss_keeps_every_promise(seeds: range) -> None:
    run_seeds(seeds, scenarios.office, FOUL)


@pytest.mark.simulation
@pytest.mark.threat("T13")
@pytest.mark.row("CAN-9", part="every order of CANCEL and 200")
@pytest.mark.row("BYE-3", part="every order of two BYEs")
@pytest.mark.row("INV-7", part="every order of two 200s")
@pytest.mark.parametrize("seeds", chunks(1000), ids=str)
def test_messages_that_cross_each_other_do_no_harm(seeds: range) -> None:
    run_seeds(seeds, scenarios.races, FAIR)
