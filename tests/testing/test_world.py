"""The simulated world does to packets what it says, and the same seed does the same again."""

from __future__ import annotations

import asyncio
import errno
import gc
import weakref

import pytest

from ringback import CallEnded
from ringback.errors import TransportError
from ringback.protocol.message.values import NameAddr
from ringback.testing.host import SimulatedHost
from ringback.testing.network import SimulatedEndpoint
from ringback.testing.virtual_time import EPOCH, SimulationStuck
from ringback.testing.world import World, collect_cycles

SERVER = "10.0.0.1"
PHONE = "10.0.0.2"


class Sink:
    """A socket that keeps what comes."""

    def __init__(self, host: SimulatedHost, address: str | None = None, port: int = 5060) -> None:
        self.got: list[tuple[bytes, tuple[str, int]]] = []
        self.errors: list[tuple[tuple[str, int], TransportError]] = []
        self.batches: list[int] = []
        self.endpoint: SimulatedEndpoint = host.bind(address or host.address, port, self._readable)

    def _readable(self, endpoint: object) -> None:
        batch = self.endpoint.receive(64)
        self.batches.append(len(batch))
        self.got += batch
        self.errors += self.endpoint.take_errors()

    @property
    def data(self) -> list[bytes]:
        return [data for data, _ in self.got]


def pair(world: World) -> tuple[Sink, Sink]:
    return Sink(world.host(SERVER)), Sink(world.host(PHONE))


def numbered(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


def test_an_hour_passes_without_waiting() -> None:
    with World() as world:
        moments = []

        async def main() -> None:
            for _ in range(60):
                await asyncio.sleep(60)
                moments.append(world.clock.now())

        world.run(main())
        assert moments == [EPOCH + 60 * (number + 1) for number in range(60)]


def test_a_deadline_given_in_seconds_since_1970_is_met_to_the_bit() -> None:
    with World() as world:
        seen = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            await asyncio.sleep(0.1)
            deadline = world.clock.now() + 0.7
            loop.call_at(
                loop.time() + (deadline - world.clock.now()), lambda: seen.append(world.clock.now() - deadline)
            )
            await asyncio.sleep(1)

        world.run(main())
        assert seen == [0.0]


def test_seconds_since_1970_and_seconds_since_the_start_agree_to_the_bit() -> None:
    with World(jitter=0.01) as world:

        async def main() -> None:
            for _ in range(100):
                await asyncio.sleep(world.random.random())
                assert world.clock.now() - EPOCH == asyncio.get_running_loop().time()

        world.run(main())


def test_a_packet_arrives_after_the_delay_with_its_source() -> None:
    with World(delay=0.025) as world:
        server, phone = pair(world)
        phone.endpoint.send(b"hello", (SERVER, 5060))
        world.advance(0.024)
        assert server.got == []
        world.advance(0.002)
        assert server.got == [(b"hello", (PHONE, 5060))]
        assert world.trace[0].fate == "delivered"
        assert world.trace[0].arrives_at == 0.025


def test_ipv6_hosts_reach_each_other() -> None:
    with World() as world:
        one, two = Sink(world.host("2001:db8::1")), Sink(world.host("2001:db8::2"))
        one.endpoint.send(b"hello", ("2001:db8::2", 5060))
        world.advance(1)
        assert two.got == [(b"hello", ("2001:db8::1", 5060))]


def test_an_address_of_the_other_family_is_unreachable() -> None:
    with World() as world:
        phone = Sink(world.host(PHONE))
        with pytest.raises(TransportError) as caught:
            phone.endpoint.send(b"hello", ("2001:db8::2", 5060))
        assert caught.value.errno == errno.ENETUNREACH


def test_a_socket_on_all_addresses_receives_on_each() -> None:
    with World() as world:
        server = Sink(world.host(SERVER, "10.0.0.9"), "0.0.0.0")
        phone = Sink(world.host(PHONE))
        phone.endpoint.send(b"one", (SERVER, 5060))
        phone.endpoint.send(b"two", ("10.0.0.9", 5060))
        world.advance(1)
        assert server.data == [b"one", b"two"]
        assert server.endpoint.local == ("0.0.0.0", 5060)
        assert world.host(SERVER).source_address(PHONE) == SERVER


def test_an_address_in_use_and_a_foreign_address_are_refused() -> None:
    with World() as world:
        host = world.host(SERVER)
        first = Sink(host)
        with pytest.raises(TransportError, match="in use") as caught:
            Sink(host)
        assert caught.value.errno == errno.EADDRINUSE
        with pytest.raises(TransportError, match="not an address of this host"):
            Sink(host, PHONE)
        first.endpoint.close()
        Sink(host)


def test_port_0_gives_a_free_port() -> None:
    with World() as world:
        host = world.host(SERVER)
        assert Sink(host, port=0).endpoint.local != Sink(host, port=0).endpoint.local


def test_a_datagram_that_is_too_long_is_refused() -> None:
    with World() as world:
        _, phone = pair(world)
        with pytest.raises(TransportError) as caught:
            phone.endpoint.send(b"x" * 65508, (SERVER, 5060))
        assert caught.value.errno == errno.EMSGSIZE


def test_a_name_is_no_destination() -> None:
    with World() as world:
        _, phone = pair(world)
        with pytest.raises(TransportError, match="numeric"):
            phone.endpoint.send(b"x", ("server.example.test", 5060))


def test_loss_takes_about_the_share_that_was_asked_for() -> None:
    with World(7, loss=0.2) as world:
        server, phone = pair(world)
        for data in numbered(1000):
            phone.endpoint.send(data, (SERVER, 5060))
        world.advance(1)
        assert 740 < len(server.got) < 860
        assert [packet.fate for packet in world.trace].count("lost") == 1000 - len(server.got)


def test_jitter_spreads_arrivals_and_keeps_the_order_of_a_path() -> None:
    with World(7, delay=0.01, jitter=0.05) as world:
        server, phone = pair(world)

        async def main() -> None:
            for data in numbered(200):
                phone.endpoint.send(data, (SERVER, 5060))
                await asyncio.sleep(0.001)
            await asyncio.sleep(1)

        world.run(main())
        assert server.data == numbered(200)
        ways = [packet.arrives_at - packet.sent_at for packet in world.trace]
        assert 0.01 <= min(ways) < 0.02
        assert 0.05 < max(ways) <= 0.0601


def test_reorder_lets_later_packets_overtake() -> None:
    with World(7, delay=0.01, reorder=0.1) as world:
        server, phone = pair(world)

        async def main() -> None:
            for data in numbered(200):
                phone.endpoint.send(data, (SERVER, 5060))
                await asyncio.sleep(0.005)
            await asyncio.sleep(1)

        world.run(main())
        assert sorted(server.data) == sorted(numbered(200))
        assert server.data != numbered(200)


def test_duplicates_arrive_twice() -> None:
    with World(7, duplicate=0.3) as world:
        server, phone = pair(world)
        for data in numbered(100):
            phone.endpoint.send(data, (SERVER, 5060))
        world.advance(1)
        assert 115 < len(server.got) < 145
        assert set(server.data) == set(numbered(100))
        assert sum(packet.copy for packet in world.trace) == len(server.got) - 100


def test_a_partition_cuts_both_ways_until_it_is_healed() -> None:
    with World() as world:
        server, phone = pair(world)
        other = Sink(world.host("10.0.0.3"))
        world.partition(world.host(PHONE), [world.host(SERVER)])
        phone.endpoint.send(b"1", (SERVER, 5060))
        server.endpoint.send(b"2", (PHONE, 5060))
        other.endpoint.send(b"3", (SERVER, 5060))
        world.advance(1)
        assert (server.data, phone.data) == ([b"3"], [])
        assert [packet.fate for packet in world.trace] == ["partitioned", "partitioned", "delivered"]
        world.heal()
        phone.endpoint.send(b"4", (SERVER, 5060))
        world.advance(1)
        assert server.data == [b"3", b"4"]


def test_a_link_has_weather_of_its_own() -> None:
    with World(delay=0.010) as world:
        server, phone = pair(world)
        other = Sink(world.host("10.0.0.3"))
        world.link(SERVER, world.host(PHONE), delay=0.5)
        phone.endpoint.send(b"slow", (SERVER, 5060))
        other.endpoint.send(b"quick", (SERVER, 5060))
        world.advance(1)
        assert server.data == [b"quick", b"slow"]
        world.link(SERVER, PHONE, loss=1.0)
        phone.endpoint.send(b"gone", (SERVER, 5060))
        world.advance(1)
        assert server.data == [b"quick", b"slow"]


def test_dropping_by_start_line_takes_only_so_many() -> None:
    with World() as world:
        server, phone = pair(world)
        with world.dropping("ACK", count=1) as dropped:
            for data in (b"ACK 1", b"INVITE", b"ACK 2"):
                phone.endpoint.send(data, (SERVER, 5060))
        phone.endpoint.send(b"ACK 3", (SERVER, 5060))
        world.advance(1)
        assert server.data == [b"INVITE", b"ACK 2", b"ACK 3"]
        assert [packet.data for packet in dropped] == [b"ACK 1"]


def test_dropping_by_a_function_of_the_packet() -> None:
    with World() as world:
        server, phone = pair(world)
        with world.dropping(lambda packet: packet.destination == (SERVER, 5060)):
            phone.endpoint.send(b"1", (SERVER, 5060))
            server.endpoint.send(b"2", (PHONE, 5060))
        world.advance(1)
        assert (server.data, phone.data) == ([], [b"2"])


def test_a_closed_port_is_silent_unless_icmp_is_on() -> None:
    with World() as world:
        phone = Sink(world.host(PHONE))
        world.host(SERVER)
        phone.endpoint.send(b"1", (SERVER, 5060))
        phone.endpoint.send(b"2", ("10.9.9.9", 5060))
        world.advance(1)
        assert phone.errors == []
        assert [packet.fate for packet in world.trace] == ["no port", "no host"]


def test_a_closed_port_is_reported_to_the_sender_when_icmp_is_on() -> None:
    with World(icmp=True) as world:
        phone = Sink(world.host(PHONE))
        world.host(SERVER)
        phone.endpoint.send(b"1", (SERVER, 5060))
        world.advance(1)
        [(destination, error)] = phone.errors
        assert destination == (SERVER, 5060)
        assert error.errno == errno.ECONNREFUSED


def test_at_most_the_limit_is_received_in_one_go_and_the_rest_is_announced_again() -> None:
    with World() as world:
        server, phone = pair(world)
        for data in numbered(150):
            phone.endpoint.send(data, (SERVER, 5060))
        world.advance(1)
        assert server.data == numbered(150)
        assert server.batches == [64, 64, 22]


def test_a_closed_socket_neither_sends_nor_receives() -> None:
    with World() as world:
        server, phone = pair(world)
        phone.endpoint.send(b"1", (SERVER, 5060))
        server.endpoint.close()
        server.endpoint.close()
        world.advance(1)
        assert server.got == []
        with pytest.raises(TransportError, match="closed"):
            server.endpoint.send(b"2", (PHONE, 5060))


async def _resolve(host: SimulatedHost, name: str, family: int | None = None) -> list[str]:
    return await host.addresses(name, family)


def test_names_come_from_the_zone_without_suspending() -> None:
    with World() as world:
        world.zone["example.test"] = ["10.0.0.1", "2001:db8::1"]
        host = world.host(PHONE)
        with pytest.raises(StopIteration) as answered:
            _resolve(host, "Example.TEST").send(None)
        assert answered.value.value == ["10.0.0.1", "2001:db8::1"]
        assert world.run(_resolve(host, "example.test", 6)) == ["2001:db8::1"]
        assert world.run(_resolve(host, "10.1.2.3")) == ["10.1.2.3"]
        with pytest.raises(TransportError, match="nowhere"):
            world.run(_resolve(host, "nowhere.test"))


def storm(seed: int) -> tuple[str, list[str]]:
    with World(seed, loss=0.2, jitter=0.03, duplicate=0.1, reorder=0.1) as world:
        server, phone = pair(world)

        async def main() -> None:
            for data in numbered(100):
                phone.endpoint.send(data, (SERVER, 5060))
                server.endpoint.send(data, (PHONE, 5060))
                await asyncio.sleep(world.random.random() * 0.01)
            await asyncio.sleep(1)

        world.run(main())
        ids = world.host(PHONE).ids
        return world.dump(), [ids.branch(), ids.tag(), ids.call_id(), str(ids.number(1, 2**31))]


def test_the_same_seed_gives_the_same_trace_and_ids() -> None:
    assert storm(41) == storm(41)


def test_another_seed_gives_another_trace_and_other_ids() -> None:
    one, other = storm(41), storm(42)
    assert one[0] != other[0]
    assert one[1] != other[1]


def test_hosts_draw_different_ids() -> None:
    with World() as world:
        assert world.host(SERVER).ids.branch() != world.host(PHONE).ids.branch()
        assert world.host(SERVER) is world.host(SERVER)


def test_waiting_for_what_cannot_happen_fails_at_once() -> None:
    with World() as world:

        async def main() -> None:
            await asyncio.Event().wait()

        with pytest.raises(SimulationStuck, match="nothing can happen"):
            world.run(main())


def test_a_run_ends_at_its_limit() -> None:
    with World() as world:

        async def main() -> None:
            while True:
                await asyncio.sleep(10)

        with pytest.raises(SimulationStuck, match="limit of 100 s"):
            world.run(main(), limit=100)


def test_a_loop_that_stands_still_is_noticed() -> None:
    with World() as world:

        async def main() -> None:
            while True:
                await asyncio.sleep(0)

        with pytest.raises(SimulationStuck, match="without the clock moving"):
            world.run(main())


def test_check_quiet_waits_until_the_tables_are_empty() -> None:
    with World() as world:
        table = {1: "transaction"}
        world.watch("server", lambda: {"transactions": len(table)})
        world.loop.call_later(180, table.clear)
        world.check_quiet()
        assert 180 <= world.now < 250


def test_check_quiet_names_the_table_that_does_not_empty() -> None:
    with World() as world:
        world.watch("server", lambda: {"transactions": 3, "timers": 0})
        with pytest.raises(AssertionError, match=r"not quiet after 600 s: \{'server: transactions': 3\}"):
            world.check_quiet()


def test_check_quiet_waits_for_packets_on_their_way() -> None:
    with World(delay=5) as world:
        server, phone = pair(world)
        phone.endpoint.send(b"1", (SERVER, 5060))
        world.check_quiet()
        assert server.data == [b"1"]


def test_check_quiet_finds_a_cycle_of_our_own() -> None:
    with World() as world:
        server, phone = pair(world)
        assert collect_cycles() == []
        phone.endpoint.close()
        phone.endpoint._network = phone.endpoint
        del phone
        with pytest.raises(AssertionError, match="SimulatedEndpoint"):
            world.check_quiet()
        assert server.got == []


def test_a_kept_error_of_a_test_is_no_cycle_of_ours() -> None:
    """``as refusal`` makes a cycle through the test's own frame, in a coroutine as well as in a function."""

    def fail() -> None:
        address = NameAddr("sip:bob@example.test")
        raise CallEnded(f"by {address}")

    async def expect_in_coroutine() -> None:
        with pytest.raises(CallEnded) as refusal:
            fail()
        assert "by" in str(refusal.value)

    def expect() -> None:
        with pytest.raises(CallEnded) as refusal:
            fail()
        assert "by" in str(refusal.value)

    with World() as world:
        world.run(expect_in_coroutine())
        expect()
        world.check_quiet()


def test_the_collector_is_as_before_after_the_world() -> None:
    was = gc.isenabled()
    with World():
        assert not gc.isenabled()
    assert gc.isenabled() == was
    assert gc.get_freeze_count() == 0


def test_a_closed_world_is_freed_without_the_collector() -> None:
    with World() as world:
        stack = world.stack(world.host(SERVER))
        world.run(stack.listen("UDP", SERVER, 5060))
        phone = Sink(world.host(PHONE))
        phone.endpoint.send(b"1", (SERVER, 5060))
        world.advance(1)
        phone.endpoint.close()
    left = weakref.ref(world)
    del world, stack, phone
    assert left() is None


def test_what_is_to_be_done_at_the_end_is_done_when_the_world_closes_last_first() -> None:
    done: list[str] = []

    async def closing(name: str) -> None:
        await asyncio.sleep(1)
        done.append(name)

    with World() as world:
        world.at_end(lambda: closing("first"))
        world.at_end(lambda: closing("second"))
        world.check_quiet()
        assert done == []
    assert done == ["second", "first"]


def test_closing_the_world_cancels_what_runs() -> None:
    ended = []

    async def forever() -> None:
        try:
            await asyncio.sleep(10**6)
        finally:
            ended.append(True)

    async def main() -> None:
        tasks.append(asyncio.ensure_future(forever()))
        await asyncio.sleep(0)

    tasks: list[asyncio.Future[None]] = []
    world = World()
    world.run(main())
    world.close()
    world.close()
    assert ended == [True]


def test_the_dump_shows_time_path_start_line_and_fate() -> None:
    with World(loss=1.0) as world:
        _, phone = pair(world)
        phone.endpoint.send(b"OPTIONS sip:x SIP/2.0\r\nVia: y\r\n\r\n", (SERVER, 5060))
        assert world.dump().split() == [
            "0.000000", f"{PHONE}:5060", "->", f"{SERVER}:5060", "OPTIONS", "sip:x", "SIP/2.0", "[lost]",
        ]  # fmt: skip
