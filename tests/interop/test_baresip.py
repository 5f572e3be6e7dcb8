"""baresip registers with the server, and calls baresip and our own phone through it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.interop.baresip import Baresip
from tests.interop.process import Children, need
from tests.interop.ringback_phone import start_phone
from tests.interop.ringback_server import PASSWORD, RingbackServer

Phones = tuple[Baresip, Baresip]


@pytest.fixture
def server(serve: Callable[..., RingbackServer]) -> RingbackServer:
    need("baresip")
    return serve(users=("alice", "bob"))


@pytest.fixture
def phones(children: Children, server: RingbackServer) -> Phones:
    alice, bob = (Baresip(children, user, server.domain, server.address, PASSWORD) for user in ("alice", "bob"))
    alice.registered()
    bob.registered()
    return alice, bob


@pytest.mark.row("REG-10", "INV-1", "INV-3", "BYE-4", part="baresip")
def test_baresip_calls_baresip_and_the_caller_hangs_up(phones: Phones) -> None:
    alice, bob = phones
    alice.command("dial sip:bob@example.test")
    bob.child.wait_for_output("Incoming call")
    bob.command("accept")
    alice.child.wait_for_output("Call established")
    bob.child.wait_for_output("Call established")
    alice.command("hangup")
    bob.child.wait_for_output("session closed")


@pytest.mark.row("BYE-4", part="baresip")
def test_baresip_calls_baresip_and_the_callee_hangs_up(phones: Phones) -> None:
    alice, bob = phones
    alice.command("dial sip:bob@example.test")
    bob.child.wait_for_output("Incoming call")
    bob.command("accept")
    alice.child.wait_for_output("Call established")
    bob.child.wait_for_output("Call established")
    bob.command("hangup")
    alice.child.wait_for_output("session closed")


@pytest.mark.row("CAN-6", part="baresip")
def test_baresip_gives_up_while_it_rings(phones: Phones) -> None:
    alice, bob = phones
    alice.command("dial sip:bob@example.test")
    bob.child.wait_for_output("Incoming call")
    alice.child.wait_for_output("180 Ringing")
    alice.command("hangup")
    bob.child.wait_for_output("CANCEL sip:")
    bob.child.wait_for_output("487 Request Terminated")


@pytest.mark.row("INV-9", part="baresip")
def test_baresip_refuses(phones: Phones) -> None:
    alice, bob = phones
    alice.command("dial sip:bob@example.test")
    bob.child.wait_for_output("Incoming call")
    bob.command("hangup")
    alice.child.wait_for_output("session closed: 486")


@pytest.mark.row("REG-1", "INV-3", "BYE-4", part="baresip and our phone")
def test_baresip_calls_our_phone(children: Children, server: RingbackServer) -> None:
    alice = Baresip(children, "alice", server.domain, server.address, PASSWORD)
    alice.registered()
    bob = start_phone(children, proxy=server.address, user="bob", password=PASSWORD)
    alice.command("dial sip:bob@example.test")
    alice.child.wait_for_output("Call established")
    alice.command("hangup")
    bob.child.wait_for_output("over")


@pytest.mark.row("INV-1", "INV-4", "AUT-1", "BYE-3", part="baresip and our phone")
def test_our_phone_calls_baresip(children: Children, server: RingbackServer) -> None:
    bob = Baresip(children, "bob", server.domain, server.address, PASSWORD)
    bob.registered()
    calling = {"proxy": server.address, "call": "sip:bob@example.test"}
    alice = start_phone(children, user="alice", password=PASSWORD, **calling)
    bob.child.wait_for_output("Incoming call")
    bob.command("accept")
    alice.child.wait_for_output("answered")
    alice.child.wait_for_output("over")
    bob.child.wait_for_output("session closed")
