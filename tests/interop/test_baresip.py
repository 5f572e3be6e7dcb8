"""baresip registers with the server, and calls baresip through it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.interop.baresip import Baresip
from tests.interop.process import Children, need
from tests.interop.ringback_server import PASSWORD, RingbackServer

Phones = tuple[Baresip, Baresip]


@pytest.fixture
def phones(children: Children, serve: Callable[..., RingbackServer]) -> Phones:
    need("baresip")
    server = serve(users=("alice", "bob"))
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
