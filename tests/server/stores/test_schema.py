"""Opening files: new, old, newer than we are, and not ours."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from ringback.protocol.errors import StoreError
from ringback.server.stores.schema import MIGRATIONS, migrate
from ringback.server.stores.sqlite import SqliteStore


def version(path: str) -> int:
    connection = sqlite3.connect(path)
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return found


def test_a_new_file_gets_the_newest_version(path: str) -> None:
    SqliteStore(path).close()
    assert version(path) == len(MIGRATIONS)


def test_a_file_of_an_older_version_is_brought_up_once(path: str) -> None:
    SqliteStore(path).close()
    connection = sqlite3.connect(path, isolation_level=None)
    longer = (*MIGRATIONS, ("CREATE TABLE later (x)", "INSERT INTO later VALUES (1)"))
    for _ in range(2):
        migrate(connection, longer)
    assert connection.execute("SELECT x FROM later").fetchall() == [(1,)]
    connection.close()
    assert version(path) == len(MIGRATIONS) + 1


def test_a_migration_that_fails_changes_nothing(path: str) -> None:
    SqliteStore(path).close()
    connection = sqlite3.connect(path, isolation_level=None)
    with pytest.raises(sqlite3.Error):
        migrate(connection, (*MIGRATIONS, ("CREATE TABLE later (x)", "NO SQL")))
    connection.close()
    assert version(path) == len(MIGRATIONS)
    SqliteStore(path).close()


def test_refuses_a_file_of_a_newer_version(path: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(StoreError, match="newer"):
        SqliteStore(path)


def test_refuses_a_database_that_is_not_ours(path: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(StoreError, match="not a store"):
        SqliteStore(path)


def test_refuses_a_file_that_is_no_database(path: str) -> None:
    Path(path).write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="cannot open"):
        SqliteStore(path)


def test_says_when_it_cannot_open_the_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot open"):
        SqliteStore(str(tmp_path / "nowhere" / "store.db"))


@pytest.mark.parametrize(("setting", "number"), [("NORMAL", 1), ("FULL", 2)])
def test_commits_as_durably_as_asked(path: str, setting: str, number: int) -> None:
    assert setting in ("NORMAL", "FULL")
    store = SqliteStore(path, synchronous="FULL" if setting == "FULL" else "NORMAL")
    pragma = store._connection.execute
    assert pragma("PRAGMA synchronous").fetchone() == (number,)
    assert pragma("PRAGMA journal_mode").fetchone() == ("wal",)
    assert pragma("PRAGMA wal_autocheckpoint").fetchone() == (0,)
    store.close()
