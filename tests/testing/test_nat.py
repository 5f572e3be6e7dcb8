"""The simulated NAT has the habits that SIP must live with."""

from __future__ import annotations

from ringback.testing.host import SimulatedHost
from ringback.testing.world import World

SERVER = "203.0.113.1"
PUBLIC = "198.51.100.7"
INSIDE = "192.168.1.10"


class Sink:
    def __init__(self, host: SimulatedHost, port: int = 5060) -> None:
        self.got: list[tuple[bytes, tuple[str, int]]] = []
        self.endpoint = host.bind(host.address, port, lambda endpoint: self.got.extend(endpoint.receive(64)))


def test_the_far_end_sees_the_public_address_and_can_answer_it() -> None:
    with World() as world:
        world.nat("192.168.1.0/24", PUBLIC)
        server, phone = Sink(world.host(SERVER)), Sink(world.host(INSIDE))
        phone.endpoint.send(b"1", (SERVER, 5060))
        world.advance(1)
        [(_, seen)] = server.got
        assert seen[0] == PUBLIC
        assert seen[1] != 5060
        server.endpoint.send(b"2", seen)
        world.advance(1)
        assert phone.got == [(b"2", (SERVER, 5060))]


def test_nothing_gets_in_from_where_nothing_was_sent_to() -> None:
    with World() as world:
        world.nat("192.168.1.0/24", PUBLIC)
        server, stranger, phone = Sink(world.host(SERVER)), Sink(world.host("203.0.113.2")), Sink(world.host(INSIDE))
        phone.endpoint.send(b"1", (SERVER, 5060))
        world.advance(1)
        seen = server.got[0][1]
        stranger.endpoint.send(b"2", seen)
        server.endpoint.send(b"3", (PUBLIC, seen[1] + 1))
        world.advance(1)
        assert phone.got == []
        assert [packet.fate for packet in world.trace] == ["delivered", "no mapping", "no mapping"]


def test_a_private_address_is_unreachable_from_outside() -> None:
    with World() as world:
        world.nat("192.168.1.0/24", PUBLIC)
        server, _ = Sink(world.host(SERVER)), Sink(world.host(INSIDE))
        server.endpoint.send(b"1", (INSIDE, 5060))
        world.advance(1)
        assert world.trace[0].fate == "no host"


def test_hosts_behind_the_same_nat_reach_each_other_directly() -> None:
    with World() as world:
        world.nat("192.168.1.0/24", PUBLIC)
        one, two = Sink(world.host(INSIDE)), Sink(world.host("192.168.1.11"))
        one.endpoint.send(b"1", ("192.168.1.11", 5060))
        world.advance(1)
        assert two.got == [(b"1", (INSIDE, 5060))]


def test_hosts_behind_the_same_nat_reach_each_other_by_the_public_address() -> None:
    with World() as world:
        world.nat("192.168.1.0/24", PUBLIC)
        server, one, two = Sink(world.host(SERVER)), Sink(world.host(INSIDE)), Sink(world.host("192.168.1.11"))
        one.endpoint.send(b"1", (SERVER, 5060))
        two.endpoint.send(b"2", (SERVER, 5060))
        world.advance(1)
        first, second = (source for _, source in server.got)
        two.endpoint.send(b"3", first)
        world.advance(1)
        assert one.got == []  # not let in yet: nothing was sent to that peer
        one.endpoint.send(b"4", second)
        two.endpoint.send(b"5", first)
        world.advance(1)
        assert two.got == [(b"4", first)]
        assert one.got == [(b"5", second)]


def test_an_unused_mapping_expires_and_the_next_packet_gets_another_port() -> None:
    with World() as world:
        world.nat("192.168.1.0/24", PUBLIC, timeout=30)
        server, phone = Sink(world.host(SERVER)), Sink(world.host(INSIDE))
        phone.endpoint.send(b"1", (SERVER, 5060))
        world.advance(29)
        phone.endpoint.send(b"2", (SERVER, 5060))
        world.advance(31)
        server.endpoint.send(b"3", server.got[1][1])
        phone.endpoint.send(b"4", (SERVER, 5060))
        world.advance(1)
        first, second, third = (source[1] for _, source in server.got)
        assert first == second != third
        assert phone.got == []


def test_a_symmetric_nat_gives_each_destination_its_own_port() -> None:
    with World() as world:
        world.nat(INSIDE, PUBLIC, symmetric=True)
        one, two, phone = Sink(world.host(SERVER)), Sink(world.host("203.0.113.2")), Sink(world.host(INSIDE))
        phone.endpoint.send(b"1", (SERVER, 5060))
        phone.endpoint.send(b"2", ("203.0.113.2", 5060))
        world.advance(1)
        assert one.got[0][1][1] != two.got[0][1][1]


def test_a_restarted_nat_lets_nothing_in() -> None:
    with World() as world:
        nat = world.nat("192.168.1.0/24", PUBLIC)
        server, phone = Sink(world.host(SERVER)), Sink(world.host(INSIDE))
        phone.endpoint.send(b"1", (SERVER, 5060))
        world.advance(1)
        nat.forget()
        server.endpoint.send(b"2", server.got[0][1])
        world.advance(1)
        assert phone.got == []
        assert "behind NAT" in world.dump()
