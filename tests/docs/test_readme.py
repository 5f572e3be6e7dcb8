"""The programs of the README and the tutorial run as they stand, against a server started as they say, on loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from tests.docs.pages import DOCS, ROOT, blocks

README = ROOT / "README.md"
TUTORIAL = DOCS / "tutorial" / "first-call.md"
LAB = DOCS / "howto" / "run-a-lab-server.md"
SERVER = "127.0.0.1:5060"  # as the pages write it; the test takes a free port for it
PATIENCE = 30
RUN = "import sys; from ringback.cli.main import run; sys.exit(run())"


def started(command: list[str], cwd: Path, stack: ExitStack) -> Popen[str]:
    """A process whose output can be read line by line as it comes; ended with the test, or when patience is."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = Popen(command, cwd=cwd, env=environment, stdout=PIPE, stderr=subprocess.STDOUT, text=True)
    stack.enter_context(process)
    stack.callback(process.kill)
    watchdog = threading.Timer(PATIENCE, process.kill)  # whoever waits for a line gets an empty one then
    watchdog.start()
    stack.callback(watchdog.cancel)
    return process


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[tuple[ExitStack, Path]]:
    """A folder with the programs of both pages, and an open server that they will find."""
    with ExitStack() as stack:
        serve = [sys.executable, "-c", RUN, "serve", "--open", "--listen", "udp:127.0.0.1:0"]
        server = started(serve, tmp_path, stack)
        assert server.stdout is not None
        address = server.stdout.readline().strip().removeprefix("listening on udp:")
        for block in (*blocks(README, "python"), *blocks(TUTORIAL, "python")):
            assert SERVER in block.text
            (tmp_path / block.name).write_text(block.text.replace(SERVER, address), encoding="utf-8")
        yield stack, tmp_path
        server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE) == 0


def test_the_phone_that_calls_reaches_the_phone_that_answers(lab: tuple[ExitStack, Path]) -> None:
    stack, folder = lab
    answering = started([sys.executable, "answer.py"], folder, stack)
    for _ in range(50):  # it says nothing when it has registered: whoever calls too early is told 480
        calling = subprocess.run(
            [sys.executable, "call.py"], cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        if "480" not in calling.stderr:
            break
    assert calling.stdout == "answered: SIP/2.0 200 OK\n", calling.stderr
    assert answering.stdout is not None
    assert answering.stdout.readline() == "call from sip:alice@127.0.0.1 ended: remote hung up\n"


def test_the_tutorial_shows_what_its_programs_print(lab: tuple[ExitStack, Path]) -> None:
    stack, folder = lab
    shown = [block.text for block in blocks(TUTORIAL, "text")]
    bob = started([sys.executable, "bob.py"], folder, stack)
    assert bob.stdout is not None
    assert bob.stdout.readline() == shown[1]
    alice = subprocess.run(
        [sys.executable, "alice.py"], cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert alice.stdout == shown[2], alice.stderr
    assert [bob.stdout.readline() for _ in range(3)] == ["it rings\n", "talking\n", "over: remote hung up\n"]


def test_the_lab_server_in_a_loop_of_ones_own_starts_and_ends() -> None:
    (block,) = blocks(LAB, "python")
    done = subprocess.run(
        [sys.executable, "-c", block.text], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("udp:127.0.0.1:")


def test_ten_lines_make_a_phone() -> None:
    for block in blocks(README, "python"):
        body = block.text.partition("async def main():\n")[2].partition("\nasyncio.run")[0]
        assert len(body.splitlines()) <= 10, block.name
