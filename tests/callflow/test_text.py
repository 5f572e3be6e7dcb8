"""The ladder as text."""

from datetime import UTC

import pytest

from ringback.callflow.correlate import CallFlow, correlate
from ringback.callflow.record import Packet, Recorder
from ringback.callflow.text import Ladder, cells, draw, plain

ALICE, SERVER, DESK, OTHER = "10.0.0.2:5060", "10.0.0.1:5060", "10.0.0.3:5060", "10.0.0.4:5060"


def message(start: str, cseq: str = "1 INVITE", sdp: bool = False, call_id: str = "a") -> bytes:
    """The bytes of a small message."""
    kind = "c: application/sdp\r\n" if sdp else ""
    return (
        f"{start}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nf: <sip:alice@example.test>;tag=1\r\n"
        f"To: sip:bob@example.test\r\ni: {call_id}\r\nCSeq: {cseq}\r\n{kind}\r\n"
    ).encode()


def call() -> list[Packet]:
    """A call with a retransmitted INVITE, refused by the callee."""
    start = 1_000_000_000.0
    invite = message("INVITE sip:bob@example.test SIP/2.0", sdp=True)
    return [
        Packet(start, ALICE, SERVER, invite),
        Packet(start + 0.5, ALICE, SERVER, invite),
        Packet(start + 0.5, SERVER, ALICE, message("SIP/2.0 100 Trying")),
        Packet(start + 0.6, SERVER, DESK, message("INVITE sip:bob@10.0.0.3 SIP/2.0", sdp=True)),
        Packet(start + 0.7, DESK, SERVER, message("SIP/2.0 486 Busy Here")),
        Packet(start + 0.7, SERVER, SERVER, message("OPTIONS sip:example.test SIP/2.0", "2 OPTIONS")),
        Packet(start + 0.8, SERVER, ALICE, message("SIP/2.0 486 Busy Here")),
    ]


EXPECTED = """\
                                       alice                        server                     10.0.0.3:5060
                                   10.0.0.2:5060                 10.0.0.1:5060
                                         │                             │                             │
01:46:40.000000                          │─────── INVITE (SDP) ───────>│                             │
01:46:40.500000  +0.500000               │───── INVITE (SDP) >>> ─────>│                             │
01:46:40.500000                          │<──────── 100 Trying ────────│                             │
01:46:40.600000  +0.100000               │                             │─────── INVITE (SDP) ───────>│
01:46:40.700000  +0.100000               │                             │<────── 486 Busy Here ───────│
01:46:40.700000                          │                             ├──┐ OPTIONS                  │
                                         │                             │<─┘                          │
01:46:40.800000  +0.100000               │<────── 486 Busy Here ───────│                             │
"""


def test_draws_labels_on_the_shaft_retransmissions_and_loops() -> None:
    [flow] = correlate(call())
    assert draw(flow, aliases={ALICE: "alice", SERVER: "server"}, timezone=UTC) == EXPECTED


def test_ascii_ladder_holds_nothing_but_ascii() -> None:
    [flow] = correlate(call())
    drawn = draw(flow, ascii_only=True, timezone=UTC)
    assert drawn.isascii()
    assert "|------- INVITE (SDP) ------->|" in drawn


@pytest.mark.parametrize("width", [64, 80, 100, 132])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    [flow] = correlate(call())
    assert max(cells(line) for line in draw(flow, width=width, timezone=UTC).splitlines()) <= width


def test_an_arrow_over_several_columns_ends_at_its_own_rails() -> None:
    ladder = Ladder([ALICE, SERVER, DESK, OTHER])
    flow = CallFlow()
    [line] = ladder.arrow(flow.add(Packet(0.0, ALICE, OTHER, message("INVITE sip:x SIP/2.0"))))
    rails = plain(ladder.rails())
    text = plain(line)
    first, *_, last = (index for index, char in enumerate(rails) if char == "│")
    assert text[first] == "│"
    assert text[last] == "│"
    assert text[last - 1] == ">"


def test_addresses_that_share_an_alias_share_a_column() -> None:
    ladder = Ladder([ALICE, SERVER, DESK], aliases={SERVER: "server", DESK: "server"})
    assert plain(ladder.rails()).count("│") == 2


def test_an_end_that_no_column_stands_for_is_named() -> None:
    with pytest.raises(KeyError, match=OTHER):
        Ladder([ALICE, SERVER]).arrow(CallFlow().add(Packet(0.0, ALICE, OTHER, b"")))


@pytest.mark.threat("T6")
def test_a_reason_phrase_cannot_drive_the_terminal() -> None:
    [flow] = correlate([Packet(0.0, ALICE, SERVER, message("SIP/2.0 486 \x1b[2J\x07Busy\u202e"))])
    drawn = draw(flow, timezone=UTC)
    assert not any(char in drawn for char in "\x1b\x07\u202e")


def test_wide_characters_keep_the_rails_straight() -> None:
    [flow] = correlate([Packet(0.0, ALICE, SERVER, message("SIP/2.0 486 通話中"))])
    [line] = Ladder(flow.participants).arrow(flow.arrows[0])
    [ascii_line] = Ladder(flow.participants).arrow(CallFlow().add(Packet(0.0, ALICE, SERVER, message("BYE"))))
    assert cells(plain(line)) == cells(plain(ascii_line))


def test_recorder_keeps_the_newest_and_orders_the_ends() -> None:
    seen: list[Packet] = []
    recorder = Recorder(limit=2, on_packet=seen.append)
    for number in range(3):
        recorder.message("in" if number % 2 else "out", b"x", "UDP", SERVER, ALICE, float(number))
    assert [packet.time for packet in recorder] == [1.0, 2.0]
    assert [packet.source for packet in seen] == [SERVER, ALICE, SERVER]
    assert len(recorder) == 2
    recorder.extend([(9.0, ALICE, SERVER, b"y")])
    assert recorder.packets[-1] == Packet(9.0, ALICE, SERVER, b"y")
