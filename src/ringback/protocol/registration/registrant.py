"""The one who registers (RFC 3261 §10.2): keeps one contact bound to one address-of-record, until told otherwise.

Rule 1. One REGISTER is out at a time (§10.2). A wish that comes meanwhile is kept, the latest only, and done next.
Rule 2. Every REGISTER has the same Call-ID and a CSeq one higher than the one before (§10.2), challenges included.
Rule 3. The Request-URI is the registrar's domain without a user; To is the address-of-record (§10.2).
Rule 4. How long the binding lives is the registrar's to say, by the expires of our contact in its 200 (§10.2.4). It is
        refreshed before that, early enough for a REGISTER to be lost and found once.
Rule 5. 423 is asked again at once with the interval that it names (§10.2.8). A first registration that fails is over;
        a refresh that fails is tried again, ever more slowly, for somebody wants to be reached.

Theory: the machine sends nothing itself. ``SendRegister`` says what to send, ``receive`` takes what came of it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, final

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.message.values import seconds

if TYPE_CHECKING:
    from ringback.protocol.errors import SipError
    from ringback.protocol.grammar import Ids
    from ringback.protocol.message.model import Request, Response

DEFAULT_EXPIRES = 3600  # seconds
LEAD = 60.0  # seconds before expiry that a long registration is refreshed: Timer F is 32
FIRST_RETRY = 30.0  # seconds after a refresh that failed (RFC 5626 §4.5), then twice as long each time
LAST_RETRY = 1800.0


class State(StrEnum):
    """Whether there is a binding, as far as we know, and whether a REGISTER is out."""

    UNREGISTERED = "Unregistered"
    REGISTERING = "Registering"
    REGISTERED = "Registered"
    REFRESHING = "Refreshing"
    UNREGISTERING = "Unregistering"


class Input(StrEnum):
    """What moves the machine."""

    REGISTER = "register"
    UNREGISTER = "unregister"
    ACCEPTED = "2xx"
    TOO_BRIEF = "423"
    REFUSED = "300-699 or nothing"
    DUE = "refresh due"


class Action(StrEnum):
    """What a row does besides moving."""

    ADD = "REGISTER"
    REMOVE = "REGISTER with Expires: 0"
    KEEP = "keep the wish"
    REPORT_BOUND = "report registered, set the refresh"
    REPORT_REMOVED = "report unregistered"
    REPORT_FAILURE = "report failure"
    RETRY_LATER = "report failure, set the retry"


Row = tuple[Action, State]

REGISTRANT: dict[State, dict[Input, Row]] = {
    State.UNREGISTERED: {
        Input.REGISTER: (Action.ADD, State.REGISTERING),  # §10.2.1
        Input.UNREGISTER: (Action.REPORT_REMOVED, State.UNREGISTERED),  # §10.2.2: nothing to remove
    },
    State.REGISTERING: {
        Input.REGISTER: (Action.KEEP, State.REGISTERING),  # §10.2: one at a time
        Input.UNREGISTER: (Action.KEEP, State.REGISTERING),  # §10.2: one at a time
        Input.ACCEPTED: (Action.REPORT_BOUND, State.REGISTERED),  # §10.2.4: as long as the 200 says
        Input.TOO_BRIEF: (Action.ADD, State.REGISTERING),  # §10.2.8
        Input.REFUSED: (Action.REPORT_FAILURE, State.UNREGISTERED),  # §8.1.3.1, §10.2.7
    },
    State.REGISTERED: {
        Input.REGISTER: (Action.ADD, State.REFRESHING),  # §10.2.4
        Input.UNREGISTER: (Action.REMOVE, State.UNREGISTERING),  # §10.2.2
        Input.DUE: (Action.ADD, State.REFRESHING),  # §10.2.4
    },
    State.REFRESHING: {
        Input.REGISTER: (Action.KEEP, State.REFRESHING),  # §10.2: one at a time
        Input.UNREGISTER: (Action.KEEP, State.REFRESHING),  # §10.2: one at a time
        Input.ACCEPTED: (Action.REPORT_BOUND, State.REGISTERED),  # §10.2.4: as long as the 200 says
        Input.TOO_BRIEF: (Action.ADD, State.REFRESHING),  # §10.2.8
        Input.REFUSED: (Action.RETRY_LATER, State.REGISTERED),  # §10.2.7
    },
    State.UNREGISTERING: {
        Input.REGISTER: (Action.KEEP, State.UNREGISTERING),  # §10.2: one at a time
        Input.UNREGISTER: (Action.KEEP, State.UNREGISTERING),  # §10.2: one at a time
        Input.ACCEPTED: (Action.REPORT_REMOVED, State.UNREGISTERED),  # §10.2.2
        Input.REFUSED: (Action.REPORT_FAILURE, State.UNREGISTERED),  # §8.1.3.1, §10.2.7
    },
}


@final
class SendRegister:
    """Send this REGISTER, with our Contact, and give what comes of it to ``receive``. ``expires`` 0 removes it."""

    __slots__ = ("call_id", "expires", "sequence", "to", "uri")

    def __init__(self, uri: str, to: str, call_id: str, sequence: int, expires: int) -> None:
        self.uri = uri
        self.to = to
        self.call_id = call_id
        self.sequence = sequence
        self.expires = expires


@final
class Registered:
    """The binding stands for ``expires`` seconds from now, and is refreshed without being asked."""

    __slots__ = ("expires", "response")

    def __init__(self, expires: int, response: Response) -> None:
        self.expires = expires
        self.response = response


@final
class Unregistered:
    """The binding is gone, or there never was one."""

    __slots__ = ()


@final
class RegistrationFailed:
    """A REGISTER failed: by ``response``, or by ``error`` without one. ``retry_in`` seconds on it is tried again."""

    __slots__ = ("error", "response", "retry_in")

    def __init__(self, response: Response | None, error: SipError | None, retry_in: float | None) -> None:
        self.response = response
        self.error = error
        self.retry_in = retry_in


RegistrantEvent = SendRegister | Registered | Unregistered | RegistrationFailed


@final
class Registrant:
    """One binding, kept. ``registrar`` is the Request-URI (no user part), ``aor`` the To URI."""

    def __init__(self, registrar: str, aor: str, ids: Ids) -> None:
        self.state = State.UNREGISTERED
        self._registrar = registrar
        self._to = f"<{aor}>"
        self._call_id = ids.call_id()
        self._sequence = ids.number(1, 2**30)
        self._expires = DEFAULT_EXPIRES
        self._wish: tuple[Input, int] | None = None
        self._lifetime = 0
        self._due: float | None = None
        self._failures = 0
        self._events: list[RegistrantEvent] = []

    def register(self, now: float, expires: int = DEFAULT_EXPIRES) -> None:
        """Have the binding, for ``expires`` seconds at a time, from now on."""
        self._wished(Input.REGISTER, expires, now)

    def unregister(self, now: float) -> None:
        """Have the binding no more."""
        self._wished(Input.UNREGISTER, 0, now)

    def receive(self, request: Request | None, response: Response | None, error: SipError | None, now: float) -> None:
        """What came of the REGISTER that is out: what was sent in the end, and its final response or an error."""
        if request is not None:
            self._sequence = max(self._sequence, request.cseq.number)
        if response is None or response.status >= 300:
            asked = self._minimum(response)
            if asked is not None and self.state is not State.UNREGISTERING:
                self._expires = asked
                self._advance(Input.TOO_BRIEF, now)
                return
            self._advance(Input.REFUSED, now, response, error)
        else:
            self._lifetime = granted(request, response, self._expires)
            lost = not self._lifetime and self.state is not State.UNREGISTERING  # accepted, yet nothing is bound
            self._advance(Input.REFUSED if lost else Input.ACCEPTED, now, response)
        wish, self._wish = self._wish, None
        if wish is not None:
            self._wished(*wish, now)

    def handle_event(self, event: object, now: float) -> None:
        """A registrant has no transactions of its own."""

    def handle_timers(self, now: float) -> None:
        """Refresh if it is time."""
        if self._due is not None and self._due <= now:
            self._due = None
            self._advance(Input.DUE, now)

    def next_deadline(self) -> float | None:
        """When ``handle_timers`` is to be called next, None for never."""
        return self._due

    def poll(self) -> list[RegistrantEvent]:
        """What there is to tell or to send, oldest first; call until it is empty."""
        events = self._events
        self._events = []
        return events

    def _wished(self, what: Input, expires: int, now: float) -> None:
        row = REGISTRANT[self.state][what]
        if row[0] is Action.KEEP:
            self._wish = (what, expires)
            return
        if what is Input.REGISTER:
            self._expires = expires
        self._advance(what, now)

    def _minimum(self, response: Response | None) -> int | None:
        """The interval that a 423 asks for, when it is more than was offered (§10.2.8)."""
        if response is None or response.status != 423:
            return None
        least = seconds(response.get("min-expires"))
        return least if least is not None and least > self._expires else None

    def _advance(
        self, what: Input, now: float, response: Response | None = None, error: SipError | None = None
    ) -> None:
        row = REGISTRANT[self.state].get(what)
        if row is None:
            return
        action, self.state = row
        self._due = None
        if action is Action.ADD or action is Action.REMOVE:
            self._sequence += 1
            expires = self._expires if action is Action.ADD else 0
            self._events.append(SendRegister(self._registrar, self._to, self._call_id, self._sequence, expires))
        elif action is Action.REPORT_BOUND:
            assert response is not None
            self._failures = 0
            lifetime = self._lifetime
            self._due = now + (lifetime - LEAD if lifetime > 2 * LEAD else lifetime / 2)
            self._events.append(Registered(lifetime, response))
        elif action is Action.REPORT_REMOVED:
            self._events.append(Unregistered())
        elif action is Action.REPORT_FAILURE:
            self._events.append(RegistrationFailed(response, error, None))
        else:  # RETRY_LATER
            wait = min(FIRST_RETRY * 2**self._failures, LAST_RETRY)
            self._failures += 1
            self._due = now + wait
            self._events.append(RegistrationFailed(response, error, wait))


def granted(request: Request | None, response: Response, asked: int) -> int:
    """How many seconds the registrar gave the contact of ``request`` (§10.2.4): its expires parameter in the 200.

    Without one the 200's Expires counts, and without that what was ``asked``.
    """
    try:
        mine = request.contacts[0].uri if request is not None else None
        for contact in response.contacts:
            if mine is not None and contact.expires is not None and contact.uri.equals(mine):
                return contact.expires
        expires = response.expires
    except (RemoteProtocolError, IndexError):
        return asked
    return asked if expires is None else expires
