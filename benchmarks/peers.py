"""The servers that are measured, each as one process family pinned to one core."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

HOST = "127.0.0.1"
DOMAIN = "bench.test"
HERE = Path(__file__).parent


def find(command: str) -> str:
    """The path of a program; exits naming what is missing."""
    found = shutil.which(command, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found is None:
        sys.exit(f"bench: {command} is not installed (Debian: sip-tester, kamailio)")
    return found


def pinned(core: int, command: list[str]) -> list[str]:
    """``command`` on one core, where there are at least two."""
    return ["taskset", "-c", str(core), *command] if (os.cpu_count() or 1) > 1 else command


class Peer(Protocol):
    """A server under measurement."""

    name: str

    def command(self, folder: Path, port: int) -> list[str]: ...

    def version(self) -> str: ...


class Ringback:
    """Our server as its users run it: bindings in SQLite on disk, committed before each 200."""

    name = "ringback"

    def command(self, folder: Path, port: int) -> list[str]:
        config = folder / "ringback.toml"
        config.write_text(f'domains = ["{DOMAIN}"]\nopen = true\n')
        program = str(Path(sys.executable).parent / "ringback")
        listen = ["--listen", f"udp:{HOST}:{port}", "--store", f"sqlite:{folder / 'ringback.db'}"]
        return [program, "serve", "--config", str(config), *listen]

    def version(self) -> str:
        return subprocess.run(
            ["git", "-C", str(HERE), "describe", "--always", "--dirty", "--abbrev=10"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()


class Kamailio:
    """Kamailio with one UDP worker and bindings in memory."""

    name = "kamailio"

    def command(self, folder: Path, port: int) -> list[str]:
        run = folder / "kamailio"
        run.mkdir(exist_ok=True)
        command = [find("kamailio"), "-f", str(HERE / "kamailio.cfg"), "-l", f"udp:{HOST}:{port}"]
        command += ["-Y", str(run), "-P", str(run / "pid"), "-m", "1024", "-M", "32", "-b", "4194304"]
        return [*command, "-DD", "-E", "-A", f'HOME="{DOMAIN}"']

    def version(self) -> str:
        words = subprocess.run([find("kamailio"), "-v"], capture_output=True, text=True, check=False).stdout.split()
        return words[2] if len(words) > 2 else "unknown"


class Running:
    """A peer that runs."""

    def __init__(self, peer: Peer, folder: Path, port: int, core: int) -> None:
        self.name = peer.name
        self.port = port
        self.log = folder / f"{peer.name}.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                pinned(core, peer.command(folder, port)),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_until_it_answers()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _wait_until_it_answers(self) -> None:
        probe = (
            f"OPTIONS sip:{HOST}:{self.port} SIP/2.0\r\nVia: SIP/2.0/UDP {HOST}:9;branch=z9hG4bKprobe;rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:probe@{DOMAIN}>;tag=p\r\nTo: <sip:{DOMAIN}>\r\nCall-ID: probe\r\n"
            "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        ).encode()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.bind((HOST, 0))
            asking.settimeout(0.2)
            for _ in range(100):
                if self._process.poll() is not None:
                    break
                try:
                    asking.sendto(probe, (HOST, self.port))
                    asking.recv(65_535)
                    return
                except OSError:
                    time.sleep(0.05)
        self.stop()
        sys.exit(f"bench: {self.name} does not answer\n{self.log.read_text(errors='replace')[-3000:]}")

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()


def free_port() -> int:
    """A UDP port that nothing is bound to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
