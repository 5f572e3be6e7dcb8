"""What a server can be told, from a TOML file, the command line or Python.

Every key is read somewhere and changes something that can be seen: ``tests/server/test_settings_observable.py``
holds one observation a key and fails when a key has none. A wrong setting raises ``SettingsError``, which names the key
in dotted form and says what was expected.

The file is looked for in this order: the path given, ``$RINGBACK_CONFIG``, ``./ringback.toml``,
``$XDG_CONFIG_HOME/ringback/config.toml`` (``~/.config`` when unset), ``/etc/ringback/ringback.toml``. A flag beats the
file, the file beats the default.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, final, get_args, get_origin

import msgspec

from ringback.protocol.errors import RemoteProtocolError, SettingsError
from ringback.protocol.message.uri import Uri
from ringback.protocol.routing.flow import format_address
from ringback.protocol.routing.via import DEFAULT_PORT, DEFAULT_PORTS

Positive = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Whole = Annotated[int, msgspec.Meta(ge=0)]

COMMAND_TABLES = ("profiles", "aliases")  # of the same file, read by the commands that call and ask
KNOWN_ALGORITHMS = ("SHA-512-256", "SHA-256", "MD5")
TRANSPORTS = ("UDP", "TCP", "TLS", "WS", "WSS")

_LISTEN = re.compile(
    r"(?:([A-Za-z]+):)?(?://)?(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9.\-]+)(?::([0-9]{1,5}))?",
    re.ASCII,
)
_DOMAIN = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.\-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]", re.ASCII)
_NAMESERVER = re.compile(r"([0-9.]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?|[0-9A-Fa-f:.]+", re.ASCII)
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[A-Za-z0-9.\-\[\]]+(:[0-9]{1,5})?", re.ASCII)
_PRINTABLE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?", re.ASCII)


@final
class Listen:
    """One address to listen on: transport in capitals, host without brackets, port (0: any free one).

    ``advertised`` is the host and port that others are to call us by, None for the address itself.
    """

    __slots__ = ("advertised", "host", "port", "transport")

    def __init__(self, transport: str, host: str, port: int, advertised: tuple[str, int] | None = None) -> None:
        self.transport = transport
        self.host = host
        self.port = port
        self.advertised = advertised

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Listen) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        told = f" advertise {format_address(self.advertised)}" if self.advertised else ""
        return f"{self.transport.lower()}:{format_address((self.host, self.port))}{told}"

    def __repr__(self) -> str:
        return f"Listen({self})"


def parse_listen(text: str, key: str = "listen", transports: Sequence[str] = TRANSPORTS) -> Listen:
    """Read ``udp:127.0.0.1:5060``, ``tls:[::1]:5061``, or the same without transport (udp) or port (the transport's).

    Behind it there may be ``advertise 203.0.113.5:5060``: what others are to call us by, behind a NAT that forwards.
    ``transports``, in capitals, are those that will do. Raises ``SettingsError`` with ``key`` when the text is
    something else.
    """
    text, advertise, public = text.partition(" advertise ")
    advertised = _LISTEN.fullmatch(public.strip()) if advertise else None
    if advertise and (advertised is None or advertised.group(1)):
        raise SettingsError(key, f'expected "udp:host:port advertise host:port", got {public!r} behind advertise')
    match = _LISTEN.fullmatch(text.strip())
    if match is None:
        raise SettingsError(key, f'expected "udp:host:port", got {text!r}')
    transport, host = (match.group(1) or "udp").upper(), match.group(2)
    if transport not in transports:
        known = " or ".join(f'"{name.lower()}"' for name in transports)
        raise SettingsError(key, f"expected the transport {known}, got {match.group(1)!r} in {text!r}")
    port = int(match.group(3) or DEFAULT_PORTS.get(transport, DEFAULT_PORT))
    told = (advertised.group(2).strip("[]"), int(advertised.group(3) or port)) if advertised else None
    if max(port, told[1] if told else 0) > 65535 or (told and not told[1]):
        raise SettingsError(key, f"expected a port of 0 to 65535, and of 1 to 65535 behind advertise, in {text!r}")
    return Listen(transport, host.strip("[]"), port, told)


class Section(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A table of the file. Unknown keys are refused, so that a misspelt one is not silently without effect."""


class AuthSettings(Section):
    """``[auth]``: digest authentication (RFC 3261 §22, RFC 7616, RFC 8760)."""

    realm: str | None = None  # None: the first domain
    algorithms: list[str] = msgspec.field(default_factory=lambda: ["SHA-256", "MD5"])  # preferred first
    nonce_lifetime: Positive = 300.0  # seconds; an older nonce is answered stale=true
    secret: str | None = None  # None: one that the store keeps; it marks nonces and Record-Route values as ours

    def __post_init__(self) -> None:
        if not self.algorithms:
            raise SettingsError("auth.algorithms", "expected at least one algorithm")
        for name in self.algorithms:
            if name not in KNOWN_ALGORITHMS:
                raise SettingsError("auth.algorithms", f"expected some of {', '.join(KNOWN_ALGORITHMS)}, got {name!r}")
        if self.realm is not None and (not self.realm or '"' in self.realm or "\\" in self.realm):
            raise SettingsError("auth.realm", "expected a name without quotes or backslashes")
        if self.secret is not None and len(self.secret) < 16:
            raise SettingsError("auth.secret", "expected at least 16 characters")


class RegistrarSettings(Section):
    """``[registrar]``: how long bindings live and how many there may be (RFC 3261 §10.3)."""

    min_expires: Whole = 60  # seconds; a shorter wish is answered 423
    default_expires: Count = 3600  # seconds, where the REGISTER names none
    max_expires: Count = 7200  # seconds; a longer wish is shortened
    max_contacts: Count = 10  # bindings of one address-of-record

    def __post_init__(self) -> None:
        if self.min_expires > self.max_expires:
            raise SettingsError("registrar.min_expires", f"expected at most registrar.max_expires ({self.max_expires})")
        if not self.min_expires <= self.default_expires <= self.max_expires:
            raise SettingsError("registrar.default_expires", "expected a value from min_expires to max_expires")


class ProxySettings(Section):
    """``[proxy]``: forking and relaying (RFC 3261 §16, RFC 5393)."""

    timer_c: Annotated[float, msgspec.Meta(gt=180, le=1e9)] = (
        185.0  # seconds an INVITE branch may ring: more than 3 minutes
    )
    recurse: bool = False  # try the Contacts of a 3xx ourselves instead of passing it up
    record_route: bool = True  # stay on the path of dialogs
    max_breadth: Annotated[int, msgspec.Meta(ge=1, le=60)] = 60  # branches that one request may become (RFC 5393 §5.3)
    ring_time: Positive | None = None  # seconds a group of equal q rings before the next is tried; None: Timer C
    gateway: str | None = None  # sip:host[:port] that dials the numbers of tel URIs; None: they are answered 416

    def __post_init__(self) -> None:
        if self.gateway is not None:
            try:
                uri = Uri.parse(self.gateway)
            except RemoteProtocolError:
                uri = None
            if uri is None or not uri.is_sip or uri.user or uri.headers:
                raise SettingsError("proxy.gateway", f'expected "sip:host:port", got {self.gateway!r}')


class RedirectSettings(Section):
    """``[redirect]``: who is told where a user is, instead of being put through (RFC 3261 §8.3)."""

    everyone: bool = False  # redirect for every user: a redirect server and no proxy
    domains: list[str] = msgspec.field(default_factory=list)  # for users of these domains
    users: list[str] = msgspec.field(default_factory=list)  # for these: user@domain

    def __post_init__(self) -> None:
        for name in self.domains:
            if not _DOMAIN.fullmatch(name):
                raise SettingsError("redirect.domains", f"expected host names without port, got {name!r}")
        for name in self.users:
            user, at, domain = name.rpartition("@")
            if not user or not at or not _DOMAIN.fullmatch(domain) or user.startswith(("sip:", "sips:")):
                raise SettingsError("redirect.users", f"expected user@domain, got {name!r}")

    @property
    def anyone(self) -> bool:
        """Whether anybody is redirected at all."""
        return bool(self.everyone or self.domains or self.users)


class TimerSettings(Section):
    """``[timers]``: the base timers of RFC 3261 §17.1.1.1, in seconds."""

    t1: Positive = 0.5
    t2: Positive = 4.0
    t4: Positive = 5.0


class TlsSettings(Section):
    """``[tls]``: who we are and whom we trust (RFC 5922). PEM files."""

    certificate: str | None = None  # with the certificates above it, as far as others do not have them
    key: str | None = None  # None: in the certificate's file
    authorities: str | None = None  # who vouches for others; None: whom the system trusts
    client_certificates: Literal["none", "optional", "required"] = "none"  # of who connects to us; required: mutual TLS


class ConnectionSettings(Section):
    """``[connections]``: what TCP and TLS connections of others may take of us."""

    total: Count = 16384  # more are closed at once
    per_address: Count = 4096  # from one address
    idle: Positive = 3900.0  # seconds without a message or keep-alive until a connection is closed


class WebSocketSettings(Section):
    """``[websocket]``: SIP over WebSocket, for browsers (RFC 7118). ``[connections]`` applies to it too."""

    origins: list[str] = msgspec.field(default_factory=list)  # whose pages may connect; none: all
    ping: Positive = 30.0  # seconds between our pings; who does not answer one is let go

    def __post_init__(self) -> None:
        for text in self.origins:
            if not _ORIGIN.fullmatch(text):
                raise SettingsError("websocket.origins", f'expected "https://host" or with a port, got {text!r}')


class Settings(Section):
    """The whole file. ``listen`` and ``domains`` say where we are and for whom we answer."""

    listen: list[str] = msgspec.field(default_factory=lambda: ["udp:127.0.0.1:5060"])
    domains: list[str] = msgspec.field(default_factory=list)
    store: str = "sqlite:ringback.db"
    open: bool = False  # no passwords: a lab
    # To whom requests for hosts that are not ours are relayed: authenticated users, nobody, or anyone (an open relay).
    relay: Literal["users", "nobody", "anyone"] = "users"
    synchronous: Literal["normal", "full"] = "normal"  # normal survives kill -9, full a power cut too
    nameservers: list[str] = msgspec.field(default_factory=list)  # asked instead of the system's: address[:port]
    server_name: str | None = None  # the Server header of our own answers; None: no such header

    auth: AuthSettings = msgspec.field(default_factory=AuthSettings)
    registrar: RegistrarSettings = msgspec.field(default_factory=RegistrarSettings)
    proxy: ProxySettings = msgspec.field(default_factory=ProxySettings)
    redirect: RedirectSettings = msgspec.field(default_factory=RedirectSettings)
    timers: TimerSettings = msgspec.field(default_factory=TimerSettings)
    tls: TlsSettings = msgspec.field(default_factory=TlsSettings)
    connections: ConnectionSettings = msgspec.field(default_factory=ConnectionSettings)
    websocket: WebSocketSettings = msgspec.field(default_factory=WebSocketSettings)

    def __post_init__(self) -> None:
        if not self.listen:
            raise SettingsError("listen", "expected at least one address")
        for text in self.listen:
            if parse_listen(text).transport in ("TLS", "WSS") and self.tls.certificate is None:
                raise SettingsError("tls.certificate", f'expected a PEM file, since "{text}" needs one')
        for name in self.domains:
            if not _DOMAIN.fullmatch(name):
                raise SettingsError("domains", f"expected host names without port, got {name!r}")
        if not self.store.startswith("sqlite:") or self.store == "sqlite:":
            raise SettingsError("store", f'expected "sqlite:FILE" or "sqlite::memory:", got {self.store!r}')
        for text in self.nameservers:
            if not _NAMESERVER.fullmatch(text):
                raise SettingsError(
                    "nameservers", f'expected "192.0.2.53", "192.0.2.53:53" or "[::1]:53", got {text!r}'
                )
        if self.server_name is not None and not _PRINTABLE.fullmatch(self.server_name):
            raise SettingsError("server_name", "expected printable ASCII")

    @property
    def addresses(self) -> list[Listen]:
        """``listen``, parsed."""
        return [parse_listen(text) for text in self.listen]

    @property
    def database(self) -> str:
        """The file of the SQLite store, or ``:memory:``."""
        return self.store.removeprefix("sqlite:")


_AT_PATH = re.compile(r" - at `\$?\.?([^`]*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]*)`")


def build(values: Mapping[str, Any]) -> Settings:
    """Make settings of nested plain values. Raises ``SettingsError`` that names the key and what was expected."""
    try:
        return msgspec.convert(dict(values), Settings)
    except msgspec.ValidationError as error:
        text = str(error)
        path = _AT_PATH.search(text)
        key = re.sub(r"\[\.\.\.\]|\[[0-9]+\]", "", path.group(1)) if path else ""
        text = _AT_PATH.sub("", text)
        unknown = _UNKNOWN.match(text)
        if unknown is not None:
            name = unknown.group(1)
            raise SettingsError(f"{key}.{name}" if key else name, f"unknown key{_suggest(key, name)}") from None
        if text.startswith("Invalid enum value"):
            text = f"expected one of {', '.join(_choices(key))}, got {text.rpartition(' ')[2]}"
        raise SettingsError(key or "settings", text[0].lower() + text[1:].replace("`", "")) from None


def known_keys() -> list[str]:
    """Every key in dotted form: ``listen``, ``auth.realm`` …"""
    keys: list[str] = []
    for field in msgspec.structs.fields(Settings):
        if isinstance(field.type, type) and issubclass(field.type, Section):
            keys.extend(f"{field.name}.{inner.name}" for inner in msgspec.structs.fields(field.type))
        else:
            keys.append(field.name)
    return keys


def _choices(key: str) -> list[str]:
    """The words that a key of few words takes."""
    for field in msgspec.structs.fields(Settings):
        if field.name == key and get_origin(field.type) is Literal:
            return list(get_args(field.type))
    return []


def _suggest(section: str, name: str) -> str:
    """The key that was probably meant, for the error message."""
    import difflib

    wanted = f"{section}.{name}" if section else name
    near = difflib.get_close_matches(wanted, known_keys(), n=1, cutoff=0.7)
    return f", did you mean {near[0]}?" if near else ""


def default_domain(settings: Settings) -> str:
    """The domain of a user that is named without one: the first of ``domains``, else the first address we listen on.

    Raises ``SettingsError`` when that address stands for all addresses of the machine, which names nobody.
    """
    if settings.domains:
        return settings.domains[0].lower()
    host = settings.addresses[0].host
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        raise SettingsError("domains", f"expected at least one domain, since {settings.listen[0]} names none")
    return f"[{host}]" if ":" in host else host.lower()


def find_file(given: Path | None, environment: Mapping[str, str], directory: Path | None = None) -> Path | None:
    """The settings file to read, None when there is none. One that was named must exist, else ``SettingsError``."""
    for name, key in ((given, "--config"), (environment.get("RINGBACK_CONFIG") or None, "RINGBACK_CONFIG")):
        if name is not None:
            path = Path(name)
            if not path.is_file():
                raise SettingsError(key, f"no such file: {path}")
            return path
    home = environment.get("XDG_CONFIG_HOME") or str(Path(environment.get("HOME") or "/") / ".config")
    candidates = (
        (directory or Path()) / "ringback.toml",
        Path(home) / "ringback" / "config.toml",
        Path("/etc/ringback/ringback.toml"),
    )
    for path in candidates:
        if path.is_file():
            return path
    return None


def read_file(path: Path) -> dict[str, Any]:
    """The plain values of a TOML file; ``SettingsError`` names the line where it is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(str(path), f"not valid TOML: {error}") from None
    except OSError as error:
        raise SettingsError(str(path), f"cannot be read: {error.strerror}") from None


def load(
    given: Path | None = None,
    *,
    listen: Sequence[str] = (),
    domains: Sequence[str] = (),
    store: str | None = None,
    open_: bool | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """The settings of a run: the file (the module's head says where it is sought), overridden by the flags given."""
    path = find_file(given, os.environ if environment is None else environment)
    values = read_file(path) if path is not None else {}
    for table in COMMAND_TABLES:
        values.pop(table, None)
    if listen:
        values["listen"] = list(listen)
    if domains:
        values["domains"] = list(domains)
    if store is not None:
        values["store"] = store if store.startswith("sqlite:") else f"sqlite:{store}"
    if open_ is not None:
        values["open"] = open_
    return build(values)
