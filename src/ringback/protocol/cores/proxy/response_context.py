"""Response contexts at work: what became of the branches, and what goes back (RFC 3261 §16.7 to §16.10).

Rule 1. Forking: new branches may start. Closing: a 6xx or a CANCEL came, and none may. Answered: a final response has
        gone back, or never will (RFC 4320).
Rule 2. 101 to 199 and every 2xx to INVITE go back at once. One other final response goes back, the best, when no
        branch is pending and no target waits.
Rule 3. After each input the context advances: the next group of targets if its turn has come, the answer if all is
        over, and out of the tables when nothing can come any more.

What a branch does at each input is the table in ``branch``; the methods here are its actions. Nothing below
keeps a reference to the machine, and contexts and branches name each other by key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from ringback.protocol.cores.proxy.best_response import CHALLENGES, aggregate_challenges, choose
from ringback.protocol.cores.proxy.branch import BRANCH_TABLE, RINGING, Branch, BranchAction, BranchInput, BranchState
from ringback.protocol.cores.proxy.context import ContextDone, ContextState, ResponseContext
from ringback.protocol.cores.proxy.target_set import Target
from ringback.protocol.errors import LocalProtocolError, RemoteProtocolError, TransportError
from ringback.protocol.grammar import quote
from ringback.protocol.message.build import build_response
from ringback.protocol.message.registry import STATUS
from ringback.protocol.routing.locate import Locate, direct_hop
from ringback.protocol.timer_queue import TimerQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringback.protocol.cores.proxy.forwarding import Forwarding
    from ringback.protocol.cores.proxy.policy import ProxyPolicy
    from ringback.protocol.grammar import Ids
    from ringback.protocol.message.model import Request, Response
    from ringback.protocol.routing.flow import Flow, Hop
    from ringback.protocol.transaction.key import ClientKey, ServerKey
    from ringback.protocol.transaction.layer import TransactionLayer

USER = "proxy"
CHECK = 32.0  # seconds; a branch with a far deadline is looked at this often, so that ended calls leave no timer behind
ELSEWHERE = (("Reason", 'SIP;cause=200;text="Call completed elsewhere"'),)  # RFC 3326 §2


@final
class ContextMachine:
    """All response contexts of a proxy core, and their branches. ``events`` is the core's own list."""

    __slots__ = (
        "_events",
        "_flow_to",
        "_forwarding",
        "_ids",
        "_layer",
        "_policy",
        "by_key",
        "contexts",
        "live",
        "number",
        "timers",
    )

    def __init__(
        self,
        layer: TransactionLayer,
        ids: Ids,
        policy: ProxyPolicy,
        forwarding: Forwarding,
        flow_to: Callable[[Hop], Flow],
        events: list[object],
    ) -> None:
        self._layer = layer
        self._ids = ids
        self._policy = policy
        self._forwarding = forwarding
        self._flow_to = flow_to
        self._events = events
        self.contexts: dict[ServerKey, ResponseContext] = {}
        self.live: dict[int, Branch] = {}  # by number
        self.by_key: dict[ClientKey | ServerKey, Branch] = {}
        self.number = 0
        self.timers = TimerQueue()

    # Inputs

    def start(self, context: ResponseContext, now: float) -> None:
        """A new context with its targets."""
        self.contexts[context.key] = context
        self._advance(context, now)

    def response(self, key: ClientKey, response: Response, now: float) -> None:
        """A response from a client transaction (§16.7 steps 1 to 5). Takes our Via off it."""
        branch = self.by_key.get(key)
        if branch is None:
            return
        status = response.status
        response.pop_first("via")
        if "via" not in response._first:  # step 3: meant for us, not to be passed on
            if status >= 200:
                self._take_misaddressed(branch, status, now)
            return
        if status < 200:
            self.apply(branch, BranchInput.PROGRESS if status > 100 else BranchInput.TRYING, now, response)
        elif status < 300:
            self.apply(branch, BranchInput.SUCCESS, now, response)
        elif status == 503 and branch.hops and branch.state in RINGING:
            self.apply(branch, BranchInput.NEXT_HOP, now)
        else:
            self.apply(branch, BranchInput.FAILURE, now, response)

    def _take_misaddressed(self, branch: Branch, status: int, now: float) -> None:
        """A final response without the Vias of those before us. What it says of the branch holds, and we say it.

        Phones send one that answer the INVITE with the Via of the CANCEL. Where the response itself matters, and not
        its status alone (2xx, a redirection, a challenge), it counts as none.
        """
        context = self.contexts[branch.context]
        if status < 400 or status in CHALLENGES or context.state is ContextState.ANSWERED:
            self.apply(branch, BranchInput.UNREACHABLE, now)
        else:
            own = build_response(context.request, status, to_tag=self._ids.tag())
            self.apply(branch, BranchInput.FAILURE, now, own)

    def failed(self, key: ClientKey | ServerKey, what: BranchInput, now: float) -> None:
        """A client transaction could not deliver (UNREACHABLE), had no answer (TIMEOUT), or is gone (TERMINATED)."""
        branch = self.by_key.get(key)
        if branch is None:
            return
        if branch.state is BranchState.CALLING and branch.hops and what is not BranchInput.TERMINATED:
            if what is BranchInput.UNREACHABLE or key[1] == "INVITE":  # a non-INVITE's time is up for its sender too
                what = BranchInput.NEXT_HOP
        self.apply(branch, what, now)

    def located(self, number: int, hops: list[Hop] | None, now: float, why: str = "") -> None:
        """The resolver's answer for a branch; None or an empty list when there is no way, and ``why``."""
        branch = self.live.get(number)
        if branch is None or branch.state is not BranchState.LOCATING:
            return
        if hops:
            branch.hops = hops[: self._policy.max_hops]
            self.apply(branch, BranchInput.HOPS, now)
        else:
            self.contexts[branch.context].why = why
            self.apply(branch, BranchInput.UNREACHABLE, now)

    def cancel(self, context: ResponseContext, reason: tuple[tuple[str, str], ...], now: float) -> None:
        """The sender withdrew its INVITE (§16.10)."""
        if context.state is not ContextState.ANSWERED:
            context.cancelled = True
            self._close(context, reason, now)
            self._advance(context, now)

    def handle_timers(self, now: float) -> None:
        """Bring the deadlines that have passed to their branches."""
        for (number,) in self.timers.expired(now):
            branch = self.live.get(number)
            if branch is None or branch.check_at is None or branch.check_at > now:
                continue
            branch.check_at = None
            if branch.deadline is None:
                continue
            if branch.deadline > now:
                self._set_deadline(branch, branch.deadline, branch.deadline_input, now)
                continue
            branch.deadline = None
            what = branch.deadline_input
            branch.overdue = what is not BranchInput.GIVE_UP or branch.overdue
            self.apply(branch, what, now)

    def apply(self, branch: Branch, what: BranchInput, now: float, response: Response | None = None) -> None:
        """One input to one branch, then let its context advance. An input that the state has no row for is nothing."""
        context = self.contexts[branch.context]
        self._step(context, branch, what, now, response)
        self._advance(context, now)

    def _step(
        self, context: ResponseContext, branch: Branch, what: BranchInput, now: float, response: Response | None = None
    ) -> None:
        row = BRANCH_TABLE[branch.state].get(what)
        if row is not None:
            action, branch.state = row
            ACTIONS[action](self, context, branch, now, response)

    # Advancing

    def _advance(self, context: ResponseContext, now: float) -> None:
        if context.state is ContextState.FORKING and context.targets.waiting:
            self._start_targets(context, now)
        if not context.branches:
            if context.state is not ContextState.ANSWERED:
                self._answer(context, now)
            self.contexts.pop(context.key, None)

    def _start_targets(self, context: ResponseContext, now: float) -> None:
        """Start what may run now: the rest of the group at work, or the next group when nobody rings (§16.6)."""
        waiting = context.targets.waiting
        while waiting and context.state is ContextState.FORKING:
            q = waiting[-1].q
            if q != context.q and context.branches and _rings(context):
                return
            if context.free < 1:
                return  # RFC 5393 §5.3.3: a final response on some branch will free breadth
            context.q = q
            breadth = self._share(context)
            self._start_branch(context, waiting.pop(), breadth, now)

    def _share(self, context: ResponseContext) -> int:
        """The next target's part of the free Max-Breadth (RFC 5393 §5.3.3).

        It is divided evenly within the group. Where a ring time may let the next group start before this one has
        given its final responses, one is kept back for each target that waits behind.
        """
        free = context.free
        if len(context.targets.waiting) == 1:
            return free
        group = context.targets.group()
        if any(target.ring_time is not None for target in group):
            free -= len(context.targets.waiting) - len(group)
        return max(1, free // len(group))

    def _start_branch(self, context: ResponseContext, target: Target, breadth: int, now: float) -> None:
        self.number += 1
        branch = Branch(context.key, target, self.number, breadth)
        context.branches.append(branch)
        context.free -= breadth
        self.live[branch.number] = branch
        try:
            branch.request, uri = self._forwarding.prepare(context.request, target)
            hop = None if target.flow or target.hops else direct_hop(uri, _secure(context.request))
        except RemoteProtocolError as error:
            self._conclude(context, branch, error.status)
            return
        if target.hops:
            branch.hops = target.hops[: self._policy.max_hops]
        elif hop is not None:
            branch.hops = [hop]
        elif target.flow is None:
            self._set_deadline(branch, now + self._policy.give_up, BranchInput.GIVE_UP, now)
            self._events.append(Locate(USER, branch.number, uri, _secure(context.request)))
            return
        self._step(context, branch, BranchInput.HOPS, now)

    def _close(self, context: ResponseContext, reason: tuple[tuple[str, str], ...], now: float) -> None:
        """No new branch, and every pending INVITE branch is to stop (§16.7 step 10). A non-INVITE runs its course."""
        context.state = ContextState.CLOSING
        context.targets.waiting.clear()
        context.reason = reason
        if context.invite:
            for branch in tuple(context.branches):
                self._step(context, branch, BranchInput.CANCEL, now)

    def _answer(self, context: ResponseContext, now: float) -> None:
        """All is over without a 2xx: the best response goes back (§16.7 steps 6 and 7)."""
        request = context.request
        best = choose(context.candidates, invite=context.invite, cancelled=context.cancelled)
        if best is None:
            # not sent either: the layer silences the transaction (RFC 4320 §4.2)
            self._respond(context.key, build_response(request, 408), now)
            self._answered(context, None)
            return
        if not isinstance(best, int) and best.status != 503:
            if best.status in CHALLENGES:
                aggregate_challenges(best, context.candidates)
        else:
            status = best if isinstance(best, int) else best.status
            # a 503 would say that nothing can be reached through us (§16.7 step 6)
            headers = [_unlocated(request, context.why)] if status == 503 and context.why else []
            best = build_response(request, 500 if status == 503 else status, to_tag=self._ids.tag(), headers=headers)
        self._respond(context.key, best, now)
        self._answered(context, best.status)

    def _answered(self, context: ResponseContext, status: int | None) -> None:
        context.state = ContextState.ANSWERED
        self._events.append(
            ContextDone(context.key, context.request, status, context.started, context.sent, context.cancelled)
        )
        del context.request, context.targets, context.candidates, context.arrived  # thousands of calls linger 64*T1

    def _respond(self, key: ServerKey, response: Response, now: float) -> None:
        try:
            self._layer.respond(key, response, now)
        except LocalProtocolError:
            pass  # the server transaction has ended; nobody waits upstream (§16.9, RFC 4320 §4.2)

    def _conclude(self, context: ResponseContext, branch: Branch, status: int) -> None:
        """The branch is over with an outcome of our own making."""
        self._finish(context, branch)
        if context.state is not ContextState.ANSWERED:
            context.candidates.append(status)

    def _finish(self, context: ResponseContext, branch: Branch) -> None:
        """The branch leaves the tables and gives its breadth back."""
        branch.state = BranchState.COMPLETED
        del self.live[branch.number]
        if branch.key is not None:
            self.by_key.pop(branch.key, None)
        context.branches.remove(branch)
        context.free += branch.breadth

    def _set_deadline(self, branch: Branch, deadline: float, what: BranchInput, now: float) -> None:
        branch.deadline = deadline
        branch.deadline_input = what
        if branch.check_at is None or branch.check_at > deadline:
            if deadline - now >= CHECK:
                branch.check_at = now + CHECK
                self.timers.start(CHECK, (branch.number,), now)
            else:
                branch.check_at = deadline
                self.timers.start_at(deadline, (branch.number,))

    # Actions of the branch table

    def _nothing(self, context: ResponseContext, branch: Branch, now: float, response: Response | None) -> None:
        """No effect beyond the state."""

    def _send(self, context: ResponseContext, branch: Branch, now: float, response: Response | None) -> None:
        """§16.6 steps 7 to 11, by the first address that the transport can use."""
        if branch.key is not None:
            self.by_key.pop(branch.key, None)
            branch.key = None
        flow = branch.flow
        branch.flow = None
        while flow is None and branch.hops:
            try:
                flow = self._flow_to(branch.hops.pop(0))
            except TransportError:
                continue
        if flow is None:
            self._step(context, branch, BranchInput.UNREACHABLE, now)
            return
        request = branch.request
        branch.request = None
        if request is None:  # an address after the first
            request, _ = self._forwarding.prepare(context.request, branch.target)
        context.sent += 1
        name = f"{self._ids.branch()}.{context.loop}"
        self._forwarding.address(request, flow, name, branch.breadth, context.arrived)
        branch.key = self._layer.send_request(request, flow, now, USER, name)
        self.by_key[branch.key] = branch
        if context.invite:
            ring_time = branch.target.ring_time
            if ring_time is None:
                self._set_deadline(branch, now + self._policy.timer_c, BranchInput.TIMER_C, now)
            else:
                self._set_deadline(branch, now + ring_time, BranchInput.RING_TIME, now)
        else:
            branch.deadline = None

    def _relay(self, context: ResponseContext, branch: Branch, now: float, response: Response | None) -> None:
        """Forward a provisional response unless a final one has gone back (§16.7 step 5)."""
        if context.state is not ContextState.ANSWERED and response is not None:
            self._respond(context.key, response, now)

    def _extend(self, context: ResponseContext, branch: Branch, now: float, response: Response | None) -> None:
        if branch.deadline_input is BranchInput.TIMER_C and context.invite:
            branch.deadline = now + self._policy.timer_c  # the timer that looks comes no later than this
        self._relay(context, branch, now, response)

    def _accept(self, context: ResponseContext, branch: Branch, now: float, response: Response | None) -> None:
        """Forward a 2xx; the first one ends the search (§16.7 steps 5 and 10)."""
        assert response is not None
        self._respond(context.key, response, now)
        branch.deadline = None
        if context.state is not ContextState.ANSWERED:
            self._close(context, ELSEWHERE, now)
            self._answered(context, response.status)
        if not context.invite:  # nothing that may still come would be passed on
            for other in tuple(context.branches):
                self._finish(context, other)

    def _store(self, context: ResponseContext, branch: Branch, now: float, response: Response | None) -> None:
        """Keep a final response as a candidate (§16.7 step 4); a 6xx stops the others (step 5)."""
        assert response is not None
        self._finish(context, branch)
        if context.state is ContextState.ANSWERED:
            return
        status = response.status
        if branch.overdue and status == 487:
            context.candidates.append(408)
            return
        if (
            status < 400
            and context.recurse
            and context.state is ContextState.FORKING
            and self._recurse(context, response)
        ):
            return
        context.candidates.append(response)
        if status >= 600 and context.state is ContextState.FORKING:
            self._close(context, (("Reason", f'SIP;cause={status};text="{STATUS.get(status, "Declined")}"'),), now)

    def _recurse(self, context: ResponseContext, response: Response) -> bool:
        """Take the Contacts of a 3xx into the target set; True when none is left to pass up (§16.7 step 4).

        Those that were tried before are left out too. A redirection that brings no new target is passed up as it is.
        """
        secure = context.request.uri.scheme == "sips"
        added = False
        left = []
        try:
            for contact, value in zip(response.contacts, response.values("contact"), strict=False):
                scheme = contact.uri.scheme
                if not contact.uri.is_sip or (secure and scheme == "sip"):
                    left.append(value)
                elif context.targets.add(Target(contact.uri_text, q=1.0 if contact.q is None else contact.q)):
                    added = True
        except RemoteProtocolError:
            return False
        if added and left:
            response.remove("contact")
            for value in left:
                response.append("Contact", value)
        return added and not left

    def _refuse(self, context: ResponseContext, branch: Branch, now: float, response: Response | None) -> None:
        """Not delivered: counts as a 503 (§16.9)."""
        self._conclude(context, branch, 503)

    def _time_out(self, context: ResponseContext, branch: Branch, now: float, response: Response | None) -> None:
        """No answer: counts as a 408 (§16.6 step 7)."""
        self._conclude(context, branch, 408)

    def _expire(self, context: ResponseContext, branch: Branch, now: float, response: Response | None) -> None:
        """Counts as a 408, and the client transaction is given up (§16.8, §9.1)."""
        assert branch.key is not None
        self._layer.abandon(branch.key, now)
        self._time_out(context, branch, now, response)

    def _drop(self, context: ResponseContext, branch: Branch, now: float, response: Response | None) -> None:
        self._finish(context, branch)

    def _cancel(self, context: ResponseContext, branch: Branch, now: float, response: Response | None) -> None:
        """Ask the layer for a CANCEL; it goes now, or at the first 1xx (§9.1)."""
        assert branch.key is not None
        if branch.state is BranchState.CANCELLING:
            self._set_deadline(branch, now + self._policy.give_up, BranchInput.GIVE_UP, now)
        else:
            branch.deadline = None  # Timer B bounds the wait
        self._layer.cancel(branch.key, now, context.reason)

    def _await_final(self, context: ResponseContext, branch: Branch, now: float, response: Response | None) -> None:
        """The layer has sent the CANCEL that was waiting; the 1xx itself is forwarded like any."""
        self._set_deadline(branch, now + self._policy.give_up, BranchInput.GIVE_UP, now)
        if response is not None and response.status > 100:
            self._relay(context, branch, now, response)


def _unlocated(request: Request, why: str) -> tuple[str, str]:
    """A Warning (§20.43) for whoever asked us to relay to a place that cannot be found: a misspelt domain, mostly."""
    if request.method == "REGISTER":
        text = f"{request.uri_text} is not a registrar of this server and cannot be found: {why}"
    else:
        text = f"{request.uri_text} cannot be found: {why}"
    printable = "".join([char if " " <= char <= "~" else "?" for char in text])
    return "Warning", f"399 ringback {quote(printable)}"


def _rings(context: ResponseContext) -> bool:
    return any(branch.state in RINGING for branch in context.branches)


def _secure(request: Request) -> str | None:
    return "TLS" if request.uri.scheme == "sips" else None


ACTIONS: dict[BranchAction, Callable[[ContextMachine, ResponseContext, Branch, float, Response | None], None]] = {
    BranchAction.NOTHING: ContextMachine._nothing,
    BranchAction.SEND: ContextMachine._send,
    BranchAction.EXTEND: ContextMachine._extend,
    BranchAction.RELAY: ContextMachine._relay,
    BranchAction.ACCEPT: ContextMachine._accept,
    BranchAction.STORE: ContextMachine._store,
    BranchAction.REFUSE: ContextMachine._refuse,
    BranchAction.TIME_OUT: ContextMachine._time_out,
    BranchAction.EXPIRE: ContextMachine._expire,
    BranchAction.DROP: ContextMachine._drop,
    BranchAction.CANCEL: ContextMachine._cancel,
    BranchAction.AWAIT_FINAL: ContextMachine._await_final,
    BranchAction.FORGET: ContextMachine._drop,
}
