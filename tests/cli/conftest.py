"""The command line as processes of their own, in an empty folder, with an environment that holds nothing of ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

RINGBACK = str(Path(sys.executable).parent / "ringback")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


class Serving:
    """A running ``ringback serve``: its address, and its end."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.first_line = process.stdout.readline().rstrip("\n")
        self.address = self.first_line.partition("udp:")[2].partition('"')[0]

    def end(self, number: int = signal.SIGTERM) -> tuple[str, str, int]:
        """End it by a signal; what else it said on standard output and error, and its exit code."""
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        out, err = self.process.communicate(timeout=10)
        return out, err, self.process.returncode


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """PATH and a home folder, nothing else."""
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Run:
    """Runs ``ringback WORDS`` in an empty folder; ``RINGBACK_…`` may be given by keyword."""

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [RINGBACK, *words],
            cwd=tmp_path,
            env=environment | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run


@pytest.fixture
def serve(tmp_path: Path, environment: dict[str, str]) -> Iterator[Callable[..., Serving]]:
    """Starts ``ringback serve`` on a free port of 127.0.0.1 and waits until it listens."""
    running: list[Serving] = []

    def start(*words: str) -> Serving:
        command = [RINGBACK, "serve", *words]
        if "--listen" not in words and "--config" not in words:
            command += ["--listen", "udp:127.0.0.1:0"]
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        running.append(Serving(process))
        return running[-1]

    yield start
    for serving in running:
        if serving.process.returncode is None:
            serving.end(signal.SIGKILL)
