"""Kamailio as the next hop: a registrar and proxy of a domain of its own."""

from __future__ import annotations

from pathlib import Path

from tests.interop.process import LOOPBACK, Child, Children, find, free_port, need
from tests.interop.sip_socket import answers

HOME = "kamailio.test"


def start(children: Children, upstream: str) -> tuple[Child, int]:
    """Starts it on a free port; what is not for its own domain goes to ``upstream`` (``host:port``)."""
    need("kamailio")
    port = free_port()
    run = children.folder / f"kamailio-{port}"
    run.mkdir(parents=True)
    command = [find("kamailio") or "kamailio", "-f", str(Path(__file__).parent / "kamailio.cfg")]
    command += [
        "-l",
        f"udp:{LOOPBACK}:{port}",
        "-Y",
        str(run),
        "-P",
        str(run / "pid"),
        "-m",
        "64",
        "-M",
        "8",
        "-DD",
        "-E",
    ]
    command += ["-A", f'HOME="{HOME}"', "-A", f'UPSTREAM="sip:{upstream}"']
    child = children.start("kamailio", command)
    answers((LOOPBACK, port), child)
    return child, port
