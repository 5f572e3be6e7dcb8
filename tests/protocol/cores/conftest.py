"""The bench of the user agent's cores."""

from __future__ import annotations

import pytest

from tests.protocol.cores.bench import Bench


@pytest.fixture
def bench() -> Bench:
    """A bench with nobody on it."""
    return Bench()
