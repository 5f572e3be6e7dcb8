"""What tests of SIP need: a simulated world, scripted far ends, seeded ids. Each name is loaded on first use.

    from ringback.testing import World

Pytest fixtures are in ``ringback.testing.fixtures``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ringback.testing.host import SimulatedHost as SimulatedHost
    from ringback.testing.network import Packet as Packet
    from ringback.testing.peer import ScriptedPeer as ScriptedPeer
    from ringback.testing.seeded import SeededIds as SeededIds
    from ringback.testing.simulation import SimulationFailed as SimulationFailed
    from ringback.testing.simulation import Weather as Weather
    from ringback.testing.simulation import run_seed as run_seed
    from ringback.testing.simulation import run_seeds as run_seeds
    from ringback.testing.stream_peer import StreamPeer as StreamPeer
    from ringback.testing.stream_peer import StreamPort as StreamPort
    from ringback.testing.virtual_time import SimulationStuck as SimulationStuck
    from ringback.testing.world import World as World

_HOMES = {
    "Packet": "network",
    "ScriptedPeer": "peer",
    "SeededIds": "seeded",
    "SimulatedHost": "host",
    "SimulationFailed": "simulation",
    "SimulationStuck": "virtual_time",
    "StreamPeer": "stream_peer",
    "StreamPort": "stream_peer",
    "Weather": "simulation",
    "World": "world",
    "run_seed": "simulation",
    "run_seeds": "simulation",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
