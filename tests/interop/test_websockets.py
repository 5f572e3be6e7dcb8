"""SIP over WebSocket with others' programs: the websockets library as browser and as server, SIPp as telephone."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websockets
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from ringback.protocol.message.build import build_response
from ringback.protocol.message.model import Message, Request, Response
from ringback.protocol.message.parser import parse_message
from ringback.ua.user_agent import UserAgent
from tests.certificates import authority
from tests.interop.process import LOOPBACK, Children, free_port, need
from tests.interop.ringback_server import RingbackServer
from tests.interop.sipp import DOMAIN, Sipp

Serve = Callable[..., RingbackServer]

HOST = "df7jal23ls0d.invalid"
SDP = f"v=0\r\no=- 1 1 IN IP4 {LOOPBACK}\r\ns=-\r\nc=IN IP4 {LOOPBACK}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"


class Browser:
    """What a page does, by a WebSocket that is not ours."""

    def __init__(self, connection: ClientConnection, user: str, via: str) -> None:
        self.connection = connection
        self.user = user
        self.via = via
        self.number = 0
        self.contact = f"<sip:{user}@{HOST};transport=ws>"

    def text(self, method: str, uri: str, *headers: str, to: str = "", call_id: str = "", body: str = "") -> str:
        """A request. The body is ASCII."""
        self.number += method != "ACK"
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{self.via} {HOST};branch=z9hG4bK{self.user}{method}{self.number}",
            "Max-Forwards: 70",
            f"From: <sip:{self.user}@{DOMAIN}>;tag={self.user}",
            f"To: {to or f'<{uri}>'}",
            f"Call-ID: {call_id or f'{self.user}{self.number}'}",
            f"CSeq: {self.number} {method}",
            f"Contact: {self.contact}",
            *headers,
            f"Content-Length: {len(body)}",
            "",
            body,
        ]
        return "\r\n".join(lines)

    def send(self, *request: str, **fields: str) -> None:
        self.connection.send(self.text(*request, **fields))

    def next(self) -> Message:
        data = self.connection.recv(10)
        return parse_message(data.encode() if isinstance(data, str) else data)

    def response(self) -> Response:
        """The next response but 1xx."""
        while True:
            message = self.next()
            assert isinstance(message, Response), message.start_line
            if message.status >= 200:
                return message

    def request(self, method: str) -> Request:
        message = self.next()
        assert isinstance(message, Request), message.start_line
        assert message.method == method
        return message

    def reply(self, request: Request, status: int, body: str = "") -> None:
        contact = [("Contact", self.contact)]
        kind = "application/sdp" if body else None
        response = build_response(
            request, status, to_tag=self.user, headers=contact, body=body.encode(), content_type=kind, record_route=True
        )
        self.connection.send(response.to_bytes().decode())

    def register(self) -> None:
        self.send("REGISTER", f"sip:{DOMAIN}", to=f"<sip:{self.user}@{DOMAIN}>")
        answer = self.response()
        assert answer.status == 200
        assert HOST in (answer.get("contact") or "")


@contextmanager
def browser(server: RingbackServer, user: str, *, secure: bool = False) -> Iterator[Browser]:
    context = ssl.create_default_context(cafile=str(authority().file)) if secure else None
    port = server.wss_port if secure else server.ws_port
    address = f"{'wss' if secure else 'ws'}://{LOOPBACK}:{port}/"
    with connect(address, subprotocols=["sip"], ssl=context, proxy=None) as connection:
        assert connection.subprotocol == "sip"
        assert "Sec-WebSocket-Extensions" not in connection.response.headers
        yield Browser(connection, user, "WSS" if secure else "WS")


def with_certificate(serve: Serve, **more: str) -> RingbackServer:
    mine = authority().issue(DOMAIN, LOOPBACK)
    tables = f'[tls]\ncertificate = "{mine.certificate}"\nkey = "{mine.key}"\nauthorities = "{authority().file}"\n'
    return serve(tls=True, web=True, tables=tables, **more)


@pytest.mark.row("TRN-2", "REG-1", "INV-1", "BYE-4", part="websockets library")
@pytest.mark.rfc("7118 8.2")
@pytest.mark.parametrize("secure", [False, True])
def test_a_browser_registers_calls_a_telephone_over_udp_and_hangs_up(
    serve: Serve, children: Children, secure: bool
) -> None:
    need("sipp")
    server = with_certificate(serve)
    sipp = Sipp(children, server.address, server.domain)
    port = free_port()
    sipp.register("bob", port)
    phone = sipp.start("phone", "-d", "20", port=port)
    with browser(server, "alice", secure=secure) as alice:
        alice.register()
        alice.send("INVITE", f"sip:bob@{DOMAIN}", "Content-Type: application/sdp", call_id="call", body=SDP)
        ok = alice.response()
        assert ok.status == 200
        assert ok.body.startswith(b"v=0")
        to, uri = ok.get("to") or "", ok.contacts[0].uri_text
        routes = [f"Route: {value}" for value in reversed(ok.values("record-route"))]
        alice.send("ACK", uri, *routes, to=to, call_id="call")
        alice.send("BYE", uri, *routes, to=to, call_id="call")
        assert alice.response().status == 200
    phone.passes()
    assert f"Via: SIP/2.0/{alice.via} {HOST}" in phone.traffic()


@pytest.mark.row("TRN-2", "INV-1", "BYE-4", part="websockets library")
@pytest.mark.parametrize("secure", [False, True])
def test_a_telephone_over_udp_calls_a_browser_and_hangs_up(serve: Serve, children: Children, secure: bool) -> None:
    need("sipp")
    server = with_certificate(serve)
    sipp = Sipp(children, server.address, server.domain)
    with browser(server, "bob", secure=secure) as bob:
        bob.register()
        caller = sipp.start("call", "-d", "20")
        invite = bob.request("INVITE")
        bob.reply(invite, 180)
        bob.reply(invite, 200, SDP)
        bob.request("ACK")
        bob.reply(bob.request("BYE"), 200)
        caller.passes()


@pytest.mark.rfc("6455 5.4")
def test_the_library_may_fragment_and_ping_as_it_likes(serve: Serve) -> None:
    server = serve(web=True)
    with browser(server, "alice") as alice:
        text = alice.text("OPTIONS", f"sip:{DOMAIN}")
        alice.connection.send(text[at : at + 50] for at in range(0, len(text), 50))
        assert alice.response().status == 200
        assert alice.connection.ping(b"here?").wait(5)
        alice.connection.send(alice.text("OPTIONS", f"sip:{DOMAIN}").encode())  # binary
        assert alice.response().status == 200


@pytest.mark.rfc("7118 4.1")
def test_the_subprotocol_is_required_and_pages_of_others_are_refused(serve: Serve) -> None:
    server = serve(web=True, tables='[websocket]\norigins = ["https://phone.example"]\n')
    address = f"ws://{LOOPBACK}:{server.ws_port}/"
    with pytest.raises(InvalidStatus) as caught, connect(address, proxy=None):
        pass
    assert caught.value.response.status_code == 400
    with (
        pytest.raises(InvalidStatus) as caught,
        connect(address, subprotocols=["sip"], origin="https://evil.example", proxy=None),
    ):
        pass
    assert caught.value.response.status_code == 403
    with connect(address, subprotocols=["sip"], origin="https://phone.example", proxy=None) as connection:
        assert connection.subprotocol == "sip"


@pytest.mark.threat("T8")
def test_rude_strangers_are_told_off_and_others_are_served(serve: Serve) -> None:
    server = serve(web=True)
    with browser(server, "alice") as alice, socket.create_connection((LOOPBACK, server.ws_port), 5) as half:
        half.sendall(b"GET / HTTP/1.1\r\n")
        with socket.create_connection((LOOPBACK, server.ws_port), 5) as scanner:
            scanner.sendall(b"GET /admin.php HTTP/1.1\r\nHost: x\r\n\r\n")
            assert scanner.recv(4096).startswith(b"HTTP/1.1 426 ")
        with browser(server, "mallory") as mallory:
            mallory.connection.socket.sendall(b"\x82\xff" + (1 << 40).to_bytes(8, "big"))
            with pytest.raises(ConnectionClosed) as caught:
                mallory.connection.recv(5)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1009
        with browser(server, "mallory") as mallory:
            mallory.connection.socket.sendall(b"\x81\x02hi")
            with pytest.raises(ConnectionClosed) as caught:
                mallory.connection.recv(5)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1002
        alice.send("OPTIONS", f"sip:{DOMAIN}")
        assert alice.response().status == 200


@pytest.mark.row("TRN-2", part="client of the websockets library")
@pytest.mark.rfc("7118 4.1")
@pytest.mark.parametrize("secure", [False, True])
async def test_our_user_agent_is_the_client_of_a_server_that_is_not_ours(secure: bool) -> None:
    seen: list[Request] = []

    async def answer(connection: ServerConnection) -> None:
        assert connection.subprotocol == "sip"
        async for data in connection:
            request = parse_message(data.encode() if isinstance(data, str) else data)
            assert isinstance(request, Request)
            seen.append(request)
            await connection.send(build_response(request, 200, to_tag="server").to_bytes())

    mine = authority().issue(DOMAIN, LOOPBACK)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if secure else None
    if context is not None:
        context.load_cert_chain(mine.certificate, mine.key)
    async with serve_websockets(answer, LOOPBACK, 0, subprotocols=["sip"], ssl=context) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        way = "wss" if secure else "ws"
        uri = f"{'sips' if secure else 'sip'}:{LOOPBACK}:{port};transport=ws"
        tls = authority().client() if secure else None
        async with UserAgent(f"sip:alice@{DOMAIN}", listen=f"{way}:{LOOPBACK}:0", tls=tls) as agent:
            response = await agent.options(uri)
            assert response.status == 200
    assert seen[0].top_via.transport == way.upper()
