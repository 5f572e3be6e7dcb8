"""Draw a call flow as a ladder of text, a line a message.

    18:53:01.123456                 alice                  server                   bob
                                      │                      │                      │
    18:53:01.123456                   │──── INVITE (SDP) ───>│                      │
    18:53:01.124012  +0.000556        │                      │──── INVITE (SDP) ───>│

The label sits on the shaft, a retransmission ends in ``>>>``, a message to oneself is a small loop. Lines are lists of
spans, text with the name of a style, so that a terminal may colour them; colour says nothing that the text does not.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import final

from ringback.callflow.correlate import Arrow, CallFlow, printable

Span = tuple[str, str]  # text, style: "", "time", "delta", "node", "address", "rail", "request", "1xx" … "6xx"
Line = list[Span]

TIME_WIDTH = 15  # HH:MM:SS.uuuuuu
DELTA_WIDTH = 11
WIDEST_COLUMN = 30
NARROWEST_COLUMN = 16


class _Glyphs:
    """The characters a ladder is drawn with."""

    def __init__(
        self, rail: str, shaft: str, right: str, left: str, out: str, corner: str, back: str, more: str
    ) -> None:
        self.rail, self.shaft, self.right, self.left = rail, shaft, right, left
        self.out, self.corner, self.back, self.more = out, corner, back, more


_UTF8 = _Glyphs("│", "─", ">", "<", "├", "┐", "┘", "…")
_ASCII = _Glyphs("|", "-", ">", "<", "|", ".", "'", "~")


def plain(line: Line) -> str:
    """The text of a line without its styles, trailing blanks off."""
    return "".join(text for text, _ in line).rstrip(" ")


def cells(text: str) -> int:
    """How many terminal cells ``text`` takes."""
    return sum(_cell(char) for char in text)


def _cell(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _clip(text: str, room: int, more: str) -> str:
    """``text`` cut to ``room`` cells, the cut marked."""
    if cells(text) <= room:
        return text
    kept = ""
    for char in text:
        if cells(kept) + _cell(char) > room - 1:
            break
        kept += char
    return kept + more if room > 0 else ""


@final
class Ladder:
    """Draws arrows between columns.

    ``participants`` are ``host:port`` strings, left to right; ``aliases`` name them, and those that share a name share
    a column. ``width`` is the terminal's in cells (None: as wide as 30-cell columns need). ``timezone``: None is local.
    """

    def __init__(
        self,
        participants: Sequence[str],
        *,
        aliases: Mapping[str, str] | None = None,
        width: int | None = None,
        ascii_only: bool = False,
        timezone: tzinfo | None = None,
    ) -> None:
        self._aliases = dict(aliases or {})
        self._glyphs = _ASCII if ascii_only else _UTF8
        self._timezone = timezone
        self._columns: list[str] = []
        self._addresses: dict[str, list[str]] = {}
        for participant in participants:
            name = self._name(participant)
            if name not in self._columns:
                self._columns.append(name)
                self._addresses[name] = []
            self._addresses[name].append(participant)
        self._show_delta = True
        self._fit(width)

    def _fit(self, width: int | None) -> None:
        """Choose the column width; give up the delta before columns become too narrow to read."""
        count = max(1, len(self._columns))
        self._column = WIDEST_COLUMN
        if width is None:
            return
        column = (width - TIME_WIDTH - DELTA_WIDTH) // count
        if column < NARROWEST_COLUMN + 4:
            self._show_delta = False
            column = (width - TIME_WIDTH) // count
        self._column = max(NARROWEST_COLUMN, min(WIDEST_COLUMN, column))

    def _name(self, participant: str) -> str:
        return self._aliases.get(participant, participant)

    def _rail_at(self, column: int) -> int:
        return column * self._column + self._column // 2

    def _gutter(self, arrow: Arrow | None) -> Line:
        if arrow is None:
            return [(" " * (TIME_WIDTH + (DELTA_WIDTH if self._show_delta else 0)), "")]
        moment = datetime.fromtimestamp(arrow.packet.time, self._timezone)
        spans: Line = [(moment.strftime("%H:%M:%S.%f"), "time")]
        if self._show_delta:
            spans.append((f"{f'+{arrow.delta:.6f}' if arrow.delta else '':>{DELTA_WIDTH}}", "delta"))
        return spans

    def head(self) -> list[Line]:
        """The lines above the arrows: names, the addresses they stand for, a line of rails."""
        lines = [self._heading(self._columns, "node")]
        addresses = [self._addresses[name][0] if self._addresses[name][0] != name else "" for name in self._columns]
        if any(addresses):
            lines.append(self._heading(addresses, "address"))
        lines.append(self.rails())
        return lines

    def _heading(self, texts: Sequence[str], style: str) -> Line:
        line = self._gutter(None)
        for text in texts:
            shown = _clip(printable(text), self._column - 2, self._glyphs.more)
            before = self._column // 2 - cells(shown) // 2
            line.append((" " * before, ""))
            line.append((shown, style))
            line.append((" " * (self._column - before - cells(shown)), ""))
        return line

    def rails(self) -> Line:
        """A line with nothing but the columns' rails."""
        return [*self._gutter(None), (self._rail_text(), "rail")]

    def _rail_text(self, start: int = 0, end: int | None = None) -> str:
        """The cells from ``start`` to before ``end`` of a line of rails."""
        rails = {self._rail_at(column) for column in range(len(self._columns))}
        stop = len(self._columns) * self._column if end is None else end
        return "".join(self._glyphs.rail if at in rails else " " for at in range(start, stop))

    def arrow(self, arrow: Arrow) -> list[Line]:
        """The line of one message, two when it goes from a column to itself. Unknown ends raise ``KeyError``."""
        source, destination = self._index(arrow.packet.source), self._index(arrow.packet.destination)
        label = printable(arrow.summary.label) + (" >>>" if arrow.retransmission else "")
        style = style_of(arrow)
        if source == destination:
            return self._loop(arrow, source, label, style)
        left, right = sorted((self._rail_at(source), self._rail_at(destination)))
        shaft = self._shaft(label, right - left - 1, pointing_right=source < destination)
        body: Line = [(self._rail_text(0, left + 1), "rail"), (shaft, style), (self._rail_text(right), "rail")]
        return [[*self._gutter(arrow), *body]]

    def _index(self, participant: str) -> int:
        try:
            return self._columns.index(self._name(participant))
        except ValueError:
            raise KeyError(participant) from None

    def _shaft(self, label: str, room: int, *, pointing_right: bool) -> str:
        glyphs = self._glyphs
        text = _clip(label, room - 3, glyphs.more)
        free = room - cells(text) - 3  # two blanks around the label, one head
        before = free // 2
        line = f"{glyphs.shaft * before} {text} {glyphs.shaft * (free - before)}"
        return f"{line}{glyphs.right}" if pointing_right else f"{glyphs.left}{line}"

    def _loop(self, arrow: Arrow, column: int, label: str, style: str) -> list[Line]:
        glyphs = self._glyphs
        rail = self._rail_at(column)
        text = _clip(label, self._column - 6, glyphs.more)
        first, second = (
            f"{glyphs.out}{glyphs.shaft * 2}{glyphs.corner} {text}",
            f"{glyphs.rail}{glyphs.left}{glyphs.shaft}{glyphs.back}",
        )
        return [
            [
                *self._gutter(arrow),
                (self._rail_text(0, rail), "rail"),
                (first, style),
                (self._rail_text(rail + cells(first)), "rail"),
            ],
            [
                *self._gutter(None),
                (self._rail_text(0, rail), "rail"),
                (second, style),
                (self._rail_text(rail + cells(second)), "rail"),
            ],
        ]


def style_of(arrow: Arrow) -> str:
    """The style of a message: ``request``, or the response class ``1xx`` … ``6xx``."""
    status = arrow.summary.status
    return f"{status // 100}xx" if status else "request"


def draw(
    flow: CallFlow,
    *,
    aliases: Mapping[str, str] | None = None,
    width: int | None = None,
    ascii_only: bool = False,
    timezone: tzinfo | None = None,
) -> str:
    """The whole ladder of ``flow`` as plain text, lines ended by ``\\n``."""
    ladder = Ladder(flow.participants, aliases=aliases, width=width, ascii_only=ascii_only, timezone=timezone)
    lines = ladder.head()
    for arrow in flow.arrows:
        lines.extend(ladder.arrow(arrow))
    return "".join(f"{plain(line)}\n" for line in lines)
