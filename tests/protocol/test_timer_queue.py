from __future__ import annotations

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.protocol.timer_queue import MAX_QUEUES, TimerQueue


def test_gives_nothing_before_the_deadline_and_the_item_at_it() -> None:
    timers = TimerQueue()
    timers.start(0.5, ("a",), 10.0)
    assert timers.next_deadline() == 10.5
    assert timers.expired(10.4) == []
    assert timers.expired(10.5) == [("a",)]
    assert timers.next_deadline() is None
    assert len(timers) == 0


def test_orders_timers_of_different_durations_by_deadline() -> None:
    timers = TimerQueue()
    timers.start(4.0, ("late",), 0.0)
    timers.start_at(2.0, ("computed",))
    timers.start(0.5, ("first",), 0.0)
    timers.start(0.5, ("third",), 2.5)
    assert timers.next_deadline() == 0.5
    assert timers.expired(9.0) == [("first",), ("computed",), ("third",), ("late",)]


def test_computed_deadlines_may_come_in_any_order_and_be_equal() -> None:
    timers = TimerQueue()
    for deadline, name in ((3.0, "c"), (1.0, "a"), (3.0, "d"), (2.0, "b")):
        timers.start_at(deadline, (name, object()))
    assert timers.next_deadline() == 1.0
    assert [item[0] for item in timers.expired(3.0)] == ["a", "b", "c", "d"]


def test_the_next_deadline_is_the_computed_one_when_that_is_earlier() -> None:
    timers = TimerQueue()
    timers.start(5.0, ("fixed",), 0.0)
    timers.start_at(1.0, ("computed",))
    assert timers.next_deadline() == 1.0


def test_more_durations_than_queues_stay_right() -> None:
    timers = TimerQueue()
    for number in range(2 * MAX_QUEUES, 0, -1):
        timers.start(float(number), (number,), 0.0)
    assert len(timers) == 2 * MAX_QUEUES
    assert timers.expired(1e9) == [(number,) for number in range(1, 2 * MAX_QUEUES + 1)]


@pytest.mark.threat("T7")
@given(
    st.lists(
        st.tuples(st.sampled_from(["start", "start_at", "expire"]), st.integers(0, 8), st.integers(0, 4)), max_size=60
    )
)
def test_gives_each_item_once_in_order_of_deadline(steps: list[tuple[str, int, int]]) -> None:
    timers = TimerQueue()
    model: list[tuple[float, int]] = []
    now = 0.0
    for number, (verb, amount, elapsed) in enumerate(steps):
        now += elapsed
        if verb == "start":
            timers.start(amount, (number,), now)
            heapq.heappush(model, (now + amount, number))
        elif verb == "start_at":
            timers.start_at(now + amount, (number,))
            heapq.heappush(model, (now + amount, number))
        else:
            due = [heapq.heappop(model) for _ in range(len(model)) if model[0][0] <= now]
            given_back = timers.expired(now)
            deadlines = {number: deadline for deadline, number in due}
            assert sorted(item[0] for item in given_back) == sorted(deadlines)
            assert [deadlines[item[0]] for item in given_back] == sorted(deadlines.values())
        assert timers.next_deadline() == (model[0][0] if model else None)
        assert len(timers) == len(model)


def test_cleared_timers_do_not_expire() -> None:
    timers = TimerQueue()
    timers.start(0.5, ("fixed",), 0.0)
    timers.start_at(0.7, ("computed",))
    timers.clear()
    assert (len(timers), timers.next_deadline(), timers.expired(9.0)) == (0, None, [])
