"""The chain: steps in order, by hand, and as a task only when one waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ringback.server.chain import Chain, Exchange, Verdict
from ringback.transport.coroutines import suspend
from tests.server.conftest import DOMAIN, ServerBench

Bench = Callable[[Callable[[ServerBench], Any]], None]


async def with_steps(bench: ServerBench, *steps: Callable[[Exchange], Any]) -> Chain:
    """A server whose chain consists of ``steps`` only."""
    server = await bench.start()
    chain = server._chain = Chain(steps, server._wait, server.stack.wake)
    return chain


def test_steps_run_in_order_until_one_is_done(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        seen = []

        def step(name: str, verdict: Verdict) -> Callable[[Exchange], Any]:
            async def run(exchange: Exchange) -> Verdict:
                seen.append(name)
                return exchange.refuse(486) if verdict is Verdict.DONE else verdict

            return run

        await with_steps(bench, step("a", Verdict.NEXT), step("b", Verdict.DONE), step("c", Verdict.NEXT))
        await bench.ask(bench.peer(2), 486, "OPTIONS", f"sip:{DOMAIN}")
        assert seen == ["a", "b"]

    bench(scenario)


def test_a_step_that_suspends_goes_on_as_a_task(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        async def waits(exchange: Exchange) -> Verdict:
            await suspend()
            await asyncio.sleep(5.0)
            return exchange.refuse(486)

        chain = await with_steps(bench, waits)
        peer = bench.peer(2)
        bench.send(peer, "OPTIONS", f"sip:{DOMAIN}")
        await peer.silence(4.0)
        assert len(chain) == bench.server.counts()["tasks"] == 1
        await peer.expect_response(486)
        assert len(chain) == 0

    bench(scenario)


def test_a_step_that_waits_without_suspend_is_a_fault_and_a_500(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(bench: ServerBench) -> None:
        async def waits(exchange: Exchange) -> Verdict:
            await asyncio.sleep(5.0)
            return Verdict.NEXT

        await with_steps(bench, waits)
        await bench.ask(bench.peer(2), 500, "OPTIONS", f"sip:{DOMAIN}")
        assert "suspend()" in caplog.text

    bench(scenario)


def test_closing_the_server_cancels_what_waits(bench: Bench) -> None:
    async def scenario(bench: ServerBench) -> None:
        ended = asyncio.Event()

        async def waits(exchange: Exchange) -> Verdict:
            await suspend()
            try:
                await asyncio.sleep(1e6)
            finally:
                ended.set()
            return Verdict.DONE

        await with_steps(bench, waits)
        bench.send(bench.peer(2), "OPTIONS", f"sip:{DOMAIN}")
        await asyncio.sleep(1.0)
        await bench.server.close()
        await bench.server.close()
        assert ended.is_set()

    bench(scenario)


def test_a_cancel_for_an_invite_that_waits_for_the_store_is_taken_after_it(bench: Bench) -> None:
    from ringback.server.stores.base import StoreBusy

    async def scenario(bench: ServerBench) -> None:
        server = await bench.start()
        free = server.stack.clock.now() + 1.0
        desk, caller = bench.peer(2), bench.peer(3)
        await bench.register(desk, "bob")
        assert server._chain is not None
        steps = server._chain._steps

        async def busy(exchange: Exchange) -> Verdict:
            if exchange.now < free:
                raise StoreBusy("another process writes")
            return Verdict.NEXT

        server._chain = Chain((steps[0], busy, *steps[1:]), server._wait, server.stack.wake)
        uri = f"sip:bob@{DOMAIN}"
        bench.send(caller, "INVITE", uri, branch="i", call_id="c")
        await asyncio.sleep(0.1)
        bench.send(caller, "CANCEL", uri, branch="i", call_id="c")
        await caller.silence(0.5)
        assert (await caller.expect_response(200)).cseq.method == "CANCEL"
        invite = await desk.expect_request("INVITE")
        desk.reply(invite, 100)
        desk.reply(await desk.expect_request("CANCEL"), 200)
        desk.reply(invite, 487, to_tag="d")
        await desk.expect_request("ACK")
        bench.acknowledge(caller, await caller.expect_response(487), uri)

    bench(scenario)
