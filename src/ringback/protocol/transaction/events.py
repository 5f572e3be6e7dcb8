"""What the transaction layer says to its user, returned in order by ``TransactionLayer.poll()``.

``user`` is the short name of the transaction user that made the transaction ("proxy", "uac" ...); the runtime hands
the event to the core of that name. Requests that match no transaction have no user yet: the composition root decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from ringback.protocol.message.model import Request, Response
    from ringback.protocol.routing.flow import Flow
    from ringback.protocol.transaction.key import ClientKey, ServerKey


@final
class SendMessage:
    """Bytes to put on the wire by ``flow``. ``key`` is the transaction to tell if that fails (None: nobody)."""

    __slots__ = ("data", "flow", "key")

    def __init__(self, data: bytes, flow: Flow, key: ClientKey | ServerKey | None) -> None:
        self.data = data
        self.flow = flow
        self.key = key


@final
class RequestReceived:
    """A request that matches no transaction, an ACK for a 2xx included. Nothing has been answered or remembered.

    The transaction user calls ``accept`` (makes the server transaction) or ``reply_stateless``, or does nothing.
    ``key`` is the server transaction key the request would have.
    """

    __slots__ = ("flow", "key", "request")

    def __init__(self, request: Request, key: ServerKey, flow: Flow) -> None:
        self.request = request
        self.key = key
        self.flow = flow


@final
class CancelReceived:
    """A CANCEL that names a living INVITE server transaction (``key``), already answered 200 by the layer (§9.2).

    Emitted only when that transaction has no final response yet. ``request`` is the CANCEL (its Reason is copied on).
    A CANCEL that matches nothing comes as ``RequestReceived``.
    """

    __slots__ = ("key", "request", "user")

    def __init__(self, key: ServerKey, request: Request, user: str) -> None:
        self.key = key
        self.request = request
        self.user = user


@final
class ResponseReceived:
    """A response to a request of ours: each 1xx, the first final one, and every further 2xx to INVITE (RFC 6026)."""

    __slots__ = ("flow", "key", "response", "user")

    def __init__(self, key: ClientKey, response: Response, flow: Flow, user: str) -> None:
        self.key = key
        self.response = response
        self.flow = flow
        self.user = user


@final
class StrayResponse:
    """A response that matches no client transaction. A proxy drops it (RFC 6026 §7.3), a UAC ACKs a late 2xx."""

    __slots__ = ("flow", "response")

    def __init__(self, response: Response, flow: Flow) -> None:
        self.response = response
        self.flow = flow


@final
class TransactionTimedOut:
    """Timer B or F of a client transaction (no final response), or Timer H of a server one (no ACK to a 3xx-6xx).

    ``flow`` is where the request had been sent to, None for a server transaction.
    """

    __slots__ = ("flow", "key", "server", "user")

    def __init__(self, key: ClientKey | ServerKey, user: str, server: bool, flow: Flow | None = None) -> None:
        self.key = key
        self.user = user
        self.server = server
        self.flow = flow


@final
class TransportFailed:
    """The transport could not send for this transaction. A client transaction is gone after it (§8.1.3.1: as a 503).

    ``flow`` is the way that failed, None where nothing was tried.
    """

    __slots__ = ("flow", "key", "server", "text", "user")

    def __init__(
        self, key: ClientKey | ServerKey, user: str, server: bool, text: str, flow: Flow | None = None
    ) -> None:
        self.key = key
        self.user = user
        self.server = server
        self.text = text
        self.flow = flow


@final
class TransactionTerminated:
    """The transaction has left the tables. The last event with this key."""

    __slots__ = ("key", "server", "user")

    def __init__(self, key: ClientKey | ServerKey, user: str, server: bool) -> None:
        self.key = key
        self.user = user
        self.server = server


Event = (
    SendMessage
    | RequestReceived
    | CancelReceived
    | ResponseReceived
    | StrayResponse
    | TransactionTimedOut
    | TransportFailed
    | TransactionTerminated
)
