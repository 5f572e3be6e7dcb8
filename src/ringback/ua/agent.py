"""The cores of a running user agent, as its calls, its requests and its registration use them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, final

from ringback.errors import SipError, TransportError
from ringback.protocol.cores.calls import Calls, State
from ringback.protocol.cores.ua_events import RequestDone

if TYPE_CHECKING:
    from ringback.protocol.cores.uac import UacCore
    from ringback.protocol.cores.uas import UasCore
    from ringback.protocol.message.model import Response
    from ringback.runtime.stack import Stack


def again(error: SipError) -> SipError:
    """The same error once more: one that was kept must not collect the tracebacks of all who raise it."""
    return type(error)(*error.args)


@final
class Agent:
    """Verbs in, and a turn of the stack after each; outcomes of requests out. Calls are named by number."""

    def __init__(self, stack: Stack, uac: UacCore, uas: UasCore, calls: Calls, sdp: bytes) -> None:
        self.uac = uac
        self.uas = uas
        self.sdp = sdp
        self._stack = stack
        self._calls = calls
        self._waiting: dict[int, asyncio.Future[RequestDone]] = {}

    def now(self) -> float:
        """The time, in seconds since 1970."""
        return self._stack.clock.now()

    def wake(self) -> None:
        """A core was told something, and may have something to send."""
        self._stack.wake()

    def state_of(self, number: int) -> str:
        """The state of a call in the words of the protocol, "Terminated" when it is over."""
        call = self._calls.get(number)
        return str(State.TERMINATED if call is None else call.state)

    def hang_up(self, number: int) -> None:
        """CANCEL, BYE or a refusal, whatever ends the call now."""
        self.uas.hang_up(number, self.now())
        self.wake()

    def withdraw(self, number: int, headers: Sequence[tuple[str, str]]) -> None:
        """CANCEL with these headers, if it is not too late."""
        self.uac.cancel(number, self.now(), headers)
        self.wake()

    async def done(self, token: int) -> Response:
        """The final response to the request with this token.

        Raises ``TransactionTimeout`` or ``TransportError`` when there is none. A task that is cancelled while it waits
        here leaves the request to itself.
        """
        future: asyncio.Future[RequestDone] = asyncio.get_running_loop().create_future()
        self._waiting[token] = future
        self.wake()
        try:
            outcome = await future
        finally:
            self._waiting.pop(token, None)
        if outcome.response is None:
            raise again(outcome.error or TransportError("no response"))
        return outcome.response

    def take_outcome(self, event: RequestDone) -> None:
        """A request has its outcome; whoever waits for it is told."""
        future = self._waiting.pop(event.token, None)
        if future is not None and not future.done():
            future.set_result(event)

    def forget(self, error: SipError) -> None:
        """Nothing will come any more: all who wait for a response are told ``error``."""
        for token in list(self._waiting):
            self.take_outcome(RequestDone(token, None, None, error))

    def is_busy(self) -> bool:
        """Whether a call is under way or a request of ours is unanswered."""
        return bool(self._calls.counts()["calls"] or self.uac.counts()["exchanges"])

    def counts(self) -> dict[str, int]:
        """Sizes of the tables, for leak checks."""
        return {**self._stack.counts(), **self._calls.counts(), "requests": len(self._waiting)}
