"""The user agent that a command asks with: made of its options, a profile and the environment."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, final

from ringback.cli.profiles import Book, Profile, read_book
from ringback.cli.shared import TRANSPORTS, Agent, seconds
from ringback.cli.target import Target, read_target
from ringback.cli.terminal import ask_password
from ringback.cli.trace import WireTrace
from ringback.errors import SettingsError, TransportError
from ringback.protocol.message.uri import Uri
from ringback.transport.datagram import SystemNetwork

if TYPE_CHECKING:
    from ringback.protocol.trace import Observer
    from ringback.transport.network import Network
    from ringback.transport.resolver import SystemResolver
    from ringback.transport.tls import TlsConfiguration
    from ringback.ua import UserAgent

ANY = {4: "0.0.0.0", 6: "[::]"}  # noqa: S104 - any address of ours
SAMPLES = {4: "192.0.2.1", 6: "2001:db8::1"}  # documentation addresses: is there a route for the family?


@final
class Identity:
    """What the options, the profile and the environment make of us: target, account, sockets."""

    def __init__(self, target: str | None, given: Agent) -> None:
        self.given = given
        self.book: Book = read_book(given.config)
        name = given.profile
        if name is None and target in self.book.profiles:
            name = target
        self.profile: Profile = self.book.profile(name)
        own = given.from_ or self.profile.aor
        self.domain = Uri.parse(read_target(own, self.book).uri).host if own else None
        # Who only listens goes to its own domain, to register.
        goes_to = target or own
        self.target = read_target(goes_to, self.book, self.domain) if goes_to else Target("")
        self.proxy = given.proxy or self.profile.outbound_proxy
        self.user = given.user or self.target.user or self.profile.auth_user
        self.from_ = read_target(own, self.book, self.domain).uri if own else self._some_address()

    @property
    def uri(self) -> str:
        """The Request-URI: the target, with the transport that was asked for if there is no proxy on the way."""
        return self.target.uri if self.proxy else self._with_transport(self.target.uri)

    @property
    def next_uri(self) -> str:
        """The URI that says where the request goes first."""
        if not self.proxy:
            return self.uri
        return self._with_transport(read_target(self.proxy, self.book).uri)

    @property
    def transports(self) -> list[str]:
        """Those that we open sockets for: what is asked for, what the URI says, else all that may be wanted."""
        uri = Uri.parse(self.next_uri) if self.next_uri else Uri("sip", "localhost")
        asked = self.given.transport or self.profile.transport or uri.transport
        if asked is not None:
            if asked.lower() not in TRANSPORTS:
                raise SettingsError("--transport", f"expected {', '.join(TRANSPORTS)}, got {asked!r}")
            return ["tls" if uri.scheme == "sips" else asked.lower()]
        if uri.scheme == "sips":
            return ["tls"]
        return ["udp", "tcp"] if uri.host_is_ip or uri.port is not None else list(TRANSPORTS)

    @property
    def families(self) -> list[int]:
        """4, 6 or both: as told, as the address to send from is, else what there is a route for."""
        given = self.given
        if given.ipv4 and given.ipv6:
            raise SettingsError("-4 -6", "only one of them")
        if given.local is not None:
            return []
        families = [4] if given.ipv4 else [6] if given.ipv6 else [4, 6]
        next_uri = self.next_uri
        host = Uri.parse(next_uri) if next_uri else None
        literal = (6 if ":" in host.host else 4) if host is not None and host.host_is_ip else None
        return [it for it in families if it == literal or has_route(it)] or families[:1]

    def listens(self, port: int = 0) -> list[str]:
        """The sockets to open, as ``UserAgent`` wants them; on ``port`` unless --local has one."""
        from ringback.server.settings import parse_listen

        if self.given.local is None:
            return [f"{transport}:{ANY[it]}:{port}" for it in self.families for transport in self.transports]
        text = self.given.local
        here = parse_listen(text, "--local", ("UDP",))
        port = here.port if text.endswith(f":{here.port}") else port
        host = f"[{here.host}]" if ":" in here.host else here.host
        return [f"{transport}:{host}:{port}" for transport in self.transports]

    def credentials(self) -> tuple[str | None, str | None]:
        """Password and HA1: from the options, the URI, the profile, the environment; else a person is asked."""
        given, profile = self.given, self.profile
        if given.ha1 or (profile.ha1 and given.auth is None):
            return None, given.ha1 or profile.ha1
        named = profile.password_env
        if named is not None and given.auth is None and named not in os.environ:
            raise SettingsError("password_env", f"the environment has no {named}")
        password = given.auth or self.target.password or (os.environ[named] if named else None)
        if password is None:
            password = os.environ.get("RINGBACK_PASSWORD")
        if password is None and given.user is not None:
            password = ask_password()
        return password, None

    def agent(
        self,
        *observers: Observer,
        network: Network | None = None,
        sdp: bytes = b"",
        accept: Sequence[str] = (),
        port: int = 0,
    ) -> UserAgent:
        """The user agent, not started yet."""
        from ringback.protocol.transaction.timings import Timings
        from ringback.ua import UserAgent

        given = self.given
        password, ha1 = self.credentials()
        proxy = self.next_uri if self.proxy else None
        if given.verbose >= 2:
            observers = (*observers, WireTrace(given.verbose))
        return UserAgent(
            self.from_,
            password=password,
            ha1=ha1,
            username=self.user,
            realm="*" if self.user else None,
            proxy=proxy,
            listen=self.listens(port),
            tls=self._tls(),
            sdp=sdp,
            accept=accept,
            drain=1.0,
            redirects=False,
            network=network,
            resolver=self.resolver(),
            timings=Timings(t1=seconds(given.t1, "--t1")) if given.t1 else None,
            observer=Observers(observers),
        )

    def resolver(self) -> SystemResolver:
        """Of the system's name servers, or those that were named."""
        from ringback.transport.resolver import SystemResolver

        return SystemResolver(nameservers=self.given.nameserver or ())

    def _tls(self) -> TlsConfiguration | None:
        if "tls" not in self.transports:
            return None
        from ringback.transport.tls import TlsConfiguration

        given, profile = self.given, self.profile
        return TlsConfiguration(
            certificate=given.cert or profile.cert, key=given.key or profile.key, authorities=given.ca or profile.ca
        )

    def _with_transport(self, uri: str) -> str:
        wanted = self.given.transport or self.profile.transport
        if wanted is None or not uri:
            return uri
        parsed = Uri.parse(uri)
        if parsed.transport is not None or parsed.scheme == "sips":
            return uri
        return f"{uri};transport={wanted.lower()}"

    def _some_address(self) -> str:
        """A From for who has not said who asks: this program at this machine."""
        user = self.user or "ringback"
        if self.user and self.target.uri:
            return f"sip:{user}@{Uri.parse(self.target.uri).host}"
        host = own_address(6 if self.given.ipv6 else 4)
        return f"sip:{user}@{f'[{host}]' if ':' in host else host}"


@final
class Observers:
    """Several observers as one."""

    def __init__(self, observers: tuple[Observer, ...]) -> None:
        self._observers = observers

    def message(self, direction: str, data: bytes, transport: str, local: str, remote: str, now: float) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.message(direction, data, transport, local, remote, now)


def has_route(family: int) -> bool:
    """Whether this machine can send to addresses of that family."""
    try:
        return bool(SystemNetwork().source_address(SAMPLES[family]))
    except TransportError:
        return False


def own_address(family: int = 4) -> str:
    """An address of this machine, the loopback one where there is no route."""
    try:
        return SystemNetwork().source_address(SAMPLES[family])
    except TransportError:
        return "::1" if family == 6 else "127.0.0.1"
