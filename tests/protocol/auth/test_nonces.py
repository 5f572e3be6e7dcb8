"""Nonces: proof of making, age, and the window of counts."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.protocol.auth.nonces import WINDOW, Nonces

NOW = 1_800_000_000.25
SECRET = b"0123456789abcdef"


def nonces(capacity: int = 100, lifetime: float = 300.0, not_before: float = 0.0, realm: str = "r") -> Nonces:
    return Nonces(SECRET, realm, lifetime=lifetime, capacity=capacity, not_before=not_before)


def takes(table: Nonces, nonce: str, count: int, now: float = NOW) -> bool:
    if table.passes(nonce, count, now):
        table.use(nonce, count, now)
        return True
    return False


def test_no_two_nonces_are_alike_even_within_a_turn() -> None:
    table = nonces()
    assert len({table.make(NOW) for _ in range(1000)}) == 1000


@pytest.mark.threat("T7")
def test_a_challenge_costs_no_memory() -> None:
    table = nonces()
    for _ in range(1000):
        table.make(NOW)
    assert len(table) == 0


@pytest.mark.row("REG-10")
@pytest.mark.threat("T5")
def test_a_count_passes_once() -> None:
    table = nonces()
    nonce = table.make(NOW)
    assert takes(table, nonce, 1)
    assert not takes(table, nonce, 1)
    assert takes(table, nonce, 2)
    assert not takes(table, nonce, 1)


@pytest.mark.row("REG-10")
def test_any_greater_count_passes() -> None:
    table = nonces()
    nonce = table.make(NOW)
    assert [takes(table, nonce, count) for count in (5, 6, 70_000, 0xFFFFFFFF)] == [True] * 4


@pytest.mark.threat("T5")
def test_a_late_count_passes_within_the_window_only() -> None:
    table = nonces()
    nonce = table.make(NOW)
    assert takes(table, nonce, 1000)
    assert takes(table, nonce, 1000 - WINDOW + 1)
    assert not takes(table, nonce, 1000 - WINDOW)
    assert not takes(table, nonce, 1000 - WINDOW + 1)


@pytest.mark.threat("T5")
@pytest.mark.parametrize(
    "forge",
    [
        lambda made: made[:-1] + ("0" if made[-1] != "0" else "1"),
        lambda made: "0" + made[1:],
        lambda made: made + "0",
        lambda made: made[:-1],
        lambda made: "",
        lambda made: "٣" * len(made),
        lambda made: made.upper() + " ",
    ],
)
def test_a_nonce_that_is_not_ours_never_passes(forge: object) -> None:
    table = nonces()
    assert callable(forge)
    assert not table.passes(forge(table.make(NOW)), 1, NOW)


def test_a_nonce_of_another_realm_or_secret_never_passes() -> None:
    assert not nonces(realm="other").passes(nonces().make(NOW), 1, NOW)
    stranger = Nonces(b"fedcba9876543210", "r", lifetime=300, capacity=1)
    assert not nonces().passes(stranger.make(NOW), 1, NOW)


@pytest.mark.row("REG-10")
def test_a_nonce_ends_with_its_lifetime_used_or_not() -> None:
    table = nonces(lifetime=10.0)
    used, unused = table.make(NOW), table.make(NOW)
    assert takes(table, used, 1)
    assert takes(table, used, 2, NOW + 9.9)
    assert not takes(table, used, 3, NOW + 10.1)
    assert not takes(table, unused, 1, NOW + 10.1)


@pytest.mark.threat("T7")
def test_the_table_is_bounded_and_what_falls_out_of_it_does_not_come_back() -> None:
    table = nonces(capacity=10)
    made = [table.make(NOW + at) for at in range(30)]
    assert all(takes(table, nonce, 1, NOW + 30) for nonce in made)
    assert len(table) == 10
    assert not any(table.passes(nonce, count, NOW + 30) for nonce in made[:20] for count in (1, 2))
    assert all(table.passes(nonce, 2, NOW + 30) for nonce in made[20:])


def test_old_nonces_make_room_without_raising_the_floor() -> None:
    table = nonces(capacity=2, lifetime=10.0)
    old = table.make(NOW)
    assert takes(table, old, 1)
    waiting = table.make(NOW + 5)
    fresh = table.make(NOW + 11)
    assert takes(table, fresh, 1, NOW + 11)
    assert len(table) == 1
    assert takes(table, waiting, 1, NOW + 11)


def test_a_nonce_from_before_our_start_does_not_pass() -> None:
    made = nonces().make(NOW)
    assert not nonces(not_before=NOW + 1).passes(made, 1, NOW + 2)
    assert nonces(not_before=NOW - 1).passes(made, 1, NOW + 2)


def test_a_nonce_of_our_first_millisecond_passes() -> None:
    start = NOW + 0.0004
    table = nonces(not_before=start)
    assert table.passes(table.make(start), 1, start)


@given(st.integers(0, 2**32), st.lists(st.integers(1, 300), max_size=200))
def test_no_count_is_ever_taken_twice(seed: int, counts: list[int]) -> None:
    table = nonces()
    nonce = table.make(NOW)
    random.Random(seed).shuffle(counts)
    taken = [count for count in counts if takes(table, nonce, count)]
    assert len(taken) == len(set(taken))
    highest = 0
    for count in taken:
        assert count > highest - WINDOW
        highest = max(highest, count)
