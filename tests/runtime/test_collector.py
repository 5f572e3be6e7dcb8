"""The collector stays off the path and runs when there is nothing to do."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from ringback.runtime.collector import tune_collector
from ringback.testing.world import World


class Knot:
    """Refers to itself, so that only the collector frees it."""

    def __init__(self) -> None:
        self.itself = self


def knot() -> weakref.ref[Knot]:
    return weakref.ref(Knot())


@pytest.fixture(autouse=True)
def collector_given_back() -> Iterator[None]:
    was = gc.isenabled()
    yield
    gc.unfreeze()
    if was:
        gc.enable()


def test_it_is_off_and_what_was_there_is_frozen_until_stopped() -> None:
    loop = asyncio.new_event_loop()
    tuned = tune_collector(loop, lambda: 0)
    assert not gc.isenabled()
    assert gc.get_freeze_count() > 0
    tuned.stop()
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
    loop.close()


def test_a_server_that_has_become_idle_collects_once() -> None:
    with World() as world:
        messages = 0
        tuned = tune_collector(world.loop, lambda: messages, interval=5)
        idle_from_the_start = knot()
        world.advance(100)
        assert idle_from_the_start() is not None  # nothing came since it was made, so nothing of ours can be left
        messages = 1000
        world.advance(6)
        from_the_busy_time = knot()
        world.advance(38)
        assert from_the_busy_time() is not None  # transactions are still alive
        world.advance(10)
        assert from_the_busy_time() is None
        later = knot()
        world.advance(100)
        assert later() is not None
        messages = 1001
        world.advance(46)
        assert later() is None
        tuned.stop()


def test_a_busy_server_collects_only_the_young_and_seldom() -> None:
    with World() as world:
        tuned = tune_collector(world.loop, lambda: int(world.now * 1000), interval=5)
        left = knot()
        world.advance(50)
        assert left() is not None
        world.advance(20)
        assert left() is None
        tuned.stop()
