"""May this request be proxied? The checks of RFC 3261 §16.3 in their order, one function each.

Syntax was checked at the door, before the proxy sees the request; authorisation (item 6) is the server's step after
these. Each check is a function over the request and returns the refusal, or None to pass. A merged request is
not an error here (§16.3), and no method or unknown header field is a reason to refuse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from ringback.protocol.grammar import parse_uint

if TYPE_CHECKING:
    from ringback.protocol.cores.proxy.loop_detection import LoopDetection
    from ringback.protocol.cores.proxy.policy import ProxyPolicy
    from ringback.protocol.message.model import Request
    from ringback.protocol.routing.route import LocalNames


@final
class Refusal:
    """The response to make: status (canonical reason phrase) and header fields to add to it."""

    __slots__ = ("headers", "status")

    def __init__(self, status: int, headers: tuple[tuple[str, str], ...] = ()) -> None:
        self.status = status
        self.headers = headers

    def __repr__(self) -> str:
        return f"Refusal({self.status} {self.headers})"


def check(request: Request, policy: ProxyPolicy, detection: LoopDetection, loop: str) -> Refusal | None:
    """All checks in the normative order. ``loop`` is the loop hash of this request as it was received, "" for an ACK.

    Raises ``RemoteProtocolError`` when a field that routing depends on is malformed (§16.3 item 1).
    """
    return (
        check_scheme(request, policy)
        or check_max_forwards(request)
        or check_loop(request, detection, loop)
        or check_max_breadth(request)
        or check_proxy_require(request, policy)
    )


def check_scheme(request: Request, policy: ProxyPolicy) -> Refusal | None:
    """§16.3 item 2: 416 for a Request-URI scheme that we cannot route."""
    return None if request.uri.scheme in policy.schemes else Refusal(416)


def check_max_forwards(request: Request) -> Refusal | None:
    """§16.3 item 3: 483 when no hop is left. An OPTIONS then counts as addressed to us, and the server answers it."""
    if request.max_forwards == 0 and request.method != "OPTIONS":
        return Refusal(483)
    return None


def check_loop(request: Request, detection: LoopDetection, loop: str) -> Refusal | None:
    """RFC 5393 §4.2.2 for §16.3 item 4: 482 when the request was here before and nothing that routes it changed."""
    return Refusal(482) if loop and detection.has_looped(request, loop) else None


def check_max_breadth(request: Request) -> Refusal | None:
    """RFC 5393 §5.3.3: 440 when no breadth is left, not even for one branch."""
    return Refusal(440) if incoming_breadth(request, 1) < 1 else None


def check_proxy_require(request: Request, policy: ProxyPolicy) -> Refusal | None:
    """§16.3 item 5: 420 with the option tags in Proxy-Require that we do not understand."""
    if "proxy-require" not in request._first:
        return None
    unknown = [tag for tag in request.proxy_require if tag not in policy.extensions]
    return Refusal(420, (("Unsupported", ", ".join(unknown)),)) if unknown else None


def incoming_breadth(request: Request, maximum: int) -> int:
    """The Incoming Max-Breadth (RFC 5393 §5.3.2), at most ``maximum``, which is also meant when there is none."""
    if "max-breadth" not in request._first:
        return maximum
    return min(parse_uint(request.get("max-breadth") or "", 2**31 - 1, "Max-Breadth"), maximum)


def addressed_here(request: Request, local: LocalNames) -> bool:
    """True for an OPTIONS that this server answers itself (§11): to us without user part, or out of hops here."""
    if request.method != "OPTIONS":
        return False
    return request.max_forwards == 0 or (not request.uri.user and local.owns(request.uri))
