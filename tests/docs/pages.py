"""The documentation as the tests read it: pages, and the fenced blocks in them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^```(?P<words>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Block:
    """A fenced block: its language, the name written after that (a file, or ""), its text, the line it begins on."""

    def __init__(self, words: str, text: str, line: int) -> None:
        self.language, _, self.name = words.strip().partition(" ")
        self.text = text
        self.line = line


def pages() -> list[Path]:
    """Every page that people read."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


def blocks(page: Path, language: str | None = None) -> list[Block]:
    """The fenced blocks of a page, in order; of one language if that is given."""
    text = page.read_text(encoding="utf-8")
    found = [
        Block(match["words"], match["text"], text.count("\n", 0, match.start()) + 2) for match in _FENCE.finditer(text)
    ]
    return [block for block in found if language is None or block.language == language]


def named(page: Path) -> str:
    """A page as tests are named by."""
    return page.relative_to(ROOT).as_posix()
