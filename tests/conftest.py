"""What all tests share: the profiles of the property tests, and the check that a mark names a row that exists."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROWS = Path(__file__).parent.parent / "docs" / "rows.csv"

# The same examples each time in `make test`; fresh ones, many more, in `make fuzz`.
settings.register_profile("house", derandomize=True, deadline=None, database=None)
settings.register_profile(
    "fuzz",
    max_examples=int(os.environ.get("EXAMPLES", "2000")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("house")


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of foreign messages beside the project, or where RINGBACK_CORPORA says. In CI it must be there."""
    path = Path(os.environ.get("RINGBACK_CORPORA") or ROWS.parent.parent.parent / "shared" / "corpora")
    if not path.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"no corpora at {path}")
        pytest.skip(f"no corpora at {path}: set RINGBACK_CORPORA")
    return path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    with ROWS.open(newline="", encoding="utf-8") as file:
        known = {line["row"] for line in csv.DictReader(file)}
    for item in items:
        for mark in item.iter_markers("row"):
            unknown = [row for row in mark.args if row not in known]
            if unknown or not mark.args:
                raise pytest.UsageError(f"{item.nodeid}: mark names no row of {ROWS.name}: {unknown or 'none given'}")
