"""``ringback serve`` as its users start and end it."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run, Serving

Serve = Callable[..., Serving]


def ask(serving: Serving, method: str = "OPTIONS", uri: str = "", header: str = "") -> bytes:
    """Send one request from a plain socket; the answer."""
    host, _, port = serving.address.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.settimeout(5.0)
        phone.bind(("127.0.0.1", 0))
        number = phone.getsockname()[1]
        here = f"127.0.0.1:{number}"
        phone.sendto(
            f"{method} {uri or f'sip:{serving.address}'} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{number}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:a@other.test>;tag=1\r\nTo: <sip:bob@example.test>\r\n"
            f"Call-ID: x{here}\r\nCSeq: 1 {method}\r\nContact: <sip:bob@{here}>\r\n{header}"
            "Content-Length: 0\r\n\r\n".encode(),
            (host, int(port)),
        )
        return phone.recv(65_535)


def test_says_where_it_listens_serves_and_ends_at_sigterm(serve: Serve, tmp_path: Path) -> None:
    serving = serve("--domain", "example.test", "--open")
    assert re.fullmatch(r"listening on udp:127\.0\.0\.1:[0-9]+", serving.first_line)
    assert ask(serving).startswith(b"SIP/2.0 200 OK\r\n")
    assert ask(serving, "REGISTER", "sip:example.test").startswith(b"SIP/2.0 200 OK\r\n")
    out, err, code = serving.end(signal.SIGTERM)
    assert (out, code) == ("", 0)
    assert "example.test" in err
    assert (tmp_path / "ringback.db").exists()
    assert not list(tmp_path.glob("*-wal"))


def test_ends_at_sigint_too(serve: Serve) -> None:
    assert serve().end(signal.SIGINT)[2] == 0


def test_listens_on_several_addresses(serve: Serve) -> None:
    serving = serve("--listen", "udp:127.0.0.1:0", "--listen", "udp:127.0.0.1:0", "--json", "--open")
    announced = json.loads(serving.first_line)
    assert announced["event"] == "listening"
    assert len(set(announced["listen"])) == 2
    assert announced["open"] is True


def test_demands_passwords_unless_it_is_told_to_be_open(serve: Serve) -> None:
    assert ask(serve("--domain", "example.test"), "REGISTER", "sip:example.test").startswith(b"SIP/2.0 401 ")


def test_reads_the_file_in_its_folder_and_flags_beat_it(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "ringback.toml").write_text(
        'listen = ["udp:127.0.0.1:1"]\nserver_name = "From the file"\nopen = true\n'
    )
    assert b"Server: From the file\r\n" in ask(serve())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--listen", "udp:nowhere.invalid:x"), "listen: expected"),
        (("--listen", "sctp:127.0.0.1:5060"), 'expected the transport "udp" or "tcp" or "tls"'),
        (("--listen", "tls:127.0.0.1:5061"), "tls.certificate: expected a PEM file"),
        (("--config", "missing.toml"), "no such file"),
        (("--store", "postgres:x"), ""),
        (("--listen", "udp:0.0.0.0:0"), "domains: expected at least one"),
    ],
)
def test_a_wrong_setting_ends_with_2_and_one_line(run: Run, words: tuple[str, ...], says: str, tmp_path: Path) -> None:
    if words[0] == "--store":
        words = ("--store", str(tmp_path / "no" / "such" / "folder" / "x.db"))
    done = run("serve", *words)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_an_address_that_is_taken_ends_with_3(run: Run, serve: Serve) -> None:
    done = run("serve", "--listen", f"udp:{serve().address}")
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1


def test_shows_status_lines_replies_or_every_byte(serve: Serve) -> None:
    shown = {}
    for verbosity in ("-v", "-vv", "-vvv"):
        serving = serve(verbosity, "--open")
        answer = ask(serving).decode().replace("\r\n", "\n")
        shown[verbosity] = serving.end()[1]
        assert "200 OK" in shown[verbosity]
        assert (answer in shown[verbosity]) == (verbosity != "-v")
    assert "OPTIONS sip:" not in shown["-v"]
    assert "OPTIONS sip:" not in shown["-vv"]
    assert "OPTIONS sip:" in shown["-vvv"]
    frame = r"<--- received [0-9]+ bytes from UDP:127\.0\.0\.1:[0-9]+ to UDP:127\.0\.0\.1:[0-9]+ at [0-9:.]+ --->\n"
    assert re.search(frame, shown["-vvv"])


def test_the_log_can_be_json_lines(serve: Serve) -> None:
    serving = serve("--json", "--domain", "example.test")
    challenge = ask(serving, "REGISTER", "sip:example.test").decode()
    nonce = re.search(r'nonce="([^"]+)"', challenge)
    assert nonce is not None
    credentials = (
        f'Digest username="mallory", realm="example.test", nonce="{nonce.group(1)}", uri="sip:example.test", '
        'response="0", algorithm=SHA-256, qop=auth, nc=00000001, cnonce="x"'
    )
    assert b" 401 " in ask(serving, "REGISTER", "sip:example.test", f"Authorization: {credentials}\r\n")
    records = [json.loads(line) for line in serving.end()[1].splitlines() if line.startswith("{")]
    assert [(it["level"], it["logger"], it["message"]) for it in records] == [
        ("WARNING", "ringback.server.auth", "authentication failed from 127.0.0.1 for 'mallory': unknown user")
    ]
