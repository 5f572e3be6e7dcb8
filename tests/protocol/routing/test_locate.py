"""Numeric hosts are hops at once, names are asked for (RFC 3263 §4)."""

import pytest

from ringback.protocol.message.uri import Uri
from ringback.protocol.routing.flow import Hop
from ringback.protocol.routing.locate import Locate, direct_hop, transport_of


@pytest.mark.rfc("3263 4")
@pytest.mark.parametrize(
    ("uri", "hop"),
    [
        ("sip:bob@192.0.2.1", Hop("UDP", "192.0.2.1", 5060)),
        ("sip:bob@192.0.2.1:5070;transport=tcp", Hop("TCP", "192.0.2.1", 5070)),
        ("sip:bob@[2001:db8::1]", Hop("UDP", "2001:db8::1", 5060)),
        ("sip:bob@[2001:db8:::192.0.2.1]", Hop("UDP", "2001:db8::192.0.2.1", 5060)),
        ("sips:bob@192.0.2.1", Hop("TLS", "192.0.2.1", 5061)),
        ("sips:bob@192.0.2.1;transport=tcp", Hop("TLS", "192.0.2.1", 5061)),
        ("sips:bob@192.0.2.1;transport=ws", Hop("WSS", "192.0.2.1", 443)),
        ("sip:bob@far.test;maddr=192.0.2.1", Hop("UDP", "192.0.2.1", 5060)),
        ("sip:bob@192.0.2.9;maddr=[2001:db8::1]", Hop("UDP", "2001:db8::1", 5060)),
        ("sip:bob@192.0.2.9;maddr=far.test", None),
        ("sip:bob@far.test", None),
        ("sip:bob@300.1.1.1", None),
    ],
)
def test_finds_the_hop_of_a_numeric_uri(uri, hop):
    assert direct_hop(Uri.parse(uri)) == hop


def test_the_callers_transport_comes_first():
    assert direct_hop(Uri.parse("sip:192.0.2.1;transport=udp"), "TLS") == Hop("TLS", "192.0.2.1", 5061)
    assert transport_of(Uri.parse("sip:192.0.2.1")) is None


def test_a_question_shows_what_it_asks():
    assert repr(Locate("proxy", 7, Uri.parse("sip:far.test"))) == "Locate(proxy 7 sip:far.test)"
