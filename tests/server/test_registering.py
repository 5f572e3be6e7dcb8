"""The registrar at work in a whole server."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ringback.errors import StoreError
from ringback.testing.peer import ScriptedPeer
from tests.server.conftest import DOMAIN, SERVER, ServerBench

Bench = Callable[[Callable[[ServerBench], Any]], None]
ALICE = f"sip:alice@{DOMAIN}"


@pytest.mark.row("REG-1", "REG-5", part="through the server")
@pytest.mark.rfc("3261 10.3")
def test_a_registered_phone_is_reached_by_its_address_of_record(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        bob, caller = bench.peer(2), bench.peer(3)
        registered = await bench.register(bob, "bob", "expires=600")
        assert registered.get("contact") == "<sip:bob@10.0.0.2:5060>;expires=600"
        assert registered.get("date")
        bench.send(caller, "MESSAGE", f"sip:bob@{DOMAIN}")
        received = await bob.expect_request("MESSAGE")
        assert received.uri_text == "sip:bob@10.0.0.2:5060"
        bob.reply(received, 200, to_tag="b")
        await caller.expect_response(200)

    bench(scenario)


@pytest.mark.row("REG-4")
@pytest.mark.parametrize("target", [f"sip:{DOMAIN}", f"sip:EXAMPLE.test:{SERVER[1]}", f"sip:{SERVER[0]}"])
def test_every_name_of_the_server_is_its_registrar(bench: Bench, target: str) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        peer = bench.peer(2)
        await bench.ask(
            peer,
            200,
            "REGISTER",
            target,
            "Contact: <sip:a%6cice@10.0.0.2>",
            to=f"sip:a%6cice@EXAMPLE.TEST:{SERVER[1]};x=y",
        )
        assert [binding.aor for binding in bench.server.store.bindings(ALICE, 0.0)] == [ALICE]

    bench(scenario)


@pytest.mark.row("REG-4")
def test_an_address_stands_for_the_first_domain(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        bob = bench.peer(2)
        await bench.ask(
            bob, 200, "REGISTER", f"sip:{SERVER[0]}", "Contact: <sip:bob@10.0.0.2>", to=f"sip:bob@{SERVER[0]}"
        )
        bench.send(bench.peer(3), "MESSAGE", f"sip:bob@{DOMAIN}")
        bob.reply(await bob.expect_request("MESSAGE"), 200)

    bench(scenario)


@pytest.mark.row("REG-4")
def test_an_address_of_record_in_no_domain_of_ours_gets_404(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        await bench.ask(
            bench.peer(2), 404, "REGISTER", f"sip:{DOMAIN}", "Contact: <sip:a@10.0.0.2>", to="sip:a@other.test"
        )

    bench(scenario)


@pytest.mark.row("REG-4")
@pytest.mark.rfc("3261 10.3")
def test_an_address_of_record_that_is_no_sip_uri_gets_400(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        await bench.ask(bench.peer(2), 400, "REGISTER", f"sip:{DOMAIN}", to="http://example.test")

    bench(scenario)


@pytest.mark.row("REG-4", "AUT-1")
@pytest.mark.threat("T5")
def test_only_the_owner_may_change_an_address_of_record(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("alice", "bob")
        peer = bench.peer(2)
        target, contact = f"sip:{DOMAIN}", "Contact: <sip:x@10.0.0.2>"
        await bench.authenticated(peer, 200, "alice", "REGISTER", target, contact, to=ALICE)
        await bench.authenticated(peer, 403, "alice", "REGISTER", target, contact, to=f"sip:bob@{DOMAIN}")
        await bench.authenticated(peer, 403, "alice", "REGISTER", target, contact, to=f"sip:nobody@{DOMAIN}")
        await bench.authenticated(peer, 401, "nobody", "REGISTER", target, contact, to=f"sip:nobody@{DOMAIN}")
        assert bench.server.store.count(0.0) == (1, 1)

    bench(scenario)


@pytest.mark.row("REG-4")
def test_a_domain_that_is_not_ours_is_proxied_on(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start(relay="anyone")
        peer, other = bench.peer(2), bench.peer(3)
        bench.world.zone["other.test"] = ["10.0.0.3"]
        bench.send(peer, "REGISTER", "sip:other.test", to="sip:alice@other.test")
        other.reply(await other.expect_request("REGISTER"), 200, to_tag="x")
        await peer.expect_response(200)

    bench(scenario)


@pytest.mark.rfc("3261 16.3")
@pytest.mark.rfc("4475 3.3.11")
def test_a_register_for_us_has_arrived_however_few_hops_it_has_left(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        await bench.register(bench.peer(2), "bob", max_forwards=0)
        target, contact = f"sip:bob@{DOMAIN}", "Contact: <sip:bob@10.0.0.2>"
        await bench.ask(bench.peer(3), 200, "REGISTER", target, contact, "Proxy-Require: anything")

    bench(scenario)


@pytest.mark.row("REG-7")
def test_a_body_is_tolerated(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        await bench.register(bench.peer(2), "bob", body="anything\n")

    bench(scenario)


@pytest.mark.row("REG-3")
@pytest.mark.threat("T13")
def test_a_retransmitted_register_gets_the_same_answer_and_an_older_one_500(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        peer = bench.peer(2)
        text = bench.request(
            peer, "REGISTER", f"sip:{DOMAIN}", "Contact: <sip:a@10.0.0.2>", to=ALICE, call_id="c", cseq=5
        )
        answers = []
        for _ in range(2):
            peer.send(text.encode(), SERVER)
            answers.append((await peer.expect_response(200)).to_bytes())
        assert answers[0] == answers[1]
        await bench.ask(
            peer, 500, "REGISTER", f"sip:{DOMAIN}", "Contact: <sip:a@10.0.0.2>", to=ALICE, call_id="c", cseq=4
        )

    bench(scenario)


@pytest.mark.row("REG-3", part="commit before the 200")
def test_no_200_leaves_when_the_commit_fails(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        store = bench.server.store
        peer = bench.peer(2)

        def commit() -> None:
            store.rollback()
            raise StoreError("disk full")

        with monkeypatch.context() as patch:
            patch.setattr(type(store), "commit", lambda _: commit())
            response = await bench.ask(
                peer, 500, "REGISTER", f"sip:{DOMAIN}", "Contact: <sip:a@10.0.0.2>", to=ALICE, cseq=1, call_id="c"
            )
            assert int(response.get("retry-after") or 0) > 0
        assert store.bindings(ALICE, 0.0) == []
        await bench.ask(
            peer, 200, "REGISTER", f"sip:{DOMAIN}", "Contact: <sip:a@10.0.0.2>", to=ALICE, cseq=2, call_id="c"
        )

    bench(scenario)


@pytest.mark.threat("T12")
def test_a_register_waits_while_another_process_writes(bench: Bench, tmp_path: Path) -> None:
    async def scenario(bench: ServerBench) -> None:
        path = str(tmp_path / "location.db")
        await bench.start(store=f"sqlite:{path}")
        peer = bench.peer(2)
        with sqlite3.connect(path, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            text = bench.request(peer, "REGISTER", f"sip:{DOMAIN}", "Contact: <sip:a@10.0.0.2>", to=ALICE).encode()
            peer.send(text, SERVER)
            await peer.silence(1.0)
            peer.send(text, SERVER)  # the phone repeats it while it waits
            assert bench.server.counts()["waiting"] == 1
            await peer.silence(0.1)
            other.execute("COMMIT")
        other.close()
        await peer.expect_response(200)
        await peer.silence(1.0)

    bench(scenario)


@pytest.mark.threat("T12")
def test_a_register_is_refused_when_the_store_stays_busy(bench: Bench, tmp_path: Path) -> None:
    async def scenario(bench: ServerBench) -> None:
        path = str(tmp_path / "location.db")
        await bench.start(store=f"sqlite:{path}")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        response = await bench.ask(
            bench.peer(2), 503, "REGISTER", f"sip:{DOMAIN}", "Contact: <sip:a@10.0.0.2>", to=ALICE
        )
        assert int(response.get("retry-after") or 0) > 0
        other.execute("ROLLBACK")
        other.close()

    bench(scenario)


def test_many_registers_in_one_turn_share_a_commit_and_are_all_answered(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        peer = bench.peer(2)
        for number in range(50):
            bench.send(
                peer, "REGISTER", f"sip:{DOMAIN}", f"Contact: <sip:u{number}@10.0.0.2>", to=f"sip:u{number}@{DOMAIN}"
            )
        await asyncio.sleep(1.0)
        assert sum(data.startswith(b"SIP/2.0 200") for data, _ in peer.received) == 50
        assert bench.server.store.count(0.0) == (50, 50)

    bench(scenario)


def test_expired_bindings_are_swept(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start()
        await bench.register(bench.peer(2), "bob", "expires=60")
        assert bench.server.store.known(f"sip:bob@{DOMAIN}")
        await asyncio.sleep(100.0)
        assert not bench.server.store.known(f"sip:bob@{DOMAIN}")

    bench(scenario)


@pytest.mark.row("REG-11", part="a phone behind NAT without outbound")
def test_a_phone_behind_nat_is_reached_at_its_registers_source(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start("bob")
        bench.world.nat("192.168.1.0/24", "203.0.113.7")
        bob = ScriptedPeer(bench.world.host("192.168.1.20"), 5060, SERVER)
        contact = "Contact: <sip:bob@192.168.1.20:5060>"
        await bench.authenticated(
            bob, 200, "bob", "REGISTER", f"sip:{DOMAIN}", contact, to=f"sip:bob@{DOMAIN}", rport=True
        )
        bench.send(bench.peer(3), "MESSAGE", f"sip:bob@{DOMAIN}", from_="sip:stranger@other.test")
        received = await bob.expect_request("MESSAGE", timeout=5.0)
        assert received.uri_text == "sip:bob@192.168.1.20:5060"
        bob.reply(received, 200)

    bench(scenario)
