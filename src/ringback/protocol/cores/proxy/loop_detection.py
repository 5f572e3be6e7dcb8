"""Loops told from spirals by the branch of our own Vias (RFC 5393 §4.2, in place of RFC 3261 §16.6 item 8).

Our branch has two parts, ``z9hG4bK<unique>.<hash>``. The hash is over everything in the received request that decides
where we send it. When a request comes back and the hash is the same, it would go the same way again: a loop. When
the Request-URI or anything else has changed it is a spiral, which is legal.

The method is not in the hash (an ACK or CANCEL has its INVITE's branch), nor is the topmost Via: RFC 3261 proposed
it, but it changes from round to round, and no loop over more than one hop would ever be seen.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, final
from zlib import crc32

if TYPE_CHECKING:
    from ringback.protocol.message.model import Request
    from ringback.protocol.routing.route import LocalNames


@final
class LoopDetection:
    """Computes the second part of our branches and finds it again.

    A CRC of 32 bits is enough (RFC 5393 §4.2.4): it guards against accident, and who forges it only has his own request
    refused. ``secret`` gives each element a start value of its own.
    """

    __slots__ = ("_local", "_start")

    def __init__(self, secret: bytes, local: LocalNames) -> None:
        self._start = int.from_bytes(blake2b(b"loop", digest_size=4, key=secret).digest(), "big")
        self._local = local

    def hash_of(self, request: Request) -> str:
        """The loop hash of a request as received: Request-URI, Route, dialog and transaction, and what admits it."""
        first = request._first
        from_, to = request.from_.params.get("tag"), request.to.params.get("tag")
        text = f"{request.uri_text}\n{request.call_id}\n{from_}\n{to}\n{request.cseq.number}"
        for name in ("route", "proxy-require", "proxy-authorization"):
            if name in first:
                text = "\n".join([text, name, *request.get_all(name)])
        return f"{crc32(text.encode('utf-8', 'surrogateescape'), self._start):08x}"

    def has_looped(self, request: Request, loop: str) -> bool:
        """True when a Via of ours in the request bears ``loop``, the hash of this same request."""
        ending = f".{loop}"
        if ending not in "".join(request.lines):  # nearly always, and cheaper than to look at each Via
            return False
        owns = self._local.owns_place
        return any((via.branch or "").endswith(ending) and owns(via.host, via.port) for via in request.vias)
