"""Digest access authentication: the computation (RFC 7616 §3.4, RFC 8760) and the client's side of it.

Theory of operation
-------------------
``H(username:realm:password)``, the HA1, is all that either side needs of the password. The response is
``H(HA1:nonce:nc:cnonce:qop:H(method:uri))``; with ``auth-int`` the inner hash ends in ``:H(body)``; the ``-sess``
algorithms put ``H(HA1:nonce:cnonce)`` in HA1's place; without qop (RFC 2069) it is ``H(HA1:nonce:H(method:uri))``.

A server offers one challenge per algorithm, the one it prefers first. A client answers the first that it understands,
once for each realm (RFC 8760 §2.4), and never twice with credentials that were refused (RFC 3261 §22.1).

Text goes into the hash as the bytes that were on the wire.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import final

from ringback.protocol.errors import LocalProtocolError, RemoteProtocolError
from ringback.protocol.grammar import ascii_lower, quote, split_unquoted
from ringback.protocol.message.values import Challenge

MAX_NONCE_COUNT = 0xFFFFFFFF  # nc is eight hexadecimal digits (RFC 7616 §3.4)

# What hashes the password, and so what an HA1 belongs to.
BASE_ALGORITHMS = ("MD5", "SHA-256", "SHA-512-256")


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()  # not our choice: RFC 3261 phones know no other


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sha512_256(data: bytes) -> str:
    # FIPS 180-4 SHA-512/256, which is not SHA-512 cut short: the values printed in RFC 7616 §3.9.2 are wrong.
    return hashlib.new("sha512_256", data).hexdigest()


_HASHES: dict[str, Callable[[bytes], str]] = {"MD5": _md5, "SHA-256": _sha256, "SHA-512-256": _sha512_256}


@final
class Algorithm:
    """One digest algorithm: its registered ``name``, the ``base`` that its HA1 is kept under, its hash."""

    __slots__ = ("base", "digits", "hash", "name", "session")

    def __init__(self, name: str) -> None:
        self.name = name
        self.session = name.endswith("-sess")
        self.base = name.removesuffix("-sess")
        self.hash = _HASHES[self.base]
        self.digits = 32 if self.base == "MD5" else 64  # hexadecimal digits of a digest


# Every algorithm of the IANA registry, by its name in lower case.
_ALGORITHMS = {ascii_lower(name): Algorithm(name) for base in BASE_ALGORITHMS for name in (base, f"{base}-sess")}


def algorithm_named(name: str) -> Algorithm | None:
    """The algorithm of that name in any case, None when it is not known."""
    return _ALGORITHMS.get(ascii_lower(name))


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def compute_ha1(algorithm: str, username: str, realm: str, password: str) -> str:
    """The HA1 in hexadecimal: what is stored for a user. ``-sess`` variants share it with their base algorithm.

    Raises LocalProtocolError for an algorithm that is not known.
    """
    return _known(algorithm).hash(_octets(f"{username}:{realm}:{password}"))


def compute_userhash(algorithm: str, username: str, realm: str) -> str:
    """What stands in ``username`` when it goes hashed (RFC 7616 §3.4.4)."""
    return _known(algorithm).hash(_octets(f"{username}:{realm}"))


def _known(name: str) -> Algorithm:
    algorithm = algorithm_named(name)
    if algorithm is None:
        raise LocalProtocolError(f"no digest algorithm {name!r}")
    return algorithm


def compute_response(
    algorithm: Algorithm,
    ha1: str,
    *,
    nonce: str,
    method: str,
    uri: str,
    qop: str | None = None,
    nc: str = "",
    cnonce: str = "",
    body: bytes = b"",
) -> str:
    """The response in hexadecimal (RFC 7616 §3.4.1). ``method`` "" makes it the rspauth of Authentication-Info (§3.5).

    ``qop`` None: as RFC 2069 has it, ``nc`` and ``cnonce`` then count for nothing but ``-sess``.
    """
    digest = algorithm.hash
    if algorithm.session:
        ha1 = digest(_octets(f"{ha1}:{nonce}:{cnonce}"))
    if qop == "auth-int":
        ha2 = digest(_octets(f"{method}:{uri}:{digest(body)}"))
    else:
        ha2 = digest(_octets(f"{method}:{uri}"))
    if qop is None:
        return digest(_octets(f"{ha1}:{nonce}:{ha2}"))
    return digest(_octets(f"{ha1}:{nonce}:{nc}:{cnonce}:{qop}:{ha2}"))


def read_challenges(values: Iterable[str]) -> list[Challenge]:
    """The challenges among header values, in order. What cannot be read is left out (RFC 8760 §2.4)."""
    challenges = []
    for value in values:
        try:
            challenges.append(Challenge.parse(value))
        except RemoteProtocolError:
            continue
    return challenges


def choose(challenges: Iterable[Challenge], ha1: str | None = None) -> list[Challenge]:
    """The challenges to answer: of each realm the first that we understand (RFC 8760 §2.4), in order.

    With an ``ha1`` instead of a password, the first that it can answer, by its length.
    """
    chosen: dict[str, Challenge] = {}
    for challenge in challenges:
        params = challenge.params
        if ascii_lower(challenge.scheme) != "digest" or "nonce" not in params or "realm" not in params:
            continue
        algorithm = algorithm_named(params.get("algorithm", "MD5"))
        if algorithm is None or (ha1 is not None and len(ha1) != algorithm.digits) or _quality(challenge) == "":
            continue
        chosen.setdefault(params["realm"], challenge)
    return list(chosen.values())


def is_stale(challenge: Challenge) -> bool:
    """True when only the nonce was refused: the same password may be tried again (RFC 7616 §3.3)."""
    return ascii_lower(challenge.params.get("stale", "")) == "true"


def _quality(challenge: Challenge) -> str | None:
    """The qop to use: auth before auth-int, None where none was offered, "" where nothing fits.

    A ``-sess`` algorithm needs the cnonce, which may not be sent without a qop (RFC 3261 §22.4 point 8).
    """
    offered = challenge.params.get("qop")
    if offered is None:
        return "" if ascii_lower(challenge.params.get("algorithm", "")).endswith("-sess") else None
    options = [ascii_lower(option) for option in split_unquoted(offered, ",")]
    return "auth" if "auth" in options else "auth-int" if "auth-int" in options else ""


def respond(
    challenges: Sequence[Challenge],
    *,
    username: str,
    method: str,
    uri: str,
    cnonce: str,
    password: str | None = None,
    ha1: str | None = None,
    body: bytes = b"",
    nc: int = 1,
) -> str | None:
    """The (Proxy-)Authorization value that answers the first challenge we understand, None when there is none.

    ``uri`` is the Request-URI as it is sent; ``nc`` counts the requests sent with this nonce, from 1; ``cnonce`` is
    unguessable text. Either the password is given or an ``ha1`` in hexadecimal, which fits only some algorithms.
    Challenges of several realms are answered one call each (``choose``).
    """
    chosen = choose(challenges, ha1 if password is None else None)
    if not chosen or (password is None and ha1 is None):
        return None
    challenge = chosen[0]
    algorithm = _known(challenge.params.get("algorithm", "MD5"))
    if password is not None:
        ha1 = compute_ha1(algorithm.base, username, challenge.params["realm"], password)
    return _authorization(challenge, algorithm, ascii_lower(ha1 or ""), username, method, uri, cnonce, body, nc)


def _authorization(
    challenge: Challenge,
    algorithm: Algorithm,
    ha1: str,
    username: str,
    method: str,
    uri: str,
    cnonce: str,
    body: bytes,
    nc: int,
) -> str:
    params = challenge.params
    realm, nonce = params["realm"], params["nonce"]
    qop = _quality(challenge)
    count = f"{nc:08x}"
    response = compute_response(
        algorithm, ha1, nonce=nonce, method=method, uri=uri, qop=qop, nc=count, cnonce=cnonce, body=body
    )
    hashed = ascii_lower(params.get("userhash", "")) == "true"
    if hashed:
        username = compute_userhash(algorithm.name, username, realm)
    # Which values go in quotes is fixed, for the sake of old readers (RFC 7616 §3.4).
    parts = [f"username={quote(username)}, realm={quote(realm)}, nonce={quote(nonce)}, uri={quote(uri)}"]
    parts.append(f'response="{response}"')
    if "algorithm" in params:
        parts.append(f"algorithm={algorithm.name}")
    if qop is not None:
        parts.append(f"qop={qop}, nc={count}, cnonce={quote(cnonce)}")
    if "opaque" in params:
        parts.append(f"opaque={quote(params['opaque'])}")
    if hashed:
        parts.append("userhash=true")
    return f"Digest {', '.join(parts)}"


@final
class DigestSession:
    """An authentication session (RFC 7616 §3.6): one challenge answered again and again, each time with a higher count.

    Kept by a client per realm, so that its next requests carry credentials from the start. ``challenge`` is one that
    ``choose`` gave. Raises LocalProtocolError when it is not, or the nonce has been used 2^32 - 1 times.
    """

    __slots__ = ("_ha1", "_password", "challenge", "count", "username")

    def __init__(
        self, challenge: Challenge, username: str, *, password: str | None = None, ha1: str | None = None
    ) -> None:
        self.challenge = challenge
        self.username = username
        self.count = 0
        self._password = password
        self._ha1 = ha1

    @property
    def realm(self) -> str:
        """The realm whose challenges this session answers."""
        return self.challenge.params["realm"]

    def authorize(self, method: str, uri: str, cnonce: str, body: bytes = b"") -> str:
        """The Authorization value of the next request."""
        if self.count >= MAX_NONCE_COUNT:
            raise LocalProtocolError("the nonce has been used as often as it can be counted")
        self.count += 1
        value = respond(
            [self.challenge],
            username=self.username,
            password=self._password,
            ha1=self._ha1,
            method=method,
            uri=uri,
            body=body,
            cnonce=cnonce,
            nc=self.count,
        )
        if value is None:
            raise LocalProtocolError("the challenge cannot be answered with what is known of the user")
        return value
