"""A stack over TLS: who is believed, which connection may carry what (RFC 5922, RFC 5923), and who is cut off."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ringback.errors import CallEnded, TransportError
from ringback.protocol.routing.flow import Hop
from ringback.protocol.transaction.events import TransportFailed
from ringback.runtime.stack import Stack
from ringback.server.server import Server
from ringback.server.settings import build
from ringback.testing.peer import as_datagram
from ringback.testing.stream_peer import StreamPeer, StreamPort
from ringback.testing.world import World
from ringback.transport.tls import TlsConfiguration
from ringback.ua.call import Call
from ringback.ua.user_agent import UserAgent
from tests.certificates import authority, stranger
from tests.runtime.test_stack import RecordingCore
from tests.runtime.test_streams import PHONE, SERVER, answer_all, request_text, send

ADDRESS = (SERVER, 5061)
DOMAIN = "example.test"


def make_stack(world: World, tls: TlsConfiguration | None = None, **more: Any) -> tuple[Stack, RecordingCore]:
    stack = world.stack(world.host(SERVER), tls=tls or authority().server(DOMAIN, SERVER), **more)
    core = RecordingCore()
    stack.add("core", core)
    world.run(stack.listen("TLS", SERVER, 5061))
    return stack, core


def hop(name: str = "", port: int = 5061) -> Hop:
    return Hop("TLS", PHONE, port, name)


def failures(core: RecordingCore) -> list[str]:
    return [event.text for event in core.events if isinstance(event, TransportFailed)]


def over_tls(via: str = "", branch: str = "z9hG4bKa") -> bytes:
    return as_datagram(request_text(branch=branch, via=via).replace("/TCP", "/TLS"))


@pytest.mark.row("TRN-2", part="TLS in the simulated world")
def test_a_request_is_answered_over_tls(world: World) -> None:
    stack, _ = make_stack(world)
    seen = answer_all(stack)

    async def main() -> None:
        peer = await StreamPeer.connect(world.host(PHONE), ADDRESS, tls=authority().client(), name=DOMAIN)
        peer.send(over_tls())
        await peer.expect(200)
        peer.close()

    world.run(main())
    assert seen[0][1].transport == "TLS"


@pytest.mark.rfc("5922 7.3")
@pytest.mark.row("TRN-7", part="wrong name")
def test_a_server_with_a_certificate_of_another_name_is_not_spoken_to(world: World) -> None:
    stack, core = make_stack(world)

    async def main() -> None:
        port = await StreamPort(authority().server("other.test")).open(world.host(PHONE), 5061)
        send(stack, hop=hop(DOMAIN))
        peer = await port.accepted()
        await peer.until_closed()
        assert peer.data == b""

    world.run(main())
    assert failures(core) == ["TLS: the peer's certificate is for other.test, not for example.test (RFC 5922 §7)"]


@pytest.mark.parametrize("who", ["stranger", "no tls"])
def test_a_server_that_nobody_vouches_for_is_not_spoken_to(world: World, who: str) -> None:
    stack, core = make_stack(world)

    async def main() -> None:
        port = await StreamPort(stranger().server(DOMAIN) if who == "stranger" else None).open(world.host(PHONE), 5061)
        send(stack, hop=hop(DOMAIN))
        peer = await port.accepted()
        if who == "no tls":
            peer.send(b"SIP/2.0 200 OK\r\n\r\n")
        await peer.until_closed()

    world.run(main())
    assert failures(core)[0].startswith("TLS: the peer's certificate is not trusted" if who == "stranger" else "TLS: ")


@pytest.mark.rfc("5923 8.1", "5923 9.3")
def test_a_connection_serves_another_domain_only_if_its_certificate_speaks_for_it(world: World) -> None:
    stack, _ = make_stack(world)

    async def main() -> None:
        port = await StreamPort(authority().server("a.test", "b.test", PHONE)).open(world.host(PHONE), 5061)
        _, first = send(stack, hop=hop("a.test"))
        peer = await port.accepted()
        peer.reply(await peer.expect_request("OPTIONS"), 200)
        await asyncio.sleep(0.1)
        for name in ("a.test", "b.test", ""):
            _, flow = send(stack, hop=hop(name))
            assert flow == first
            peer.reply(await peer.expect_request("OPTIONS"), 200)
            await asyncio.sleep(0.1)
        _, other = send(stack, hop=hop("c.test"))
        assert other != first
        await asyncio.sleep(0.1)

    world.run(main())


@pytest.mark.rfc("5923 8.2", "5923 9.2")
@pytest.mark.parametrize(("certified", "used"), [("proxy.test", True), ("other.test", False), ("", False)])
def test_an_alias_counts_for_the_names_that_a_certificate_proves(world: World, certified: str, used: bool) -> None:
    stack, _ = make_stack(world, authority().server(DOMAIN, clients="optional"))
    answer_all(stack)
    client = authority().server(certified) if certified else authority().client()

    async def main() -> None:
        peer = await StreamPeer.connect(world.host(PHONE), ADDRESS, tls=client, name=DOMAIN)
        peer.send(over_tls(via=";alias"))
        await peer.expect(200)
        _, flow = send(stack, hop=hop("proxy.test", 5060))
        if used:
            assert flow.remote == peer.local
            peer.reply(await peer.expect_request("OPTIONS"), 200)
            await asyncio.sleep(0.1)
        else:
            await peer.silence(1.0)
        peer.close()
        await asyncio.sleep(0.1)
        assert stack.flow_to(hop("proxy.test", 5060)) != flow  # the connection is gone, and the alias with it
        await asyncio.sleep(0.1)

    world.run(main())


@pytest.mark.threat("T8")
def test_a_handshake_that_does_not_end_is_cut_off_and_holds_up_nobody(world: World) -> None:
    stack, _ = make_stack(world)
    answer_all(stack)

    async def main() -> None:
        silent = await StreamPeer.connect(world.host(PHONE), ADDRESS)
        half = await StreamPeer.connect(world.host(PHONE), ADDRESS)
        half.send(b"\x16\x03\x01\x02\x00\x01")
        await asyncio.sleep(9.0)
        peer = await StreamPeer.connect(world.host("10.0.0.7"), ADDRESS, tls=authority().client(), name=DOMAIN)
        peer.send(over_tls())
        await peer.expect_response(200, timeout=0.1)
        assert silent.is_open
        await silent.until_closed(2.0)
        await half.until_closed(2.0)
        peer.close()

    world.run(main())


@pytest.mark.threat("T8")
def test_plain_sip_on_the_tls_port_is_cut_off_at_once(world: World) -> None:
    make_stack(world)

    async def main() -> None:
        peer = await StreamPeer.connect(world.host(PHONE), ADDRESS)
        peer.send(over_tls())
        await peer.until_closed(0.2)

    world.run(main())


def test_without_a_certificate_connections_are_opened_and_none_is_accepted(world: World) -> None:
    stack, _ = make_stack(world, authority().client())

    async def main() -> None:
        port = await StreamPort(authority().server(DOMAIN)).open(world.host(PHONE), 5061)
        send(stack, hop=hop(DOMAIN))
        peer = await port.accepted()
        peer.reply(await peer.expect_request("OPTIONS"), 200)
        with pytest.raises(TransportError, match="refused"):
            await world.host(PHONE).connect_stream(*ADDRESS, StreamPeer())
        await asyncio.sleep(0.1)

    world.run(main())


def test_tls_without_a_configuration_is_a_transport_error(world: World) -> None:
    stack = world.stack(world.host(SERVER))
    with pytest.raises(TransportError, match="needs a configuration"):
        world.run(stack.listen("TLS", SERVER, 5061))


@pytest.mark.row("TRN-2", "TRN-7", "BYE-4", part="phones without certificates")
@pytest.mark.parametrize("who", ["caller", "callee"])
@pytest.mark.parametrize("scheme", ["sip", "sips"])
def test_phones_without_certificates_call_each_other_over_tls(world: World, who: str, scheme: str) -> None:
    """Every request to them, within dialogs too, comes on the connections that they opened."""
    host = world.host(SERVER)
    mine = authority().issue(DOMAIN)
    server = Server(
        build(
            {
                "listen": [f"tls:{SERVER}:5061"],
                "domains": [DOMAIN],
                "store": "sqlite::memory:",
                "open": True,
                "tls": {"certificate": str(mine.both), "authorities": str(authority().file)},
            }
        ),
        network=host,
        clock=host.clock,
        resolver=host,
        ids=host.ids,
    )
    world.zone[DOMAIN] = [SERVER]
    world.at_end(server.close)

    def phone(name: str, address: str) -> UserAgent:
        machine = world.host(address)
        agent = UserAgent(
            f"sip:{name}@{DOMAIN}",
            listen=f"tls:{address}:5061",
            tls=authority().client(),
            proxy=f"{scheme}:{DOMAIN};transport=tls",
            sdp=b"v=0\r\n",
            network=machine,
            resolver=machine,
            clock=machine.clock,
            ids=machine.ids,
        )
        world.watch(name, agent.counts)
        world.at_end(agent.close)
        return agent

    alice, bob = phone("alice", "10.0.0.2"), phone("bob", "10.0.0.3")
    taken: list[Call] = []

    @bob.on_call
    async def _(call: Call) -> None:
        taken.append(call)
        await call.answer(b"v=0\r\n", content_type="application/sdp")
        try:
            if who == "callee":
                await asyncio.sleep(1.0)
                await call.hangup()
        except CallEnded:
            pass
        await call.ended

    async def main() -> None:
        await server.start()
        await alice.start()
        await bob.start()
        await bob.register(expires=7200)
        call = await alice.call(f"{scheme}:bob@{DOMAIN}")
        if who == "caller":
            await asyncio.sleep(1.0)
            await call.hangup()
        await asyncio.wait_for(call.ended, 5.0)
        await asyncio.wait_for(taken[0].ended, 5.0)
        assert server.stack.connections is not None
        assert len(server.stack.connections) == 2

    world.run(main())


@pytest.mark.row("TRN-7", part="no fall-back")
@pytest.mark.rfc("3261 26.2.2")
def test_a_sips_request_never_goes_by_a_connection_without_tls(world: World) -> None:
    host = world.host(SERVER)
    mine = authority().issue(DOMAIN)
    server = Server(
        build(
            {
                "listen": [f"tls:{SERVER}:5061", f"tcp:{SERVER}:5060", f"udp:{SERVER}:5060"],
                "domains": [DOMAIN],
                "store": "sqlite::memory:",
                "open": True,
                "tls": {"certificate": str(mine.both), "authorities": str(authority().file)},
            }
        ),
        network=host,
        clock=host.clock,
        resolver=host,
        ids=host.ids,
    )
    world.at_end(server.close)

    def request(method: str, uri: str, transport: str, branch: str) -> str:
        return f"""
            {method} {uri} SIP/2.0
            Via: SIP/2.0/{transport} {PHONE}:5060;branch=z9hG4bK{branch}
            Max-Forwards: 70
            From: <sip:bob@{DOMAIN}>;tag={branch}
            To: <sip:bob@{DOMAIN}>
            Call-ID: {branch}
            CSeq: 1 {method}
            Contact: <sip:bob@{PHONE}:5060;transport=tcp>
            Content-Length: 0
            """

    async def main() -> None:
        await server.start()
        port = await StreamPort().open(world.host(PHONE))
        bob = await StreamPeer.connect(world.host(PHONE), (SERVER, 5060))
        bob.send(request("REGISTER", f"sip:{DOMAIN}", "TCP", "1"))
        await bob.expect(200)
        alice = await StreamPeer.connect(world.host("10.0.0.3"), ADDRESS, tls=authority().client(), name=DOMAIN)
        alice.send(request("MESSAGE", f"sip:bob@{DOMAIN}", "TLS", "2"))
        bob.reply(await bob.expect_request("MESSAGE"), 200)
        await alice.expect(200)
        alice.send(request("MESSAGE", f"sips:bob@{DOMAIN}", "TLS", "3"))
        await alice.expect(500, skip=(100,))
        await bob.silence(1.0)
        assert all(not peer.data.startswith(b"MESSAGE") for peer in port.peers)
        alice.close()
        bob.close()

    world.run(main())
