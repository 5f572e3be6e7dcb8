"""The header field lines of a message: an ordered list, read and edited by name.

``lines`` holds each header field line as it came (name, colon, value, folds), ``names`` the key of each: the long form
in lower case, whatever spelling the wire had, so that an edit by name reaches all of them. An edit touches only the
lines it is about; every other one stays byte for byte. ``_first`` maps a key to its first line, because almost every
read is of a header that occurs once, and most of those that are asked for are not there at all.
"""

from __future__ import annotations

from typing import Any

from ringback.protocol.errors import LocalProtocolError, RemoteProtocolError
from ringback.protocol.grammar import has_bare_nul, split_unquoted, unfold
from ringback.protocol.message.registry import HEADERS, KEYS, LISTS, display_name, header_key


def check_text(text: str) -> None:
    """Raises ``LocalProtocolError`` for text that would end its line, or that no bytes can stand for.

    That is CR, LF and NUL, and a surrogate that did not come from the wire. A NUL behind a backslash is let pass: a
    quoted string may hold it (RFC 4475 §3.1.1.2), and what came in must be able to leave.
    """
    if "\r" in text or "\n" in text or ("\0" in text and has_bare_nul(text)):
        raise LocalProtocolError("CR, LF or NUL in a value that goes into a message")
    if not text.isascii():
        try:
            text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise LocalProtocolError("a value that goes into a message cannot be encoded") from None


def make_line(name: str, value: str) -> tuple[str, str]:
    """Key and line of a header named in any spelling. A registered one gets its usual spelling, another keeps its own.

    Raises ``LocalProtocolError`` for a name that is no token and for CR, LF or NUL in the value.
    """
    key = KEYS.get(name) or header_key(name)
    if not key:
        raise LocalProtocolError("a header name must be a token")
    check_text(value)
    header = HEADERS.get(key)
    if header is not None:
        return key, f"{header.name}: {value}"
    return key, f"{display_name(key) if name == key else name.rstrip()}: {value}"


def split_line(line: str) -> list[str]:
    """The values of one line of a list header, empty ones included. Raises what ``split_unquoted`` raises."""
    return split_unquoted(unfold(line.partition(":")[2]), ",")


class Headers:
    """Header lines in order, and the reads and edits that need no knowledge of what a header means."""

    __slots__ = ("_first", "_typed", "lines", "names", "raw")

    _first: dict[str, str]
    _typed: dict[str, Any]  # parsed values by key; an edit drops what it makes stale
    lines: list[str]
    names: list[str]
    raw: bytes | None

    def _fill(self, names: list[str], lines: list[str]) -> None:
        self.names = names
        self.lines = lines
        self.raw = None
        self._typed = {}
        first = dict(zip(names, lines))  # noqa: B905 (strict costs a tenth of a parse)
        if len(first) != len(names):
            first = dict(zip(names[::-1], lines[::-1]))  # noqa: B905 - from the end, so that the first of several stays
        self._first = first

    def has(self, name: str) -> bool:
        """True when there is a line of that header, in whatever spelling."""
        return (KEYS.get(name) or header_key(name)) in self._first

    def get(self, name: str) -> str | None:
        """The value of the first line: unfolded, white space at the ends off. None when there is none."""
        line = self._first.get(KEYS.get(name) or header_key(name))
        if line is None:
            return None
        value = line.partition(":")[2]
        if "\r" in value:
            value = unfold(value)
        return value.strip(" \t")

    def get_all(self, name: str) -> list[str]:
        """The value of each line of that header, in order."""
        return [unfold(line.partition(":")[2]).strip(" \t") for line in self._lines(KEYS.get(name) or header_key(name))]

    def values(self, name: str) -> list[str]:
        """The values of a header that may be a comma list, across its lines, in order; empty ones are left out.

        A header that is no list (``registry.LISTS``) gives one value a line. Raises ``RemoteProtocolError`` (400) for
        an unclosed quoted string or angle bracket.
        """
        key = KEYS.get(name) or header_key(name)
        values: list[str] = []
        for line in self._lines(key):
            if key in LISTS:
                values.extend(self._split(line, key))
            else:
                values.append(unfold(line.partition(":")[2]).strip(" \t"))
        return [value for value in values if value]

    def _lines(self, key: str) -> list[str]:
        """Every line of a header."""
        first = self._first.get(key)
        if first is None:
            return []
        names = self.names
        if len(names) == len(self._first) or names.count(key) == 1:
            return [first]
        return [line for at, line in enumerate(self.lines) if names[at] == key]

    def _split(self, line: str, key: str) -> list[str]:
        try:
            return split_line(line)
        except RemoteProtocolError as error:
            raise self._blame(error, key) from None

    def _blame(self, error: RemoteProtocolError, key: str) -> RemoteProtocolError:
        """``error`` with the header and this message filled in."""
        error.header = display_name(key)
        error.message = self
        return error

    # Editing. Each verb drops ``raw`` and what was parsed of that header, and raises ``LocalProtocolError`` for a name
    # that is no token and for CR, LF or NUL in the value.

    def _changed(self, key: str) -> None:
        self.raw = None
        typed = self._typed
        if typed:
            typed.pop(key, None)
            if key == "via":
                typed.pop("top_via", None)

    def set(self, name: str, value: str) -> None:
        """Make ``value`` the only one of that header: in the place of its first line, or at the end."""
        key, line = make_line(name, value)
        if key in self._first:
            at = self.names.index(key)
            if len(self.names) != len(self._first):
                self._delete(key, at + 1)
            self.lines[at] = line
        else:
            self.names.append(key)
            self.lines.append(line)
        self._first[key] = line
        self._changed(key)

    def append(self, name: str, value: str) -> None:
        """Add a line of that header after its last one, or at the end."""
        key, line = make_line(name, value)
        names = self.names
        at = len(names)
        if key in self._first:
            while names[at - 1] != key:
                at -= 1
        else:
            self._first[key] = line
        names.insert(at, key)
        self.lines.insert(at, line)
        self._changed(key)

    def prepend(self, name: str, value: str) -> None:
        """Add a line of that header before its first one, or on top of all headers."""
        key, line = make_line(name, value)
        at = self.names.index(key) if key in self._first else 0
        self.names.insert(at, key)
        self.lines.insert(at, line)
        self._first[key] = line
        self._changed(key)

    def remove(self, name: str) -> None:
        """Remove every line of that header, in whatever spelling it came."""
        key = KEYS.get(name) or header_key(name)
        if key in self._first:
            self._delete(key, 0)
            del self._first[key]
            self._changed(key)

    def _delete(self, key: str, start: int) -> None:
        """Drop the lines of ``key`` from position ``start`` on."""
        names, lines = self.names, self.lines
        keep = [at for at in range(start, len(names)) if names[at] != key]
        lines[start:] = [lines[at] for at in keep]
        names[start:] = [names[at] for at in keep]

    def pop_first(self, name: str) -> str | None:
        """Remove the first value of that header and return it; None when there is none.

        In a comma list only the first value goes. Raises ``RemoteProtocolError`` when the list cannot be read.
        """
        key = KEYS.get(name) or header_key(name)
        first = self._first
        line = first.get(key)
        if line is None:
            return None
        names, lines = self.names, self.lines
        at = names.index(key)
        typed = self._typed.get(key)
        rest: list[str] = []
        if "," not in line or key not in LISTS:
            value = unfold(line.partition(":")[2]).strip(" \t")
        elif '"' not in line and "<" not in line and "\r" not in line:
            value, _, others = line.partition(":")[2].partition(",")
            value = value.strip(" \t")
            rest = [others.lstrip(" \t")]
        else:
            value, *rest = self._split(line, key)
        if rest:
            lines[at] = first[key] = f"{display_name(key)}: {', '.join(rest)}"
        else:
            del names[at]
            del lines[at]
            if len(names) >= len(first) and key in names:
                first[key] = lines[names.index(key)]
            else:
                del first[key]
        self._changed(key)
        if typed is not None and key in LISTS:
            self._typed[key] = typed[1:]  # the rest is parsed already
        return value

    def replace_first(self, name: str, value: str) -> None:
        """Put ``value`` in the place of the first value of that header; without one, add it as ``prepend`` does."""
        key, line = make_line(name, value)
        old = self._first.get(key)
        if old is None:
            self.prepend(name, value)
            return
        if "," in old and key in LISTS:
            rest = self._split(old, key)[1:]
            if rest:
                line = f"{line}, {', '.join(rest)}"
        self.lines[self.names.index(key)] = self._first[key] = line
        self._changed(key)
