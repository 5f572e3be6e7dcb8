"""The torture messages of RFC 4475 and RFC 5118 thrown at a whole proxy: each gets the verdict of its EXPECT.md.

The proxy relays for anyone, and every name resolves to a far end, so that "forward" can be seen: what leaves must
parse, must not pass a fault on, and must be as it came but for what a proxy changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from ringback.protocol.message.model import Request, Response
from ringback.protocol.message.parser import parse_message, validate
from ringback.server.server import Server
from ringback.server.settings import build
from ringback.testing.peer import ScriptedPeer
from ringback.testing.world import World

PROXY, PROXY_IPV6 = "10.0.0.1", "fd00::1"
TESTER = "10.0.0.9"
FAR_END = "10.0.0.8"
FORWARD = "forward"
DROP = "drop"

# File: what a proxy may do. A number is the status of an answer.
RFC4475: dict[str, tuple[str | int, ...]] = {
    "wsinv": (FORWARD,),
    "intmeth": (FORWARD,),
    "esc01": (FORWARD,),
    "escnull": (FORWARD,),
    "esc02": (FORWARD,),
    "lwsdisp": (FORWARD,),
    "longreq": (FORWARD,),
    "dblreq": (FORWARD,),
    "semiuri": (FORWARD,),
    "transports": (FORWARD,),
    "mpart01": (FORWARD,),
    "unreason": (DROP,),  # no transaction of ours (RFC 6026 §7.3)
    "noreason": (DROP,),
    "badinv01": (400,),
    "clerr": (400,),
    "ncl": (400,),
    "scalar02": (400,),
    "scalarlg": (DROP,),
    "quotbal": (400,),
    "ltgtruri": (400,),
    "lwsruri": (400,),
    "lwsstart": (400, FORWARD),
    "trws": (400, FORWARD),
    "escruri": (400, FORWARD),
    "baddate": (FORWARD,),
    "regbadct": (400, FORWARD),
    "badaspec": (400, FORWARD),
    "baddn": (400, FORWARD),
    "badvers": (505,),
    "mismatch01": (400,),
    "mismatch02": (501, 400),
    "bigcode": (DROP,),
    "badbranch": (400, FORWARD),
    "insuf": (400, DROP),
    "unkscm": (416,),
    "novelsc": (416,),
    "unksm2": (FORWARD,),
    "bext01": (420,),
    "invut": (FORWARD,),
    "regaut01": (FORWARD,),
    "multi01": (400,),
    "mcl01": (400,),
    "bcast": (DROP,),
    "zeromf": (483, 200),
    "cparam01": (FORWARD,),
    "cparam02": (FORWARD,),
    "regescrt": (FORWARD,),
    "sdp01": (FORWARD,),
    "inv2543": (FORWARD,),
    "test": (400, DROP),
}

RFC5118: dict[str, tuple[str | int, ...]] = {
    "ipv6-good": (FORWARD,),
    "ipv6-bad": (400,),
    "port-ambiguous": (FORWARD,),
    "port-unambiguous": (FORWARD,),
    "via-received-param-with-delim": (FORWARD,),
    "via-received-param-no-delim": (FORWARD,),
    "ipv6-in-sdp": (FORWARD,),
    "mult-ip-in-header": (FORWARD,),
    "mult-ip-in-sdp": (FORWARD,),
    "ipv4-mapped-ipv6": (FORWARD,),
    "ipv6-bug-abnf-3-colons": (FORWARD,),
    "ipv6-correct-abnf-2-colons": (FORWARD,),
}


NAMES = [*RFC4475, *RFC5118]


class EveryName(dict[str, list[str]]):
    """A zone in which every name exists."""

    def get(self, name: str, default: object = None) -> list[str]:
        """The far end's address, whatever the name."""
        return [FAR_END]


class Outcome:
    """What the proxy sent because of one message."""

    def __init__(self) -> None:
        self.responses: list[Response] = []
        self.requests: list[tuple[Request, str]] = []  # with the address it went to

    @property
    def verdict(self) -> str | int:
        """``FORWARD``, ``DROP`` or the status of the answer."""
        if self.requests:
            return FORWARD
        return self.responses[0].status if self.responses else DROP


def throw(data: bytes) -> Outcome:
    """Send ``data`` to a fresh proxy; what it does in the next second, with a sign of life afterwards."""
    with World("torture") as world:
        world.zone = EveryName()
        host = world.host(PROXY, PROXY_IPV6)
        settings = build(
            {
                "listen": [f"udp:{PROXY}:5060", f"udp:[{PROXY_IPV6}]:5060"],
                "domains": ["proxy.test"],
                "store": "sqlite::memory:",
                "open": True,
                "relay": "anyone",
            }
        )
        server = Server(settings, network=host, clock=host.clock, resolver=host, ids=host.ids)

        async def scenario() -> None:
            await server.start()
            tester = ScriptedPeer(world.host(TESTER), 5060)
            tester.send(data, (PROXY, 5060))
            await asyncio.sleep(0.15)

        world.run(scenario())
        outcome = Outcome()
        for packet in world.trace:
            if packet.source[0] not in (PROXY, PROXY_IPV6):
                continue
            message = parse_message(packet.data)
            if isinstance(message, Request):
                outcome.requests.append((message, packet.destination[0]))
            else:
                outcome.responses.append(message)
        world.run(is_alive(world))
        world.run(server.close())
    return outcome


async def is_alive(world: World) -> None:
    """AssertionError when the proxy does not answer OPTIONS."""
    prober = ScriptedPeer(world.host("10.0.0.7"))
    prober.send(
        "OPTIONS sip:proxy.test SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.7;branch=z9hG4bKalive\nFrom: <sip:a@b>;tag=1\n"
        "To: <sip:proxy.test>\nCall-ID: alive\nCSeq: 1 OPTIONS\nMax-Forwards: 70\nContent-Length: 0\n\n",
        (PROXY, 5060),
    )
    await prober.expect_response(200)


@pytest.fixture
def torture(corpora: Path) -> Callable[[str], bytes]:
    """The bytes of a torture message by its name."""

    def read(name: str) -> bytes:
        folder = corpora / "rfc4475" / "dat" if name in RFC4475 else corpora / "rfc5118" / "wire"
        return (folder / f"{name}.dat").read_bytes()

    return read


def test_every_file_has_a_verdict(corpora: Path) -> None:
    assert {path.stem for path in (corpora / "rfc4475" / "dat").glob("*.dat")} == set(RFC4475)
    assert {path.stem for path in (corpora / "rfc5118" / "wire").glob("*.dat")} == set(RFC5118)


@pytest.mark.row("TRN-4", part="the proxy's verdicts")
@pytest.mark.rfc("4475 3")
@pytest.mark.rfc("5118 4")
@pytest.mark.parametrize("name", NAMES)
def test_the_proxy_gives_the_verdict_of_the_rfc(name: str, torture: Callable[[str], bytes]) -> None:
    outcome = throw(torture(name))
    assert outcome.verdict in (RFC4475 | RFC5118)[name]
    if not outcome.requests:
        assert len(outcome.responses) <= 1
        return
    [(request, _)] = outcome.requests
    validate(request)  # no fault is passed on
    assert request.uri.headers is None
    assert request.vias[0].host in (PROXY, f"[{PROXY_IPV6}]")
    assert request.max_forwards is not None


def forwarded(torture: Callable[[str], bytes], name: str) -> tuple[Request, str]:
    """What left for ``name``, and where to."""
    [only] = throw(torture(name)).requests
    return only


@pytest.mark.row("TRN-4", part="the proxy's verdicts")
@pytest.mark.rfc("4475 3.1.1.1")
def test_the_torturous_invite_follows_its_route_and_keeps_its_unknown_headers(torture: Callable[[str], bytes]) -> None:
    request, where = forwarded(torture, "wsinv")
    assert where == FAR_END
    came = parse_message(torture("wsinv"))
    assert isinstance(came, Request)
    assert request.uri_text == came.uri_text
    assert request.routes[0].uri.host == "services.example.com"
    assert request.cseq.number == 9
    assert request.max_forwards == 67
    assert len(request.vias) == 4
    for name in ("unknownheaderwithunusualvalue", "newfangledheader", "subject"):
        assert [line for key, line in zip(request.names, request.lines, strict=True) if key == name] == [
            line for key, line in zip(came.names, came.lines, strict=True) if key == name
        ]


@pytest.mark.row("TRN-4", part="the proxy's verdicts")
@pytest.mark.parametrize("name", ["longreq", "intmeth", "transports", "invut", "semiuri", "escnull"])
def test_bodies_and_headers_leave_as_they_came(name: str, torture: Callable[[str], bytes]) -> None:
    request, _ = forwarded(torture, name)
    came = parse_message(torture(name))
    changed = {"via", "max-forwards", "record-route", "max-breadth"}
    assert request.body == came.body

    def rest(message: Request | Response) -> list[str]:
        return [line for key, line in zip(message.names, message.lines, strict=True) if key not in changed]

    assert rest(request) == rest(came)
    assert [str(via) for via in request.vias[2:]] == [str(via) for via in came.vias[1:]]


@pytest.mark.row("TRN-4", "PX-2", part="the proxy's verdicts")
@pytest.mark.rfc("4475 3.1.1.11")
def test_a_binary_body_goes_on_unchanged_by_a_strict_router(torture: Callable[[str], bytes]) -> None:
    request, where = forwarded(torture, "mpart01")
    came = parse_message(torture("mpart01"))
    assert isinstance(came, Request)
    assert request.body == came.body
    assert (request.uri_text, where) == ("sip:127.0.0.1:5080", "127.0.0.1")  # its Route has no lr (§16.6 step 6)
    assert request.routes[-1].uri_text == came.uri_text


@pytest.mark.row("TRN-4", part="the proxy's verdicts")
@pytest.mark.rfc("4475 3.1.1.8")
def test_only_the_first_message_of_a_datagram_goes_on(torture: Callable[[str], bytes]) -> None:
    request, _ = forwarded(torture, "dblreq")
    assert request.method == "REGISTER"
    assert b"INVITE" not in request.to_bytes()


@pytest.mark.row("TRN-4", part="the proxy's verdicts")
@pytest.mark.rfc("4475 3.3.5")
def test_extensions_of_proxies_that_are_not_known_are_named(torture: Callable[[str], bytes]) -> None:
    [response] = throw(torture("bext01")).responses
    assert set(response.unsupported) == {"noproxiessupportthis", "nordoanyproxiessupportthis"}


@pytest.mark.row("TRN-4", part="the proxy's verdicts")
@pytest.mark.rfc("4475 3.3.7")
def test_credentials_of_an_unknown_scheme_go_on_as_they_came(torture: Callable[[str], bytes]) -> None:
    request, _ = forwarded(torture, "regaut01")
    assert request.get_all("authorization") == parse_message(torture("regaut01")).get_all("authorization")


@pytest.mark.row("TRN-4", part="the proxy's verdicts")
@pytest.mark.rfc("4475 3.4.1")
def test_an_rfc_2543_invite_gets_max_forwards(torture: Callable[[str], bytes]) -> None:
    request, _ = forwarded(torture, "inv2543")
    assert request.max_forwards == 70


@pytest.mark.row("TRN-4", part="the proxy's verdicts")
@pytest.mark.rfc("5118 4.3")
@pytest.mark.parametrize("name", ["port-ambiguous", "port-unambiguous", "ipv6-good"])
def test_ipv6_targets_are_reached_over_ipv6(name: str, torture: Callable[[str], bytes]) -> None:
    request, where = forwarded(torture, name)
    assert where == request.uri.ip
    assert ":" in where
