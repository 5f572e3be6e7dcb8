"""What ``ringback demo`` plays: a server and three phones in one process, a call forked, answered and ended.

Everything is real but the people: the server keeps its users and bindings in an SQLite file of a temporary folder, the
phones are ``ringback.ua``, and every message crosses the loopback interface as UDP. The ladder is drawn from what the
server's observer sees, as it happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self, final

from ringback.cli.terminal import REFUSED, SUCCESS, console, program, styled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.live import Live

    from ringback.callflow.record import Packet
    from ringback.callflow.text import Line
    from ringback.protocol.routing.flow import Address
    from ringback.server.server import Server
    from ringback.ua import Call, UserAgent

DOMAIN = "example.test"
PASSWORDS = {"alice": "correct horse", "desk": "battery staple"}
LISTEN = "udp:127.0.0.1:0"
RINGS_FOR = 1.2  # seconds until the first desk picks up
TALKS_FOR = 1.0  # seconds until the caller hangs up
PATIENCE = 15.0  # seconds for the whole call; on loopback it takes as long as people do
PIPE_WIDTH = 110  # cells, where there is no terminal to ask
SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
)


@final
class _Stage:
    """Where the ladder is drawn: line by line, on a terminal with a line below that says what is going on."""

    def __init__(self, aliases: Mapping[str, str], ascii_only: bool) -> None:
        from ringback.callflow.correlate import CallFlow
        from ringback.callflow.text import Ladder

        self._console = console()
        self._live: Live | None = None
        self._flow = CallFlow()
        width = self._console.width if self._console.is_terminal else PIPE_WIDTH
        encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower()
        self._ladder = Ladder(
            list(aliases), aliases=aliases, width=width, ascii_only=ascii_only or not encoding.startswith("utf")
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            from rich.live import Live

            self._live = Live(console=self._console, transient=True, refresh_per_second=10)
            self._live.start()
        self._draw(self._ladder.head())
        return self

    def __exit__(self, *_: object) -> None:
        self._draw([self._ladder.rails()])
        if self._live is not None:
            self._live.stop()

    def packet(self, packet: Packet) -> None:
        """Draw one message."""
        self._draw(self._ladder.arrow(self._flow.add(packet)))

    def says(self, text: str) -> None:
        """Say what is going on now."""
        if self._live is not None:
            from rich.spinner import Spinner

            self._live.update(Spinner("dots", text=f" {text}"))

    def _draw(self, lines: list[Line]) -> None:
        for line in lines:
            self._console.print(styled(line))


@final
class Demo:
    """One run: what happened is collected in ``facts``, each of which must be true in the end."""

    def __init__(self, ascii_only: bool) -> None:
        self._ascii = ascii_only
        self._stage: _Stage | None = None
        self._packets: list[Packet] = []
        self.facts: dict[str, bool] = {}

    async def run(self) -> int:
        """The whole demo; the exit code."""
        with tempfile.TemporaryDirectory(prefix="ringback-demo-") as folder:
            server = await self._serve(Path(folder) / "demo.db")
            try:
                async with contextlib.AsyncExitStack() as phones:
                    await self._play(server, phones)
            finally:
                await server.close()
        self._sum_up()
        return SUCCESS if all(self.facts.values()) else REFUSED

    async def _serve(self, database: Path) -> Server:
        """A server on port 5060, or any free one where that is taken."""
        from ringback.callflow.record import Recorder
        from ringback.errors import TransportError
        from ringback.server.server import Server
        from ringback.server.settings import build

        for port in (5060, 0):
            settings = build({"listen": [f"udp:127.0.0.1:{port}"], "domains": [DOMAIN], "store": f"sqlite:{database}"})
            server = Server(settings, observer=Recorder(on_packet=self._seen))
            try:
                await server.start()
            except TransportError:
                if not port:
                    raise
                continue
            for user, password in PASSWORDS.items():
                if not server.store.exists(user, DOMAIN):
                    server.store.add_user(user, DOMAIN, password)
            server.store.commit()
            return server
        raise AssertionError("unreachable: port 0 is always free")

    def _seen(self, packet: Packet) -> None:
        self._packets.append(packet)
        if self._stage is not None:
            self._stage.packet(packet)

    async def _play(self, server: Server, phones: contextlib.AsyncExitStack) -> None:
        from ringback.protocol.routing.flow import format_address

        self._server = format_address(server.addresses[0])
        alice, first, second = [
            await phones.enter_async_context(self._phone(user)) for user in ("alice", "desk", "desk")
        ]
        aliases = {
            _place(alice): "alice",
            self._server: "server",
            _place(first): "desk 1",
            _place(second): "desk 2",
        }
        self._aliases = aliases
        console().print(f"SIP server on udp:{self._server}, users in SQLite, three phones on loopback.\n")
        with _Stage(aliases, self._ascii) as self._stage:
            await self._register(server, alice, first, second)
            await asyncio.wait_for(self._call(alice, first, second), PATIENCE)
        self._stage = None

    def _phone(self, user: str) -> UserAgent:
        from ringback.ua import UserAgent

        return UserAgent(
            f"sip:{user}@{DOMAIN}",
            password=PASSWORDS[user],
            listen=LISTEN,
            proxy=f"sip:{self._server}",
            sdp=SDP,
            drain=2.0,
        )

    async def _register(self, server: Server, alice: UserAgent, first: UserAgent, second: UserAgent) -> None:
        self._say("the phones register")
        for phone in (alice, first, second):
            await phone.register()
        users, bindings = server.store.count(server.stack.clock.now())
        server.store.commit()
        self.facts["three phones registered, two of them as one user"] = (users, bindings) == (2, 3)

    async def _call(self, alice: UserAgent, first: UserAgent, second: UserAgent) -> None:
        """alice calls the desk: both ring, the first answers, the second is cancelled; then alice hangs up."""
        stopped: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
        over: asyncio.Future[Call] = asyncio.get_running_loop().create_future()

        @first.on_call
        async def _(call: Call) -> None:
            await call.ring()
            await asyncio.sleep(RINGS_FOR)
            await call.answer(SDP)
            await call.ended
            over.set_result(call)

        @second.on_call
        async def _(call: Call) -> None:
            await call.ring()
            await call.ended
            stopped.set_result(call)

        self._say("alice calls the desk: both phones ring")
        call = alice.dial(f"sip:desk@{DOMAIN}")
        await call.answered()
        self._say("desk 1 has answered, desk 2 stops ringing")
        loser = await stopped
        why = loser.end_message.get("reason") if loser.end_message is not None else None
        self.facts["the call was answered, with a session description"] = b"m=audio" in call.remote_body
        self.facts['the other desk was cancelled: "Call completed elsewhere"'] = "elsewhere" in (why or "")
        await asyncio.sleep(TALKS_FOR)
        self._say("alice hangs up")
        await call.hangup()
        answered = await over
        self.facts["the answer was acknowledged"] = answered.ack is not None
        self.facts["alice hung up, and the desk heard it"] = (
            answered.end_message is not None and answered.end_message.start_line.startswith("BYE ")
        )

    def _say(self, text: str) -> None:
        if self._stage is not None:
            self._stage.says(text)

    def _sum_up(self) -> None:
        """The tables below the ladder, and what to do next."""
        from rich.table import Table
        from rich.text import Text

        out = console()
        out.print()
        facts = Table(box=None, show_header=False, pad_edge=False)
        for fact, holds in self.facts.items():
            facts.add_row(Text("yes", "green") if holds else Text("NO", "bold red"), fact)
        out.print(facts)
        out.print()
        table = Table("Phone", "Address", "Received", "Sent", "Bytes", box=None, pad_edge=False, header_style="bold")
        for address, name in self._aliases.items():
            received = [packet for packet in self._packets if packet.destination == address]
            sent = [packet for packet in self._packets if packet.source == address]
            size = sum(len(packet.data) for packet in (*received, *sent))
            table.add_row(name, address, str(len(received)), str(len(sent)), str(size))
        out.print(table)
        out.print(_next_steps())


def _place(phone: UserAgent) -> str:
    from ringback.protocol.routing.flow import format_address

    address: Address = phone.addresses[0]
    return format_address(address)


def _next_steps() -> str:
    """How to point a softphone at a server of one's own, with this machine's address."""
    from ringback.errors import TransportError
    from ringback.transport.datagram import SystemNetwork

    try:
        host = SystemNetwork().source_address("192.0.2.1")
    except TransportError:
        host = "127.0.0.1"
    return (
        "\nNow your own phone (Linphone, Zoiper, baresip, a desk phone):\n"
        f"  {program()} user add 1001@{host}\n"
        f"  {program()} serve --listen udp:{host}:5060 --domain {host}\n"
        f"  in the phone: user 1001, the password, domain {host}, transport UDP"
    )
