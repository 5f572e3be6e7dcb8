"""Which transaction a message belongs to (RFC 3261 §17.1.3, §17.2.3), the rule for RFC 2543 peers included."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.protocol.transaction.key import LEGACY, MAGIC_COOKIE, ServerKey

if TYPE_CHECKING:
    from ringback.protocol.message.model import Request


def server_key(request: Request) -> ServerKey:
    """The key of the server transaction that this request makes or, for ACK, belongs to.

    An ACK bears the INVITE's key. Branches are compared byte by byte: those of real peers are often base64, in which
    case counts. Raises ``RemoteProtocolError`` when Via (or, from an RFC 2543 peer, From, To, Call-ID or CSeq) cannot
    be read.
    """
    via = request.top_via
    branch = via.params.get("branch")
    method = request.method
    if method == "ACK":
        method = "INVITE"
    if branch and branch[:7] == MAGIC_COOKIE:
        return (branch, via.sent_by, method)
    return legacy_key(request, method, request.to_tag or "")


def cancelled_key(key: ServerKey, method: str) -> ServerKey:
    """The key of the transaction that a CANCEL with ``key`` means, were its method ``method`` (§9.2)."""
    if key[0] == LEGACY:
        return (LEGACY, method, *key[2:])
    return (key[0], key[1], method)


def legacy_key(request: Request, method: str, to_tag: str) -> ServerKey:
    """The key for a request without the magic cookie: all that §17.2.3 has us compare.

    The To tag is given apart, because an ACK has the one of the response where its INVITE had none.
    """
    via = request.top_via
    params = ";".join(sorted(f"{name}={value}" for name, value in via.params.items()))
    return (
        LEGACY,
        method,
        request.uri_text,
        to_tag,
        request.from_tag or "",
        request.call_id,
        str(request.cseq.number),
        f"{via.transport} {via.sent_by} {params}",
    )


def merge_key(request: Request) -> tuple[str, ...]:
    """What two copies of one request that came by different ways have in common (RFC 3261 §8.2.2.2)."""
    cseq = request.cseq
    return (request.call_id, request.from_tag or "", str(cseq.number), cseq.method)
