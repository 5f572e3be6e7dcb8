"""A REGISTER that was answered 200 survives ``kill -9`` of the server, whenever it comes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from ringback.server.stores.sqlite import SqliteStore

RINGBACK = str(Path(sys.executable).parent / "ringback")
ROUNDS = 5
AT_ONCE = 40  # REGISTERs under way
ENOUGH = 800  # answers, at most, before the kill


def register(number: int, port: int, local: int) -> bytes:
    """A REGISTER of the user with this number."""
    return (
        f"REGISTER sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{local};branch=z9hG4bKk{number}\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:u{number}@example.test>;tag=t\r\nTo: <sip:u{number}@example.test>\r\n"
        f"Call-ID: {number}\r\nCSeq: 1 REGISTER\r\nContact: <sip:u{number}@127.0.0.1:{local}>\r\n"
        "Expires: 3600\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def answered(data: bytes) -> int | None:
    """The number of the user whose REGISTER this is a 200 to."""
    if not data.startswith(b"SIP/2.0 200"):
        return None
    return int(data.partition(b"Call-ID: ")[2].partition(b"\r\n")[0])


@pytest.mark.row("REG-1", "REG-3", part="kill -9")
@pytest.mark.parametrize("seed", range(ROUNDS))
def test_what_was_answered_200_survives_kill_9(seed: int, tmp_path: Path) -> None:
    random = Random(seed)
    store = tmp_path / "location.db"
    command = [RINGBACK, "serve", "--open", "--listen", "udp:127.0.0.1:0", "--domain", "example.test"]
    server = subprocess.Popen(
        [*command, "--store", f"sqlite:{store}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline().rpartition(":")[2])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.bind(("127.0.0.1", 0))
            phone.settimeout(5.0)  # a busy machine is slow, not wrong
            local = phone.getsockname()[1]
            kill_at = random.randrange(1, ENOUGH)
            done: set[int] = set()
            sent = 0
            deadline = time.monotonic() + 10.0
            while len(done) < kill_at:
                assert time.monotonic() < deadline, f"{len(done)} of {sent} answered"
                while sent - len(done) < AT_ONCE:
                    phone.sendto(register(sent, port, local), ("127.0.0.1", port))
                    sent += 1
                number = answered(phone.recv(65_535))
                if number is not None:
                    done.add(number)
            os.kill(server.pid, signal.SIGKILL)
            server.wait(5.0)
            phone.settimeout(0.05)
            while True:  # what left before the kill was an answer too
                try:
                    number = answered(phone.recv(65_535))
                except OSError:
                    break
                if number is not None:
                    done.add(number)
    finally:
        if server.poll() is None:
            os.kill(server.pid, signal.SIGKILL)
            server.wait(5.0)
        if server.stdout is not None:
            server.stdout.close()
    with SqliteStore(str(store)) as kept:
        lost = [number for number in done if not kept.bindings(f"sip:u{number}@example.test", time.time())]
    assert not lost
    assert len(done) >= kill_at
