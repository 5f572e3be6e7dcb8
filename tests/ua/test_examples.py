"""The examples are what they claim to be: ten lines each, and they work as they stand."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
NAMES = ("answering_phone.py", "calling_phone.py")


@pytest.mark.parametrize("name", NAMES)
def test_an_example_has_ten_lines(name: str) -> None:
    _, _, code = (EXAMPLES / name).read_text().partition('"""\n\n')
    assert len([line for line in code.splitlines() if line.strip()]) <= 10


def wait_until_taken(port: int) -> None:
    """Wait until some process listens there: what is sent earlier is refused."""
    for _ in range(400):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return
        time.sleep(0.05)
    pytest.fail(f"nobody listens at {port}")


@pytest.mark.interop
def test_one_phone_calls_the_other_over_real_sockets() -> None:
    """Both as processes; only the port is another one, free at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    answering, calling = ((EXAMPLES / name).read_text().replace("5070", port) for name in NAMES)
    with subprocess.Popen([sys.executable, "-c", answering], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as phone:
        try:
            wait_until_taken(int(port))
            done = subprocess.run([sys.executable, "-c", calling], capture_output=True, timeout=40)
            assert done.returncode == 0, done.stderr.decode()
            assert phone.poll() is None
        finally:
            phone.send_signal(signal.SIGINT)
            shown, said = phone.communicate(timeout=10)
    assert phone.returncode == 130
    assert said == b""
    assert b"sip:alice@127.0.0.1 is on the line\nthe call is over: remote hung up\n" in shown
    assert done.stdout == f"talked to sip:bob@127.0.0.1:{port} for two seconds, then hung up\n".encode()
