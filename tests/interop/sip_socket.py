"""A bare UDP socket that asks a server whether it is there."""

from __future__ import annotations

import itertools
import socket

from tests.interop.process import Child, wait_for

_number = itertools.count()


def answers(address: tuple[str, int], child: Child, seconds: float = 15.0) -> None:
    """Sends OPTIONS until something comes back; AssertionError with the program's words when nothing does."""
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        probe.settimeout(0.2)
        literal = f"[{host}]" if ":" in host else host
        local = f"{literal}:{probe.getsockname()[1]}"
        call = f"{next(_number)}-probe"

        def answered() -> bool:
            if not child.running:
                raise AssertionError(f"{child.name} ended with {child.process.returncode}\n{child}")
            try:
                probe.sendto(
                    f"OPTIONS sip:{literal}:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK-{call};rport\r\n"
                    f"Max-Forwards: 70\r\nFrom: <sip:probe@{literal}>;tag=probe\r\nTo: <sip:{literal}:{port}>\r\n"
                    f"Call-ID: {call}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n".encode(),
                    address,
                )
                return probe.recv(65_535).startswith(b"SIP/2.0 ")
            except OSError:
                return False

        try:
            wait_for(answered, f"answer from {child.name} on {host}:{port}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{child}") from None
