"""The 2xx responses to INVITE that wait for their ACK (RFC 3261 §13.3.1.4, RFC 6026 §7.1).

Rule 1. The core repeats a 2xx, not the transaction: from T1, doubling to T2, over every transport, because the ACK
        comes end to end and a hop further on may lose either of them.
Rule 2. The ACK with the dialog and the CSeq number of the INVITE ends it. 64*T1 after the first time it is given up.
Rule 3. In one dialog one answer waits at a time; the next INVITE is put off until then (§14.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from ringback.protocol.errors import LocalProtocolError
from ringback.protocol.timer_queue import TimerQueue

if TYPE_CHECKING:
    from ringback.protocol.dialog.identity import DialogId
    from ringback.protocol.message.model import Response
    from ringback.protocol.transaction.key import ServerKey
    from ringback.protocol.transaction.layer import TransactionLayer
    from ringback.protocol.transaction.timings import Timings


@final
class Answer:
    """A 2xx without its ACK. ``is_first`` tells the one that began the session from that to a re-INVITE."""

    __slots__ = ("interval", "is_first", "key", "response", "sequence")

    def __init__(self, key: ServerKey, response: Response, interval: float, *, is_first: bool) -> None:
        self.key = key
        self.response = response
        self.sequence = response.cseq.number
        self.interval = interval
        self.is_first = is_first


@final
class Answers:
    """All of them, by dialog."""

    __slots__ = ("_layer", "_timers", "_timings", "_waiting")

    def __init__(self, layer: TransactionLayer, timings: Timings) -> None:
        self._layer = layer
        self._timings = timings
        self._timers = TimerQueue()
        self._waiting: dict[DialogId, Answer] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, identity: DialogId) -> bool:
        return identity in self._waiting

    def clear(self) -> None:
        """Repeat none of them any more."""
        self._waiting.clear()
        self._timers.clear()

    def begin(self, identity: DialogId, key: ServerKey, response: Response, now: float, *, is_first: bool) -> None:
        """This 2xx has just been sent; repeat it until ``acknowledged`` or ``forget``."""
        answer = Answer(key, response, self._timings.t1, is_first=is_first)
        self._waiting[identity] = answer
        self._timers.start(answer.interval, (identity, answer, False), now)
        self._timers.start(64 * self._timings.t1, (identity, answer, True), now)

    def acknowledged(self, identity: DialogId, sequence: int) -> Answer | None:
        """The answer that an ACK with this CSeq number ends, None if it ends none."""
        answer = self._waiting.get(identity)
        if answer is None or answer.sequence != sequence:
            return None
        del self._waiting[identity]
        return answer

    def forget(self, identity: DialogId) -> None:
        """The dialog is over; nobody waits for an ACK any more."""
        self._waiting.pop(identity, None)

    def handle_timers(self, now: float) -> list[tuple[DialogId, Answer]]:
        """Repeat what is due; those whose 64*T1 are over are taken out and given back."""
        given_up: list[tuple[DialogId, Answer]] = []
        identity: DialogId
        answer: Answer
        for identity, answer, is_last in self._timers.expired(now):
            if self._waiting.get(identity) is not answer:
                continue
            if is_last:
                del self._waiting[identity]
                given_up.append((identity, answer))
                continue
            try:
                self._layer.respond(answer.key, answer.response, now)
            except LocalProtocolError:
                continue  # the transaction has broken: nothing can be sent, but the 64*T1 still count
            answer.interval = min(answer.interval * 2, self._timings.t2)
            self._timers.start(answer.interval, (identity, answer, False), now)
        return given_up

    def next_deadline(self) -> float | None:
        """When ``handle_timers`` is to be called next, None for never."""
        return self._timers.next_deadline()
