"""The best response (RFC 3261 §16.7 steps 6 and 7, RFC 4320)."""

import pytest

from ringback.protocol.cores.proxy.best_response import aggregate_challenges, choose
from ringback.protocol.message.build import build_request, build_response

REQUEST = build_request(
    "INVITE",
    "sip:b@x.test",
    via="SIP/2.0/UDP x.test;branch=z9hG4bKa",
    from_="<sip:a@x.test>;tag=1",
    to="<sip:b@x.test>",
    call_id="c",
    cseq=1,
)


def response(status, *headers):
    return build_response(REQUEST, status, to_tag=str(status), headers=headers)


def best(*statuses, invite=True, cancelled=False):
    """Statuses below zero are our own conclusions."""
    candidates = [-status if status < 0 else response(status) for status in statuses]
    chosen = choose(candidates, invite=invite, cancelled=cancelled)
    if chosen is None:
        return None
    return -chosen if isinstance(chosen, int) else chosen.status


@pytest.mark.row("FRK-3", part="choice")
@pytest.mark.rfc("3261 16.7")
@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((404, 603, 302), 603),
        ((503, 404, 302), 302),
        ((503, 407, 501, 404), 407),
        ((486, 401), 401),
        ((486, 415), 415),
        ((486, 420), 420),
        ((486, 484), 484),
        ((486, 404), 486),
        ((404, 486), 404),
        ((408, 486), 486),
        ((487, 408), 408),
        ((503, 500), 500),
        ((503,), 503),
        ((-503, 503), 503),
        ((-408, 408), 408),
        ((-408, -503), -408),
        ((-408,), -408),
    ],
)
def test_chooses_the_best(statuses, expected):
    assert best(*statuses) == expected


@pytest.mark.row("FRK-3", part="nothing received")
def test_without_any_response_an_invite_gets_408():
    assert best() == -408


@pytest.mark.row("CAN-6", part="487")
def test_a_cancelled_invite_prefers_487_within_its_class():
    assert best(486, 487, 408, cancelled=True) == 487
    assert best(cancelled=True) == -487
    assert best(487, 603, cancelled=True) == 603
    assert best(487, 302, cancelled=True) == 302


@pytest.mark.row("TRN-6", part="never a 408")
@pytest.mark.rfc("4320 4.2")
def test_a_non_invite_never_gets_408():
    assert best(invite=False) is None
    assert best(-408, 408, invite=False) is None
    assert best(408, 503, invite=False) == 503


@pytest.mark.row("FRK-3", part="challenges")
@pytest.mark.rfc("3261 16.7")
def test_collects_all_challenges_unmodified():
    first = response(407, ("Proxy-Authenticate", 'Digest realm="one", nonce="1"'))
    second = response(
        401, ("WWW-Authenticate", 'Digest realm="two", nonce="2"'), ("WWW-Authenticate", 'Digest realm="three"')
    )
    third = response(404, ("WWW-Authenticate", 'Digest realm="not this"'))
    fourth = response(407, ("Proxy-Authenticate", 'Digest realm="four"'))
    aggregate_challenges(first, [first, 408, second, third, fourth])
    assert first.get_all("proxy-authenticate") == ['Digest realm="one", nonce="1"', 'Digest realm="four"']
    assert first.get_all("www-authenticate") == ['Digest realm="two", nonce="2"', 'Digest realm="three"']
