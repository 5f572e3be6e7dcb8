"""What was acknowledged survives ``kill -9`` at any moment, and what was not is there whole or not at all.

A real process works through turns that follow from the seed, commits each, and only then writes its number to a pipe,
as the server sends its 200s only after the commit. It is killed again and again, at points drawn from the seed: while
it opens the file, writes, commits or checkpoints. Afterwards the store must hold exactly what the last acknowledged
turn left, or the one after it.
"""

from __future__ import annotations

import os
import random
import select
import subprocess
import sys
from pathlib import Path

import pytest

from ringback.protocol.registration.binding import Binding, Change, ChangeKind
from ringback.server.stores.base import StoreBusy
from ringback.server.stores.checkpoint import Checkpointer
from ringback.server.stores.sqlite import SqliteStore

SEED = 20_260_101
ROUNDS = 12
NOW = 1_800_000_000.0
EVER = NOW + 1e9

State = dict[str, dict[str, int]]  # AOR -> contact -> CSeq


def turn(number: int) -> list[tuple[str, str, bool]]:
    """The REGISTERs of a turn: address-of-record, contact, whether it is removed."""
    draw = random.Random(SEED * 1_000_003 + number)
    return [
        (f"sip:user{draw.randrange(30)}@example.test", f"sip:{draw.randrange(4)}@192.0.2.1", draw.random() < 0.25)
        for _ in range(draw.randint(1, 5))
    ]


def after(number: int, state: State) -> State:
    """The state that a turn leaves."""
    left = {aor: dict(contacts) for aor, contacts in state.items()}
    for aor, contact, removed in turn(number):
        contacts = left.setdefault(aor, {})
        if removed:
            contacts.pop(contact, None)
        else:
            contacts[contact] = number
        if not contacts:
            del left[aor]
    return left


def work(path: str, first: int) -> None:
    """The process that is killed."""
    store = SqliteStore(path)
    checkpointer = Checkpointer(path, interval=0.003, limit=50)
    checkpointer.start()
    number = first
    while True:
        try:
            store.begin()
        except StoreBusy:  # the checkpointer makes the WAL start over
            continue
        for aor, contact, removed in turn(number):
            binding = Binding(aor, contact, expires_at=EVER, cseq=number)
            store.bindings(aor, NOW)
            store.apply(aor, [Change(ChangeKind.REMOVE if removed else ChangeKind.ADD, binding)])
        store.commit()
        os.write(1, b"%d\n" % number)
        number += 1


def found_in(path: str) -> State:
    state: State = {}
    with SqliteStore(path) as store:
        for binding in store.all_bindings(NOW):
            state.setdefault(binding.aor, {})[binding.uri] = binding.cseq
        for aor, contacts in state.items():
            assert {it.uri: it.cseq for it in store.bindings(aor, NOW)} == contacts
    return state


def acknowledged(path: str, first: int, draw: random.Random) -> int | None:
    """Run the process from turn ``first`` and kill it. The last turn that it acknowledged, None for none."""
    process = subprocess.Popen([sys.executable, __file__, path, str(first)], stdout=subprocess.PIPE, bufsize=0)
    assert process.stdout is not None
    try:
        pipe = process.stdout.fileno()
        heard = b""
        if draw.random() < 0.25:
            select.select([pipe], [], [], draw.uniform(0.0, 0.4))  # perhaps before it has done anything
        else:
            wanted = draw.randint(1, 400)
            while heard.count(b"\n") < wanted:
                more = os.read(pipe, 4096)
                assert more, "the process ended by itself"
                heard += more
        process.kill()
        while more := os.read(pipe, 65536):
            heard += more
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    whole = heard[: heard.rfind(b"\n") + 1].split()
    assert whole == [b"%d" % number for number in range(first, first + len(whole))]
    return int(whole[-1]) if whole else None


@pytest.mark.row("REG-1", part="location service")
@pytest.mark.row("REG-3")
def test_what_was_acknowledged_survives_kill_9(path: str) -> None:
    draw = random.Random(SEED)
    state: State = {}
    following = 1
    total = 0
    for _ in range(ROUNDS):
        last = acknowledged(path, following, draw)
        for number in range(following, (last or following - 1) + 1):
            state = after(number, state)
            total += 1
        following = following if last is None else last + 1
        if not Path(path).exists():
            assert last is None
            continue
        found = found_in(path)
        # The turn that was under way may have been committed before it could be acknowledged.
        if found != state:
            state = after(following, state)
            following += 1
        assert found == state
    assert total > 300


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]))
