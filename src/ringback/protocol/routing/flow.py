"""Where a message came from and where one goes.

A ``Hop`` is an answer to "where next?" (RFC 3263): transport, numeric address, port. A ``Flow`` is a hop together with
the local socket or connection that reaches it (RFC 5626 uses the word in this sense). Both are values: equal by
content, usable as dict keys, never changed after they are made.
"""

from __future__ import annotations

from typing import final

Address = tuple[str, int]  # numeric host without brackets, port

RELIABLE_TRANSPORTS = frozenset({"TCP", "TLS", "WS", "WSS", "SCTP"})
SECURE_TRANSPORTS = frozenset({"TLS", "WSS"})
WEB_TRANSPORTS = frozenset({"WS", "WSS"})


def format_address(address: Address) -> str:
    """``host:port``, an IPv6 host in brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@final
class Hop:
    """A next hop: transport in capitals ("UDP"), numeric host without brackets, port.

    ``name`` is the domain that led there and that a certificate must speak for (RFC 5922 §7.1): set for TLS and WSS
    only, empty where a URI gave the numeric host itself.
    """

    __slots__ = ("host", "name", "port", "transport")

    def __init__(self, transport: str, host: str, port: int, name: str = "") -> None:
        self.transport = transport
        self.host = host
        self.port = port
        self.name = name

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Hop)
            and self.port == other.port
            and self.host == other.host
            and self.transport == other.transport
            and self.name == other.name
        )

    def __hash__(self) -> int:
        return hash((self.transport, self.host, self.port, self.name))

    def __repr__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"Hop({self.transport} {format_address((self.host, self.port))}{name})"


@final
class Flow:
    """A path for messages: transport, our local address, the remote address, and for streams the connection's number.

    ``connection`` is 0 for datagrams. Requests that arrive have the flow they came on; a hop becomes a flow when
    the transport picks the local socket for it.
    """

    __slots__ = ("connection", "local", "reliable", "remote", "transport")

    def __init__(self, transport: str, local: Address, remote: Address, connection: int = 0) -> None:
        self.transport = transport
        self.local = local
        self.remote = remote
        self.connection = connection
        self.reliable = transport in RELIABLE_TRANSPORTS

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Flow)
            and self.remote == other.remote
            and self.local == other.local
            and self.transport == other.transport
            and self.connection == other.connection
        )

    def __hash__(self) -> int:
        return hash((self.transport, self.local, self.remote, self.connection))

    def __repr__(self) -> str:
        return f"Flow({self.transport} {format_address(self.local)} -> {format_address(self.remote)})"
