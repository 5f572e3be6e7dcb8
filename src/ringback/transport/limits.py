"""What connections may take of us: how many, how long, how much memory."""

from __future__ import annotations

from typing import final


@final
class StreamLimits:
    """The bounds on connections of a stack; times in seconds.

    ``connections`` that others opened, in all, and ``per_address`` from one of them: more are closed at once. Of our
    own there are as many at most.
    ``connecting``: to be connected, and to have shaken hands where it is TLS. ``first_message``: from then to the first
    whole message on a connection that another opened. ``half_message``: from the first byte of a message to its last.
    ``idle``: without a message or keep-alive in either direction. ``ping``: between the keep-alives (RFC 5626 §4.4.1)
    that we send on a connection that we opened, None for none; ``pong``: for the answer, of a peer that has answered
    before. ``web_ping``: between our keep-alives on a WebSocket, whoever opened it: a page can send none. There an
    answer is a duty. ``write_queue``: bytes that wait for a peer that does not read.
    """

    __slots__ = (
        "connecting",
        "connections",
        "first_message",
        "half_message",
        "idle",
        "per_address",
        "ping",
        "pong",
        "web_ping",
        "write_queue",
    )

    def __init__(
        self,
        *,
        connections: int = 16384,
        per_address: int = 4096,
        connecting: float = 10.0,
        first_message: float = 30.0,
        half_message: float = 30.0,
        idle: float = 3900.0,
        ping: float | None = None,
        pong: float = 10.0,
        web_ping: float | None = 30.0,
        write_queue: int = 1024 * 1024,
    ) -> None:
        self.connections = connections
        self.per_address = per_address
        self.connecting = connecting
        self.first_message = first_message
        self.half_message = half_message
        self.idle = idle
        self.ping = ping
        self.pong = pong
        self.web_ping = web_ping
        self.write_queue = write_queue


DEFAULT_STREAM_LIMITS = StreamLimits()
