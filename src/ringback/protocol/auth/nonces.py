"""Nonces of a server: proof of their making in themselves, and a bounded memory of which counts were used.

Theory of operation
-------------------
A nonce is ``time counter mac``: when it was made, a number that sets apart those of one millisecond, a MAC over both
and the realm (keyed BLAKE2, RFC 7693: a quarter of the cost of an HMAC). A challenge costs no memory (RFC 7616 §5.4),
so nobody who cannot log in can fill any.

With its first success a nonce enters the table, with a window of the last 64 counts. A count greater than any before
passes, one within the window passes once, all else is a replay. The table is bounded: a nonce pushed out of it raises
the floor, and a nonce that is not in the table passes only when it was made after the floor. So a replay never passes
for a first use; the most that a full table costs is a new challenge.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import final

WINDOW = 64  # counts behind the highest that may still come late, as requests on UDP do
_MASK = (1 << WINDOW) - 1
_STAMP = 17  # digits before the MAC: 11 of milliseconds since the epoch, 6 of the counter
_MAC = 32  # digits of the MAC


@final
class _Used:
    """The counts seen of one nonce: the highest, and bit n of ``seen`` for highest - n."""

    __slots__ = ("highest", "made", "seen")

    def __init__(self, made: float) -> None:
        self.made = made
        self.highest = 0
        self.seen = 0


@final
class Nonces:
    """Makes nonces and tells first uses from replays.

    ``secret`` at least 16 unguessable bytes; ``lifetime`` seconds from making to the last use; ``capacity`` how many
    used nonces are remembered, at least 1; ``not_before`` epoch seconds before which this process made none, for a
    secret that outlives it.
    """

    __slots__ = ("_capacity", "_counter", "_floor", "_keyed", "_lifetime", "_used")

    def __init__(self, secret: bytes, realm: str, *, lifetime: float, capacity: int, not_before: float = 0.0) -> None:
        # Keyed, and fed with the realm: copied for each nonce.
        self._keyed = hashlib.blake2b(
            realm.encode("utf-8", "surrogateescape"), key=hashlib.sha256(secret).digest(), digest_size=_MAC // 2
        )
        self._lifetime = lifetime
        self._capacity = capacity
        self._counter = 0
        self._floor = int(not_before * 1000 - 1) / 1000  # stamps are cut to milliseconds, and that of our first is ours
        self._used: dict[str, _Used] = {}

    def __len__(self) -> int:
        return len(self._used)

    def make(self, now: float) -> str:
        """A new nonce."""
        self._counter = (self._counter + 1) & 0xFFFFFF
        stamp = f"{int(now * 1000):011x}{self._counter:06x}"
        return stamp + self._mac(stamp)

    def _mac(self, stamp: str) -> str:
        keyed = self._keyed.copy()
        keyed.update(stamp.encode())
        return keyed.hexdigest()

    def passes(self, nonce: str, count: int, now: float) -> bool:
        """Whether the nonce is ours and young enough, and ``count`` has not been used with it. Remembers nothing."""
        used = self._used.get(nonce)
        if used is not None:
            if used.made + self._lifetime < now:
                return False
            behind = used.highest - count
            return behind < 0 or (behind < WINDOW and not used.seen >> behind & 1)
        stamp = nonce[:_STAMP]
        if (
            len(nonce) != _STAMP + _MAC
            or not nonce.isascii()
            or not hmac.compare_digest(nonce[_STAMP:], self._mac(stamp))
        ):
            return False
        made = _made(nonce)
        return made + self._lifetime >= now and made > self._floor

    def use(self, nonce: str, count: int, now: float) -> None:
        """Remember that ``count`` was used with a nonce that ``passes``."""
        used = self._used.get(nonce)
        if used is None:
            used = self._used[nonce] = _Used(_made(nonce))
            self._shrink(now)
        ahead = count - used.highest
        if ahead > 0:
            # min: a shift by billions would make a number of as many bits before the mask cuts it.
            used.seen = (used.seen << min(ahead, WINDOW) | 1) & _MASK
            used.highest = count
        else:
            used.seen |= 1 << -ahead

    def _shrink(self, now: float) -> None:
        """Forget what is too old to pass, and beyond the capacity what came first."""
        oldest = now - self._lifetime
        while True:
            nonce, used = next(iter(self._used.items()))
            if used.made >= oldest:
                if len(self._used) <= self._capacity:
                    return
                self._floor = max(self._floor, used.made)
            del self._used[nonce]


def _made(nonce: str) -> float:
    """When a nonce whose MAC was checked was made."""
    return int(nonce[:11], 16) / 1000
