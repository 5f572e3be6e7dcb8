"""``ringback location show``: who is registered where."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from ringback.protocol.registration.binding import Binding, Change, ChangeKind
from ringback.server.stores.sqlite import SqliteStore
from tests.cli.conftest import Run


@pytest.fixture
def registered(tmp_path: Path) -> Path:
    """A store with bindings of two users, one of them with a name made to drive terminals."""
    path = tmp_path / "ringback.db"
    now = time.time()
    with SqliteStore(str(path)) as store:
        for user, contact in (("bob", "sip:bob@10.0.0.2"), ("carol", "sip:carol@10.0.0.3")):
            aor = f"sip:{user}@example.test"
            binding = Binding(
                aor,
                contact,
                q=0.5,
                expires_at=now + 600,
                call_id="c",
                cseq=1,
                received="UDP 10.0.0.1:5060 192.0.2.7:40000 0",
                user_agent="Phone\x1b[2J",
            )
            store.apply(aor, [Change(ChangeKind.ADD, binding)])
    return path


@pytest.mark.row("REG-1", part="shown")
def test_shows_every_binding(run: Run, registered: Path) -> None:
    done = run("location", "show", COLUMNS="200")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert lines[1].split()[:3] == ["sip:bob@example.test", "sip:bob@10.0.0.2", "0.5"]
    assert "udp:192.0.2.7:40000" in lines[1]
    assert "2 bindings of 2 addresses-of-record" in done.stderr


@pytest.mark.parametrize("name", ["carol", "carol@example.test", "sip:carol@example.test"])
def test_shows_one_user(run: Run, registered: Path, name: str) -> None:
    [binding] = [json.loads(line) for line in run("location", "show", name, "--json").stdout.splitlines()]
    assert binding["contact"] == "sip:carol@10.0.0.3"
    assert 590 <= binding["expires"] <= 600
    assert binding["received"] == "udp:192.0.2.7:40000"


def test_nothing_is_cut_where_there_is_no_terminal(run: Run, tmp_path: Path) -> None:
    aor, contact = "sip:bob@example.test", f"sip:bob@{'a' * 150}.example.test"
    with SqliteStore(str(tmp_path / "ringback.db")) as store:
        binding = Binding(aor, contact, q=1.0, expires_at=time.time() + 600, call_id="c", cseq=1)
        store.apply(aor, [Change(ChangeKind.ADD, binding)])
    done = run("location", "show", COLUMNS="80")
    assert contact in done.stdout
    assert "1 binding of 1 address-of-record\n" in done.stderr


@pytest.mark.parametrize(("name", "says"), [("dave", "dave is not registered"), ("erin", "there is no user erin")])
def test_a_user_who_is_not_registered_is_1(run: Run, registered: Path, name: str, says: str) -> None:
    run("user", "add", "dave@example.test", RINGBACK_PASSWORD="secret")
    for words in ((), ("--json",)):
        done = run("location", "show", name, *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert says in done.stderr


def test_nobody_is_no_error(run: Run) -> None:
    done = run("location", "show")
    assert (done.returncode, done.stdout) == (0, "")
    assert "nobody" in done.stderr


@pytest.mark.threat("T6")
def test_what_a_phone_says_of_itself_cannot_drive_the_terminal(run: Run, registered: Path) -> None:
    assert "\x1b" not in run("location", "show", COLUMNS="200").stdout
