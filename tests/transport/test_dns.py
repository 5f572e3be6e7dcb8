"""The resolver against a real DNS server on loopback: what it says, and what it does to others when it lies."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable

import dns.flags
import dns.message
import dns.rcode
import pytest
import pytest_asyncio

from ringback.errors import TransportError
from ringback.protocol.message.uri import Uri
from ringback.protocol.routing.flow import Hop
from ringback.protocol.routing.locate import Locate
from ringback.protocol.routing.records import MOST_RECORDS, Record
from ringback.runtime.locator import locate
from ringback.transport import record_cache
from ringback.transport.coroutines import drive
from ringback.transport.resolver import SystemResolver
from tests.transport.name_server import NameServer

ZONE = {
    "example.test": [
        'NAPTR 100 50 "s" "SIP+D2U" "" _sip._udp.example.test.',
        'NAPTR 90 50 "s" "SIP+D2T" "" _sip._tcp.example.test.',
        'NAPTR 1 1 "u" "E2U+sip" "!^.*$!sip:x@example.test!" .',
        "A 127.0.0.9",
    ],
    "_sip._udp.example.test": ["SRV 20 0 5080 b.example.test.", "SRV 10 0 5070 a.example.test."],
    "_sip._tcp.example.test": ["SRV 0 0 5060 a.example.test."],
    "a.example.test": ["A 127.0.0.1", "AAAA ::1"],
    "b.example.test": ["CNAME c.example.test."],
    "c.example.test": ["A 127.0.0.3"],
    "many.test": ["A 127.0.0.4"],
    "_sip._udp.many.test": [f"SRV {1000 - n} 0 {5000 + n} many.test." for n in range(1000)],
    "plain.test": ["A 127.0.0.5"],
    "round.test": ["CNAME trip.test."],
    "trip.test": ["CNAME round.test."],
}
Resolution = tuple[NameServer, SystemResolver]


@pytest_asyncio.fixture
async def dns_pair() -> AsyncIterator[Resolution]:
    async with NameServer(ZONE) as server:
        resolver = SystemResolver(nameservers=[server.address])
        yield server, resolver
        resolver.close()


async def hops(resolver: SystemResolver, uri: str) -> list[Hop]:
    return await locate(Locate("core", 1, Uri.parse(uri)), resolver, lambda transport, host: transport == "UDP")


async def within(seconds: float, waiting: Awaitable[list[Record]]) -> list[Record]:
    return await asyncio.wait_for(waiting, seconds)


@pytest.mark.row("TRN-3", part="real DNS")
@pytest.mark.rfc("3263 4")
async def test_follows_naptr_srv_and_addresses_with_an_alias_in_between(dns_pair: Resolution) -> None:
    server, resolver = dns_pair
    assert await hops(resolver, "sip:bob@example.test") == [
        Hop("UDP", "127.0.0.1", 5070),
        Hop("UDP", "::1", 5070),
        Hop("UDP", "127.0.0.3", 5080),
    ]
    assert server.asked[:2] == ["NAPTR example.test", "SRV _sip._udp.example.test"]
    question = Locate("core", 1, Uri.parse("sip:alice@example.test"))
    again = drive(locate(question, resolver, lambda transport, host: transport == "UDP"))
    assert isinstance(again, list), "all of it is remembered, so nobody waits"


async def test_records_come_with_all_their_fields(dns_pair: Resolution) -> None:
    _, resolver = dns_pair
    assert sorted(map(str, await resolver.records("Example.TEST", "NAPTR"))) == [
        '1 1 "u" "E2U+sip" "!^.*$!sip:x@example.test!" .',
        '100 50 "s" "SIP+D2U" "" _sip._udp.example.test',
        '90 50 "s" "SIP+D2T" "" _sip._tcp.example.test',
    ]
    assert sorted(map(str, await resolver.records("_sip._udp.example.test", "SRV"))) == [
        "10 0 5070 a.example.test",
        "20 0 5080 b.example.test",
    ]
    assert await resolver.records("a.example.test", "AAAA") == ["::1"]
    assert await resolver.records("nowhere.test", "A") == []
    assert await resolver.records("plain.test", "SRV") == []


@pytest.mark.row("TRN-3", part="TTL")
async def test_answers_and_their_absence_are_remembered(dns_pair: Resolution) -> None:
    server, resolver = dns_pair
    for _ in range(3):
        assert await resolver.records("plain.test", "A") == ["127.0.0.5"]
        assert await resolver.records("nowhere.test", "SRV") == []
    assert sorted(server.asked) == ["A plain.test", "SRV nowhere.test"]


@pytest.mark.threat("T10")
async def test_of_a_thousand_servers_the_best_are_kept(dns_pair: Resolution) -> None:
    server, resolver = dns_pair
    records = await resolver.records("_sip._udp.many.test", "SRV")
    assert server.over_tcp == 1, "a truncated answer is asked for over TCP"
    assert len(records) == MOST_RECORDS
    assert {str(record).split()[0] for record in records} == {str(n) for n in range(1, MOST_RECORDS + 1)}
    assert len(await hops(resolver, "sip:many.test")) == 10


def garbage(query: dns.message.Message) -> bytes:
    return b"\xff" * 40


def wrong_id(query: dns.message.Message) -> bytes:
    response = dns.message.make_response(query)
    response.id ^= 0x5555
    return response.to_wire()


def other_question(query: dns.message.Message) -> bytes:
    response = dns.message.make_response(dns.message.make_query("other.test", "A"))
    response.id = query.id
    return response.to_wire()


def compression_loop(query: dns.message.Message) -> bytes:
    """One answer whose name is a pointer to itself."""
    wire = bytearray(dns.message.make_response(query).to_wire())
    at = len(wire) - 11 if query.edns >= 0 else len(wire)  # before the OPT record
    head = wire[:at]
    head[6:8] = struct.pack("!H", 1)
    head[10:12] = b"\0\0"
    return bytes(head) + struct.pack("!HHHIH4s", 0xC000 | at, 1, 1, 60, 4, b"\x7f\0\0\1")


def refuses(query: dns.message.Message) -> bytes:
    response = dns.message.make_response(query)
    response.set_rcode(dns.rcode.SERVFAIL)
    return response.to_wire()


@pytest.mark.threat("T10")
@pytest.mark.row("TRN-3", part="lying DNS")
@pytest.mark.parametrize(
    "misdeed", [lambda query: None, garbage, wrong_id, other_question, compression_loop, refuses],
    ids=["silence", "garbage", "wrong id", "another question", "compression loop", "failure"],
)  # fmt: skip
async def test_a_name_whose_server_misbehaves_fails_alone_and_in_time(
    dns_pair: Resolution, misdeed: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_cache, "PATIENCE", 0.8)
    server, resolver = dns_pair
    server.misdeeds = {f"bad{number}.test": misdeed for number in range(20)}
    loop = asyncio.get_running_loop()
    began = loop.time()
    bad = [
        asyncio.ensure_future(resolver.records(f"bad{number}.test", kind))
        for number in range(20)
        for kind in ("A", "SRV")
    ]
    assert await within(0.7, resolver.records("plain.test", "A")) == ["127.0.0.5"]
    outcomes = await asyncio.gather(*bad, return_exceptions=True)
    assert loop.time() - began < 2
    assert all(isinstance(outcome, TransportError) or outcome == [] for outcome in outcomes)
    with pytest.raises(TransportError):
        await hops(resolver, "sip:bad0.test")


@pytest.mark.threat("T10")
async def test_aliases_that_lead_round_and_round_end(dns_pair: Resolution) -> None:
    _, resolver = dns_pair
    with pytest.raises(TransportError):
        await asyncio.wait_for(hops(resolver, "sip:round.test"), 5)


@pytest.mark.parametrize(
    "name", ["a" * 64 + ".test", "a." * 200 + "test", "a..test", "\udcff.test", "ü.test", "a b.test"]
)
async def test_a_name_that_is_none_is_an_error_or_not_there(dns_pair: Resolution, name: str) -> None:
    _, resolver = dns_pair
    for kind in ("A", "SRV"):
        try:
            assert await resolver.records(name, kind) == []
        except TransportError:
            pass


async def test_names_of_this_machine_and_its_network_are_not_asked_of_the_dns(dns_pair: Resolution) -> None:
    server, resolver = dns_pair
    assert await resolver.records("localhost", "A") == ["127.0.0.1"]
    assert await resolver.records("no-such-neighbour.local", "A") == []
    assert server.asked == []


async def test_closing_with_look_ups_under_way_leaves_nothing(dns_pair: Resolution) -> None:
    server, resolver = dns_pair
    server.misdeeds["bad.test"] = lambda query: None
    waiting = asyncio.ensure_future(resolver.records("bad.test", "SRV"))
    await asyncio.sleep(0.05)
    resolver.close()
    with pytest.raises((TransportError, asyncio.CancelledError)):
        await waiting
