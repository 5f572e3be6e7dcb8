"""To tags for answers that nothing is remembered of.

The tag is a keyed hash of what an ACK repeats of its request (Call-ID and CSeq number, RFC 3261 §17.1.1.3): the ACK to
a stateless 401 or 400 is thereby known for what it is and dropped, where a proxy would otherwise relay it.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, final

from ringback.errors import RemoteProtocolError

if TYPE_CHECKING:
    from ringback.protocol.message.model import Message, Request

_MARK = "rbs-"  # tells our stateless tags from all others at a glance


@final
class StatelessTags:
    """Makes and recognises the tags of one process; ``secret`` is 16 to 64 random bytes."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def tag(self, request: Message) -> str:
        """The To tag of a stateless answer to ``request``; of a malformed request as well."""
        number = (request.get("cseq") or "").partition(" ")[0]
        text = f"{request.get('call-id') or ''}\0{number}"
        return _MARK + blake2b(text.encode("utf-8", "surrogateescape"), key=self._secret, digest_size=8).hexdigest()

    def answers(self, ack: Request) -> bool:
        """Whether ``ack`` acknowledges one of our stateless answers."""
        try:
            tag = ack.to_tag
        except RemoteProtocolError:
            return False
        return tag is not None and tag.startswith(_MARK) and tag == self.tag(ack)
