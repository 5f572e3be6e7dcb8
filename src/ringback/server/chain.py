"""What a request goes through in the server, as a list of steps that reads as the server's policy.

A step looks at the exchange and says ``NEXT`` or ``DONE``; one that is done has answered, forwarded or dropped the
request. Rules:

1. A step is ``async def`` but almost never waits: the chain drives the whole list with one ``send(None)``, no task.
2. A step that must wait awaits ``suspend()`` (of ``transport.coroutines``) first. The chain is then made a task and
   goes on in a later loop turn. Awaiting anything else before that is an error of the step.
3. A store that is busy has changed nothing: the exchange waits and later starts again at the step that met it.
4. A step knows nothing of the other steps. What it learns it writes on the exchange.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, final

from ringback.protocol.errors import LocalProtocolError, RemoteProtocolError, StoreError
from ringback.protocol.grammar import quote
from ringback.protocol.message.build import build_error, build_response
from ringback.server.stores.base import StoreBusy
from ringback.transport.coroutines import Suspended, drive

if TYPE_CHECKING:
    from ringback.protocol.cores.proxy.core import Admission
    from ringback.protocol.cores.proxy.target_set import Target
    from ringback.protocol.message.model import Request, Response
    from ringback.protocol.routing.flow import Flow
    from ringback.protocol.transaction.key import ServerKey
    from ringback.protocol.transaction.layer import TransactionLayer
    from ringback.runtime.stateless_tags import StatelessTags

logger = logging.getLogger("ringback.server")

SERVER = ""  # the transaction user of what the server answers itself: nobody, who has nothing more to hear of it

Headers = Sequence[tuple[str, str]]

DEGRADED_RETRY_AFTER = 5  # seconds that we ask a client to wait when a store is out of reach


class Verdict(StrEnum):
    """What a step says."""

    NEXT = "next"
    DONE = "done"


class Destination(StrEnum):
    """Whom the request is for, once the Route that brought it here is off."""

    SELF = "self"  # this server: our domain or address, no user part
    LOCAL = "local"  # a user of a domain of ours
    FOREIGN = "foreign"  # another host, by Route or Request-URI


@final
class Answering:
    """What every answer of the server needs: the layer, the tags, and the Server header field's value, if any."""

    __slots__ = ("layer", "server_name", "tags")

    def __init__(self, layer: TransactionLayer, tags: StatelessTags, server_name: str | None) -> None:
        self.layer = layer
        self.tags = tags
        self.server_name = server_name


@final
class Exchange:
    """One request on its way through the steps.

    ``key`` is the server transaction's, which exists once ``accept`` was called. ``user`` is the authenticated user's
    name in ``realm``, ``within_dialog`` that the request came by a Record-Route of ours, ``aor`` whom it is for when
    ``destination`` is LOCAL, ``targets`` where it goes.
    """

    __slots__ = (
        "_answering",
        "_tag",
        "accepted",
        "admission",
        "answered",
        "aor",
        "destination",
        "flow",
        "key",
        "now",
        "position",
        "realm",
        "request",
        "started",
        "targets",
        "user",
        "within_dialog",
    )

    def __init__(self, request: Request, key: ServerKey, flow: Flow, now: float, answering: Answering) -> None:
        self.request = request
        self.key = key
        self.flow = flow
        self.now = now
        self.started = now
        self._answering = answering
        self._tag = ""
        self.accepted = False
        self.admission: Admission | None = None
        self.answered = False
        self.destination = Destination.FOREIGN
        self.within_dialog = False
        self.aor = ""
        self.user = ""
        self.realm = ""
        self.targets: list[Target] = []
        self.position = 0

    def accept(self, user: str) -> None:
        """Make the server transaction, its events going to the core ``user``. A second call does nothing."""
        if not self.accepted:
            layer = self._answering.layer
            # Who forwards has no answer of his own yet, whose tag the 200 to a CANCEL could bear.
            tag = self.stateless_tag() if user == SERVER else None
            self.key = layer.accept(self.request, self.flow, self.now, user, tag, self.key)
            self.accepted = True

    def respond(self, response: Response) -> None:
        """Send ``response``: through the server transaction if there is or must be one, else statelessly.

        Nothing is ever sent to answer an ACK.
        """
        self.answered = True
        if self.request.method == "ACK":
            return
        if self._answering.server_name is not None:
            response.append("Server", self._answering.server_name)
        if self.user:
            # The count of these credentials is used up: a retransmission must find the answer, not a new challenge.
            self.accept(SERVER)
        if self.accepted:
            self._answering.layer.respond(self.key, response, self.now)
        else:
            self._answering.layer.reply_stateless(self.request, self.flow, response)

    def stateless_tag(self) -> str:
        """The To tag of our own answers to this request."""
        if not self._tag:
            self._tag = self._answering.tags.tag(self.request)
        return self._tag

    def refuse(self, status: int, headers: Headers = (), why: str | None = None) -> Verdict:
        """Answer with ``status`` and be done. ``why`` goes into a Warning, for the person who looks for the reason."""
        if why is not None:
            headers = [*headers, ("Warning", f"399 ringback {quote(why)}")]
        self.respond(build_response(self.request, status, to_tag=self.stateless_tag(), headers=headers))
        return Verdict.DONE

    def refuse_error(self, error: RemoteProtocolError) -> Verdict:
        """Answer what ``error`` says the request broke, with a Warning that names the clause."""
        self.respond(build_error(error, self.request, self.stateless_tag()))
        return Verdict.DONE


Step = Callable[[Exchange], Awaitable[Verdict]]


@final
class Chain:
    """Runs exchanges through ``steps``.

    ``on_busy`` gets an exchange whose step met a busy store. ``after`` is called when an exchange goes on as a task and
    has come to a stop, since nobody else then drains what it caused.
    """

    def __init__(self, steps: Sequence[Step], on_busy: Callable[[Exchange], None], after: Callable[[], None]) -> None:
        self._steps = tuple(steps)
        self._on_busy = on_busy
        self._after = after
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, exchange: Exchange) -> None:
        """Take ``exchange`` through the steps, from the one where it stopped. Raises nothing."""
        try:
            outcome = drive(self._go(exchange))
        except RuntimeError:
            logger.exception("a step of %s waited without suspend()", exchange.request.method)
            self._fail(exchange)
            return
        if isinstance(outcome, Suspended):
            task = asyncio.get_running_loop().create_task(outcome.rest)
            self._tasks.add(task)
            task.add_done_callback(self._stopped)

    async def close(self) -> None:
        """Cancel the exchanges that wait."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def __len__(self) -> int:
        return len(self._tasks)

    def _stopped(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._after()

    async def _go(self, exchange: Exchange) -> None:
        try:
            steps = self._steps
            for position in range(exchange.position, len(steps)):
                exchange.position = position
                if await steps[position](exchange) is Verdict.DONE:
                    return
        except RemoteProtocolError as error:
            exchange.refuse_error(error)
        except StoreBusy:
            self._on_busy(exchange)
        except StoreError as error:
            logger.error("%s could not be served: %s", exchange.request.method, error)
            self._fail(exchange)
        except Exception:
            logger.exception("%s from %s could not be served", exchange.request.method, exchange.flow)
            self._fail(exchange)

    def _fail(self, exchange: Exchange) -> None:
        if not exchange.answered:
            try:
                exchange.refuse(500, [("Retry-After", str(DEGRADED_RETRY_AFTER))])
            except LocalProtocolError as error:
                logger.debug("it had been answered before the fault: %s", error)
