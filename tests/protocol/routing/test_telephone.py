"""Numbers as SIP URIs (RFC 3261 §19.1.6)."""

import pytest

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.message.uri import Uri
from ringback.protocol.routing.telephone import as_sip


@pytest.mark.rfc("3261 19.1.6")
@pytest.mark.parametrize(
    ("number", "uri"),
    [
        ("tel:+358-555-1234567", "sip:+358-555-1234567@gw.test;user=phone"),
        ("tel:7042;phone-context=example.test", "sip:7042;phone-context=example.test@gw.test;user=phone"),
        ("TEL:911", "sip:911@gw.test;user=phone"),
        ("tel:*21", "sip:*21@gw.test;user=phone"),
        ("tel:1;x=a:b", "sip:1;x=a%3Ab@gw.test;user=phone"),
    ],
)
def test_a_number_becomes_a_user_of_the_gateway(number, uri):
    made = as_sip(Uri.parse(number), "gw.test")
    assert made == uri
    assert Uri.parse(made).host == "gw.test"


@pytest.mark.threat("T15")
@pytest.mark.parametrize(
    "number", ["tel:1@evil.test", "tel:1@evil.test;x", "tel:", "mailto:bob", "sip:bob@far.test", "tel:1>"]
)
def test_what_is_no_number_leads_nowhere(number):
    try:
        uri = Uri.parse(number)
    except RemoteProtocolError:
        return
    with pytest.raises(RemoteProtocolError):
        as_sip(uri, "gw.test", "sips")
