"""Floods leave nothing behind, and what goes out is in proportion to what came in (THREATS T7, T11, T15)."""

from __future__ import annotations

import asyncio
import gc
import sys

import pytest

from ringback.testing.fixtures import pytest_runtest_makereport, world
from ringback.testing.world import World
from tests.hostile.cases import Case
from tests.hostile.range import DOMAIN, SERVER, Range

__all__ = ["pytest_runtest_makereport", "world"]

WAVES = 4
SOURCES = 50


def request(
    method: str,
    uri: str,
    number: int,
    host: str,
    port: int,
    *lines: str,
    from_: str = "sip:x@elsewhere.test",
    to: str = "",
) -> bytes:
    head = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bKq{number}",
        "Max-Forwards: 70",
        f"From: <{from_}>;tag=q{number}",
        f"To: <{to or uri}>",
        f"Call-ID: q{number}",
        f"CSeq: 1 {method}",
        *lines,
        "Content-Length: 0",
        "",
        "",
    ]
    return "\r\n".join(head).encode()


KINDS = {
    "INVITE to nobody": lambda n, h, p: request("INVITE", f"sip:u{n}@{DOMAIN}", n, h, p),
    "INVITE to bob": lambda n, h, p: request("INVITE", f"sip:bob@{DOMAIN}", n, h, p),
    "MESSAGE to bob": lambda n, h, p: request("MESSAGE", f"sip:bob@{DOMAIN}", n, h, p),
    "made-up methods to bob": lambda n, h, p: request(f"M{n}", f"sip:bob@{DOMAIN}", n, h, p),
    "CANCEL of nothing": lambda n, h, p: request("CANCEL", f"sip:nobody@{DOMAIN}", n, h, p),
    "ACK to nobody": lambda n, h, p: request("ACK", f"sip:u{n}@{DOMAIN}", n, h, p),
    "INVITE abroad": lambda n, h, p: request("INVITE", f"sip:u{n}@host{n}.test", n, h, p),
    "broken": lambda n, h, p: request("INVITE", f"sip:u{n}@{DOMAIN}", n, h, p).replace(b"CSeq: 1", b"CSeq: x"),
    "new header names": lambda n, h, p: request("OPTIONS", f"sip:{DOMAIN}", n, h, p, f"X-{n}: y"),
    "REGISTER, no password": lambda n, h, p: request(
        "REGISTER", f"sip:{DOMAIN}", n, h, p, "Contact: <sip:x@h>", from_=f"sip:u{n}@{DOMAIN}", to=f"sip:u{n}@{DOMAIN}"
    ),
}


@pytest.mark.threat("T7")
@pytest.mark.row("TRN-5", part="floods")
@pytest.mark.parametrize("kind", KINDS)
def test_a_flood_leaves_nothing_behind(world: World, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    target = Range(world, caplog)
    size = 2000 if "bob" not in kind else 400
    blocks = []

    async def scenario() -> None:
        await target.start(["bob"] if "password" in kind else [])
        endpoints = [
            world.host(f"10.1.0.{at}").bind(f"10.1.0.{at}", 5000 + at, lambda e: e.receive(1 << 20) and None)
            for at in range(1, SOURCES + 1)
        ]
        number = 0
        for _ in range(WAVES):
            for _ in range(size):
                number += 1
                endpoint = endpoints[number % SOURCES]
                endpoint.send(KINDS[kind](number, *endpoint.local), SERVER)
                if number % 50 == 0:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(70)
            world.trace.clear()
            target.forwarded.clear()
            target._seen.clear()
            caplog.clear()
            gc.collect()
            blocks.append(sys.getallocatedblocks())
        await target.is_alive()

    world.run(scenario())
    world.check_quiet()
    assert not any(target.server.counts().values())
    world.run(target.server.close())
    # What is kept of lines that were read is bounded in itself; to hold on to requests would take far more.
    assert blocks[-1] - blocks[0] < 100_000, blocks


@pytest.mark.threat("T11")
@pytest.mark.parametrize("secured", [False, True], ids=["open", "passwords"])
def test_what_goes_out_is_in_proportion_to_what_came_in(
    world: World, caplog: pytest.LogCaptureFixture, secured: bool
) -> None:
    """The sender is believed to be where Via says, so whoever forges his source aims the answers. What he gains:"""
    target = Range(world, caplog)
    gains: dict[str, float] = {}

    async def scenario() -> None:
        await target.start(["bob"] if secured else [])
        for number, (kind, make) in enumerate(KINDS.items(), 90_000):
            data = make(number, "10.0.0.9", 5060)
            for line in (b"Max-Forwards: 70\r\n", b"Content-Length: 0\r\n"):  # as short as it may be
                data = data.replace(line, b"")
            data = data.replace(b"SIP/2.0/UDP 10.0.0.9:5060", b"SIP/2.0/UDP h;rport")
            mark = len(world.trace)
            await target.fire(Case(kind, data))
            await asyncio.sleep(100)
            sent = sum(len(p.data) for p in world.trace[mark:] if p.source == SERVER and p.destination[0] == "10.0.0.9")
            gains[kind] = sent / len(data)

    world.run(scenario())
    world.check_quiet()
    world.run(target.server.close())
    repeated = gains.pop("INVITE to bob")  # the phone's 486, for 64*T1 without ACK: eleven times (§17.2.1)
    assert repeated < 14.0
    assert max(gains.values()) < 3.0, gains
