"""``ringback user``: passwords come in, and never go out again."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ringback.protocol.auth.digest import compute_ha1
from ringback.server.stores.sqlite import SqliteStore
from tests.cli.conftest import RINGBACK, Run

PASSWORD = "tr0ub4dor&3"
NAME = "alice@example.test"


@pytest.mark.row("REG-10", part="no plaintext passwords stored")
def test_a_user_is_added_listed_and_removed(run: Run, tmp_path: Path) -> None:
    added = run("user", "add", NAME, RINGBACK_PASSWORD=PASSWORD)
    assert (added.returncode, added.stdout) == (0, f"added sip:{NAME}\n")
    with SqliteStore(str(tmp_path / "ringback.db")) as store:
        assert store.ha1("alice", "example.test", "MD5") == compute_ha1("MD5", "alice", "example.test", PASSWORD)
    assert PASSWORD.encode() not in (tmp_path / "ringback.db").read_bytes()
    [listed] = [json.loads(line) for line in run("user", "list", "--json").stdout.splitlines()]
    assert listed["aor"] == f"sip:{NAME}"
    assert {"MD5", "SHA-256"} <= set(listed["algorithms"])
    assert f"sip:{NAME}" in run("user", "list").stdout
    assert run("user", "rm", NAME).returncode == 0
    nobody = run("user", "list")
    assert (nobody.stdout, nobody.returncode) == ("", 0)


def test_says_of_the_server_only_what_the_settings_say(run: Run, tmp_path: Path) -> None:
    assert "server the address that serve listens on," in run("user", "add", NAME, RINGBACK_PASSWORD=PASSWORD).stderr
    for listen, said in (("udp:0.0.0.0:5060", "the address that"), ("udp:192.0.2.1:5060", "udp:192.0.2.1:5060,")):
        (tmp_path / "ringback.toml").write_text(f'listen = ["{listen}"]\n')
        run("user", "rm", NAME)
        assert f"server {said}" in run("user", "add", NAME, RINGBACK_PASSWORD=PASSWORD).stderr


def test_nobody_to_ask_for_a_password_is_2_and_one_line(run: Run) -> None:
    done = run("user", "add", NAME)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "ringback: no password: type one when asked, or set RINGBACK_PASSWORD"


def test_a_bare_name_is_a_user_of_the_first_domain(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ringback.toml").write_text('domains = ["one.test", "two.test"]\n')
    assert run("user", "add", "bob", RINGBACK_PASSWORD=PASSWORD).stdout == "added sip:bob@one.test\n"
    assert (
        run("user", "add", "bob", "--domain", "two.test", RINGBACK_PASSWORD=PASSWORD).stdout
        == "added sip:bob@two.test\n"
    )
    added = json.loads(run("user", "add", "sip:carol@one.test", "--json", RINGBACK_PASSWORD=PASSWORD).stdout)
    assert added == {"user": "carol", "domain": "one.test", "realm": "one.test", "aor": "sip:carol@one.test"}


def test_a_password_is_changed(run: Run, tmp_path: Path) -> None:
    run("user", "add", NAME, RINGBACK_PASSWORD="first")
    assert run("user", "passwd", NAME, RINGBACK_PASSWORD=PASSWORD).returncode == 0
    with SqliteStore(str(tmp_path / "ringback.db")) as store:
        assert store.ha1("alice", "example.test", "MD5") == compute_ha1("MD5", "alice", "example.test", PASSWORD)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("add", NAME), "already"),
        (("passwd", "bob@example.test"), "no user bob"),
        (("rm", "bob@example.test"), "no user bob"),
        (("add", "@example.test"), "expected user@domain"),
        (("add", "bob@one.test", "--domain", "two.test"), "two domains"),
    ],
)
def test_what_cannot_be_done_ends_with_2_and_one_line(run: Run, words: tuple[str, ...], says: str) -> None:
    run("user", "add", NAME, RINGBACK_PASSWORD=PASSWORD)
    done = run("user", *words, RINGBACK_PASSWORD=PASSWORD)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_empty_password_is_refused(run: Run) -> None:
    assert run("user", "add", NAME, RINGBACK_PASSWORD="").returncode == 2


@pytest.mark.threat("T5")
def test_a_typed_password_is_asked_for_twice_and_not_shown(environment: dict[str, str], tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [RINGBACK, "user", "add", NAME],
        cwd=tmp_path,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown = b""
        for question in (b"Password", b"Again"):
            shown += read_until(ours, question)
            # What is typed before the echo is off is flushed with it.
            wait_until(lambda: not termios.tcgetattr(ours)[3] & termios.ECHO)
            os.write(ours, PASSWORD.encode() + b"\n")
        shown += read_until(ours, b"added")
        assert process.wait(10) == 0
    os.close(ours)
    assert PASSWORD.encode() not in shown


def read_until(terminal: int, words: bytes) -> bytes:
    """What the terminal shows up to ``words``; AssertionError when they do not come."""
    shown = b""
    while words not in shown:
        readable, _, _ = select.select([terminal], [], [], 10.0)
        assert readable, f"no {words!r} after {shown!r}"
        shown += os.read(terminal, 1024)
    return shown


def wait_until(condition: Callable[[], bool]) -> None:
    """Polls; AssertionError after 10 s."""
    deadline = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.row("REG-10", part="no plaintext passwords stored")
def test_a_user_is_added_by_ha1_and_no_password_is_asked_for(run: Run, tmp_path: Path) -> None:
    ha1 = compute_ha1("SHA-256", "alice", "example.test", PASSWORD)
    added = run("user", "add", NAME, "--ha1", f"SHA-256:{ha1.upper()}", "--ha1", "0" * 32)
    assert (added.returncode, added.stdout) == (0, f"added sip:{NAME}\n")
    with SqliteStore(str(tmp_path / "ringback.db")) as store:
        assert store.ha1("alice", "example.test", "SHA-256") == ha1
        assert store.ha1("alice", "example.test", "MD5") == "0" * 32
    assert run("user", "passwd", NAME, "--ha1", f"MD5:{'1' * 32}").returncode == 0
    with SqliteStore(str(tmp_path / "ringback.db")) as store:
        assert store.ha1("alice", "example.test", "SHA-256") is None


@pytest.mark.parametrize("value", ["", "0" * 31, "0" * 64, "x" * 32, f"SHA-1:{'0' * 40}", f"SHA-256:{'0' * 32}"])
def test_an_ha1_of_the_wrong_form_is_refused_with_what_was_expected(run: Run, value: str) -> None:
    refused = run("user", "add", NAME, "--ha1", value)
    assert refused.returncode == 2
    assert "expected [ALGORITHM:]HEX" in refused.stderr
