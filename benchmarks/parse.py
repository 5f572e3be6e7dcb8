"""What it costs to read, check and write one INVITE, in units of a plain split of the same message into a dict.

Run ``python -m benchmarks.parse``. The unit is measured in the same process, between the others, so that the ratios
hold on a slow or a busy machine. 512 different messages are taken in turn, because a cache that always hits lies.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

from ringback.protocol.message import model, uri, values
from ringback.protocol.message.model import Request
from ringback.protocol.message.parser import parse_message, validate

# SIPp's caller, 13 headers and an SDP offer: 869 bytes.
INVITE = (
    "INVITE sip:u{n:05d}@192.0.2.200:5060 SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 192.0.2.100:5070;branch=z9hG4bK-4321-{n:05d}-0;rport\r\n"
    "Max-Forwards: 70\r\n"
    'From: "Caller {n:05d}" <sip:caller{n:05d}@192.0.2.200>;tag=4321SIPp{n:05d}\r\n'
    "To: <sip:u{n:05d}@192.0.2.200:5060>\r\n"
    "Call-ID: {n:05d}-4321@192.0.2.100\r\n"
    "CSeq: 1 INVITE\r\n"
    "Contact: <sip:caller{n:05d}@192.0.2.100:5070;transport=UDP>\r\n"
    "Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE, SUBSCRIBE, INFO\r\n"
    "Supported: replaces, timer\r\n"
    "Session-Expires: 1800;refresher=uac\r\n"
    "User-Agent: SIPp bench, a caller with thirteen headers and an SDP offer, in all 869 bytes one\r\n"
    "Content-Type: application/sdp\r\n"
    "Content-Length: 228\r\n"
    "\r\n"
    "v=0\r\n"
    "o=user1 53655765 2353687637 IN IP4 192.0.2.100\r\n"
    "s=SIP\r\n"
    "c=IN IP4 192.0.2.100\r\n"
    "t=0 0\r\n"
    "m=audio 49170 RTP/AVP 0 8 101\r\n"
    "a=rtpmap:0 PCMU/8000\r\n"
    "a=rtpmap:8 PCMA/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\n"
    "a=fmtp:101 0-15\r\n"
    "a=sendrecv\r\n"
)

MESSAGES = 512
BATCHES = 15


def plain_split(data: bytes) -> dict[str, str]:
    """The unit: what any parser has to do at least, and nothing that makes it one."""
    head, _, _body = data.partition(b"\r\n\r\n")
    headers: dict[str, str] = {}
    for line in head.decode().split("\r\n")[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return headers


def parse_and_read(data: bytes) -> tuple[Any, ...]:
    """Via, From, To, Contact, CSeq and the Request-URI read."""
    message = parse_message(data)
    assert isinstance(message, Request)
    return message.top_via, message.from_, message.to, message.contacts, message.cseq, message.uri


def forget() -> None:
    """Empty the tables of values that are kept by their line, so that each message is the first of its kind."""
    for kept in (values.kept_addresses, values.kept_cseqs, model.kept_call_ids, uri._kept):
        kept.clear()


def parse_and_validate(data: bytes) -> None:
    """As each message is at the door."""
    validate(parse_message(data))


def keys(message: Request) -> tuple[Any, ...]:
    """What the transaction layer reads of a message that was validated."""
    via = message.top_via
    cseq = message.cseq
    return via.branch, via.sent_by, message.from_tag, message.to_tag, cseq.method, message.call_id


def forward(message: Request) -> bytes:
    """A proxy's edits of an INVITE (RFC 3261 §16.6)."""
    copy = message.copy()
    copy.prepend("via", "SIP/2.0/UDP 192.0.2.200:5060;branch=z9hG4bK0123456789abcdef")
    copy.replace_first("max-forwards", "69")
    copy.prepend("record-route", "<sip:192.0.2.200:5060;lr;rbk=0123456789abcdef>")
    copy.set_uri("sip:u00001@192.0.2.55:5080")
    return copy.to_bytes()


def cost(function: Callable[[Any], object], items: list[Any]) -> float:
    """CPU microseconds a call, over all items."""
    start = time.process_time()
    for item in items:
        function(item)
    return (time.process_time() - start) / len(items) * 1e6


def main() -> None:
    datagrams = [INVITE.format(n=n).encode() for n in range(MESSAGES)]
    parsed = [parse_message(data) for data in datagrams]
    checked = [parse_message(data) for data in datagrams]
    for message in checked:
        validate(message)
    rows: list[tuple[str, float | None, Callable[[Any], object], list[Any]]] = [
        ("plain split into a dict (the unit)", None, plain_split, datagrams),
        ("parse_message", 1.5, parse_message, datagrams),
        ("  and Via From To Contact CSeq URI read", 3.0, parse_and_read, datagrams),
        ("  the same, of a call that was seen before", None, parse_and_read, datagrams),
        ("  and validated", None, parse_and_validate, datagrams),
        ("  the same, of a call that was seen before", None, parse_and_validate, datagrams),
        ("to_bytes of an untouched one", 0.25, Request.to_bytes, parsed),
        ("branch, tags, CSeq, Call-ID of a validated one", None, keys, checked),
        ("copy, four edits, to_bytes", None, forward, checked),
    ]
    times = [float("inf")] * len(rows)
    gc.collect()
    gc.disable()  # as the server runs it on the path of a message
    for _ in range(BATCHES):
        for at, (label, _, function, items) in enumerate(rows):
            if "seen before" not in label:
                forget()
            times[at] = min(times[at], cost(function, items))
    print(f"One INVITE of {len(datagrams[0])} bytes, best of {BATCHES} rounds over {MESSAGES} messages")
    for (name, mark, _, _), took in zip(rows, times, strict=True):
        goal = "" if mark is None else f"  at most {mark}"
        print(f"  {name:48} {took:6.2f} us  {took / times[0]:5.2f} units{goal}")


if __name__ == "__main__":
    main()
