"""What must hold in every run, however bad the weather, read from the packets alone.

Under loss nothing can be said of what was sent in vain; so each rule speaks of what arrived. ``check_trace`` raises
AssertionError with the rule's name, its packet and what was missing. All of it needs the run to have come to rest.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import final

from ringback.errors import RemoteProtocolError
from ringback.protocol.message.model import Request, Response
from ringback.protocol.message.parser import is_keepalive, parse_message, validate
from ringback.testing.network import Packet

PATIENCE = 32.0  # 64*T1, in seconds
SLACK = 1.0


@final
class Sent:
    """A packet and the message in it."""

    __slots__ = ("arrived", "branch", "host", "message", "packet", "to_host")

    def __init__(self, packet: Packet, message: Request | Response) -> None:
        self.packet = packet
        self.message = message
        self.host = packet.inside[0]
        self.to_host = packet.destination[0]
        self.branch = message.top_via.branch or ""
        self.arrived = packet.fate == "delivered"


def read(trace: Iterable[Packet]) -> list[Sent]:
    """The messages of a trace. Every packet but keep-alives must be a well-formed message: AssertionError if not."""
    messages = []
    known: dict[bytes, Request | Response] = {}  # repetitions are the same bytes
    for packet in trace:
        message = known.get(packet.data)
        if message is None:
            if is_keepalive(packet.data):
                continue
            try:
                message = parse_message(packet.data)
                validate(message)
            except RemoteProtocolError as error:
                raise AssertionError(f"malformed message sent ({error}): {packet}") from None
            known[packet.data] = message
        messages.append(Sent(packet, message))
    return messages


def check_trace(trace: Iterable[Packet]) -> None:
    """Check every rule of this module."""
    messages = read(trace)
    check_acks(messages)
    check_one_outcome(messages)
    check_cancels_wait(messages)
    check_losers(messages)
    check_unacknowledged(messages)


def check_acks(messages: list[Sent]) -> None:
    """Each final response to INVITE that arrives is acknowledged by the one it arrived at (INV-1, ACK-4).

    300 to 699: an ACK of the INVITE's branch for each arrival, while Timer D runs (§17.1.1.2). 2xx at the caller (one
    Via left): an ACK for each arrival. Nothing is owed once the transaction had to be given up, see ``_given_up``, nor
    for a 2xx that comes when Timer M is over and a BYE that overtook it has ended the dialog.
    """
    given_up = _given_up(messages)
    hop_by_hop: dict[tuple[str, str], int] = defaultdict(int)
    end_to_end: dict[tuple[str, str, int, str | None], int] = defaultdict(int)
    for sent in messages:
        message = sent.message
        if _is_request(sent, "ACK") and not sent.packet.copy:
            hop_by_hop[sent.host, sent.branch] += 1
            if len(message.vias) == 1:
                end_to_end[sent.host, message.call_id, message.cseq.number, message.to_tag] += 1
    refused: dict[tuple[str, str], list[Sent]] = defaultdict(list)
    accepted: dict[tuple[str, str, int, str | None], list[float]] = defaultdict(list)
    ended: dict[tuple[str, str, str | None], float] = {}
    for sent in messages:
        message = sent.message
        if not (sent.arrived and isinstance(message, Response) and _is_final(message)):
            continue
        key = (sent.to_host, sent.branch)
        if sent.packet.arrives_at > given_up.get(key, sent.packet.arrives_at):
            continue
        if message.status >= 300:
            refused[key].append(sent)
        elif len(message.vias) == 1:
            dialog = (sent.to_host, message.call_id, message.cseq.number, message.to_tag)
            accepted[dialog].append(sent.packet.arrives_at)
    for key, finals in refused.items():
        first = min(final.packet.arrives_at for final in finals)
        owed = sum(final.packet.arrives_at < first + PATIENCE for final in finals)
        assert hop_by_hop[key] >= owed, f"{hop_by_hop[key]} ACKs instead of {owed} for {finals[0].packet}"
    for sent in messages:
        if _is_request(sent, "BYE") and sent.arrived:
            leg = (sent.to_host, sent.message.call_id, sent.message.from_tag)
            ended[leg] = min(ended.get(leg, sent.packet.arrives_at), sent.packet.arrives_at)
    for dialog, moments in accepted.items():
        host, call_id, _, tag = dialog
        over = max(ended.get((host, call_id, tag), math.inf), min(moments) + PATIENCE)
        count = sum(moment <= over for moment in moments)
        assert end_to_end[dialog] >= count, f"{count} 2xx arrived and {end_to_end[dialog]} ACKs were sent: {dialog}"


def check_one_outcome(messages: list[Sent]) -> None:
    """An INVITE client transaction gets 2xx responses or one other final status, never both (§16.7, RFC 6026)."""
    outcomes: dict[tuple[str, str], set[int]] = defaultdict(set)
    for sent in messages:
        if sent.arrived and _is_final(sent.message):
            assert isinstance(sent.message, Response)
            status = sent.message.status
            outcomes[sent.to_host, sent.branch].add(200 if status < 300 else status)
    for (host, branch), statuses in outcomes.items():
        assert len(statuses) == 1, f"{host} got several outcomes for {branch}: {sorted(statuses)}"


def check_cancels_wait(messages: list[Sent]) -> None:
    """A CANCEL is sent only where a provisional response has arrived before (CAN-3).

    One that a proxy passes on because it knows no such INVITE has more than one Via, and is not the proxy's own.
    """
    provisional: dict[tuple[str, str], float] = {}
    for sent in messages:
        if sent.arrived and _is_provisional(sent.message):
            key = (sent.to_host, sent.branch)
            provisional[key] = min(provisional.get(key, sent.packet.arrives_at), sent.packet.arrives_at)
    for sent in messages:
        if _is_own_cancel(sent):
            first = provisional.get((sent.host, sent.branch))
            assert first is not None, f"no provisional response came before {sent.packet}"
            assert first <= sent.packet.sent_at, f"too early, the first 1xx came at {first}: {sent.packet}"


def check_losers(messages: list[Sent]) -> None:
    """Of a forked INVITE, each branch that did not win and whose provisional response arrived is sent CANCEL or has
    given a final response (CAN-4, FRK-1)."""
    forks: dict[tuple[str, str, str | None, int], set[str]] = defaultdict(set)
    for sent in messages:
        if _is_request(sent, "INVITE") and len(sent.message.vias) > 1:
            upstream = sent.message.vias[1].branch
            forks[sent.host, sent.message.call_id, upstream, sent.message.cseq.number].add(sent.branch)
    cancelled = {(sent.host, sent.branch) for sent in messages if _is_request(sent, "CANCEL")}
    rang: set[tuple[str, str]] = set()
    finished: set[tuple[str, str]] = set()
    won: set[tuple[str, str]] = set()
    for sent in messages:
        if sent.arrived and isinstance(sent.message, Response) and sent.message.cseq.method == "INVITE":
            key = (sent.to_host, sent.branch)
            (rang if sent.message.status < 200 else finished).add(key)
            if 200 <= sent.message.status < 300:
                won.add(key)
    for (host, call_id, _, _), branches in forks.items():
        if not any((host, branch) in won for branch in branches):
            continue
        for branch in branches:
            if (host, branch) in rang and (host, branch) not in finished:
                assert (host, branch) in cancelled, f"{host} left branch {branch} of call {call_id} ringing"


def check_unacknowledged(messages: list[Sent]) -> None:
    """A UAS whose 2xx to INVITE is not acknowledged within 64*T1 sends BYE (ACK-5, INV-3)."""
    answered: dict[tuple[str, str, str | None], float] = {}
    finals = [sent for sent in messages if _is_final(sent.message)]
    received = {(sent.to_host, sent.message.call_id, sent.message.to_tag) for sent in finals}

    def passed_on(sent: Sent) -> bool:  # by a proxy: the same response had come to it
        return (sent.host, sent.message.call_id, sent.message.to_tag) in received

    for sent in messages:
        message = sent.message
        if isinstance(message, Response) and _is_final(message) and message.status < 300 and not passed_on(sent):
            answered.setdefault((sent.host, sent.message.call_id, sent.message.to_tag), sent.packet.sent_at)
    if not answered:
        return
    acknowledged: dict[tuple[str, str, str | None], float] = {}
    ended = set()
    for sent in messages:
        message = sent.message
        if _is_request(sent, "ACK") and sent.arrived:
            acknowledged.setdefault((sent.to_host, message.call_id, message.to_tag), sent.packet.arrives_at)
        elif _is_request(sent, "BYE"):
            ended.add((sent.host, message.call_id, message.from_tag))
            if sent.arrived:
                ended.add((sent.to_host, message.call_id, message.to_tag))
    for key, moment in answered.items():
        came = acknowledged.get(key)
        if came is None or came > moment + PATIENCE + SLACK:
            assert key in ended, f"{key[0]} answered call {key[1]}, got no ACK in {PATIENCE:.0f} s and sent no BYE"


def _given_up(messages: list[Sent]) -> dict[tuple[str, str], float]:
    """From when on an INVITE client transaction, by host and branch, need not be there any more.

    64*T1 after the INVITE if no response came by then (Timer B, §17.1.1.2), 64*T1 after its CANCEL (§9.1).
    """
    first_answer: dict[tuple[str, str], float] = {}
    for sent in messages:
        if sent.arrived and isinstance(sent.message, Response) and sent.message.cseq.method == "INVITE":
            key = (sent.to_host, sent.branch)
            first_answer[key] = min(first_answer.get(key, sent.packet.arrives_at), sent.packet.arrives_at)
    invited: set[tuple[str, str]] = set()
    ends: dict[tuple[str, str], float] = {}
    for sent in messages:
        key = (sent.host, sent.branch)
        end = sent.packet.sent_at + PATIENCE
        if _is_request(sent, "INVITE") and key not in invited:
            invited.add(key)
            if first_answer.get(key, end) >= end:
                ends[key] = end
        elif _is_own_cancel(sent):
            ends[key] = min(ends.get(key, end), end)
    return ends


def _is_request(sent: Sent, method: str) -> bool:
    return isinstance(sent.message, Request) and sent.message.method == method


def _is_own_cancel(sent: Sent) -> bool:
    return _is_request(sent, "CANCEL") and len(sent.message.vias) == 1 and not sent.packet.copy


def _is_final(message: Request | Response) -> bool:
    return isinstance(message, Response) and message.status >= 200 and message.cseq.method == "INVITE"


def _is_provisional(message: Request | Response) -> bool:
    return isinstance(message, Response) and message.status < 200 and message.cseq.method == "INVITE"
