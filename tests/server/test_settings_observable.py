"""Every key of the settings changes something that can be seen from outside: two values, two observations.

A key without an observation fails the first test (THREATS T16: no promised-but-dead settings).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ringback.errors import SettingsError, TransportError
from ringback.server.server import Server
from ringback.server.settings import known_keys
from ringback.testing.stream_peer import StreamPeer
from ringback.testing.web_peer import WebPeer
from ringback.testing.world import World
from ringback.transport.tls import TlsConfiguration
from tests.certificates import authority, stranger
from tests.server.conftest import DOMAIN, SERVER, ServerBench

BOB = f"sip:bob@{DOMAIN}"
Observation = Callable[[ServerBench, Server], Awaitable[object]]
OBSERVED: dict[str, tuple[Any, Any, Observation]] = {}  # key: two values, and what to look at


def observed(key: str, one: object, other: object) -> Callable[[Observation], Observation]:
    """Says that the decorated function sees the difference between two values of ``key``."""

    def note(observation: Observation) -> Observation:
        OBSERVED[key] = (one, other, observation)
        return observation

    return note


@observed("listen", ["udp:10.0.0.1:5060"], ["udp:10.0.0.1:5060", "udp:10.0.0.1:5080"])
async def addresses(bench: ServerBench, server: Server) -> object:
    return server.listening


@observed("domains", [DOMAIN], ["another.test"])
async def register_status(bench: ServerBench, server: Server) -> object:
    peer = bench.peer(2)
    bench.send(peer, "REGISTER", "sip:10.0.0.1", "Contact: <sip:bob@10.0.0.2>", to=BOB)
    return (await first(peer)).status


@observed("store", "sqlite:one.db", "sqlite:other.db")
async def files(bench: ServerBench, server: Server) -> object:
    return sorted(path.name for path in Path().glob("*.db"))


@observed("open", True, False)
async def challenge_or_not(bench: ServerBench, server: Server) -> object:
    peer = bench.peer(2)
    bench.send(peer, "REGISTER", f"sip:{DOMAIN}", "Contact: <sip:bob@10.0.0.2>", to=BOB)
    return (await first(peer)).status


@observed("relay", "nobody", "anyone")
async def away(bench: ServerBench, server: Server) -> object:
    peer, other = bench.peer(2), bench.peer(3)
    bench.send(peer, "MESSAGE", "sip:carol@10.0.0.3")
    await asyncio.sleep(0.1)
    return len(other.received)


@observed("synchronous", "normal", "full")
async def pragma(bench: ServerBench, server: Server) -> object:
    return server.store._execute("PRAGMA synchronous").fetchone()


@observed("server_name", None, "Test/1")
async def server_header(bench: ServerBench, server: Server) -> object:
    return (await bench.ask(bench.peer(2), 200, "OPTIONS", f"sip:{DOMAIN}")).get("server")


async def challenges(bench: ServerBench, server: Server) -> object:
    response = await bench.ask(bench.peer(2), 401, "REGISTER", f"sip:{DOMAIN}", to=BOB)
    lines = response.get_all("www-authenticate")
    return [line.partition(", nonce=")[0] + line[line.index('", algorithm') :] for line in lines]


observed("auth.realm", None, "offices")(challenges)
observed("auth.algorithms", ["SHA-256", "MD5"], ["MD5"])(challenges)


@observed("auth.nonce_lifetime", 10, 1000)
async def stale_after(bench: ServerBench, server: Server) -> object:
    peer = bench.peer(2)
    challenge = await bench.ask(peer, 401, "REGISTER", f"sip:{DOMAIN}", to=BOB)
    line = bench.credentials(challenge, "REGISTER", f"sip:{DOMAIN}", "bob")
    await asyncio.sleep(100.0)
    bench.send(peer, "REGISTER", f"sip:{DOMAIN}", line, to=BOB)
    return (await first(peer)).status


@observed("auth.secret", "0123456789abcdef", "fedcba9876543210")
async def route_token(bench: ServerBench, server: Server) -> object:
    bob = bench.peer(2)
    await bench.register(bob, "bob")
    bench.send(bench.peer(3), "INVITE", BOB, call_id="always the same".replace(" ", "-"))
    invite = await bob.expect_request("INVITE")
    bob.reply(invite, 486)
    return invite.record_routes[0].uri.params["rbk"]


async def granted(bench: ServerBench, *headers: str) -> object:
    peer = bench.peer(2)
    bench.send(peer, "REGISTER", f"sip:{DOMAIN}", "Contact: <sip:bob@10.0.0.2>", *headers, to=BOB)
    response = await first(peer)
    return response.status, response.get("contact"), response.get("min-expires")


@observed("registrar.min_expires", 60, 600)
async def brief(bench: ServerBench, server: Server) -> object:
    return await granted(bench, "Expires: 300")


@observed("registrar.default_expires", 3600, 1800)
async def unasked(bench: ServerBench, server: Server) -> object:
    return await granted(bench)


@observed("registrar.max_expires", 7200, 4000)
async def long(bench: ServerBench, server: Server) -> object:
    return await granted(bench, "Expires: 100000")


@observed("registrar.max_contacts", 1, 10)
async def two_contacts(bench: ServerBench, server: Server) -> object:
    return await granted(bench, "Contact: <sip:bob@10.0.0.3>")


@observed("proxy.timer_c", 190.0, 400.0)
async def rings_until(bench: ServerBench, server: Server) -> object:
    bob = bench.peer(2)
    await bench.register(bob, "bob")
    start = bench.world.now
    bench.send(bench.peer(3), "INVITE", BOB)
    invite = await bob.expect_request("INVITE")
    bob.reply(invite, 180, to_tag="b")
    bob.reply(await bob.expect_request("CANCEL", timeout=500.0), 200)
    bob.reply(invite, 487, to_tag="b")
    return round(bench.world.now - start)


@observed("proxy.recurse", False, True)
async def redirected(bench: ServerBench, server: Server) -> object:
    bob, carol, caller = bench.peer(2), bench.peer(4), bench.peer(3)
    await bench.register(bob, "bob")
    bench.send(caller, "MESSAGE", BOB)
    bob.reply(await bob.expect_request("MESSAGE"), 302, headers=[("Contact", "<sip:carol@10.0.0.4>")])
    await asyncio.sleep(0.2)
    return len(carol.received)


@observed("proxy.record_route", True, False)
async def on_the_path(bench: ServerBench, server: Server) -> object:
    bob = bench.peer(2)
    await bench.register(bob, "bob")
    bench.send(bench.peer(3), "INVITE", BOB)
    invite = await bob.expect_request("INVITE")
    bob.reply(invite, 486)
    return len(invite.record_routes)


@observed("proxy.max_breadth", 1, 60)
async def wide_fork(bench: ServerBench, server: Server) -> object:
    peer, caller = bench.peer(2), bench.peer(3)
    await bench.ask(peer, 200, "REGISTER", f"sip:{DOMAIN}", "Contact: <sip:1@10.0.0.2>, <sip:2@10.0.0.2>", to=BOB)
    bench.send(caller, "MESSAGE", BOB)
    await asyncio.sleep(0.2)
    return [data[:11] for data, _ in caller.received]


@observed("proxy.ring_time", None, 5.0)
async def next_group_after(bench: ServerBench, server: Server) -> object:
    desk, other = bench.peer(2), bench.peer(4)
    await bench.register(desk, "bob", "q=1.0")
    await bench.register(other, "bob", "q=0.5", call_id="x")
    bench.send(bench.peer(3), "INVITE", BOB)
    invite = await desk.expect_request("INVITE")
    desk.reply(invite, 180, to_tag="d")
    await asyncio.sleep(20.0)
    return [data.partition(b" ")[0] for data, _ in other.received[1:2]]


async def retransmissions(bench: ServerBench, server: Server) -> object:
    """When a silent phone is asked again, in tenths of a second after the first time."""
    bob = bench.peer(2)
    await bench.register(bob, "bob")
    bob.forget()
    times: list[int] = []
    bench.send(bench.peer(3), "MESSAGE", BOB)
    await bob.expect_request("MESSAGE")
    start = bench.world.now
    for _ in range(6):
        await bob.expect_request("MESSAGE")
        times.append(round((bench.world.now - start) * 10))
    return times


observed("timers.t1", 0.5, 1.0)(retransmissions)
observed("timers.t2", 4.0, 2.0)(retransmissions)


@observed("timers.t4", 5.0, 1.0)
async def remembers_for(bench: ServerBench, server: Server) -> object:
    """Whether the client transaction is still there 3 s after its final response (Timer K)."""
    bob = bench.peer(2)
    await bench.register(bob, "bob")
    bench.send(bench.peer(3), "MESSAGE", BOB)
    bob.reply(await bob.expect_request("MESSAGE"), 200)
    await asyncio.sleep(3.0)
    return server.counts()["client_transactions"]


async def message_status(bench: ServerBench, server: Server) -> object:
    """What becomes of a request to a registered user."""
    bob, caller = bench.peer(2), bench.peer(3)
    await bench.register(bob, "bob")
    bench.send(caller, "MESSAGE", BOB)
    await asyncio.sleep(0.1)
    return [len(bob.received), [data.split(b"\r\n")[0] for data, _ in caller.received]]


observed("redirect.everyone", True, False)(message_status)
observed("redirect.domains", [DOMAIN], ["another.test"])(message_status)
observed("redirect.users", [f"bob@{DOMAIN}"], [f"carol@{DOMAIN}"])(message_status)


@observed("proxy.gateway", "sip:10.0.0.8", None)
async def number_called(bench: ServerBench, server: Server) -> object:
    """What becomes of a request to a telephone number."""
    caller = bench.peer(3)
    bench.send(caller, "MESSAGE", "tel:+4930123")
    return (await first(caller)).status


@observed("nameservers", ["127.0.0.1:9"], [])
async def name_servers_asked(bench: ServerBench, server: Server) -> object:
    own = Server(server.settings)  # this one on the machine's own network, where it asks them
    try:
        assert own._resolver is not None
        return own._resolver.nameservers
    finally:
        await own.close()


async def two_connections(bench: ServerBench, server: Server) -> object:
    phones = [await StreamPeer.connect(bench.world.host(f"10.0.0.{number}"), SERVER) for number in (2, 2, 3)]
    await asyncio.sleep(1.0)
    return [phone.is_open for phone in phones]


observed("connections.total", 1, 3)(two_connections)
observed("connections.per_address", 1, 2)(two_connections)


@observed("connections.idle", 5.0, 50.0)
async def left_open(bench: ServerBench, server: Server) -> object:
    phone = await StreamPeer.connect(bench.world.host("10.0.0.2"), SERVER)
    phone.send(bench.request(bench.peer(2), "OPTIONS", f"sip:{DOMAIN}").encode())
    await phone.expect(200)
    await asyncio.sleep(20.0)
    return phone.is_open


PHONE = authority().issue("phone.test")


async def over_tls(bench: ServerBench, server: Server, client: TlsConfiguration, name: str) -> object:
    """What comes of an OPTIONS over TLS."""
    try:
        phone = await StreamPeer.connect(bench.world.host("10.0.0.2"), ("10.0.0.1", 5061), tls=client, name=name)
    except TransportError as error:
        return str(error)
    phone.send(bench.request(bench.peer(2), "OPTIONS", f"sip:{DOMAIN}").encode())
    await asyncio.sleep(1.0)
    return len(phone.data) > 0


@observed("tls.certificate", str(authority().issue(DOMAIN).both), str(authority().issue("other.test").both))
async def names_itself(bench: ServerBench, server: Server) -> object:
    return await over_tls(bench, server, authority().client(), DOMAIN)


@observed("tls.key", str(authority().issue(DOMAIN).key), None)
async def starts(bench: ServerBench, server: Server) -> object:
    return True  # with None it does not, since the certificate's file has no key in it


@observed("tls.authorities", str(authority().file), str(stranger().file))
async def trusts(bench: ServerBench, server: Server) -> object:
    client = TlsConfiguration(certificate=PHONE.both, authorities=authority().file)
    return await over_tls(bench, server, client, DOMAIN)


@observed("tls.client_certificates", "none", "required")
async def asks_for_certificates(bench: ServerBench, server: Server) -> object:
    return await over_tls(bench, server, authority().client(), DOMAIN)


@observed("websocket.origins", ["https://Phone.example"], [])
async def page_of_another_origin(bench: ServerBench, server: Server) -> object:
    phone = await WebPeer.connect(bench.world.host("10.0.0.2"), ("10.0.0.1", 80), shake_hands=False)
    phone.web.start()
    phone.say(phone.web.outgoing().replace(b"Upgrade: ", b"Origin: https://evil.example\r\nUpgrade: ", 1))
    await asyncio.sleep(1.0)
    return phone.data.split(b"\r\n")[0]


@observed("websocket.ping", 5.0, 50.0)
async def pings(bench: ServerBench, server: Server) -> object:
    phone = await WebPeer.connect(bench.world.host("10.0.0.2"), ("10.0.0.1", 80))
    phone.send(bench.request(bench.peer(2), "OPTIONS", f"sip:{DOMAIN}").encode())
    await asyncio.sleep(21.0)
    return phone.data.count(b"\x89\x00")


# What else is set where one of these is.
BESIDES: dict[str, dict[str, Any]] = {
    "connections": {"listen": ["udp:10.0.0.1:5060", "tcp:10.0.0.1:5060"]},
    "websocket": {"listen": ["udp:10.0.0.1:5060", "ws:10.0.0.1:80"]},
    "tls": {
        "listen": ["udp:10.0.0.1:5060", "tls:10.0.0.1:5061"],
        "tls": {"certificate": str(authority().issue(DOMAIN).both), "authorities": str(authority().file)},
    },
    "tls.key": {"tls": {"certificate": str(authority().issue(DOMAIN).certificate)}},
    "tls.authorities": {"tls": {"client_certificates": "required"}},
}


def settings_with(key: str, value: object) -> dict[str, Any]:
    """Settings with this one, and what it needs beside it."""
    section, dot, name = key.rpartition(".")
    if not dot:
        return {key: value}
    settings: dict[str, Any] = {}
    for part in (BESIDES.get(section, {}), BESIDES.get(key, {}), {section: {name: value}}):
        for word, values in part.items():
            settings[word] = {**settings.get(word, {}), **values} if isinstance(values, dict) else values
    return settings


async def first(peer: Any) -> Any:
    """The first response that comes."""
    from ringback.testing.peer import parse

    return parse(await peer.next_datagram())


def test_every_key_has_an_observation() -> None:
    assert set(OBSERVED) == set(known_keys())


@pytest.mark.threat("T16")
@pytest.mark.parametrize("key", known_keys())
def test_a_key_changes_what_can_be_seen(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, look = OBSERVED[key]
    seen = []
    for number, value in enumerate((one, other)):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        with World("observed") as world:
            bench = ServerBench(world)
            settings = settings_with(key, value)
            users = ["bob"] if key.startswith("auth.") and key != "auth.secret" else []

            async def scenario(
                bench: ServerBench = bench, users: list[str] = users, settings: dict[str, Any] = settings
            ) -> object:
                try:
                    server = await bench.start(*users, **settings)
                except SettingsError as error:
                    return str(error)
                try:
                    return await look(bench, server)
                finally:
                    await server.close()

            seen.append(world.run(scenario()))
    assert seen[0] != seen[1]
