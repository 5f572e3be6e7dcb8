"""What the commands that ask have in common: forms of output, exit codes, profiles, dry runs."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.certificates import authority, stranger
from tests.cli.conftest import Run, Serving

Serve = Callable[..., Serving]
NOBODY = "127.0.0.1:9"


def test_a_dry_run_prints_the_message_and_sends_nothing(run: Run) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.setblocking(False)
        target = f"bob@127.0.0.1:{silent.getsockname()[1]}"
        done = run("message", target, "hello", "--dry-run", "-f", "alice@example.test", "-H", "Subject: x")
        with pytest.raises(BlockingIOError):
            silent.recv(1)
    assert done.returncode == 0
    assert done.stdout.startswith(f"MESSAGE sip:{target} SIP/2.0\nVia: SIP/2.0/UDP ")
    assert "From: <sip:alice@example.test>;tag=" in done.stdout
    assert "Subject: x\n" in done.stdout
    assert done.stdout.endswith("\n\nhello")


@pytest.mark.parametrize("command", ["options", "register", "call", "send"])
def test_every_command_that_asks_can_be_run_dry(run: Run, command: str) -> None:
    words = ("send", "info") if command == "send" else (command,)
    method = {"options": "OPTIONS", "register": "REGISTER", "call": "INVITE", "send": "INFO"}[command]
    for target, transport in (("sip:bob@127.0.0.1", "UDP"), ("sip:bob@127.0.0.1;transport=tcp", "TCP")):
        done = run(*words, target, "--dry-run", RINGBACK_PASSWORD="x")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"{method} sip:")
        assert f"\nVia: SIP/2.0/{transport} 127.0.0.1:5060;" in done.stdout


def test_each_form_of_output(run: Run, serve: Serve) -> None:
    address = serve("--open").address
    raw = run("options", "-o", "raw", address).stdout
    assert raw.startswith("SIP/2.0 200 OK\n")  # line ends as text mode reads them
    [document] = json.loads(run("options", "-o", "json", address).stdout)
    lines = run("options", "-o", "jsonl", "-c", "2", "-i", "0", address).stdout.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [1, 2]
    assert (document["status"], document["transport"], document["from"]) == (200, "udp", address)
    assert run("options", "-q", address).stdout == ""


def test_a_monitoring_system_gets_one_line_and_its_own_codes(run: Run, serve: Serve) -> None:
    address = serve("--open").address
    good = run("options", "--nagios", address)
    assert good.returncode == 0
    assert re.fullmatch(r"SIP OK - 200 OK in [0-9.]+ ms \| rtt=[0-9.]+ms;;;0\n", good.stdout)
    refused = run("options", "--nagios", f"bob@{address}")
    assert (refused.returncode, refused.stdout[:15]) == (1, "SIP WARNING - 4")
    silent = run("options", "--nagios", "-w", "200ms", NOBODY)
    assert (silent.returncode, silent.stdout[:15]) == (2, "SIP CRITICAL - ")
    wrong = run("options", "--nagios", "--ca", "none.pem", "tls:127.0.0.1")
    assert (wrong.returncode, wrong.stdout[:14]) == (3, "SIP UNKNOWN - ")


def test_a_server_is_asked_over_tcp(run: Run, serve: Serve) -> None:
    serving = serve("--open", "--listen", "udp:127.0.0.1:0", "--listen", "tcp:127.0.0.1:0")
    assert serving.process.stdout is not None
    place = serving.process.stdout.readline().split("tcp:")[1].strip()
    done = run("options", f"tcp:{place}")
    assert done.returncode == 0, done.stderr
    assert f"200 OK from {place} tcp seq=1" in done.stdout
    assert f"{place} tcp" in run("options", "-T", "tcp", place).stdout


def test_a_profile_says_who_asks_and_by_which_way(run: Run, serve: Serve, tmp_path: Path) -> None:
    address = serve("--domain", "example.test").address
    run("user", "add", "alice@example.test", RINGBACK_PASSWORD="secret")
    (tmp_path / "phones.toml").write_text(
        '[profiles.work]\naor = "sip:alice@example.test"\npassword_env = "WORK"\n'
        f'outbound_proxy = "sip:{address}"\n[aliases]\nbob = "sip:bob@example.test"\n'
    )
    config = ("--config", "phones.toml")
    done = run("register", "work", *config, WORK="secret")
    assert (done.returncode, done.stdout[:6]) == (0, "200 OK"), done.stderr
    assert run("message", "nobody", "hello", *config, "--profile", "work", WORK="secret").stdout.startswith("404 ")
    assert run("message", "bob", "hello", *config, RINGBACK_PROFILE="work", WORK="secret").stdout.startswith("404 ")
    wrong = run("options", "x", *config, "--profile", "home")
    assert (wrong.returncode, "no profile 'home'" in wrong.stderr) == (2, True)
    assert run("register", "work", *config).returncode == 2  # WORK is not set
    # The server reads the same file, and leaves the profiles to us.
    assert run("config", "check", *config).returncode == 0


def test_registers_lists_and_takes_back(run: Run, serve: Serve) -> None:
    address = serve("--domain", "example.test").address
    run("user", "add", "alice@example.test", RINGBACK_PASSWORD="secret")
    way = ("sip:alice@example.test", "-p", address, "--json")

    def register(*words: str) -> list[str]:
        done = run("register", *way, *words, RINGBACK_PASSWORD="secret")
        assert done.returncode == 0, done.stderr
        contacts: list[str] = json.loads(done.stdout)["contacts"]
        return contacts

    assert register("--query") == []
    assert register("-C", "sip:alice@192.0.2.9", "-x", "600") == ["sip:alice@192.0.2.9"]
    assert len(register()) == 2
    assert register("-C", "*", "-x", "0") == []
    assert run("register", *way, RINGBACK_PASSWORD="wrong").returncode == 1


@pytest.mark.parametrize(
    "words",
    [
        ("send", "INVITE", NOBODY),
        ("message", NOBODY),
        ("message", NOBODY, "text", "--body", "other"),
        ("message", NOBODY, "--body-file", "missing"),
        ("options", "-4", "-6", NOBODY),
        ("options", "-T", "pigeon", NOBODY),
        ("options", "ws://127.0.0.1"),
        ("register", "127.0.0.1"),
        ("listen", "--register"),
        ("listen", "--status", "250"),
    ],
)
def test_what_cannot_be_meant_is_2_and_one_line(run: Run, words: tuple[str, ...]) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.row("TRN-7", part="ringback options")
def test_tls_is_held_to_the_name_and_shows_the_days_that_are_left(run: Run, serve: Serve, tmp_path: Path) -> None:
    mine = authority().issue("127.0.0.1")
    (tmp_path / "r.toml").write_text(
        f'listen = ["tls:127.0.0.1:0"]\ndomains = ["example.test"]\nopen = true\n[tls]\ncertificate = "{mine.both}"\n'
    )
    place = serve("--config", "r.toml").first_line.partition("tls:")[2]
    trusted = ("--ca", str(authority().file))
    done = run("options", "-v", f"tls:{place}", *trusted)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^  certificate: for 127\.0\.0\.1, [0-9]+ days left$", done.stdout, re.MULTILINE)
    assert f"200 OK from {place} tls seq=1" in done.stdout
    assert run("options", "-T", "tls", place, *trusted).returncode == 0
    strange = run("options", f"sips:{place}", "--ca", str(stranger().file))
    assert strange.returncode == 3
    assert "not trusted" in strange.stderr


def test_the_shell_can_complete_the_commands(run: Run) -> None:
    done = run("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert done.returncode == 0
    assert "_RINGBACK_COMPLETE=complete_bash" in done.stdout
    words = run(_RINGBACK_COMPLETE="complete_bash", COMP_WORDS="ringback reg", COMP_CWORD="1")
    assert words.stdout.split() == ["register"]
