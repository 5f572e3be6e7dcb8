"""Kamailio as the next hop, before the server and after it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.interop import kamailio
from tests.interop.process import LOOPBACK, Children, free_port, need
from tests.interop.ringback_server import PASSWORD, RINGBACK, RingbackServer
from tests.interop.sipp import Sipp

Serve = Callable[..., RingbackServer]


@pytest.mark.row("PX-2", "ACK-4", "BYE-4", part="Kamailio before us")
def test_a_call_comes_in_from_kamailio(serve: Serve, children: Children) -> None:
    need("sipp", "kamailio")
    server = serve(users=("bob",))
    port = free_port()
    Sipp(children, server.address).register("bob", port, password=PASSWORD)
    _, neighbour = kamailio.start(children, server.address)
    phone = Sipp(children, server.address).start("phone", "-d", "100", port=port)
    caller = Sipp(children, f"{LOOPBACK}:{neighbour}", kamailio.HOME)
    caller.run("call", "-s", "carol", "-d", "100", keys={"callee": f"bob@{server.domain}"})
    phone.passes()


@pytest.mark.row("CAN-6", part="Kamailio before us")
def test_a_call_from_kamailio_is_cancelled(serve: Serve, children: Children) -> None:
    need("sipp", "kamailio")
    server = serve(users=("bob",))
    port = free_port()
    Sipp(children, server.address).register("bob", port, password=PASSWORD)
    _, neighbour = kamailio.start(children, server.address)
    phone = Sipp(children, server.address).start("phone_cancelled", port=port)
    caller = Sipp(children, f"{LOOPBACK}:{neighbour}", kamailio.HOME)
    caller.run("call_cancelled", "-s", "carol", keys={"callee": f"bob@{server.domain}"})
    phone.passes()


@pytest.mark.row("PX-2", "ACK-4", "BYE-4", "AUT-1", part="Kamailio after us")
@pytest.mark.parametrize(
    ("answering", "calling"), [("phone", "call_with_digest"), ("phone_hangs_up", "call_with_digest_until_bye")]
)
def test_a_user_calls_out_through_kamailio(serve: Serve, children: Children, answering: str, calling: str) -> None:
    need("sipp", "kamailio")
    server = serve(users=("alice",))
    _, neighbour = kamailio.start(children, server.address)
    there = f"{LOOPBACK}:{neighbour}"
    port = free_port()
    Sipp(children, there, there).register("carol", port)
    phone = Sipp(children, there).start(answering, "-d", "100", port=port)
    digest = ("-s", "alice", "-au", "alice", "-ap", PASSWORD)
    Sipp(children, server.address).run(calling, *digest, "-d", "100", keys={"callee": f"carol@{there}"})
    phone.passes()


@pytest.mark.row("FRK-3", "PX-3", part="Kamailio after us")
def test_a_refusal_comes_back_through_kamailio(serve: Serve, children: Children) -> None:
    need("sipp", "kamailio")
    server = serve(settings='relay = "anyone"\n')
    _, neighbour = kamailio.start(children, server.address)
    callee = {"callee": f"nobody@{LOOPBACK}:{neighbour}"}
    Sipp(children, server.address).run("call_unknown", "-s", "alice", keys=callee)


@pytest.mark.row("OPT-1", "OPT-2", part="Kamailio")
def test_our_options_command_pings_kamailio(children: Children) -> None:
    need("kamailio")
    _, port = kamailio.start(children, f"{LOOPBACK}:9")
    command = [*RINGBACK, "options", f"sip:{LOOPBACK}:{port}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "200" in done.stdout
