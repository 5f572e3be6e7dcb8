"""The DNS of the simulated world: records of every type, with times to live, delays and failures."""

from __future__ import annotations

import asyncio

import pytest

from ringback.errors import TransportError
from ringback.protocol.routing.records import Naptr, Record, Srv
from ringback.testing.host import SimulatedHost
from ringback.testing.world import World
from ringback.transport.coroutines import drive

NAPTR = Naptr(1, 1, "s", "SIP+D2U", "_sip._udp.example.test")
SRV = Srv(1, 1, 5060, "a.example.test")


def fill(world: World) -> SimulatedHost:
    world.zone["example.test"] = [NAPTR, SRV, "10.0.0.1", "2001:db8::1"]
    return world.host("10.0.0.9")


@pytest.mark.parametrize(
    ("kind", "records"), [("NAPTR", [NAPTR]), ("SRV", [SRV]), ("A", ["10.0.0.1"]), ("AAAA", ["2001:db8::1"])]
)
def test_a_question_is_answered_at_once_by_the_records_of_its_type(kind: str, records: list[Record]) -> None:
    with World() as world:
        host = fill(world)
        assert drive(host.records("Example.TEST", kind)) == records
        assert drive(host.records("other.test", kind)) == []
        assert world.names.asked == [("10.0.0.9", "Example.TEST", kind), ("10.0.0.9", "other.test", kind)]
        assert world.run(host.addresses("example.test")) == ["10.0.0.1", "2001:db8::1"]


def test_a_name_with_a_time_to_live_is_asked_for_once_in_that_time_by_each_host() -> None:
    with World() as world:
        one, other = fill(world), world.host("10.0.0.8")
        world.names.behave("example.test", ttl=30)

        async def scenario() -> None:
            for host, wait, questions in ((one, 0, 1), (one, 29, 1), (one, 2, 2), (other, 0, 3)):
                await asyncio.sleep(wait)
                assert await host.records("example.test", "A") == ["10.0.0.1"]
                assert len(world.names.asked) == questions

        world.run(scenario())


def test_a_delay_passes_in_virtual_time_and_is_shared_by_those_who_wait() -> None:
    with World() as world:
        host = fill(world)
        world.names.behave(delay=2)

        async def scenario() -> None:
            assert await asyncio.gather(*(host.records("example.test", "A") for _ in range(9))) == [["10.0.0.1"]] * 9

        world.run(scenario())
        assert world.now == 2
        assert len(world.names.asked) == 1


@pytest.mark.parametrize(
    ("conduct", "seconds"), [({"fails": True}, 0), ({"fails": True, "delay": 1}, 1), ({"delay": 60}, 5)]
)
def test_a_name_can_fail_at_once_later_or_by_never_answering(conduct: dict[str, float], seconds: float) -> None:
    with World() as world:
        host = fill(world)
        world.names.behave("example.test", **conduct)

        async def scenario() -> None:
            with pytest.raises(TransportError):
                await host.records("example.test", "A")

        world.run(scenario())
        assert world.now == seconds
