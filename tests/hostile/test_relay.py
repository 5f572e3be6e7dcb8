"""Nobody who is not known is relayed, and nobody's answers are aimed at another (THREATS T11, T15)."""

from __future__ import annotations

import pytest

from ringback.testing.fixtures import pytest_runtest_makereport, world
from ringback.testing.world import World
from tests.hostile.cases import Case
from tests.hostile.range import ATTACKER, PHONE, Range

__all__ = ["pytest_runtest_makereport", "world"]


def message(
    method: str,
    uri: str,
    *lines: str,
    number: int = 1,
    from_: str = "sip:carol@elsewhere.test",
    to: str = "<sip:bob@example.test>",
    via: str = "",
) -> bytes:
    via = via or f"SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKr{number}"
    head = [
        f"{method} {uri} SIP/2.0",
        f"Via: {via}",
        "Max-Forwards: 70",
        f"From: <{from_}>;tag=f{number}",
        f"To: {to}",
        f"Call-ID: r{number}",
        f"CSeq: 1 {method}",
        *lines,
        "Content-Length: 0",
        "",
        "",
    ]
    return "\r\n".join(head).encode()


STRANGE = [
    ("sip:x@6.6.6.6",),
    ("sip:x@127.0.0.1",),
    ("sip:x@10.0.0.1:5061",),
    ("sip:x@[::1]",),
    ("sip:x@evil.test",),
    ("sip:evil.test",),
    ("sip:bob@example.test:5099",),
    ("sip:bob@example.test.",),
    ("sips:bob@6.6.6.6",),
    ("sip:bob@example.test", "Route: <sip:6.6.6.6;lr>"),
    ("sip:bob@example.test", "Route: <sip:10.0.0.1;lr>, <sip:6.6.6.6;lr>"),
    ("sip:bob@example.test", "Route: <sip:10.0.0.1;lr>", "Route: <sip:6.6.6.6>"),
    ("sip:bob@example.test", "Route: <sip:127.0.0.1;lr>"),
    ("sip:bob@example.test", "Route: <sip:127.0.0.1:5060;lr>"),
    ("sip:bob@example.test", "Route: <sip:10.0.0.1;lr;rbk=0000000000000000>, <sip:6.6.6.6;lr>"),
    ("sip:bob@example.test", "Route: <sip:10.0.0.1;lr;rbk=>, <sip:6.6.6.6;lr>"),
    ("sip:bob@example.test", "Route: <sip:10.0.0.1;lr;rbk>, <sip:6.6.6.6;lr>"),
    ("sip:10.0.0.1;rbk=0000000000000000", "Route: <sip:6.6.6.6;lr>"),
    ("sip:10.0.0.1;lr;maddr=6.6.6.6", "Route: <sip:6.6.6.6;lr>"),
    ("sip:x@10.0.0.1;maddr=6.6.6.6", "Route: <sip:6.6.6.6>"),
    ("sip:x@6.6.6.6;maddr=10.0.0.1",),
    ("sip:bob@6.6.6.6;transport=udp;maddr=10.0.0.1",),
    ("sip:bob@example.test", "Route: <sip:example.test;maddr=6.6.6.6;lr>", "Route: <sip:6.6.6.6;lr>"),
    ("sip:bob@example.test", "Route : <sip:6.6.6.6;lr>"),
    ("sip:bob@example.test", "rOUTE\t: <sip:6.6.6.6;lr>"),
    ("sip:bob@example.test", "Route:\r\n <sip:6.6.6.6;lr>"),
    ("sip:bob@example.test", "Subject: x\r\n Route: <sip:6.6.6.6;lr>", "Route: <sip:6.6.6.6;lr>"),
]


METHODS = ("INVITE", "OPTIONS", "MESSAGE", "SUBSCRIBE", "REGISTER", "ACK", "CANCEL", "BYE", "FOO")


@pytest.mark.threat("T15")
@pytest.mark.row("PX-2", part="no relay for strangers")
@pytest.mark.parametrize("secured", [False, True], ids=["open", "passwords"])
@pytest.mark.parametrize("strange", STRANGE, ids=[" ".join(entry) for entry in STRANGE])
def test_a_stranger_is_relayed_nowhere_but_to_our_users(
    world: World, caplog: pytest.LogCaptureFixture, strange: tuple[str, ...], secured: bool
) -> None:
    world.zone = {"evil.test": ["6.6.6.6"], "example.test.": ["6.6.6.6"]}
    target = Range(world, caplog)
    uri, *lines = strange

    async def scenario() -> None:
        await target.start(["bob"] if secured else [])
        cases = [
            (method, to) for method in METHODS for to in ("<sip:bob@example.test>", "<sip:bob@example.test>;tag=x")
        ]
        for number, (method, to) in enumerate(cases):
            case = Case(f"{method} {uri}", message(method, uri, *lines, number=number, to=to))
            for packet in await target.fire(case):
                assert packet.destination in (ATTACKER, PHONE), f"{case.name}: {packet.first_line}"
                for_bob = packet.first_line.split(" ")[1].startswith("sip:bob@10.0.0.8")
                assert packet.destination == ATTACKER or for_bob, f"{case.name}: {packet.first_line}"

    world.run(scenario())
    world.check_quiet()
    world.run(target.server.close())


FORGED = (
    *("maddr=6.6.6.6", "maddr=6.6.6.6;rport", "maddr=evil.test", "maddr=[::1]", "maddr=255.255.255.255"),
    *("maddr=127.0.0.1", "received=6.6.6.6", "received=6.6.6.6;rport=53", "rport=53", "RECEIVED=6.6.6.6;RPORT=53"),
    *("received=evil.test", "x;received=6.6.6.6;maddr=6.6.6.6;rport=1"),
)


@pytest.mark.threat("T11")
@pytest.mark.rfc("3581 4")
@pytest.mark.parametrize("parameters", FORGED)
def test_nobody_aims_our_answers_at_another(world: World, caplog: pytest.LogCaptureFixture, parameters: str) -> None:
    world.zone = {"evil.test": ["6.6.6.6"]}
    target = Range(world, caplog)

    async def scenario() -> None:
        await target.start()
        number = 0
        for uri in ("sip:example.test", "sip:bob@example.test", "sip:nobody@example.test", "sip:x@elsewhere.test"):
            for method in ("OPTIONS", "INVITE", "REGISTER", "FOO"):
                number += 1
                via = f"SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKr{number};{parameters}"
                data = message(method, uri, number=number, via=via)
                for packet in await target.fire(Case(f"{method} {uri}", data)):
                    assert packet.destination[0] in (ATTACKER[0], PHONE[0]), packet.first_line

    world.run(scenario())
    world.check_quiet()
    world.run(target.server.close())


@pytest.mark.threat("T15")
@pytest.mark.row("PX-2", part="the Record-Route token")
def test_the_token_of_one_dialog_opens_no_way_for_another(world: World, caplog: pytest.LogCaptureFixture) -> None:
    target = Range(world, caplog)

    async def scenario() -> None:
        await target.start()
        await target.is_alive()
        [invite] = [request for request in target.forwarded if request.method == "INVITE"]
        route = invite.record_routes[0].uri_text
        assert "rbk=" in route
        for number, method in enumerate(METHODS, 1):
            for to in ("<sip:bob@example.test>", "<sip:bob@example.test>;tag=x"):
                data = message(method, "sip:x@6.6.6.6", f"Route: <{route}>", number=number, to=to)
                for packet in await target.fire(Case(method, data)):
                    assert packet.destination == ATTACKER, packet.first_line

    world.run(scenario())
    world.check_quiet()
    world.run(target.server.close())
