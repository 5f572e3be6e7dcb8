"""The requests of a user agent client, on their way (RFC 3261 §8.1.1, §8.1.2, §12.2.1.1): made, routed, sent, repeated.

Rule 1. A request is an ``Exchange``: what its sender meant. It takes one transaction, or more when it is challenged or
        redirected: same Call-ID, same From tag, CSeq one higher (§8.1.3.4, §8.1.3.5). When an address fails it goes to
        the next as it is, but for the branch (RFC 3263 §4.3).
Rule 2. Where a request goes is said by its first Route, else its Request-URI. A numeric host is a hop at once; for a
        name ``Locate`` is asked, and what waits for the same name is sent in the order in which it came.
Rule 3. An exchange stays in the table until its last transaction has left the layer's, because until then a fork may
        answer (RFC 6026 §7.2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ringback.protocol.cores.exchange import UNSENT, Account, Exchange
from ringback.protocol.dialog import state as dialogs
from ringback.protocol.errors import SipError, TransportError
from ringback.protocol.grammar import quote
from ringback.protocol.message.model import make_line
from ringback.protocol.message.uri import Uri
from ringback.protocol.routing.flow import WEB_TRANSPORTS
from ringback.protocol.routing.locate import Locate, direct_hop

if TYPE_CHECKING:
    from ringback.protocol.cores.calls import Call
    from ringback.protocol.cores.ua_events import UaEvent
    from ringback.protocol.dialog.identity import DialogId
    from ringback.protocol.dialog.state import Dialog
    from ringback.protocol.grammar import Ids
    from ringback.protocol.message.model import Response
    from ringback.protocol.routing.flow import Flow, Hop
    from ringback.protocol.transaction.key import ClientKey, ServerKey
    from ringback.protocol.transaction.layer import TransactionLayer

NAME = "uac"
MOST_HOPS = 8  # addresses that one request is sent to


class Requests:
    """What ``UacCore`` sends with; it says what an outcome means by ``finish``."""

    def __init__(
        self,
        layer: TransactionLayer,
        ids: Ids,
        account: Account,
        *,
        flow_to: Callable[[Hop], Flow],
        sent_by: Callable[[Flow], str],
    ) -> None:
        self._layer = layer
        self._ids = ids
        self._account = account
        self._flow_to = flow_to
        self._sent_by = sent_by
        self._events: list[UaEvent] = []
        self._last_token = 0
        self._by_token: dict[int, Exchange] = {}  # without a final response
        self._by_key: dict[ClientKey | ServerKey, Exchange] = {}  # until the transaction has left the layer
        self._asked: dict[str, int] = {}  # URI: token of the question where it leads
        self._waiting: dict[int, tuple[str, list[Exchange]]] = {}  # token of the question: URI, and who waits
        self._inviting: set[DialogId] = set()  # dialogs with a re-INVITE of ours unanswered

    def finish(self, exchange: Exchange, response: Response | None, error: SipError | None, now: float) -> None:
        """The exchange has its outcome; whoever inherits says what that means."""

    def contact(self, flow: Flow, uri: str) -> str:
        """Our Contact value on a flow (§8.1.1.8, §12.1.1): sips where the request was."""
        user = f"{self._account.user}@" if self._account.user else ""
        scheme = "sips" if uri[:5] == "sips:" else "sip"
        usual = "TLS" if scheme == "sips" else "UDP"
        own = "WS" if flow.transport in WEB_TRANSPORTS else flow.transport  # RFC 7118 §5.2 knows no wss
        transport = "" if own == usual else f";transport={own.lower()}"
        return f"<{scheme}:{user}{self._sent_by(flow)}{transport}>"

    def located(self, token: int, answer: list[Hop] | SipError, now: float) -> None:
        """The answer to a ``Locate``: the hops in the order to try them, or why there are none."""
        text, waiting = self._waiting.pop(token, ("", []))
        self._asked.pop(text, None)
        for exchange in waiting:
            if exchange.method != "ACK" and exchange.token not in self._by_token:
                continue  # withdrawn meanwhile
            if isinstance(answer, SipError):
                self.finish(exchange, None, answer, now)
            else:
                exchange.hops = answer[:MOST_HOPS]
                self._dispatch_next(exchange, now)

    @staticmethod
    def _check(headers: Sequence[tuple[str, str]], content_type: str | None = None) -> None:
        """Refuse with ``LocalProtocolError``, before anything is begun, what could not be sent later."""
        for name, value in headers:
            make_line(name, value)
        if content_type is not None:
            make_line("content-type", content_type)

    def _outside(
        self,
        method: str,
        uri: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
        to: str | None = None,
        call_id: str | None = None,
        sequence: int | None = None,
        contact: bool = False,
        preload: bool = True,
        call: Call | None = None,
    ) -> Exchange:
        """A request outside a dialog (§8.1.1): a Call-ID and a From tag of its own, unless it goes on from others."""
        account = self._account
        preloaded = account.routes if preload else []
        request_uri, routes, next_hop = dialogs.addressing(str(Uri.parse(uri)), preloaded)
        display = f"{quote(account.display_name)} " if account.display_name else ""
        return self._exchange(
            method,
            request_uri,
            from_=f"{display}<{account.uri}>;tag={self._ids.tag()}",
            to=to or f"<{uri}>",
            call_id=call_id or self._ids.call_id(),
            sequence=self._first_sequence() if sequence is None else sequence,
            routes=routes,
            next_hop=next_hop,
            headers=[*headers, *account.headers],
            body=body,
            content_type=content_type,
            contact=contact,
            call=call,
            report=call is None,
            preloaded=preloaded,
        )

    def _inside(
        self,
        dialog: Dialog,
        method: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
        call: Call | None = None,
        report: bool = False,
    ) -> Exchange:
        """A request in a dialog (§12.2.1.1)."""
        uri, routes, next_hop = dialogs.addressing(dialog.remote_target, dialog.route_set)
        return self._exchange(
            method,
            uri,
            from_=dialog.local,
            to=dialog.remote,
            call_id=dialog.call_id,
            sequence=dialogs.next_sequence(dialog, self._first_sequence()),
            routes=routes,
            next_hop=next_hop,
            headers=[*headers, *self._account.headers],
            body=body,
            content_type=content_type,
            contact=method == "INVITE",
            dialog=dialog,
            call=call,
            report=report,
        )

    def _ack(self, dialog: Dialog, sequence: int, credentials: list[tuple[str, str]]) -> Exchange:
        """The ACK to a 2xx (§13.2.2.4): along the dialog, with the INVITE's number and credentials."""
        uri, routes, next_hop = dialogs.addressing(dialog.remote_target, dialog.route_set)
        ack = Exchange(
            0,
            "ACK",
            uri,
            from_=dialog.local,
            to=dialog.remote,
            call_id=dialog.call_id,
            sequence=sequence,
            routes=routes,
            next_hop=next_hop,
            headers=list(self._account.headers),
        )
        ack.credentials = credentials
        return ack

    def _first_sequence(self) -> int:
        """A first CSeq number (§8.1.1.5), with room for every request that may follow it."""
        return self._ids.number(1, 2**30)

    def _exchange(self, method: str, uri: str, **parts: Any) -> Exchange:
        self._last_token += 1
        return Exchange(self._last_token, method, uri, **parts)

    def _send(self, exchange: Exchange, now: float) -> None:
        self._by_token[exchange.token] = exchange
        if exchange.method == "INVITE" and exchange.dialog is not None:
            self._inviting.add(exchange.dialog.id)
        self._route(exchange, now)

    def _route(self, exchange: Exchange, now: float) -> None:
        text = exchange.next_hop
        token = self._asked.get(text)
        if token is not None:
            self._waiting[token][1].append(exchange)
            return
        try:
            uri = Uri.parse(text)
            if not uri.is_sip:
                raise TransportError(f"no way to a {uri.scheme} URI without a proxy")
            hop = direct_hop(uri)
        except SipError as error:
            self.finish(exchange, None, error, now)
            return
        if hop is not None:
            exchange.hops = [hop]
            self._dispatch_next(exchange, now)
            return
        self._last_token += 1
        self._asked[text] = self._last_token
        self._waiting[self._last_token] = (text, [exchange])
        self._events.append(Locate(NAME, self._last_token, uri))

    def _dispatch_next(self, exchange: Exchange, now: float) -> None:
        """Send by the first of the hops that the transport can use."""
        while True:
            hop = exchange.hops.pop(0)
            try:
                flow = self._flow_to(hop)
                sent_by = self._sent_by(flow)
            except TransportError as error:
                if exchange.hops:
                    continue
                self.finish(exchange, None, error, now)
                return
            break
        exchange.hop = hop
        request = exchange.build(flow, sent_by, self.contact(flow, exchange.uri), self._ids)
        if exchange.method == "ACK":
            self._layer.send_stateless(request, flow)
            return
        key = self._layer.send_request(request, flow, now, NAME)
        exchange.key = key
        self._by_key[key] = exchange

    def _retry(self, exchange: Exchange, now: float) -> None:
        """The same request once more: to its next address, or as it has been changed since (§8.1.3.5)."""
        self._by_key.pop(exchange.key, None)
        exchange.key = UNSENT  # until its next hop is known, there is nothing that could be cancelled
        if exchange.is_moving:
            exchange.is_moving = False
            self._dispatch_next(exchange, now)
            return
        if exchange.dialog is not None:
            exchange.sequence = dialogs.next_sequence(exchange.dialog, 1)
        else:
            exchange.sequence += 1
        if exchange.hop is None:
            self._route(exchange, now)
        else:
            exchange.hops.insert(0, exchange.hop)  # who challenged knows the nonce
            self._dispatch_next(exchange, now)
