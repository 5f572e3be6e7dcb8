"""The tables of the SQLite store, and how a file of an older version becomes one of this version.

``PRAGMA user_version`` counts the migrations that a file has seen. A migration is never edited once it has been
released: a change of the tables is a new one at the end of the list.
"""

from __future__ import annotations

import sqlite3

from ringback.protocol.errors import StoreError

# location: one row an address-of-record, its bindings as a JSON list of lists (docs/adr/0003-one-row-an-aor.md). The
#   order of the values is that of Binding's constructor without the aor; new values go to the end, with a default.
#   latest: when the last of them expires, epoch seconds.
# account: who has an address-of-record here. credential: what proves it, H(username:realm:password) per algorithm.
# secret: random keys that must outlive the process, such as the one that marks our Record-Route values.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE location (aor TEXT PRIMARY KEY NOT NULL, latest REAL NOT NULL, bindings TEXT NOT NULL)"
        " WITHOUT ROWID",
        "CREATE TABLE account (aor TEXT PRIMARY KEY NOT NULL, username TEXT NOT NULL, domain TEXT NOT NULL,"
        " realm TEXT NOT NULL, UNIQUE (username, domain), UNIQUE (username, realm)) WITHOUT ROWID",
        "CREATE TABLE credential (username TEXT NOT NULL, realm TEXT NOT NULL, algorithm TEXT NOT NULL,"
        " ha1 TEXT NOT NULL, PRIMARY KEY (username, realm, algorithm)) WITHOUT ROWID",
    ),
    ("CREATE TABLE secret (name TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID",),
)


def migrate(connection: sqlite3.Connection, migrations: tuple[tuple[str, ...], ...] = MIGRATIONS) -> None:
    """Bring the file to this version, all or nothing. ``connection`` is in autocommit.

    Raises StoreError for a file of a newer version or one that is not ours, sqlite3.Error as it comes.
    """
    if _version(connection) == len(migrations):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)  # again: another process may have been first
        if version > len(migrations):
            raise StoreError(f"the store is of version {version}, newer than this program's {len(migrations)}")
        if version == 0 and connection.execute("SELECT 1 FROM sqlite_master").fetchone() is not None:
            raise StoreError("the file is a SQLite database, but not a store of Ringback's")
        for statements in migrations[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version
