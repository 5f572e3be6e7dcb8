"""Replay one seed of a simulation and draw it, a ladder for each Call-ID: ``make sim SEED=name:number``.

The name is a scenario of ``tests/simulation/scenarios.py``, the number its seed; a failing run prints both. The number
alone replays that seed of every scenario. Times are those of the simulated world, which begins at midnight; a packet
that did not arrive bears what befell it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from datetime import UTC
from pathlib import Path
from typing import Any

from ringback.callflow.correlate import CallFlow, summarise
from ringback.callflow.record import Packet
from ringback.callflow.text import draw
from ringback.protocol.routing.flow import format_address
from ringback.testing import network
from ringback.testing.simulation import SimulationFailed, run_seed

ROOT = Path(__file__).parent.parent


def load() -> Any:
    """The module that has the scenarios by name, and names for their addresses."""
    sys.path.insert(0, str(ROOT))
    return importlib.import_module("tests.simulation.scenarios")


def flows(trace: Iterable[network.Packet]) -> list[CallFlow]:
    """The packets of a simulated network by Call-ID, each labelled with what befell it."""
    found: dict[str, CallFlow] = {}
    for packet in trace:
        summary = summarise(packet.data)
        notes = [
            note for note, applies in ((packet.fate, packet.fate != "delivered"), ("copy", packet.copy)) if applies
        ]
        if notes:
            summary.label += f" ({', '.join(notes)})"
        ends = format_address(packet.source), format_address(packet.destination)
        flow = found.setdefault(summary.call_id, CallFlow(summary.call_id))
        flow.add(Packet(packet.sent_at, *ends, packet.data), summary)
    return list(found.values())


def show(trace: Iterable[network.Packet], names: dict[str, str]) -> None:
    """Draw every call flow, columns in the order of the names."""
    for flow in flows(trace):
        order = list(names)
        flow.participants.sort(key=lambda end: order.index(end) if end in names else len(order))
        print(f"Call-ID {flow.call_id}: {flow.state}\n")
        print(draw(flow, aliases=names, timezone=UTC))


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
    module = load()
    scenarios = module.SCENARIOS
    pairs = chosen(arguments[0], scenarios) if len(arguments) == 1 else []
    if not pairs:
        print(f"usage: make sim SEED=name:number or SEED=number; names: {', '.join(scenarios)}", file=sys.stderr)
        return 2
    failed = False
    for name, seed in pairs:
        scenario, weather = scenarios[name]
        print(f"--- {name}, seed {seed}")
        try:
            world = run_seed(seed, scenario, weather)
        except SimulationFailed as failure:
            show(failure.packets, module.NAMES)
            verdict = str(failure).partition("\nreplay:")[0]
            print("\n".join([verdict, *getattr(failure.__cause__, "__notes__", ())]), file=sys.stderr)
            failed = True
        else:
            show(world.trace, module.NAMES)
            print(f"seed {seed} of {name} passed: {len(world.trace)} packets, {world.now:.3f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
