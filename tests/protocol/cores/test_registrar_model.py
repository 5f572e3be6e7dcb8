"""Random sequences of REGISTERs against a model that is simple enough to be seen to be right."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.protocol.cores.registrar import Policy, process
from ringback.protocol.message.build import build_request
from ringback.protocol.registration.binding import Binding, changed

AOR = "sip:bob@example.test"
MINIMUM, DEFAULT, MAXIMUM, MOST = 60, 600, 7200, 3

# Phone -> ways in which its URI is written. Within a row they are equal by RFC 3261 §19.1.4, across rows none is.
SPELLINGS = (
    ("sip:b@one.test", "sip:b@ONE.test", "sip:%62@one.test"),
    ("sip:b@one.test:5060", "sip:b@One.test:5060"),
    ("sip:b@one.test;transport=tcp", "sip:b@one.test;transport=TCP"),
    ("sip:B@one.test",),
    ("tel:+15551234",),
)


class Listed(NamedTuple):
    phone: int
    spelling: int
    expires: int | None


class Step(NamedTuple):
    wait: float
    call_id: str
    cseq: int
    star: bool
    contacts: list[Listed]
    expires: int | None


class Kept(NamedTuple):
    call_id: str
    cseq: int
    expires_at: float


intervals = st.none() | st.sampled_from([0, 0, 1, 59, 60, 600, 3600, 9000])
listed = st.builds(Listed, st.integers(0, len(SPELLINGS) - 1), st.integers(0, 2), intervals)
steps = st.builds(
    Step,
    st.sampled_from([0.0, 1.0, 59.5, 600.0, 4000.0]),
    st.sampled_from(["one", "two"]),
    st.integers(1, 6),
    st.sampled_from([False, False, False, True]),
    st.lists(listed, max_size=4),
    intervals,
)


def expected(model: dict[int, Kept], step: Step, now: float) -> tuple[int, dict[int, Kept]]:
    """The status, and the model afterwards."""
    after = {phone: kept for phone, kept in model.items() if kept.expires_at > now}
    current = dict(after)

    def late(phone: int) -> bool:
        kept = current.get(phone)
        return kept is not None and kept.call_id == step.call_id and step.cseq <= kept.cseq

    if step.star:
        if step.contacts or step.expires != 0:
            return 400, current
        return (500, current) if any(late(phone) for phone in current) else (200, {})
    for contact in step.contacts:
        asked = contact.expires
        if asked is None:
            asked = step.expires
        if asked is None:
            asked = DEFAULT
        if 0 < asked < MINIMUM:
            return 423, current
        # Its own earlier mention in the same request does not make a contact late.
        if contact.phone in after and after[contact.phone] is current.get(contact.phone) and late(contact.phone):
            return 500, current
        if asked == 0:
            after.pop(contact.phone, None)
        else:
            after[contact.phone] = Kept(step.call_id, step.cseq, now + min(asked, MAXIMUM))
    return (403, current) if len(after) > MOST and len(after) > len(current) else (200, after)


@pytest.mark.row("REG-1", part="registrar")
@pytest.mark.row("REG-2")
@pytest.mark.row("REG-3")
@pytest.mark.rfc("3261 10.3")
@given(st.lists(steps, max_size=12))
def test_bindings_are_what_the_model_says_after_every_register(sequence: list[Step]) -> None:
    policy = Policy(default_expires=DEFAULT, minimum_expires=MINIMUM, maximum_expires=MAXIMUM, maximum_contacts=MOST)
    phones = {text: phone for phone, texts in enumerate(SPELLINGS) for text in texts}
    bindings: list[Binding] = []
    model: dict[int, Kept] = {}
    now = 1_800_000_000.0
    for step in sequence:
        now += step.wait
        headers = [("contact", "*")] if step.star else []
        for phone, spelling, expires in step.contacts:
            text = SPELLINGS[phone][spelling % len(SPELLINGS[phone])]
            headers.append(("contact", f"<{text}>" if expires is None else f"<{text}>;expires={expires}"))
        if step.expires is not None:
            headers.append(("expires", str(step.expires)))
        request = build_request(
            "REGISTER",
            "sip:example.test",
            via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
            from_=f"<{AOR}>;tag=1",
            to=f"<{AOR}>",
            call_id=step.call_id,
            cseq=step.cseq,
            headers=headers,
        )
        outcome = process(request, bindings, policy, now)
        status, model = expected(model, step, now)
        assert outcome.status == status
        bindings = changed([it for it in bindings if it.expires_at > now], outcome.changes)
        assert {phones[it.uri]: Kept(it.call_id, it.cseq, it.expires_at) for it in bindings} == model
        assert len(bindings) == len(model)
        if status == 200:
            assert outcome.bindings == bindings
            assert [value for name, value in outcome.headers if name == "contact"] == [
                it.contact(now) for it in bindings
            ]
