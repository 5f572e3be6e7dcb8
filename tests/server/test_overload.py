"""What an attacker, or too much of everything, can make the server do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ringback.errors import StoreError
from tests.server.conftest import DOMAIN, SERVER, ServerBench

Bench = Callable[[Callable[[ServerBench], Any]], None]
BOB = f"sip:bob@{DOMAIN}"
STRANGER = "sip:stranger@other.test"
AMPLIFICATION = 3.0  # bytes out for a byte in, at most, for whoever has not proved who they are


@pytest.mark.threat("T11")
@pytest.mark.parametrize(
    ("method", "uri"),
    [
        ("REGISTER", f"sip:{DOMAIN}"),
        ("INVITE", BOB),
        ("INVITE", f"sip:nobody@{DOMAIN}"),
        ("MESSAGE", "sip:carol@10.0.0.3"),
        ("OPTIONS", f"sip:{DOMAIN}"),
        ("DANCE", f"sip:{DOMAIN}"),
        ("MESSAGE", "unknown:bob"),
    ],
)
def test_a_stranger_gets_few_bytes_for_his_bytes_and_is_not_remembered(bench: Bench, method: str, uri: str) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("alice", "bob")
        peer = bench.peer(2)
        text = bench.request(peer, method, uri, to=BOB).encode()
        peer.send(text, SERVER)
        await asyncio.sleep(64.0)  # long enough for every retransmission there could be
        assert 0 < sum(len(data) for data, _ in peer.received) <= AMPLIFICATION * len(text)
        assert bench.server.counts() == dict.fromkeys(bench.server.counts(), 0)

    bench(scenario)


@pytest.mark.threat("T7")
def test_challenges_to_a_flood_leave_nothing_behind(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("bob")
        peer = bench.peer(2)
        for _ in range(1000):
            bench.send(peer, "REGISTER", f"sip:{DOMAIN}", to=BOB)
        await asyncio.sleep(1.0)
        assert len(peer.received) == 1000
        assert bench.server.counts() == dict.fromkeys(bench.server.counts(), 0)

    bench(scenario)


@pytest.mark.threat("T12")
def test_a_store_out_of_reach_is_a_500_with_retry_after_and_the_server_lives(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        peer = bench.peer(2)

        def broken(*_: object) -> Any:
            raise StoreError("disk gone")

        with monkeypatch.context() as patch:
            patch.setattr(type(bench.server.store), "bindings", broken)
            for method, uri in (("MESSAGE", BOB), ("REGISTER", f"sip:{DOMAIN}")):
                response = await bench.ask(peer, 500, method, uri, to=BOB)
                assert int(response.get("retry-after") or 0) > 0
            await bench.ask(peer, 200, "OPTIONS", f"sip:{DOMAIN}")
        await bench.ask(peer, 480, "MESSAGE", BOB)

    bench(scenario)


def test_a_fault_in_a_step_is_a_500_and_the_next_request_is_served(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        peer = bench.peer(2)

        def broken(*_: object) -> Any:
            raise ZeroDivisionError

        with monkeypatch.context() as patch:
            patch.setattr(type(bench.server.store), "bindings", broken)
            await bench.ask(peer, 500, "MESSAGE", BOB)
        await bench.ask(peer, 480, "MESSAGE", BOB)
        assert "ZeroDivisionError" in caplog.text

    bench(scenario)


@pytest.mark.threat("T3")
@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\x00" * 64, b"SIP/2.0 200 OK\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"])
def test_what_is_no_request_is_met_with_silence(bench: Bench, data: bytes) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        peer = bench.peer(2)
        peer.send(data, SERVER)
        await peer.silence(1.0)
        await bench.ask(peer, 200, "OPTIONS", f"sip:{DOMAIN}")

    bench(scenario)
