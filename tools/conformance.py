"""Writes docs/conformance.md: each row of the behaviour that was asked for, with the tests that prove it.

The rows are in docs/rows.csv; the tests name them with ``@pytest.mark.row("CAN-6")``, and with ``part=`` where a
test proves only a part. The tests are collected, not run: what the page lists is what `make test` runs.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parent.parent
ROWS = HOUSE / "docs" / "rows.csv"
PAGE = HOUSE / "docs" / "conformance.md"

AREAS = {
    "DLG": "Dialogs and authentication",
    "INV": "INVITE",
    "ACK": "ACK",
    "BYE": "BYE",
    "CAN": "CANCEL",
    "PX": "The proxy, forking, the redirect server",
    "OPT": "OPTIONS",
    "REG": "REGISTER",
    "PRK": "PRACK",
    "SUB": "SUBSCRIBE and NOTIFY",
    "INF": "INFO",
    "UPD": "UPDATE",
    "REF": "REFER",
    "PUB": "PUBLISH",
    "MSG": "MESSAGE",
    "TRN": "What holds under all of them",
}
SAME_AREA = {"AUT": "DLG", "SDP": "INV", "SES": "INV", "FRK": "PX", "RD": "PX", "NOT": "SUB", "EVT": "SUB"}


@dataclass
class Proof:
    """The tests of one row: those that prove it whole, and those that prove a named part of it."""

    whole: set[str] = field(default_factory=set)
    parts: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @property
    def state(self) -> str:
        if self.whole:
            return "proved"
        return "in part: " + ", ".join(sorted(self.parts)) if self.parts else "not yet"


class Marks:
    """A pytest plugin that keeps the marks of what was collected."""

    def __init__(self) -> None:
        self.proofs: dict[str, Proof] = defaultdict(Proof)
        self.clauses: dict[str, set[str]] = defaultdict(set)
        self.threats: dict[str, set[str]] = defaultdict(set)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            test = item.nodeid.partition("[")[0]
            for mark in item.iter_markers("row"):
                part = mark.kwargs.get("part")
                for row in mark.args:
                    proof = self.proofs[row]
                    (proof.parts[part] if part else proof.whole).add(test)
            for mark in item.iter_markers("rfc"):
                for clause in mark.args:
                    self.clauses[str(clause)].add(test)
            for mark in item.iter_markers("threat"):
                for threat in mark.args:
                    self.threats[str(threat)].add(test)


def collect() -> Marks:
    """Collects all tests; exits with pytest's own words where that fails."""
    marks = Marks()
    options = ["--collect-only", "-p", "no:cacheprovider", "-p", "no:terminal"]
    # The house's own options are for the terminal plugin, which is off here.
    ours = ["-o", "addopts=--strict-markers --import-mode=importlib", f"--rootdir={HOUSE}"]
    verdict = pytest.main([str(HOUSE / "tests"), *options, *ours], plugins=[marks])
    if verdict not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        sys.exit(
            f"the tests could not be collected (pytest: {pytest.ExitCode(verdict).name}); see `pytest --collect-only`"
        )
    return marks


def links(tests: set[str]) -> str:
    """The tests of one cell: one link a file, named by its first test, the others counted."""
    by_file: dict[str, list[str]] = defaultdict(list)
    for test in sorted(tests):
        path, _, name = test.partition("::")
        by_file[path].append(name)
    cells = []
    for path, names in by_file.items():
        first = names[0].replace("_", " ").removeprefix("test ").replace("::test ", ": ")
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        cells.append(f"[{first}](../{path}){more}")
    return "; ".join(cells)


def page(marks: Marks) -> str:
    with ROWS.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    proved = sum(marks.proofs[row["row"]].state == "proved" for row in rows)
    partly = sum(marks.proofs[row["row"]].state.startswith("in part") for row in rows)
    out = [
        "# Conformance",
        "",
        "Which behaviour is proved by which test: written by `make docs` from the marks on the tests, not by hand.",
        "",
        f"Of {len(rows)} rows {proved} are proved, {partly} in part, {len(rows) - proved - partly} not yet.",
    ]
    area = None
    for row in rows:
        prefix = row["row"].partition("-")[0]
        prefix = SAME_AREA.get(prefix, prefix)
        if prefix != area:
            area = prefix
            out += [
                "",
                f"## {AREAS[prefix]}",
                "",
                "| row | roles | behaviour | state | tests |",
                "|---|---|---|---|---|",
            ]
        proof = marks.proofs[row["row"]]
        tests = proof.whole.union(*proof.parts.values())
        out.append(f"| {row['row']} | {row['roles']} | {row['title']} | {proof.state} | {links(tests)} |")
    out += [
        "",
        "## Where the source notes and the RFCs differ",
        "",
        "| row | how the two were reconciled |",
        "|---|---|",
    ]
    out += [f"| {row['row']} | {row['reconciled']} |" for row in rows if row["reconciled"]]
    if marks.threats:
        out += ["", "## Threats", "", "| class | tests |", "|---|---|"]
        out += [f"| {name} | {links(tests)} |" for name, tests in sorted(marks.threats.items(), key=_natural)]
    if marks.clauses:
        out += ["", "## Clauses", "", "| clause | tests |", "|---|---|"]
        out += [f"| RFC {name} | {links(tests)} |" for name, tests in sorted(marks.clauses.items(), key=_natural)]
    return "\n".join(out) + "\n"


def _natural(entry: tuple[str, set[str]]) -> list[tuple[int, int, str]]:
    words = "".join(letter if letter.isalnum() else " " for letter in entry[0]).split()
    return [(0, int(word), "") if word.isascii() and word.isdigit() else (1, 0, word) for word in words]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument(
        "--check", action="store_true", help="fail when the page is not what the marks say; write nothing"
    )
    check = arguments.parse_args().check
    text = page(collect())
    if check:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            sys.exit(f"{PAGE.relative_to(HOUSE)} is out of date: make docs")
        return
    PAGE.write_text(text, encoding="utf-8")
    print(text.splitlines()[4])


if __name__ == "__main__":
    main()
