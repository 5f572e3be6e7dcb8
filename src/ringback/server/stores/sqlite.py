"""The location service and user store in one SQLite file, read directly on the path of a message.

Rules
-----
1. One connection, used by one thread: the one that runs the stack.
2. The turn is a transaction: none (``IDLE``) → a snapshot at the first read (``READING``) → the write lock at
   ``begin`` (``WRITING``) → none at ``commit`` or ``rollback``. One snapshot for a turn's reads costs less than half of
   one for each read, and no statement ever sees half of another process's change.
3. ``BEGIN IMMEDIATE`` takes the write lock up front, so a turn never finds out halfway that it cannot write.
4. A write that SQLite gave up on (disk full) may have taken the whole transaction with it. Then ``commit`` raises,
   because answers of the same turn that were held for it would otherwise leave without what they promise.
5. Commits write the WAL and never the database file; that is the checkpointer's part (``checkpoint.py``).
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from types import TracebackType
from typing import Any, Literal, final

import msgspec

from ringback.protocol.auth.digest import BASE_ALGORITHMS, compute_ha1
from ringback.protocol.errors import StoreError
from ringback.protocol.grammar import ascii_lower, escape_user
from ringback.protocol.message.uri import Uri
from ringback.protocol.registration.binding import Binding, Change, changed
from ringback.server.stores.base import StoreBusy, User
from ringback.server.stores.schema import migrate

_SELECT = "SELECT bindings FROM location WHERE aor = ?"
_UPSERT = (
    "INSERT INTO location VALUES (?, ?, ?)"
    " ON CONFLICT (aor) DO UPDATE SET latest = excluded.latest, bindings = excluded.bindings"
)
_DELETE = "DELETE FROM location WHERE aor = ?"
_EXPIRES_AT = 3  # where a stored binding has its expires_at
_OPEN_WAIT = 5.0  # seconds that opening waits for another process that is opening or migrating the same file

# What reading a row can raise: escapes that only json reads, or a row that was damaged.
_UNREADABLE = (msgspec.DecodeError, ValueError, TypeError, LookupError)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class _Turn(StrEnum):
    IDLE = "idle"
    READING = "reading"
    WRITING = "writing"


@final
class SqliteStore:
    """A ``LocationStore`` and ``UserStore`` (see ``base.py``) in the file ``path``; ``":memory:"`` for simulations.

    The file is made with mode 0600, and given that mode where it had another: it holds what authenticates users.
    ``synchronous``: NORMAL survives the death of the process, FULL also that of the machine. ``cache_kib`` bounds the
    pages kept in memory. ``busy_wait`` seconds is how long ``begin`` waits for another's commit before StoreBusy.
    Raises StoreError when the file cannot be opened or is not a store of ours.
    """

    def __init__(
        self,
        path: str,
        *,
        synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
        cache_kib: int = 8192,
        busy_wait: float = 0.005,
    ) -> None:
        self.path = path
        self._turn = _Turn.IDLE
        self._lost = False
        self._seen: tuple[str, list[Binding]] | None = None  # what bindings() last gave out under the write lock
        self._swept_to = ""
        try:
            if path != ":memory:":
                _make_private(path)
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=_OPEN_WAIT)
            try:
                self._prepare(synchronous, cache_kib)
                self._connection.execute(f"PRAGMA busy_timeout = {round(busy_wait * 1000)}")
            except BaseException:
                self._connection.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"cannot open the store {path}: {error}") from error
        self._execute = self._connection.cursor().execute

    def _prepare(self, synchronous: str, cache_kib: int) -> None:
        execute = self._connection.execute
        mode = execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal" and self.path != ":memory:":
            raise StoreError(f"cannot open the store {self.path}: the file system does not allow WAL mode")
        execute("PRAGMA wal_autocheckpoint = 0")
        execute(f"PRAGMA synchronous = {synchronous}")
        execute(f"PRAGMA cache_size = -{cache_kib}")
        execute("PRAGMA trusted_schema = OFF")
        migrate(self._connection)

    # The turn ---------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Take the write lock for the rest of the turn. Raises StoreBusy or StoreError, and the turn is then IDLE."""
        if self._turn is _Turn.WRITING:
            return
        try:
            if self._turn is _Turn.READING:
                # A snapshot cannot become a write transaction when others have written since: read anew under the lock.
                self._turn = _Turn.IDLE
                self._execute("COMMIT")
            self._execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise self._failure(error) from error
        self._turn = _Turn.WRITING
        self._lost = False
        self._seen = None

    def commit(self) -> None:
        """End the turn; its changes are durable when this returns. Raises StoreError, and the changes are then gone."""
        if self._turn is _Turn.IDLE:
            return
        writing = self._turn is _Turn.WRITING
        self._turn = _Turn.IDLE
        self._seen = None
        try:
            if self._lost:
                self._lost = False
                raise StoreError("the changes of this turn were lost with a write that failed")
            self._execute("COMMIT")
        except sqlite3.Error as error:
            self.rollback()
            if writing:
                raise self._failure(error) from error

    def rollback(self) -> None:
        """End the turn without its changes. Never raises."""
        self._turn = _Turn.IDLE
        self._lost = False
        self._seen = None
        try:
            if self._connection.in_transaction:
                self._execute("ROLLBACK")
        except sqlite3.Error:
            pass  # SQLite has rolled back by itself

    def _read(self, sql: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        """One read within the turn's snapshot."""
        try:
            if self._turn is _Turn.IDLE:
                self._execute("BEGIN")
                self._turn = _Turn.READING
            return self._execute(sql, values)
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def _write(self, sql: str, values: tuple[object, ...]) -> int:
        """One write within the turn's transaction. Returns the number of rows changed."""
        self.begin()
        try:
            return self._execute(sql, values).rowcount
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def _failure(self, error: sqlite3.Error) -> StoreError:
        if self._turn is _Turn.WRITING and not self._connection.in_transaction:
            self._lost = True
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreBusy(f"the store {self.path} is being written by another process")
        return StoreError(f"the store {self.path} failed: {error}")

    # Location service -------------------------------------------------------------------------------------------

    def bindings(self, aor: str, now: float) -> list[Binding]:
        """The current bindings of ``aor``, in the order they were added."""
        # Written out rather than by way of _load: this is on the path of every call.
        try:
            if self._turn is _Turn.IDLE:
                self._execute("BEGIN")
                self._turn = _Turn.READING
            row = self._execute(_SELECT, (aor,)).fetchone()
            found = [] if row is None else [Binding(aor, *it) for it in _decode(row[0]) if it[_EXPIRES_AT] > now]
        except sqlite3.Error as error:
            raise self._failure(error) from error
        except _UNREADABLE:
            found = [it for it in self._load(aor) if it.expires_at > now]
        if self._turn is _Turn.WRITING:
            self._seen = (aor, found.copy())
        return found

    def _load(self, aor: str) -> list[Binding]:
        """All stored bindings of ``aor``, expired ones included, however odd their text."""
        row = self._read(_SELECT, (aor,)).fetchone()
        return [] if row is None else _unpack(aor, row[0])

    def apply(self, aor: str, changes: Sequence[Change]) -> None:
        """Apply the changes of one REGISTER: one row is written or removed."""
        if self._turn is not _Turn.WRITING:
            self.begin()
        seen = self._seen
        bindings = changed(seen[1] if seen is not None and seen[0] == aor else self._load(aor), changes)
        if bindings:
            latest = max([binding.expires_at for binding in bindings])
            self._write(_UPSERT, (aor, latest, _pack(bindings)))
        else:
            self._write(_DELETE, (aor,))
        self._seen = (aor, bindings)

    def known(self, aor: str) -> bool:
        """Whether ``aor`` is a user's, or has bindings that have not been swept away."""
        sql = "SELECT EXISTS (SELECT 1 FROM account WHERE aor = ?1) OR EXISTS (SELECT 1 FROM location WHERE aor = ?1)"
        return bool(self._read(sql, (aor,)).fetchone()[0])

    def all_bindings(self, now: float) -> Iterator[Binding]:
        """Every current binding, by address-of-record."""
        position = ""
        while True:
            sql = "SELECT aor, bindings FROM location WHERE aor > ? ORDER BY aor LIMIT 500"
            rows = self._read(sql, (position,)).fetchall()
            if not rows:
                return
            position = rows[-1][0]
            for aor, packed in rows:
                yield from (binding for binding in _unpack(aor, packed) if binding.expires_at > now)

    def count(self, now: float) -> tuple[int, int]:
        """How many addresses-of-record have bindings, and how many bindings there are."""
        aors = bindings = 0
        last = ""
        for binding in self.all_bindings(now):
            bindings += 1
            if binding.aor != last:
                aors += 1
                last = binding.aor
        return aors, bindings

    def sweep(self, now: float, limit: int) -> int:
        """Remove the addresses-of-record among the next ``limit`` whose last binding has expired. See ``base.py``."""
        sql = "SELECT aor, latest FROM location WHERE aor > ? ORDER BY aor LIMIT ?"
        rows = self._read(sql, (self._swept_to, limit)).fetchall()
        expired = [aor for aor, latest in rows if latest <= now]
        removed = 0
        for aor in expired:
            # latest again: between the snapshot and the write lock someone may have registered.
            removed += self._write("DELETE FROM location WHERE aor = ? AND latest <= ?", (aor, now))
        self._swept_to = rows[-1][0] if len(rows) == limit else ""
        return removed

    # Users ------------------------------------------------------------------------------------------------------

    def ha1(self, username: str, realm: str, algorithm: str) -> str | None:
        """The stored HA1, None for an unknown user or algorithm."""
        sql = "SELECT ha1 FROM credential WHERE username = ? AND realm = ? AND algorithm = ?"
        try:
            row = self._read(sql, (username, realm, algorithm)).fetchone()
        except UnicodeEncodeError:
            return None  # bytes that are no UTF-8: nobody of that name can have been added
        return None if row is None else row[0]

    def exists(self, username: str, domain: str) -> bool:
        """Whether ``sip:username@domain`` is a user's address-of-record."""
        try:
            row = self._read("SELECT 1 FROM account WHERE username = ? AND domain = ?", (username, ascii_lower(domain)))
        except UnicodeEncodeError:
            return False
        return row.fetchone() is not None

    def aor_of(self, username: str, realm: str) -> str | None:
        """The address-of-record that credentials of this user and realm own."""
        try:
            row = self._read("SELECT aor FROM account WHERE username = ? AND realm = ?", (username, realm)).fetchone()
        except UnicodeEncodeError:
            return None
        return None if row is None else row[0]

    def add_user(self, username: str, domain: str, password: str | Mapping[str, str], realm: str | None = None) -> User:
        """Add a user. ``realm`` None: the domain. Raises StoreError when the name is taken in the domain or realm."""
        domain = ascii_lower(domain)
        realm = domain if realm is None else realm
        aor = Uri.parse(f"sip:{escape_user(username)}@{domain}").aor
        self.begin()
        taken = self._read(
            "SELECT 1 FROM account WHERE aor = ? OR (username = ? AND realm = ?)", (aor, username, realm)
        ).fetchone()
        if taken is not None:
            raise StoreError(f"there is a user {username} in {domain} or in the realm {realm} already")
        self._write("INSERT INTO account VALUES (?, ?, ?, ?)", (aor, username, domain, realm))
        algorithms = self._store_proof(username, realm, password)
        return User(username, domain, realm, aor, algorithms)

    def set_password(self, username: str, domain: str, password: str | Mapping[str, str]) -> None:
        """Replace what proves a user. Raises StoreError when there is no such user."""
        self.begin()
        self._store_proof(username, self._account(username, domain)[1], password)

    def remove_user(self, username: str, domain: str) -> bool:
        """Remove a user, its credentials and its bindings. False when there is no such user."""
        if not self.exists(username, domain):
            return False
        self.begin()
        aor, realm = self._account(username, domain)
        self._write("DELETE FROM credential WHERE username = ? AND realm = ?", (username, realm))
        self._write("DELETE FROM account WHERE aor = ?", (aor,))
        self._write(_DELETE, (aor,))
        self._seen = None
        return True

    def users(self) -> list[User]:
        """All users, by domain and name."""
        sql = (
            "SELECT username, domain, realm, aor, (SELECT group_concat(algorithm) FROM credential"
            " WHERE credential.username = account.username AND credential.realm = account.realm)"
            " FROM account ORDER BY domain, username"
        )
        return [
            User(username, domain, realm, aor, tuple(sorted((algorithms or "").split(","))))
            for username, domain, realm, aor, algorithms in self._read(sql).fetchall()
        ]

    def _account(self, username: str, domain: str) -> tuple[str, str]:
        row: tuple[str, str] | None = self._read(
            "SELECT aor, realm FROM account WHERE username = ? AND domain = ?", (username, ascii_lower(domain))
        ).fetchone()
        if row is None:
            raise StoreError(f"there is no user {username} in {domain}")
        return row

    def _store_proof(self, username: str, realm: str, password: str | Mapping[str, str]) -> tuple[str, ...]:
        """Replace the HA1 of a user, all of them: an old one must prove nothing any more. Returns the algorithms."""
        if isinstance(password, str):
            password = {name: compute_ha1(name, username, realm, password) for name in BASE_ALGORITHMS}
        self._write("DELETE FROM credential WHERE username = ? AND realm = ?", (username, realm))
        for algorithm, ha1 in password.items():
            self._write("INSERT INTO credential VALUES (?, ?, ?, ?)", (username, realm, algorithm, ha1))
        return tuple(sorted(password))

    # Secrets ----------------------------------------------------------------------------------------------------

    def secret(self, name: str, make: Callable[[], bytes]) -> bytes:
        """The secret of that name; the first call ever makes it, and other processes get the same."""
        sql = "SELECT value FROM secret WHERE name = ?"
        row = self._read(sql, (name,)).fetchone()
        if row is None:
            self.begin()
            self._write("INSERT OR IGNORE INTO secret VALUES (?, ?)", (name, make()))
            row = self._read(sql, (name,)).fetchone()
        value: bytes = row[0]
        return value

    # Ends -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the file; what was not committed is dropped."""
        self.rollback()
        self._connection.close()

    def __enter__(self) -> SqliteStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Commit, or roll back on an error, and close."""
        try:
            if kind is None:
                self.commit()
        finally:
            self.close()


def _make_private(path: str) -> None:
    """Make the file with mode 0600, or give it that mode. SQLite gives its WAL the same."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        # By its name: to open and close a file that SQLite has open in this process would drop SQLite's locks on it.
        if os.stat(path).st_mode & 0o077:
            os.chmod(path, 0o600)


def _pack(bindings: list[Binding]) -> str:
    rows = [
        [
            it.uri,
            it.params,
            it.q,
            it.expires_at,
            it.call_id,
            it.cseq,
            it.instance,
            it.reg_id,
            it.path,
            it.received,
            it.user_agent,
            it.registered_at,
        ]
        for it in bindings
    ]
    try:
        return _encode(rows).decode()
    except UnicodeEncodeError:
        return json.dumps(rows)  # bytes that are no UTF-8: only this module writes them as escapes


def _unpack(aor: str, packed: str) -> list[Binding]:
    try:
        try:
            rows: Any = _decode(packed)
        except msgspec.DecodeError:
            rows = json.loads(packed)
        for row in rows:
            if type(row) is not list or not isinstance(row[_EXPIRES_AT], (int, float)):
                raise TypeError("not a list of bindings")
        return [Binding(aor, *row) for row in rows]
    except _UNREADABLE as error:
        raise StoreError(f"the bindings of {aor} in the store cannot be read: {error}") from error
