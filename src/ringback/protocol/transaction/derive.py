"""The two requests that are made from an INVITE, hop by hop: ACK to a 3xx-6xx, and CANCEL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.protocol.grammar import ascii_lower
from ringback.protocol.message.build import build_request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringback.protocol.message.model import Request, Response

CREDENTIALS = ("authorization", "proxy-authorization")


def build_ack(invite: Request, response: Response) -> Request:
    """The ACK that the client transaction sends (RFC 3261 §17.1.1.3): everything the INVITE's, To the response's.

    Credentials are repeated, for nobody may challenge an ACK (§22.1).
    """
    credentials = [(name, value) for name in CREDENTIALS if invite.has(name) for value in invite.get_all(name)]
    return _derive(invite, "ACK", response.get("to") or invite.get("to") or "", credentials)


def build_cancel(invite: Request, headers: Iterable[tuple[str, str]]) -> Request:
    """The CANCEL of an INVITE (RFC 3261 §9.1): its Request-URI, top Via, Route, From, To, Call-ID and CSeq number.

    ``headers`` are added (Reason). Require and Proxy-Require are not taken over, and not accepted in ``headers``: such
    ones are left out.
    """
    allowed = [(name, value) for name, value in headers if ascii_lower(name) not in ("require", "proxy-require")]
    return _derive(invite, "CANCEL", invite.get("to") or "", allowed)


def _derive(invite: Request, method: str, to: str, headers: Iterable[tuple[str, str]]) -> Request:
    return build_request(
        method,
        invite.uri_text,
        via=invite.values("via")[0],
        from_=invite.get("from") or "",
        to=to,
        call_id=invite.get("call-id") or "",
        cseq=invite.cseq.number,
        headers=[*(("Route", value) for value in invite.get_all("route")), *headers],
    )
