"""``ringback options -v`` shows how a name was found: NAPTR, SRV, addresses."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.cli.conftest import Run, Serving
from tests.transport.name_server import NameServer

Serve = Callable[..., Serving]


@pytest.fixture
def name_server() -> Iterator[NameServer]:
    """A DNS server on loopback, in a thread of its own; its zone may be changed."""
    server = NameServer({})
    ready, ended = threading.Event(), threading.Event()

    async def serve() -> None:
        async with server:
            ready.set()
            while not ended.is_set():
                await asyncio.sleep(0.02)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(5)
    yield server
    ended.set()
    thread.join(5)


@pytest.mark.row("TRN-3", part="ringback options")
def test_the_way_to_a_name_is_shown(run: Run, serve: Serve, name_server: NameServer) -> None:
    host, _, port = serve("--open", "--domain", "example.test").address.rpartition(":")
    name_server.zone = {
        "example.test": ['NAPTR 10 20 "s" "SIP+D2U" "" _sip._udp.example.test.'],
        "_sip._udp.example.test": [f"SRV 5 0 {port} a.example.test.", "SRV 9 0 5099 b.example.test."],
        "a.example.test": [f"A {host}"],
        "b.example.test": ["A 127.0.0.99"],
    }
    done = run("options", "-v", "--nameserver", name_server.address, "example.test")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == '  NAPTR example.test: 10 20 "s" "SIP+D2U" "" _sip._udp.example.test'
    assert sorted(lines[1:3]) == [
        f"  SRV _sip._udp.example.test: 5 0 {port} a.example.test",
        "  SRV _sip._udp.example.test: 9 0 5099 b.example.test",
    ]
    assert f"  A a.example.test: {host}" in lines
    assert f"  to udp {host}:{port}, then udp 127.0.0.99:5099" in lines
    assert any(line.startswith("200 OK") for line in lines)


def test_a_name_that_leads_nowhere_shows_where_it_was_sought_and_is_3(run: Run, name_server: NameServer) -> None:
    done = run("options", "-v", "--nameserver", name_server.address, "nowhere.test")
    assert done.returncode == 3
    assert "  NAPTR nowhere.test: none" in done.stdout
    assert "no address for nowhere.test" in done.stderr
