"""Transactions alone, over many seeds of foul weather."""

from __future__ import annotations

import pytest

from ringback.testing.simulation import run_seeds
from tests.simulation import scenarios

SEEDS = range(200)


@pytest.mark.simulation
@pytest.mark.row("INV-1", part="one outcome a client transaction, under loss")
@pytest.mark.parametrize("scenario", [scenarios.options, scenarios.busy])
def test_every_client_transaction_has_exactly_one_outcome(scenario: scenarios.Scenario) -> None:
    run_seeds(SEEDS, scenario)
