"""`ringback serve` as a process of its own, as its users run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.interop.process import LOOPBACK, Child, Children, free_port
from tests.interop.sip_socket import answers
from tests.interop.sipp import DOMAIN

RINGBACK = [str(Path(sys.executable).parent / "ringback")]
PASSWORD = "secret"


class RingbackServer:
    """A running server, its address, and the command line beside it."""

    def __init__(
        self,
        children: Children,
        *,
        domains: tuple[str, ...] = (DOMAIN,),
        users: tuple[str, ...] = (),
        settings: str = "",
        tables: str = "",
        tcp: bool = False,
        tls: bool = False,
        web: bool = False,
        host: str = LOOPBACK,
    ) -> None:
        """``users`` of the first domain get ``PASSWORD``; with none the server is open. ``settings`` is TOML, and so is
        ``tables``, at the end. With ``tcp`` it listens on the same port by TCP, with ``tls`` on ``tls_port``,
        with ``web`` on ``ws_port`` and, if there is ``tls`` as well, ``wss_port``.
        """
        number = len(children.all)
        self.domain = domains[0]
        self.port = free_port(host)
        self.tls_port = free_port(host) if tls else 0
        self.ws_port = free_port(host) if web else 0
        self.wss_port = free_port(host) if web and tls else 0
        self.host = host
        self.address = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.store = f"sqlite:{children.folder / f'ringback-{number}.db'}"
        children.folder.mkdir(parents=True, exist_ok=True)
        config = children.folder / f"ringback-{number}.toml"
        # SIPp knows MD5 only, and reads the first challenge.
        names = ", ".join(f'"{name}"' for name in domains)
        config.write_text(f'{settings}domains = [{names}]\n[auth]\nalgorithms = ["MD5"]\n{tables}')
        self._config = config
        for user in users:
            self.command("user", "add", f"{user}@{self.domain}")
        command = [*RINGBACK, "serve", "--config", str(config)]
        command += ["--listen", f"udp:{self.address}", "--store", self.store]
        if tcp:
            command += ["--listen", f"tcp:{self.address}"]
        if tls:
            command += ["--listen", f"tls:{self.address.rpartition(':')[0]}:{self.tls_port}"]
        for transport, port in (("ws", self.ws_port), ("wss", self.wss_port)):
            if port:
                command += ["--listen", f"{transport}:{self.address.rpartition(':')[0]}:{port}"]
        if not users:
            command.append("--open")
        self.child: Child = children.start("ringback", [*command, "-vvv"])
        answers((host, self.port), self.child)

    def command(self, *words: str) -> str:
        """Runs another ``ringback`` command on the same store; its output. AssertionError when it fails."""
        done = subprocess.run(
            [*RINGBACK, *words, "--config", str(self._config), "--store", self.store],
            env={**os.environ, "RINGBACK_PASSWORD": PASSWORD},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, f"ringback {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def bindings(self) -> str:
        """What is registered: one JSON document a binding."""
        return self.command("location", "show", "--json")
