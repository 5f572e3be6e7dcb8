"""The how-to pages do what they say: every block of code on them runs."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import DOCS, blocks

PATIENCE = 120  # seconds for a pytest of its own


def test_the_driver_of_the_core_runs_as_the_page_shows_it() -> None:
    page = DOCS / "howto" / "drive-the-core.md"
    names: dict[str, object] = {}
    parser = doctest.DocTestParser()
    runner = doctest.DocTestRunner(verbose=False)
    sessions = 0
    for block in blocks(page):
        if block.language == "python":
            exec(compile("\n" * (block.line - 1) + block.text, page.name, "exec"), names)
        elif block.language == "pycon":
            session = parser.get_doctest(block.text, names, page.name, str(page), block.line - 1)
            results = runner.run(session, out=sys.stderr.write, clear_globs=False)
            assert not results.failed, f"{page.name}, line {block.line}"
            names.update(session.globs)
            sessions += results.attempted
    assert sessions >= 10


def test_the_driver_on_the_page_needs_no_event_loop_and_no_socket() -> None:
    page = DOCS / "howto" / "drive-the-core.md"
    code = "".join(block.text for block in blocks(page, "python"))
    assert "asyncio" not in code
    assert "socket" not in code


def test_the_test_files_on_the_page_pass(tmp_path: Path) -> None:
    files = blocks(DOCS / "howto" / "test-your-sip-code.md", "python")
    assert [block.name for block in files][:2] == ["conftest.py", "test_call.py"]
    for block in files:
        (tmp_path / block.name).write_text(block.text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{sum(block.text.count('def test_') for block in files)} passed" in done.stdout
