"""What must hold in every run of the office, each rule a function that raises AssertionError with the case at hand.

What the packets alone must show is in ``ringback.testing.invariants``; these rules also hold what the phones told their
users, what the transaction layers told the cores and what the registrar has stored against the packets. Under loss
nothing can be said of what was sent in vain, so all of them speak of what arrived. The run has come to rest.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Any, final

from ringback.protocol.cores.calls import EndReason
from ringback.protocol.message.model import Request, Response
from ringback.testing.invariants import PATIENCE, SLACK, Sent, check_trace, read
from ringback.testing.virtual_time import EPOCH
from tests.simulation.office import DOMAIN, SERVER, Office, Story

TOUCH = 0.001  # seconds within which two things are at the same moment
FORGOTTEN = 5.0  # T4: the least that a server transaction remembers its INVITE for after the final response
ENDS_FOR = {
    "answered": {EndReason.HUNG_UP, EndReason.REMOTE, EndReason.LOST},
    "timed out": {EndReason.FAILED},
    "failed": {EndReason.FAILED},
    "withdrawn": {EndReason.CANCELLED},
}
Leg = tuple[str, str, str | None, str | None]
"""One side of a dialog: host, Call-ID, that side's own tag, the other's."""


@final
class Evidence:
    """A finished run, its packets read once and sorted for the rules."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.messages = read(office.world.trace)
        self.requests: list[Sent] = []
        self.responses: list[Sent] = []
        for sent in self.messages:
            (self.requests if isinstance(sent.message, Request) else self.responses).append(sent)
        self.finals_sent: dict[tuple[str, str, str], Sent] = {}  # the first one, by host, branch and method
        self.contexts: dict[str, Context] | None = None
        for sent in self.responses:
            if status(sent) >= 200:
                self.finals_sent.setdefault((sent.host, sent.branch, sent.message.cseq.method), sent)

    def sent_by(self, host: str, method: str) -> list[Sent]:
        """The requests of a method that a host began, each sending of them."""
        return [
            sent
            for sent in self.requests
            if sent.host == host and method_of(sent) == method and len(sent.message.vias) == 1 and not sent.packet.copy
        ]


def check_office(office: Office) -> None:
    """Check every rule, those of the packets alone first. Every call is over and every table is empty."""
    check_trace(office.world.trace)
    evidence = Evidence(office)
    for rule in (*RULES, *REGISTRATION_RULES):
        rule(evidence)


def check_registrations(office: Office) -> None:
    """Check the rules of registration, which hold at any moment."""
    evidence = Evidence(office)
    for rule in REGISTRATION_RULES:
        rule(evidence)


# transactions


def check_each_transaction_has_one_outcome(evidence: Evidence) -> None:
    """Every client transaction tells its core exactly one outcome and ends once (INV-1, TRN-1).

    An INVITE that was cancelled may end without one, when its owner gives it up 64*T1 later (CAN-9).
    """
    journal = evidence.office.journal
    cancelled = {(sent.host, sent.branch) for sent in evidence.requests if method_of(sent) == "CANCEL"}
    for (host, key), times in journal.ended.items():
        outcomes = journal.outcomes.get((host, key), [])
        assert times == 1, f"{key} at {host} ended {times} times"
        given_up = not outcomes and key[1] == "INVITE" and (host, key[0]) in cancelled
        assert len(outcomes) == 1 or given_up, f"outcomes of {key} at {host}: {outcomes}"
    open_still = set(journal.outcomes) - set(journal.ended)
    assert not open_still, f"transactions that never ended: {sorted(open_still)}"


def check_each_request_is_answered(evidence: Evidence) -> None:
    """Every request that arrives, ACK excepted, is answered finally by the one it arrived at (§8.2.6).

    A proxy that hears nothing from the next hop of a non-INVITE stays silent too (RFC 4320), and one that has forgotten
    an INVITE, as early as Timer I after its ACK, passes CANCEL on and cannot bring an answer back (RFC 6026).
    """
    for sent in evidence.requests:
        method = method_of(sent)
        if not sent.arrived or method == "ACK":
            continue
        if sent.to_host == SERVER:
            if method not in ("INVITE", "CANCEL", "REGISTER"):
                continue
            invite = evidence.finals_sent.get((SERVER, sent.branch, "INVITE")) if method == "CANCEL" else None
            if invite is not None and sent.packet.arrives_at > invite.packet.sent_at + FORGOTTEN:
                continue
        key = (sent.to_host, sent.branch, method)
        assert key in evidence.finals_sent, f"never answered by {sent.to_host}: {sent.packet}"


def check_nothing_provisional_after_the_final_response(evidence: Evidence) -> None:
    """Once a final response has been sent for a request no other status follows it (§17.2.1, §16.7 step 5)."""
    for sent in evidence.responses:
        final = evidence.finals_sent.get((sent.host, sent.branch, sent.message.cseq.method))
        if final is None or sent.packet.number < final.packet.number or sent.packet.copy:
            continue
        same = status(sent) == status(final) or (status(sent) // 100 == 2 == status(final) // 100)
        assert same, f"after {status(final)} was sent: {sent.packet}"


def check_one_tag_from_each_callee(evidence: Evidence) -> None:
    """All responses of a phone to one INVITE, but 100, bear the same To tag (§8.2.6.2, INV-8)."""
    tags: dict[tuple[str, str], set[str | None]] = defaultdict(set)
    for sent in evidence.responses:
        if sent.host != SERVER and sent.message.cseq.method == "INVITE" and status(sent) > 100:
            tags[sent.host, sent.branch].add(sent.message.to_tag)
    for (host, branch), found in tags.items():
        assert len(found) == 1, f"{host} answered {branch} with several To tags: {found}"


def check_sequence_numbers_rise(evidence: Evidence) -> None:
    """Each new request of a host with one Call-ID and pair of tags has a higher CSeq than the one before (§12.2.1.1).

    Repetitions have the branch of the first; ACK and CANCEL have the number of their INVITE.
    """
    last: dict[Leg, tuple[int, str]] = {}
    for sent in evidence.requests:
        message = sent.message
        if len(message.vias) > 1 or sent.packet.copy or method_of(sent) in ("ACK", "CANCEL"):
            continue
        leg = leg_of(sent)
        number, branch = last.get(leg, (-1, ""))
        if message.cseq.number > number:
            last[leg] = (message.cseq.number, sent.branch)
        else:
            known = message.cseq.number < number or branch == sent.branch
            assert known, f"CSeq {message.cseq.number} used twice: {sent.packet}"
    began: dict[str, int] = {}
    for sent in evidence.requests:  # a lower number may only be an older request once more
        if len(sent.message.vias) == 1 and method_of(sent) not in ("ACK", "CANCEL"):
            number = began.setdefault(sent.branch, sent.message.cseq.number)
            assert number == sent.message.cseq.number, f"two numbers in one transaction: {sent.packet}"


# forking


def check_every_2xx_is_forwarded(evidence: Evidence) -> None:
    """Each 2xx to INVITE that comes to the proxy while its transaction lives goes on to the caller, the later ones as
    well (§16.7 step 5, FRK-3)."""
    forwarded = {
        (message.vias[0].branch, message.to_tag)
        for message in (sent.message for sent in evidence.responses if sent.host == SERVER)
        if message.cseq.method == "INVITE"
    }
    for context in contexts(evidence).values():
        for branch in context.branches.values():
            for moment, answer in branch.finals:
                if status(answer) // 100 == 2 and branch.lives_at(moment):
                    passed = (context.origin, answer.message.to_tag) in forwarded
                    assert passed, f"the proxy kept for itself: {answer.packet}"


def check_forking_goes_by_q(evidence: Evidence) -> None:
    """Targets of equal q ring at once; a lower one not before each higher one is final, is cancelled, or has rung for
    its time (FRK-1, FRK-2)."""
    plan = evidence.office.plan
    q_of = {person.address: person.q for person in plan.desks if plan.by_q and person.q is not None}
    ring_time = plan.ring_time or PATIENCE  # Timer B, for one that does not answer at all
    for context in contexts(evidence).values():
        branches = [(q_of.get(branch.host, 1.0), branch) for branch in context.branches.values()]
        for higher_q, first in branches:
            for lower_q, then in branches:
                waited = then.began_at - first.began_at
                if higher_q == lower_q:
                    assert abs(waited) <= TOUCH, f"{first.host} and {then.host} of equal q began {waited:+.3f} s apart"
                elif higher_q > lower_q:
                    over_at = min((moment for moment, _ in first.finals), default=first.began_at + ring_time)
                    over_at = min(over_at, first.began_at + ring_time, first.cancelled_at or over_at)
                    early = over_at - then.began_at
                    assert early <= TOUCH, f"{then.host} (q {lower_q}) rang {early:.3f} s before {first.host} was over"


def check_the_best_response_goes_back(evidence: Evidence) -> None:
    """Without a 2xx and without CANCEL the caller gets a 6xx if there was one, else a status of the lowest class that
    came, silence counting as 408 and 503 as 500 (§16.7 step 6, FRK-3)."""
    for context in contexts(evidence).values():
        final = evidence.finals_sent.get((SERVER, context.origin, "INVITE"))
        if final is None or status(final) // 100 == 2 or context.cancelled_at is not None:
            continue
        sent_at = final.packet.sent_at
        statuses = []
        for branch in context.branches.values():
            first = min(branch.finals, default=(sent_at + 1, None), key=lambda one: one[0])
            statuses.append(status(first[1]) if first[1] is not None and first[0] <= sent_at + TOUCH else 408)
        classes = {each // 100 for each in statuses}
        expected = 6 if 6 in classes else min(classes)
        assert status(final) // 100 == expected, f"of {statuses} the proxy chose {status(final)}"


# CANCEL


def check_cancel_ends_every_branch(evidence: Evidence) -> None:
    """When CANCEL comes to the proxy, or a 2xx or 6xx, no new branch is started and each one that has been heard from
    and is not final is cancelled (CAN-4, CAN-6, FRK-1)."""
    for context in contexts(evidence).values():
        closed_at = context.closed_at
        if closed_at is None:
            continue
        for branch in context.branches.values():
            assert branch.began_at <= closed_at + TOUCH, f"{branch.host} was rung after {context.origin} was over"
            if branch.rang_at is None or branch.rang_at >= branch.began_at + PATIENCE:
                continue  # never heard from, or not before Timer B had ended it
            due = max(branch.rang_at, closed_at)
            if any(moment <= due + TOUCH for moment, _ in branch.finals):
                continue
            assert branch.cancelled_at is not None, f"{branch.host} was left ringing from {due:.3f} s on"
            late = branch.cancelled_at - due
            assert late <= TOUCH, f"{branch.host} was cancelled {late:.3f} s late"


def check_cancel_ends_ringing(evidence: Evidence) -> None:
    """A phone that gets CANCEL before it has answered sends 487 at once; after that CANCEL changes nothing (CAN-7)."""
    invited: dict[tuple[str, str], float] = {}
    for sent in evidence.requests:
        if sent.arrived and method_of(sent) == "INVITE":
            _earliest(invited, (sent.to_host, sent.branch), sent.packet.arrives_at)
    for sent in evidence.requests:
        key = (sent.to_host, sent.branch)
        arrived = sent.packet.arrives_at
        if (
            not sent.arrived
            or method_of(sent) != "CANCEL"
            or sent.to_host == SERVER
            or invited.get(key, arrived) >= arrived
        ):
            continue
        final = evidence.finals_sent.get((*key, "INVITE"))
        assert final is not None, f"never answered by {sent.to_host}, though cancelled: {sent.packet}"
        assert final.packet.sent_at <= arrived + TOUCH, f"answered {status(final)} long after {sent.packet}"
        if final.packet.sent_at > arrived:
            assert status(final) == 487, f"answered {status(final)} after {sent.packet}"


def check_giving_up_is_bounded(evidence: Evidence) -> None:
    """A caller who withdraws is rid of the call: at the latest when Timer B, 64*T1 after CANCEL and then a BYE that
    nobody answers have passed (CAN-9)."""
    for story in evidence.office.stories:
        if story.withdrawn_at is not None and story.over_at is not None:
            took = story.over_at - story.withdrawn_at
            assert took <= 3 * PATIENCE + SLACK, f"{story} took {took:.1f} s to end after it was withdrawn"


# calls


def check_each_call_has_one_outcome(evidence: Evidence) -> None:
    """What a phone tells of a call is one outcome: progress, then at most one answer, then one end with a reason that
    fits the outcome (INV-3, INV-7)."""
    for story in evidence.office.stories:
        told = [what for _, what in story.told]
        assert told.count("over") == 1, f"{story} was told {told}"
        assert told[-1] == "over", f"{story} was told {told}"
        answers = [at for at, what in enumerate(told) if what in ("answered", "confirmed")]
        assert len(answers) <= 1, f"{story} was told {told}"
        if answers:
            assert answers[0] == len(told) - 2, f"{story} was told {told}"
        if not story.is_caller:
            assert story.reason is not None
            continue
        expected = {EndReason.REJECTED} if story.outcome.startswith("rejected") else ENDS_FOR.get(story.outcome)
        assert expected is not None, f"{story} had the outcome {story.outcome!r}"
        assert story.reason in expected, f"{story} was {story.outcome}, and over because {story.reason}"
        assert bool(answers) == (story.outcome == "answered"), f"{story} was {story.outcome}, told {told}"


def check_a_callee_without_ack_sends_bye(evidence: Evidence) -> None:
    """A phone whose 2xx got no ACK sends BYE 64*T1 after it first sent it, neither sooner nor later, if the call has
    not ended by then; its user is told that nobody acknowledged (ACK-5, BYE-6)."""
    acknowledged = _first_arrivals(evidence, "ACK")
    hung_up = _first_arrivals(evidence, "BYE")
    for story in evidence.office.stories:
        if story.is_caller:
            continue
        answer = _answer_of(evidence, story)
        if answer is None:
            continue
        leg = leg_of_answer(answer, story)
        due = answer.packet.sent_at + PATIENCE
        byes = [sent for sent in evidence.sent_by(story.host, "BYE") if leg_of(sent) == leg]
        first_bye = min((sent.packet.sent_at for sent in byes), default=None)
        ack_at = acknowledged.get(leg)
        if ack_at is not None and ack_at < due:
            if first_bye is not None:
                assert first_bye >= ack_at - TOUCH, f"{story} sent BYE before the ACK to its 2xx"
        elif hung_up.get(leg, due) >= due:
            assert first_bye is not None, f"{story} got no ACK and sent no BYE"
            assert abs(first_bye - due) < SLACK, f"{story} sent BYE {first_bye - due:+.1f} s from when it was due"
            # Its user may have hung up before: then that is the reason.
            assert story.reason in (EndReason.NO_ACK, EndReason.HUNG_UP), f"{story} is over because {story.reason}"


def check_unwanted_answers_are_ended(evidence: Evidence) -> None:
    """Each 2xx that reaches a caller who has not taken it up, since another one was first or the call was withdrawn, is
    followed at once by BYE in its dialog (INV-7, CAN-9)."""
    taken_up = {(story.host, story.call_id, story.tag) for story in evidence.office.stories if story.is_caller}
    hung_up = _first_arrivals(evidence, "BYE")
    left = _first_sendings(evidence, "BYE")
    came: dict[Leg, float] = {}
    for sent in evidence.responses:
        message = sent.message
        if sent.arrived and status(sent) // 100 == 2 and message.cseq.method == "INVITE" and len(message.vias) == 1:
            leg = (sent.to_host, message.call_id, message.from_tag, message.to_tag)
            _earliest(came, leg, sent.packet.arrives_at)
    for leg, moment in came.items():
        host, call_id, _, to_tag = leg
        if (host, call_id, to_tag) in taken_up or _is_gone(evidence, host, call_id, moment):
            continue
        if hung_up.get(leg, moment + 1) > moment:
            assert leg in left, f"neither taken up by {host} nor ended by BYE: the 2xx of {to_tag} in call {call_id}"
            late = left[leg] - moment
            assert late <= TOUCH, f"{host} sent BYE {late:.3f} s late for the 2xx of {to_tag} in call {call_id}"


def check_never_two_legs_stay_up(evidence: Evidence) -> None:
    """Of the phones that answered one call all but one are out of it as soon as retransmission allows: 64*T1 for their
    2xx to arrive and as much for the BYE. One that no BYE reaches ends by itself (INV-7, FRK-1)."""
    hung_up = _first_arrivals(evidence, "BYE")
    legs: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for story in evidence.office.stories:
        answer = None if story.is_caller else _answer_of(evidence, story)
        if answer is None:
            continue
        assert story.over_at is not None, f"{story} is still up"
        if leg_of_answer(answer, story) in hung_up or story.reason is EndReason.NO_ACK:
            legs[story.call_id].append((answer.packet.sent_at, story.over_at, story.host))
    for call_id, spans in legs.items():
        spans.sort()
        for (_, ends, one), (begins, also_ends, other) in pairwise(spans):
            both = min(ends, also_ends) - begins
            assert both <= 2 * PATIENCE + SLACK, f"{one} and {other} were both up for {both:.0f} s in call {call_id}"


def check_both_ends_agree(evidence: Evidence) -> None:
    """A BYE that arrives ends the call there at that moment, unless that side is waiting for the answer to its own; and
    who sends BYE does not think that the other side hung up (BYE-3, BYE-4)."""
    hung_up = _first_arrivals(evidence, "BYE")
    began_to_leave = _first_sendings(evidence, "BYE")
    by_leg: dict[Leg, Story] = {}
    for story in evidence.office.stories:
        answer = _answer_of(evidence, story)
        if answer is None:
            continue
        leg = leg_of_answer(answer, story)
        by_leg[leg] = story
        arrived = hung_up.get(leg)
        if arrived is None:
            continue
        assert story.over_at is not None, f"{story} got BYE and is not over"
        if began_to_leave.get(leg, arrived + 1) > arrived + TOUCH:
            late = story.over_at - arrived
            assert abs(late) <= TOUCH, f"{story} ended {late:+.3f} s from when BYE came"
    for sent in evidence.requests:
        if method_of(sent) != "BYE" or sent.host == SERVER:
            continue
        sender = by_leg.get(leg_of(sent))
        if sender is not None:
            assert sender.reason is not EndReason.REMOTE, f"{sender} sent BYE, yet thinks the other side did"


# registration


def check_bindings_are_what_was_told(evidence: Evidence) -> None:
    """The registrar has exactly the bindings that its last 200 for the address-of-record listed and that have not
    expired since, and never less than a phone was told by the last 200 that arrived there (REG-5)."""
    office = evidence.office
    now = office.world.now
    told: dict[str, dict[str, float]] = {}  # by address-of-record: the contacts and when they expire
    applied: dict[str, int] = {}  # by Call-ID: the highest CSeq the registrar has answered 200
    first_sent: dict[bytes, float] = {}  # a 200 counts from when it was made, not from when it was sent once more
    heard: dict[tuple[str, str], Sent] = {}  # by phone and Call-ID: the last 200, by CSeq, that arrived
    for sent in evidence.responses:
        message = sent.message
        if message.cseq.method != "REGISTER" or status(sent) != 200:
            continue
        if sent.arrived:
            last = heard.get((sent.to_host, message.call_id))
            if last is None or last.message.cseq.number < message.cseq.number:
                heard[sent.to_host, message.call_id] = sent
        if sent.packet.data in first_sent:
            continue
        first_sent[sent.packet.data] = sent.packet.sent_at
        applied[message.call_id] = max(applied.get(message.call_id, 0), message.cseq.number)
        told[message.to.uri.aor] = {
            contact.uri_text: sent.packet.sent_at + float(contact.expires or 0) for contact in message.contacts
        }
    store = office.server.store
    stored: dict[str, dict[str, float]] = {}
    for aor in told:
        stored[aor] = {binding.uri: binding.expires_at - EPOCH for binding in store.bindings(aor, EPOCH + now)}
    store.commit()
    for aor, contacts in told.items():
        due = {uri: at for uri, at in contacts.items() if at > now + SLACK}
        lost = {uri for uri, at in due.items() if abs(stored[aor].get(uri, 0.0) - at) > SLACK}
        assert not lost, f"{aor}: told {contacts}, and has {stored[aor]}"
        more = {uri for uri in stored[aor] if contacts.get(uri, 0.0) < now - SLACK}
        assert not more, f"{aor}: has {more}, of which it told nobody"
    for (host, call_id), sent in heard.items():
        if applied[call_id] > sent.message.cseq.number:
            continue  # what the registrar has heard since, the phone does not know yet
        for contact in sent.message.contacts:
            until = first_sent[sent.packet.data] + float(contact.expires or 0)
            if contact.uri.host == host and until > now + SLACK:
                has = stored[sent.message.to.uri.aor].get(contact.uri_text, 0.0)
                assert has >= until - SLACK, f"{host} was told it is bound until {until:.0f}; stored: {has:.0f}"


def check_phones_know_whether_they_are_bound(evidence: Evidence) -> None:
    """A phone that believes it is registered is, unless its last REGISTER is unanswered yet (REG-1, REG-3)."""
    office = evidence.office
    store = office.server.store
    now = EPOCH + office.world.now
    for person in office.plan.people:
        phone = office.phones[person.address]
        bound = {binding.uri for binding in store.bindings(f"sip:{person.name}@{DOMAIN}", now)}
        asked = [sent.branch for sent in evidence.sent_by(person.address, "REGISTER")]
        answered = any(sent.arrived and sent.branch == asked[-1] for sent in evidence.responses)
        if phone.is_registered and answered:
            assert phone.uri in bound, f"{phone.uri} believes it is registered"
    store.commit()


RULES = (
    check_each_transaction_has_one_outcome,
    check_each_request_is_answered,
    check_nothing_provisional_after_the_final_response,
    check_one_tag_from_each_callee,
    check_sequence_numbers_rise,
    check_every_2xx_is_forwarded,
    check_forking_goes_by_q,
    check_the_best_response_goes_back,
    check_cancel_ends_every_branch,
    check_cancel_ends_ringing,
    check_giving_up_is_bounded,
    check_each_call_has_one_outcome,
    check_a_callee_without_ack_sends_bye,
    check_unwanted_answers_are_ended,
    check_never_two_legs_stay_up,
    check_both_ends_agree,
)
REGISTRATION_RULES = (
    check_bindings_are_what_was_told,
    check_phones_know_whether_they_are_bound,
)


# reading


@final
class Branch:
    """One client transaction of a forked INVITE, as the packets show it. Times are seconds, None for never."""

    __slots__ = ("began_at", "cancelled_at", "finals", "host", "rang_at")

    def __init__(self, host: str, began_at: float) -> None:
        self.host = host
        self.began_at = began_at
        self.rang_at: float | None = None
        self.cancelled_at: float | None = None
        self.finals: list[tuple[float, Sent]] = []  # each that arrived

    def lives_at(self, moment: float) -> bool:
        """Whether Timer B had not ended it, nor the proxy given it up 64*T1 after CANCEL."""
        heard_at = min([self.rang_at or moment, *(at for at, _ in self.finals)])
        in_time = heard_at < self.began_at + PATIENCE
        return in_time and (self.cancelled_at is None or moment < self.cancelled_at + PATIENCE)


@final
class Context:
    """One INVITE at the proxy: ``origin`` is its branch upstream. It is closed by a 2xx, a 6xx or a CANCEL."""

    __slots__ = ("branches", "cancelled_at", "closed_at", "origin")

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.branches: dict[str, Branch] = {}
        self.cancelled_at: float | None = None
        self.closed_at: float | None = None

    def close(self, moment: float) -> None:
        """It was over at that moment, if not before."""
        self.closed_at = moment if self.closed_at is None else min(self.closed_at, moment)


def contexts(evidence: Evidence) -> dict[str, Context]:
    """What the proxy made of each INVITE, by the branch upstream; worked out once."""
    if evidence.contexts is not None:
        return evidence.contexts
    found: dict[str, Context] = {}
    owners: dict[str, Context] = {}
    for sent in evidence.requests:
        if sent.host != SERVER or method_of(sent) not in ("INVITE", "CANCEL"):
            continue
        if method_of(sent) == "INVITE":
            origin = sent.message.vias[1].branch or ""
            context = owners[sent.branch] = found.setdefault(origin, Context(origin))
            context.branches.setdefault(sent.branch, Branch(sent.to_host, sent.packet.sent_at))
        elif sent.branch in owners:
            branch = owners[sent.branch].branches[sent.branch]
            if branch.cancelled_at is None:
                branch.cancelled_at = sent.packet.sent_at
    for sent in evidence.requests:
        if sent.to_host == SERVER and sent.arrived and method_of(sent) == "CANCEL" and sent.branch in found:
            final = evidence.finals_sent.get((SERVER, sent.branch, "INVITE"))
            if final is None or final.packet.sent_at > sent.packet.arrives_at:
                context, moment = found[sent.branch], sent.packet.arrives_at
                context.close(moment)
                context.cancelled_at = min(context.cancelled_at or moment, moment)
    for sent in evidence.responses:
        if sent.to_host != SERVER or not sent.arrived or sent.message.cseq.method != "INVITE":
            continue
        context_of = owners.get(sent.branch)
        if context_of is None:
            continue
        branch, moment = context_of.branches[sent.branch], sent.packet.arrives_at
        if status(sent) < 200:
            branch.rang_at = moment if branch.rang_at is None else min(branch.rang_at, moment)
        else:
            branch.finals.append((moment, sent))
    for context in found.values():
        for branch in context.branches.values():
            for moment, final in branch.finals:
                if status(final) // 100 in (2, 6) and branch.lives_at(moment):
                    context.close(moment)
    evidence.contexts = found
    return found


def status(sent: Sent) -> int:
    """The status of a response."""
    assert isinstance(sent.message, Response)
    return sent.message.status


def method_of(sent: Sent) -> str:
    """The method of a request."""
    assert isinstance(sent.message, Request)
    return sent.message.method


def leg_of(sent: Sent) -> Leg:
    """The side of the dialog that sent a request."""
    return sent.host, sent.message.call_id, sent.message.from_tag, sent.message.to_tag


def leg_of_answer(answer: Sent, story: Story) -> Leg:
    """The story's side of the dialog that a 2xx made."""
    tags = (answer.message.from_tag, answer.message.to_tag)
    return (story.host, story.call_id, *(tags if story.is_caller else tags[::-1]))


def _earliest(moments: dict[Any, float], key: Any, moment: float) -> None:
    moments[key] = min(moments.get(key, moment), moment)


def _first_arrivals(evidence: Evidence, method: str) -> dict[Leg, float]:
    """When a request of that method first came to each side of a dialog."""
    arrivals: dict[Leg, float] = {}
    for sent in evidence.requests:
        if method_of(sent) == method and sent.arrived and sent.to_host != SERVER:
            message = sent.message
            leg = (sent.to_host, message.call_id, message.to_tag, message.from_tag)
            _earliest(arrivals, leg, sent.packet.arrives_at)
    return arrivals


def _first_sendings(evidence: Evidence, method: str) -> dict[Leg, float]:
    """When each side of a dialog first sent a request of that method."""
    sendings: dict[Leg, float] = {}
    for sent in evidence.requests:
        if method_of(sent) == method and len(sent.message.vias) == 1:
            _earliest(sendings, leg_of(sent), sent.packet.sent_at)
    return sendings


def _stories(evidence: Evidence, call_id: str) -> list[Story]:
    return [story for story in evidence.office.stories if story.call_id == call_id]


def _answer_of(evidence: Evidence, story: Story) -> Sent | None:
    """The 2xx that made the story's dialog: the first that a callee sent, the one that a caller took up."""
    for sent in evidence.responses:
        message = sent.message
        if message.call_id != story.call_id or message.cseq.method != "INVITE" or status(sent) // 100 != 2:
            continue
        if story.is_caller:
            if sent.to_host == story.host and story.tag is not None and message.to_tag == story.tag:
                return sent
        elif sent.host == story.host:
            return sent
    return None


def _is_gone(evidence: Evidence, host: str, call_id: str, moment: float) -> bool:
    """Whether a host does not call, or not any more, with this Call-ID: a 2xx is to a re-INVITE, or much too late."""
    story = next((one for one in _stories(evidence, call_id) if one.host == host), None)
    if story is None or not story.is_caller:
        return True
    return story.over_at is not None and moment >= story.over_at and story.outcome != "answered"
