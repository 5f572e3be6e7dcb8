"""baresip as a softphone without sound or display, told what to do by its own commands."""

from __future__ import annotations

import socket
import wave
from pathlib import Path

from tests.interop.process import LOOPBACK, Child, Children, find, free_port, wait_for

_MODULES = ("account", "menu", "ctrl_tcp", "g711", "aufile")


def _modules_folder() -> Path:
    for folder in (Path("/usr/lib/baresip/modules"), *Path("/usr/lib").glob("*/baresip/modules")):
        if folder.is_dir():
            return folder
    raise FileNotFoundError("baresip's modules")


def _write_silence(path: Path, seconds: int = 30) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(2 * 8000 * seconds))


class Baresip:
    """One softphone with one account."""

    def __init__(
        self,
        children: Children,
        user: str,
        domain: str,
        server: str,
        password: str = "",
        *,
        transport: str = "udp",
        authorities: Path | None = None,
    ) -> None:
        """Registers at ``server`` (``host:port``); by TLS it believes those in ``authorities``."""
        self.port = free_port()
        self._control = free_port()
        folder = children.folder / f"baresip-{user}"
        folder.mkdir(parents=True)
        modules = _modules_folder()
        spoken = folder / "spoken.wav"
        _write_silence(spoken)
        lines = [
            f"sip_listen {LOOPBACK}:{self.port}",
            f"net_interface {LOOPBACK}",
            f"ctrl_tcp_listen {LOOPBACK}:{self._control}",
            # A file in, a file out: neither needs a sound card.
            f"audio_source aufile,{spoken}",
            f"audio_player aufile,{folder / 'heard.wav'}",
            f"audio_alert aufile,{folder / 'alert.wav'}",
            f"rtp_ports {self.port + 2}-{self.port + 30}",
            f"module_path {modules}",
            *([f"sip_cafile {authorities}", "sip_verify_server yes"] if authorities else []),
            *(f"module {name}.so" for name in _MODULES if (modules / f"{name}.so").exists()),
        ]
        (folder / "config").write_text("\n".join(lines) + "\n")
        account = (
            f'<sip:{user}@{domain};transport={transport}>;outbound="sip:{server};transport={transport}"'
            ";regint=600;answermode=manual"
        )
        if password:
            account += f";auth_user={user};auth_pass={password}"
        (folder / "accounts").write_text(account + "\n")
        (folder / "contacts").write_text("")
        self.name = user
        command = [find("baresip") or "baresip", "-f", str(folder), "-s", "-t", "60"]
        self.child: Child = children.start(f"baresip-{user}", command)

    def registered(self) -> None:
        """Waits until the server has taken its registration."""
        self.child.wait_for_output(" binding", 15)

    def command(self, words: str) -> None:
        """Says one of baresip's commands, such as ``dial sip:bob@example.test``, ``accept`` or ``hangup``."""
        name, _, parameters = words.partition(" ")
        message = f'{{"command":"{name}","params":"{parameters}"}}'.encode()

        def said() -> bool:
            try:
                with socket.create_connection((LOOPBACK, self._control), 2) as control:
                    control.sendall(b"%d:%s," % (len(message), message))
                    control.settimeout(2)
                    return bool(control.recv(4096))
            except OSError:
                return False

        wait_for(said, f"ear of baresip {self.name} for {words!r}")
