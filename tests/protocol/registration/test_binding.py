"""Bindings as values, and what changes make of a list of them."""

from __future__ import annotations

import pytest

from ringback.protocol.errors import LocalProtocolError
from ringback.protocol.registration.binding import (
    Binding,
    Change,
    ChangeKind,
    changed,
    flow_from_text,
    flow_text,
)
from ringback.protocol.routing.flow import Flow

NOW = 1_800_000_000.123


def binding(uri: str, **more: object) -> Binding:
    it = Binding("sip:bob@example.test", uri)
    for name, value in more.items():
        setattr(it, name, value)
    return it


@pytest.mark.row("REG-5")
@pytest.mark.parametrize(
    ("left", "shown"), [(3600.0, 3600), (3599.9999, 3600), (3599.0, 3599), (1.5, 2), (0.3, 1), (0.0001, 1)]
)
def test_shows_whole_seconds_left_and_never_zero(left: float, shown: int) -> None:
    assert binding("sip:b@h", expires_at=NOW + left).seconds_left(NOW) == shown


@pytest.mark.row("REG-5")
def test_a_grant_is_shown_as_it_was_given() -> None:
    for second in range(3000):
        now = NOW + second * 1.000_137
        assert binding("sip:b@h", expires_at=now + 3600).seconds_left(now) == 3600


def test_lists_its_uri_in_brackets_and_its_parameters_outside() -> None:
    it = binding("sip:b@h;ob?Route=x", params=";q=0.5;unknown", expires_at=NOW + 60)
    assert it.contact(NOW) == "<sip:b@h;ob?Route=x>;q=0.5;unknown;expires=60"


def test_changes_keep_the_order_and_leave_the_old_list_alone() -> None:
    one, two, three = binding("sip:1@h"), binding("sip:2@h"), binding("sip:3@h")
    again = binding("sip:1@h", cseq=2)
    before = [one, two]
    after = changed(
        before,
        [Change(ChangeKind.UPDATE, again, one), Change(ChangeKind.REMOVE, two), Change(ChangeKind.ADD, three)],
    )
    assert after == [again, three]
    assert before == [one, two]


def test_an_update_in_another_spelling_takes_the_place_of_the_old() -> None:
    old, other, new = binding("sip:b@H"), binding("sip:2@h"), binding("sip:b@h")
    assert changed([old, other], [Change(ChangeKind.UPDATE, new, old)]) == [new, other]
    # And swallows a second one that is spelled like it.
    assert changed([old, other, new], [Change(ChangeKind.UPDATE, new, old)]) == [new, other]


def test_changes_of_what_is_gone_add_or_do_nothing() -> None:
    gone, new = binding("sip:b@H"), binding("sip:b@h")
    assert changed([], [Change(ChangeKind.REMOVE, gone)]) == []
    assert changed([], [Change(ChangeKind.UPDATE, new, gone)]) == [new]


@pytest.mark.parametrize(
    "flow",
    [
        Flow("UDP", ("192.0.2.1", 5060), ("198.51.100.7", 40000)),
        Flow("TLS", ("2001:db8::1", 5061), ("2001:db8::7", 40000), 17),
    ],
)
def test_a_flow_survives_as_text(flow: Flow) -> None:
    assert flow_from_text(flow_text(flow)) == flow


@pytest.mark.parametrize(
    "text", ["", "UDP", "UDP a b c", "UDP 192.0.2.1:x 192.0.2.1:1 0", "UDP 192.0.2.1 192.0.2.1:1 0"]
)
def test_refuses_text_that_is_no_flow(text: str) -> None:
    with pytest.raises(LocalProtocolError):
        flow_from_text(text)


def test_bindings_are_values() -> None:
    assert binding("sip:b@h") == binding("sip:b@h")
    assert binding("sip:b@h") != binding("sip:b@h", cseq=2)
    assert binding("sip:b@h") != "sip:b@h"
    assert len({binding("sip:b@h"), binding("sip:b@h")}) == 1
    assert repr(binding("sip:b@h")) == "Binding(sip:bob@example.test -> sip:b@h until 0)"
    assert repr(Change(ChangeKind.ADD, binding("sip:b@h"))) == "Change(add sip:b@h)"
