"""A failing seed says which it was, how to replay it, and what went over the wire."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ringback.testing.simulation import FAIR, FOUL, SimulationFailed, run_seed, run_seeds
from ringback.testing.world import World

ROOT = Path(__file__).parent.parent.parent


async def knocking(world: World) -> None:
    """Knock each second until somebody answers."""
    answers: list[bytes] = []
    house, guest = world.host("10.0.0.1"), world.host("10.0.0.2")
    door = house.bind("10.0.0.1", 5060, lambda e: [e.send(b"come in", source) for _, source in e.receive(64)])
    knocker = guest.bind("10.0.0.2", 5060, lambda e: answers.extend(data for data, _ in e.receive(64)))
    while not answers:
        knocker.send(b"knock", ("10.0.0.1", 5060))
        await asyncio.sleep(1)
    world.watch("house", lambda: {"open doors": 0})
    assert len(world.trace) < 20
    door.close()
    knocker.close()


async def impatient(world: World) -> None:
    """Wants an answer to the first knock."""
    await knocking(world)
    assert world.now == 1.0, "had to knock twice"


async def untidy(world: World) -> None:
    """Leaves something behind."""
    world.watch("house", lambda: {"open doors": 2})


@pytest.mark.simulation
def test_many_seeds_of_a_sound_scenario_pass() -> None:
    run_seeds(range(200), knocking)


def test_the_same_seed_gives_the_same_trace_and_another_seed_another() -> None:
    one, again, other = run_seed(3, knocking), run_seed(3, knocking), run_seed(4, knocking)
    assert one.dump() == again.dump() != other.dump()


def test_fair_weather_loses_nothing() -> None:
    assert {packet.fate for packet in run_seed(1, knocking, FAIR).trace} == {"delivered"}


def test_a_failing_seed_names_itself_and_how_to_replay_it() -> None:
    with pytest.raises(SimulationFailed) as caught:
        run_seeds(range(100), impatient)
    text = str(caught.value)
    seed = re.search(r"seed (\d+) of impatient failed at [\d.]+ s: AssertionError: had to knock twice", text)
    assert seed is not None
    assert f"replay: make sim SEED=impatient:{seed[1]}" in text
    assert "10.0.0.2:5060 -> 10.0.0.1:5060" in text
    with pytest.raises(SimulationFailed) as again:
        run_seed(int(seed[1]), impatient)
    assert str(again.value) == text


def test_a_scenario_that_leaves_something_behind_fails() -> None:
    with pytest.raises(SimulationFailed, match="house: open doors"):
        run_seed(1, untidy, FOUL)


def replay(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools" / "sim.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_replay_tool_draws_every_packet_of_a_seed() -> None:
    done = replay("office:3")
    assert done.returncode == 0, done.stderr
    assert re.search(r"00:00:0\d\.\d{6} .*│─+ INVITE \(SDP\) ─+>│", done.stdout)
    assert "(lost)" in done.stdout
    passed = re.search(r"seed 3 of office passed: (\d+) packets", done.stdout)
    assert passed is not None
    assert len(re.findall(r"^\d\d:\d\d:", done.stdout, re.MULTILINE)) == int(passed[1])


def test_the_replay_tool_runs_every_scenario_with_a_bare_seed() -> None:
    done = replay("5")
    assert done.returncode == 0, done.stderr
    assert {"--- options, seed 5", "--- busy, seed 5"} <= set(done.stdout.splitlines())


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("options:",), ("nonsense:3",)])
def test_the_replay_tool_says_what_it_can_replay(arguments: tuple[str, ...]) -> None:
    done = replay(*arguments)
    assert done.returncode == 2
    assert "names: " in done.stderr
