"""Pytest fixtures; a project takes them by ``pytest_plugins = ["ringback.testing.fixtures"]``."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from ringback.testing.world import World

_outcome: pytest.StashKey[bool] = pytest.StashKey()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether the test itself failed, and show the trace of its world if it did."""
    report = yield
    if call.when == "call" and call.excinfo is not None:
        item.stash[_outcome] = True
        world = getattr(item, "funcargs", {}).get("world")
        if isinstance(world, World) and world.trace:
            report.sections.append(("packets of the simulated world", world.dump()))
    return report


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A simulated world without loss, 10 ms from host to host; when the test has passed it must be quiet.

    Its seed is the test's name. Parametrised indirectly, the parameter is a dict of ``World``'s arguments.
    """
    settings = dict(getattr(request, "param", {}))
    settings.setdefault("seed", request.node.name)
    with World(**settings) as world:
        yield world
        if not request.node.stash.get(_outcome, False):
            world.check_quiet()
