"""A server in the simulated world, and scripted phones around it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from ringback.protocol.auth.digest import read_challenges, respond
from ringback.protocol.message.model import Response
from ringback.server.server import Server
from ringback.server.settings import build
from ringback.testing.fixtures import pytest_runtest_makereport, world
from ringback.testing.peer import ScriptedPeer
from ringback.testing.world import World

__all__ = ["ServerBench", "bench", "pytest_runtest_makereport", "world"]

SERVER = ("10.0.0.1", 5060)
DOMAIN = "example.test"
PASSWORD = "secret"
SDP = "v=0\no=- 1 1 IN IP4 10.0.0.9\ns=-\nc=IN IP4 10.0.0.9\nt=0 0\nm=audio 4000 RTP/AVP 0\n"


class ServerBench:
    """One world with one server in it; ``settings`` as in the file, over a ``:memory:`` store and 10.0.0.1:5060."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.server: Server
        self.numbers = 0

    async def start(self, *users: str, **settings: Any) -> Server:
        """Start the server; with ``users`` (of the domain, with ``PASSWORD``), else open."""
        host = self.world.host(SERVER[0])
        values: dict[str, Any] = {
            "listen": [f"udp:{SERVER[0]}:{SERVER[1]}"],
            "domains": [DOMAIN],
            "store": "sqlite::memory:",
            "open": not users,
        }
        self.server = Server(build(values | settings), network=host, clock=host.clock, resolver=host, ids=host.ids)
        for user in users:
            name, _, domain = user.partition("@")
            self.server.store.add_user(name, domain or DOMAIN, PASSWORD)
        self.server.store.commit()
        await self.server.start()
        self.world.watch("server", self.server.counts)
        return self.server

    def peer(self, number: int, port: int = 5060) -> ScriptedPeer:
        """The far end 10.0.0.<number>."""
        return ScriptedPeer(self.world.host(f"10.0.0.{number}"), port, SERVER)

    def request(
        self,
        peer: ScriptedPeer,
        method: str,
        uri: str,
        *headers: str,
        from_: str = f"sip:alice@{DOMAIN}",
        to: str | None = None,
        to_tag: str = "",
        from_tag: str = "from",
        call_id: str = "",
        cseq: int = 1,
        branch: str = "",
        max_forwards: int = 70,
        rport: bool = False,
        body: str = "",
    ) -> str:
        """The text of a request from ``peer``; what is not given is fresh or the usual."""
        self.numbers += 1
        host, port = peer.local
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{branch or self.numbers}{';rport' if rport else ''}",
            f"Max-Forwards: {max_forwards}",
            f"From: <{from_}>;tag={from_tag}",
            f"To: <{to or uri}>{f';tag={to_tag}' if to_tag else ''}",
            f"Call-ID: {call_id or f'call{self.numbers}'}",
            f"CSeq: {cseq} {method}",
            *headers,
            f"Content-Length: {len(body.replace(chr(10), chr(13) + chr(10)))}",
            "",
        ]
        return "\r\n".join([*lines, body.replace("\n", "\r\n")])

    def send(self, peer: ScriptedPeer, *request: Any, **fields: Any) -> None:
        """Write a request and send it to the server, byte for byte."""
        peer.send(self.request(peer, *request, **fields).encode(), SERVER)

    async def ask(self, peer: ScriptedPeer, status: int, *request: Any, **fields: Any) -> Response:
        """Send a request to the server; its answer, which must have this status."""
        self.send(peer, *request, **fields)
        return await peer.expect_response(status)

    async def register(
        self, peer: ScriptedPeer, user: str, *parameters: str, contact: str = "", **fields: Any
    ) -> Response:
        """Register ``user`` of the domain at ``peer``, in an open server."""
        host, port = peer.local
        contact = contact or f"<sip:{user}@{host}:{port}>"
        return await self.ask(
            peer,
            200,
            "REGISTER",
            f"sip:{DOMAIN}",
            f"Contact: {';'.join([contact, *parameters])}",
            from_=f"sip:{user}@{DOMAIN}",
            to=f"sip:{user}@{DOMAIN}",
            **fields,
        )

    def credentials(
        self, challenged: Response, method: str, uri: str, user: str, password: str = PASSWORD, body: bytes = b""
    ) -> str:
        """The header line that answers a 401 or 407."""
        asked, given = (
            ("www-authenticate", "Authorization")
            if challenged.status == 401
            else ("proxy-authenticate", "Proxy-Authorization")
        )
        self.numbers += 1
        answer = respond(
            read_challenges(challenged.get_all(asked)),
            username=user,
            password=password,
            method=method,
            uri=uri,
            body=body,
            cnonce=f"cnonce{self.numbers}",
        )
        return f"{given}: {answer}"

    async def authenticated(
        self, peer: ScriptedPeer, status: int, user: str, method: str, uri: str, *headers: str, **fields: Any
    ) -> Response:
        """Send a request, answer the challenge as ``user``, and give the answer to that, which must be ``status``."""
        cseq = fields.pop("cseq", 1)
        self.send(peer, method, uri, *headers, cseq=cseq, **fields)
        message = await peer.expect_response(401 if method == "REGISTER" else 407)
        self.acknowledge(peer, message, uri)
        line = self.credentials(message, method, uri, user)
        return await self.ask(peer, status, method, uri, *headers, line, cseq=cseq + 1, **fields)

    def acknowledge(self, peer: ScriptedPeer, response: Response, uri: str) -> None:
        """ACK a final response other than 2xx to INVITE, hop by hop; nothing for other methods."""
        if response.cseq.method != "INVITE":
            return
        lines = [
            f"ACK {uri} SIP/2.0",
            f"Via: {response.get('via')}",
            "Max-Forwards: 70",
            f"From: {response.get('from')}",
            f"To: {response.get('to')}",
            f"Call-ID: {response.call_id}",
            f"CSeq: {response.cseq.number} ACK",
            "Content-Length: 0",
            "",
            "",
        ]
        peer.send("\r\n".join(lines).encode(), SERVER)


@pytest.fixture
def bench(world: World) -> Iterator[Callable[[Callable[[ServerBench], Awaitable[None]]], None]]:
    """Runs ``async def scenario(bench)`` in the world and closes its server."""
    bench = ServerBench(world)

    def run(scenario: Callable[[ServerBench], Awaitable[None]]) -> None:
        async def main() -> None:
            await scenario(bench)

        world.run(main())

    yield run
    if hasattr(bench, "server"):
        world.check_quiet()
        world.run(bench.server.close())
