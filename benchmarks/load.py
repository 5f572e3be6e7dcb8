"""SIPp as the load: callers and phones on a core of their own."""

from __future__ import annotations

import csv
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import cpu
from benchmarks.measures import Measure
from benchmarks.peers import DOMAIN, HERE, HOST, Running, find, free_port, pinned


@dataclass
class Sample:
    """One run: how many units came about, how many failed or were sent again, and what the server used for them."""

    done: int
    failed: int
    retransmitted: int
    seconds: float
    cpu_seconds: float

    @property
    def microseconds(self) -> float:
        """CPU of one unit."""
        return self.cpu_seconds * 1e6 / max(self.done, 1)

    @property
    def held(self) -> bool:
        """Whether the server kept up; the CPU of a run that it did not keep up with says nothing."""
        return self.failed + self.retransmitted <= 0.001 * self.done + 1


class Load:
    """The load of one measure on one server. Made once, run several times, closed."""

    def __init__(self, measure: Measure, server: Running, folder: Path, core: int) -> None:
        self.measure = measure
        self.server = server
        self._folder = folder
        self._core = core
        self._caller_port = free_port()
        self._phones: list[subprocess.Popen[bytes]] = []
        self._users = folder / f"{measure.name}.csv"
        self._users.write_text("SEQUENTIAL\n" + "".join(f"u{number};\n" for number in range(measure.users)))
        ports = [free_port() for _ in measure.phones]
        for scenario, port in zip(measure.phones, ports, strict=True):
            self._phones.append(self._sipp(scenario, port, "-deadcall_wait", "0"))
        if ports:
            register(server, measure.users, ports)

    def _sipp(self, scenario: str, port: int, *options: str) -> subprocess.Popen[bytes]:
        command = [find("sipp"), f"{HOST}:{self.server.port}", "-sf", str(HERE / "scenarios" / f"{scenario}.xml")]
        command += [
            "-i",
            HOST,
            "-p",
            str(port),
            "-t",
            "u1",
            "-buff_size",
            "4194304",
            "-nostdin",
            "-key",
            "domain",
            DOMAIN,
        ]
        return subprocess.Popen(
            pinned(self._core, [*command, *options]),
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def run(self, seconds: float) -> Sample:
        """Offers the measure's rate for ``seconds``."""
        measure = self.measure
        calls = int(measure.rate * seconds)
        figures = self._folder / f"{measure.name}-{self.server.name}.stat.csv"
        figures.unlink(missing_ok=True)
        options = [
            "-inf",
            str(self._users),
            "-r",
            str(measure.rate),
            "-m",
            str(calls),
            "-l",
            str(max(200, 2 * measure.rate)),
        ]
        options += ["-trace_stat", "-stf", str(figures), "-fd", "1", "-timeout", str(int(seconds * 2) + 20)]
        before, started = cpu.used(self.server.pid), time.monotonic()
        self._sipp(measure.scenario, self._caller_port, *options).wait()
        taken, used = time.monotonic() - started, cpu.used(self.server.pid) - before
        with figures.open(newline="") as file:
            last = list(csv.DictReader(file, delimiter=";"))[-1]
        done, failed = int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"])
        return Sample(done, failed, int(last["Retransmissions(C)"]), taken, used)

    def close(self) -> None:
        for phone in self._phones:
            phone.send_signal(signal.SIGKILL)
            phone.wait()
        self._phones.clear()


def register(server: Running, users: int, ports: list[int]) -> None:
    """Binds every user to each port on loopback, one request at a time."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind((HOST, 0))
        phone.settimeout(5)
        local = f"{HOST}:{phone.getsockname()[1]}"
        for number in range(users):
            for port in ports:
                user, call = f"u{number}", f"{number}-{port}-{time.monotonic_ns()}"
                phone.sendto(
                    f"REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{call};rport\r\n"
                    f"Max-Forwards: 70\r\nFrom: <sip:{user}@{DOMAIN}>;tag={call}\r\nTo: <sip:{user}@{DOMAIN}>\r\n"
                    f"Call-ID: {call}\r\nCSeq: 1 REGISTER\r\nContact: <sip:{user}@{HOST}:{port}>\r\nExpires: 7200\r\n"
                    "Content-Length: 0\r\n\r\n".encode(),
                    (HOST, server.port),
                )
                answer = phone.recv(65_535)
                if not answer.startswith(b"SIP/2.0 200 "):
                    sys.exit(f"bench: {server.name} refused a registration: {answer[:80].decode(errors='replace')}")
