"""How commands speak: data on standard output, all else on standard error, exit codes with one meaning."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from ringback.callflow.text import Line

SUCCESS = 0
REFUSED = 1  # a final response other than 2xx, or a flow that did not go as it should
LOCAL_ERROR = 2  # usage, settings, a store, an address in use
NO_ANSWER = 3  # no final response, no route, no such name
INTERRUPTED = 130

# The spans of a ladder as a terminal shows them. Colour repeats what the text says, nothing more.
STYLES = {
    "time": "dim",
    "delta": "cyan",
    "node": "bold",
    "address": "dim",
    "rail": "bright_black",
    "request": "bold blue",
    "1xx": "dim",
    "2xx": "green",
    "3xx": "cyan",
    "4xx": "yellow",
    "5xx": "red",
    "6xx": "red",
}

UNLIMITED = 1_000_000  # cells of a line that goes to a file or a pipe

T = TypeVar("T")


def console(*, stderr: bool = False) -> Console:
    """A rich console that prints text as it is: no markup, no emoji, nothing coloured that was not asked for."""
    from rich.console import Console

    out = Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=True)
    if not out.is_terminal:
        out.width = UNLIMITED
    return out


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on standard output: a terminal's lines are folded where they must be, a file's or pipe's never.

    What could drive a terminal is escaped.
    """
    from rich.table import Table

    from ringback.callflow.correlate import printable

    out = console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*map(printable, row))
    out.print(table, soft_wrap=False)


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 binding``, ``2 bindings``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def styled(line: Line) -> Text:
    """A line of a ladder in its colours."""
    from rich.text import Text

    text = Text(no_wrap=True)
    for words, style in line:
        text.append(words, STYLES.get(style, ""))
    text.rstrip()
    return text


def complain(problem: object) -> None:
    """One line about what went wrong, on standard error."""
    from ringback.callflow.correlate import printable

    print(f"ringback: {printable(str(problem))}", file=sys.stderr)


def fail(problem: object, code: int = LOCAL_ERROR) -> NoReturn:
    """Complain and end with ``code``."""
    complain(problem)
    raise SystemExit(code)


def ask_password(*, twice: bool = False) -> str:
    """A password typed without being shown. Fails where nobody can be asked."""
    import click

    try:
        answer: str = click.prompt(
            "Password", hide_input=True, confirmation_prompt="Again" if twice else False, err=True
        )
    except click.Abort:
        fail("no password: type one when asked, or set RINGBACK_PASSWORD")
    return answer


def program() -> str:
    """How this program was called, so that a person can call it the same way again."""
    from pathlib import Path

    path = Path(sys.argv[0])
    if path.name != "ringback":
        return "ringback"
    found = shutil.which("ringback")
    if found is not None and Path(found).resolve() == path.resolve():
        return "ringback"
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def print_json(value: object) -> None:
    """One JSON document a line, on standard output."""
    import msgspec

    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine to its end; an interrupt ends with 130."""
    import asyncio

    try:
        return asyncio.run(main)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
