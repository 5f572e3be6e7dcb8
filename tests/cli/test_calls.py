"""``ringback listen`` and ``ringback call`` find each other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import RINGBACK, Run, Serving

Phone = Callable[..., "tuple[subprocess.Popen[str], str]"]


@pytest.fixture
def listen(tmp_path: Path, environment: dict[str, str]) -> Iterator[Phone]:
    """Starts ``ringback listen`` on a free port; the process, and where it listens."""
    running: list[subprocess.Popen[str]] = []

    def start(*words: str) -> tuple[subprocess.Popen[str], str]:
        command = [RINGBACK, "listen", "sip:bob@example.test", "-l", "127.0.0.1:0", "--json", *words]
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        running.append(process)
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        return process, first["listen"].partition(":")[2]

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


@pytest.mark.row("INV-1", part="ringback call")
def test_a_call_is_answered_talked_in_and_ended(run: Run, listen: Phone) -> None:
    phone, place = listen("--ring", "100ms", "-c", "1")
    done = run("call", f"sip:bob@{place}", "-d", "200ms", "-f", "sip:alice@example.test")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"200 OK from {place} udp seq=1 ")
    said = [line.removeprefix("ringback: ") for line in done.stderr.splitlines()]
    assert said == ["180 Ringing", "200 OK, the call is up", "the call is over: hung up"]
    events = [json.loads(line) for line in phone.communicate(timeout=10)[0].splitlines()]
    assert [it["event"] for it in events] == ["call", "over"]
    assert events[0]["peer"] == "sip:alice@example.test"
    assert events[1]["reason"] == "remote hung up"
    assert phone.returncode == 0


def test_a_call_that_is_refused_is_1(run: Run, listen: Phone) -> None:
    _, place = listen("--status", "486")
    done = run("call", f"sip:bob@{place}")
    assert (done.returncode, done.stdout[:13]) == (1, "486 Busy Here")


def test_a_call_that_nobody_answers_is_withdrawn_and_3(run: Run, listen: Phone) -> None:
    phone, place = listen("--ring", "20", "-c", "1")
    done = run("call", f"sip:bob@{place}", "-w", "300ms")
    assert done.returncode == 3
    assert "no answer" in done.stderr
    events = [json.loads(line) for line in phone.communicate(timeout=30)[0].splitlines()]
    assert events[-1]["reason"] == "cancelled"


def test_a_text_is_printed_and_a_signal_ends_the_phone(run: Run, listen: Phone) -> None:
    phone, place = listen()
    assert run("message", f"sip:bob@{place}", "see you at six", "-f", "alice@example.test").returncode == 0
    assert phone.stdout is not None
    assert json.loads(phone.stdout.readline()) == {
        "event": "message",
        "peer": "sip:alice@example.test",
        "body": "see you at six",
    }
    os.kill(phone.pid, signal.SIGINT)
    out, err = phone.communicate(timeout=10)
    assert (out, err, phone.returncode) == ("", "", 130)


def test_a_phone_registers_and_gives_it_back(run: Run, serve: Callable[..., Serving], listen: Phone) -> None:
    server = serve("--open", "--domain", "example.test")
    phone, _ = listen("--register", "-p", server.address)
    assert phone.stdout is not None
    assert json.loads(phone.stdout.readline())["event"] == "registered"
    assert len(run("location", "show", "bob", "--json").stdout.splitlines()) == 1
    done = run("call", "sip:bob@example.test", "-p", server.address, "-d", "0")
    assert done.returncode == 0, done.stderr
    os.kill(phone.pid, signal.SIGTERM)
    phone.communicate(timeout=10)
    assert phone.returncode == 143
    assert run("location", "show", "bob").returncode == 1
