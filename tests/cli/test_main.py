"""The program itself: version, help, what it costs to start."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.cli.conftest import Run


def test_says_its_version(run: Run) -> None:
    done = run("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"ringback [0-9]+\.[0-9]+\.[0-9]+\n", done.stdout)


def test_help_names_every_command(run: Run) -> None:
    shown = run("--help").stdout
    assert run("-h").stdout == shown
    for command in ("serve", "options", "demo", "user", "location"):
        assert command in shown
        assert run(command, "--help").returncode == 0


def test_an_unknown_command_is_wrong_usage(run: Run) -> None:
    assert run("dance").returncode == 2


def test_nothing_heavy_is_imported_before_a_command_runs() -> None:
    code = "import sys, ringback.cli.main; print(*sorted(sys.modules))"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    heavy = (
        "asyncio",
        "sqlite3",
        "rich.live",
        "ringback.server",
        "ringback.ua",
        "ringback.runtime",
        "ringback.protocol.message",
    )
    assert not loaded & set(heavy)
