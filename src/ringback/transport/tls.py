"""TLS over any stream of bytes, and whose certificate is good for what (RFC 3261 §26.3, RFC 5922).

TLS runs here on buffers in memory, above ``transport.network.StreamSocket``: so a handshake counts among the
connections of its sender from the first byte on, has a deadline, and works in the simulated world as well.

Rules:

1. TLS 1.2 at least, no renegotiation.
2. A server that we connect to must show a certificate of a trusted authority for the name that was asked for: the
   domain before any look-up (RFC 5922 §7.1), or the address where a URI gave no name. There is no setting to skip that.
3. Names in a certificate: SIP URIs in subjectAltName first; only without those DNS names; only without any
   subjectAltName the common name (RFC 5922 §7.1). They are compared whole: a wildcard matches nothing (§7.2).
4. A server of secure WebSockets shows what servers of the web show, wildcards and all (RFC 7118 §9.1): there OpenSSL
   compares.
"""

from __future__ import annotations

import ssl
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

from ringback.errors import SettingsError, TransportError
from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.grammar import ascii_lower
from ringback.protocol.message.uri import Uri
from ringback.transport.network import address_family

if TYPE_CHECKING:
    from collections.abc import Mapping

ClientCertificates = Literal["none", "optional", "required"]

_CHUNK = 65536


@final
class TlsConfiguration:
    """Who we are and whom we trust.

    ``certificate`` (with its chain) and ``key`` are PEM files; without them we can connect but not be connected to.
    ``authorities`` is a PEM file of those who may vouch for others, by default the system's. ``clients`` says what is
    asked of who connects to us: no certificate, one if it has any, or one in any case (mutual TLS). Raises
    ``SettingsError`` when a file cannot be used.
    """

    def __init__(
        self,
        *,
        certificate: str | Path | None = None,
        key: str | Path | None = None,
        authorities: str | Path | None = None,
        clients: ClientCertificates = "none",
    ) -> None:
        self.certificate = certificate
        self.clients = clients
        self._client = self._context(ssl.PROTOCOL_TLS_CLIENT, certificate, key, authorities)
        # The name is checked after the handshake, by the rules above.
        self._client.check_hostname = False
        self._client.verify_mode = ssl.CERT_REQUIRED
        self._web_client: ssl.SSLContext | None = None
        self._make_web_client = partial(self._context, ssl.PROTOCOL_TLS_CLIENT, certificate, key, authorities)
        self._server: ssl.SSLContext | None = None
        if certificate is not None:
            self._server = self._context(ssl.PROTOCOL_TLS_SERVER, certificate, key, authorities)
            self._server.verify_mode = {
                "none": ssl.CERT_NONE,
                "optional": ssl.CERT_OPTIONAL,
                "required": ssl.CERT_REQUIRED,
            }[clients]

    @property
    def can_serve(self) -> bool:
        """Whether others can connect to us."""
        return self._server is not None

    def accepting(self) -> TlsPipe:
        """For a connection that another opened; only if ``can_serve``."""
        assert self._server is not None
        return TlsPipe(self._server, True, None)

    def connecting(self, name: str, *, web: bool = False) -> TlsPipe:
        """For a connection to the server ``name``, a domain or a numeric address; ``web`` for a WebSocket."""
        if not web:
            return TlsPipe(self._client, False, name)
        if self._web_client is None:
            self._web_client = self._make_web_client()
        return TlsPipe(self._web_client, False, name)

    @staticmethod
    def _context(
        kind: Any, certificate: str | Path | None, key: str | Path | None, authorities: str | Path | None
    ) -> ssl.SSLContext:
        context = ssl.SSLContext(kind)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        if authorities is None:
            context.load_default_certs()
        else:
            try:
                context.load_verify_locations(cafile=authorities)
            except OSError as error:
                raise SettingsError("tls.authorities", _unusable(authorities, error)) from None
        if certificate is not None:
            try:
                context.load_cert_chain(certificate, key)
            except OSError as error:
                raise SettingsError("tls.certificate", _unusable(certificate, error)) from None
        return context


@final
class TlsPipe:
    """One connection's TLS: encrypted bytes in and out on one side, plain ones on the other.

    ``ready`` is true from the end of the handshake on; ``closed`` when the peer has said that it ends. Everything may
    leave bytes to send, which ``outgoing`` gives.
    """

    __slots__ = ("_incoming", "_name", "_object", "_outgoing", "closed", "ready")

    def __init__(self, context: ssl.SSLContext, server: bool, name: str | None) -> None:
        self.ready = False
        self.closed = False
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._name = None if context.check_hostname else name
        shown = name
        if name and not context.check_hostname and _is_numeric(name):
            shown = None  # a numeric address is no server name (RFC 6066 §3)
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=server, server_hostname=shown)

    def start(self) -> None:
        """Begin the handshake, on the side that begins it. Raises TransportError."""
        self._shake_hands()

    def receive(self, data: bytes) -> bytes:
        """Encrypted bytes have come; the plain ones among them. Raises TransportError when this is no TLS, or the peer
        is not who it should be: its text says what is wrong."""
        self._incoming.write(data)
        if not self.ready:
            self._shake_hands()
            if not self.ready:
                return b""
        pieces = []
        try:
            while True:
                piece = self._object.read(_CHUNK)
                if not piece:
                    self.closed = True
                    break
                pieces.append(piece)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.closed = True
        except ssl.SSLError as error:
            raise TransportError(f"TLS: {_words(error)}") from None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def send(self, data: bytes) -> None:
        """Encrypt; only when ``ready``."""
        try:
            self._object.write(data)
        except ssl.SSLError as error:
            raise TransportError(f"TLS: {_words(error)}") from None

    def close(self) -> None:
        """Say that we end (RFC 5923 §8.3)."""
        if self.ready:
            try:
                self._object.unwrap()
            except ssl.SSLError:
                pass  # the peer has not said the same yet, and need not

    def outgoing(self) -> bytes:
        """What is to be sent to the peer."""
        return self._outgoing.read()

    def identities(self) -> list[str]:
        """Whom the peer's verified certificate speaks for; empty when it has shown none."""
        return certified_names(self._object.getpeercert() or {})

    @property
    def description(self) -> str:
        """Version and cipher, for people: ``TLSv1.3 TLS_AES_256_GCM_SHA384``."""
        cipher = self._object.cipher()
        return f"{self._object.version()} {cipher[0] if cipher else ''}"

    def _shake_hands(self) -> None:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLCertVerificationError as error:
            raise TransportError(f"TLS: the peer's certificate is not trusted: {error.verify_message}") from None
        except ssl.SSLError as error:
            raise TransportError(f"TLS: {_words(error)}") from None
        if self._name is not None:
            names = self.identities()
            if not speaks_for(names, self._name):
                owners = ", ".join(names) or "nobody"
                raise TransportError(f"TLS: the peer's certificate is for {owners}, not for {self._name} (RFC 5922 §7)")
        self.ready = True


def certified_names(certificate: Mapping[str, Any]) -> list[str]:
    """The SIP domains (lower case) and numeric addresses that a certificate speaks for (RFC 5922 §7.1).

    ``certificate`` is as ``SSLObject.getpeercert`` gives it.
    """
    alternatives = certificate.get("subjectAltName", ())
    uris = [name for kind, name in alternatives if kind == "URI"]
    domains = [domain for domain in map(_domain_of, uris) if domain]
    if not domains:
        domains = [ascii_lower(name) for kind, name in alternatives if kind == "DNS"]
    addresses = [name for kind, name in alternatives if kind == "IP Address"]
    if not alternatives:
        for part in certificate.get("subject", ()):
            domains += [ascii_lower(value) for kind, value in part if kind == "commonName"]
    return domains + [_canonical(address) for address in addresses]


def speaks_for(names: list[str], name: str) -> bool:
    """Whether one of a certificate's names is ``name``, a domain or a numeric address (RFC 5922 §7.2)."""
    return (_canonical(name) if _is_numeric(name) else ascii_lower(name).removesuffix(".")) in names


def _domain_of(uri: str) -> str | None:
    """The domain of a SIP URI that is an identity: ``sip:example.com``. One with a user speaks for that user only."""
    try:
        parsed = Uri.parse(uri)
    except RemoteProtocolError:
        return None
    if parsed.scheme != "sip" or parsed.user is not None:  # RFC 5922 §7.1: sip, not sips
        return None
    return ascii_lower(parsed.host)


def _is_numeric(name: str) -> bool:
    try:
        return bool(address_family(name))
    except TransportError:
        return False


def _canonical(address: str) -> str:
    """One spelling of a numeric address, so that two can be compared."""
    import ipaddress

    try:
        return str(ipaddress.ip_address(address.strip()))  # OpenSSL ends an IPv6 address with a line feed
    except ValueError:
        return address


def _words(error: ssl.SSLError) -> str:
    """OpenSSL's reason, without its source file and line."""
    reason = getattr(error, "reason", None)
    return str(reason).replace("_", " ").lower() if reason else str(error)


def _unusable(path: str | Path, error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"{path} is not usable: {_words(error)}"
    return f"{path} cannot be read: {error.strerror or error}"
