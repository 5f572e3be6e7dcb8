"""sipsak asks the server what it can do, and registers and removes a user."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.interop.process import LOOPBACK, find, need
from tests.interop.ringback_server import PASSWORD, RingbackServer

Serve = Callable[..., RingbackServer]


def sipsak(*options: str) -> str:
    """Runs sipsak; what it said. AssertionError when it is not content."""
    need("sipsak")
    command = [find("sipsak") or "sipsak", "-vv", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.row("OPT-1", "OPT-4", part="sipsak")
def test_sipsak_pings_the_server(serve: Serve) -> None:
    server = serve(domains=(LOOPBACK,))
    assert "SIP/2.0 200 OK" in sipsak("-s", f"sip:{LOOPBACK}", "-p", server.address)


@pytest.mark.row("REG-1", "REG-2", part="sipsak")
def test_sipsak_registers_and_removes_all(serve: Serve) -> None:
    server = serve(domains=(LOOPBACK,))
    user = ("-i", "-U", "-s", f"sip:bob@{LOOPBACK}", "-p", server.address)
    sipsak(*user, "-C", "sip:bob@127.0.0.1:4444", "-x", "600")
    assert "sip:bob@127.0.0.1:4444" in server.bindings()
    sipsak(*user, "-C", "*", "-x", "0")
    assert "sip:bob@127.0.0.1:4444" not in server.bindings()


@pytest.mark.row("REG-10", part="sipsak")
def test_sipsak_registers_with_digest(serve: Serve) -> None:
    server = serve(domains=(LOOPBACK,), users=("bob",))
    user = ("-i", "-U", "-s", f"sip:bob@{LOOPBACK}", "-p", server.address, "-u", "bob", "-a", PASSWORD)
    sipsak(*user, "-C", "sip:bob@127.0.0.1:4444", "-x", "600")
    assert "sip:bob@127.0.0.1:4444" in server.bindings()
