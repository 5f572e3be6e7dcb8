"""Foreign programs as children of a test: on free ports, ended by process id, their words shown when it fails."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

LOOPBACK = "127.0.0.1"
# Below the range that the kernel gives to nameless sockets: a port once found stays free until its program takes it.
_FIRST_PORT = 20_000
_PORTS_A_WORKER = 2_000
_next_port = 0


def need(*commands: str) -> None:
    """Skips the test where a peer is not installed; under CI=true that is a failure."""
    missing = [name for name in commands if find(name) is None]
    if not missing:
        return
    words = f"not installed: {', '.join(missing)} (make test installs Debian's packages where it may)"
    if os.environ.get("CI") == "true":
        pytest.fail(words)
    pytest.skip(words)


def find(command: str) -> str | None:
    """The path of a program, those that Debian keeps for root included."""
    return shutil.which(command, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def free_port(host: str = LOOPBACK) -> int:
    """A port that nothing on ``host`` is bound to, UDP or TCP; no two tests of a run are given the same one."""
    global _next_port
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    base = _FIRST_PORT + (int(worker) + 1) % 5 * _PORTS_A_WORKER
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(_PORTS_A_WORKER // 2):
        # Every second one: SIPp and baresip take the odd neighbour for RTCP.
        port = base + _next_port % _PORTS_A_WORKER
        _next_port += 2
        try:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                with socket.socket(family, kind) as probe:
                    probe.bind((host, port))
        except OSError:
            continue
        return port
    raise RuntimeError("no free port")


def is_bound(port: int, host: str = LOOPBACK) -> bool:
    """Whether something listens on that port, by UDP or TCP."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                return True
    return False


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    """Polls until ``condition`` holds; raises AssertionError naming ``what`` when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"no {what} within {seconds:g} s")
        time.sleep(0.02)


class Child:
    """One running program. Its output goes to a file; it and what it started are ended together."""

    def __init__(self, name: str, command: list[str], folder: Path, environment: dict[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.command = command
        self.folder = folder
        self.log = folder / f"{name}.log"
        # Our own parts are found from any folder.
        whole = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), **(environment or {})}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=whole,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for_output(self, text: str, seconds: float = 10.0, times: int = 1) -> None:
        """Until ``text`` has been said ``times`` times; a program that ends first has failed."""

        def said() -> bool:
            if self.output().count(text) >= times:
                return True
            if not self.running:
                raise AssertionError(
                    f"{self.name} ended with {self.process.returncode} before it said {text!r}\n{self}"
                )
            return False

        try:
            wait_for(said, f"{text!r} from {self.name}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self}") from None

    def wait(self, seconds: float = 30.0) -> int:
        """Its exit code; AssertionError when it has not ended by itself in time."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {seconds:g} s\n{self}") from None

    def stop(self, how: int = signal.SIGTERM, seconds: float = 5.0) -> int:
        """Ends it, by force when it does not go in time; returns its exit code."""
        if self.running:
            self.process.send_signal(how)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
        try:
            # What it left behind in its own session, children that outlive it included.
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return self.process.wait()

    def __str__(self) -> str:
        lines = self.output().splitlines()
        return "\n".join([f"--- {self.name}: {' '.join(self.command)}", *lines[-80:]])


class Children:
    """The programs of one test. Shown and ended with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.all: list[Child] = []

    def start(self, name: str, command: list[str], environment: dict[str, str] | None = None) -> Child:
        child = Child(f"{len(self.all)}-{name}", command, self.folder, environment)
        self.all.append(child)
        return child

    def close(self) -> None:
        for child in reversed(self.all):
            child.stop()

    def __str__(self) -> str:
        return "\n\n".join(str(child) for child in self.all)
