"""The fixture gives each test its world, and shows the packets of one that failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ringback.testing

TESTS = """
import pytest
pytest_plugins = ["ringback.testing.fixtures"]

def send(world):
    sockets = [world.host(f"10.0.0.{n}").bind(f"10.0.0.{n}", 5060, lambda e: e.receive(64)) for n in (1, 2)]
    sockets[0].send(b"OPTIONS sip:x SIP/2.0\\r\\n\\r\\n", ("10.0.0.2", 5060))
    world.advance(1)

def test_passes(world):
    send(world)

def test_fails(world):
    send(world)
    assert world is None

def test_is_not_quiet(world):
    world.watch("server", lambda: {"transactions": 1})

@pytest.mark.parametrize("world", [{"delay": 0.5}], indirect=True)
def test_has_a_delay(world):
    send(world)
    assert world.trace[0].arrives_at == 0.5
"""


def test_the_world_fixture_shows_packets_of_a_failed_test_and_checks_that_a_passed_one_is_quiet(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:cov", "test_it.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert "3 passed, 1 failed, 1 error" in done.stdout.replace("1 failed, 3 passed", "3 passed, 1 failed"), done.stdout
    assert done.stdout.count("packets of the simulated world") == 1
    assert "10.0.0.1:5060 -> 10.0.0.2:5060" in done.stdout
    assert "{'server: transactions': 1}" in done.stdout


def test_the_public_names_of_the_package_are_there() -> None:
    assert {name: getattr(ringback.testing, name).__name__ for name in dir(ringback.testing)} == {
        name: name for name in ringback.testing.__all__
    }
    assert not hasattr(ringback.testing, "Nothing")
