"""The tag of a stateless answer is known again in the ACK, and cannot be made by others."""

from __future__ import annotations

import pytest

from ringback.protocol.message.model import Request
from ringback.protocol.message.parser import parse_message
from ringback.runtime.stateless_tags import StatelessTags


def request(method: str = "INVITE", call_id: str = "c1", cseq: str = "7", tag: str = "") -> Request:
    message = parse_message(
        (
            f"{method} sip:bob@example.test SIP/2.0\r\n"
            "Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKa\r\n"
            "From: <sip:alice@example.test>;tag=a1\r\n"
            f"To: <sip:bob@example.test>{tag}\r\n"
            f"Call-ID: {call_id}\r\n"
            f"CSeq: {cseq} {method}\r\n\r\n"
        ).encode()
    )
    assert isinstance(message, Request)
    return message


@pytest.mark.rfc("3261 17.1.1.3")
def test_the_ack_to_a_stateless_answer_is_recognised() -> None:
    tags = StatelessTags(b"s" * 32)
    tag = tags.tag(request())
    assert tags.tag(request()) == tag
    assert tags.answers(request("ACK", tag=f";tag={tag}"))


@pytest.mark.parametrize(
    "ack",
    [
        request("ACK"),
        request("ACK", tag=";tag=other"),
        request("ACK", tag=";tag=rbs-0123456789abcdef"),
        request("ACK", call_id="c2", tag=f";tag={StatelessTags(b's' * 32).tag(request())}"),
        request("ACK", cseq="8", tag=f";tag={StatelessTags(b's' * 32).tag(request())}"),
        request("ACK", tag=f";tag={StatelessTags(b'another secret' * 2).tag(request())}"),
        request("ACK", tag=';tag="'),
    ],
    ids=["no tag", "foreign tag", "invented", "another call", "another request", "another secret", "unreadable"],
)
def test_any_other_ack_is_not(ack: Request) -> None:
    assert not StatelessTags(b"s" * 32).answers(ack)


def test_a_malformed_request_gets_a_tag_all_the_same() -> None:
    tags = StatelessTags(b"s" * 32)
    assert tags.tag(request(cseq="x y")).startswith("rbs-")
    bare = request()
    bare.remove("call-id")
    bare.remove("cseq")
    assert tags.tag(bare).startswith("rbs-")
