"""What a call or a request needs of the user agent that it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ringback.protocol.cores.uas import UasCore
from ringback.protocol.message.model import Response


class Agent(Protocol):
    """``UserAgent``, as its calls see it. Calls are named by number."""

    sdp: bytes
    uas: UasCore

    def now(self) -> float:
        """The time, in seconds since 1970."""

    def wake(self) -> None:
        """A core was told something, and may have something to send."""

    def state_of(self, number: int) -> str:
        """The state of a call in the words of the protocol, "Terminated" when it is over."""

    def hang_up(self, number: int) -> None:
        """CANCEL, BYE or a refusal, whatever ends the call now."""

    def withdraw(self, number: int, headers: Sequence[tuple[str, str]]) -> None:
        """CANCEL with these headers, if it is not too late."""

    async def request_in_call(
        self,
        number: int,
        method: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        content_type: str | None,
    ) -> Response:
        """A request in the call's dialog, and its final response."""
