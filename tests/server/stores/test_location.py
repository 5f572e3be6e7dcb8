"""The location service in SQLite: bindings, turns, and what happens when writing goes wrong."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.protocol.errors import StoreError
from ringback.protocol.registration.binding import Binding, Change, ChangeKind, changed
from ringback.server.stores.base import LocationStore, StoreBusy, UserStore
from ringback.server.stores.sqlite import SqliteStore

NOW = 1_800_000_000.0
AOR = "sip:bob@example.test"


def binding(uri: str = "sip:b@192.0.2.1", aor: str = AOR, left: float = 60.0, cseq: int = 1) -> Binding:
    return Binding(aor, uri, expires_at=NOW + left, call_id="c", cseq=cseq)


def add(store: SqliteStore, *bindings: Binding) -> None:
    for it in bindings:
        store.apply(it.aor, [Change(ChangeKind.ADD, it)])


def test_is_what_the_server_asks_of_a_store(store: SqliteStore) -> None:
    location: LocationStore = store
    users: UserStore = store
    assert (location.bindings(AOR, NOW), users.users()) == ([], [])


@pytest.mark.row("REG-1", part="location service")
def test_gives_back_a_binding_as_it_was(path: str) -> None:
    full = Binding(
        AOR,
        "sip:b%20b@[2001:db8::1]:5061;ob?Route=%3Csip:x%3E",
        ';+sip.instance="<urn:uuid:1>";reg-id=1',
        0.3,
        NOW + 0.125,
        "call@id",
        2**31 - 1,
        "<urn:uuid:1>",
        1,
        ["<sip:p;lr>"],
        "UDP 192.0.2.1:5060 198.51.100.7:40000 0",
        'Jos\u00e9\'s "phone" \U0001f4de',
        NOW - 3,
    )
    with SqliteStore(path) as store:
        add(store, full)
    with SqliteStore(path) as store:
        assert store.bindings(AOR, NOW) == [full]


@pytest.mark.threat("T1")
def test_keeps_octets_that_are_no_utf_8(path: str) -> None:
    odd = binding(b"sip:b\xff@h".decode("utf-8", "surrogateescape"))
    plain = binding("sip:2@h")
    with SqliteStore(path) as store:
        add(store, odd, plain)
    with SqliteStore(path) as store:
        assert store.bindings(AOR, NOW) == [odd, plain]
        assert list(store.all_bindings(NOW)) == [odd, plain]
        store.apply(AOR, [Change(ChangeKind.REMOVE, plain)])
        assert store.bindings(AOR, NOW + 60) == []


@pytest.mark.row("REG-5")
def test_expired_bindings_are_not_given_out(store: SqliteStore) -> None:
    add(store, binding("sip:1@h", left=10), binding("sip:2@h", left=20))
    assert [it.uri for it in store.bindings(AOR, NOW + 10)] == ["sip:2@h"]
    assert store.bindings(AOR, NOW + 20) == []


def test_removes_what_is_removed(store: SqliteStore) -> None:
    one, two = binding("sip:1@h"), binding("sip:2@h")
    add(store, one, two)
    store.apply(AOR, [Change(ChangeKind.REMOVE, one)])
    store.commit()
    assert store.bindings(AOR, NOW) == [two]
    store.apply(AOR, [Change(ChangeKind.REMOVE, two)])
    store.commit()
    assert store.bindings(AOR, NOW) == []
    assert store.known(AOR) is False


def test_a_change_leaves_other_aors_alone(store: SqliteStore) -> None:
    other = binding(aor="sip:alice@example.test")
    add(store, binding(), other)
    store.apply(AOR, [Change(ChangeKind.REMOVE, binding())])
    assert store.bindings("sip:alice@example.test", NOW) == [other]


def test_later_requests_of_a_turn_see_what_earlier_ones_changed(store: SqliteStore) -> None:
    store.begin()
    assert store.bindings(AOR, NOW) == []
    first, second = binding(cseq=1), binding(cseq=2)
    store.apply(AOR, [Change(ChangeKind.ADD, first)])
    assert store.bindings(AOR, NOW) == [first]
    store.apply(AOR, [Change(ChangeKind.UPDATE, second, first)])
    store.apply(AOR, [Change(ChangeKind.ADD, binding("sip:2@h"))])
    store.commit()
    assert store.bindings(AOR, NOW) == [second, binding("sip:2@h")]


def test_the_list_given_out_is_the_callers_own(store: SqliteStore) -> None:
    add(store, binding())
    store.commit()
    store.begin()
    store.bindings(AOR, NOW).clear()
    store.apply(AOR, [Change(ChangeKind.ADD, binding("sip:2@h"))])
    assert len(store.bindings(AOR, NOW)) == 2


def test_others_see_a_change_at_commit_and_not_before(path: str, store: SqliteStore) -> None:
    with SqliteStore(path) as other:
        add(store, binding())
        assert other.bindings(AOR, NOW) == []
        store.commit()
        assert other.bindings(AOR, NOW) == []  # its turn has its snapshot
        other.commit()
        assert other.bindings(AOR, NOW) == [binding()]


def test_a_turn_reads_anew_under_the_write_lock(path: str, store: SqliteStore) -> None:
    with SqliteStore(path) as other:
        assert store.bindings(AOR, NOW) == []
        add(other, binding("sip:1@h"))
        other.commit()
        store.begin()
        assert store.bindings(AOR, NOW) == [binding("sip:1@h")]
        store.apply(AOR, [Change(ChangeKind.ADD, binding("sip:2@h"))])
        store.commit()
        assert [it.uri for it in other.bindings(AOR, NOW)] == ["sip:1@h", "sip:2@h"]


def test_rollback_drops_the_turn(store: SqliteStore) -> None:
    add(store, binding())
    store.rollback()
    assert store.bindings(AOR, NOW) == []
    store.rollback()
    store.commit()


def test_leaving_by_an_error_drops_the_turn(path: str) -> None:
    def fail_within() -> None:
        with SqliteStore(path) as store:
            add(store, binding())
            raise LookupError

    with pytest.raises(LookupError):
        fail_within()
    with SqliteStore(path) as store:
        assert store.bindings(AOR, NOW) == []


def test_is_busy_while_another_process_writes(path: str, store: SqliteStore) -> None:
    with SqliteStore(path, busy_wait=0.0) as other:
        store.begin()
        for _ in range(2):
            with pytest.raises(StoreBusy):
                other.begin()
        with pytest.raises(StoreBusy):
            other.apply(AOR, [Change(ChangeKind.ADD, binding())])
        assert other.bindings(AOR, NOW) == []  # reading goes on
        store.commit()
        add(other, binding())
        other.commit()
    assert store.bindings(AOR, NOW) == [binding()]


def test_a_failed_write_that_took_the_transaction_fails_the_commit(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, binding("sip:1@h"))
    real = store._execute

    def disk_full(sql: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        if sql.startswith("INSERT INTO location"):
            real("ROLLBACK")  # what SQLite does of itself when it cannot go back by one statement
            raise sqlite3.OperationalError("database or disk is full")
        return real(sql, values)

    monkeypatch.setattr(store, "_execute", disk_full)
    with pytest.raises(StoreError, match="full"):
        add(store, binding("sip:2@h"))
    with pytest.raises(StoreError, match="lost"):
        store.commit()
    monkeypatch.undo()
    assert store.bindings(AOR, NOW) == []
    add(store, binding("sip:3@h"))
    store.commit()
    assert [it.uri for it in store.bindings(AOR, NOW)] == ["sip:3@h"]


def test_a_failed_write_that_took_nothing_else_spares_the_turn(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, binding("sip:1@h"))
    real = store._execute

    def too_big(sql: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        if sql.startswith("INSERT INTO location"):
            raise sqlite3.DataError("string or blob too big")
        return real(sql, values)

    monkeypatch.setattr(store, "_execute", too_big)
    with pytest.raises(StoreError):
        add(store, binding("sip:2@h"))
    monkeypatch.undo()
    store.commit()
    assert [it.uri for it in store.bindings(AOR, NOW)] == ["sip:1@h"]


def test_a_commit_that_fails_drops_the_turn(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    add(store, binding())
    real = store._execute

    def broken(sql: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        if sql == "COMMIT":
            raise sqlite3.OperationalError("disk I/O error")
        return real(sql, values)

    monkeypatch.setattr(store, "_execute", broken)
    with pytest.raises(StoreError, match="I/O"):
        store.commit()
    monkeypatch.undo()
    assert store.bindings(AOR, NOW) == []


def test_a_turn_that_only_read_has_nothing_to_lose_at_its_end(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(sql: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        raise sqlite3.OperationalError("disk I/O error")

    store.bindings(AOR, NOW)
    monkeypatch.setattr(store, "_execute", broken)
    store.commit()


@pytest.mark.parametrize(
    "verb",
    [
        lambda store: store.bindings(AOR, NOW),
        lambda store: store.begin(),
        lambda store: add(store, binding()),
        lambda store: store.known(AOR),
        lambda store: store.ha1("bob", "r", "MD5"),
        lambda store: store.sweep(NOW, 10),
    ],
)
def test_a_store_that_fails_raises_its_own_error(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, verb: Callable[[SqliteStore], object]
) -> None:
    def broken(sql: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(store, "_execute", broken)
    with pytest.raises(StoreError, match="I/O"):
        verb(store)
    store.rollback()


@pytest.mark.parametrize("text", ["", "{", "5", "[5]", "[[]]", '["sip:b@h"]', "[[1,2,3,[]]]"])
def test_says_when_a_row_was_damaged(store: SqliteStore, text: str) -> None:
    store._connection.execute("INSERT INTO location VALUES (?, ?, ?)", (AOR, NOW + 10, text))
    with pytest.raises(StoreError, match="cannot be read"):
        store.bindings(AOR, NOW)
    with pytest.raises(StoreError, match="cannot be read"):
        list(store.all_bindings(NOW))
    assert store.sweep(NOW + 20, 10) == 1


def test_knows_who_has_bindings_or_an_account(store: SqliteStore) -> None:
    assert not store.known(AOR)
    add(store, binding())
    assert store.known(AOR)
    store.add_user("alice", "example.test", "secret")
    assert store.known("sip:alice@example.test")


def test_lists_and_counts_what_is_current(store: SqliteStore) -> None:
    for number in range(1200):
        add(store, binding(f"sip:1@{number}.test", aor=f"sip:{number:04}@example.test", left=number % 2))
    add(store, binding("sip:2@h", aor="sip:0001@example.test"))
    listed = list(store.all_bindings(NOW))
    assert len(listed) == 601
    assert [it.aor for it in listed] == sorted(it.aor for it in listed)
    assert store.count(NOW) == (600, 601)
    assert store.count(NOW + 1) == (1, 1)


def test_sweeps_what_has_expired_in_bounded_steps(store: SqliteStore) -> None:
    for number in range(10):
        add(store, binding(aor=f"sip:{number}@example.test", left=number))
    store.commit()
    # 3 a call: 0-2, 3-5, 6-8, 9, and round again.
    assert [store.sweep(NOW + 4, 3) for _ in range(4)] == [3, 2, 0, 0]
    assert store.sweep(NOW + 100, 3) == 3
    store.commit()
    assert store.count(NOW) == (2, 2)
    assert [store.sweep(NOW + 100, 3) for _ in range(2)] == [2, 0]


def test_a_sweep_spares_who_registers_meanwhile(path: str, store: SqliteStore) -> None:
    add(store, binding(left=1))
    store.commit()
    with SqliteStore(path) as other:
        other.bindings(AOR, NOW)
        store.apply(AOR, [Change(ChangeKind.UPDATE, binding(left=600), binding(left=1))])
        store.commit()
        # Its snapshot still shows the binding that has expired.
        assert other.sweep(NOW + 10, 10) == 0
    store.commit()
    assert len(store.bindings(AOR, NOW + 10)) == 1


def test_a_store_in_memory_serves_a_simulation() -> None:
    with SqliteStore(":memory:") as store:
        add(store, binding())
        store.commit()
        assert store.bindings(AOR, NOW) == [binding()]


uris = st.sampled_from(["sip:1@h", "sip:2@h", "sip:2@H", "sip:3@h"])


@given(st.lists(st.tuples(st.sampled_from([*ChangeKind]), uris, uris, st.booleans(), st.booleans()), max_size=20))
def test_a_store_holds_what_a_list_would(steps: list[tuple[ChangeKind, str, str, bool, bool]]) -> None:
    kept: list[Binding] = []
    committed: list[Binding] = []
    with SqliteStore(":memory:") as store:
        for number, (kind, uri, old, look_first, commit) in enumerate(steps):
            change = Change(kind, binding(uri, cseq=number), binding(old) if kind is ChangeKind.UPDATE else None)
            store.begin()
            if look_first:
                assert store.bindings(AOR, NOW) == kept
            store.apply(AOR, [change])
            kept = changed(kept, [change])
            if commit:
                store.commit()
                committed = kept
        store.rollback()
        assert store.bindings(AOR, NOW) == committed
