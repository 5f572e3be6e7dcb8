"""The best of the final responses that the branches brought (RFC 3261 §16.7 steps 6 and 7, RFC 4320).

Candidates are responses without our Via, and plain status numbers for what we concluded ourselves: 408 for silence,
503 for a target that could not be reached, 487 for a branch that a CANCEL stopped before it was sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.protocol.message.model import Response

if TYPE_CHECKING:
    from collections.abc import Sequence

Candidate = Response | int

PREFERRED = frozenset({401, 407, 415, 420, 484})  # they tell the client how to try again
CHALLENGES = frozenset({401, 407})
CHALLENGE_FIELDS = ("www-authenticate", "proxy-authenticate")


def choose(candidates: Sequence[Candidate], *, invite: bool, cancelled: bool) -> Candidate | None:
    """The one to forward, None when nothing may be sent (RFC 4320 §4.2: never a 408 to a non-INVITE).

    A 6xx comes first, else the lowest class. Within 4xx those that say how to try again; 408 and 487 last, as they
    say least, but 487 first when the caller cancelled, since it is what he asked for. Within 5xx 503 is last.
    Without any candidate the outcome is 408 for INVITE, 487 if it was cancelled. The first of equals wins.
    """
    if not candidates:
        return (487 if cancelled else 408) if invite else None
    best: Candidate | None = None
    best_rank = 100_000
    for candidate in candidates:
        status = candidate if isinstance(candidate, int) else candidate.status
        if status == 408 and not invite:
            continue
        rank = _rank(status, cancelled)
        if isinstance(candidate, int):
            rank += 1  # of two alike, the one that somebody sent
        if rank < best_rank:
            best, best_rank = candidate, rank
    return best


def _rank(status: int, cancelled: bool) -> int:
    if status >= 600:
        return 0
    preference = 10
    if status in PREFERRED:
        preference = 0
    elif status == 487:
        preference = -10 if cancelled else 30
    elif status in (408, 503):
        preference = 20
    return status // 100 * 100 + preference


def aggregate_challenges(chosen: Response, candidates: Sequence[Candidate]) -> None:
    """Add to a 401 or 407 the challenges of all other 401 and 407 responses, unmodified (§16.7 step 7)."""
    for other in candidates:
        if isinstance(other, int) or other is chosen or other.status not in CHALLENGES:
            continue
        for field in CHALLENGE_FIELDS:
            for value in other.get_all(field):
                chosen.append("WWW-Authenticate" if field == "www-authenticate" else "Proxy-Authenticate", value)
