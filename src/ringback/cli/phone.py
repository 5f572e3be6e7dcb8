"""What ``ringback call`` and ``ringback listen`` say of media: they have none yet, and say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringback.cli.agent import Identity

DISCARD = 9  # the port where nobody listens (RFC 863)


def inactive_audio(identity: Identity) -> bytes:
    """A session description of one audio stream that flows in neither direction (RFC 4566, RFC 3264 §5.1)."""
    from ringback.cli.agent import own_address

    families = identity.families
    family = 6 if families == [6] or (not families and "[" in (identity.given.local or "")) else 4
    host = own_address(family)
    return (
        f"v=0\r\no=ringback 1 1 IN IP{family} {host}\r\ns=-\r\nc=IN IP{family} {host}\r\nt=0 0\r\n"
        f"m=audio {DISCARD} RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=inactive\r\n"
    ).encode()
