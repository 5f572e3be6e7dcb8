"""Ids are unguessable, never repeated, and not shared with a forked child."""

from __future__ import annotations

import os

import pytest

from ringback.runtime.clock import SystemClock
from ringback.runtime.entropy import SystemIds


@pytest.mark.rfc("3261 8.1.1.7")
def test_branches_begin_with_the_magic_cookie_and_have_64_random_bits() -> None:
    branch = SystemIds().branch()
    assert branch.startswith("z9hG4bK")
    assert len(branch) == 7 + 16


@pytest.mark.rfc("3261 19.3")
def test_ids_do_not_repeat_across_blocks() -> None:
    ids = SystemIds()
    drawn = [draw() for _ in range(3000) for draw in (ids.branch, ids.tag, ids.call_id)]
    assert len(set(drawn)) == len(drawn)
    assert {len(each) for each in drawn} == {23, 16, 24}


def test_numbers_stay_in_their_range_and_reach_both_ends() -> None:
    ids = SystemIds()
    assert {ids.number(3, 5) for _ in range(300)} == {3, 4, 5}


def test_a_forked_child_draws_other_ids() -> None:
    ids = SystemIds()
    ids.tag()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, ids.tag().encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 100).decode() != ids.tag()
    os.close(reader)
    os.close(writer)


def test_the_clock_starts_at_the_machines_time_and_never_goes_back() -> None:
    import time

    clock = SystemClock()
    assert abs(clock.now() - time.time()) < 1
    moments = [clock.now() for _ in range(1000)]
    assert moments == sorted(moments)
