"""The UAS core (RFC 3261 §8.2, §9.2, §11.2, §12.2.2, §13.3, §14.2, §15.1.2): everything others ask of this user agent.

Rule 1. A request is looked at in the order of ``uas_checks``: what is refused has changed nothing.
Rule 2. A To tag names a dialog of ours or the answer is 481; only an ACK is never answered.
Rule 3. CANCEL, BYE and ACK do their work here and now. What is left to the user (ringing, answering, requests that it
        said it would take) is told as an event, and answered by a verb whenever the user gets round to it.
Rule 4. A 2xx to INVITE is ours to repeat: from T1, doubling to T2, over every transport, until its ACK; 64*T1 after it
        was first sent the session is given up and ended with BYE (§13.3.1.4).
Rule 5. One INVITE at a time in a dialog: 491 while ours is out, 500 and Retry-After while theirs is unfinished (§14.2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, final

from ringback.protocol.cores.answers import Answers
from ringback.protocol.cores.callee import CALLEE
from ringback.protocol.cores.calls import ENDING, REASONS, Call, Calls, Input, State
from ringback.protocol.cores.capabilities import SDP, Capabilities, accepts
from ringback.protocol.cores.pending import Pending
from ringback.protocol.cores.session import Action
from ringback.protocol.cores.ua_events import (
    CallConfirmed,
    CallOffered,
    CallOver,
    RequestOffered,
    RequestWithdrawn,
)
from ringback.protocol.cores.uas_checks import AFTER_MERGED, BEFORE_MERGED, Refusal, first_refusal
from ringback.protocol.dialog import state as dialogs
from ringback.protocol.dialog.identity import of_request
from ringback.protocol.errors import CallEnded, LocalProtocolError
from ringback.protocol.grammar import ascii_lower
from ringback.protocol.message.build import build_response
from ringback.protocol.transaction.events import CancelReceived, TransactionTerminated

if TYPE_CHECKING:
    from ringback.protocol.cores.ua_events import UaEvent
    from ringback.protocol.cores.uac import UacCore
    from ringback.protocol.dialog.identity import DialogId
    from ringback.protocol.dialog.state import Dialog
    from ringback.protocol.grammar import Ids
    from ringback.protocol.message.model import Request, Response
    from ringback.protocol.transaction.events import Event, RequestReceived
    from ringback.protocol.transaction.key import ServerKey
    from ringback.protocol.transaction.layer import TransactionLayer
    from ringback.protocol.transaction.timings import Timings

    Challenger = Callable[[Request, float], list[str]]

NAME = "uas"
NOT_ACCEPTABLE = (488, 606)
Headers = Sequence[tuple[str, str]]
MOST_CALLS = 1000  # at once, unless told otherwise: more are answered 486


@final
class UasCore:
    """The user agent server: checks, answers, rings; a ``Core`` over the transaction layer.

    It shares ``calls`` with ``uac``, which sends the BYE of a callee and takes over when a call is established.
    ``challenge`` gives the WWW-Authenticate values to refuse a request with by 401, or an empty list to let it pass;
    None lets all pass.
    ``busy`` refuses new calls with 486, ``takes_calls`` False with 480; ``takes_session_changes`` hands re-INVITEs to
    the user instead of answering them as they are. ``headers`` go with every response.
    """

    def __init__(
        self,
        layer: TransactionLayer,
        ids: Ids,
        calls: Calls,
        capabilities: Capabilities,
        timings: Timings,
        uac: UacCore,
        *,
        headers: Headers = (),
        most_calls: int = MOST_CALLS,
        challenge: Challenger | None = None,
    ) -> None:
        self.busy = False
        self.takes_calls = True
        self.takes_session_changes = False
        self._layer = layer
        self._ids = ids
        self._calls = calls
        self._can = capabilities
        self._uac = uac
        self._headers = list(headers)
        self._most_calls = most_calls
        self.challenge = challenge
        self._answers = Answers(layer, timings)
        self._events: list[UaEvent] = []
        self._invited: dict[ServerKey, Call] = {}  # calls whose INVITE is not answered
        self._pending: dict[ServerKey, Pending] = {}  # requests that the user has

    # what the user decides

    def ring(
        self,
        number: int,
        now: float,
        *,
        status: int = 180,
        headers: Headers = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> None:
        """A provisional response, which makes an early dialog (§13.3.1.1). Raises ``CallEnded`` when too late."""
        call, request = self._unanswered(number)
        if not 101 <= status <= 199:
            raise LocalProtocolError("a provisional response is from 101 to 199")
        response = self._response_to_call(call, request, status, None, headers, body, content_type)
        self._advance(call, Input.RING, now, response=response)

    def answer(
        self,
        number: int,
        now: float,
        *,
        status: int = 200,
        headers: Headers = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> None:
        """Take the call (§13.3.1.4). ``CallConfirmed`` follows with the ACK. Raises ``CallEnded`` when too late."""
        call, request = self._unanswered(number)
        if not 200 <= status <= 299:
            raise LocalProtocolError("a call is taken with a 2xx")
        response = self._response_to_call(call, request, status, None, headers, body, content_type)
        call.body = body
        call.content_type = content_type
        self._advance(call, Input.ANSWER, now, response=response)

    def reject(
        self, number: int, now: float, *, status: int = 480, reason: str | None = None, headers: Headers = ()
    ) -> None:
        """Refuse the call (§13.3.1.3), by default as not available. Raises ``CallEnded`` when it comes too late."""
        call, request = self._unanswered(number)
        if not 300 <= status <= 699:
            raise LocalProtocolError("a call is refused with a status from 300 to 699")
        extra = [*_why(status, headers), self._can.allow, *self._headers]
        response = build_response(request, status, reason, to_tag=call.tag, headers=[*headers, *extra])
        self._advance(call, Input.REJECT, now, response=response)

    def hang_up(self, number: int, now: float) -> None:
        """End any call: one that came in by refusal while it rings, else by BYE after its ACK (§15).

        A call of our own goes to the UAC core. Does nothing for one that is over.
        """
        call = self._calls.get(number)
        if call is None:
            return
        if call.is_caller:
            self._uac.hang_up(number, now)
        elif call.state in (State.TRYING, State.RINGING):
            self.reject(number, now)
        else:
            self._advance(call, Input.HANG_UP, now)

    def respond(
        self,
        key: ServerKey,
        status: int,
        now: float,
        *,
        reason: str | None = None,
        headers: Headers = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> None:
        """The final answer to a request that was offered. Raises ``LocalProtocolError`` if it has one already."""
        pending = self._pending.get(key)
        if pending is None:
            raise LocalProtocolError("this request needs no answer any more")
        if status < 200:
            raise LocalProtocolError("a request is answered with a final response (RFC 3261 §8.2.6.1)")
        request = pending.request
        success = status < 300
        extra = [("Contact", pending.contact), self._can.allow] if request.method == "INVITE" and success else []
        response = build_response(
            request,
            status,
            reason,
            to_tag=pending.tag,
            headers=[*extra, *headers, *_why(status, headers), *self._headers],
            body=body,
            content_type=content_type,
        )
        del self._pending[key]
        self._layer.respond(key, response, now)
        dialog = pending.dialog
        if dialog is not None and request.method == "INVITE" and success:
            dialogs.refresh(dialog, request)  # §12.2.2
            call = self._calls.owner(dialog)
            if call is not None and body:
                call.body = body
                call.content_type = content_type
            self._answers.begin(dialog.id, key, response, now, is_first=False)

    # what the stack tells

    def receive(self, event: RequestReceived, now: float) -> None:
        """A request that matches no transaction; the composition root hands over all of them."""
        request = event.request
        if request.method == "ACK":
            self._acknowledged(request, now)  # never answered, whatever is wrong with it
            return
        if request.method == "CANCEL":
            # What it would cancel is not here; had it been, the layer would have matched it (§9.2).
            self._layer.reply_stateless(request, event.flow, self._final(request, 481, self._ids.tag()))
            return
        challenges = self.challenge(request, now) if self.challenge is not None else []
        if challenges:
            values = [("WWW-Authenticate", value) for value in challenges]
            self._layer.reply_stateless(request, event.flow, self._final(request, 401, self._ids.tag(), values))
            return
        refusal = (
            first_refusal(BEFORE_MERGED, request, self._can)
            or self._check_merged(request)
            or first_refusal(AFTER_MERGED, request, self._can)
        )
        tag = request.to_tag or self._ids.tag()
        key = self._layer.accept(request, event.flow, now, NAME, tag)
        if refusal is not None:
            self._layer.respond(key, self._final(request, refusal.status, tag, refusal.headers), now)
            return
        if request.to_tag is None:
            self._outside(event, key, tag, now)
        else:
            self._inside(event, key, tag, now)

    def handle_event(self, event: Event, now: float) -> None:
        """An event of one of our transactions."""
        if isinstance(event, CancelReceived):
            call = self._invited.get(event.key)
            if call is not None:
                self._advance(call, Input.CANCEL, now, message=event.request)
            else:
                self._withdraw(event.key, now)
        elif isinstance(event, TransactionTerminated):
            call = self._invited.get(event.key)
            if call is not None:
                self._advance(call, Input.BROKEN, now)
            if self._pending.pop(event.key, None) is not None:
                self._events.append(RequestWithdrawn(event.key))

    def handle_timers(self, now: float) -> None:
        """Repeat each 2xx that is due, give up those whose time is up (§13.3.1.4, §14.2)."""
        for identity, answer in self._answers.handle_timers(now):
            call = self._call_in(identity)
            if call is not None:
                self._advance(call, Input.NO_ACK if answer.is_first else Input.LOST, now)

    def next_deadline(self) -> float | None:
        """When ``handle_timers`` is to be called next, None for never."""
        return self._answers.next_deadline()

    def poll(self) -> list[UaEvent]:
        """What there is to tell, oldest first; call until it is empty."""
        events = self._events
        self._events = []
        return events

    def clear(self) -> None:
        """Drop all that is under way: nothing can be sent or heard any more."""
        self._answers.clear()
        self._invited.clear()
        self._pending.clear()

    def counts(self) -> dict[str, int]:
        """Sizes of the tables, for statistics and leak checks."""
        return {
            "invited": len(self._invited),
            "answers": len(self._answers),
            "pending": len(self._pending),
        }

    # requests

    def _check_merged(self, request: Request) -> Refusal | None:
        """§8.2.2.2: the same request by another path gets 482."""
        if request.to_tag is None and self._layer.merged(request):
            return Refusal(482, "the same request came by another path (RFC 3261 §8.2.2.2)")
        return None

    def _outside(self, event: RequestReceived, key: ServerKey, tag: str, now: float) -> None:
        request = event.request
        method = request.method
        if method == "BYE":
            self._layer.respond(key, self._final(request, 481, tag), now)  # §15.1.2
        elif method in ("INVITE", "OPTIONS") and self._unwilling:
            self._layer.respond(key, self._final(request, self._unwilling, tag), now)  # §11.2, §13.3.1.3
        elif method == "OPTIONS":
            self._layer.respond(key, self._capabilities(event, tag), now)
        elif method == "INVITE":
            dialog = dialogs.as_uas(request, tag)  # may find the request unreadable, so before anything is begun
            call = self._calls.begin(State.TRYING, is_caller=False)
            call.dialog = dialog
            call.key = key
            call.tag = tag
            call.request = request
            call.contact = self._uac.contact(event.flow, request.uri_text)
            self._invited[key] = call
            self._events.append(CallOffered(call.number, request))
        else:
            self._offer(event, key, tag, None, None)

    def _inside(self, event: RequestReceived, key: ServerKey, tag: str, now: float) -> None:
        """§12.2.2. CSeq is looked at before anything else, and counts as used from then on."""
        request = event.request
        dialog = self._calls.dialog(of_request(request))
        if dialog is None:
            self._layer.respond(key, self._final(request, 481, tag), now)
            return
        number = request.cseq.number
        if not dialogs.in_order(dialog, number):
            self._layer.respond(key, self._final(request, 500, tag), now)
            return
        dialogs.received(dialog, number)
        call = self._calls.owner(dialog)
        if request.method == "BYE":
            self._bye(request, key, tag, dialog, call, now)
        elif call is None:
            self._layer.respond(key, self._final(request, 481, tag), now)  # a fork that is being ended
        elif request.method == "OPTIONS":
            self._layer.respond(key, self._capabilities(event, tag), now)
        elif request.method == "INVITE":
            self._reinvite(event, key, tag, dialog, call, now)
        else:
            self._offer(event, key, tag, dialog, call)

    def _offer(
        self, event: RequestReceived, key: ServerKey, tag: str, dialog: Dialog | None, call: Call | None
    ) -> None:
        request = event.request
        self._pending[key] = Pending(request, tag, self._uac.contact(event.flow, request.uri_text), dialog)
        self._events.append(RequestOffered(key, request, None if call is None else call.number))

    def _bye(self, request: Request, key: ServerKey, tag: str, dialog: Dialog, call: Call | None, now: float) -> None:
        """§15.1.2: 200 for it, 487 for whatever is still open in the dialog."""
        self._layer.respond(key, self._final(request, 200, tag), now)
        for waiting in [waiting for waiting, pending in self._pending.items() if pending.dialog is dialog]:
            self._withdraw(waiting, now)
        self._answers.forget(dialog.id)
        if call is None:
            self._calls.remove(dialog)
        elif call.is_caller and dialog is not call.dialog:
            call.early.pop(dialog.id[2], None)
            call.left.add(dialog.id[2])  # its own 2xx may come after it: nobody is there to talk to
            self._calls.remove(dialog)
        else:
            self._advance(call, Input.BYE, now, message=request)

    def _reinvite(
        self, event: RequestReceived, key: ServerKey, tag: str, dialog: Dialog, call: Call, now: float
    ) -> None:
        """§14.2. Left to itself it agrees to go on as before: the session description that we sent last once more."""
        request = event.request
        if self._uac.is_inviting(dialog):
            self._layer.respond(key, self._final(request, 491, tag), now)
        elif not dialog.confirmed or dialog.id in self._answers or self._has_invite(dialog):
            wait = ("Retry-After", str(self._ids.number(0, 10)))
            self._layer.respond(key, self._final(request, 500, tag, [wait]), now)
        elif call.state is not State.CONFIRMED:
            self._layer.respond(key, self._final(request, 481, tag), now)
        else:
            self._pending[key] = Pending(request, tag, self._uac.contact(event.flow, request.uri_text), dialog)
            if self.takes_session_changes:
                self._events.append(RequestOffered(key, request, call.number))
            elif request.body and not call.body:
                self.respond(key, 488, now)  # an offer, and nothing to answer it with
            else:
                self.respond(key, 200, now, body=call.body, content_type=call.content_type)

    def _has_invite(self, dialog: Dialog) -> bool:
        return any(
            pending.dialog is dialog and pending.request.method == "INVITE" for pending in self._pending.values()
        )

    def _withdraw(self, key: ServerKey, now: float) -> None:
        """§9.2, §15.1.2: the user need not answer any more; 487 does."""
        pending = self._pending.pop(key, None)
        if pending is not None:
            self._layer.respond(key, self._final(pending.request, 487, pending.tag), now)
            self._events.append(RequestWithdrawn(key))

    def _acknowledged(self, request: Request, now: float) -> None:
        """§13.3.1.4: the ACK of a 2xx ends its repetition; any other belongs to nothing and is dropped."""
        identity = of_request(request)
        answer = self._answers.acknowledged(identity, request.cseq.number)
        call = self._call_in(identity)
        if answer is not None and call is not None and answer.is_first:
            self._advance(call, Input.ACK, now, message=request)

    def _call_in(self, identity: DialogId) -> Call | None:
        dialog = self._calls.dialog(identity)
        return None if dialog is None else self._calls.owner(dialog)

    # what the rows of the table do

    def _advance(
        self,
        call: Call,
        what: Input,
        now: float,
        *,
        message: Request | None = None,
        response: Response | None = None,
    ) -> None:
        """Move a call by one row of the callee's table, or of the session's."""
        if call.is_caller or call.state not in CALLEE or call.state in (State.CONFIRMED, State.LEAVING):
            self._uac.advance(call, what, now, message)
            return
        row = CALLEE[call.state].get(what)
        if row is None:
            return
        action, following = row
        if call.reason is None and following in ENDING:
            call.reason = REASONS[what]
        call.state = following
        self._act(action, call, message, response, now)

    def _act(self, action: Action, call: Call, message: Request | None, response: Response | None, now: float) -> None:
        key = call.key
        request = call.request
        if action is Action.CONFIRM and message is not None:
            self._events.append(CallConfirmed(call.number, message))
        elif action is Action.SEND_BYE:
            self._uac.send_bye(call, now)
        elif action is Action.SEND_PROVISIONAL or action is Action.SEND_SUCCESS:
            self._send_2xx_or_1xx(action, call, response, now)
        elif action is not Action.QUEUE_BYE:
            if action in (Action.SEND_CANCELLED, Action.SEND_ENDED) and request is not None:
                response = self._final(request, 487, call.tag)
            if response is not None:
                self._layer.respond(key, response, now)
            self._over(call, message)

    def _send_2xx_or_1xx(self, action: Action, call: Call, response: Response | None, now: float) -> None:
        key = call.key
        dialog = call.dialog
        assert dialog is not None
        assert response is not None
        self._calls.add(dialog, call)
        self._layer.respond(key, response, now)
        if action is Action.SEND_SUCCESS:
            dialog.confirmed = True
            self._invited.pop(key, None)
            call.request = None
            self._answers.begin(dialog.id, key, response, now, is_first=True)

    def _over(self, call: Call, message: Request | None) -> None:
        self._invited.pop(call.key, None)
        call.request = None
        self._calls.end(call)
        assert call.reason is not None
        self._events.append(CallOver(call.number, call.reason, message))

    # responses

    @property
    def _unwilling(self) -> int:
        """What a new call is refused with, whoever calls; 0 when it is left to the user."""
        if self.busy or self._calls.counts()["calls"] >= self._most_calls:
            return 486
        return 0 if self.takes_calls else 480

    def _unanswered(self, number: int) -> tuple[Call, Request]:
        call = self._calls.get(number)
        if call is None or call.request is None:
            raise CallEnded(f"call {number} needs no answer any more")
        return call, call.request

    def _final(self, request: Request, status: int, tag: str, headers: Headers = ()) -> Response:
        return build_response(request, status, to_tag=tag, headers=[*headers, *self._headers])

    def _response_to_call(
        self,
        call: Call,
        request: Request,
        status: int,
        reason: str | None,
        headers: Headers,
        body: bytes,
        content_type: str | None,
    ) -> Response:
        """A response that makes the dialog (§12.1.1): Record-Route copied, Contact, and what we can do."""
        supported = ("Supported", ", ".join(self._can.supported))
        return build_response(
            request,
            status,
            reason,
            to_tag=call.tag,
            headers=[("Contact", call.contact), self._can.allow, supported, *headers, *self._headers],
            body=body,
            content_type=content_type,
            record_route=True,
        )

    def _capabilities(self, event: RequestReceived, tag: str) -> Response:
        """The 200 to OPTIONS (§11.2), with a session description when the asker can read one."""
        request = event.request
        sdp = self._can.sdp
        if sdp is not None and request.get("accept") is not None and not accepts(request.accept, SDP):
            sdp = None
        contact = ("Contact", self._uac.contact(event.flow, request.uri_text))
        return build_response(
            request,
            200,
            to_tag=tag,
            headers=[contact, *self._can.headers(), *self._headers],
            body=sdp or b"",
            content_type=SDP if sdp else None,
        )


def _why(status: int, headers: Headers) -> Headers:
    """The Warning of a 488 or 606 whose user gave none: it should say why (§21.4.26, §21.6.4)."""
    if status not in NOT_ACCEPTABLE or any(ascii_lower(name) == "warning" for name, _ in headers):
        return []
    return [("Warning", '399 ringback "the session description is not acceptable here"')]
