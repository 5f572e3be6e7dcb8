"""``ringback options``: like ping, with sipsak's exit codes."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.cli.conftest import RINGBACK, Run, Serving

Serve = Callable[..., Serving]


@pytest.mark.row("OPT-1", "OPT-2", part="ringback options")
def test_a_server_that_answers_is_one_line_and_0(run: Run, serve: Serve) -> None:
    address = serve("--open").address
    done = run("options", address)
    assert done.returncode == 0
    assert re.fullmatch(rf"200 OK from {re.escape(address)} udp seq=1 [0-9.]+ ms\n", done.stdout)
    assert done.stderr == ""


def test_another_final_response_is_1(run: Run, serve: Serve) -> None:
    done = run("options", f"sip:bob@{serve('--open').address}")
    assert (done.returncode, done.stdout[:3]) == (1, "480")


@pytest.mark.parametrize("target", ["tel:+15550100", "a b", "sip:a@b@c"])
def test_a_target_that_is_none_is_2(run: Run, target: str) -> None:
    done = run("options", target)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [("--count", "x"), ("--interval", "soon"), ("--header", "none"), ("--nonsense",), ()])
def test_wrong_usage_is_2(run: Run, words: tuple[str, ...]) -> None:
    assert run("options", *(("127.0.0.1:9", *words) if words else ())).returncode == 2


def test_no_answer_is_3_after_the_timeout(run: Run) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        done = run("options", "-w", "200ms", f"127.0.0.1:{silent.getsockname()[1]}")
    assert done.returncode == 3
    assert "no answer" in done.stderr


def test_an_interrupt_is_130(serve: Serve, environment: dict[str, str]) -> None:
    command = [RINGBACK, "options", "-c", "100", serve("--open").address]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("200 OK")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130


def test_a_closed_port_is_3_at_once(run: Run) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    done = run("options", "-w", "20", f"127.0.0.1:{port}")
    assert done.returncode == 3
    assert "cannot be reached" in done.stderr


def test_a_name_that_does_not_exist_is_3(run: Run) -> None:
    done = run("options", "nowhere.invalid")
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1


def test_counts_and_sums_up(run: Run, serve: Serve) -> None:
    done = run("options", "-c", "3", "-i", "10ms", serve("--open").address)
    assert [line.split()[5] for line in done.stdout.splitlines()[:3]] == ["seq=1", "seq=2", "seq=3"]
    assert re.match(r"3 sent, 3 answered, min/avg/max [0-9.]+/[0-9.]+/[0-9.]+ ms", done.stdout.splitlines()[3])


def test_json_is_one_document_an_answer(run: Run, serve: Serve) -> None:
    done = run("options", "--json", "-c", "2", "-i", "0", serve("--open").address)
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(it["seq"], it["status"], it["allow"]) for it in documents] == [
        (1, 200, ["OPTIONS", "REGISTER"]),
        (2, 200, ["OPTIONS", "REGISTER"]),
    ]


def test_shows_what_it_can_do_the_replies_or_every_byte(run: Run, serve: Serve) -> None:
    address = serve("--open").address
    assert "Allow: OPTIONS, REGISTER" in run("options", "-v", address).stdout
    replies = run("options", "-vv", address).stderr
    assert "SIP/2.0 200 OK" in replies
    assert "OPTIONS sip:" not in replies
    assert "OPTIONS sip:" in run("options", "-vvv", address).stderr


def test_headers_and_sender_are_sent_as_given(run: Run, serve: Serve) -> None:
    sent = run("options", "-vvv", "-H", "X-Thing: a, b", "-f", "alice@example.test", serve("--open").address).stderr
    assert "X-Thing: a, b" in sent
    assert "From: <sip:alice@example.test>;tag=" in sent


@pytest.fixture
def challenging() -> Iterator[int]:
    """A far end that wants a password, and sends 200 for whatever credentials come; its port."""
    far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    far.bind(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                data, where = far.recvfrom(65_535)
            except OSError:
                return
            lines = data.decode().split("\r\n")
            kept = [line for line in lines if line.split(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq")]
            known = any(line.startswith("Authorization: Digest ") and 'username="alice"' in line for line in lines)
            status = (
                "200 OK" if known else '401 Unauthorized\r\nWWW-Authenticate: Digest realm="r", nonce="n", qop="auth"'
            )
            far.sendto("\r\n".join([f"SIP/2.0 {status}", *kept, "Content-Length: 0", "", ""]).encode(), where)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    yield far.getsockname()[1]
    far.close()


@pytest.mark.row("AUT-1", part="ringback options")
def test_answers_a_challenge_when_it_knows_who_it_is(run: Run, challenging: int) -> None:
    target = f"127.0.0.1:{challenging}"
    assert run("options", target).returncode == 1
    assert run("options", "-u", "alice", "-a", "secret", target).returncode == 0
    assert run("options", "-u", "alice", target, RINGBACK_PASSWORD="secret").returncode == 0
    assert run("options", "-u", "alice", "--ha1", "0" * 32, target).returncode == 0
