"""Replay one seed of a simulation, with every packet: ``make sim SEED=name:number``.

The name is a scenario of ``tests/simulation/scenarios.py``, the number its seed; a failing run prints both.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from ringback.testing.simulation import FOUL, SimulationFailed, run_seed

SCENARIOS = Path(__file__).parent.parent / "tests" / "simulation" / "scenarios.py"


def load() -> dict[str, object]:
    """The scenarios by name."""
    specification = importlib.util.spec_from_file_location("scenarios", SCENARIOS)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    scenarios: dict[str, object] = module.SCENARIOS
    return scenarios


def main(arguments: list[str]) -> int:
    """0 when the seed passes, 1 when it fails, 2 when it cannot be run."""
    scenarios = load()
    name, colon, number = arguments[0].partition(":") if len(arguments) == 1 else ("", "", "")
    if name not in scenarios or not colon or not number.isdigit():
        print(f"usage: make sim SEED=name:number; names: {', '.join(sorted(scenarios))}", file=sys.stderr)
        return 2
    entry = scenarios[name]
    scenario, weather = entry if isinstance(entry, tuple) else (entry, FOUL)
    try:
        world = run_seed(int(number), scenario, weather, show=True)
    except SimulationFailed as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    print(f"\nseed {number} of {name} passed: {len(world.trace)} packets, {world.now:.3f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
