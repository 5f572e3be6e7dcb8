"""Scenarios over many seeds: run one, and when it fails, say which and how to see it again.

A scenario is ``async def scenario(world)``. It builds what it needs in the world, drives it and asserts what must hold
however bad the weather; it closes nothing. Afterwards the world must come to rest (``World.check_quiet``).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, final

from ringback.testing.network import Packet
from ringback.testing.world import QUIET_AFTER, World

Scenario = Callable[[World], Coroutine[Any, Any, None]]
_TRACE_LINES = 400


class SimulationFailed(AssertionError):
    """A scenario failed with a seed; the text has the seed, how to replay it, and the end of the trace.

    ``packets`` is the whole trace. Notes on the error that a scenario raised (``add_note``) are in the text.
    """

    def __init__(self, text: str, packets: list[Packet]) -> None:
        super().__init__(text)
        self.packets = packets


@final
class Weather:
    """The weather a scenario runs in: ``World``'s arguments, times in seconds, probabilities from 0 to 1."""

    __slots__ = ("delay", "duplicate", "icmp", "jitter", "loss", "reorder")

    def __init__(
        self,
        loss: float = 0.0,
        delay: float = 0.010,
        jitter: float = 0.0,
        duplicate: float = 0.0,
        reorder: float = 0.0,
        icmp: bool = False,
    ) -> None:
        self.loss = loss
        self.delay = delay
        self.jitter = jitter
        self.duplicate = duplicate
        self.reorder = reorder
        self.icmp = icmp


FAIR = Weather()
FOUL = Weather(loss=0.2, delay=0.010, jitter=0.040, duplicate=0.05, reorder=0.05)


def run_seed(
    seed: int, scenario: Scenario, weather: Weather = FOUL, *, quiet_after: float = QUIET_AFTER, show: bool = False
) -> World:
    """Run one scenario with one seed and check that the world comes to rest; gives the closed world with its trace.

    Raises SimulationFailed, naming the seed and the command that replays it. With ``show`` the whole trace is printed
    whatever happens.
    """
    name = scenario.__name__
    world = World(
        f"{name}:{seed}",
        loss=weather.loss,
        delay=weather.delay,
        jitter=weather.jitter,
        duplicate=weather.duplicate,
        reorder=weather.reorder,
        icmp=weather.icmp,
    )
    try:
        world.run(scenario(world))
        world.check_quiet(quiet_after)
    except Exception as error:
        lines = world.dump().splitlines()[-_TRACE_LINES:]
        text = "\n".join(
            [
                f"seed {seed} of {name} failed at {world.now:.3f} s: {type(error).__name__}: {error}",
                f"replay: make sim SEED={name}:{seed}",
                *getattr(error, "__notes__", ()),
                *([] if show else lines),
            ]
        )
        raise SimulationFailed(text, world.trace) from error
    finally:
        if show:
            print(world.dump())
        world.close()
    return world


def run_seeds(seeds: range, scenario: Scenario, weather: Weather = FOUL) -> None:
    """``run_seed`` for each; raises at the first that fails."""
    for seed in seeds:
        run_seed(seed, scenario, weather)
