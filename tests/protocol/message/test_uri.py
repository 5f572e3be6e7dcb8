"""URIs are read whole, compared as RFC 3261 §19.1.4 says, and made canonical for the location service."""

import pytest

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.message.uri import Uri


def test_reads_every_part_of_a_sip_uri():
    text = "sips:al%69ce:pw@Example.COM:5071;Transport=tcp;lr;x=%41?subject=hi&to=a%40b"
    uri = Uri.parse(text)
    assert (uri.scheme, uri.user, uri.password, uri.host, uri.port) == ("sips", "al%69ce", "pw", "Example.COM", 5071)
    assert uri.params == {"transport": "tcp", "lr": None, "x": "A"}
    assert (uri.headers, uri.opaque) == ("subject=hi&to=a%40b", "")
    assert (uri.transport, uri.lr, uri.is_sip, uri.hostport) == ("TCP", True, True, "Example.COM:5071")
    assert str(uri) == text
    assert repr(uri) == f"Uri({text!r})"


def test_reads_a_uri_without_user():
    uri = Uri.parse("sip:example.com;maddr=192.0.2.1")
    assert (uri.user, uri.host, uri.port, uri.transport, uri.lr) == (None, "example.com", None, None, False)
    assert (uri.hostport, uri.params, uri.headers) == ("example.com", {"maddr": "192.0.2.1"}, None)


def test_knows_numeric_hosts():
    assert Uri.parse("sip:a@192.0.2.1").host_is_ip
    assert not Uri.parse("sip:a@192.0.2.256").host_is_ip
    uri = Uri.parse("sip:a@[2001:DB8::1]:5060")
    assert uri.host_is_ip
    assert (uri.host, uri.ip, uri.hostport) == ("[2001:DB8::1]", "2001:DB8::1", "[2001:DB8::1]:5060")


def test_keeps_other_schemes_opaque():
    uri = Uri.parse("TEL:+1-212-555-0101;phone-context=x")
    assert (uri.scheme, uri.opaque, uri.is_sip, uri.host) == ("tel", "+1-212-555-0101;phone-context=x", False, "")
    assert str(uri) == "TEL:+1-212-555-0101;phone-context=x"
    assert uri.aor == str(uri)


@pytest.mark.threat("T4")
@pytest.mark.parametrize(
    "text",
    [
        *("", "sip", "sip:", ":x", "1sip:x", "s p:x", "sip:@host", "sip:a@", "sip:a@b@c", "sip:a@b c", "sip:a\r\nb@c"),
        *(
            "sip:a@b;",
            "sip:a@b;;x",
            "sip:a@b;=x",
            "sip:a@b;x=",
            "sip:a@b;x;X",
            "sip:a@b;%78;x",
            "sip:a@b:",
            "sip:a@b:0",
        ),
        *("sip:a@b:65536", "sip:a@b:99999", "sip:a%4@b", "sip:a%zz@b", "sip:%@b", "sip:a@[::1", "sip:a@2001:db8::1"),
        *('sip:"a"@b', "sip:<a>@b", "sip:a\0@b", "sip:a@b..c", "sip:é@é.com", "sip:a@b;x=1;x=2", "isbn:", "http:a b"),
        *("sip:a@b:1_0", "sip:a@b:٣", "sip:a@b:" + "9" * 5000, "<sip:a@b>", "sip:;x", "sip:a:b@"),
    ],
)
def test_refuses_what_is_no_uri(text):
    with pytest.raises(RemoteProtocolError) as caught:
        Uri.parse(text)
    assert caught.value.status == 400


def test_writes_a_uri_made_of_parts():
    uri = Uri("sip", "example.com", user="a", password="b", port=5070, params={"lr": None, "x": "a b"}, headers="s=1")
    assert str(uri) == "sip:a:b@example.com:5070;lr;x=a%20b?s=1"
    assert str(Uri("sip", "example.com")) == "sip:example.com"
    assert str(Uri("sip", "example.com", user="a")) == "sip:a@example.com"
    assert str(Uri("tel", opaque="+1")) == "tel:+1"


@pytest.mark.rfc("3261 10.3")
@pytest.mark.row("REG-4", part="address-of-record")
@pytest.mark.parametrize(
    ("text", "aor"),
    [
        ("sip:alice@example.com", "sip:alice@example.com"),
        ("sip:%61lice:secret@EXAMPLE.com:5060;transport=tcp?x=y", "sip:alice@example.com"),
        ("sips:alice@example.com:5060", "sips:alice@example.com:5060"),
        ("sips:alice@example.com:5061", "sips:alice@example.com"),
        ("sip:a%20b%00@example.com:5070", "sip:a%20b%00@example.com:5070"),
        ("sip:a%2541@example.com", "sip:a%2541@example.com"),
        ("sip:Example.com", "sip:example.com"),
        ("sip:+1212;x=y@example.com", "sip:+1212;x=y@example.com"),
        ("sip:a%3Bb@example.com", "sip:a;b@example.com"),
    ],
)
def test_makes_the_address_of_record_canonical(text, aor):
    assert Uri.parse(text).aor == aor
    assert Uri.parse(aor).aor == aor


@pytest.mark.rfc("3261 19.1.4")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("tel:+1", "TEL:+1"),
    ],
)
def test_equal_uris(one, other):
    assert Uri.parse(one).equals(Uri.parse(other))
    assert Uri.parse(other).equals(Uri.parse(one))


@pytest.mark.rfc("3261 19.1.4")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:a@b;x=1", "sip:a@b;x=2"),
        ("sip:a:b@c", "sip:a@c"),
        ("sip:a@b", "sips:a@b"),
        ("tel:+1", "tel:+2"),
    ],
)
def test_unequal_uris(one, other):
    assert not Uri.parse(one).equals(Uri.parse(other))
    assert not Uri.parse(other).equals(Uri.parse(one))
