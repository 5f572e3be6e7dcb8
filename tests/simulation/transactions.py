"""What the transaction layer tells the cores of a stack, written down on its way."""

from __future__ import annotations

from typing import Any

from ringback.protocol.transaction.events import (
    ResponseReceived,
    TransactionTerminated,
    TransactionTimedOut,
    TransportFailed,
)
from ringback.runtime.stack import Stack


class Journal:
    """The outcomes of every client transaction, by host and key, and which of them have ended.

    A final response is its status, several 2xx to INVITE being one outcome (RFC 6026); "timed out" and "failed" are
    the two that come without a response.
    """

    def __init__(self) -> None:
        self.outcomes: dict[tuple[str, Any], list[int | str]] = {}
        self.ended: dict[tuple[str, Any], int] = {}

    def write(self, host: str, event: Any) -> None:
        """Keep what the event says of a client transaction."""
        if isinstance(event, ResponseReceived):
            outcomes = self.outcomes.setdefault((host, event.key), [])
            status = event.response.status
            if status >= 200:
                again = event.key[1] == "INVITE" and status < 300 and outcomes == [200]
                if not again:
                    outcomes.append(200 if status < 300 else status)
        elif isinstance(event, TransactionTimedOut) and not event.server:
            self.outcomes.setdefault((host, event.key), []).append("timed out")
        elif isinstance(event, TransportFailed) and not event.server:
            self.outcomes.setdefault((host, event.key), []).append("failed")
        elif isinstance(event, TransactionTerminated) and not event.server:
            key = (host, event.key)
            self.ended[key] = self.ended.get(key, 0) + 1


class _Listening:
    """A core that writes down every event and hands it on."""

    def __init__(self, core: Any, host: str, journal: Journal) -> None:
        self._core = core
        self._host = host
        self._journal = journal

    def handle_event(self, event: Any, now: float) -> None:
        self._journal.write(self._host, event)
        self._core.handle_event(event, now)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)


def listen_in(stack: Stack, host: str, journal: Journal) -> None:
    """Write down the events of every core of ``stack``."""
    for name, core in stack._cores.items():
        stack._cores[name] = _Listening(core, host, journal)
