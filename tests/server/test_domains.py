"""Which domains and addresses are ours, and what a URI in one of them stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ringback.protocol.message.uri import Uri
from ringback.protocol.routing.route import LocalNames
from ringback.server.domains import Domains
from tests.server.conftest import DOMAIN, ServerBench

Bench = Callable[[Callable[[ServerBench], Any]], None]


@pytest.fixture
def domains() -> Domains:
    """Two domains, one of them an IPv6 address, and one address."""
    return Domains(LocalNames(["example.test", "::1"], [("192.0.2.1", 5070)]), "Example.Test")


@pytest.mark.row("REG-4", part="To is canonicalised")
@pytest.mark.rfc("3261 10.3")
@pytest.mark.parametrize(
    ("uri", "aor"),
    [
        ("sip:bob@example.test", "sip:bob@example.test"),
        ("sip:BOB@EXAMPLE.TEST", "sip:BOB@example.test"),
        ("sips:bob:secret@example.test:5061;transport=tls?x=y", "sip:bob@example.test"),
        ("sip:b%6Fb@example.test", "sip:bob@example.test"),
        ("sip:bob@example.test:9999", "sip:bob@example.test"),
        ("sip:bob@192.0.2.1:5070", "sip:bob@example.test"),
        ("sip:bob@[::1]", "sip:bob@[::1]"),
        ("sip:bob@192.0.2.1", ""),
        ("sip:bob@other.test", ""),
        ("sip:example.test", ""),
        ("tel:+15550100", ""),
    ],
)
def test_an_address_of_record_is_made_canonical(domains: Domains, uri: str, aor: str) -> None:
    assert domains.address_of_record(Uri.parse(uri)) == aor


def test_a_server_on_all_addresses_knows_its_own(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start(listen=["udp:0.0.0.0:5060"])
        await bench.ask(bench.peer(2), 200, "OPTIONS", "sip:10.0.0.1")
        await bench.ask(bench.peer(3), 480, "OPTIONS", "sip:bob@10.0.0.1:5060")
        assert bench.server.listening == ["udp:0.0.0.0:5060"]

    bench(scenario)


@pytest.mark.row("REG-1", part="without any domain")
def test_without_domains_the_address_is_the_domain(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start(domains=[])
        bob = bench.peer(2)
        await bench.ask(bob, 200, "REGISTER", "sip:10.0.0.1", "Contact: <sip:bob@10.0.0.2>", to="sip:bob@10.0.0.1")
        bench.send(bench.peer(3), "MESSAGE", "sip:bob@10.0.0.1")
        bob.reply(await bob.expect_request("MESSAGE"), 200)
        await bench.ask(bench.peer(4), 404, "REGISTER", "sip:10.0.0.1", to=f"sip:bob@{DOMAIN}")

    bench(scenario)
