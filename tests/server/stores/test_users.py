"""The user store in SQLite: accounts and HA1, never passwords."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.protocol.auth.digest import compute_ha1
from ringback.protocol.errors import StoreError
from ringback.protocol.registration.binding import Binding, Change, ChangeKind
from ringback.server.stores.sqlite import SqliteStore

ODD = b"\xff".decode("utf-8", "surrogateescape")


@pytest.mark.row("REG-10")
def test_keeps_an_ha1_for_every_algorithm(store: SqliteStore) -> None:
    user = store.add_user("alice", "Example.TEST", "wonderland")
    assert (user.aor, user.realm, user.algorithms) == (
        "sip:alice@example.test",
        "example.test",
        ("MD5", "SHA-256", "SHA-512-256"),
    )
    for algorithm in user.algorithms:
        expected = compute_ha1(algorithm, "alice", "example.test", "wonderland")
        assert store.ha1("alice", "example.test", algorithm) == expected
    assert store.ha1("alice", "example.test", "SHA-1") is None
    assert store.ha1("alice", "other.test", "MD5") is None
    assert store.ha1("Alice", "example.test", "MD5") is None
    assert store.ha1(ODD, "example.test", "MD5") is None


@pytest.mark.row("REG-10")
@pytest.mark.threat("T6")
def test_no_password_is_in_the_file_and_nobody_else_reads_it(path: str) -> None:
    with SqliteStore(path) as store:
        store.add_user("alice", "example.test", "w0nderl4nd")
        store.commit()
        files = sorted(Path(path).parent.iterdir())
        assert [it.name for it in files] == ["store.db", "store.db-shm", "store.db-wal"]
        assert all(it.stat().st_mode & 0o777 == 0o600 for it in files)
        assert all(b"w0nderl4nd" not in it.read_bytes() for it in files)
        assert any(b"alice" in it.read_bytes() for it in files)


@pytest.mark.threat("T6")
def test_takes_from_others_the_right_to_read_a_file_that_is_there(path: str) -> None:
    SqliteStore(path).close()
    Path(path).chmod(0o644)
    SqliteStore(path).close()
    assert Path(path).stat().st_mode & 0o777 == 0o600


def test_a_realm_may_differ_from_the_domain(store: SqliteStore) -> None:
    store.add_user("alice", "one.test", "a", realm="corp")
    store.add_user("alice", "two.test", "b")
    assert store.aor_of("alice", "corp") == "sip:alice@one.test"
    assert store.aor_of("alice", "two.test") == "sip:alice@two.test"
    assert store.aor_of("alice", "one.test") is None
    assert store.aor_of(ODD, "corp") is None
    assert store.ha1("alice", "corp", "MD5") == compute_ha1("MD5", "alice", "corp", "a")


@pytest.mark.threat("T5")
@pytest.mark.parametrize(
    ("username", "domain", "realm"),
    [("alice", "one.test", None), ("alice", "ONE.test", "else"), ("alice", "two.test", "corp")],
)
def test_a_name_is_taken_in_its_domain_and_in_its_realm(
    store: SqliteStore, username: str, domain: str, realm: str | None
) -> None:
    store.add_user("alice", "one.test", "first", realm="corp")
    before = store.ha1("alice", "corp", "MD5")
    with pytest.raises(StoreError, match="already"):
        store.add_user(username, domain, "second", realm=realm)
    assert store.ha1("alice", "corp", "MD5") == before
    assert len(store.users()) == 1


def test_knows_who_exists(store: SqliteStore) -> None:
    store.add_user("a b", "example.test", "p")
    assert store.exists("a b", "EXAMPLE.test")
    assert not store.exists("a", "example.test")
    assert not store.exists(ODD, "example.test")
    assert store.known("sip:a%20b@example.test")


def test_lists_users_by_domain_and_name(store: SqliteStore) -> None:
    for username, domain in (("bob", "b.test"), ("bob", "a.test"), ("alice", "b.test")):
        store.add_user(username, domain, "p")
    assert [repr(it) for it in store.users()] == [
        "User(sip:bob@a.test)",
        "User(sip:alice@b.test)",
        "User(sip:bob@b.test)",
    ]


def test_changes_a_password(store: SqliteStore) -> None:
    store.add_user("alice", "example.test", "old")
    store.set_password("alice", "Example.test", "new")
    assert store.ha1("alice", "example.test", "MD5") == compute_ha1("MD5", "alice", "example.test", "new")
    with pytest.raises(StoreError, match="no user bob"):
        store.set_password("bob", "example.test", "new")


def test_a_user_that_is_removed_leaves_nothing_behind(store: SqliteStore) -> None:
    aor = store.add_user("alice", "example.test", "p").aor
    store.add_user("bob", "example.test", "p")
    store.apply(aor, [Change(ChangeKind.ADD, Binding(aor, "sip:a@h", expires_at=10.0))])
    store.commit()
    assert store.remove_user("alice", "example.test")
    store.commit()
    assert not store.remove_user("alice", "example.test")
    assert (store.ha1("alice", "example.test", "MD5"), store.bindings(aor, 0.0), store.known(aor)) == (None, [], False)
    assert [it.username for it in store.users()] == ["bob"]


@pytest.mark.threat("T6")
def test_what_a_name_holds_is_data(store: SqliteStore) -> None:
    name = "x' OR '1'='1"
    store.add_user(name, "example.test", "p")
    assert store.ha1("y' OR '1'='1", "example.test", "MD5") is None
    assert store.remove_user(name, "example.test")


@pytest.mark.row("REG-10")
def test_an_ha1_is_kept_as_given_and_replaces_what_was_there(store: SqliteStore) -> None:
    user = store.add_user("alice", "example.test", {"MD5": "0" * 32})
    assert user.algorithms == ("MD5",)
    assert store.ha1("alice", "example.test", "MD5") == "0" * 32
    assert store.ha1("alice", "example.test", "SHA-256") is None
    store.set_password("alice", "example.test", {"SHA-256": "1" * 64})
    assert store.ha1("alice", "example.test", "MD5") is None
    assert store.ha1("alice", "example.test", "SHA-256") == "1" * 64


def test_a_secret_is_made_once_and_outlives_the_process(path: str) -> None:
    with SqliteStore(path) as store:
        assert store.secret("server", lambda: b"first") == b"first"
        assert store.secret("server", lambda: b"second") == b"first"
        assert store.secret("other", lambda: b"third") == b"third"
    with SqliteStore(path) as store:
        assert store.secret("server", lambda: b"fourth") == b"first"
