"""The scripted far end sends what it is given and keeps what came."""

from __future__ import annotations

import pytest

from ringback.testing.peer import ScriptedPeer, as_datagram
from ringback.testing.world import World

OPTIONS = """
    OPTIONS sip:bob@10.0.0.1 SIP/2.0
    Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKa
    Max-Forwards: 70
    From: <sip:alice@example.test>;tag=a1
    To: <sip:bob@example.test>
    Call-ID: c1
    CSeq: 1 OPTIONS
"""


def pair(world: World) -> tuple[ScriptedPeer, ScriptedPeer]:
    return ScriptedPeer(world.host("10.0.0.1")), ScriptedPeer(world.host("10.0.0.2"))


def test_indented_text_becomes_a_message_with_crlf_and_an_end_of_head() -> None:
    assert as_datagram("\n  A: 1\n  B: 2\n") == b"A: 1\r\nB: 2\r\n\r\n"
    assert as_datagram("A: 1\n\nv=0\no=x\n") == b"A: 1\r\n\r\nv=0\r\no=x\r\n"
    assert as_datagram(b"A: 1\n") == b"A: 1\n"


def test_a_request_is_expected_and_answered_the_way_its_via_says(world: World) -> None:
    server, phone = pair(world)
    phone.send(OPTIONS, server.local)
    request = world.run(server.expect_request("OPTIONS"))
    sent = server.reply(request, 200, to_tag="b1", headers=[("Allow", "OPTIONS")])
    response = world.run(phone.expect_response(200))
    assert response.to_bytes() == sent.to_bytes()
    assert response.to_tag == "b1"
    assert [source for _, source in phone.received] == [server.local]


def test_another_message_than_the_expected_one_fails(world: World) -> None:
    server, phone = pair(world)
    phone.send(OPTIONS, server.local)
    with pytest.raises(AssertionError, match=r"expected INVITE, got OPTIONS sip:bob@10\.0\.0\.1"):
        world.run(server.expect("INVITE"))


def test_what_is_no_message_fails_with_its_bytes(world: World) -> None:
    server, phone = pair(world)
    phone.send(b"hello\r\n\r\n", server.local)
    with pytest.raises(AssertionError, match=r"not a SIP message .*hello"):
        world.run(server.expect("INVITE"))


def test_nothing_within_the_patience_fails(world: World) -> None:
    server, _ = pair(world)
    with pytest.raises(AssertionError, match=r"expected INVITE, nothing came in time \(5 s\)"):
        world.run(server.expect("INVITE", 5))
    assert world.now == 5.0


def test_what_is_to_be_skipped_is_passed_over(world: World) -> None:
    server, phone = pair(world)
    for _ in range(2):
        phone.send(OPTIONS, server.local)
    phone.send(OPTIONS.replace("OPTIONS", "MESSAGE"))
    assert world.run(server.expect_request("MESSAGE", skip=["OPTIONS"])).method == "MESSAGE"
    phone.send(OPTIONS)
    with pytest.raises(AssertionError, match="nothing came in time"):
        world.run(server.expect("MESSAGE", 3, skip=["OPTIONS"]))
    assert world.now < 3.1


def test_silence_is_asserted(world: World) -> None:
    server, phone = pair(world)
    world.run(server.silence(5))
    phone.send(OPTIONS, server.local)
    with pytest.raises(AssertionError, match="expected silence, got b'OPTIONS"):
        world.run(server.silence(5))
    server.forget()
    world.run(server.silence(5))


def test_without_a_target_the_answer_goes_to_who_spoke_last(world: World) -> None:
    server, phone = pair(world)
    phone.send(b"1", server.local)
    world.run(server.next_datagram())
    server.send(b"2")
    assert world.run(phone.next_datagram()) == b"2"


def test_a_closed_peer_hears_nothing(world: World) -> None:
    server, phone = pair(world)
    server.close()
    phone.send(b"1", server.local)
    world.advance(1)
    assert server.received == []
