"""Browsers at the server: registered over WebSocket, called and calling, and gone (RFC 7118)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ringback.protocol.message.build import build_response
from ringback.protocol.message.model import Request, Response
from ringback.testing.peer import ScriptedPeer
from ringback.testing.stream_peer import StreamPeer
from ringback.testing.web_peer import WebPeer
from tests.certificates import authority
from tests.server.conftest import DOMAIN, SDP, ServerBench

Run = Callable[[Callable[[ServerBench], Awaitable[None]]], None]

LISTEN = ["udp:10.0.0.1:5060", "ws:10.0.0.1:80"]
SECURE = {
    "listen": [*LISTEN, "wss:10.0.0.1:443"],
    "tls": {"certificate": str(authority().issue(DOMAIN).both), "authorities": str(authority().file)},
}
HOST = "df7jal23ls0d.invalid"


class Browser:
    """A page's phone: it does not know its own address, and asks for ``ws`` whatever it has."""

    def __init__(self, peer: WebPeer, user: str, via: str, host: str = HOST) -> None:
        self.peer = peer
        self.user = user
        self.via = via
        self.host = host
        self.number = 0
        self.scheme = "sip"

    @classmethod
    async def open(
        cls, bench: ServerBench, user: str, number: int, *, secure: bool = False, host: str = HOST
    ) -> Browser:
        tls = authority().client() if secure else None
        address = ("10.0.0.1", 443 if secure else 80)
        peer = await WebPeer.connect(bench.world.host(f"10.0.0.{number}"), address, tls=tls, name=DOMAIN)
        return cls(peer, user, "WSS" if secure else "WS", host)

    @property
    def contact(self) -> str:
        return f"<{self.scheme}:{self.user}@{self.host};transport=ws>"

    def send(self, method: str, uri: str, *headers: str, to: str = "", call_id: str = "", body: str = "") -> None:
        self.number += 1
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{self.via} {self.host};branch=z9hG4bK{self.user}{self.number}",
            "Max-Forwards: 70",
            f"From: <sip:{self.user}@{DOMAIN}>;tag={self.user}",
            f"To: {to or f'<{uri}>'}",
            f"Call-ID: {call_id or f'{self.user}{self.number}'}",
            f"CSeq: {self.number} {method}",
            f"Contact: {self.contact}",
            *headers,
            f"Content-Length: {len(body.replace(chr(10), chr(13) + chr(10)))}",
            "",
        ]
        self.peer.send("\r\n".join([*lines, body.replace("\n", "\r\n")]).encode())

    async def register(self) -> Response:
        self.send("REGISTER", f"sip:{DOMAIN}", to=f"<sip:{self.user}@{DOMAIN}>")
        return await self.peer.expect_response(200)

    def reply(self, request: Request, status: int, *, body: str = "") -> None:
        response = build_response(
            request,
            status,
            to_tag="callee",
            headers=[("Contact", self.contact)],
            body=body.encode(),
            content_type="application/sdp" if body else None,
            record_route=True,
        )
        self.peer.send(response)


@pytest.mark.row("TRN-2", "REG-1", part="WS")
@pytest.mark.rfc("7118 8.1")
@pytest.mark.parametrize("secure", [False, True])
def test_a_browser_registers_and_is_called_on_its_connection(bench: Run, secure: bool) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start(**SECURE)
        bob = await Browser.open(bench, "bob", 2, secure=secure)
        response = await bob.register()
        assert bob.contact[1:-1] in (response.get("contact") or "")
        alice = bench.peer(3)
        bench.send(alice, "MESSAGE", f"sip:bob@{DOMAIN}", body="hello")
        request = await bob.peer.expect_request("MESSAGE")
        assert request.top_via.transport == bob.via
        bob.reply(request, 200)
        await alice.expect_response(200)
        bob.peer.close()

    bench(scenario)


@pytest.mark.row("TRN-2", part="WS")
def test_a_browser_that_has_gone_is_480_and_the_next_contact_is_tried(bench: Run) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start(listen=LISTEN)
        bob = await Browser.open(bench, "bob", 2)
        await bob.register()
        bob.peer.reset()
        await asyncio.sleep(1.0)
        alice, desk = bench.peer(3), bench.peer(4)
        begun = bench.world.now
        await bench.ask(alice, 480, "MESSAGE", f"sip:bob@{DOMAIN}")
        assert bench.world.now - begun < 1.0
        await bench.register(desk, "bob", "q=0.1")
        bench.send(alice, "MESSAGE", f"sip:bob@{DOMAIN}")
        desk.reply(await desk.expect_request("MESSAGE"), 200)
        await alice.expect_response(200)

    bench(scenario)


def test_a_browser_that_has_come_back_is_found_on_its_new_connection(bench: Run) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start(listen=LISTEN)
        old = await Browser.open(bench, "bob", 2)
        await old.register()
        old.peer.reset()
        new = await Browser.open(bench, "bob", 2)
        new.number = 1
        new.send("REGISTER", f"sip:{DOMAIN}", to=f"<sip:bob@{DOMAIN}>", call_id="bob1")
        await new.peer.expect_response(200)
        alice = bench.peer(3)
        bench.send(alice, "MESSAGE", f"sip:bob@{DOMAIN}")
        new.reply(await new.peer.expect_request("MESSAGE"), 200)
        await alice.expect_response(200)
        new.peer.close()

    bench(scenario)


async def call(bench: ServerBench, alice: Browser, bob: ScriptedPeer) -> None:
    """Alice in her browser calls Bob's telephone over UDP; he hangs up."""
    alice.send("INVITE", f"sip:bob@{DOMAIN}", "Content-Type: application/sdp", call_id="call", body=SDP)
    invite = await bob.expect_request("INVITE")
    assert [via.transport for via in invite.vias] == ["UDP", alice.via]
    routes = invite.record_routes
    assert [route.uri.transport for route in routes] == [None, "WS"]
    bob.reply(
        invite,
        200,
        to_tag="bob",
        headers=[("Contact", "<sip:bob@10.0.0.3>"), *(("Record-Route", v) for v in invite.values("record-route"))],
    )
    ok = await alice.peer.expect_response(200, skip=[100])
    alice.number -= 1
    back = [f"Route: {value}" for value in reversed(ok.values("record-route"))]
    alice.send("ACK", "sip:bob@10.0.0.3", *back, to=ok.get("to") or "", call_id="call")
    await bob.expect_request("ACK")
    bob.send(
        bench.request(
            bob,
            "BYE",
            alice.contact[1:-1],
            *(f"Route: {value}" for value in ok.values("record-route")),
            from_=f"sip:bob@{DOMAIN}",
            from_tag="bob",
            to=f"sip:alice@{DOMAIN}",
            to_tag="alice",
            call_id="call",
        ).encode(),
        ("10.0.0.1", 5060),
    )
    alice.reply(await alice.peer.expect_request("BYE"), 200)
    await bob.expect_response(200)


@pytest.mark.rfc("7118 8.2")
@pytest.mark.row("TRN-2", "INV-1", part="WS")
@pytest.mark.parametrize("secure", [False, True])
def test_a_browser_calls_a_telephone_which_hangs_up(bench: Run, secure: bool) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start(**SECURE)
        alice, bob = await Browser.open(bench, "alice", 2, secure=secure), bench.peer(3)
        await bench.register(bob, "bob")
        await call(bench, alice, bob)
        alice.peer.close()

    bench(scenario)


def test_two_browsers_talk_to_each_other(bench: Run) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start(listen=LISTEN)
        alice = await Browser.open(bench, "alice", 2, host="a.invalid")
        bob = await Browser.open(bench, "bob", 3, host="b.invalid")
        await bob.register()
        alice.send("INVITE", f"sip:bob@{DOMAIN}", "Content-Type: application/sdp", call_id="call", body=SDP)
        invite = await bob.peer.expect_request("INVITE")
        bob.reply(invite, 200, body=SDP)
        ok = await alice.peer.expect_response(200, skip=[100])
        alice.number -= 1
        back = [f"Route: {value}" for value in reversed(ok.values("record-route"))]
        alice.send("ACK", bob.contact[1:-1], *back, to=ok.get("to") or "", call_id="call")
        await bob.peer.expect_request("ACK")
        alice.send("BYE", bob.contact[1:-1], *back, to=ok.get("to") or "", call_id="call")
        bob.reply(await bob.peer.expect_request("BYE"), 200)
        await alice.peer.expect_response(200)
        alice.peer.close()
        bob.peer.close()

    bench(scenario)


@pytest.mark.rfc("7118 5")
@pytest.mark.threat("T2")
def test_what_a_browser_sends_without_content_length_has_one_on_a_stream(bench: Run) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start(listen=[*LISTEN, "tcp:10.0.0.1:5060"])
        bob = await Browser.open(bench, "bob", 2)
        await bob.register()
        alice = await StreamPeer.connect(bench.world.host("10.0.0.3"), ("10.0.0.1", 5060))
        text = bench.request(bench.peer(3), "MESSAGE", f"sip:bob@{DOMAIN}")
        alice.send(text.replace("/UDP", "/TCP").encode())
        request = await bob.peer.expect_request("MESSAGE")
        answer = build_response(request, 200, to_tag="bob", body=b"hello", content_type="text/plain")
        answer.remove("Content-Length")
        bob.peer.send(answer)
        response = await alice.expect_response(200, timeout=1.0)
        assert response.content_length == 5
        assert response.body == b"hello"
        alice.close()
        bob.peer.close()

    bench(scenario)


@pytest.mark.rfc("7118 9.2")
@pytest.mark.row("TRN-7", part="WSS")
@pytest.mark.parametrize("secure", [False, True])
def test_a_sips_contact_of_a_browser_is_reached_by_a_secure_websocket_only(bench: Run, secure: bool) -> None:
    async def scenario(bench: ServerBench) -> None:
        await bench.start(**SECURE)
        bob = await Browser.open(bench, "bob", 2, secure=secure)
        bob.scheme = "sips"
        await bob.register()
        alice = bench.peer(3)
        bench.send(alice, "MESSAGE", f"sip:bob@{DOMAIN}")
        if secure:
            request = await bob.peer.expect_request("MESSAGE")
            bob.reply(request, 200)
            await alice.expect_response(200)
        else:
            await bob.peer.silence(5)
            await alice.expect_response(500)
        bob.peer.close()

    bench(scenario)
