"""Write docs/reference/state-machines.md from the tables that the machines run on.

    python tools/diagrams.py [--check]

Each machine is drawn (Mermaid) and listed with the clause of every row. The transaction tables hold their clauses as
values; the other tables hold them as comments, which are read from the source. With ``--check`` nothing is written and
the exit code is 1 when the page is not what would be written.
"""

from __future__ import annotations

import ast
import importlib
import io
import sys
import tokenize
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "state-machines.md"
PASSIVE = ("stale", "never")  # rows in which nothing can happen; machine.py says what they mean

HEAD = """\
# State machines

Written by `make docs` from the tables in the code. Do not edit.

A picture shows the moves from state to state. The list below it has every row, those that stay in the same state
included: state, input, what is done, next state, clause. A clause without an RFC number is of RFC 3261. The head of
each file holds the rules of the machine in words.
"""


class Machine(NamedTuple):
    """A table to be shown: where it is, what it is called there, in which state it begins."""

    title: str
    module: str
    table: str
    initial: str
    about: str


class Row(NamedTuple):
    """One row, all words."""

    state: str
    event: str
    action: str
    following: str
    clause: str


PROTOCOL = "ringback.protocol."
MACHINES = (
    Machine(
        "INVITE client transaction",
        "transaction.invite_client",
        "TABLE",
        "Calling",
        "An INVITE that we sent (RFC 3261 §17.1.1, RFC 6026).",
    ),
    Machine(
        "Non-INVITE client transaction",
        "transaction.non_invite_client",
        "TABLE",
        "Trying",
        "Any other request that we sent (RFC 3261 §17.1.2).",
    ),
    Machine(
        "INVITE server transaction",
        "transaction.invite_server",
        "TABLE",
        "Proceeding",
        "An INVITE that we received (RFC 3261 §17.2.1, RFC 6026).",
    ),
    Machine(
        "Non-INVITE server transaction",
        "transaction.non_invite_server",
        "TABLE",
        "Trying",
        "Any other request that we received (RFC 3261 §17.2.2, RFC 4320).",
    ),
    Machine(
        "Branch of a forking proxy",
        "cores.proxy.branch",
        "BRANCH_TABLE",
        "Locating",
        "One request on its way to one target, as the response context sees it (RFC 3261 §16).",
    ),
    Machine(
        "Call that we make",
        "cores.caller",
        "CALLER",
        "Calling",
        "From the INVITE until it is answered. What follows is the session, below.",
    ),
    Machine(
        "Call that we get",
        "cores.callee",
        "CALLEE",
        "Trying",
        "From the INVITE until our 2xx is acknowledged. What follows is the session, below.",
    ),
    Machine("Session", "cores.session", "SESSION", "Confirmed", "An answered call, the same for caller and callee."),
    Machine(
        "Registrant",
        "registration.registrant",
        "REGISTRANT",
        "Unregistered",
        "The client side of one registration (RFC 3261 §10.2).",
    ),
)


def source_of(machine: Machine) -> Path:
    """The file that holds the table."""
    return ROOT / "src" / Path(*(PROTOCOL + machine.module).split(".")).with_suffix(".py")


def rows_of(machine: Machine) -> list[Row]:
    """Every row of the table, in the order of the file; rows taken over from another table are left to that one."""
    module = importlib.import_module(PROTOCOL + machine.module)
    table: dict[Any, dict[Any, tuple[Any, ...]]] = getattr(module, machine.table)
    comments = _comments(source_of(machine), machine.table)
    rows = []
    for state, inputs in table.items():
        for event, values in inputs.items():
            action, following, *clause = values
            said = clause[0] if clause else comments.get((state.name, event.name))
            if said is not None:
                rows.append(Row(str(state), str(event), _action(action), str(following), said))
    return rows


def _action(action: Callable[..., None] | Enum | None) -> str:
    """What is done, in words: the value of an action word, or the name of the function."""
    if action is None:
        return ""
    words = action.value if isinstance(action, Enum) else action.__name__
    return str(words).strip("_").replace("_", " ")


def _comments(path: Path, name: str) -> dict[tuple[str, str], str]:
    """The comment on each row of a table written out in ``path``, by names of state and input; "" without one."""
    text = path.read_text(encoding="utf-8")
    spoken = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    }
    found: dict[tuple[str, str], str] = {}
    for node in ast.parse(text).body:
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name):
            continue
        assert isinstance(node.value, ast.Dict)
        for state, inputs in zip(node.value.keys, node.value.values, strict=True):
            if not (isinstance(state, ast.Attribute) and isinstance(inputs, ast.Dict)):
                continue  # ** takes over another table
            for event, row in zip(inputs.keys, inputs.values, strict=True):
                assert isinstance(event, ast.Attribute)
                last = row.end_lineno or row.lineno
                lines = [spoken[line] for line in range(event.lineno, last + 1) if line in spoken]
                found[state.attr, event.attr] = " ".join(lines)
    return found


def draw(machine: Machine, rows: list[Row]) -> list[str]:
    """The machine as a Mermaid state diagram: one arrow from state to state, with the inputs that take it."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.following != row.state:
            arrows.setdefault((row.state, row.following), []).append(row.event)
    ends = {following for _, following in arrows} - {state for state, _ in arrows}
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {machine.initial}"]
    lines += [f"    {state} --> {following}: {', '.join(events)}" for (state, following), events in arrows.items()]
    lines += [f"    {state} --> [*]" for state in sorted(ends)]
    return [*lines, "```"]


def section(machine: Machine) -> list[str]:
    """The part of the page about one machine."""
    rows = rows_of(machine)
    shown = [row for row in rows if row.action not in PASSIVE]
    path = source_of(machine).relative_to(ROOT)
    lines = [f"## {machine.title}", "", f"{machine.about} Table `{machine.table}` in [{path}](../../{path}).", ""]
    lines += [*draw(machine, shown), "", "| state | input | action | next state | clause |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in shown]
    hidden = len(rows) - len(shown)
    if hidden:
        lines += ["", f"Left out: {hidden} rows for timers of a state that was left, and pairs that cannot come about."]
    return [*lines, ""]


def page() -> str:
    """The whole page."""
    lines = [HEAD]
    for machine in MACHINES:
        lines += section(machine)
    return "\n".join(lines)


def write_or_check(pages: dict[Path, str], check: bool) -> int:
    """Write the pages; or with ``check`` only name those that are out of date. The exit code."""
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if check:
            print(f"{path.relative_to(ROOT)} is out of date: make docs", file=sys.stderr)
        else:
            path.write_text(pages[path], encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(write_or_check({PAGE: page()}, "--check" in sys.argv[1:]))
