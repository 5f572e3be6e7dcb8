"""Wireshark's dissector reads what the server sent in calls of every outcome, and finds nothing malformed in it."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from ringback.errors import CallRejected
from ringback.protocol.cores.ua_events import CallProgress
from ringback.server.server import Server
from ringback.server.settings import build
from ringback.ua import Call, UserAgent
from tests.interop.capture import Capture
from tests.interop.process import LOOPBACK, Children, find, free_port, need
from tests.interop.sipp import DOMAIN, Sipp

SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"

# Wireshark's expert severities, from "warning" upwards.
_SUSPICIOUS = "(_ws.malformed || _ws.expert.severity >= 6291456)"


def dissect(capture: Path, port: int, condition: str) -> list[str]:
    """One line for each packet that meets a display filter: its summary and what the expert says of it."""
    command = [find("tshark") or "tshark", "-n", "-r", str(capture), "-d", f"udp.port=={port},sip", "-Y", condition]
    fields = ["-T", "fields", "-e", "frame.number", "-e", "sip.Request-Line", "-e", "sip.Status-Line"]
    fields += ["-e", "_ws.expert.message", "-e", "_ws.malformed"]
    done = subprocess.run([*command, *fields], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.splitlines()


def call_in_every_way(children: Children, server: str, folder: Path) -> None:
    """Registrations, calls answered, refused, cancelled and forked, a text, OPTIONS, and requests that are refused."""
    sipp = Sipp(children, server)
    ports = {name: free_port() for name in ("answers", "busy", "cancelled", "winner", "loser", "reads")}
    for user, name in (("answers", "answers"), ("busy", "busy"), ("cancelled", "cancelled"), ("reads", "reads")):
        sipp.register(user, ports[name])
    for name in ("winner", "loser"):
        sipp.register("forked", ports[name])
    phones = [
        sipp.start("phone", "-d", "50", port=ports["answers"]),
        sipp.start("phone_busy", port=ports["busy"]),
        sipp.start("phone_cancelled", port=ports["cancelled"]),
        sipp.start("phone_loses", port=ports["loser"]),
        sipp.start("phone", "-d", "200", port=ports["winner"]),
        sipp.start("phone_reads", port=ports["reads"]),
    ]
    for scenario, user in (
        ("call", "answers"),
        ("call_busy", "busy"),
        ("call_cancelled", "cancelled"),
        ("call", "forked"),
        ("call_away", "nobody"),
        ("message", "reads"),
    ):
        sipp.run(scenario, "-s", "alice", "-d", "50", keys={"callee": f"{user}@{DOMAIN}"})
    for phone in phones:
        phone.passes()


@pytest.mark.row("TRN-4", part="Wireshark's dissector")
async def test_the_dissector_finds_nothing_malformed_in_what_the_server_sent(
    children: Children, tmp_path: Path
) -> None:
    need("sipp", "tshark")
    capture = Capture(tmp_path / "server.pcap")
    settings = {"listen": [f"udp:{LOOPBACK}:0"], "domains": [DOMAIN], "store": "sqlite::memory:", "open": True}
    server = Server(build(settings), observer=capture)
    await server.start()
    try:
        _, port = server.addresses[0]
        await asyncio.to_thread(call_in_every_way, children, f"{LOOPBACK}:{port}", tmp_path)
    finally:
        await server.close()
        capture.close()
    assert len(dissect(capture.path, port, f"sip && udp.srcport == {port}")) == capture.sent > 30
    assert dissect(capture.path, port, f"udp.srcport == {port} && {_SUSPICIOUS}") == []


async def call_between_our_phones(server: str, alice_sees: Capture, bob_sees: Capture) -> None:
    """Registrations, calls answered, refused and withdrawn, and OPTIONS."""

    def phone(user: str, sees: Capture) -> UserAgent:
        aor, proxy, listen = f"sip:{user}@{DOMAIN}", f"sip:{server};lr", f"udp:{LOOPBACK}:0"
        return UserAgent(aor, proxy=proxy, listen=listen, sdp=SDP, observer=sees)

    async with phone("alice", alice_sees) as alice, phone("bob", bob_sees) as bob:

        @bob.on_call
        async def _(incoming: Call) -> None:
            await incoming.ring()
            if b"refuse" in incoming.remote_body:
                await incoming.reject(603)
            elif b"wait" not in incoming.remote_body:
                await incoming.answer()
            await incoming.ended

        await alice.register()
        await bob.register()
        await (await alice.call(f"sip:bob@{DOMAIN}")).hangup()
        with pytest.raises(CallRejected):
            await alice.call(f"sip:bob@{DOMAIN}", body=SDP.replace(b"s=-", b"s=refuse"))
        dialled = alice.dial(f"sip:bob@{DOMAIN}", body=SDP.replace(b"s=-", b"s=wait"))
        async for event in dialled.events():
            if isinstance(event, CallProgress):
                break
        await dialled.cancel()
        await alice.options(f"sip:bob@{DOMAIN}")


@pytest.mark.row("TRN-4", part="Wireshark's dissector, user agent")
async def test_the_dissector_finds_nothing_malformed_in_what_our_phones_sent(tmp_path: Path) -> None:
    need("tshark")
    captures = [Capture(tmp_path / f"{name}.pcap") for name in ("alice", "bob")]
    settings = {"listen": [f"udp:{LOOPBACK}:0"], "domains": [DOMAIN], "store": "sqlite::memory:", "open": True}
    server = Server(build(settings))
    await server.start()
    try:
        _, port = server.addresses[0]
        await call_between_our_phones(f"{LOOPBACK}:{port}", *captures)
    finally:
        await server.close()
        for capture in captures:
            capture.close()
    for capture in captures:
        assert len(dissect(capture.path, port, f"sip && udp.dstport == {port}")) == capture.sent > 5
        assert dissect(capture.path, port, f"udp.dstport == {port} && {_SUSPICIOUS}") == []


def test_the_dissector_would_notice(tmp_path: Path) -> None:
    need("tshark")
    capture = Capture(tmp_path / "broken.pcap")
    via = b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"
    text = b"SIP/2.0 200 OK\r\n" + via + b"CSeq: 1 INVITE BYE\r\nContent-Length: nine\r\n\r\n"
    capture.message("out", text, "UDP", "127.0.0.1:5060", "127.0.0.1:5070", 0.0)
    capture.close()
    assert dissect(capture.path, 5060, _SUSPICIOUS) != []
