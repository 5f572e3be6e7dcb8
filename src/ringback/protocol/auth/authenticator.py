"""The server's side of digest authentication (RFC 3261 §22, RFC 7616, RFC 8760).

Rules
-----
1. Who may be challenged is the caller's matter; ACK and CANCEL never are (RFC 3261 §22.1), and an ACK is not verified,
   because it repeats the credentials of its INVITE with their count.
2. ``verify`` is called once for a request: the count that it accepts is used up.
3. A refused request is answered 401 or 407 with ``challenge``, whatever was wrong, so that a user who is not there
   looks like a wrong password. The work done for either is the same.
4. Only an algorithm and a qop that we offer are accepted: a client cannot be talked down to a weaker one.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import final

from ringback.protocol.auth.digest import Algorithm, algorithm_named, compute_response
from ringback.protocol.auth.nonces import Nonces
from ringback.protocol.errors import LocalProtocolError, RemoteProtocolError
from ringback.protocol.grammar import ascii_lower, quote
from ringback.protocol.message.model import Request
from ringback.protocol.message.uri import Uri
from ringback.protocol.message.values import Credentials

# (username, realm, base algorithm) -> HA1 in hexadecimal, None for an unknown user.
Ha1Lookup = Callable[[str, str, str], str | None]

MAX_CREDENTIALS = 8  # Authorization lines looked at: a client has one for each realm on its way


class VerdictKind(StrEnum):
    """What became of a request's credentials."""

    ACCEPTED = "accepted"
    STALE = "stale"  # the nonce is old, foreign or its count used: the client may try again by itself
    DENIED = "denied"
    MISSING = "missing"  # no credentials for our realm


@final
class Verdict:
    """The outcome of ``Authenticator.verify``.

    ``username`` as the client gave it, None unless ACCEPTED or DENIED: only ACCEPTED makes it true. ``reason`` is for
    our log, never for the wire.
    """

    __slots__ = ("_proof", "kind", "reason", "username")

    def __init__(
        self,
        kind: VerdictKind,
        reason: str,
        username: str | None = None,
        proof: tuple[Algorithm, str, dict[str, str]] | None = None,
    ) -> None:
        self.kind = kind
        self.reason = reason
        self.username = username
        self._proof = proof

    @property
    def accepted(self) -> bool:
        """True when the request comes from ``username``."""
        return self.kind is VerdictKind.ACCEPTED

    @property
    def stale(self) -> bool:
        """True when the new challenge is to say ``stale=true``."""
        return self.kind is VerdictKind.STALE

    def authentication_info(self, body: bytes = b"") -> str:
        """The Authentication-Info value of the 2xx with ``body``: proof that we know the secret too (RFC 7616 §3.5).

        Raises LocalProtocolError when the credentials were not accepted.
        """
        if self._proof is None:
            raise LocalProtocolError("there are no accepted credentials to confirm")
        algorithm, ha1, params = self._proof
        qop = params.get("qop")
        nc, cnonce = params.get("nc", ""), params.get("cnonce", "")
        rspauth = compute_response(
            algorithm,
            ha1,
            nonce=params["nonce"],
            method="",
            uri=params["uri"],
            qop=qop,
            nc=nc,
            cnonce=cnonce,
            body=body,
        )
        if qop is None:
            return f'rspauth="{rspauth}"'
        return f'qop={qop}, rspauth="{rspauth}", cnonce={quote(cnonce)}, nc={nc}'

    def __repr__(self) -> str:
        return f"Verdict({self.kind}: {self.reason})"


def _nothing_local(uri: Uri) -> bool:
    return False


@final
class Authenticator:
    """Challenges and verifies for one realm.

    ``secret`` unguessable bytes, 16 at least, new for each process unless several share a realm; ``algorithms`` by
    preference; ``qop`` offered, of "auth" and "auth-int"; ``nonce_lifetime`` seconds; ``nonce_capacity`` how many
    nonces in use are remembered; ``not_before`` epoch seconds of our start where the secret is older than we are.

    ``is_local`` tells whether a URI names this server. The ``uri`` of credentials must equal the Request-URI, or be a
    local URI without a user: some clients sign the server's address whatever they ask for, and RFC 8760 §2.6 point 6
    lets us accept that. ``without_qop`` also takes clients of RFC 2069, which cannot count: one request a nonce.

    Raises LocalProtocolError for an algorithm or qop that is not known, or none at all.
    """

    def __init__(
        self,
        realm: str,
        secret: bytes,
        *,
        algorithms: Sequence[str] = ("SHA-256", "MD5"),
        qop: Sequence[str] = ("auth",),
        nonce_lifetime: float = 300.0,
        nonce_capacity: int = 16_384,
        not_before: float = 0.0,
        is_local: Callable[[Uri], bool] = _nothing_local,
        without_qop: bool = False,
    ) -> None:
        if len(secret) < 16:
            raise LocalProtocolError("the secret of nonces has at least 16 bytes")
        if not algorithms or not qop or not {"auth", "auth-int"}.issuperset(qop):
            raise LocalProtocolError("digest needs an algorithm, and a qop of auth or auth-int")
        self.realm = realm
        self.nonces = Nonces(secret, realm, lifetime=nonce_lifetime, capacity=nonce_capacity, not_before=not_before)
        self._secret = secret
        self._qop = frozenset(qop)
        self._is_local = is_local
        self._without_qop = without_qop
        self._offered: dict[str, Algorithm] = {}
        # Before and after the nonce of each challenge. Which values go in quotes is fixed (RFC 7616 §3.3).
        self._pieces: list[tuple[str, str]] = []
        for name in algorithms:
            algorithm = algorithm_named(name)
            if algorithm is None:
                raise LocalProtocolError(f"no digest algorithm {name!r}")
            if algorithm.name not in self._offered:
                self._offered[algorithm.name] = algorithm
                options = f'algorithm={algorithm.name}, qop="{",".join(qop)}"'
                self._pieces.append((f'Digest realm={quote(realm)}, nonce="', f'", {options}'))

    def challenge(self, now: float, stale: bool = False) -> list[str]:
        """WWW- or Proxy-Authenticate values, one for each algorithm, the preferred first (RFC 8760 §2.3)."""
        nonce = self.nonces.make(now)
        end = ", stale=true" if stale else ""
        return [f"{before}{nonce}{after}{end}" for before, after in self._pieces]

    def verify(self, request: Request, credentials: Sequence[str], ha1_lookup: Ha1Lookup, now: float) -> Verdict:
        """Judge a request by ``credentials``, the values of its Authorization or Proxy-Authorization lines.

        Raises RemoteProtocolError (400) for a value that cannot be read, and what ``ha1_lookup`` raises.
        """
        given, algorithm, reason = self._ours(credentials)
        if given is None:
            return Verdict(VerdictKind.MISSING, reason)
        params = given.params
        username = params.get("username")
        if algorithm is None or username is None:
            return Verdict(VerdictKind.DENIED, reason or "no username", username)
        try:
            nonce, uri, response = params["nonce"], params["uri"], params["response"]
        except KeyError as missing:
            return Verdict(VerdictKind.DENIED, f"no {missing.args[0]}", username)
        if not nonce or not response:
            return Verdict(VerdictKind.MISSING, "credentials from before the first challenge")  # RFC 8760 §2.7
        count = self._count(params)
        if count is None:
            return Verdict(VerdictKind.DENIED, "a qop that was not offered, or no count for it", username)
        if not self.nonces.passes(nonce, count, now):
            return Verdict(VerdictKind.STALE, "nonce too old, not ours, or used with this count")
        ha1 = ha1_lookup(username, self.realm, algorithm.base)
        known = ha1 is not None
        if ha1 is None:
            ha1 = self._decoy(algorithm)
        expected = compute_response(
            algorithm,
            ha1,
            nonce=nonce,
            method=request.method,
            uri=uri,
            qop=params.get("qop"),
            nc=params.get("nc", ""),
            cnonce=params.get("cnonce", ""),
            body=request.body,
        )
        right = hmac.compare_digest(expected.encode(), ascii_lower(response).encode("utf-8", "surrogateescape"))
        if not right or not known:
            return Verdict(VerdictKind.DENIED, "wrong password" if known else "unknown user", username)
        if uri != request.uri_text and not self._agrees(uri, request):
            return Verdict(VerdictKind.DENIED, "credentials for another URI", username)
        self.nonces.use(nonce, count, now)
        return Verdict(VerdictKind.ACCEPTED, "", username, (algorithm, ha1, params))

    def _ours(self, values: Sequence[str]) -> tuple[Credentials | None, Algorithm | None, str]:
        """The first credentials for our realm with an algorithm that we offer; failing that the first for our realm."""
        refused: Credentials | None = None
        for value in values[:MAX_CREDENTIALS]:
            given = Credentials.parse(value)
            if ascii_lower(given.scheme) != "digest" or given.params.get("realm") != self.realm:
                continue
            named = algorithm_named(given.params.get("algorithm", "MD5"))
            if named is not None and named.name in self._offered:
                return given, named, ""
            refused = refused or given
        return refused, None, "no credentials for the realm" if refused is None else "an algorithm that was not offered"

    def _count(self, params: dict[str, str]) -> int | None:
        """The nonce count, 1 where RFC 2069 has none; None when the qop is not one that we offer or goes without."""
        qop = params.get("qop")
        if qop is None:
            return 1 if self._without_qop and "nc" not in params and "cnonce" not in params else None
        nc = params.get("nc", "")
        if qop not in self._qop or "cnonce" not in params or len(nc) != 8 or not _HEX.issuperset(nc):
            return None
        return int(nc, 16) or None

    def _decoy(self, algorithm: Algorithm) -> str:
        """What stands in for the HA1 of an unknown user, so that the answer takes as long."""
        return algorithm.hash(self._secret)

    def _agrees(self, text: str, request: Request) -> bool:
        """Whether the URI that was signed names what was asked for, though written otherwise."""
        try:
            uri = Uri.parse(text)
            return uri.equals(request.uri) or (uri.user is None and self._is_local(uri))
        except RemoteProtocolError:
            return False


_HEX = frozenset("0123456789abcdefABCDEF")
