"""The registration of a user agent: the registrant's wishes sent, its news handed on."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, final

from ringback.errors import CallRejected, SipError, TransportError
from ringback.protocol.registration.registrant import (
    Registered,
    RegistrantEvent,
    RegistrationFailed,
    SendRegister,
)
from ringback.ua.agent import again

if TYPE_CHECKING:
    from ringback.protocol.cores.ua_events import RequestDone
    from ringback.protocol.registration.registrant import Registrant
    from ringback.ua.agent import Agent

logger = logging.getLogger(__name__)


@final
class Registration:
    """One binding at one registrar. ``is_active`` says whether it stands, as far as we know."""

    def __init__(self, aor: str, registrant: Registrant, agent: Agent) -> None:
        self.is_active = False
        self._aor = aor
        self._registrant = registrant
        self._agent = agent
        self._token: int | None = None
        self._waiting: list[asyncio.Future[RegistrantEvent]] = []

    async def register(self, expires: int) -> int:
        """Have the binding, and keep it. Gives the seconds granted; raises as ``UserAgent.register`` does."""
        self._registrant.register(self._agent.now(), expires)
        event = await self._news()
        return event.expires if isinstance(event, Registered) else 0

    async def unregister(self) -> None:
        """Have it no more. Raises as ``register`` does."""
        self._registrant.unregister(self._agent.now())
        await self._news()

    def take_outcome(self, event: RequestDone, now: float) -> bool:
        """The outcome of a request, if it is the REGISTER that is out; False if it is another."""
        if event.token != self._token:
            return False
        self._token = None
        self._registrant.receive(event.request, event.response, event.error, now)
        return True

    def take_event(self, event: RegistrantEvent, now: float) -> None:
        """What the registrant says."""
        if isinstance(event, SendRegister):
            self._token = self._agent.uac.request(
                "REGISTER",
                event.uri,
                now,
                headers=[("Expires", str(event.expires))],
                to=event.to,
                call_id=event.call_id,
                sequence=event.sequence,
                contact=True,
            )
            return
        if isinstance(event, RegistrationFailed):
            self.is_active = event.retry_in is not None
            if not self._waiting:  # who waits is told by an exception
                response = event.response
                why = event.error if response is None else f"{response.status} {response.reason}"
                logger.warning("registration of %s failed: %s", self._aor, why)
        else:
            self.is_active = isinstance(event, Registered)
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(event)

    def forget(self, error: SipError) -> None:
        """Nothing will come any more: all who wait are told ``error``."""
        if self._waiting:
            self.take_event(RegistrationFailed(None, error, None), self._agent.now())

    async def _news(self) -> RegistrantEvent:
        future: asyncio.Future[RegistrantEvent] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._agent.wake()
        event = await future
        if isinstance(event, RegistrationFailed):
            if event.response is not None:
                raise CallRejected(event.response)
            raise again(event.error or TransportError("no response"))
        return event
