"""Fixtures: the programs of a test, and where the corpora are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.process import Children
from tests.interop.ringback_server import RingbackServer

HOUSE = Path(__file__).resolve().parent.parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = str(Path(__file__).parent)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.interop)


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    """Starts programs, ends them with the test, and shows what they said when it fails."""
    family = Children(tmp_path)
    yield family
    family.close()
    print(family)


@pytest.fixture
def serve(children: Children) -> Callable[..., RingbackServer]:
    """Starts `ringback serve`; see ``RingbackServer`` for what it can be told."""

    def start(**settings: Any) -> RingbackServer:
        return RingbackServer(children, **settings)

    return start


@pytest.fixture(scope="session")
def corpora() -> Path:
    """Material that others wrote, beside the project or at RINGBACK_CORPORA; without it: skipped, in CI failed."""
    folder = Path(os.environ.get("RINGBACK_CORPORA") or HOUSE.parent / "shared" / "corpora")
    if not folder.is_dir():
        words = f"no corpora at {folder} (RINGBACK_CORPORA names another place)"
        if os.environ.get("CI") == "true":
            pytest.fail(words)
        pytest.skip(words)
    return folder
