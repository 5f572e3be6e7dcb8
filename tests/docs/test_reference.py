"""The reference pages say what the code says now, and the settings shown anywhere are settings."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest

from ringback.server.settings import build, known_keys
from tests.docs.pages import DOCS, ROOT, Block, blocks, named, pages


@pytest.mark.parametrize("tool", ["diagrams.py", "reference.py"])
def test_the_written_pages_are_current(tool: str) -> None:
    command = [sys.executable, str(ROOT / "tools" / tool), "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_key_of_the_settings_is_told() -> None:
    text = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    assert [key for key in known_keys() if f"| `{key}` |" not in text] == []


def _settings() -> list[tuple[str, Block]]:
    return [(named(page), block) for page in pages() for block in blocks(page, "toml")]


@pytest.mark.parametrize(("page", "block"), _settings())
def test_settings_that_are_shown_are_understood(page: str, block: Block) -> None:
    build(tomllib.loads(block.text))


def test_every_machine_is_drawn() -> None:
    pictures = blocks(DOCS / "reference" / "state-machines.md", "mermaid")
    assert len(pictures) == 9
    for picture in pictures:
        assert picture.text.startswith("stateDiagram-v2\n    [*] --> ")
