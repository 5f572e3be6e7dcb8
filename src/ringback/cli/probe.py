"""A client of one request at a time: what ``ringback options`` sends and hears. No dialog, no registration."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, final

from ringback.errors import TransactionTimeout, TransportError
from ringback.protocol.auth.digest import read_challenges, respond
from ringback.protocol.message.build import build_request
from ringback.protocol.message.model import Response
from ringback.protocol.message.uri import Uri
from ringback.protocol.routing.flow import Address, Flow, Hop, format_address
from ringback.protocol.routing.locate import Location, Question, Reach
from ringback.protocol.routing.records import Record
from ringback.protocol.transaction.events import ResponseReceived, TransactionTimedOut, TransportFailed
from ringback.runtime.clock import SystemClock
from ringback.runtime.entropy import SystemIds
from ringback.runtime.locator import reachable_hops
from ringback.runtime.stack import Stack
from ringback.transport.datagram import SystemNetwork
from ringback.transport.resolver import SystemResolver

if TYPE_CHECKING:
    from types import TracebackType

    from ringback.protocol.trace import Observer
    from ringback.protocol.transaction.key import ClientKey

PROBE = "probe"


@final
class Answer:
    """A final response, where it came from, and how long it took in seconds."""

    __slots__ = ("response", "seconds", "source")

    def __init__(self, response: Response, source: Address, seconds: float) -> None:
        self.response = response
        self.source = source
        self.seconds = seconds


@final
class Credentials:
    """Who we are, for a 401 or 407: a password, or an HA1 in hexadecimal."""

    __slots__ = ("ha1", "password", "user")

    def __init__(self, user: str, password: str | None = None, ha1: str | None = None) -> None:
        self.user = user
        self.password = password
        self.ha1 = ha1


@final
class Probe:
    """An open socket that sends requests to one target, as an asynchronous context manager.

    ``uri`` is the Request-URI, ``proxy`` a URI to send to instead, ``local`` the address to send from (None: any),
    ``nameservers`` are asked instead of the system's. Once open, ``path`` is what the DNS was asked and said, in order,
    and ``hops`` are the addresses that it led to, of which the first is used. Raises ``TransportError`` when the
    target's name or an address for us cannot be had.
    """

    def __init__(
        self,
        uri: str,
        *,
        proxy: str | None = None,
        local: Address | None = None,
        credentials: Credentials | None = None,
        observer: Observer | None = None,
        nameservers: Sequence[str] = (),
    ) -> None:
        self.path: list[tuple[Question, list[Record] | None]] = []
        self.hops: list[Hop] = []
        self._uri = uri
        self._next = Uri.parse(proxy or uri)
        self._local = local
        self._credentials = credentials
        self._resolver = SystemResolver(nameservers=nameservers)
        self._network = SystemNetwork()
        self._ids = SystemIds()
        self._stack = Stack(
            network=self._network,
            resolver=self._resolver,
            clock=SystemClock(),
            ids=self._ids,
            observer=observer,
            wake_grid=0.0,
        )
        self._stack.add(PROBE, self)
        self._waiting: dict[ClientKey, asyncio.Future[Answer]] = {}
        self._sent_at = 0.0
        self._call_id = self._ids.call_id()
        self._tag = self._ids.tag()
        self._cseq = 0
        self._flow: Flow

    async def __aenter__(self) -> Self:
        location = Location.of_uri(self._next, Reach(["UDP"]), self._ids.number)
        try:
            self.hops = await reachable_hops(location, self._resolver, self._reaches)
        finally:
            self.path = location.asked
        hop = self.hops[0]
        host, port = self._local or ("::" if ":" in hop.host else "0.0.0.0", 0)  # noqa: S104 - any address of ours
        await self._stack.listen("UDP", host, port)
        self._flow = self._stack.flow_to(hop)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._stack.close()
        self._resolver.close()

    def _reaches(self, transport: str, host: str) -> bool:
        """Whether we can send there: UDP, the family of the address to send from, and a route."""
        if transport != "UDP" or (self._local is not None and (":" in self._local[0]) != (":" in host)):
            return False
        try:
            return bool(self._network.source_address(host))
        except TransportError:
            return False

    @property
    def destination(self) -> str:
        """``host:port`` that requests go to."""
        return format_address(self._flow.remote)

    async def ask(
        self, method: str, timeout: float, *, from_: str | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> Answer:
        """Send a request, answer one challenge if credentials are known, and give the final response.

        Raises ``TransactionTimeout`` after ``timeout`` seconds without one, ``TransportError`` when it cannot be sent
        or delivered.
        """
        answer = await self._send(method, timeout, from_, headers)
        line = self._authorization(method, answer.response)
        if line is not None:
            answer = await self._send(method, timeout, from_, [*headers, line])
        return answer

    async def _send(self, method: str, timeout: float, from_: str | None, headers: Sequence[tuple[str, str]]) -> Answer:
        self._cseq += 1
        stack = self._stack
        sent_by = stack.sent_by(self._flow)
        sender = from_ or f"sip:ringback@{sent_by}"
        request = build_request(
            method,
            self._uri,
            via=f"SIP/2.0/UDP {sent_by};branch={self._ids.branch()};rport",
            from_=f"<{sender}>;tag={self._tag}",
            to=f"<{self._uri}>",
            call_id=self._call_id,
            cseq=self._cseq,
            headers=[("Contact", f"<sip:ringback@{sent_by}>"), *headers],
        )
        self._sent_at = stack.clock.now()
        key = stack.layer.send_request(request, self._flow, self._sent_at, PROBE)
        future = self._waiting[key] = asyncio.get_running_loop().create_future()
        stack.turn()
        try:
            return await asyncio.wait_for(future, timeout)
        except TransactionTimeout:
            raise
        except TimeoutError:
            raise TransactionTimeout(f"no answer from {self.destination} within {timeout:g} s") from None
        finally:
            self._waiting.pop(key, None)
            stack.layer.abandon(key, stack.clock.now())

    def _authorization(self, method: str, response: Response) -> tuple[str, str] | None:
        """The header that answers a challenge, None when there is none or we have nothing to say."""
        asked = {401: ("www-authenticate", "Authorization"), 407: ("proxy-authenticate", "Proxy-Authorization")}
        names = asked.get(response.status)
        if names is None or self._credentials is None:
            return None
        value = respond(
            read_challenges(response.get_all(names[0])),
            username=self._credentials.user,
            password=self._credentials.password,
            ha1=self._credentials.ha1,
            method=method,
            uri=self._uri,
            cnonce=self._ids.tag(),
        )
        return None if value is None else (names[1], value)

    # The core of the stack

    def handle_event(self, event: Any, now: float) -> None:
        """What became of a request of ours."""
        future = self._waiting.get(event.key)
        if future is None or future.done():
            return
        if isinstance(event, ResponseReceived):
            if event.response.status >= 200:
                future.set_result(Answer(event.response, event.flow.remote, now - self._sent_at))
        elif isinstance(event, TransportFailed):
            future.set_exception(TransportError(f"{self.destination} cannot be reached: {event.text}"))
        elif isinstance(event, TransactionTimedOut):
            future.set_exception(TransactionTimeout(f"no answer from {self.destination}"))

    def handle_timers(self, now: float) -> None:
        """There are none besides the layer's."""

    def next_deadline(self) -> float | None:
        """Never."""
        return None

    def poll(self) -> list[Any]:
        """Nothing."""
        return []
