"""The thread that carries the WAL over to the database file."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from ringback.protocol.errors import StoreError
from ringback.protocol.registration.binding import Binding, Change, ChangeKind
from ringback.server.stores.checkpoint import Checkpointer
from ringback.server.stores.sqlite import SqliteStore


def fill(store: SqliteStore, count: int = 200) -> None:
    for number in range(count):
        aor = f"sip:{number}@example.test"
        store.apply(aor, [Change(ChangeKind.ADD, Binding(aor, "sip:b@h", expires_at=10.0))])
        store.commit()


def test_commits_leave_the_database_file_alone(path: str, store: SqliteStore) -> None:
    before = Path(path).read_bytes()
    fill(store)
    assert Path(path).read_bytes() == before


def test_a_checkpoint_carries_everything_over(path: str, store: SqliteStore) -> None:
    fill(store)
    assert Checkpointer(path).run_once() == 0
    assert b"sip:199@example.test" in Path(path).read_bytes()


def test_a_turn_that_reads_holds_back_only_what_came_after_it(path: str, store: SqliteStore) -> None:
    fill(store, 1)
    store.bindings("sip:0@example.test", 0.0)
    with SqliteStore(path) as other:
        fill(other, 50)
        assert Checkpointer(path).run_once() > 0
        store.commit()
        assert Checkpointer(path).run_once() == 0


def test_a_wal_that_has_outgrown_its_limit_starts_over(path: str, store: SqliteStore) -> None:
    fill(store)
    wal = Path(f"{path}-wal")
    size = wal.stat().st_size
    assert Checkpointer(path, limit=10).run_once() == 0
    fill(store, 10)
    assert wal.stat().st_size == size


def test_the_thread_works_until_it_is_stopped_and_once_more_then(path: str, store: SqliteStore) -> None:
    checkpointer = Checkpointer(path, interval=3600.0)
    checkpointer.start()
    with pytest.raises(StoreError, match="already"):
        checkpointer.start()
    fill(store)
    assert b"sip:199@example.test" not in Path(path).read_bytes()
    checkpointer.stop()
    checkpointer.stop()
    assert b"sip:199@example.test" in Path(path).read_bytes()
    assert not [it for it in threading.enumerate() if it.name == "ringback-checkpoint"]


def test_the_thread_can_be_started_again(path: str) -> None:
    SqliteStore(path).close()
    checkpointer = Checkpointer(path, interval=3600.0)
    for _ in range(2):
        checkpointer.start()
        checkpointer.stop()
    assert checkpointer.failures == 0


def test_the_thread_outlives_a_checkpoint_that_fails(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(path).write_bytes(b"no database" * 100)
    checkpointer = Checkpointer(path, interval=0.0)
    with pytest.raises(sqlite3.Error):
        checkpointer.run_once()
    failed_twice = threading.Event()
    real = checkpointer.run_once

    def counted() -> int:
        if checkpointer.failures >= 2:
            failed_twice.set()
        return real()

    monkeypatch.setattr(checkpointer, "run_once", counted)
    checkpointer.start()
    assert failed_twice.wait(10.0)
    checkpointer.stop()
