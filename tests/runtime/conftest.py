"""The simulated world for these tests."""

from ringback.testing.fixtures import pytest_runtest_makereport, world

__all__ = ["pytest_runtest_makereport", "world"]
