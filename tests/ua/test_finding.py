"""A user agent finds who it calls by DNS, goes on to the next server, and follows where it is sent."""

from __future__ import annotations

import asyncio

import pytest

from ringback.errors import CallRejected, TransportError
from ringback.protocol.routing.records import Naptr, Srv
from ringback.testing.peer import ScriptedPeer
from tests.ua.conftest import ANSWER, PhoneBench

FAR = "sip:bob@far.test"


def publish(phones: PhoneBench) -> None:
    """far.test: nobody at the first server, Bob at the second."""
    phones.world.zone.update(
        {
            "far.test": [Naptr(10, 10, "s", "SIP+D2U", "_sip._udp.far.test")],
            "_sip._udp.far.test": [Srv(10, 0, 5060, "a.far.test"), Srv(20, 0, 5060, "b.far.test")],
            "a.far.test": ["10.0.0.8"],
            "b.far.test": ["10.0.0.2"],
        }
    )


@pytest.mark.row("TRN-3", part="failover")
@pytest.mark.rfc("3263 4.3")
def test_a_call_reaches_the_second_server_after_timer_b_and_the_next_at_once(phones: PhoneBench) -> None:
    alice, bob = phones.pair()
    publish(phones)
    bob.on_call(lambda call: call.answer(ANSWER))

    async def scenario() -> None:
        for least, most in ((32.0, 32.5), (0.0, 0.2)):
            began = phones.world.now
            call = await alice.call(FAR)
            assert least <= phones.world.now - began < most
            await call.hangup()

    phones.run(scenario)


@pytest.mark.row("INV-6", part="3xx")
def test_a_redirected_call_is_answered_where_it_was_sent(phones: PhoneBench) -> None:
    alice, bob = phones.pair()
    bob.on_call(lambda call: call.answer(ANSWER))
    redirector = ScriptedPeer(phones.world.host("10.0.0.8"))

    async def scenario() -> None:
        async def redirect() -> None:
            invite = await redirector.expect_request("INVITE")
            redirector.reply(invite, 302, to_tag="r", headers=[("Contact", "<sip:bob@10.0.0.2>")])
            await redirector.expect_request("ACK")

        redirecting = asyncio.ensure_future(redirect())
        call = await alice.call("sip:bob@10.0.0.8")
        await redirecting
        await call.hangup()

    phones.run(scenario)


@pytest.mark.row("INV-6", part="3xx")
def test_a_user_agent_that_does_not_follow_reports_the_redirection(phones: PhoneBench) -> None:
    alice = phones.agent("alice", "10.0.0.1", redirects=False)
    redirector = ScriptedPeer(phones.world.host("10.0.0.8"))

    async def scenario() -> None:
        calling = asyncio.ensure_future(alice.call("sip:bob@10.0.0.8"))
        redirector.reply(
            await redirector.expect_request("INVITE"), 302, to_tag="r", headers=[("Contact", "<sip:bob@10.0.0.2>")]
        )
        with pytest.raises(CallRejected) as rejected:
            await calling
        assert rejected.value.response.contacts[0].uri_text == "sip:bob@10.0.0.2"

    phones.run(scenario)


@pytest.mark.threat("T10")
@pytest.mark.parametrize("conduct", [{"delay": 3600.0}, {"fails": True}], ids=["slow", "broken"])
def test_a_name_that_cannot_be_found_out_fails_the_call_in_time(phones: PhoneBench, conduct: dict[str, float]) -> None:
    alice = phones.agent("alice", "10.0.0.1")
    for name in ("far.test", "_sip._udp.far.test"):
        phones.world.names.behave(name, **conduct)

    async def scenario() -> None:
        began = phones.world.now
        with pytest.raises(TransportError):
            await alice.call(FAR)
        assert phones.world.now - began <= 10.1

    phones.run(scenario)
