"""Fixtures: the programs of a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.process import Children
from tests.interop.ringback_server import RingbackServer


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
