from __future__ import annotations

import pytest

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.message.kept import LONGEST, Kept
from ringback.protocol.message.uri import Uri


def test_a_line_is_read_once() -> None:
    read: list[str] = []

    def shout(line: str) -> str:
        read.append(line)
        return line.upper()

    kept = Kept(shout, 8)
    assert (kept["a"], kept["b"], kept["a"]) == ("A", "B", "A")
    assert read == ["a", "b"]


@pytest.mark.threat("T3")
def test_what_is_kept_is_bounded_in_number_and_length() -> None:
    kept = Kept(str.upper, 8)
    for number in range(1000):
        assert kept[f"a{number}"] == f"A{number}"
        assert len(kept) <= 8
    long = "a" * (LONGEST + 1)
    assert kept[long] == long.upper()
    assert long not in kept


def test_what_cannot_be_read_is_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(RemoteProtocolError):
            Uri.parse("sip:")
