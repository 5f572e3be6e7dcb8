"""The state of a dialog and what changes it (RFC 3261 §12): a plain record, and functions from messages into it.

Rules, from which everything here follows:

1. The route set is fixed when the dialog is made and again, once, when a 2xx confirms it (§13.2.2.4). Nothing else
   ever changes it, Record-Route in later requests least of all (§12.2).
2. The remote target follows the Contact of the latest target refresh request or its 2xx (§12.2.1.2, §12.2.2).
3. Each direction counts its requests by itself. Ours grow by exactly one; theirs may leap, but never fall (§12.2.2).
   ACK and CANCEL bear the number of their INVITE and count nothing.
4. A request that is refused has changed nothing (§12.2.2): callers commit a change after they decided to accept.

The functions read two messages and write one record: there is nothing else to set up in order to test them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from ringback.protocol.dialog.identity import DialogId, of_response
from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.message.uri import Uri

if TYPE_CHECKING:
    from ringback.protocol.message.model import Message, Request, Response

HIGHEST_FIRST_SEQUENCE = 2**31 - 1  # §8.1.1.5: the first number is below 2^31


@final
class Dialog:
    """One peer-to-peer relation between two user agents.

    ``local`` and ``remote`` are the From and To values of our requests in it, tags included. ``route_set`` holds
    Route values (``<uri>``) in the order in which we send them. ``local_sequence`` and ``remote_sequence`` are the
    highest CSeq numbers used so far by us and by the peer, None before the first. ``secure`` means that only sips
    will do (§12.1). ``confirmed`` is False while the dialog is early.
    """

    __slots__ = (
        "confirmed",
        "id",
        "local",
        "local_sequence",
        "remote",
        "remote_sequence",
        "remote_target",
        "route_set",
        "secure",
    )

    def __init__(
        self,
        identity: DialogId,
        *,
        local: str,
        remote: str,
        remote_target: str,
        route_set: list[str],
        local_sequence: int | None,
        remote_sequence: int | None,
        secure: bool,
        confirmed: bool,
    ) -> None:
        self.id = identity
        self.local = local
        self.remote = remote
        self.remote_target = remote_target
        self.route_set = route_set
        self.local_sequence = local_sequence
        self.remote_sequence = remote_sequence
        self.secure = secure
        self.confirmed = confirmed

    @property
    def call_id(self) -> str:
        """The Call-ID that all requests in this dialog bear."""
        return self.id[0]


def as_uac(request: Request, response: Response) -> Dialog:
    """The dialog that a 101-199 or 2xx response to our request makes (§12.1.2).

    A response without Contact breaks §12.1.1; the Request-URI then serves as remote target, as the place that
    did answer. Raises ``RemoteProtocolError`` if a Record-Route or Contact cannot be parsed.
    """
    return Dialog(
        of_response(response),
        local=request.get("from") or "",
        remote=response.get("to") or "",
        remote_target=_contact(response) or request.uri_text,
        route_set=_recorded(response)[::-1],
        local_sequence=request.cseq.number,
        remote_sequence=None,
        secure=request.uri.scheme == "sips",
        confirmed=response.status >= 200,
    )


def as_uas(request: Request, tag: str) -> Dialog:
    """The early dialog that we make by answering ``request`` with ``tag`` in To (§12.1.1).

    A request without Contact breaks §8.1.1.8; the From URI then serves as remote target. Raises
    ``RemoteProtocolError`` if a Record-Route or Contact cannot be parsed.
    """
    return Dialog(
        (request.call_id, tag, request.from_tag or ""),
        local=f"{request.get('to') or ''};tag={tag}",
        remote=request.get("from") or "",
        remote_target=_contact(request) or request.from_.uri_text,
        route_set=_recorded(request),
        local_sequence=None,
        remote_sequence=request.cseq.number,
        secure=request.uri.scheme == "sips",
        confirmed=False,
    )


def confirm(dialog: Dialog, response: Response) -> None:
    """A 2xx confirms an early dialog: route set and remote target are computed anew from it (§13.2.2.4)."""
    dialog.route_set = _recorded(response)[::-1]
    dialog.confirmed = True
    refresh(dialog, response)


def refresh(dialog: Dialog, message: Message) -> None:
    """A target refresh request that was accepted, or its 2xx: its Contact is the new remote target, if it has one."""
    target = _contact(message)
    if target is not None:
        dialog.remote_target = target


def in_order(dialog: Dialog, number: int) -> bool:
    """Whether the peer may use this CSeq number now (§12.2.2): a lower one is answered 500, gaps are fine.

    An equal number passes: a retransmission never comes this far, so it is a second method on one number, which
    peers that count wrongly do send and nothing forbids to answer.
    """
    return dialog.remote_sequence is None or number >= dialog.remote_sequence


def received(dialog: Dialog, number: int) -> None:
    """The peer has used this CSeq number in a request that was in order (§12.2.2)."""
    dialog.remote_sequence = number


def next_sequence(dialog: Dialog, first: int) -> int:
    """The CSeq number of our next request (§12.2.1.1), which is then used; ``first`` if we have sent none yet."""
    number = first if dialog.local_sequence is None else dialog.local_sequence + 1
    dialog.local_sequence = number
    return number


def addressing(target: str, route_set: list[str]) -> tuple[str, list[str], str]:
    """Request-URI, Route values and next hop URI of a request to ``target`` along a route set (§12.2.1.1, §8.1.2).

    Loose routing keeps the target in the Request-URI and goes to the first route. A first route without ``lr`` is a
    strict router: it takes the Request-URI, and the target goes last in Route. A first route that is no SIP URI is
    given back as the next hop: it is there that nothing can be sent to.
    """
    if not route_set:
        return target, [], target
    next_hop = route_set[0][1:-1]
    try:
        first = Uri.parse(next_hop)
    except RemoteProtocolError:
        return target, list(route_set), next_hop
    if first.lr or not first.is_sip:
        return target, list(route_set), next_hop
    # A method parameter and headers may not stand in a Request-URI (§19.1.1, table 1).
    params = {name: value for name, value in first.params.items() if name != "method"}
    strict = str(
        Uri(first.scheme, first.host, user=first.user, password=first.password, port=first.port, params=params)
    )
    return strict, [*route_set[1:], f"<{target}>"], strict


def _recorded(message: Message) -> list[str]:
    return [f"<{value.uri_text}>" for value in message.record_routes]


def _contact(message: Message) -> str | None:
    contacts = message.contacts
    return contacts[0].uri_text if contacts else None
