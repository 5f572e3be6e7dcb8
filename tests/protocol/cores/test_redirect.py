"""What a redirect server answers (RFC 3261 §8.3)."""

from __future__ import annotations

import pytest

from ringback.protocol.cores.redirect import MOST_CONTACTS, redirect
from ringback.protocol.message.model import Request
from ringback.protocol.message.parser import parse_message
from ringback.protocol.registration.binding import Binding

NOW = 1000.0


def request(uri: str = "sip:bob@example.test") -> Request:
    lines = [
        f"DANCE {uri} SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1",
        "From: <sip:a@b>;tag=1",
        f"To: <{uri}>",
        "Call-ID: c",
        "CSeq: 1 DANCE",
        "Require: anything",
        "Content-Length: 0",
    ]
    message = parse_message(("\r\n".join(lines) + "\r\n\r\n").encode())
    assert isinstance(message, Request)
    return message


def binding(uri: str, q: float = 1.0, left: float = 60.0) -> Binding:
    params = "" if q == 1.0 else f";q={q}"
    return Binding("sip:bob@example.test", uri, params, q, NOW + left)


@pytest.mark.row("RD-1")
@pytest.mark.rfc("3261 8.3")
def test_one_binding_is_a_302_with_the_time_it_has_left() -> None:
    answer = redirect(request(), [binding("sip:bob@192.0.2.2", 0.5, 59.5)], NOW, known=True)
    assert (answer.status, answer.contacts) == (302, ["<sip:bob@192.0.2.2>;q=0.5;expires=60"])
    assert repr(answer) == "Redirection(302 <sip:bob@192.0.2.2>;q=0.5;expires=60)"


@pytest.mark.row("RD-1")
def test_several_bindings_are_a_300_best_first() -> None:
    bindings = [binding("sip:b@192.0.2.2", 0.1), binding("sip:b@192.0.2.3"), binding("tel:+4930", 0.5)]
    answer = redirect(request(), bindings, NOW, known=True)
    assert answer.status == 300
    assert [value.partition(">")[0] for value in answer.contacts] == [
        "<sip:b@192.0.2.3",
        "<tel:+4930",
        "<sip:b@192.0.2.2",
    ]


@pytest.mark.row("RD-1")
@pytest.mark.parametrize(("known", "status"), [(True, 480), (False, 404)])
def test_nobody_there_is_480_and_nobody_of_that_name_404(known: bool, status: int) -> None:
    assert (redirect(request(), [], NOW, known=known).status) == status


@pytest.mark.row("RD-1")
def test_the_request_uri_itself_is_never_given() -> None:
    own = binding("sip:%62ob@EXAMPLE.test")
    answer = redirect(request(), [own, binding("sip:bob@192.0.2.2")], NOW, known=True)
    assert (answer.status, len(answer.contacts)) == (302, 1)
    assert redirect(request(), [own], NOW, known=True).status == 404


@pytest.mark.row("TRN-7", part="no fall-back")
def test_a_sips_request_is_led_to_sips_contacts_only() -> None:
    bindings = [binding("sip:bob@192.0.2.2"), binding("sips:bob@192.0.2.2")]
    answer = redirect(request("sips:bob@example.test"), bindings, NOW, known=True)
    assert answer.contacts == ["<sips:bob@192.0.2.2>;expires=60"]
    assert redirect(request("sips:bob@example.test"), bindings[:1], NOW, known=True).status == 404


@pytest.mark.threat("T11")
def test_the_contacts_of_one_answer_are_bounded() -> None:
    bindings = [binding(f"sip:{number}@192.0.2.2") for number in range(200)]
    assert len(redirect(request(), bindings, NOW, known=True).contacts) == MOST_CONTACTS
