"""What a UAS looks at before it does anything, in the order in which RFC 3261 §8.2 wants it looked at.

Each check is a function of its own with the clause that it enforces. It gives None when the request passes, else the
``Refusal`` to answer with. The order is part of the rule: ``CHECKS`` is it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from ringback.protocol.cores.capabilities import SDP, Capabilities, accepts
from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.grammar import ascii_lower, quote, strip_lws
from ringback.protocol.message.model import Request
from ringback.protocol.message.registry import METHODS


@final
class Refusal:
    """A final response that refuses: its status, header fields, and for people the text of a Warning 399."""

    __slots__ = ("headers", "status")

    def __init__(self, status: int, text: str, headers: list[tuple[str, str]] | None = None) -> None:
        self.status = status
        self.headers = [*(headers or []), ("Warning", f"399 ringback {quote(text)}")]


def check_method(request: Request, can: Capabilities) -> Refusal | None:
    """§8.2.1: 501 for a method that nobody knows here, 405 for one that is known and not taken."""
    method = request.method
    if method in can.methods:
        return None
    if method in METHODS:
        return Refusal(405, f"{method} is not taken here (RFC 3261 §8.2.1)", [can.allow])
    return Refusal(501, "this method is not known here (RFC 3261 §8.2.1)", [can.allow])


def check_scheme(request: Request, _can: Capabilities) -> Refusal | None:
    """§8.2.2.1: 416 for a Request-URI of a scheme that is not ours."""
    if request.uri.is_sip:
        return None
    return Refusal(416, "only sip and sips URIs are served here (RFC 3261 §8.2.2.1)")


def check_require(request: Request, can: Capabilities) -> Refusal | None:
    """§8.2.2.3: 420 and Unsupported for extensions that we do not have."""
    missing = [tag for tag in request.values("require") if ascii_lower(tag) not in can.supported]
    if not missing:
        return None
    unsupported = ("Unsupported", ", ".join(missing))
    return Refusal(420, "an extension is required that is not supported (RFC 3261 §8.2.2.3)", [unsupported])


def check_content(request: Request, can: Capabilities) -> Refusal | None:
    """§8.2.3: 415 for a body that we do not understand, unless it says that it is optional.

    The body of a BYE is passed over: the session is over whatever it says.
    """
    if not request.body or request.method == "BYE" or _is_optional(request):
        return None
    encodings = [ascii_lower(value) for value in request.values("content-encoding")]
    if any(encoding not in can.encodings for encoding in encodings):
        known = ("Accept-Encoding", ", ".join(can.encodings))
        return Refusal(415, "the body's encoding is not understood (RFC 3261 §8.2.3)", [known])
    if request.content_type not in can.accept:
        known = ("Accept", ", ".join(can.accept))
        return Refusal(415, "the body's type is not understood (RFC 3261 §8.2.3)", [known])
    return None


def check_accept(request: Request, _can: Capabilities) -> Refusal | None:
    """§20.1, §21.4.7: 406 for an INVITE whose sender could not read a session description from us."""
    if request.method != "INVITE" or request.get("accept") is None or accepts(request.accept, SDP):
        return None
    return Refusal(406, f"a response here would have a body of type {SDP} (RFC 3261 §21.4.7)")


def _is_optional(request: Request) -> bool:
    """Whether Content-Disposition says handling=optional (§20.11)."""
    value = request.get("content-disposition") or ""
    return any(ascii_lower(strip_lws(part)).replace(" ", "") == "handling=optional" for part in value.split(";")[1:])


Check = Callable[[Request, Capabilities], Refusal | None]

BEFORE_MERGED: tuple[Check, ...] = (check_method, check_scheme)
AFTER_MERGED: tuple[Check, ...] = (check_require, check_content, check_accept)


def first_refusal(checks: tuple[Check, ...], request: Request, can: Capabilities) -> Refusal | None:
    """The first refusal among ``checks``; what cannot be parsed on the way is refused as its error says."""
    try:
        for check in checks:
            refusal = check(request, can)
            if refusal is not None:
                return refusal
    except RemoteProtocolError as error:
        return Refusal(error.status, str(error).replace("\r", " ").replace("\n", " "))
    return None
