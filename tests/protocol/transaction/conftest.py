"""The bench of the transaction tests."""

from __future__ import annotations

import pytest

from tests.protocol.transaction.rig import Rig


@pytest.fixture
def rig() -> Rig:
    """A layer over UDP."""
    return Rig()
