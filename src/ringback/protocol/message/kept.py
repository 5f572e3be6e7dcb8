"""Parsed values that are kept for the next message that has the same line.

The messages of one call repeat each other: From, Call-ID and CSeq stand in every one of them, a phone's Contact in each
of its calls. To look a line up costs a tenth of reading it. What is kept is a value (never changed after it is made),
so it makes no difference to anybody whether it was read just now.

Rule: the memory is bounded, however hostile the lines. A long one is not kept, and a full table is emptied: that costs
one reading of what is still in use, and no bookkeeping on the path of a message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, final

T = TypeVar("T")

LONGEST = 200  # characters; longer lines are rare, and are read each time


@final
class Kept(dict[str, T]):
    """``kept[line]`` is ``read(line)``, from memory if it was asked for lately. At most ``size`` are remembered.

    What ``read`` raises comes out, and nothing is kept then.
    """

    __slots__ = ("_read", "_size")

    def __init__(self, read: Callable[[str], T], size: int) -> None:
        super().__init__()
        self._read = read
        self._size = size

    def __missing__(self, line: str) -> T:
        value = self._read(line)
        if len(line) <= LONGEST:
            if len(self) >= self._size:
                self.clear()
            self[line] = value
        return value
