"""What a redirect server answers (RFC 3261 §8.3): a function of the request and the bindings, without state.

Rule 1. One contact is a 302, several are a 300, best first. None at all is 480 for a user who is known, else 404.
Rule 2. The Request-URI itself is never among them, since that would send its sender round in a circle; where nothing
        else is left the answer is 404.
Rule 3. A sips request is led to sips contacts only.
Rule 4. Option tags, header fields and methods that are not understood change nothing.

CANCEL never comes to this: the transaction layer answers one that matches, any other gets 481. Nor does ACK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from ringback.protocol.message.uri import Uri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.protocol.message.model import Request
    from ringback.protocol.registration.binding import Binding

MOST_CONTACTS = 50  # in one answer, which has to fit a datagram


@final
class Redirection:
    """The answer: its status, and the Contact values that go with it."""

    __slots__ = ("contacts", "status")

    def __init__(self, status: int, contacts: Sequence[str] = ()) -> None:
        self.status = status
        self.contacts = list(contacts)

    def __repr__(self) -> str:
        return f"Redirection({self.status} {', '.join(self.contacts)})"


def redirect(request: Request, bindings: Sequence[Binding], now: float, *, known: bool) -> Redirection:
    """Where ``request`` is to go instead; ``known`` tells whether the user that it is for exists here.

    ``bindings`` are the current ones of that user; their q and the seconds that they have left go with them.
    """
    if not bindings:
        return Redirection(480 if known else 404)
    target = request.uri
    others: list[Binding] = []
    for binding in sorted(bindings, key=lambda binding: -binding.q):
        uri = Uri.parse(binding.uri)
        if not uri.equals(target) and (target.scheme != "sips" or uri.scheme == "sips"):
            others.append(binding)
    if not others:
        return Redirection(404)
    return Redirection(302 if len(others) == 1 else 300, [each.contact(now) for each in others[:MOST_CONTACTS]])
