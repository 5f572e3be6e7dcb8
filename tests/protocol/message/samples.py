"""Messages for the tests of this folder."""

INVITE = (
    b"INVITE sip:bob@example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport\r\n"
    b"Via: SIP/2.0/TCP 192.0.2.2;branch=z9hG4bK2, SIP/2.0/UDP 192.0.2.3;branch=z9hG4bK3\r\n"
    b"Max-Forwards: 70\r\n"
    b'From: "Alice" <sip:alice@example.com>;tag=a1\r\n'
    b"To: <sip:bob@example.com>\r\n"
    b"Call-ID: c1@192.0.2.1\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"Contact: <sip:alice@192.0.2.1>\r\n"
    b"X-Odd: caf\xc3\xa9 \xff\r\n"
    b"Supported: Timer,\r\n 100rel\r\n"
    b"k: path\r\n"
    b"Content-Type: Application / SDP ; charset=x\r\n"
    b"Content-Length: 5\r\n"
    b"\r\n"
    b"v=0\r\n"
)

OK = (
    b"SIP/2.0 200 OK\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\n"
    b"From: <sip:alice@example.com>;tag=a1\r\n"
    b"To: <sip:bob@example.com>;tag=b1\r\n"
    b"Call-ID: c1@192.0.2.1\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"Content-Length: 0\r\n"
    b"\r\n"
)


def with_header(line: str, message: bytes = INVITE) -> bytes:
    """``message`` with one more header line at the end of its head."""
    return message.replace(b"\r\n\r\n", b"\r\n" + line.encode("utf-8", "surrogateescape") + b"\r\n\r\n", 1)


def replaced(name: str, line: str, message: bytes = INVITE) -> bytes:
    """``message`` with the (one) line of header ``name`` replaced; with an empty ``line`` it is left out."""
    head, _, body = message.partition(b"\r\n\r\n")
    lines = []
    for old in head.split(b"\r\n"):
        if old.startswith(name.encode() + b":"):
            if line:
                lines.append(line.encode("utf-8", "surrogateescape"))
        else:
            lines.append(old)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
