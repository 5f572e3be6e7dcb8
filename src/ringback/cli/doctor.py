"""``ringback doctor``: what on this machine stands in the way of SIP, and what to do about it."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from ringback.cli.terminal import REFUSED, SUCCESS, console, counted, print_json, run_async
from ringback.cli.user import Config, Json
from ringback.errors import SettingsError, StoreError, TransportError

if TYPE_CHECKING:
    from ringback.server.settings import Settings

BUILT = 1_735_689_600  # 2025-01-01: a clock before that is wrong
SOON = 14  # days
STYLES = {"ok": "green", "note": "cyan", "bad": "bold red"}
SYNCHRONISED = Path("/run/systemd/timesync/synchronized")


class Finding(NamedTuple):
    """One thing looked at: ``ok``, ``note`` (worth knowing) or ``bad``; what there is, and what to do."""

    what: str
    result: str
    says: str
    do: str = ""


def doctor(
    domain: Annotated[str | None, typer.Argument(help="A domain whose SIP servers shall be found by DNS.")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Look at the settings, ports, DNS, clock, certificates and buffer sizes of this machine; say what to do.

    Ends with 1 when something is bad.
    """
    findings = []
    for finding in _look(config, domain):
        findings.append(finding)
        if as_json:
            print_json(finding._asdict())
        else:
            _show(finding)
    raise typer.Exit(REFUSED if any(it.result == "bad" for it in findings) else SUCCESS)


def _show(finding: Finding) -> None:
    from rich.text import Text

    line = Text(f"{finding.result:<5}", STYLES[finding.result])
    line.append(f"{finding.what}: {finding.says}", "default")
    console().print(line)
    if finding.do:
        console().print(f"     {finding.do}")


def _look(config: Path | None, domain: str | None) -> Iterator[Finding]:
    """Everything, cheap things first."""
    from ringback.server.settings import Settings, find_file, load

    try:
        settings = load(config)
        path = find_file(config, os.environ)
        yield Finding("settings", "ok", str(path) if path else "no file, all is as by default")
    except SettingsError as error:
        yield Finding("settings", "bad", str(error), "ringback config check says more once that is mended")
        settings = Settings()
    yield _store(settings)
    yield from run_async(_ports(settings))
    yield run_async(_names(settings, domain))
    yield _clock()
    yield from _certificates(settings)
    yield _buffers()
    yield _files(settings)


def _store(settings: Settings) -> Finding:
    from ringback.server.stores.sqlite import SqliteStore

    if settings.database == ":memory:":
        return Finding("store", "note", "in memory", "users and bindings are gone when the server ends")
    if not Path(settings.database).exists():
        folder = Path(settings.database).resolve().parent
        if os.access(folder, os.W_OK):
            return Finding("store", "ok", f"{settings.database} is not there yet, and can be made")
        return Finding("store", "bad", f"{folder} cannot be written", "let the server's user write there, or set store")
    try:
        with SqliteStore(settings.database, busy_wait=1.0) as store:
            users, bindings = store.count(time.time())
    except StoreError as error:
        return Finding("store", "bad", str(error), "check who owns the file, and that it is an SQLite file of ours")
    return Finding("store", "ok", f"{settings.database}: {counted(users, 'user')}, {counted(bindings, 'binding')}")


async def _ports(settings: Settings) -> list[Finding]:
    """Whether serve can have its addresses."""
    from ringback.transport.datagram import SystemNetwork

    network = SystemNetwork()
    findings = []
    for listen in settings.addresses:
        what = f"port {listen}"
        host = listen.host
        try:
            if listen.transport == "UDP":
                (await network.open_datagram(host, listen.port, lambda endpoint: None)).close()
            else:
                (await network.listen_stream(host, listen.port, None)).close()
            findings.append(Finding(what, "ok", "free"))
        except TransportError as error:
            do = "a server that runs already is no fault; else see who has it: ss -lnptu"
            taken = error.errno == 98
            findings.append(Finding(what, "note" if taken else "bad", str(error), do if taken else "set listen"))
    return findings


async def _names(settings: Settings, domain: str | None) -> Finding:
    """Whether the name servers answer; with a domain, whether its SIP servers are found."""
    from ringback.transport.resolver import SystemResolver

    resolver = SystemResolver(nameservers=settings.nameservers)
    wanted = domain or "example.com"
    began = time.monotonic()
    try:
        found = []
        for name, kind in ((wanted, "NAPTR"), (f"_sip._udp.{wanted}", "SRV"), (wanted, "A"), (wanted, "AAAA")):
            found += [f"{kind} {record}" for record in await resolver.records(name, kind)]
    except TransportError as error:
        return Finding("DNS", "bad", str(error), "look at /etc/resolv.conf, or set nameservers; numeric targets work")
    finally:
        resolver.close()
    took = f"{(time.monotonic() - began) * 1000:.0f} ms"
    if domain is None:
        return Finding("DNS", "ok", f"answers, {took}")
    if not found:
        return Finding("DNS", "bad", f"nothing for {domain}", "give it an A, AAAA, SRV or NAPTR record")
    return Finding("DNS", "ok", f"{domain}: {', '.join(found)}; {took}")


def _clock() -> Finding:
    if time.time() < BUILT:
        return Finding("clock", "bad", time.strftime("%Y-%m-%d %H:%M:%S"), "set it: certificates and nonces need it")
    now = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    if SYNCHRONISED.exists():
        return Finding("clock", "ok", f"{now}, kept by a time server")
    return Finding("clock", "note", now, "nothing tells that a time server keeps it: timedatectl, or chronyc tracking")


def _certificates(settings: Settings) -> Iterator[Finding]:
    """The server's certificate: readable, its key's, in time, for our domains."""
    import _ssl
    import ssl

    from ringback.server.server import tls_configuration
    from ringback.transport.tls import certified_names, speaks_for

    path = settings.tls.certificate
    if path is None:
        yield Finding("certificate", "note", "none", "TLS needs one: set tls.certificate and listen on tls")
        return
    try:
        tls_configuration(settings)
        # The standard library reads a certificate from a file by this function only.
        certificate = vars(_ssl)["_test_decode_cert"](path)
    except (SettingsError, OSError) as error:
        yield Finding("certificate", "bad", str(error), "set tls.certificate and tls.key to PEM files that fit")
        return
    days = (ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) / 86400
    until = f"{path}: {days:.0f} days left"
    result = "bad" if days < 0 else "note" if days < SOON else "ok"
    yield Finding("certificate", result, until, "" if result == "ok" else "renew it")
    names = certified_names(certificate)
    for domain in settings.domains:
        if not speaks_for(names, domain):
            says = f"for {', '.join(names) or 'nobody'}, not for {domain}"
            yield Finding("certificate", "bad", says, f"have {domain} among its subjectAltName entries (RFC 5922)")


def _buffers() -> Finding:
    from ringback.transport.datagram import RECEIVE_BUFFER

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        granted = probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    if sys.platform == "linux":
        granted //= 2  # the kernel counts its own overhead in
    if granted >= RECEIVE_BUFFER:
        return Finding("buffers", "ok", f"{granted // 1024} KB for datagrams that wait")
    says = f"{granted // 1024} KB for datagrams that wait, {RECEIVE_BUFFER // 1024} KB are wanted: bursts may be lost"
    return Finding("buffers", "note", says, f"sysctl -w net.core.rmem_max={RECEIVE_BUFFER}")


def _files(settings: Settings) -> Finding:
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.connections.total + 64
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return Finding("open files", "ok", f"{soft} at most")
    streams = any(it.transport != "UDP" for it in settings.addresses)
    says = f"{soft} at most, {wanted} for all the connections of connections.total"
    return Finding("open files", "note" if streams else "ok", says, "ulimit -n, or LimitNOFILE=" if streams else "")
