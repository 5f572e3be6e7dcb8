"""The composition root: the one place that knows which stack, store, cores and steps make a server.

    server = Server(settings)
    await server.start()
    ...
    await server.close()

A server is complete on any network: with ``network``, ``clock``, ``resolver`` and ``ids`` of a simulated host it runs
in the simulated world, else on the machine's own.
"""

from __future__ import annotations

import asyncio
import logging
from hashlib import blake2b
from typing import TYPE_CHECKING, final

from ringback.protocol.auth.authenticator import Authenticator
from ringback.protocol.cores import registrar
from ringback.protocol.cores.proxy.core import ProxyCore
from ringback.protocol.cores.proxy.policy import ProxyPolicy
from ringback.protocol.errors import LocalProtocolError, StoreError
from ringback.protocol.grammar import ascii_lower
from ringback.protocol.routing.route import LocalNames
from ringback.protocol.transaction.layer import Timings
from ringback.runtime.stack import WAKE_GRID, Stack
from ringback.server.chain import DEGRADED_RETRY_AFTER, Answering, Chain, Exchange
from ringback.server.domains import Domains, bare
from ringback.server.settings import Listen, Settings, default_domain
from ringback.server.steps.authenticate import Authenticate
from ringback.server.steps.locate import Locate
from ringback.server.steps.options import Options
from ringback.server.steps.redirect import Redirect, redirected
from ringback.server.steps.register import Register
from ringback.server.steps.relay import Relay
from ringback.server.steps.screen import Screen
from ringback.server.stores.checkpoint import Checkpointer
from ringback.server.stores.sqlite import SqliteStore
from ringback.transport.limits import StreamLimits
from ringback.transport.tls import TlsConfiguration

if TYPE_CHECKING:
    from ringback.protocol.grammar import Ids
    from ringback.protocol.message.model import Response
    from ringback.protocol.routing.flow import Address
    from ringback.protocol.trace import Observer
    from ringback.protocol.transaction.events import RequestReceived
    from ringback.runtime.clock import Clock
    from ringback.transport.network import Network, Resolver

logger = logging.getLogger("ringback.server")

BUSY_PAUSE = 0.02  # seconds until a request that met a busy store is tried again
BUSY_PATIENCE = 5.0  # seconds for which that goes on
WAITING_LIMIT = 1000  # requests that wait for the store; more are refused
OVERLOAD_RETRY_AFTER = 10  # seconds
SWEEP_INTERVAL = 10.0  # seconds between looks at a part of the store for bindings that have expired
SWEEP_LIMIT = 1000  # addresses-of-record looked at each time
CAPABILITIES = (
    ("Accept", "application/sdp"),
    ("Accept-Encoding", "identity"),
    ("Accept-Language", "en"),
    ("Supported", "path"),
)
MACHINE = ("0.0.0.0", "::")  # noqa: S104 - hosts that stand for every address of the machine


@final
class Server:
    """A registrar, location service and stateful forking proxy over one store.

    ``observer`` sees every message that crosses the wire. ``addresses`` is where it listens once started, in the order
    of the settings, with the ports that the system chose; ``store`` holds users and bindings. Raises ``StoreError``
    when it cannot be opened, ``SettingsError`` when the settings name no domain.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        network: Network | None = None,
        clock: Clock | None = None,
        resolver: Resolver | None = None,
        ids: Ids | None = None,
        observer: Observer | None = None,
    ) -> None:
        from ringback.runtime.clock import SystemClock
        from ringback.runtime.entropy import SystemIds
        from ringback.transport.datagram import SystemNetwork
        from ringback.transport.resolver import SystemResolver

        self.settings = settings
        self._default = default_domain(settings)
        tls = tls_configuration(settings)
        self.addresses: list[Address] = []
        simulated = clock is not None
        self._network = network or SystemNetwork()
        self._resolver: SystemResolver | None = None
        if resolver is None:
            resolver = self._resolver = SystemResolver(nameservers=settings.nameservers)
        self._ids = ids or SystemIds()
        self.store = SqliteStore(settings.database, synchronous="FULL" if settings.synchronous == "full" else "NORMAL")
        self._secret = _secret(settings, self.store, self._ids)
        timers = settings.timers
        self.stack = Stack(
            network=self._network,
            resolver=resolver,
            clock=clock or SystemClock(),
            ids=self._ids,
            timings=Timings(t1=timers.t1, t2=timers.t2, t4=timers.t4),
            observer=observer,
            wake_grid=0.0 if simulated else WAKE_GRID,
            secret=_derived(self._secret, b"tags"),
            tls=tls,
            limits=StreamLimits(
                connections=settings.connections.total,
                per_address=settings.connections.per_address,
                idle=settings.connections.idle,
                web_ping=settings.websocket.ping,
            ),
        )
        self.stack.origins = [ascii_lower(origin) for origin in settings.websocket.origins]
        self._answering = Answering(self.stack.layer, self.stack.stateless_tags, settings.server_name)
        # A simulation has no threads, and what is only in memory has nothing to carry over.
        self._checkpointer = None if simulated or settings.database == ":memory:" else Checkpointer(settings.database)
        self._local = LocalNames(bare(name) for name in settings.domains)
        self._chain: Chain | None = None
        self._held: list[tuple[Exchange, Response]] = []
        self._waiting: dict[tuple[str, ...], Exchange] = {}
        self._late_cancels: list[RequestReceived] = []
        self._authenticators: dict[str, Authenticator] = {}
        self._retry: asyncio.TimerHandle | None = None
        self._sweep: asyncio.TimerHandle | None = None
        self._started_at = 0.0
        self._closed = False

    # life

    async def start(self) -> None:
        """Listen and serve. Raises ``TransportError`` when an address cannot be had; nothing is left open then."""
        try:
            for listen in self.settings.addresses:
                address = await self.stack.listen(
                    listen.transport, listen.host, listen.port, advertised=listen.advertised
                )
                self.addresses.append(address)
                self._know(listen.host, address)
                if listen.advertised is not None:
                    self._local.add_address(listen.advertised)
        except BaseException:
            await self.close()
            raise
        self._started_at = self.stack.clock.now()
        self._compose()
        self._sweep = asyncio.get_running_loop().call_later(SWEEP_INTERVAL, self._on_sweep)
        if self._checkpointer is not None:
            self._checkpointer.start()

    async def close(self) -> None:
        """Stop: the last answers are sent, the sockets and the store are closed. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        for timer in (self._retry, self._sweep):
            if timer is not None:
                timer.cancel()
        if self._chain is not None:
            await self._chain.close()
        await self.stack.close()
        if self._resolver is not None:
            self._resolver.close()
        if self._checkpointer is not None:
            self._checkpointer.stop()
        self.store.close()

    @property
    def listening(self) -> list[str]:
        """``addresses`` as the settings write them: ``udp:127.0.0.1:5060``."""
        listens = zip(self.settings.addresses, self.addresses, strict=False)
        return [str(Listen(listen.transport, *address)) for listen, address in listens]

    def counts(self) -> dict[str, int]:
        """The sizes of every table, all zero when nothing is under way."""
        counts = self.stack.counts()
        counts["held"] = len(self._held)
        counts["waiting"] = len(self._waiting)
        counts["tasks"] = len(self._chain) if self._chain is not None else 0
        return counts

    def _know(self, written: str, address: Address) -> None:
        """Remember an address as ours: as it was written, as it was bound, and for all addresses the usual ones."""
        host, port = address
        for name in (written, host):
            if name not in MACHINE:
                self._local.add_address((name, port))
        if host in MACHINE:
            for remote in ("127.0.0.1", "192.0.2.1") if host == MACHINE[0] else ("::1", "2001:db8::1"):
                try:
                    self._local.add_address((self._network.source_address(remote), port))
                except Exception:
                    logger.debug("no route to %s, so no address of ours towards it", remote)

    def _compose(self) -> None:
        """Put the cores and the steps together: the server's policy, read from top to bottom."""
        settings, store, stack, default = self.settings, self.store, self.stack, self._default
        self._local.domains.add(bare(default))
        domains = Domains(self._local, default)
        names = settings.domains or [default]
        proxy = ProxyCore(
            stack.layer,
            self._ids,
            ProxyPolicy(
                _derived(self._secret, b"route"),
                timer_c=settings.proxy.timer_c,
                give_up=64 * settings.timers.t1,
                record_route=settings.proxy.record_route,
                recurse=settings.proxy.recurse,
                max_breadth=settings.proxy.max_breadth,
                schemes=frozenset({"sip", "sips", "tel"} if settings.proxy.gateway else {"sip", "sips"}),
                realms=frozenset([settings.auth.realm] if settings.auth.realm else map(ascii_lower, names)),
            ),
            self._local,
            flow_to=stack.flow_to,
            sent_by=stack.sent_by,
            flow_of=stack.flow_of,
        )
        policy = registrar.Policy(
            default_expires=settings.registrar.default_expires,
            minimum_expires=settings.registrar.min_expires,
            maximum_expires=settings.registrar.max_expires,
            maximum_contacts=settings.registrar.max_contacts,
        )
        passwords = not settings.open
        is_user = store.known if passwords else _everyone
        redirect = settings.redirect
        redirects = redirected(everyone=redirect.everyone, domains=redirect.domains, users=redirect.users)
        steps = (
            Screen(proxy.admit, domains),
            Authenticate(
                store,
                domains,
                lambda domain: self._authenticator(settings.auth.realm or domain, domains),
                passwords=passwords,
                relay=settings.relay,
                redirects=redirects,
            ),
            Register(store, domains, policy, store.aor_of if passwords else None, self._hold),
            Options(CAPABILITIES),
            *((Redirect(store, is_user, redirects),) if settings.redirect.anyone else ()),
            Locate(store, is_user, settings.proxy.ring_time, domains.passes, settings.proxy.gateway, stack.flow_of),
            Relay(proxy),
        )
        self._chain = Chain(steps, self._wait, stack.wake)
        stack.add(proxy.name, proxy, _log_context)
        stack.on_request = self._on_request
        stack.before_send = self._before_send

    def _authenticator(self, realm: str, domains: Domains) -> Authenticator:
        """One for each realm: as many as there are domains."""
        found = self._authenticators.get(realm)
        if found is None:
            auth = self.settings.auth
            found = self._authenticators[realm] = Authenticator(
                realm,
                _derived(self._secret, b"nonces"),
                algorithms=auth.algorithms,
                nonce_lifetime=auth.nonce_lifetime,
                not_before=self._started_at,
                is_local=domains.owns,
            )
        return found

    # requests

    def _on_request(self, event: RequestReceived, now: float) -> None:
        if self._waiting and self._concerns_waiting(event):
            return
        assert self._chain is not None
        self._chain.run(Exchange(event.request, event.key, event.flow, now, self._answering))

    def _concerns_waiting(self, event: RequestReceived) -> bool:
        """Whether this repeats a request that waits for the store, or cancels one: its CANCEL then waits as well."""
        if event.key in self._waiting:
            return True
        if event.request.method == "CANCEL" and (*event.key[:-1], "INVITE") in self._waiting:
            if len(self._late_cancels) < WAITING_LIMIT:
                self._late_cancels.append(event)
            return True
        return False

    def _hold(self, exchange: Exchange, response: Response) -> None:
        self._held.append((exchange, response))

    def _before_send(self) -> None:
        """Commit the turn; only then do the answers that promise something leave."""
        held, self._held = self._held, []
        try:
            self.store.commit()
        except StoreError as error:
            logger.error("%d registrations could not be committed: %s", len(held), error)
            for exchange, _ in held:
                exchange.refuse(500, [("Retry-After", str(DEGRADED_RETRY_AFTER))])
            return
        for exchange, response in held:
            try:
                exchange.respond(response)
            except LocalProtocolError as error:
                logger.error("a registration could not be answered: %s", error)

    def _wait(self, exchange: Exchange) -> None:
        """The store is busy: try again in a moment, for a while."""
        patience_ends = exchange.started + BUSY_PATIENCE
        if exchange.now >= patience_ends or len(self._waiting) >= WAITING_LIMIT or self._closed:
            logger.error("%s given up: the store is busy", exchange.request.method)
            exchange.refuse(503, [("Retry-After", str(OVERLOAD_RETRY_AFTER))])
            return
        self._waiting[exchange.key] = exchange
        if self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(BUSY_PAUSE, self._on_retry)

    def _on_retry(self) -> None:
        self._retry = None
        waiting, self._waiting = list(self._waiting.values()), {}
        cancels, self._late_cancels = self._late_cancels, []
        assert self._chain is not None
        now = self.stack.clock.now()
        for exchange in waiting:
            exchange.now = now
            self._chain.run(exchange)
        for cancel in cancels:
            self.stack.layer.receive(cancel.request, cancel.flow, now)
        self.stack.turn()

    def _on_sweep(self) -> None:
        self._sweep = asyncio.get_running_loop().call_later(SWEEP_INTERVAL, self._on_sweep)
        try:
            self.store.sweep(self.stack.clock.now(), SWEEP_LIMIT)
            self.store.commit()
        except StoreError as error:
            self.store.rollback()
            logger.info("expired bindings could not be swept: %s", error)


def tls_configuration(settings: Settings) -> TlsConfiguration | None:
    """Certificates, where anything is said about them. Raises ``SettingsError`` when a file cannot be used."""
    tls = settings.tls
    if tls.certificate is None and tls.authorities is None:
        return None
    return TlsConfiguration(
        certificate=tls.certificate, key=tls.key, authorities=tls.authorities, clients=tls.client_certificates
    )


def _everyone(aor: str) -> bool:
    """In a lab every user name is valid."""
    return True


def _log_context(event: object, now: float) -> None:
    logger.debug("%r", event)


def _secret(settings: Settings, store: SqliteStore, ids: Ids) -> bytes:
    """The server's secret: from the settings, else the store's, made at its first start (four tags: 256 random bits).

    It outlives the process because calls do: a BYE must find its way after a restart.
    """
    text = settings.auth.secret
    if text is not None:
        return blake2b(text.encode(), digest_size=32).digest()
    secret = store.secret("server", lambda: blake2b("".join(ids.tag() for _ in range(4)).encode()).digest()[:32])
    store.commit()
    return secret


def _derived(secret: bytes, purpose: bytes) -> bytes:
    """A key for one purpose, which says nothing about the keys for others."""
    return blake2b(key=secret, person=purpose, digest_size=32).digest()
