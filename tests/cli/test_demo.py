"""``ringback demo``: the call that it promises, and nothing left behind."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from ringback.cli.demo_call import Demo
from tests.cli.conftest import RINGBACK, Run


@pytest.mark.row("FRK-1", "CAN-4", "REG-1", part="the demo")
def test_the_demo_forks_a_call_draws_it_and_leaves_nothing_behind(run: Run, tmp_path: Path) -> None:
    start = time.monotonic()
    done = run("demo", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - start < 20
    assert done.stderr == ""
    drawn = done.stdout
    assert drawn.count("REGISTER") == 6  # each once without and once with credentials
    for label in ("INVITE (SDP)", "180 Ringing", "200 OK (SDP)", "CANCEL", "487 Request Terminated", "ACK", "BYE"):
        assert label in drawn
    assert len(re.findall(r"^yes ", drawn, re.MULTILINE)) == 5
    assert f"{RINGBACK} user add 1001@" in drawn  # as this one was called
    assert not list(tmp_path.iterdir())


def test_the_demo_can_be_drawn_in_ascii(run: Run) -> None:
    done = run("demo", "--ascii")
    assert done.returncode == 0
    assert done.stdout.isascii()


def test_a_demo_that_goes_wrong_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import asyncio

    async def nothing(*_: object) -> None:
        return

    monkeypatch.setattr(Demo, "_call", nothing)
    demo = Demo(False)
    demo.facts["the call was answered"] = False
    assert asyncio.run(demo.run()) == 1
    assert "NO" in capsys.readouterr().out
