"""The figures of a run: kept as one line of history, shown as a table."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from pathlib import Path

from benchmarks.load import Sample
from benchmarks.measures import MEASURES

DOCS = Path(__file__).parent.parent / "docs"
HISTORY = DOCS / "performance.json"
PAGE = DOCS / "performance.md"
OURS, THEIRS = "ringback", "kamailio"

INTRODUCTION = """\
What one unit of work costs the server in CPU microseconds, user and system together, beside Kamailio in the same run
on the same machine: `make bench`. Written by it, not by hand.

Both servers run at the same time, pinned to one core, and are loaded in turn by SIPp on another core, over UDP on
loopback, at the same rate: the CPU of a unit falls with the rate, so figures at different rates do not compare.
Ringback is one process of CPython with its bindings in SQLite, committed before each 200; Kamailio has one UDP worker
and its bindings in memory. Each figure is the median of its runs, with the least and the most. A call is INVITE, 180,
200, ACK, BYE, 200: looked up, record-routed and stateful."""

Figure = dict[str, float | int | list[float]]


def figure(samples: list[Sample], to_the_end: float | None) -> Figure:
    """What is kept of the runs of one measure: microseconds a unit, each run and their median."""
    runs = [round(sample.microseconds, 1) for sample in samples]
    kept: Figure = {
        "us": round(statistics.median(runs), 1),
        "runs": runs,
        "done": sum(sample.done for sample in samples),
        "failed": sum(sample.failed for sample in samples),
        "retransmitted": sum(sample.retransmitted for sample in samples),
    }
    if to_the_end is not None:
        kept["us_to_the_end"] = round(to_the_end, 1)
    return kept


def record(figures: dict[str, dict[str, Figure]], versions: dict[str, str]) -> dict[str, object]:
    """One entry of the history: when, what, on which machine, and the figures by measure and server."""
    return {
        "when": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "versions": versions,
        "machine": f"{os.cpu_count()} cores, {_processor()}, {platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "figures": figures,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


def ratio(by_peer: dict[str, Figure], key: str = "us") -> float | None:
    """Our figure over Kamailio's; None where one is missing."""
    try:
        ours, theirs = by_peer[OURS][key], by_peer[THEIRS][key]
    except KeyError:
        return None
    return float(ours) / float(theirs) if isinstance(ours, float | int) and isinstance(theirs, float | int) else None


def history() -> list[dict[str, object]]:
    """All entries, oldest first."""
    return json.loads(HISTORY.read_text(encoding="utf-8")) if HISTORY.exists() else []


def save(entry: dict[str, object]) -> None:
    """Adds an entry to the history and writes the page anew."""
    entries = [*history(), entry]
    lines = ",\n".join(json.dumps(one) for one in entries)
    HISTORY.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    PAGE.write_text(page(entries), encoding="utf-8")


def table(figures: dict[str, dict[str, Figure]]) -> list[str]:
    """The figures of one run as lines of Markdown."""
    lines = [
        "| one unit | rate /s | Ringback µs | Kamailio µs | ratio |",
        "|---|---:|---:|---:|---:|",
    ]
    for measure in MEASURES:
        by_peer = figures.get(measure.name)
        if by_peer is None:
            continue
        for key, words in (("us", measure.unit), ("us_to_the_end", f"{measure.unit}, its last timers included")):
            if not any(key in one for one in by_peer.values()):
                continue
            cells = [_cell(by_peer.get(name), key) for name in (OURS, THEIRS)]
            share = ratio(by_peer, key)
            lines.append(
                f"| {words} | {measure.rate} | {cells[0]} | {cells[1]} | {'' if share is None else f'{share:.2f}'} |"
            )
    return lines


def _cell(one: Figure | None, key: str) -> str:
    if one is None or key not in one:
        return ""
    runs = one["runs"]
    spread = f" ({min(runs):.0f} to {max(runs):.0f})" if key == "us" and isinstance(runs, list) else ""
    bad = f", {one['failed']} failed" if one["failed"] else ""
    return f"{one[key]:.0f}{spread}{bad}"


def page(entries: list[dict[str, object]]) -> str:
    """docs/performance.md: how it is measured, the last run, and the way there."""
    last = entries[-1]
    lines = [
        "# Performance",
        "",
        *INTRODUCTION.splitlines(),
        "",
        f"Last run: {last['when']} UTC, {_versions(last)}, Python {last['python']}, {last['machine']}.",
        "",
        *table(last["figures"]),  # type: ignore[arg-type]
        "",
        "The mark of the first release is a call within twice Kamailio's.",
        "",
        "## Runs so far",
        "",
        "Ringback's µs a unit, and the ratio to Kamailio in the same run.",
        "",
        "| when | commit | " + " | ".join(measure.name for measure in MEASURES) + " |",
        "|---|---|" + "---:|" * len(MEASURES),
    ]
    for entry in reversed(entries):
        figures: dict[str, dict[str, Figure]] = entry["figures"]  # type: ignore[assignment]
        cells = []
        for measure in MEASURES:
            by_peer = figures.get(measure.name, {})
            share = ratio(by_peer)
            ours = by_peer.get(OURS)
            cells.append("" if ours is None else f"{ours['us']:.0f}" + ("" if share is None else f" ({share:.2f})"))
        versions: dict[str, str] = entry["versions"]  # type: ignore[assignment]
        lines.append(f"| {entry['when']} | {versions.get(OURS, '')} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _versions(entry: dict[str, object]) -> str:
    versions: dict[str, str] = entry["versions"]  # type: ignore[assignment]
    return ", ".join(f"{name} {version}" for name, version in versions.items())
