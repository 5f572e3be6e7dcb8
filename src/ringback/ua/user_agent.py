"""The user agent (RFC 3261 §6): the composition root of a phone, and what application code holds."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar, final

from ringback.errors import CallEnded, LocalProtocolError, SettingsError, SipError, TransportError
from ringback.protocol.cores.calls import Calls, EndReason
from ringback.protocol.cores.capabilities import SDP, Capabilities
from ringback.protocol.cores.exchange import Account
from ringback.protocol.cores.ua_events import (
    CallOffered,
    CallOver,
    RequestDone,
    RequestOffered,
    RequestWithdrawn,
)
from ringback.protocol.cores.uac import UacCore
from ringback.protocol.cores.uas import MOST_CALLS, UasCore
from ringback.protocol.message.uri import Uri
from ringback.protocol.message.values import NameAddr
from ringback.protocol.registration.registrant import DEFAULT_EXPIRES, Registrant
from ringback.protocol.transaction.timings import Timings
from ringback.runtime.clock import SystemClock
from ringback.runtime.entropy import SystemIds
from ringback.runtime.stack import Stack
from ringback.transport.datagram import SystemNetwork
from ringback.transport.limits import StreamLimits
from ringback.transport.resolver import SystemResolver
from ringback.ua.agent import Agent
from ringback.ua.call import Call
from ringback.ua.incoming import IncomingRequest
from ringback.ua.registration import Registration
from ringback.ua.signals import told_to_end

if TYPE_CHECKING:
    from types import TracebackType

    from ringback.protocol.grammar import Ids
    from ringback.protocol.message.model import Response
    from ringback.protocol.routing.flow import Address
    from ringback.protocol.trace import Observer
    from ringback.protocol.transaction.key import ServerKey
    from ringback.runtime.clock import Clock
    from ringback.transport.network import Network, Resolver
    from ringback.transport.tls import TlsConfiguration

logger = logging.getLogger(__name__)

Headers = Sequence[tuple[str, str]]
CallHandler = Callable[[Call], Awaitable[None]]
RequestHandler = Callable[[IncomingRequest], Awaitable[None]]
AnyCallHandler = TypeVar("AnyCallHandler", bound=CallHandler)
AnyRequestHandler = TypeVar("AnyRequestHandler", bound=RequestHandler)

PRODUCT = "ringback"
DEFAULT_LISTEN = "udp:0.0.0.0:0"
KEEP_ALIVE = 100.0  # seconds between the CRLFs that keep a connection of ours open (RFC 5626 §4.4.1)
DRAIN = 5.0  # seconds that leaving waits for calls to end


@final
class UserAgent:
    """A phone: registers, calls, rings, answers, hangs up. Use it with ``async with``, or ``start`` and ``close``.

    ``aor`` is who it is ("sip:alice@example.test"). ``password`` (and ``username``, by default the AOR's user) answer
    challenges of ``realm``, by default the AOR's domain ("*" is any, also a stranger's), and of the registrar; ``ha1``
    is H(username:realm:password) in hexadecimal for who keeps no password. ``proxy`` is an outbound proxy for
    everything, ``registrar`` the domain to register with when that is not the AOR's. ``listen`` is where to listen,
    "udp:host:port", one or several, tcp or tls as well; port 0 is any. ``tls`` says whom to trust, and who we are where
    that is asked; without a certificate we can call by TLS and not be called. ``sdp`` is the session description to
    offer and answer with when a call is given none, ``accept`` further body types that can be taken. With
    ``redirects`` False a 3xx is a refusal, which the caller may follow or not.

    ``network``, ``resolver``, ``clock`` and ``ids`` are the seams to the outside, the real ones by default; the
    simulated ones of ``ringback.testing`` fit. ``uac`` and ``uas`` are the cores beneath, for what has no verb here.
    Raises ``SettingsError`` for what cannot be understood.
    """

    def __init__(
        self,
        aor: str,
        *,
        password: str | None = None,
        ha1: str | None = None,
        username: str | None = None,
        realm: str | None = None,
        display_name: str | None = None,
        proxy: str | None = None,
        registrar: str | None = None,
        listen: str | Sequence[str] = DEFAULT_LISTEN,
        tls: TlsConfiguration | None = None,
        sdp: bytes | str = b"",
        accept: Sequence[str] = (),
        redirects: bool = True,
        max_calls: int = MOST_CALLS,
        drain: float = DRAIN,
        network: Network | None = None,
        resolver: Resolver | None = None,
        clock: Clock | None = None,
        ids: Ids | None = None,
        timings: Timings | None = None,
        observer: Observer | None = None,
    ) -> None:
        uri = _sip_uri("aor", aor)
        self.aor = uri.aor
        self.sdp = sdp.encode() if isinstance(sdp, str) else sdp
        self.addresses: list[Address] = []
        self._listen = [_listening_place(place) for place in ([listen] if isinstance(listen, str) else listen)]
        self._drain = drain
        self._call_handler: CallHandler | None = None
        self._request_handlers: dict[str, RequestHandler] = {}
        self._tables = Calls()
        self._calls: dict[int, Call] = {}
        self._offered: dict[ServerKey, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle: asyncio.Future[None] | None = None
        self._is_closed = False

        timings = timings or Timings()
        ids = ids or SystemIds()
        self._resolver: SystemResolver | None = None
        if resolver is None:
            resolver = self._resolver = SystemResolver()
        stack = self._stack = Stack(
            network=network or SystemNetwork(),
            resolver=resolver,
            clock=clock or SystemClock(),
            ids=ids,
            timings=timings,
            observer=observer,
            secret=(ids.tag() + ids.tag()).encode(),
            tls=tls,
            limits=StreamLimits(ping=KEEP_ALIVE),
        )
        account = Account(
            self.aor,
            user=uri.user or "",
            display_name=display_name,
            routes=[_route(proxy)] if proxy else [],
            username=username or uri.user or "",
            password=password,
            ha1=ha1,
            realms=[realm or uri.host],
            headers=[("User-Agent", PRODUCT)],
            redirects=redirects,
        )
        self._can = Capabilities(accept=accept, sdp=self.sdp or None)
        # The stack holds the cores and would be held by them: the way back up is a weak one.
        self.uac = UacCore(
            stack.layer,
            ids,
            account,
            self._tables,
            timings,
            flow_to=_weakly(stack.flow_to),
            sent_by=_weakly(stack.sent_by),
        )
        self.uas = UasCore(
            stack.layer,
            ids,
            self._tables,
            self._can,
            timings,
            self.uac,
            headers=[("Server", PRODUCT)],
            most_calls=max_calls,
        )
        self.uas.takes_calls = False  # until there is a handler
        home = _sip_uri("registrar", registrar) if registrar else uri
        registrant = Registrant(f"{home.scheme}:{home.hostport}", self.aor, ids)
        self._agent = Agent(stack, self.uac, self.uas, self._tables, self.sdp)
        self._registration = Registration(self.aor, registrant, self._agent)
        on_event = _weakly(self._on_event)
        stack.add("uac", self.uac, on_event)
        stack.add("uas", self.uas, on_event)
        stack.add("registrant", registrant, _weakly(self._registration.take_event))
        stack.on_request = self.uas.receive
        stack.on_stray_response = self.uac.stray
        stack.before_send = _weakly(self._look_idle)

    # its life

    async def start(self) -> None:
        """Open the sockets. Raises ``TransportError`` if an address cannot be had."""
        for transport, host, port in self._listen:
            self.addresses.append(await self._stack.listen(transport, host, port))

    async def close(self) -> None:
        """End every call, give the registration back, and leave; waits for the answers, ``drain`` seconds at most.

        A second call does nothing.
        """
        if self._is_closed:
            return
        self._is_closed = True
        self.uas.busy = True
        for number in list(self._calls):
            self._agent.hang_up(number)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        try:
            async with asyncio.timeout(self._drain):
                await asyncio.gather(*tasks, return_exceptions=True)
                if self._registration.is_active:
                    await self._registration.unregister()
                await self.settled()
        except SipError as error:
            logger.info("%s: the registration was left behind: %s", self.aor, error)
        except TimeoutError:
            logger.info("%s: left without waiting for the rest", self.aor)
        await self._stack.close()
        if self._resolver is not None:
            self._resolver.close()
        self._forget()

    async def settled(self) -> None:
        """Wait until no call is under way and no request of ours is unanswered."""
        while self._agent.is_busy():
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle

    async def run_forever(self) -> None:
        """Wait until cancelled or interrupted, for programs that only answer.

        SIGINT and SIGTERM raise ``SystemExit`` here, with 130 and 143: whatever encloses this is closed in order, and
        the program ends without a traceback. A second one ends it at once.
        """
        with told_to_end() as told:
            raise SystemExit(128 + await told)

    def run(self) -> None:
        """Start, answer until interrupted, close: a whole program, called where no event loop runs.

        Raises ``SystemExit`` as ``run_forever`` does, and ``TransportError`` if an address cannot be had.
        """

        async def main() -> None:
            async with self:
                await self.run_forever()

        asyncio.run(main())

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def counts(self) -> dict[str, int]:
        """Sizes of every table, for leak checks: all must return to zero when all is over."""
        return {
            **self._agent.counts(),
            "call objects": len(self._calls),
            "tasks": len(self._tasks),
        }

    @property
    def uri(self) -> str:
        """Where this user agent can be reached directly, for as long as it listens: ``sip:user@host:port``."""
        host, port = self.addresses[0]
        user = Uri.parse(self.aor).user
        transport = self._listen[0][0]
        way = "" if transport == "UDP" else f";transport={transport.lower()}"
        return f"sip:{user + '@' if user else ''}{f'[{host}]' if ':' in host else host}:{port}{way}"

    @property
    def is_registered(self) -> bool:
        """Whether the registrar has a binding for us, as far as we know."""
        return self._registration.is_active

    @property
    def busy(self) -> bool:
        """Whether calls are refused with 486; may be set."""
        return self.uas.busy

    @busy.setter
    def busy(self, value: bool) -> None:
        self.uas.busy = value

    # what it answers

    def on_call(self, handler: AnyCallHandler) -> AnyCallHandler:
        """Decorator: ``handler(call)`` runs in a task of its own for each call that comes in.

        A handler that returns without having answered or refused makes it 480, one that raises makes it 500 (or ends
        the call with BYE, once answered). When the call ends while it runs, it is cancelled, unless it waits in a verb
        of the call or has asked for ``call.ended`` or ``call.events()``.
        """
        self._call_handler = handler
        self.uas.takes_calls = True
        return handler

    def on_request(self, method: str) -> Callable[[AnyRequestHandler], AnyRequestHandler]:
        """Decorator: ``handler(incoming)`` answers requests of ``method``, which is listed in Allow from then on.

        For "INVITE" it gets those that want to change a running call. A handler that returns without an answer makes it
        200, one that raises makes it 500.
        """

        def register(handler: AnyRequestHandler) -> AnyRequestHandler:
            self._request_handlers[method] = handler
            if method == "INVITE":
                self.uas.takes_session_changes = True
            elif method not in self._can.methods:
                self._can.methods.append(method)
            return handler

        return register

    # what it asks

    async def register(self, expires: int = DEFAULT_EXPIRES) -> int:
        """Register (RFC 3261 §10.2), and refresh until ``unregister`` or the end. Gives the seconds granted.

        Raises ``CallRejected`` with the response that refused it, ``TransactionTimeout`` or ``TransportError``.
        """
        return await self._registration.register(expires)

    async def unregister(self) -> None:
        """Remove the binding. Raises as ``register`` does."""
        await self._registration.unregister()

    async def call(
        self,
        uri: str,
        *,
        body: bytes | str | None = None,
        content_type: str | None = None,
        headers: Headers = (),
    ) -> Call:
        """Call ``uri`` and wait until it is answered.

        ``body`` is the offer (default: the user agent's ``sdp``). Raises ``CallRejected`` for a final response other
        than 2xx, ``TransactionTimeout`` or ``TransportError`` when there is none. When the waiting task is cancelled
        the call is withdrawn: CANCEL, or ACK and BYE if a 2xx crosses it; nobody has to wait for that.
        """
        call = self.dial(uri, body=body, content_type=content_type, headers=headers)
        try:
            await call.answered()
        except asyncio.CancelledError:
            self._agent.hang_up(call.number)
            raise
        return call

    def dial(
        self,
        uri: str,
        *,
        body: bytes | str | None = None,
        content_type: str | None = None,
        headers: Headers = (),
    ) -> Call:
        """Call ``uri`` and give the call at once: ``await call.answered()``, or read ``call.events()``.

        Raises ``SettingsError`` for what is no SIP URI, ``LocalProtocolError`` for a bad header.
        """
        target = _sip_uri("uri", uri)
        data = self.sdp if body is None else body.encode() if isinstance(body, str) else body
        kind = content_type or (SDP if data else None)
        number = self.uac.invite(str(target), self.now(), headers=headers, body=data, content_type=kind)
        call = self._calls[number] = Call(self._agent, number, NameAddr(str(target)), None)
        self._agent.wake()
        return call

    async def options(self, uri: str, headers: Headers = ()) -> Response:
        """Ask what ``uri`` can do (RFC 3261 §11.1). Gives the final response, whatever its status."""
        return await self.request("OPTIONS", uri, headers=[("Accept", SDP), *headers])

    async def request(
        self,
        method: str,
        uri: str,
        *,
        headers: Headers = (),
        body: bytes | str = b"",
        content_type: str | None = None,
        to: str | None = None,
        contact: bool = False,
    ) -> Response:
        """Send a request outside of any call and give its final response, whatever its status.

        ``to`` is the To value where that is not the URI; with ``contact`` it has our Contact. Raises
        ``TransactionTimeout`` or ``TransportError`` when there is no response.
        """
        data = body.encode() if isinstance(body, str) else body
        target = str(_sip_uri("uri", uri))
        token = self.uac.request(
            method,
            target,
            self.now(),
            headers=headers,
            body=data,
            content_type=content_type,
            to=to,
            contact=contact,
        )
        return await self._done(token)

    async def _done(self, token: int) -> Response:
        return await self._agent.done(token)

    def now(self) -> float:
        """The time by this user agent's clock, in seconds since 1970, as the verbs of ``uac`` and ``uas`` want it."""
        return self._agent.now()

    # what the cores tell

    def _on_event(self, event: Any, now: float) -> None:
        if isinstance(event, CallOffered):
            self._offer_call(event, now)
        elif isinstance(event, RequestOffered):
            self._offer_request(event, now)
        elif isinstance(event, RequestWithdrawn):
            task = self._offered.pop(event.key, None)
            if task is not None:
                task.cancel()
        elif isinstance(event, RequestDone):
            if not self._registration.take_outcome(event, now):
                self._agent.take_outcome(event)
        else:
            over = isinstance(event, CallOver)
            call = self._calls.pop(event.call, None) if over else self._calls.get(event.call)
            if call is not None:
                call.take_event(event)

    def _offer_call(self, event: CallOffered, now: float) -> None:
        handler = self._call_handler
        assert handler is not None  # without one the core takes no calls
        call = self._calls[event.call] = Call(self._agent, event.call, event.request.from_, event.request)
        task = self._task(self._run_call(handler, call))
        call.handled_by(task)

    async def _run_call(self, handler: CallHandler, call: Call) -> None:
        """User code, one task a call."""
        status = 480
        try:
            await handler(call)
        except CallEnded:
            pass  # it was told so by a verb, and has nothing more to do
        except Exception:
            status = 500
            logger.exception("the handler of %r failed", call)
        finally:
            call.handled_by(None)
        try:
            self.uas.reject(call.number, self.now(), status=status)
        except CallEnded:
            if status == 500:
                self._agent.hang_up(call.number)
        self._agent.wake()

    def _offer_request(self, event: RequestOffered, now: float) -> None:
        handler = self._request_handlers[event.request.method]
        call = None if event.call is None else self._calls.get(event.call)
        incoming = IncomingRequest(self._agent, event.key, event.request, call)
        self._offered[event.key] = self._task(self._run_request(handler, incoming, event.key))

    async def _run_request(self, handler: RequestHandler, incoming: IncomingRequest, key: ServerKey) -> None:
        status = 200
        try:
            await handler(incoming)
        except Exception:
            status = 500
            logger.exception("the handler of %s failed", incoming.method)
        finally:
            self._offered.pop(key, None)
        if not incoming.is_answered:
            try:
                incoming.respond(status)
            except LocalProtocolError:
                logger.debug("%s needs no answer any more", incoming.method)

    def _task(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _forget(self) -> None:
        """Nothing will come any more: whoever still waits is told so."""
        gone = TransportError("the user agent has been closed")
        for number, call in list(self._calls.items()):
            known = self._tables.get(number)
            reason = known.reason if known is not None else None
            error = None if call.response else gone
            self._on_event(CallOver(number, reason or EndReason.LOST, None, error), self.now())
        self._agent.forget(gone)
        self._registration.forget(gone)
        for table in (self._stack.layer, self.uac, self.uas, self._tables):
            table.clear()

    def _look_idle(self) -> None:
        idle = self._idle
        if idle is not None and not idle.done() and not self._agent.is_busy():
            idle.set_result(None)


def _weakly(method: Callable[..., Any]) -> Callable[..., Any]:
    """A bound method that does not keep its object alive; does nothing once that is gone."""
    reference = weakref.WeakMethod(method)

    def call(*arguments: Any) -> Any:
        living = reference()
        return None if living is None else living(*arguments)

    return call


def _sip_uri(key: str, text: str) -> Uri:
    try:
        uri = Uri.parse(text)
    except SipError as error:
        raise SettingsError(key, f"{text!r} is not a SIP URI: {error}") from None
    if not uri.is_sip:
        raise SettingsError(key, f"{text!r} is not a SIP URI")
    return uri


def _route(proxy: str) -> str:
    """A preloaded Route value; an outbound proxy is a loose router."""
    uri = _sip_uri("proxy", proxy)
    return f"<{uri}>" if uri.lr else f"<{uri};lr>"


def _listening_place(text: str) -> tuple[str, str, int]:
    """``udp:host:port`` taken apart; an IPv6 host stands in brackets."""
    transport, _, place = text.partition(":")
    host, _, port = place.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise SettingsError("listen", f"{text!r} is not like udp:127.0.0.1:5060")
    return transport.upper(), host.strip("[]"), int(port)
