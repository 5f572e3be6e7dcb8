"""RFC 3263 with a resolver: all of a round at once, none for too long, and only what we reach."""

from __future__ import annotations

import pytest

from ringback.errors import TransportError
from ringback.protocol.message.uri import Uri
from ringback.protocol.routing.flow import Hop
from ringback.protocol.routing.locate import Locate
from ringback.protocol.routing.records import Srv
from ringback.runtime.dead_targets import DeadTargets
from ringback.runtime.locator import PATIENCE, ROUNDS, locate, reach_of
from ringback.testing.world import World
from ringback.transport.coroutines import drive


def over_udp(transport: str, host: str) -> bool:
    return transport == "UDP" and ":" not in host


def question(uri: str = "sip:example.test") -> Locate:
    return Locate("core", 1, Uri.parse(uri))


def test_what_we_reach_is_what_has_a_socket() -> None:
    reach = reach_of(over_udp)
    assert (reach.transports, reach.families) == (("UDP",), (4,))
    both = reach_of(lambda transport, host: transport in ("TLS", "TCP"))
    assert (both.transports, both.families) == (("TCP", "TLS"), (4, 6))


def test_what_is_known_is_answered_without_waiting_and_the_dead_come_last() -> None:
    with World() as world:
        world.zone["_sip._udp.example.test"] = [Srv(0, 0, 5060, "a.test"), Srv(1, 0, 5060, "b.test")]
        world.zone["a.test"], world.zone["b.test"] = ["10.0.0.1"], ["10.0.0.2"]
        dead = DeadTargets()
        dead.bury("UDP", ("10.0.0.1", 5060), 0.0)
        hops = drive(locate(question(), world.host("10.0.0.9"), over_udp, min, dead, 1.0))
        assert hops == [Hop("UDP", "10.0.0.2", 5060), Hop("UDP", "10.0.0.1", 5060)]


@pytest.mark.threat("T10")
def test_a_silent_dns_leaves_time_for_what_the_machine_knows_itself() -> None:
    with World() as world:
        world.zone["example.test"] = ["10.0.0.1"]
        world.names.behave("_sip._udp.example.test", delay=3600)

        class HostsFile:
            """The addresses are known at once, though the DNS says nothing."""

            def __init__(self) -> None:
                self.dns = world.host("10.0.0.9")

            async def records(self, name: str, kind: str) -> list[object]:
                world.names.behave("example.test", delay=0 if kind == "A" else 3600)
                return await self.dns.records(name, kind)

        async def scenario() -> None:
            assert await locate(question(), HostsFile(), over_udp) == [Hop("UDP", "10.0.0.1", 5060)]

        world.run(scenario())
        assert world.now == pytest.approx(2 * PATIENCE / ROUNDS)


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("sip:nowhere.test", "no address for nowhere.test"),
        ("sip:[2001:db8::1]", "no socket of ours"),
        ("sips:192.0.2.1", "no socket of ours"),
        ("tel:+4930123", "tel"),
    ],
)
def test_what_leads_nowhere_says_why(uri: str, text: str) -> None:
    with World() as world, pytest.raises(TransportError, match=text):
        drive(locate(question(uri), world.host("10.0.0.9"), over_udp))
