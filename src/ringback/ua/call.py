"""One call, as the one who makes or takes it sees it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Generator, Sequence
from typing import TYPE_CHECKING, Any, final

from ringback.errors import CallEnded, CallRejected, LocalProtocolError, SipError
from ringback.protocol.cores.calls import EndReason
from ringback.protocol.cores.capabilities import SDP
from ringback.protocol.cores.ua_events import CallAnswered, CallConfirmed, CallOver, CallProgress
from ringback.ua.agent import Agent, again

if TYPE_CHECKING:
    from ringback.protocol.message.model import Message, Request, Response
    from ringback.protocol.message.values import NameAddr

CallEvent = CallProgress | CallAnswered | CallConfirmed | CallOver
MOST_EVENTS = 256  # kept for a stream that nobody reads; the oldest are dropped


@final
class Call:
    """A call that was made (``ua.call``, ``ua.dial``) or is being received (``@ua.on_call``).

    ``request`` is the INVITE of a call received, ``response`` the 2xx of one that was made, ``ack`` the ACK
    that came for our 2xx, ``end_message`` what ended the call (the refusing response, their BYE or CANCEL). ``number``
    tells calls of one user agent apart. CANCEL, BYE and ACK take effect when they arrive, whatever the holder of this
    object is doing: verbs raise ``CallEnded`` once the call is over.
    """

    def __init__(self, agent: Agent, number: int, remote: NameAddr, request: Request | None) -> None:
        loop = asyncio.get_running_loop()
        self.number = number
        self.is_caller = request is None
        self.remote = remote
        self.request = request
        self.response: Response | None = None
        self.ack: Request | None = None
        self.end_message: Message | None = None
        self._agent = agent
        self._error: SipError | None = None
        self._answered: asyncio.Future[None] = loop.create_future()
        self._over: asyncio.Future[EndReason] = loop.create_future()
        self._events: deque[CallEvent] = deque(maxlen=MOST_EVENTS)
        self._news: asyncio.Future[None] | None = None
        self._handler: asyncio.Task[None] | None = None
        self._sees_end = False
        self._in_verb = False

    def __repr__(self) -> str:
        way = "to" if self.is_caller else "from"
        return f"<Call {self.number} {way} {self.remote.uri_text}: {self.state}>"

    # what it is

    @property
    def state(self) -> str:
        """The state of the call in the words of ``protocol.cores.calls.State``, "Terminated" when it is over."""
        return self._agent.state_of(self.number)

    @property
    def remote_body(self) -> bytes:
        """The body that came with the peer's INVITE or 2xx: its session description, as a rule; b"" if none came."""
        message = self.response if self.is_caller else self.request
        return b"" if message is None else message.body

    @property
    def ended(self) -> Ended:
        """``await call.ended`` waits until the call is over and gives the reason.

        A handler that has asked for this, or for ``events()``, is told there; any other is cancelled at the end.
        """
        self._note_listener()
        return Ended(self._over)

    async def events(self) -> AsyncIterator[CallEvent]:
        """Everything that happens to the call, in order from its beginning, to ``CallOver``. For one reader only."""
        self._note_listener()
        while True:
            while self._events:
                event = self._events.popleft()
                yield event
                if isinstance(event, CallOver):
                    return
            if self._over.done():
                return
            self._news = asyncio.get_running_loop().create_future()
            await self._news

    # what the caller does

    async def answered(self) -> None:
        """Wait until a call that was dialled is answered.

        Raises ``CallRejected`` for a final response other than 2xx, ``TransactionTimeout`` or ``TransportError`` when
        there is none, and ``CallEnded`` if it was cancelled on our side.
        """
        await self._wait(self._answered)
        if self.is_caller and self.response is not None:
            return
        if self._error is not None:
            raise again(self._error)
        message = self.end_message
        if message is not None and self._over.done() and self._over.result() is EndReason.REJECTED:
            raise CallRejected(message)
        self._check_alive()

    async def cancel(self, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Withdraw a call that is not answered, and wait until that is done. ``headers`` go into the CANCEL.

        A 2xx that crosses the CANCEL is acknowledged and ended by BYE. Does nothing when the call is over.
        """
        if not self._over.done():
            self._agent.withdraw(self.number, headers)
            await self._wait(self._over)

    async def hangup(self) -> None:
        """End the call, and wait until it is over: CANCEL before it is answered, BYE after, a refusal if it rings here.

        Does nothing when the call is over.
        """
        if not self._over.done():
            self._agent.hang_up(self.number)
            await self._wait(self._over)

    async def request_inside(
        self,
        method: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes | str = b"",
        content_type: str | None = None,
    ) -> Response:
        """Send a request in the call's dialog and give its final response, whatever its status: INFO, OPTIONS, a
        re-INVITE.

        Raises ``TransactionTimeout`` or ``TransportError`` when there is none, ``CallEnded`` when the call is over, and
        ``LocalProtocolError`` while it has no dialog.
        """
        self._check_alive()
        data = _octets(body)
        if method == "INVITE":
            content_type = _kind(data, content_type)
        token = self._agent.uac.request_in_call(
            self.number, method, self._agent.now(), headers=headers, body=data, content_type=content_type
        )
        return await self._agent.done(token)

    # what the callee does

    async def ring(
        self,
        status: int = 180,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes | str = b"",
        content_type: str | None = None,
    ) -> None:
        """Tell the caller that it rings here. Raises ``CallEnded`` when the call is over or answered."""
        self._check_received()
        data = _octets(body)
        self._agent.uas.ring(
            self.number,
            self._agent.now(),
            status=status,
            headers=headers,
            body=data,
            content_type=_kind(data, content_type),
        )
        self._agent.wake()

    async def answer(
        self,
        body: bytes | str | None = None,
        *,
        content_type: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Take the call, and wait for the caller's ACK.

        ``body`` is the session description to answer with (default: the user agent's ``sdp``). Raises ``CallEnded``
        when the call is over before that, or no ACK comes in 64*T1.
        """
        self._check_received()
        data = self._agent.sdp if body is None else _octets(body)
        self._agent.uas.answer(
            self.number, self._agent.now(), headers=headers, body=data, content_type=_kind(data, content_type)
        )
        self._agent.wake()
        await self._wait(self._answered)
        self._check_alive()  # it may have been acknowledged and ended in one breath

    async def reject(
        self, status: int = 480, reason: str | None = None, *, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Refuse the call, by default as not available. Raises ``CallEnded`` when it is over or answered."""
        self._check_received()
        self._agent.uas.reject(self.number, self._agent.now(), status=status, reason=reason, headers=headers)
        self._agent.wake()
        await self._wait(self._over)

    # what the user agent tells it

    def take_event(self, event: CallEvent) -> None:
        """For the user agent only: something happened to this call."""
        self._events.append(event)
        if isinstance(event, CallAnswered):
            self.response = event.response
        elif isinstance(event, CallConfirmed):
            self.ack = event.ack
        elif isinstance(event, CallOver):
            self.end_message = event.message
            self._error = event.error
            self._over.set_result(event.reason)
            if self._handler is not None and not self._sees_end and not self._in_verb:
                self._handler.cancel()
        if not isinstance(event, CallProgress) and not self._answered.done():
            self._answered.set_result(None)
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def handled_by(self, task: asyncio.Task[None] | None) -> None:
        """For the user agent only: this task runs the handler of the call; None once it has ended."""
        self._handler = task

    async def _wait(self, future: asyncio.Future[Any]) -> None:
        """Wait in a verb: if the call ends meanwhile the verb tells, so the handler need not be cancelled."""
        if asyncio.current_task() is not self._handler:
            await asyncio.shield(future)
            return
        self._in_verb = True
        try:
            await asyncio.shield(future)
        finally:
            self._in_verb = False

    def _note_listener(self) -> None:
        """A handler that asks for the end of the call learns of it there."""
        if self._handler is not None and asyncio.current_task() is self._handler:
            self._sees_end = True

    def _check_alive(self) -> None:
        if self._over.done():
            raise CallEnded(f"the call is over: {self._over.result()}")

    def _check_received(self) -> None:
        self._check_alive()
        if self.is_caller:
            raise LocalProtocolError("only a call that was received can be rung for, answered or refused")


@final
class Ended:
    """The end of a call, to be awaited as often as one likes; gives an ``EndReason``."""

    __slots__ = ("_over",)

    def __init__(self, over: asyncio.Future[EndReason]) -> None:
        self._over = over

    def __await__(self) -> Generator[None, None, EndReason]:
        return asyncio.shield(self._over).__await__()

    def __bool__(self) -> bool:
        return self._over.done()


def _octets(body: bytes | str) -> bytes:
    return body.encode() if isinstance(body, str) else body


def _kind(body: bytes, content_type: str | None) -> str | None:
    """A body is a session description unless something else is said."""
    return content_type or (SDP if body else None)
