"""What the user agent's cores say to their user, returned in order by ``poll()``.

Calls and requests are named by number, so that nothing down here holds on to anything up there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from ringback.protocol.routing.locate import Locate

if TYPE_CHECKING:
    from ringback.protocol.cores.calls import EndReason
    from ringback.protocol.errors import SipError
    from ringback.protocol.message.model import Message, Request, Response
    from ringback.protocol.transaction.key import ServerKey


class _Event:
    """What all events share: they say what they are."""

    __slots__: tuple[str, ...] = ()

    def __repr__(self) -> str:
        told = []
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None:
                told.append(f"{name}={getattr(value, 'start_line', value)!s}")
        return f"<{type(self).__name__} {' '.join(told)}>"


@final
class CallOffered(_Event):
    """Somebody calls: an INVITE that passed every check and awaits ``ring``, ``answer`` or ``reject``."""

    __slots__ = ("call", "request")

    def __init__(self, call: int, request: Request) -> None:
        self.call = call
        self.request = request


@final
class CallProgress(_Event):
    """A provisional response (101-199) to our INVITE."""

    __slots__ = ("call", "response")

    def __init__(self, call: int, response: Response) -> None:
        self.call = call
        self.response = response


@final
class CallAnswered(_Event):
    """The first 2xx to our INVITE; its ACK is on its way (§13.2.2.4)."""

    __slots__ = ("call", "response")

    def __init__(self, call: int, response: Response) -> None:
        self.call = call
        self.response = response


@final
class CallConfirmed(_Event):
    """The ACK to our 2xx came; ``ack`` may carry a body."""

    __slots__ = ("ack", "call")

    def __init__(self, call: int, ack: Request) -> None:
        self.call = call
        self.ack = ack


@final
class CallOver(_Event):
    """The call is over. The last event of a call.

    ``message`` is what ended it: the refusing response, the peer's BYE or CANCEL, the answer to our BYE; None if time
    or the network did. ``error`` is set when the INVITE got no answer: ``TransactionTimeout`` or ``TransportError``.
    """

    __slots__ = ("call", "error", "message", "reason")

    def __init__(self, call: int, reason: EndReason, message: Message | None, error: SipError | None = None) -> None:
        self.call = call
        self.reason = reason
        self.message = message
        self.error = error


@final
class RequestOffered(_Event):
    """A request that the user said it would answer itself, by ``UasCore.respond(key, …)``.

    ``call`` is the number of the call in whose dialog it came, None outside of one. A re-INVITE is one of these.
    """

    __slots__ = ("call", "key", "request")

    def __init__(self, key: ServerKey, request: Request, call: int | None) -> None:
        self.key = key
        self.request = request
        self.call = call


@final
class RequestWithdrawn(_Event):
    """A request handed out before is answered already and needs no answer: its dialog ended, or it was cancelled."""

    __slots__ = ("key",)

    def __init__(self, key: ServerKey) -> None:
        self.key = key


@final
class RequestDone(_Event):
    """A request sent with ``UacCore.request`` has its outcome: a final response, or an error instead of one.

    ``request`` is what was sent last, after any challenge; None if nothing could be sent.
    """

    __slots__ = ("error", "request", "response", "token")

    def __init__(self, token: int, request: Request | None, response: Response | None, error: SipError | None) -> None:
        self.token = token
        self.request = request
        self.response = response
        self.error = error


UaEvent = (
    CallOffered
    | CallProgress
    | CallAnswered
    | CallConfirmed
    | CallOver
    | RequestOffered
    | RequestWithdrawn
    | RequestDone
    | Locate
)
