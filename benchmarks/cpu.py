"""What the processes of a server have used so far, read from /proc."""

from __future__ import annotations

from pathlib import Path

_PROC = Path("/proc")


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            # The name in brackets may hold anything; the parent is the second word after it.
            parent = int(stat.rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += children.get(one, [])
    return found


def used(pid: int) -> float:
    """CPU seconds of a process and all that it started, user and system together, to the nanosecond."""
    total = 0
    for one in family(pid):
        try:
            for task in (_PROC / str(one) / "task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        except OSError:
            continue
    return total / 1e9


def memory(pid: int) -> int:
    """Kilobytes in memory, shared pages counted once over their sharers (PSS); 0 where it may not be read."""
    total = 0
    for one in family(pid):
        try:
            lines = (_PROC / str(one) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total
