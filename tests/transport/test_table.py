"""Which socket reaches a hop, and what we call ourselves on it."""

from __future__ import annotations

import pytest

from ringback.errors import TransportError
from ringback.protocol.routing.flow import Flow, Hop
from ringback.testing.world import World
from ringback.transport import table as module
from ringback.transport.table import Listener, TransportTable


def table_on(
    world: World, *hosts: str, advertised: tuple[str, int] | None = None
) -> tuple[TransportTable, list[Listener]]:
    machine = world.host("192.0.2.1", "127.0.0.1", "2001:db8::1", "::1")
    table = TransportTable(machine)

    async def listen() -> list[Listener]:
        return [await table.listen("UDP", host, 5060, lambda _: None, advertised) for host in hosts]

    return table, world.run(listen())


def test_a_hop_is_reached_by_a_socket_of_its_family() -> None:
    with World() as world:
        table, _ = table_on(world, "192.0.2.1", "2001:db8::1")
        assert table.flow_to(Hop("UDP", "192.0.2.9", 5070)).local == ("192.0.2.1", 5060)
        assert table.flow_to(Hop("UDP", "2001:db8::9", 5070)).local == ("2001:db8::1", 5060)
        assert table.flow_to(Hop("UDP", "2001:db8::9", 5070)).remote == ("2001:db8::9", 5070)


def test_loopback_sockets_are_for_loopback_hops() -> None:
    with World() as world:
        table, _ = table_on(world, "127.0.0.1", "192.0.2.1")
        assert table.flow_to(Hop("UDP", "192.0.2.9", 5060)).local[0] == "192.0.2.1"
        assert table.flow_to(Hop("UDP", "127.0.0.1", 5070)).local[0] == "127.0.0.1"


def test_a_machine_without_loopback_socket_reaches_its_loopback_all_the_same() -> None:
    with World() as world:
        table, _ = table_on(world, "192.0.2.1")
        assert table.flow_to(Hop("UDP", "127.0.0.1", 5070)).local[0] == "192.0.2.1"


def test_only_loopback_sockets_do_not_reach_the_world() -> None:
    with World() as world:
        table, _ = table_on(world, "127.0.0.1")
        with pytest.raises(TransportError, match="loopback"):
            table.flow_to(Hop("UDP", "192.0.2.9", 5060))


def test_a_hop_without_a_fitting_socket_is_a_transport_error() -> None:
    with World() as world:
        table, _ = table_on(world, "192.0.2.1")
        with pytest.raises(TransportError, match="no UDP socket for IPv6"):
            table.flow_to(Hop("UDP", "2001:db8::9", 5060))
        with pytest.raises(TransportError, match="no TLS socket"):
            table.flow_to(Hop("TLS", "192.0.2.9", 5061))
        with pytest.raises(TransportError, match="not a numeric address"):
            table.flow_to(Hop("UDP", "example.test", 5060))
        assert table.reaches("UDP", "192.0.2.9")
        assert not table.reaches("UDP", "2001:db8::9")


def test_flows_of_the_same_peer_are_the_same_object() -> None:
    with World() as world:
        table, [listener] = table_on(world, "192.0.2.1")
        assert listener.flow(("192.0.2.9", 5070)) is table.flow_to(Hop("UDP", "192.0.2.9", 5070))


@pytest.mark.threat("T7")
def test_remembered_flows_and_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KNOWN_FLOWS", 10)
    with World() as world:
        table, [listener] = table_on(world, "0.0.0.0")
        for number in range(100):
            table.sent_by(table.flow_to(Hop("UDP", f"192.0.2.{number}", 5060)))
        assert max(len(listener._flows), len(table._flows), len(table._own_names)) <= 10


def test_we_are_called_by_the_address_we_are_bound_to() -> None:
    with World() as world:
        table, [four, six] = table_on(world, "192.0.2.1", "2001:db8::1")
        assert table.sent_by(four.flow(("192.0.2.9", 5060))) == "192.0.2.1:5060"
        assert table.sent_by(six.flow(("2001:db8::9", 5060))) == "[2001:db8::1]:5060"


def test_bound_to_all_we_are_called_by_the_address_we_send_from() -> None:
    with World() as world:
        table, [four, six] = table_on(world, "0.0.0.0", "::")
        assert table.sent_by(four.flow(("192.0.2.9", 5060))) == "192.0.2.1:5060"
        assert table.sent_by(six.flow(("2001:db8::9", 5060))) == "[2001:db8::1]:5060"


def test_an_advertised_address_is_what_we_are_called_by() -> None:
    with World() as world:
        table, [listener] = table_on(world, "0.0.0.0", advertised=("203.0.113.5", 15060))
        assert table.sent_by(listener.flow(("192.0.2.9", 5060))) == "203.0.113.5:15060"


def test_a_closed_table_has_no_sockets() -> None:
    with World() as world:
        table, _ = table_on(world, "192.0.2.1")
        table.close()
        with pytest.raises(TransportError, match="no socket on"):
            table.sent_by(Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.9", 5060)))
        with pytest.raises(TransportError):
            table.flow_to(Hop("UDP", "192.0.2.9", 5060))


def test_a_transport_that_is_not_there_is_refused() -> None:
    with World() as world:
        table, _ = table_on(world)
        with pytest.raises(TransportError, match="TLS is not available"):
            world.run(table.listen("TLS", "192.0.2.1", 5061, lambda _: None))
