"""A store in a file of its own, and what the tests of stores put into one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ringback.server.stores.sqlite import SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "store.db")


@pytest.fixture
def store(path: str) -> Iterator[SqliteStore]:
    opened = SqliteStore(path)
    yield opened
    opened.close()
