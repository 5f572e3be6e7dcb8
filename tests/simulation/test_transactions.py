"""Transactions over many seeds of foul weather."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from ringback.testing.simulation import run_seeds

SEEDS = range(100)


def _scenarios() -> dict[str, object]:
    specification = importlib.util.spec_from_file_location("scenarios", Path(__file__).parent / "scenarios.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.SCENARIOS


@pytest.mark.simulation
@pytest.mark.parametrize("name", ["options", "busy"])
def test_every_client_transaction_has_exactly_one_outcome(name: str) -> None:
    run_seeds(SEEDS, _scenarios()[name])
