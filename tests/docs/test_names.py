"""What the documentation points at is there: files, anchors, names in the code, commands and their options."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import typer

from ringback.cli.main import app
from tests.docs.pages import DOCS, ROOT, blocks, named, pages

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_NAMED_IN = re.compile(r"`(?P<name>[\w.]+)` in\s+\[(?P<shown>[^\]]+)\]\((?P<path>[^)]+)\)")
_TEST_FILE = re.compile(r"`((?:tests|tools|examples|src)/[\w/.-]+)`")


@pytest.mark.parametrize("page", pages(), ids=named)
def test_every_link_leads_to_a_file(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in _LINK.findall(text):
        if not target.startswith(("http:", "https:", "#")):
            assert (page.parent / target.partition("#")[0]).exists(), target
    for target in _TEST_FILE.findall(text):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("page", sorted((DOCS / "explanation").glob("*.md")), ids=named)
def test_every_name_is_in_the_file_that_the_page_says(page: Path) -> None:
    for match in _NAMED_IN.finditer(page.read_text(encoding="utf-8")):
        path = (page.parent / match["path"]).resolve()
        assert path.as_posix().endswith(match["shown"])
        assert _defines(ast.parse(path.read_text(encoding="utf-8")), match["name"].split(".")), match[0]


def test_the_walk_through_the_code_names_each_station() -> None:
    text = (DOCS / "explanation" / "one-message.md").read_text(encoding="utf-8")
    assert len(_NAMED_IN.findall(text)) >= 30


def _defines(scope: ast.AST, words: list[str]) -> bool:
    """Whether a module or class defines the dotted name."""
    for node in ast.iter_child_nodes(scope):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name == words[0]:
                return len(words) == 1 or _defines(node, words[1:])
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if len(words) == 1 and any(isinstance(target, ast.Name) and target.id == words[0] for target in targets):
                return True
    return False


def _command_lines() -> list[tuple[str, str]]:
    """Every line of a shell block that calls ``ringback``, with its page."""
    found = []
    for page in pages():
        for block in blocks(page):
            if block.language in ("", "sh"):
                for line in block.text.splitlines():
                    _, mark, rest = line.partition("ringback ")
                    if mark and re.match(r"[\w$./= ]*$", line.partition("ringback ")[0]):
                        found.append((named(page), rest.partition("#")[0].partition(" >")[0].strip()))
    return [(page, line) for page, line in found if page != "docs/reference/cli.md" and not line.startswith("&&")]


@pytest.mark.parametrize(("page", "line"), _command_lines())
def test_every_command_that_is_shown_has_these_options(page: str, line: str) -> None:
    command = typer.main.get_command(app)
    words = line.split()
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, f"{page}: ringback {line}"
        command = command.commands[words.pop(0)]
    known = {option for param in command.params for option in param.opts}
    for word in words:
        if word.startswith("--"):
            assert word.partition("=")[0] in known, f"{page}: {word}"
        elif re.fullmatch("-[a-z]+", word):
            assert f"-{word[1]}" in known, f"{page}: {word}"
