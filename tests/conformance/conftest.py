"""A whole server, whole user agents and scripted phones in one simulated world, for the tests that follow the rows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from ringback import CallRejected, SipError, UserAgent
from ringback.protocol.message.model import Request, Response
from ringback.protocol.message.parser import parse_message
from ringback.testing.fixtures import pytest_runtest_makereport, world
from ringback.testing.peer import ScriptedPeer
from ringback.testing.world import World
from tests.server.conftest import DOMAIN, SERVER, ServerBench

__all__ = ["House", "pytest_runtest_makereport", "world"]

OFFER = "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
ANSWER = OFFER.replace("4000", "5000")
LONG_ENOUGH = 75.0  # seconds: 64*T1 twice, and Timer K
BOB = f"sip:bob@{DOMAIN}"


class House(ServerBench):
    """``start`` the server of a ``ServerBench`` where one is wanted; ``agent`` and ``peer`` are phones around it.

    ``run`` plays a scenario, lets time go by until nothing can be under way, and sees that nobody has anything left.
    """

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.agents: list[UserAgent] = []

    async def agent(self, name: str, number: int, *, proxy: bool = True, **options: Any) -> UserAgent:
        """The user agent of ``name`` at 10.0.0.<number>, behind the server unless ``proxy`` is false."""
        host = self.world.host(f"10.0.0.{number}")
        values: dict[str, Any] = {"listen": f"udp:{host.address}:5060", "sdp": OFFER}
        if proxy:
            values["proxy"] = f"sip:{SERVER[0]}"
        seams = {"network": host, "resolver": host, "clock": host.clock, "ids": host.ids}
        agent = UserAgent(f"sip:{name}@{DOMAIN}", **(values | options), **seams)
        await agent.start()
        self.agents.append(agent)
        return agent

    async def phone(self, name: str, number: int, **options: Any) -> UserAgent:
        """An ``agent`` that has registered."""
        agent = await self.agent(name, number, **options)
        await agent.register()
        return agent

    async def desk(self, name: str, number: int, *parameters: str) -> ScriptedPeer:
        """A scripted phone that has registered, in an open server."""
        peer = self.peer(number)
        await self.register(peer, name, *parameters)
        return peer

    def run(self, scenario: Callable[[], Awaitable[None]]) -> None:
        """Play it to its end; the phones leave, and then the server must be quiet."""

        async def main() -> None:
            await scenario()
            await asyncio.sleep(LONG_ENOUGH)
            for agent in self.agents:
                assert {name: size for name, size in agent.counts().items() if size} == {}, agent.aor
                await agent.close()

        self.world.run(main())

    # looking back at the wire

    def packets(self, what: str | int, source: int | None = None, to: int | None = None) -> list[tuple[float, Any]]:
        """When each such message was sent, and the message: by method or status, by the last numbers of addresses."""
        found: list[tuple[float, Any]] = []
        for packet in self.world.trace:
            if packet.copy or len(packet.data) < 20:
                continue
            if source is not None and packet.source[0] != f"10.0.0.{source}":
                continue
            if to is not None and packet.destination[0] != f"10.0.0.{to}":
                continue
            message = parse_message(packet.data)
            if what == (message.method if isinstance(message, Request) else message.status):
                found.append((packet.sent_at, message))
        return found

    def sent(self, what: str | int, source: int | None = None, to: int | None = None) -> list[Any]:
        """The messages alone."""
        return [message for _, message in self.packets(what, source, to)]

    def delays(self, what: str | int, source: int | None = None, to: int | None = None) -> list[float]:
        """When each was sent, in seconds after the first one."""
        times = [at for at, _ in self.packets(what, source, to)]
        return [round(at - times[0], 3) for at in times]

    @staticmethod
    def parsed(data: bytes) -> Any:
        """A packet's bytes as a message."""
        return parse_message(data)

    def ladder(self) -> list[str]:
        """Who sent what, as "1 INVITE" for what left 10.0.0.1."""
        lines = []
        for packet in self.world.trace:
            words = packet.data.split(b" ", 2)
            what = words[1] if words[0] == b"SIP/2.0" else words[0]
            lines.append(f"{packet.source[0].rpartition('.')[2]} {what.decode()}")
        return lines


def contact(peer: ScriptedPeer, name: str = "bob") -> tuple[str, str]:
    """The Contact header field of a scripted phone."""
    return "Contact", f"<sip:{name}@{peer.local[0]}:{peer.local[1]}>"


def recorded(request: Request) -> list[tuple[str, str]]:
    """The Record-Route of a request, to be copied into a response."""
    return [("Record-Route", value) for value in request.get_all("record-route")]


def take(peer: ScriptedPeer, invite: Request, tag: str = "bob", status: int = 200) -> Response:
    """Answer an INVITE as a phone does that makes a dialog of it."""
    body = ANSWER.encode() if status >= 200 else b""
    return peer.reply(
        invite,
        status,
        to_tag=tag,
        headers=[contact(peer), *recorded(invite)],
        body=body,
        content_type="application/sdp" if body else None,
    )


def bye(peer: ScriptedPeer, invite: Request, tag: str = "bob", *, cseq: int = 1, method: str = "BYE") -> str:
    """A request in the dialog that ``peer`` made with ``tag`` of an INVITE it took; along its route set."""
    host, port = peer.local
    lines = [
        f"{method} {invite.contacts[0].uri_text} SIP/2.0",
        f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{method}{cseq}{tag}{invite.call_id}",
        *(f"Route: {value}" for value in invite.get_all("record-route")),
        "Max-Forwards: 70",
        f"From: {invite.get('to')};tag={tag}",
        f"To: {invite.get('from')}",
        f"Call-ID: {invite.call_id}",
        f"CSeq: {cseq} {method}",
        "Content-Length: 0",
    ]
    return "\n".join(lines)


async def outcome(work: Awaitable[Any]) -> Any:
    """The status of the response or the name of the error that ``work`` comes to: an exception that is kept holds its
    traceback, and the world would find the cycle."""
    try:
        result = await work
    except CallRejected as error:
        return error.status
    except SipError as error:
        return type(error).__name__
    return result.status if isinstance(result, Response) else result


@pytest.fixture
def house(world: World) -> Iterator[House]:
    house = House(world)
    yield house
    if hasattr(house, "server"):
        world.check_quiet()
        world.run(house.server.close())
