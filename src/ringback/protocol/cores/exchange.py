"""A request as its sender means it, whatever number of transactions that takes, and the account it is sent for."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from ringback.protocol.grammar import ascii_lower
from ringback.protocol.message.build import build_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.protocol.auth.digest import DigestSession
    from ringback.protocol.cores.calls import Call
    from ringback.protocol.cores.proxy.target_set import TargetSet
    from ringback.protocol.dialog.state import Dialog
    from ringback.protocol.grammar import Ids
    from ringback.protocol.message.model import Request
    from ringback.protocol.routing.flow import Flow, Hop
    from ringback.protocol.transaction.key import ClientKey


UNSENT: ClientKey = ("", "")  # the key of what has no transaction yet


@final
class Account:
    """Who this user agent is.

    ``uri`` is the address-of-record, the From of what it sends; ``user`` the user part of its Contact. ``routes``
    (``<sip:proxy;lr>``) are preloaded as Route on requests outside a dialog (§8.1.2). ``username`` and ``password``, or
    the ``ha1`` made of them, answer challenges of the protection domains in ``realms`` and of no other ("*" is any):
    whoever can reach a phone can challenge it, and must not get a digest of its password for the asking. ``headers``
    go with every request. ``redirects`` says whether a 3xx is followed, ``supported`` which extensions we can offer
    when a 421 asks for them.
    """

    __slots__ = (
        "display_name",
        "ha1",
        "headers",
        "password",
        "realms",
        "redirects",
        "routes",
        "supported",
        "uri",
        "user",
        "username",
    )

    def __init__(
        self,
        uri: str,
        *,
        user: str = "",
        display_name: str | None = None,
        routes: Sequence[str] = (),
        username: str = "",
        password: str | None = None,
        ha1: str | None = None,
        realms: Sequence[str] = (),
        headers: Sequence[tuple[str, str]] = (),
        redirects: bool = True,
        supported: Sequence[str] = (),
    ) -> None:
        self.uri = uri
        self.redirects = redirects
        self.supported = frozenset(map(ascii_lower, supported))
        self.user = user
        self.display_name = display_name
        self.routes = list(routes)
        self.username = username
        self.password = password
        self.ha1 = ha1
        self.realms = set(realms)
        self.headers = list(headers)


@final
class Exchange:
    """One request, from the wish to its final response, repeated if it is challenged, redirected or finds nobody.

    ``next_hop`` is the URI that says where it goes. ``call`` is set for the INVITE of a call and for the BYE that ends
    one; ``dialog`` for a request inside one. ``sessions`` answer its challenges, by header and realm, as ``answered``
    counts them; ``credentials`` are the header fields that came of it. ``request`` is what was sent last, on ``flow``,
    ``key`` its transaction. ``acks`` are the ACKs to its 2xx, by remote tag: exchanges too, though nothing ever answers
    them. ``report`` says whether anybody waits for a ``RequestDone``.

    ``hop`` is where it went, ``hops`` are the addresses left to try; ``is_moving`` says that the next of them is to be.
    ``preloaded`` is the route set that it began with (§8.1.2), ``targets`` what it was redirected to. After a time-out
    a late answer is taken care of until ``forget_at``. A re-INVITE that has been heard of ``is_timed``, and
    ``is_withdrawn`` when its time is up.
    """

    __slots__ = (
        "acks",
        "answered",
        "body",
        "call",
        "call_id",
        "contact",
        "content_type",
        "credentials",
        "dialog",
        "flow",
        "forget_at",
        "from_",
        "headers",
        "hop",
        "hops",
        "is_moving",
        "is_timed",
        "is_withdrawn",
        "key",
        "method",
        "next_hop",
        "preloaded",
        "report",
        "request",
        "routes",
        "sequence",
        "sessions",
        "targets",
        "to",
        "token",
        "uri",
    )

    def __init__(
        self,
        token: int,
        method: str,
        uri: str,
        *,
        from_: str,
        to: str,
        call_id: str,
        sequence: int,
        routes: list[str],
        next_hop: str,
        headers: list[tuple[str, str]],
        body: bytes = b"",
        content_type: str | None = None,
        contact: bool = False,
        dialog: Dialog | None = None,
        call: Call | None = None,
        report: bool = False,
        preloaded: Sequence[str] = (),
    ) -> None:
        self.token = token
        self.method = method
        self.uri = uri
        self.from_ = from_
        self.to = to
        self.call_id = call_id
        self.sequence = sequence
        self.routes = routes
        self.next_hop = next_hop
        self.headers = headers
        self.body = body
        self.content_type = content_type
        self.contact = contact
        self.dialog = dialog
        self.call = call
        self.report = report
        self.credentials: list[tuple[str, str]] = []
        self.sessions: dict[tuple[str, str], DigestSession] = {}
        self.answered: dict[tuple[str, str], int] = {}
        self.preloaded = list(preloaded)
        self.targets: TargetSet | None = None
        self.hop: Hop | None = None
        self.hops: list[Hop] = []
        self.is_moving = False
        self.forget_at = 0.0
        self.acks: dict[str, Exchange] = {}
        self.request: Request | None = None
        self.flow: Flow | None = None
        self.key = UNSENT
        self.is_timed = False
        self.is_withdrawn = False

    @property
    def is_call(self) -> bool:
        """Whether this is the INVITE that a call began with; a re-INVITE is not."""
        return self.call is not None and self.method == "INVITE"

    def build(self, flow: Flow, sent_by: str, contact: str, ids: Ids) -> Request:
        """The request for one transaction on ``flow``: a branch of its own (§8.1.1.7), the response port asked for."""
        headers = [("Route", route) for route in self.routes]
        if self.contact:
            headers.append(("Contact", contact))
        if self.sessions:
            self.credentials = [
                (name, session.authorize(self.method, self.uri, ids.tag(), self.body))
                for (name, _), session in self.sessions.items()
            ]
        self.flow = flow
        self.request = build_request(
            self.method,
            self.uri,
            via=f"SIP/2.0/{flow.transport} {sent_by};branch={ids.branch()};rport",
            from_=self.from_,
            to=self.to,
            call_id=self.call_id,
            cseq=self.sequence,
            headers=[*headers, *self.credentials, *self.headers],
            body=self.body,
            content_type=self.content_type,
        )
        return self.request
