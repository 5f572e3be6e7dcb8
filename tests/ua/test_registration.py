"""Phones that register with a real server, and call through it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from ringback import Call, CallRejected, TransactionTimeout, UserAgent
from ringback.server.server import Server
from ringback.server.settings import build
from ringback.testing.peer import ScriptedPeer
from tests.ua.conftest import ANSWER, OFFER, PhoneBench

DOMAIN = "example.test"
PROXY = "sip:10.0.0.3:5060"


class Home:
    """A server with passwords at 10.0.0.3, and phones that know it."""

    def __init__(self, phones: PhoneBench) -> None:
        self.phones = phones
        host = phones.world.host("10.0.0.3")
        settings = build({"listen": ["udp:10.0.0.3:5060"], "domains": [DOMAIN], "store": "sqlite::memory:"})
        self.server = Server(settings, network=host, clock=host.clock, resolver=host, ids=host.ids)
        for name in ("alice", "bob"):
            self.server.store.add_user(name, DOMAIN, f"{name}'s secret")
        self.server.store.commit()

    def phone(self, name: str, address: str, **options: object) -> UserAgent:
        values = {"password": f"{name}'s secret", "proxy": PROXY, "sdp": OFFER if name == "alice" else ANSWER}
        return self.phones.agent(name, address, DOMAIN, **(values | options))

    def bindings(self, name: str) -> list[str]:
        now = self.phones.world.host("10.0.0.3").clock.now()
        return [binding.uri for binding in self.server.store.bindings(f"sip:{name}@{DOMAIN}", now)]

    def run(self, scenario: object) -> None:
        async def with_server() -> None:
            await self.server.start()
            try:
                await scenario()
            finally:
                await self.server.close()

        self.phones.run(with_server)


@pytest.fixture
def home(phones: PhoneBench) -> Home:
    return Home(phones)


@pytest.mark.row("REG-1", part="UA")
@pytest.mark.row("REG-3", part="UAC")
@pytest.mark.row("REG-4", part="UAC")
@pytest.mark.row("AUT-1", part="UAC")
def test_a_phone_registers_with_its_password_and_leaves_again(home: Home) -> None:
    alice = home.phone("alice", "10.0.0.1")

    async def scenario() -> None:
        assert not alice.is_registered
        assert await alice.register(600) == 600
        assert alice.is_registered
        assert home.bindings("alice") == ["sip:alice@10.0.0.1:5060"]
        await alice.unregister()
        assert not alice.is_registered
        assert home.bindings("alice") == []

    home.run(scenario)
    assert home.phones.ladder() == ["1 REGISTER", "3 401", "1 REGISTER", "3 200"] * 2
    sent = [packet.data for packet in home.phones.world.trace if packet.data.startswith(b"REGISTER")]
    assert all(data.startswith(b"REGISTER sip:example.test SIP/2.0\r\n") for data in sent)
    assert len({data.split(b"Call-ID: ")[1].split(b"\r\n")[0] for data in sent}) == 1


@pytest.mark.row("REG-3", part="UAC")
def test_a_registration_is_refreshed_for_as_long_as_the_phone_lives(home: Home) -> None:
    alice = home.phone("alice", "10.0.0.1")

    async def scenario() -> None:
        await alice.register(300)
        for _ in range(20):
            await asyncio.sleep(299)
            assert home.bindings("alice") == ["sip:alice@10.0.0.1:5060"]
        await alice.unregister()

    home.run(scenario)


def test_a_wrong_password_is_refused(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    alice = home.phone("alice", "10.0.0.1", password="guess")

    async def scenario() -> None:
        with pytest.raises(CallRejected, match=r"401|403"):
            await alice.register()
        assert not alice.is_registered

    home.run(scenario)
    assert "registration of" not in caplog.text  # it was raised


def test_a_registrar_that_is_silent_is_a_timeout(home: Home) -> None:
    alice = home.phone("alice", "10.0.0.1", proxy="sip:10.0.0.77")

    async def scenario() -> None:
        with pytest.raises(TransactionTimeout):
            await alice.register()

    home.run(scenario)


def test_a_refresh_that_fails_is_told_in_the_log_and_tried_again(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    alice = home.phone("alice", "10.0.0.1")

    async def scenario() -> None:
        await alice.register(600)
        home.phones.world.partition("10.0.0.1", "10.0.0.3")
        await asyncio.sleep(580)
        assert alice.is_registered  # as far as it knows
        home.phones.world.heal()
        await asyncio.sleep(60)
        assert home.bindings("alice") == ["sip:alice@10.0.0.1:5060"]
        await alice.unregister()

    with caplog.at_level(logging.WARNING, "ringback"):
        home.run(scenario)
    assert "no final response in time" in caplog.text


def test_one_wish_more_while_a_register_is_out_is_done_after_it(home: Home) -> None:
    alice = home.phone("alice", "10.0.0.1")

    async def scenario() -> None:
        first = asyncio.ensure_future(alice.register(600))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(alice.register(900))
        assert (await first, await second) in [(600, 600), (600, 900)]
        await asyncio.sleep(1)
        await alice.unregister()

    home.run(scenario)


@pytest.mark.row("INV-4")
@pytest.mark.row("ACK-2")
@pytest.mark.row("BYE-3")
@pytest.mark.row("AUT-1", part="UAC")
def test_a_call_goes_through_the_server_with_credentials(home: Home) -> None:
    alice, bob = home.phone("alice", "10.0.0.1"), home.phone("bob", "10.0.0.2")

    @bob.on_call
    async def _(call: Call) -> None:
        await call.ring()
        await asyncio.sleep(1)
        await call.answer()
        await call.ended

    async def scenario() -> None:
        await bob.register()
        call = await alice.call("sip:bob@example.test")
        assert call.remote_body == ANSWER
        await asyncio.sleep(10)
        await call.hangup()
        with pytest.raises(CallRejected, match="404"):
            await alice.call("sip:nobody@example.test")
        await bob.unregister()
        with pytest.raises(CallRejected, match="480"):
            await alice.call("sip:bob@example.test")

    home.run(scenario)


def test_leaving_gives_the_registration_back(home: Home) -> None:
    alice = home.phone("alice", "10.0.0.1")

    async def scenario() -> None:
        await alice.register()
        await alice.close()
        assert home.bindings("alice") == []
        home.phones.agents.clear()  # a phone that has left has no timers to empty its tables

    home.run(scenario)


def test_the_registrar_may_be_another_than_the_domain_of_the_aor(phones: PhoneBench) -> None:
    alice = phones.agent("alice", "10.0.0.1", DOMAIN, registrar="sip:10.0.0.9")

    async def scenario() -> None:
        peer = ScriptedPeer(phones.world.host("10.0.0.9"))
        registering = asyncio.ensure_future(alice.register(120))
        request = await peer.expect_request("REGISTER")
        assert request.uri_text == "sip:10.0.0.9"
        assert request.to.uri_text == "sip:alice@example.test"
        assert request.get("contact") == "<sip:alice@10.0.0.1:5060>"
        assert request.expires == 120
        peer.reply(request, 200, to_tag="r", headers=[("Contact", "<sip:alice@10.0.0.1:5060>;expires=60")])
        assert await registering == 60
        leaving = asyncio.ensure_future(alice.unregister())
        request = await peer.expect_request("REGISTER")
        assert request.expires == 0
        peer.reply(request, 200, to_tag="r")
        await leaving
        peer.close()

    phones.run(scenario)
