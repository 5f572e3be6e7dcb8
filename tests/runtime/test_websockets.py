"""A stack over WebSockets: it is the server of some and the client of others, in the simulated world."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ringback.errors import TransportError
from ringback.protocol.message.build import build_response
from ringback.protocol.message.model import Request
from ringback.protocol.routing.flow import Flow, Hop
from ringback.protocol.routing.locate import Reach
from ringback.protocol.transaction.events import ResponseReceived, TransportFailed
from ringback.runtime.stack import Stack
from ringback.runtime.way_back import way_back
from ringback.testing.peer import as_datagram
from ringback.testing.stream_peer import StreamPeer, StreamPort
from ringback.testing.web_peer import WebPeer
from ringback.testing.world import World
from ringback.transport.limits import StreamLimits
from ringback.transport.websocket.frames import BINARY, CONTINUATION, PING, TEXT, encode_frame
from tests.certificates import authority, stranger
from tests.runtime.test_stack import RecordingCore
from tests.runtime.test_streams import PHONE, SERVER, answer_all, send

ADDRESS = (SERVER, 80)
NAME = "example.test"


def make_stack(world: World, host: str = SERVER, transport: str = "WS", **more: Any) -> tuple[Stack, RecordingCore]:
    stack = world.stack(world.host(host), **more)
    core = RecordingCore()
    stack.add("core", core)
    world.run(stack.listen(transport, host, 80))
    return stack, core


def options(transport: str = "WS", branch: str = "z9hG4bKa", extra: str = "") -> bytes:
    """What a page in a browser sends: it does not know its own address."""
    return as_datagram(f"""
        OPTIONS sip:{NAME} SIP/2.0
        Via: SIP/2.0/{transport} df7jal23ls0d.invalid;branch={branch}
        Max-Forwards: 70
        From: <sip:alice@{NAME}>;tag=a1
        To: <sip:bob@{NAME}>
        Call-ID: c1
        CSeq: 1 OPTIONS
        {extra or "Content-Length: 0"}
        """)


async def connect(world: World, host: str = PHONE) -> WebPeer:
    return await WebPeer.connect(world.host(host), ADDRESS)


def frame(opcode: int, payload: bytes, *, last: bool = True) -> bytes:
    data = bytearray(encode_frame(opcode, payload, b"1234"))
    if not last:
        data[0] &= 0x7F
    return bytes(data)


@pytest.mark.rfc("7118 5")
@pytest.mark.row("TRN-2", part="WS")
def test_a_browser_is_answered_on_its_websocket(world: World) -> None:
    stack, _ = make_stack(world)
    seen: list[tuple[Request, Flow]] = answer_all(stack)

    async def main() -> None:
        peer = await connect(world)
        peer.send(options())
        response = await peer.expect_response(200)
        assert response.top_via.host == "df7jal23ls0d.invalid"
        peer.close()
        await asyncio.sleep(1)

    world.run(main())
    [(_, flow)] = seen
    assert (flow.transport, flow.remote[0], flow.reliable) == ("WS", PHONE, True)
    assert stack.connections is not None
    assert len(stack.connections) == 0


@pytest.mark.rfc("7118 5")
def test_content_length_is_not_needed_and_a_message_of_websocket_is_one_of_sip(world: World) -> None:
    stack, _ = make_stack(world)
    seen = answer_all(stack)

    async def main() -> None:
        peer = await connect(world)
        text = options(extra="Content-Type: text/plain") + b"body"
        peer.say(frame(BINARY, text))
        await peer.expect(200)
        assert seen[0][0].body == text.partition(b"\r\n\r\n")[2]
        peer.say(frame(TEXT, options(branch="z9hG4bKb") + options(branch="z9hG4bKc")))
        assert (await peer.expect(200)).top_via.branch == "z9hG4bKb"
        await peer.silence(1)
        peer.close()

    world.run(main())


@pytest.mark.rfc("6455 5.4")
def test_fragments_are_joined_with_pings_between_them(world: World) -> None:
    stack, _ = make_stack(world)
    answer_all(stack)

    async def main() -> None:
        peer = await connect(world)
        text = options()
        data = frame(TEXT, text[:20], last=False) + frame(PING, b"here?") + frame(CONTINUATION, text[20:])
        for byte in data:
            peer.say(bytes([byte]))
            await asyncio.sleep(0.01)
        await peer.expect(200)
        assert b"\x8a\x05here?" in peer.data
        peer.close()

    world.run(main())


@pytest.mark.row("TRN-2", part="WSS")
@pytest.mark.rfc("7118 9.1")
def test_a_browser_is_answered_over_tls(world: World) -> None:
    stack, _ = make_stack(world, transport="WSS", tls=authority().server("*.example.test"))
    answer_all(stack)

    async def main() -> None:
        host = world.host(PHONE)
        peer = await WebPeer.connect(host, ADDRESS, tls=authority().client(), name=f"sip.{NAME}")
        peer.send(options("WSS"))
        await peer.expect(200)
        peer.close()
        for name, trust in (("other.example", authority()), (f"sip.{NAME}", stranger())):
            with pytest.raises(TransportError, match="not trusted"):
                await WebPeer.connect(host, ADDRESS, tls=trust.client(), name=name)

    world.run(main())


@pytest.mark.rfc("7118 4.1")
@pytest.mark.row("TRN-2", part="WS")
@pytest.mark.parametrize("transport", ["WS", "WSS"])
def test_a_stack_is_the_client_of_another(world: World, transport: str) -> None:
    tls = {"tls": authority().server(NAME)} if transport == "WSS" else {}
    server, _ = make_stack(world, transport=transport, **tls)
    seen = answer_all(server)
    client, core = make_stack(world, PHONE, transport, **tls)

    async def main() -> None:
        for _ in range(2):
            send(client, hop=Hop(transport, SERVER, 80, NAME if tls else ""))
        await asyncio.sleep(1)

    world.run(main())
    assert [event.response.status for event in core.events if isinstance(event, ResponseReceived)] == [200, 200]
    assert len({flow for _, flow in seen}) == 1


@pytest.mark.rfc("7118 4.1")
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "answered by HTTP/1.1 404"),
        (b"SIP/2.0 400 Bad Request\r\n\r\n", "no HTTP"),
        (b"", "handshake in time"),
    ],
)
def test_a_server_of_something_else_is_a_transport_error(world: World, answer: bytes, words: str) -> None:
    client, core = make_stack(world)

    async def main() -> None:
        port = await StreamPort().open(world.host(PHONE), 80)
        send(client, hop=Hop("WS", PHONE, 80))
        peer = await port.accepted()
        await peer.until_data(b"\r\n\r\n")
        assert peer.data.startswith(f"GET / HTTP/1.1\r\nHost: {PHONE}\r\n".encode())
        if answer:
            peer.send(answer)
        await asyncio.sleep(12)
        port.close()

    world.run(main())
    [failure] = [event for event in core.events if isinstance(event, TransportFailed)]
    assert words in failure.text


@pytest.mark.rfc("7118 5.3")
def test_a_response_to_a_browser_that_has_gone_goes_nowhere(world: World) -> None:
    stack, _ = make_stack(world)
    waiting: list[Any] = []
    stack.on_request = lambda event, now: waiting.append(
        (stack.layer.accept(event.request, event.flow, now, "core"), event.request)
    )

    async def main() -> None:
        peer = await connect(world)
        peer.send(options())
        await asyncio.sleep(1)
        peer.reset()
        await asyncio.sleep(1)
        [(key, request)] = waiting
        stack.layer.respond(key, build_response(request, 200, to_tag="t"), stack.clock.now())
        stack.wake()
        before = len(world.trace)
        assert way_back(build_response(request, 200).to_bytes(), Reach(["WS"]), min) is None
        await asyncio.sleep(40)
        assert len(world.trace) == before

    world.run(main())
    assert stack.failed == 1


@pytest.mark.rfc("7118 6")
def test_a_browser_is_pinged_and_let_go_when_it_does_not_answer(world: World) -> None:
    stack, _ = make_stack(world, limits=StreamLimits(web_ping=30.0, idle=100.0))
    answer_all(stack)

    async def main() -> None:
        peer = await connect(world)
        peer.send(options())
        await peer.expect(200)
        await asyncio.sleep(1000)
        assert peer.is_open
        assert peer.data.count(b"\x89\x00") == 33
        peer.answers_pings = False
        await peer.until_closed(45)

    world.run(main())


@pytest.mark.rfc("7118 6")
def test_a_keep_alive_of_crlf_is_answered_in_kind(world: World) -> None:
    make_stack(world)

    async def main() -> None:
        peer = await connect(world)
        peer.say(frame(TEXT, b"\r\n\r\n"))
        await asyncio.sleep(1)
        assert peer.data.endswith(b"\x81\x02\r\n")
        peer.close()

    world.run(main())


@pytest.mark.threat("T8")
@pytest.mark.rfc("6455 4.2.2")
@pytest.mark.parametrize(
    ("said", "status"),
    [
        (options(), 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 426),
        (b"\x16\x03\x01\x00\xff", 400),
        (b"GET /" + b"x" * 10_000, 431),
    ],
)
def test_who_speaks_something_else_is_told_so_by_http(world: World, said: bytes, status: int) -> None:
    make_stack(world)

    async def main() -> None:
        peer = await StreamPeer.connect(world.host(PHONE), ADDRESS)
        peer.send(said)
        await peer.until_closed(1.0)
        assert peer.data.startswith(f"HTTP/1.1 {status} ".encode())

    world.run(main())


@pytest.mark.threat("T8")
@pytest.mark.parametrize(
    ("said", "code"),
    [
        (encode_frame(TEXT, options()), 1002),
        (frame(PING, bytes(126)), 1002),
        (frame(PING, b"x", last=False), 1002),
        (b"\x82\xff" + ((1 << 63) - 1).to_bytes(8, "big"), 1009),
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, bytes(60_000), last=False) + frame(CONTINUATION, bytes(6_000)), 1009),
    ],
)
def test_who_breaks_the_rules_of_frames_is_closed_with_the_reason_and_what_came_before_is_served(
    world: World, said: bytes, code: int
) -> None:
    stack, _ = make_stack(world)
    answer_all(stack)

    async def main() -> None:
        peer = await connect(world)
        peer.say(frame(TEXT, options()) + said)
        await peer.expect(200)
        await peer.until_closed(1.0)
        at = peer.data.index(b"\x88", peer.data.index(b"SIP/2.0 200"))
        assert int.from_bytes(peer.data[at + 2 : at + 4], "big") == code

    world.run(main())


@pytest.mark.threat("T8")
def test_who_does_not_end_a_handshake_or_a_message_is_cut_off_in_time(world: World) -> None:
    stack, _ = make_stack(world)
    answer_all(stack)

    async def main() -> None:
        slow = await StreamPeer.connect(world.host(PHONE), ADDRESS)
        slow.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
        half, fragments, silent = [await connect(world) for _ in range(3)]
        half.say(frame(TEXT, options())[:50])
        fragments.say(frame(TEXT, b"OPTIONS", last=False))
        await asyncio.sleep(9.5)
        assert slow.is_open
        served = await connect(world, "10.0.0.7")
        served.send(options())
        await served.expect(200, timeout=0.1)
        await slow.until_closed(1.0)
        for _ in range(19):
            fragments.say(frame(CONTINUATION, b""))
            await asyncio.sleep(1.0)
        assert half.is_open
        for peer in (half, fragments, silent):
            await peer.until_closed(3.0)
        assert served.is_open
        served.close()

    world.run(main())


@pytest.mark.rfc("6455 10.2")
def test_a_page_of_another_origin_is_refused(world: World) -> None:
    stack = world.stack(world.host(SERVER))
    stack.origins = ["https://phone.example"]
    world.run(stack.listen("WS", SERVER, 80))

    async def main() -> None:
        for origin, status in (("https://evil.example", b"403"), ("https://phone.example", b"101")):
            peer = await WebPeer.connect(world.host(PHONE), ADDRESS, shake_hands=False)
            peer.web.start()
            peer.say(peer.web.outgoing().replace(b"\r\n\r\n", f"\r\nOrigin: {origin}\r\n\r\n".encode()))
            await asyncio.sleep(1)
            assert peer.data.startswith(b"HTTP/1.1 " + status)
            peer.close()

    world.run(main())
