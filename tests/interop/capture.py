"""A capture file that a test writes: what an observer of the stack saw, as UDP packets that Wireshark can read."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

_RAW_IP = 101  # the link type of packets that begin with their IP header
_NO_CHECKSUM = 0


class Capture:
    """An observer (``ringback.protocol.trace``) that writes a pcap file, and counts what went out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sent = 0
        self.seen = 0
        self._file = path.open("wb")
        self._file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, _RAW_IP))

    def message(self, direction: str, data: bytes, transport: str, local: str, remote: str, now: float) -> None:
        source, target = (local, remote) if direction == "out" else (remote, local)
        packet = _packet(_split(source), _split(target), data)
        seconds = int(now)
        self._file.write(struct.pack("<IIII", seconds, int((now - seconds) * 1e6), len(packet), len(packet)))
        self._file.write(packet)
        self.seen += 1
        self.sent += direction == "out"

    def close(self) -> None:
        self._file.close()


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _packet(source: tuple[str, int], target: tuple[str, int], data: bytes) -> bytes:
    udp = struct.pack(">HHHH", source[1], target[1], 8 + len(data), _NO_CHECKSUM) + data
    if ":" in source[0]:
        addresses = socket.inet_pton(socket.AF_INET6, source[0]) + socket.inet_pton(socket.AF_INET6, target[0])
        return struct.pack(">IHBB", 6 << 28, len(udp), socket.IPPROTO_UDP, 64) + addresses + udp
    addresses = socket.inet_aton(source[0]) + socket.inet_aton(target[0])
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, _NO_CHECKSUM)
    return head + addresses + udp
