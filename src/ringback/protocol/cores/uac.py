"""The UAC core (RFC 3261 §8.1.3, §9.1, §13.2, §14.1, §15.1.1): what this user agent asks of others, and what it hears.

How requests are made and find their way is in ``requests.py``; how a call moves, in the table of ``caller.py``.

Rule 1. What can be sent again has no outcome yet: ``repeats.py`` says which responses those are, and an address that
        does not answer, cannot be reached or says 503 is none while there is another (RFC 3263 §4.3), nor while there
        is another Contact of a redirection. Every other final response is an outcome, and so is none at all.
Rule 2. A 2xx to INVITE is acknowledged here, as often as it comes, and by nobody else. The ACK is made once from the
        dialog and kept: its own branch, the dialog's route set, the INVITE's number and credentials (§13.2.2.4).
Rule 3. 481, 408 or silence in a dialog ends its call (§12.2.1.2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, final

from ringback.protocol.cores.caller import CALLER
from ringback.protocol.cores.calls import ENDING, REASONS, Call, Calls, EndReason, Input, State
from ringback.protocol.cores.exchange import UNSENT, Exchange
from ringback.protocol.cores.repeats import amend, next_target
from ringback.protocol.cores.requests import Requests
from ringback.protocol.cores.session import Action
from ringback.protocol.cores.ua_events import CallAnswered, CallOver, CallProgress, RequestDone
from ringback.protocol.dialog import state as dialogs
from ringback.protocol.dialog.identity import of_response
from ringback.protocol.errors import LocalProtocolError, SipError, TransactionTimeout, TransportError
from ringback.protocol.message.model import Response
from ringback.protocol.timer_queue import TimerQueue
from ringback.protocol.transaction.events import (
    ResponseReceived,
    TransactionTerminated,
    TransactionTimedOut,
    TransportFailed,
)

if TYPE_CHECKING:
    from ringback.protocol.cores.exchange import Account
    from ringback.protocol.cores.ua_events import UaEvent
    from ringback.protocol.dialog.state import Dialog
    from ringback.protocol.grammar import Ids
    from ringback.protocol.message.model import Message
    from ringback.protocol.routing.flow import Flow, Hop
    from ringback.protocol.transaction.events import Event, StrayResponse
    from ringback.protocol.transaction.key import ClientKey, ServerKey
    from ringback.protocol.transaction.layer import TransactionLayer
    from ringback.protocol.transaction.timings import Timings

DIALOG_IS_GONE = (408, 481)  # §12.2.1.2


@final
class UacCore(Requests):
    """The user agent client: calls, cancels, acknowledges, hangs up, asks; a ``Core`` over the transaction layer.

    ``flow_to`` picks the local socket for a hop and raises ``TransportError`` when there is none; ``sent_by`` is our
    ``host:port`` on that flow. Every verb takes ``now``; what comes of it is told by ``poll()``.
    """

    def __init__(
        self,
        layer: TransactionLayer,
        ids: Ids,
        account: Account,
        calls: Calls,
        timings: Timings,
        *,
        flow_to: Callable[[Hop], Flow],
        sent_by: Callable[[Flow], str],
    ) -> None:
        super().__init__(layer, ids, account, flow_to=flow_to, sent_by=sent_by)
        self._calls = calls
        self._timings = timings
        # A proxy's Timer C, and Timer B for two silent branches: by then a final response has come or is lost.
        self._longest_ringing = timings.timer_c + 2 * 64 * timings.t1
        # Items: call and the input that is due, call and Call-ID to forget that, 0 and the token of a re-INVITE.
        self._timers = TimerQueue()
        self._given_up: dict[str, Exchange] = {}  # by Call-ID: INVITEs without an answer, for 64*T1 more

    # what the user asks for

    def invite(
        self,
        uri: str,
        now: float,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> int:
        """Call ``uri`` (§13.2.1). Gives the call's number; ``CallOver`` or ``CallAnswered`` tells the outcome.

        Raises ``RemoteProtocolError`` if the URI cannot be parsed, ``LocalProtocolError`` for a bad header.
        """
        self._check(headers, content_type)
        call = self._calls.begin(State.CALLING, is_caller=True)
        call.body = body
        call.content_type = content_type
        try:
            exchange = self._outside(
                "INVITE", uri, headers=headers, body=body, content_type=content_type, contact=True, call=call
            )
        except SipError:
            self._calls.end(call)
            raise
        call.token = exchange.token
        self._send(exchange, now)
        return call.number

    def request(
        self,
        method: str,
        uri: str,
        now: float,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
        to: str | None = None,
        call_id: str | None = None,
        sequence: int | None = None,
        contact: bool = False,
        preload: bool = True,
    ) -> int:
        """Send any request outside a dialog (§8.1). Gives a token; ``RequestDone`` with it tells the outcome.

        ``to`` is the To value (default: the URI). ``call_id`` and ``sequence`` are for requests that go on from
        earlier ones, as REGISTER does (§10.2). Without ``preload`` the account's Route values are left out.
        Raises ``LocalProtocolError`` for methods that are not requests of their own, or for a bad header.
        """
        if method in ("ACK", "CANCEL", "INVITE"):
            raise LocalProtocolError(f"{method} is not sent as a request of its own")
        self._check(headers, content_type)
        exchange = self._outside(
            method,
            uri,
            headers=headers,
            body=body,
            content_type=content_type,
            to=to,
            call_id=call_id,
            sequence=sequence,
            contact=contact,
            preload=preload,
        )
        self._send(exchange, now)
        return exchange.token

    def request_in_call(
        self,
        number: int,
        method: str,
        now: float,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> int:
        """Send any request in the dialog of a call (§12.2.1), a re-INVITE included (§14.1). Gives a token.

        Raises ``LocalProtocolError`` when the call has no dialog, when a re-INVITE may not be sent because another
        INVITE is under way, or for a method that is not a request of its own.
        """
        call = self._calls.get(number)
        dialog = call.dialog if call is not None else None
        if call is None or dialog is None:
            raise LocalProtocolError(f"call {number} is in no dialog")
        if method in ("ACK", "BYE", "CANCEL"):
            raise LocalProtocolError(f"{method} is not sent as a request of its own")
        self._check(headers, content_type)
        if method == "INVITE":
            if dialog.id in self._inviting or call.state is not State.CONFIRMED:
                raise LocalProtocolError("another INVITE is under way in this dialog (RFC 3261 §14.1)")
            if body:
                call.body = body
                call.content_type = content_type
        exchange = self._inside(dialog, method, headers=headers, body=body, content_type=content_type, report=True)
        self._send(exchange, now)
        return exchange.token

    def cancel(self, number: int, now: float, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Withdraw a call that is not answered yet (§9.1); does nothing for one that is, or is over.

        ``headers`` go into the CANCEL, such as Reason (RFC 3326). Raises ``LocalProtocolError`` for a bad one.
        """
        self._check(headers)
        call = self._calls.get(number)
        if call is not None and call.is_caller:
            call.cancel_headers = list(headers)
            self.advance(call, Input.WITHDRAW, now)

    def hang_up(self, number: int, now: float) -> None:
        """End a call of ours: CANCEL while it is not answered, BYE when it is. Does nothing for one that is over."""
        call = self._calls.get(number)
        if call is not None:
            unanswered = call.state in (State.CALLING, State.PROCEEDING)
            self.advance(call, Input.WITHDRAW if unanswered else Input.HANG_UP, now)

    def leave_early(self, number: int, tag: str, now: float) -> None:
        """BYE to the early dialog with that remote tag (§15.1.1); other forks of the call ring on.

        Raises ``LocalProtocolError`` when the call has no such early dialog.
        """
        call = self._calls.get(number)
        dialog = call.early.pop(tag, None) if call is not None else None
        if call is None or dialog is None:
            raise LocalProtocolError(f"call {number} has no early dialog {tag}")
        call.left.add(tag)
        self._dismiss(dialog, now)

    # what the stack tells

    def handle_event(self, event: Event, now: float) -> None:
        """An event of one of our transactions."""
        if isinstance(event, ResponseReceived):
            exchange = self._by_key.get(event.key)
            if exchange is not None:
                self._response(exchange, event.response, now)
        elif isinstance(event, TransactionTimedOut):
            self._broken(event.key, TransactionTimeout("no final response in time"), now)
        elif isinstance(event, TransportFailed):
            self._broken(event.key, TransportError(event.text), now)
        elif isinstance(event, TransactionTerminated):
            self._broken(event.key, TransportError("the transaction ended without a response"), now)
            exchange = self._by_key.pop(event.key, None)
            if exchange is not None and exchange.call is not None and exchange.is_call:
                self._calls.drop_early(exchange.call)  # §13.2.2.4: nobody else will answer now

    def stray(self, event: StrayResponse, now: float) -> None:
        """A response without a transaction. A 2xx to INVITE is acknowledged while its dialog lives.

        One that comes after we gave its INVITE up is acknowledged and its dialog ended, or else it would be repeated
        for half a minute to a caller who is gone, and a callee would talk to nobody.
        """
        response = event.response
        if response.status // 100 != 2 or response.cseq.method != "INVITE":
            return
        dialog = self._calls.dialog(of_response(response))
        exchange = self._given_up.get(response.call_id)
        if exchange is not None and exchange.sequence == response.cseq.number and exchange.call is not None:
            if response.to_tag in exchange.acks:
                self._success(exchange, response, now)
            else:
                self._dismiss_answer(exchange.call, exchange, response, now)
        elif dialog is not None:
            self._route(self._ack(dialog, response.cseq.number, []), now)

    def handle_timers(self, now: float) -> None:
        """Do what is due."""
        for number, what in self._timers.expired(now):
            call = self._calls.get(number)
            if isinstance(what, int):
                self._reinvite_overdue(what, now)
            elif not isinstance(what, Input):
                given_up = self._given_up.get(what)
                if given_up is not None and given_up.forget_at <= now:
                    del self._given_up[what]
            elif call is not None and what is Input.OVERDUE and call.overdue_at > now:
                self._timers.start_at(call.overdue_at, (number, what))  # something was heard meanwhile
            elif call is not None:
                call.overdue_at = 0.0
                self.advance(call, what, now)

    def next_deadline(self) -> float | None:
        """When ``handle_timers`` is to be called next, None for never."""
        return self._timers.next_deadline()

    def poll(self) -> list[UaEvent]:
        """What there is to tell, oldest first; call until it is empty."""
        events = self._events
        self._events = []
        return events

    def clear(self) -> None:
        """Drop all that is under way: nothing can be sent or heard any more."""
        for table in (self._by_token, self._by_key, self._asked, self._waiting, self._given_up):
            table.clear()
        self._inviting.clear()
        self._timers.clear()

    def counts(self) -> dict[str, int]:
        """Sizes of the tables, for statistics and leak checks."""
        return {
            "exchanges": len(self._by_token),
            "transactions": len(self._by_key),
            "waiting": len(self._waiting),
            "inviting": len(self._inviting),
            "given up": len(self._given_up),
        }

    # what the UAS core needs

    def advance(
        self,
        call: Call,
        what: Input,
        now: float,
        message: Message | None = None,
        error: SipError | None = None,
        exchange: Exchange | None = None,
    ) -> None:
        """Move a call by one row of the caller's table (whose session rows are the callee's too)."""
        row = CALLER[call.state].get(what)
        if row is None:
            return
        action, following = row
        if call.reason is None and following in ENDING and following is not call.state:
            call.reason = REASONS.get(what)
        call.state = following
        if exchange is None:
            exchange = self._by_token.get(call.token)
        self._act(action, call, exchange, message, error, now)

    def send_bye(self, call: Call, now: float) -> None:
        """BYE in the call's dialog; ``Input.BYE_DONE`` follows, whatever comes of it."""
        dialog = call.dialog
        assert dialog is not None
        self._send(self._inside(dialog, "BYE", call=call), now)

    def is_inviting(self, dialog: Dialog) -> bool:
        """Whether an INVITE of ours is unanswered in this dialog (§14.2: theirs then gets 491)."""
        return dialog.id in self._inviting

    # responses

    def _response(self, exchange: Exchange, response: Response, now: float) -> None:
        call = exchange.call
        if response.status >= 300:
            if not self._sent_again(exchange, response, now):
                self.finish(exchange, response, None, now)
        elif response.status >= 200:
            if exchange.method == "INVITE":
                self._success(exchange, response, now)
            else:
                self.finish(exchange, response, None, now)
        elif call is not None and exchange.is_call:
            self.advance(call, Input.PROVISIONAL, now, response, exchange=exchange)
        elif exchange.method == "INVITE" and not exchange.is_timed:
            exchange.is_timed = True
            self._timers.start(self._longest_ringing, (0, exchange.token), now)

    def _sent_again(self, exchange: Exchange, response: Response | None, now: float) -> bool:
        """Send what failed again, changed or elsewhere, if there is a way. ``response`` None: there was no answer."""
        call = exchange.call if exchange.is_call else None
        if exchange.is_withdrawn or (call is not None and Input.AGAIN not in CALLER[call.state]):
            return False
        if exchange.hops and (response is None or response.status == 503):
            exchange.is_moving = True
        elif not (next_target(exchange) if response is None else amend(exchange, response, self._account)):
            return False
        if call is not None:
            self.advance(call, Input.AGAIN, now, response, exchange=exchange)
        else:
            self._retry(exchange, now)
        return True

    def _reinvite_overdue(self, token: int, now: float) -> None:
        """No final response to a re-INVITE: it is withdrawn, and 64*T1 later given up (§9.1), which is a time-out."""
        exchange = self._by_token.get(token)
        if exchange is None:
            return
        if exchange.is_withdrawn:
            self.finish(exchange, None, TransactionTimeout("no final response in time"), now)
            self._layer.abandon(exchange.key, now)
        else:
            exchange.is_withdrawn = True
            self._layer.cancel(exchange.key, now)
            self._timers.start(64 * self._timings.t1, (0, token), now)

    def _success(self, exchange: Exchange, response: Response, now: float) -> None:
        """A 2xx to INVITE: the same again, another fork's, or the first (§13.2.2.4, §14.1)."""
        tag = response.to_tag or ""
        ack = exchange.acks.get(tag)
        call = exchange.call
        dialog = exchange.dialog
        if ack is not None:
            if ack.request is not None and ack.flow is not None:
                self._layer.send_stateless(ack.request, ack.flow)
        elif dialog is not None:
            dialogs.refresh(dialog, response)
            self._acknowledge(exchange, dialog, tag, now)
            self.finish(exchange, response, None, now)
        else:
            assert call is not None  # an INVITE outside of a dialog begins one
            if tag in call.left:
                # No outcome: another fork may answer until the transaction ends (Timer M), and with it the call.
                self._dismiss_answer(call, exchange, response, now)
            else:
                self._by_token.pop(exchange.token, None)
                self.advance(call, Input.SUCCESS, now, response, exchange=exchange)

    def _acknowledge(self, exchange: Exchange, dialog: Dialog, tag: str, now: float) -> None:
        ack = self._ack(dialog, exchange.sequence, list(exchange.credentials))
        exchange.acks[tag] = ack
        self._route(ack, now)

    def _broken(self, key: ClientKey | ServerKey, error: SipError, now: float) -> None:
        exchange = self._by_key.get(key)
        if exchange is None or exchange.token not in self._by_token:
            return
        call = exchange.call if exchange.is_call else None
        if call is None or call.state is State.CALLING:  # in Proceeding the far end has it, and may be ringing
            if call is not None and isinstance(error, TransactionTimeout):
                self._give_up(call, exchange, now)
            if self._sent_again(exchange, None, now):
                return
        self.finish(exchange, None, error, now)

    def finish(self, exchange: Exchange, response: Response | None, error: SipError | None, now: float) -> None:
        """The exchange has its outcome. A second one, after a 2xx or a failure already told, counts for nothing."""
        if self._by_token.pop(exchange.token, None) is None:
            return
        call = exchange.call
        dialog = exchange.dialog
        if call is not None:
            if exchange.method == "BYE":
                self.advance(call, Input.BYE_DONE, now, response)
            elif response is not None:
                self.advance(call, Input.FAILURE, now, response)
            else:
                timed_out = isinstance(error, TransactionTimeout)
                if timed_out:
                    self._give_up(call, exchange, now)
                self.advance(call, Input.TIMEOUT if timed_out else Input.BROKEN, now, error=error)
        elif dialog is not None:
            if exchange.method == "INVITE":
                self._inviting.discard(dialog.id)
            owner = self._calls.owner(dialog)
            if owner is None:
                self._calls.remove(dialog)  # a fork that lost, and now knows
            elif isinstance(error, TransactionTimeout) or (response is not None and response.status in DIALOG_IS_GONE):
                self.advance(owner, Input.LOST, now)
        if exchange.report:
            self._events.append(RequestDone(exchange.token, exchange.request, response, error))

    # what the rows of the table do

    def _act(
        self,
        action: Action,
        call: Call,
        exchange: Exchange | None,
        message: Message | None,
        error: SipError | None,
        now: float,
    ) -> None:
        if action is Action.REPORT_OVER:
            self._over(call, message, None)
        elif action is Action.REPORT_FAILURE:
            self._over(call, message, error)
        elif action is Action.SEND_BYE:
            self.send_bye(call, now)
        else:
            assert exchange is not None  # what is left is about the INVITE, which has no final response yet
            if action is Action.RETRY:
                self._calls.drop_early(call)
                self._retry(exchange, now)
            elif isinstance(message, Response):
                self._on_response(action, call, exchange, message, now)
            else:
                self._on_withdrawal(action, call, exchange, now)

    def _on_response(self, action: Action, call: Call, exchange: Exchange, response: Response, now: float) -> None:
        if action is Action.REPORT_PROGRESS:
            self._progress(call, exchange, response, now)
        elif action is Action.ESTABLISH:
            self._establish(call, exchange, response, now)
            self._events.append(CallAnswered(call.number, response))
        elif action is Action.ESTABLISH_AND_LEAVE:
            self._establish(call, exchange, response, now)
            self.send_bye(call, now)
        elif action is Action.DISMISS:
            self._dismiss_answer(call, exchange, response, now)
        else:  # WAIT
            self._timers.start(64 * self._timings.t1, (call.number, Input.ABANDON), now)

    def _on_withdrawal(self, action: Action, call: Call, exchange: Exchange, now: float) -> None:
        if action is Action.ABANDON:
            self._by_token.pop(exchange.token, None)
            self._give_up(call, exchange, now)
            self._over(call, None, None)
            self._layer.abandon(exchange.key, now)
        elif exchange.key == UNSENT:
            self.finish(exchange, None, None, now)  # nothing was sent yet, so there is nothing to cancel
        else:
            self._layer.cancel(exchange.key, now, call.cancel_headers)
            if action is Action.CANCEL_AND_WAIT:
                self._timers.start(64 * self._timings.t1, (call.number, Input.ABANDON), now)

    def _give_up(self, call: Call, exchange: Exchange, now: float) -> None:
        exchange.forget_at = now + 64 * self._timings.t1
        self._given_up[exchange.call_id] = exchange
        self._timers.start(64 * self._timings.t1, (call.number, exchange.call_id), now)

    def _progress(self, call: Call, exchange: Exchange, response: Response, now: float) -> None:
        if not call.overdue_at:
            self._timers.start(self._longest_ringing, (call.number, Input.OVERDUE), now)
            call.overdue_at = now + self._longest_ringing
        if response.status == 100:
            return
        call.overdue_at = now + self._longest_ringing
        tag = response.to_tag
        if tag and tag not in call.early and tag not in call.left and exchange.request is not None:
            dialog = dialogs.as_uac(exchange.request, response)
            call.early[tag] = dialog
            self._calls.add(dialog, call)
        self._events.append(CallProgress(call.number, response))

    def _answered_dialog(self, call: Call, exchange: Exchange, response: Response) -> Dialog:
        """The dialog that a 2xx confirms: an early one, or one that it makes."""
        dialog = call.early.pop(response.to_tag or "", None)
        if dialog is None:
            assert exchange.request is not None
            return dialogs.as_uac(exchange.request, response)
        dialogs.confirm(dialog, response)
        return dialog

    def _establish(self, call: Call, exchange: Exchange, response: Response, now: float) -> None:
        dialog = self._answered_dialog(call, exchange, response)
        call.dialog = dialog
        self._calls.add(dialog, call)
        self._acknowledge(exchange, dialog, response.to_tag or "", now)

    def _dismiss_answer(self, call: Call, exchange: Exchange, response: Response, now: float) -> None:
        dialog = self._answered_dialog(call, exchange, response)
        self._acknowledge(exchange, dialog, response.to_tag or "", now)
        self._dismiss(dialog, now)

    def _dismiss(self, dialog: Dialog, now: float) -> None:
        """End a dialog that nobody wants: it belongs to no call any more, and is forgotten when its BYE is answered."""
        self._calls.remove(dialog)
        self._calls.add(dialog, None)
        self._send(self._inside(dialog, "BYE"), now)

    def _over(self, call: Call, message: Message | None, error: SipError | None) -> None:
        self._calls.end(call)
        reason = call.reason
        assert reason is not None
        if reason is EndReason.CANCELLED:
            error = None
        elif reason is EndReason.FAILED and error is None:
            error = TransactionTimeout("it rang, and no final response came in time")
        self._events.append(CallOver(call.number, reason, message, error))
