"""What belongs together, and what each message is."""

import pytest

from ringback.callflow.correlate import correlate, summarise
from ringback.callflow.record import Packet

CALLER, CALLEE = "10.0.0.2:5060", "10.0.0.1:5060"


def flow_of(*steps: str, cseq: str = "1 INVITE") -> str:
    """The state of a call: ``>`` starts what the caller sends, ``<`` what comes back."""
    packets = []
    for number, step in enumerate(steps):
        ends = (CALLER, CALLEE) if step[0] == ">" else (CALLEE, CALLER)
        method = "BYE" if "BYE" in step else cseq.partition(" ")[2]
        data = f"{step[1:]}\r\nCall-ID: a\r\nCSeq: 1 {method}\r\n\r\n".encode()
        packets.append(Packet(float(number), *ends, data))
    [flow] = correlate(packets)
    return flow.state


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        ((">INVITE x SIP/2.0", "<SIP/2.0 180 Ringing"), "CALL SETUP"),
        ((">INVITE x SIP/2.0", "<SIP/2.0 407 Proxy Authentication Required"), "CALL SETUP"),
        ((">INVITE x SIP/2.0", "<SIP/2.0 200 OK"), "IN CALL"),
        ((">INVITE x SIP/2.0", "<SIP/2.0 200 OK", ">BYE x SIP/2.0"), "COMPLETED"),
        ((">INVITE x SIP/2.0", "<SIP/2.0 487 Request Terminated"), "CANCELLED"),
        ((">INVITE x SIP/2.0", "<SIP/2.0 486 Busy Here"), "BUSY"),
        ((">INVITE x SIP/2.0", "<SIP/2.0 302 Moved Temporarily"), "DIVERTED"),
        ((">INVITE x SIP/2.0", "<SIP/2.0 404 Not Found"), "REJECTED"),
    ],
)
def test_state_of_a_call_in_sngreps_words(steps: tuple[str, ...], state: str) -> None:
    assert flow_of(*steps) == state


def test_state_of_other_requests_is_their_last_final_response() -> None:
    assert flow_of(">OPTIONS x SIP/2.0", cseq="1 OPTIONS") == "NO ANSWER"
    assert flow_of(">OPTIONS x SIP/2.0", "<SIP/2.0 200 OK", cseq="1 OPTIONS") == "200 OK"


def test_packets_are_sorted_by_call_id_in_order_of_appearance() -> None:
    packets = [Packet(0.0, CALLER, CALLEE, f"BYE x SIP/2.0\r\nCall-ID: {name}\r\n\r\n".encode()) for name in "abab"]
    flows = correlate(packets)
    assert [flow.call_id for flow in flows] == ["a", "b"]
    assert [[arrow.retransmission for arrow in flow.arrows] for flow in flows] == [[False, True], [False, True]]


def test_compact_and_folded_headers_are_read() -> None:
    summary = summarise(
        b"INVITE sip:bob@example.test SIP/2.0\r\nv: SIP/2.0/UDP h\r\n ;branch=z9hG4bK7, SIP/2.0/UDP g;branch=z\r\n"
        b'f: "A <B>" <sip:alice@example.test>;tag=1\r\nt:sip:bob@example.test;tag=2\r\ni: x@y\r\nCSeq: 7 INVITE\r\n'
        b"c: application/sdp\r\n\r\nv=0\r\n"
    )
    assert summary.branch == "z9hG4bK7"
    assert (summary.from_uri, summary.to_uri) == ("sip:alice@example.test", "sip:bob@example.test")
    assert (summary.call_id, summary.cseq, summary.label) == ("x@y", 7, "INVITE (SDP)")


@pytest.mark.threat("T1")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\xff",
        b"SIP/2.0",
        b"SIP/2.0 99999999999999999999 x\r\n",
        b"INVITE",
        b":::\r\n:\r\n",
        b"A\r\nCSeq: \xd9\xa3 A\r\n",
    ],
)
def test_what_cannot_be_read_is_empty_and_no_error(data: bytes) -> None:
    summary = summarise(data)
    assert summary.cseq == 0
    assert summary.call_id == ""
    assert summary.label
