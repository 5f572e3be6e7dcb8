"""What the policy reads is what is sent, and every size has its limit with its status (THREATS T1, T3, T4)."""

from __future__ import annotations

import pytest

from ringback.protocol.message.parser import parse_message
from ringback.testing.fixtures import pytest_runtest_makereport, world
from ringback.testing.world import World
from tests.hostile.cases import INVITE, REGISTER, Case, render
from tests.hostile.range import Range

__all__ = ["pytest_runtest_makereport", "world"]

# A header line, and what the server must do with the INVITE that has it.
LIMITS = [
    ("header line of 8192", "Subject: " + "a" * (8192 - 9), "forward"),
    ("header line of 8193", "Subject: " + "a" * (8193 - 9), 400),
    ("header line of 60000", "Subject: " + "a" * 60000, 400),
    ("folded line of 8193", "Subject: " + "a\r\n " * 2046, 400),
    ("256 lines", "\r\n".join(["X-Y: z"] * 247), "forward"),
    ("257 lines", "\r\n".join(["X-Y: z"] * 248), 400),
    ("128 Vias", "Via: " + ",".join(["SIP/2.0/UDP h"] * 127), "forward"),
    ("129 Vias", "Via: " + ",".join(["SIP/2.0/UDP h"] * 128), 400),
    ("Max-Breadth 0", "Max-Breadth: 0", 440),
    ("Max-Breadth -1", "Max-Breadth: -1", 400),
    ("Max-Breadth 1", "Max-Breadth: 1", "forward"),
    ("Max-Breadth 2^31", "Max-Breadth: 2147483648", 400),
    ("Max-Breadth 10^5000", "Max-Breadth: " + "9" * 5000, 400),
    ("Proxy-Require", "Proxy-Require: a, b", 420),
    ("Proxy-Require, folded", "Proxy-Require:\r\n a", 420),
    ("Proxy-Require, odd", "pROXY-rEQUIRE \t : a", 420),
    ("Proxy-Require, none", "Proxy-Require:", "forward"),
    ("Require is the callee's", "Require: a", "forward"),
    ("duplicate From", "From: <sip:dave@example.test>;tag=x", 400),
    ("duplicate compact From", "f: <sip:dave@example.test>;tag=x", 400),
    ("duplicate spaced Call-ID", "CALL-ID : x", 400),
    ("duplicate CSeq", "CSeq: 2 INVITE", 400),
    ("duplicate Max-Forwards", "Max-Forwards : 0", 400),
    ("duplicate Content-Length", "l: 0", 400),
    ("header in a fold", "Subject: x\r\n Proxy-Require: a", "forward"),
    ("header behind a tab", "Subject: x\r\n\tMax-Forwards: 0", "forward"),
    ("header behind a bare LF", "Subject: x\nMax-Forwards: 0", 400),
    ("header behind a bare CR", "Subject: x\rMax-Forwards: 0", 400),
    ("header behind U+2028", "Subject: x\u2028Max-Forwards: 0", "forward"),
    ("header behind U+0085", "Subject: x\x85Max-Forwards: 0", "forward"),
    ("header behind VT", "Subject: x\x0bMax-Forwards: 0", "forward"),
    ("escaped CRLF", "Subject: x%0d%0aMax-Forwards:%200", "forward"),
]


@pytest.mark.threat("T3")
@pytest.mark.threat("T4")
@pytest.mark.parametrize(("line", "verdict"), [entry[1:] for entry in LIMITS], ids=[entry[0] for entry in LIMITS])
def test_each_line_gets_its_verdict(
    world: World, caplog: pytest.LogCaptureFixture, line: str, verdict: int | str
) -> None:
    target = Range(world, caplog)

    async def scenario() -> None:
        await target.start()
        assert await target.judge(Case(line[:40], render(INVITE, 1, header=line))) == verdict
        await target.is_alive()

    world.run(scenario())
    world.check_quiet()
    world.run(target.server.close())


@pytest.mark.threat("T3")
@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"uri_user": "b" * 8192}, 414),
        ({"uri_tail": ";a=" + "b" * 8192}, 414),
        ({"content_length": "9" * 400}, 400),
        ({"version_number": "3.0"}, 505),
        ({"uri_scheme": "tel"}, 416),
        ({"max_forwards": "0"}, 483),
        ({"uri_user": "nobody"}, 480),
        ({"uri_host": "elsewhere.test"}, 403),
    ],
)
def test_each_size_has_its_status(
    world: World, caplog: pytest.LogCaptureFixture, change: dict[str, str], status: int
) -> None:
    target = Range(world, caplog)

    async def scenario() -> None:
        await target.start()
        data = render(INVITE, 1, **change)
        assert await target.judge(Case(str(change)[:40], data)) == status
        await target.is_alive()

    world.run(scenario())
    world.check_quiet()
    world.run(target.server.close())


@pytest.mark.threat("T4")
def test_credentials_for_us_go_no_further_in_whatever_spelling(world: World, caplog: pytest.LogCaptureFixture) -> None:
    ours = 'Digest username="bob", realm="example.test", nonce="n", uri="sip:x", response="r"'
    theirs = 'Digest username="bob", realm="other.test", nonce="n", uri="sip:x", response="r"'
    lines = [
        f"Proxy-Authorization: {ours}",
        f"proxy-authorization : {ours}",
        f"PROXY-AUTHORIZATION\t:\t{ours}",
        "Proxy-Authorization:\r\n " + ours.replace(", ", ",\r\n\t"),
        f"Authorization: {ours}",
        f"Proxy-Authorization: {theirs}\r\nProxy-Authorization: {ours}\r\nAuthorization: {theirs}",
        "Proxy-Authorization: " + ours.replace('realm="example.test"', 'realm="exam\\ple.test"'),
        "Proxy-Authorization: " + ours.replace("realm=", "REALM = "),
        "Proxy-Authorization: " + ours.replace("Digest", "dIGEST"),
    ]
    target = Range(world, caplog)

    async def scenario() -> None:
        await target.start()
        for number, line in enumerate(lines, 1):
            target.forwarded.clear()
            assert await target.judge(Case(line[:40], render(INVITE, number, header=line))) == "forward"
            [request] = [each for each in target.forwarded if each.method == "INVITE"]
            assert b'example.test", nonce' not in request.to_bytes().replace(b"\\", b"")
            assert len(request.get_all("proxy-authorization")) + len(request.get_all("authorization")) == line.count(
                "other.test"
            )

    world.run(scenario())
    world.check_quiet()
    world.run(target.server.close())


@pytest.mark.threat("T3")
@pytest.mark.threat("T15")
def test_one_address_of_record_takes_only_so_many_contacts(world: World, caplog: pytest.LogCaptureFixture) -> None:
    target = Range(world, caplog)
    statuses: list[int | str] = []

    async def scenario() -> None:
        await target.start()
        cases = [Case("one more", render(REGISTER, at, contact_uri=f"sip:d{at}@10.0.0.9")) for at in range(1, 301)]
        statuses.extend([await target.judge(case) for case in cases])
        many = ", ".join(f"<sip:e{number}@h>" for number in range(250))
        statuses.append(await target.judge(Case("250 at once", render(REGISTER, 999, contact_tail=f", {many}"))))

    world.run(scenario())
    assert statuses[:10] == [200] * 10
    assert set(statuses[10:]) == {403}
    assert len(target.server.store.bindings("sip:dave@example.test", world.clock.now())) == 10
    world.check_quiet()
    world.run(target.server.close())


@pytest.mark.threat("T4")
def test_the_answer_to_a_query_lists_a_hostile_contact_as_it_came(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    target = Range(world, caplog)
    contacts = [
        '"a, b" <sip:a@10.0.0.9>;x="\\"<,;>"',
        "<sip:a%0d%0aX-Evil:%20y@10.0.0.9;a=%0d%0a>",
        '"\\\0\\\r" <sip:b@10.0.0.9>',
        "<sip:\udcff@10.0.0.9>",
    ]

    async def scenario() -> None:
        await target.start()
        for number, contact in enumerate(contacts, 1):
            text = render(REGISTER, number).decode()
            at = text.index("Contact: ")
            data = (text[:at] + f"Contact: {contact}" + text[text.index("\r\n", at) :]).encode(
                "utf-8", "surrogateescape"
            )
            for packet in await target.fire(Case(contact, data)):
                reply = parse_message(packet.data)
                assert "x-evil" not in reply.names
                assert reply.contacts or reply.status == 400

    world.run(scenario())
    world.check_quiet()
    world.run(target.server.close())
