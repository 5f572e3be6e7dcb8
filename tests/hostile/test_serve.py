"""The same messages against a real `ringback serve` on loopback, as fast as it answers."""

from __future__ import annotations

import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from tests.hostile.cases import CREDENTIALS, INVITE, REGISTER, Case, crossed, headers, structures

LOOPBACK = "127.0.0.1"
SAMPLE = 2000


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket, Path]]:
    """An open server, a socket connected to it, and where its standard error goes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((LOOPBACK, 0))
        port = free.getsockname()[1]
    errors = tmp_path / "stderr"
    command = [
        str(Path(sys.executable).parent / "ringback"),
        "serve",
        "--listen",
        f"udp:{LOOPBACK}:{port}",
        "--open",
        "-v",
    ]
    command += ["--domain", "example.test", "--store", f"sqlite:{tmp_path / 'store.db'}"]
    with (
        errors.open("wb") as out,
        subprocess.Popen(command, stderr=out, stdout=subprocess.DEVNULL) as process,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        client.bind((LOOPBACK, 0))
        client.connect((LOOPBACK, port))
        try:
            yield process, client, errors
        finally:
            process.kill()


def ping(client: socket.socket, number: int, patience: float = 10.0) -> None:
    """Send OPTIONS until it is answered; AssertionError when it is not."""
    options = (
        f"OPTIONS sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP h;rport;branch=z9hG4bKp{number}\r\n"
        f"From: <sip:a@b>;tag=1\r\nTo: <sip:example.test>\r\nCall-ID: ping{number}\r\nCSeq: 1 OPTIONS\r\n"
        "Content-Length: 0\r\n\r\n"
    )
    client.settimeout(0.25)
    ends = time.monotonic() + patience
    while time.monotonic() < ends:
        try:
            client.send(options.encode())
            while True:
                data = client.recv(65535)
                if f"Call-ID: ping{number}".encode() in data:
                    assert data.startswith(b"SIP/2.0 200")
                    return
        except TimeoutError:
            continue
        except ConnectionRefusedError:
            time.sleep(0.05)  # it is not listening yet
    raise AssertionError("no answer to OPTIONS")


@pytest.mark.threat("T1")
@pytest.mark.threat("T7")
@pytest.mark.row("TRN-4", part="hostile messages to a real server")
def test_a_real_server_outlives_them(served: tuple[subprocess.Popen[bytes], socket.socket, Path]) -> None:
    process, client, errors = served
    ping(client, 0, 20.0)
    credentials = REGISTER.replace("Expires: ", CREDENTIALS + "Expires: ", 1)
    every = chain(
        crossed(INVITE, 1_000_000), crossed(credentials, 2_000_000), headers(3_000_000), structures(4_000_000)
    )
    cases: list[Case] = random.Random(1).sample(list(every), SAMPLE)
    for number, case in enumerate(cases, 1):
        data = re.sub(rb"10\.0\.0\.9(?=[;:\r])", b"127.0.0.1;rport", case.data, count=1)
        client.send(data)
        if number % 40 == 0:
            ping(client, number)
    ping(client, SAMPLE + 1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    said = errors.read_text("utf-8", "replace")
    assert "Traceback" not in said
    assert "could not be" not in said
