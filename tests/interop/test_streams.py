"""TCP and TLS with others' programs: SIPp and baresip as users, openssl and plain sockets as rude strangers."""

from __future__ import annotations

import select
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.certificates import authority, stranger
from tests.interop.baresip import Baresip
from tests.interop.process import LOOPBACK, Children, find, free_port, need
from tests.interop.ringback_server import PASSWORD, RingbackServer
from tests.interop.sipp import DOMAIN, SCENARIOS, Sipp

Serve = Callable[..., RingbackServer]


def over_tcp(children: Children, name: str) -> Path:
    """A scenario whose Contact says that its owner is reached by the transport it runs on."""
    children.folder.mkdir(parents=True, exist_ok=True)
    path = children.folder / f"{name}.xml"
    lines = (SCENARIOS / f"{name}.xml").read_text().splitlines()
    path.write_text(
        "\n".join(
            line.replace(">", ";transport=[transport]>") if line.startswith("Contact: <sip:") else line
            for line in lines
        )
    )
    return path


def with_certificate(serve: Serve, *users: str, clients: str = "none") -> RingbackServer:
    """A server that listens on all three."""
    mine = authority().issue(DOMAIN, LOOPBACK)
    tables = f'[tls]\ncertificate = "{mine.certificate}"\nkey = "{mine.key}"\nauthorities = "{authority().file}"\n'
    return serve(users=users, tcp=True, tls=True, tables=f'{tables}client_certificates = "{clients}"\n')


OPTIONS = (
    f"OPTIONS sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
    f"From: <sip:a@{DOMAIN}>;tag=1\r\nTo: <sip:{DOMAIN}>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
).encode()


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection((LOOPBACK, port), 5) as connection:
        yield connection


def answer_time(port: int) -> float:
    """How long an OPTIONS over a connection of its own takes, in seconds; AssertionError unless it is answered 200."""
    begun = time.monotonic()
    with connected(port) as connection:
        connection.sendall(OPTIONS)
        assert connection.recv(4096).startswith(b"SIP/2.0 200 ")
    return time.monotonic() - begun


def is_closed(connection: socket.socket, seconds: float) -> bool:
    """Whether the other side ends it in time; whatever it says before is read."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if select.select([connection], [], [], left)[0]:
            try:
                if not connection.recv(65536):
                    return True
            except OSError:
                return True
    return False


@pytest.mark.row("TRN-2", "INV-1", "PX-2", part="SIPp over TCP")
@pytest.mark.parametrize("mode", ["t1", "tn"])
def test_sipp_calls_over_tcp_with_one_connection_and_with_one_a_call(
    serve: Serve, children: Children, mode: str
) -> None:
    need("sipp")
    server = serve(tcp=True)
    sipp = Sipp(children, server.address, server.domain)
    port = free_port()
    keys = {"contact": f"<sip:bob@{LOOPBACK}:{port};transport=tcp>"}
    sipp.run("register", "-t", "t1", "-s", "bob", keys=keys)
    phone = sipp.start(over_tcp(children, "phone"), "-t", "t1", "-d", "20", port=port, calls=50)
    sipp.run(over_tcp(children, "call"), "-t", mode, "-max_socket", "1000", "-d", "20", "-r", "50", calls=50)
    phone.passes()
    assert "SIP/2.0/TCP" in phone.traffic()


@pytest.mark.row("TRN-2", part="TCP to UDP")
def test_a_call_comes_by_tcp_and_goes_on_by_udp(serve: Serve, children: Children) -> None:
    need("sipp")
    server = serve(tcp=True)
    sipp = Sipp(children, server.address, server.domain)
    port = free_port()
    sipp.register("bob", port)
    phone = sipp.start("phone", "-d", "20", port=port)
    sipp.run(over_tcp(children, "call"), "-t", "t1", "-d", "20")
    phone.passes()
    assert phone.traffic().count("Record-Route: <sip:") >= 2  # one for each side


@pytest.mark.row("TRN-2", "REG-1", "INV-1", "BYE-4", part="baresip")
@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_baresip_calls_baresip_over_a_connection(serve: Serve, children: Children, transport: str) -> None:
    need("baresip")
    server = with_certificate(serve, "alice", "bob")
    place = f"{LOOPBACK}:{server.tls_port if transport == 'tls' else server.port}"
    alice, bob = (
        Baresip(children, user, DOMAIN, place, PASSWORD, transport=transport, authorities=authority().file)
        for user in ("alice", "bob")
    )
    alice.registered()
    bob.registered()
    alice.command(f"dial sip:bob@{DOMAIN}")
    bob.child.wait_for_output("Incoming call from", 10)
    bob.command("accept")
    alice.child.wait_for_output("Call established", 10)
    alice.command("hangup")
    bob.child.wait_for_output("session closed", 10)


@pytest.mark.row("TRN-2", part="TLS")
@pytest.mark.rfc("3261 26.3.1")
def test_openssl_shakes_hands_and_is_answered(serve: Serve) -> None:
    need("openssl")
    server = with_certificate(serve)
    command = [find("openssl") or "openssl", "s_client", "-connect", f"{LOOPBACK}:{server.tls_port}", "-quiet"]
    command += ["-CAfile", str(authority().file), "-verify_return_error", "-servername", DOMAIN, "-ign_eof"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(OPTIONS)
        child.stdin.flush()
        assert child.stdout.readline() == b"SIP/2.0 200 OK\r\n"
        child.kill()


@pytest.mark.threat("T8")
@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_versions_of_tls_are_refused(serve: Serve, version: str) -> None:
    need("openssl")
    server = with_certificate(serve)
    command = [find("openssl") or "openssl", "s_client", "-connect", f"{LOOPBACK}:{server.tls_port}", version]
    done = subprocess.run(
        [*command, "-cipher", "DEFAULT@SECLEVEL=0"], input=b"", capture_output=True, timeout=20, check=False
    )
    assert b"Cipher is (NONE)" in done.stdout + done.stderr or done.returncode != 0
    assert b"BEGIN CERTIFICATE" not in done.stdout


@pytest.mark.rfc("5922 7.4")
def test_who_must_show_a_certificate_and_has_none_or_a_strangers_gets_no_answer(serve: Serve) -> None:
    server = with_certificate(serve, clients="required")

    def ask(context: ssl.SSLContext) -> bytes:
        try:
            with connected(server.tls_port) as plain, context.wrap_socket(plain, server_hostname=DOMAIN) as secure:
                secure.sendall(OPTIONS)
                return secure.recv(4096)
        except OSError:
            return b""

    mine, strange, none = (ssl.create_default_context(cafile=str(authority().file)) for _ in range(3))
    mine.load_cert_chain(authority().issue("phone.test").both)
    strange.load_cert_chain(stranger().issue("phone.test").both)
    assert ask(mine).startswith(b"SIP/2.0 200 ")
    assert ask(strange) == b""
    assert ask(none) == b""


@pytest.mark.threat("T8")
def test_strangers_hold_up_nobody(serve: Serve) -> None:
    """Half a message, a silent handshake, no reading, a browser, noise, line feeds, and many who only sit there."""
    server = with_certificate(serve)
    with ExitStack() as open_ones:
        idle = [open_ones.enter_context(connected(server.port)) for _ in range(500)]
        half = open_ones.enter_context(connected(server.port))
        half.sendall(OPTIONS[:100])
        silent = [open_ones.enter_context(connected(server.tls_port)) for _ in range(20)]
        silent[0].sendall(b"\x16\x03\x01\x02")
        floods = open_ones.enter_context(connected(server.port))
        floods.sendall(b"\r\n" * 30_000)
        deaf = open_ones.enter_context(connected(server.port))
        deaf.setblocking(False)
        sent = 0
        try:
            while sent < 40 * 1024 * 1024:
                sent += deaf.send(OPTIONS * 100)
        except OSError:
            pass
        for words in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\0" * 100, b"SSH-2.0-x\r\n"):
            browser = open_ones.enter_context(connected(server.port))
            browser.sendall(words)
            assert is_closed(browser, 5)
        slow = open_ones.enter_context(connected(server.port))
        for byte in OPTIONS:
            slow.sendall(bytes([byte]))
        slow.settimeout(5)
        assert slow.recv(4096).startswith(b"SIP/2.0 200 ")
        assert max(answer_time(server.port) for _ in range(20)) < 1.0
        assert not select.select(idle, [], [], 0)[0]
        plain = open_ones.enter_context(connected(server.tls_port))
        plain.sendall(OPTIONS)  # no TLS
        assert is_closed(plain, 5)


@pytest.mark.threat("T8")
def test_a_silent_handshake_ends_after_ten_seconds(serve: Serve) -> None:
    server = with_certificate(serve)
    with connected(server.tls_port) as silent:
        assert is_closed(silent, 12)
