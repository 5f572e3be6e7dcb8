"""Replay one seed of a simulation, with every packet: ``make sim SEED=name:number``.

The name is a scenario of ``tests/simulation/scenarios.py``, the number its seed; a failing run prints both. The number
alone replays that seed of every scenario.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from ringback.testing.simulation import FOUL, SimulationFailed, run_seed

SCENARIOS = Path(__file__).parent.parent / "tests" / "simulation" / "scenarios.py"


def load() -> dict[str, Any]:
    """The scenarios by name."""
    specification = importlib.util.spec_from_file_location("scenarios", SCENARIOS)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    scenarios: dict[str, Any] = module.SCENARIOS
    return scenarios


def chosen(argument: str, scenarios: dict[str, Any]) -> list[tuple[str, int]]:
    """The (scenario, seed) pairs that ``name:number`` or a bare ``number`` means; none if it means nothing."""
    name, colon, number = argument.rpartition(":")
    if not (number.isascii() and number.isdigit()):
        return []
    if not colon:
        return [(each, int(number)) for each in scenarios]
    return [(name, int(number))] if name in scenarios else []


def main(arguments: list[str]) -> int:
    """0 when the seed passes, 1 when it fails, 2 when it cannot be run."""
    scenarios = load()
    pairs = chosen(arguments[0], scenarios) if len(arguments) == 1 else []
    if not pairs:
        print(f"usage: make sim SEED=name:number or SEED=number; names: {', '.join(scenarios)}", file=sys.stderr)
        return 2
    failed = False
    for name, seed in pairs:
        entry = scenarios[name]
        scenario, weather = entry if isinstance(entry, tuple) else (entry, FOUL)
        print(f"--- {name}, seed {seed}")
        try:
            world = run_seed(seed, scenario, weather, show=True)
        except SimulationFailed as failure:
            print(f"{failure}", file=sys.stderr)
            failed = True
        else:
            print(f"seed {seed} of {name} passed: {len(world.trace)} packets, {world.now:.3f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
