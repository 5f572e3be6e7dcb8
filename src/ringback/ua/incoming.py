"""A request that came in and that the application said it would answer itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from ringback.protocol.message.model import Request
    from ringback.protocol.transaction.key import ServerKey
    from ringback.ua.agent import Agent
    from ringback.ua.call import Call


@final
class IncomingRequest:
    """What a handler of ``@ua.on_request(method)`` gets. ``call`` is the call it came in, None outside of one."""

    def __init__(self, agent: Agent, key: ServerKey, request: Request, call: Call | None) -> None:
        self.request = request
        self.call = call
        self.is_answered = False
        self._agent = agent
        self._key = key

    @property
    def method(self) -> str:
        """The method, as written."""
        return self.request.method

    @property
    def body(self) -> bytes:
        """The body as it came."""
        return self.request.body

    def respond(
        self,
        status: int,
        reason: str | None = None,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> None:
        """Answer, once. Raises ``LocalProtocolError`` if it is answered already, by us or because its dialog ended."""
        self._agent.uas.respond(
            self._key,
            status,
            self._agent.now(),
            reason=reason,
            headers=headers,
            body=body,
            content_type=content_type,
        )
        self.is_answered = True
        self._agent.wake()
