"""The one who registers, message by message (RFC 3261 §10.2)."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from ringback.protocol.errors import TransactionTimeout
from ringback.protocol.message.build import build_request, build_response
from ringback.protocol.message.model import Request, Response
from ringback.protocol.registration.registrant import (
    REGISTRANT,
    Action,
    Input,
    Registered,
    Registrant,
    RegistrationFailed,
    SendRegister,
    State,
    Unregistered,
    granted,
)
from ringback.testing.seeded import SeededIds

CONTACT = "<sip:alice@192.0.2.1:5060>"


@pytest.fixture
def registrant() -> Registrant:
    return Registrant("sip:example.test", "sip:alice@example.test", SeededIds(Random(1)))


def sent(registrant: Registrant) -> SendRegister:
    [event] = registrant.poll()
    assert isinstance(event, SendRegister)
    return event


def request(send: SendRegister, sequence: int | None = None, contact: str = CONTACT) -> Request:
    return build_request(
        "REGISTER",
        send.uri,
        via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKr",
        from_=f"{send.to};tag=a",
        to=send.to,
        call_id=send.call_id,
        cseq=sequence or send.sequence,
        headers=[("Contact", contact), ("Expires", str(send.expires))],
    )


def answer(registrant: Registrant, send: SendRegister, status: int, now: float, **headers: str) -> None:
    asked = request(send)
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    registrant.receive(asked, build_response(asked, status, to_tag="r", headers=fields), None, now)


def one(registrant: Registrant) -> Any:
    [event] = registrant.poll()
    return event


def bound(registrant: Registrant, expires: int = 3600) -> SendRegister:
    registrant.register(0.0, expires)
    send = sent(registrant)
    answer(registrant, send, 200, 0.0, Contact=f"{CONTACT};expires={expires}")
    assert one(registrant).expires == expires
    return send


@pytest.mark.row("REG-4", part="UAC")
@pytest.mark.rfc("3261 10.2")
def test_register_goes_to_the_domain_and_names_the_aor(registrant: Registrant) -> None:
    registrant.register(0.0)
    send = sent(registrant)
    assert (send.uri, send.to, send.expires) == ("sip:example.test", "<sip:alice@example.test>", 3600)
    assert registrant.state is State.REGISTERING


@pytest.mark.row("REG-3", part="UAC")
@pytest.mark.rfc("3261 10.2")
def test_each_register_has_the_same_call_id_and_the_next_number(registrant: Registrant) -> None:
    first = bound(registrant)
    registrant.handle_timers(3540.0)
    second = sent(registrant)
    assert second.call_id == first.call_id
    assert second.sequence == first.sequence + 1


@pytest.mark.row("REG-3", part="UAC")
def test_numbers_that_challenges_used_are_not_used_again(registrant: Registrant) -> None:
    registrant.register(0.0)
    first = sent(registrant)
    asked = request(first, first.sequence + 1)
    registrant.receive(asked, build_response(asked, 200, to_tag="r"), None, 0.0)
    registrant.poll()
    registrant.register(1.0)
    assert sent(registrant).sequence == first.sequence + 2


@pytest.mark.row("REG-3", part="UAC")
@pytest.mark.rfc("3261 10.2")
def test_one_register_is_out_at_a_time_and_the_latest_wish_follows(registrant: Registrant) -> None:
    registrant.register(0.0)
    first = sent(registrant)
    registrant.register(1.0, 60)
    registrant.unregister(2.0)
    assert registrant.poll() == []
    answer(registrant, first, 200, 3.0)
    told, then = registrant.poll()
    assert isinstance(told, Registered)
    assert then.expires == 0
    assert registrant.state is State.UNREGISTERING
    registrant.unregister(4.0)
    registrant.register(4.0, 120)
    answer(registrant, then, 200, 5.0)
    told, then = registrant.poll()
    assert isinstance(told, Unregistered)
    assert then.expires == 120


@pytest.mark.rfc("3261 10.2.4")
@pytest.mark.parametrize(("expires", "due"), [(3600, 3540.0), (121, 61.0), (120, 60.0), (10, 5.0)])
def test_a_binding_is_refreshed_before_it_expires(registrant: Registrant, expires: int, due: float) -> None:
    assert registrant.next_deadline() is None
    bound(registrant, expires)
    assert registrant.next_deadline() == due
    registrant.handle_timers(due - 0.1)
    assert registrant.poll() == []
    registrant.handle_timers(due)
    assert registrant.state is State.REFRESHING
    assert sent(registrant).expires == expires
    assert registrant.next_deadline() is None


def test_wishes_during_a_refresh_wait_for_it(registrant: Registrant) -> None:
    bound(registrant)
    registrant.register(1.0)
    refresh = sent(registrant)
    registrant.register(2.0)
    registrant.unregister(2.0)
    answer(registrant, refresh, 200, 3.0)
    assert [type(event) for event in registrant.poll()] == [Registered, SendRegister]
    assert registrant.state is State.UNREGISTERING


@pytest.mark.rfc("3261 10.2.8")
def test_423_is_asked_again_with_the_interval_it_names(registrant: Registrant) -> None:
    registrant.register(0.0, 30)
    first = sent(registrant)
    answer(registrant, first, 423, 1.0, Min_Expires="90")
    second = sent(registrant)
    assert (second.expires, second.sequence) == (90, first.sequence + 1)
    answer(registrant, second, 200, 2.0)
    assert one(registrant).expires == 90
    registrant.register(3.0, 30)
    answer(registrant, sent(registrant), 423, 3.0, Min_Expires="90")
    assert sent(registrant).expires == 90
    assert registrant.state is State.REFRESHING


@pytest.mark.parametrize("headers", [{}, {"Min_Expires": "30"}, {"Min_Expires": "20"}])
def test_423_that_leads_nowhere_is_a_failure(registrant: Registrant, headers: dict[str, str]) -> None:
    registrant.register(0.0, 30)
    answer(registrant, sent(registrant), 423, 1.0, **headers)
    assert one(registrant).response.status == 423
    assert registrant.state is State.UNREGISTERED


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_first_registration_that_fails_is_over(registrant: Registrant, status: int) -> None:
    registrant.register(0.0)
    answer(registrant, sent(registrant), status, 0.0)
    failed = one(registrant)
    assert isinstance(failed, RegistrationFailed)
    assert (failed.response.status, failed.retry_in) == (status, None)
    assert registrant.next_deadline() is None


def test_a_refresh_that_fails_is_tried_again_ever_more_slowly(registrant: Registrant) -> None:
    bound(registrant)
    waits = []
    now = 3540.0
    for _ in range(8):
        registrant.handle_timers(now)
        sent(registrant)
        registrant.receive(None, None, TransactionTimeout("silence"), now)
        failed = one(registrant)
        assert isinstance(failed.error, TransactionTimeout)
        waits.append(failed.retry_in)
        assert registrant.next_deadline() == now + failed.retry_in
        now += failed.retry_in
    assert waits == [30, 60, 120, 240, 480, 960, 1800, 1800]
    registrant.handle_timers(now)
    answer(registrant, sent(registrant), 200, now)
    registrant.poll()
    registrant.handle_timers(now + 3540)
    sent(registrant)
    registrant.receive(None, None, TransactionTimeout("silence"), now + 3540)
    assert one(registrant).retry_in == 30


@pytest.mark.rfc("3261 10.2.2")
def test_unregistering_removes_the_binding(registrant: Registrant) -> None:
    registrant.unregister(0.0)
    assert isinstance(one(registrant), Unregistered)
    bound(registrant)
    registrant.unregister(1.0)
    send = sent(registrant)
    assert send.expires == 0
    answer(registrant, send, 200, 2.0)
    assert isinstance(one(registrant), Unregistered)
    assert registrant.next_deadline() is None


def test_a_failed_removal_is_told_and_leaves_us_unregistered(registrant: Registrant) -> None:
    bound(registrant)
    registrant.unregister(1.0)
    answer(registrant, sent(registrant), 423, 2.0, Min_Expires="60")
    assert one(registrant).response.status == 423
    assert registrant.state is State.UNREGISTERED


def test_a_200_that_binds_nothing_is_a_failure(registrant: Registrant) -> None:
    registrant.register(0.0)
    answer(registrant, sent(registrant), 200, 0.0, Contact=f"{CONTACT};expires=0")
    assert isinstance(one(registrant), RegistrationFailed)


def test_an_outcome_that_nobody_waits_for_changes_nothing(registrant: Registrant) -> None:
    registrant.receive(None, None, None, 0.0)
    registrant.handle_event(object(), 0.0)
    registrant.handle_timers(5.0)
    assert registrant.poll() == []
    assert registrant.state is State.UNREGISTERED


@pytest.mark.rfc("3261 10.2.4")
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([("Contact", f"<sip:other@x>;expires=7, {CONTACT};expires=50")], 50),
        ([("Contact", "<sip:other@x>;expires=7"), ("Expires", "40")], 40),
        ([("Contact", CONTACT), ("Expires", "40")], 40),
        ([], 99),
        ([("Contact", "<broken")], 99),
    ],
)
def test_the_registrar_says_how_long_the_binding_lives(headers: list[tuple[str, str]], seconds: int) -> None:
    send = SendRegister("sip:example.test", "<sip:alice@example.test>", "c", 1, 99)
    response: Response = build_response(request(send), 200, to_tag="r", headers=headers)
    assert granted(request(send), response, 99) == seconds


def test_without_the_request_only_expires_counts() -> None:
    send = SendRegister("sip:example.test", "<sip:alice@example.test>", "c", 1, 99)
    response = build_response(request(send), 200, headers=[("Contact", f"{CONTACT};expires=9"), ("Expires", "5")])
    assert granted(None, response, 99) == 5


def test_the_table_is_whole() -> None:
    assert set(REGISTRANT) == set(State)
    assert {action for rows in REGISTRANT.values() for action, _ in rows.values()} == set(Action)
    for rows in REGISTRANT.values():
        assert {Input.REGISTER, Input.UNREGISTER} <= set(rows)
        assert all(following in REGISTRANT for _, following in rows.values())
