"""The copy that goes to a target (RFC 3261 §16.6), and the stateless branch (§16.11)."""

import pytest

from ringback.protocol.cores.proxy.forwarding import Forwarding, realm_of, record_route, request_uri
from ringback.protocol.cores.proxy.policy import ProxyPolicy
from ringback.protocol.cores.proxy.target_set import Target
from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.message.parser import parse_message
from ringback.protocol.routing.flow import Flow, format_address
from ringback.protocol.routing.route import record_route_token

UDP = Flow("UDP", ("192.0.2.2", 5060), ("198.51.100.1", 5060))
TOKEN = record_route_token(b"secret", "c1")

WIRE = (
    "INVITE sip:bob@example.test SIP/2.0\r\n"
    "v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n"
    "Via:SIP/2.0/UDP  p0.test ;branch=z9hG4bK0\r\n"
    "Max-Forwards:  70\r\n"
    "Subject: a\r\n  folded\t one\r\n"
    "X-Odd:caf\xe9\r\n"
    "f: Alice <sip:alice@example.test>;tag=a\r\n"
    "t: <sip:bob@example.test>\r\n"
    "Call-ID: c1\r\n"
    "cseq: 1 INVITE\r\n"
    "Record-Route: <sip:p0.test;lr>\r\n"
    "l: 4\r\n"
    "\r\nbody"
).encode("latin-1")


def wire(*lines, start="INVITE sip:bob@example.test SIP/2.0", without=()):
    head, _, body = WIRE.partition(b"\r\n\r\n")
    kept = [line for line in head.decode("latin-1").split("\r\n")[1:] if not line.startswith(tuple(without) or "\0")]
    return parse_message("\r\n".join([start, *kept, *lines]).encode("latin-1") + b"\r\n\r\n" + body)


def forward(message, target=None, flow=UDP, arrived=None, breadth=60, **policy):
    forwarding = Forwarding(ProxyPolicy(b"secret", **policy), lambda flow: format_address(flow.local))
    copy, _ = forwarding.prepare(message, target or Target(message.uri_text))
    forwarding.address(copy, flow, "z9hG4bKb", breadth, arrived)
    return copy


@pytest.mark.rfc("3261 16.6")
def test_changes_what_the_steps_name_and_nothing_else():
    message = wire()
    before = message.to_bytes()
    out = forward(message, Target("sip:desk@198.51.100.1"))
    assert out.to_bytes() == (
        "INVITE sip:desk@198.51.100.1 SIP/2.0\r\n"
        "Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKb\r\n"
        "v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n"
        "Via:SIP/2.0/UDP  p0.test ;branch=z9hG4bK0\r\n"
        "Max-Forwards: 69\r\n"
        "Subject: a\r\n  folded\t one\r\n"
        "X-Odd:caf\xe9\r\n"
        "f: Alice <sip:alice@example.test>;tag=a\r\n"
        "t: <sip:bob@example.test>\r\n"
        "Call-ID: c1\r\n"
        "cseq: 1 INVITE\r\n"
        f"Record-Route: <sip:192.0.2.2:5060;lr;rbk={TOKEN}>\r\n"
        "Record-Route: <sip:p0.test;lr>\r\n"
        "l: 4\r\n"
        "Max-Breadth: 60\r\n"
        "\r\nbody"
    ).encode("latin-1")
    assert message.to_bytes() == before


@pytest.mark.row("TRN-5", part="Max-Forwards")
@pytest.mark.parametrize(("value", "after"), [("70", 69), ("1", 0), ("255", 254), (None, 70), ("300", 70)])
def test_lowers_max_forwards_or_sets_70(value, after):
    lines = [] if value is None else [f"Max-Forwards: {value}"]
    out = forward(wire(*lines, without=["Max-Forwards"]))
    assert out.get_all("max-forwards") == [str(after)]


@pytest.mark.rfc("3261 16.6")
@pytest.mark.parametrize(
    ("uri", "after"),
    [
        ("sip:a@x.test;method=BYE;user=phone?Subject=hi", "sip:a@x.test;user=phone"),
        ("sip:a:p@x.test:5070;METHOD=BYE", "sip:a:p@x.test:5070"),
        ("sip:a@x.test;y=1", "sip:a@x.test;y=1"),
        ("http://x.test/?method=1", "http://x.test/?method=1"),
    ],
)
def test_strips_what_a_request_uri_may_not_have(uri, after):
    assert request_uri(uri) == after


@pytest.mark.row("PX-2", part="Record-Route")
@pytest.mark.parametrize("method", ["INVITE", "SUBSCRIBE", "NOTIFY", "REFER", "UNHEARD"])
def test_record_routes_requests_that_make_dialogs(method):
    out = forward(wire(start=f"{method} sip:bob@example.test SIP/2.0"))
    assert out.values("record-route") == [f"<sip:192.0.2.2:5060;lr;rbk={TOKEN}>", "<sip:p0.test;lr>"]
    assert out.record_routes[0].uri.lr


@pytest.mark.row("PX-2", part="Record-Route")
@pytest.mark.parametrize(
    "method", ["MESSAGE", "OPTIONS", "REGISTER", "PUBLISH", "BYE", "INFO", "UPDATE", "PRACK", "ACK"]
)
def test_record_routes_no_other_request(method):
    assert forward(wire(start=f"{method} sip:bob@example.test SIP/2.0")).values("record-route") == ["<sip:p0.test;lr>"]


def test_record_routes_nothing_when_it_is_not_to_stay():
    assert forward(wire(), record_route=False).values("record-route") == ["<sip:p0.test;lr>"]


@pytest.mark.row("PX-2", part="two values")
def test_record_routes_twice_where_transport_or_family_changes():
    tcp = Flow("TCP", ("192.0.2.2", 5060), ("192.0.2.1", 4000), 3)
    six = Flow("UDP", ("2001:db8::2", 5060), ("2001:db8::1", 5060))
    call_id = forward(wire()).call_id
    token = f"rbk={record_route_token(b'secret', call_id, '3-0')};rbf=3-0"  # and names the connection
    assert forward(wire(), arrived=tcp).values("record-route")[:2] == [
        f"<sip:192.0.2.2:5060;lr;{token}>",
        f"<sip:192.0.2.2:5060;lr;transport=tcp;{token}>",
    ]
    assert forward(wire(), arrived=six).values("record-route")[:2] == [
        f"<sip:192.0.2.2:5060;lr;rbk={TOKEN}>",
        f"<sip:[2001:db8::2]:5060;lr;rbk={TOKEN}>",
    ]
    assert len(forward(wire(), arrived=Flow("UDP", UDP.local, ("192.0.2.1", 1))).values("record-route")) == 2


def test_record_routes_once_when_two_sockets_have_one_name():
    forwarding = Forwarding(ProxyPolicy(b"secret"), lambda flow: "proxy.example.test:5060")
    copy, _ = forwarding.prepare(wire(), Target("sip:x@198.51.100.1"))
    forwarding.address(copy, UDP, "z9hG4bKb", 60, Flow("UDP", ("10.0.0.1", 5060), ("10.0.0.9", 5060)))
    assert copy.values("record-route")[0].startswith("<sip:proxy.example.test:5060;lr;")
    assert len(copy.values("record-route")) == 2


@pytest.mark.rfc("3261 16.6")
def test_a_sips_request_is_record_routed_with_sips():
    out = forward(wire(start="INVITE sips:bob@far.test SIP/2.0"), flow=Flow("TLS", UDP.local, UDP.remote, 1))
    assert out.record_routes[0].uri.scheme == "sips"


@pytest.mark.row("PX-2", part="strict routing")
def test_prepares_the_request_for_a_strict_next_hop():
    message = wire("Route: <sip:strict.test>, <sip:p3.test;lr>")
    forwarding = Forwarding(ProxyPolicy(b"secret"), lambda flow: "x")
    copy, uri = forwarding.prepare(message, Target("sip:desk@198.51.100.1"))
    assert str(uri) == copy.uri_text == "sip:strict.test"
    assert copy.values("route") == ["<sip:p3.test;lr>", "<sip:desk@198.51.100.1>"]


@pytest.mark.row("REG-6", part="Path as Route")
def test_pushes_the_path_of_a_binding_ahead_of_route():
    message = wire("Route: <sip:p3.test;lr>")
    forwarding = Forwarding(ProxyPolicy(b"secret"), lambda flow: "x")
    copy, uri = forwarding.prepare(message, Target("sip:desk@x.test", route=["<sip:edge1;lr>", "<sip:edge2;lr>"]))
    assert copy.values("route") == ["<sip:edge1;lr>", "<sip:edge2;lr>", "<sip:p3.test;lr>"]
    assert str(uri) == "sip:edge1;lr"


@pytest.mark.threat("T5")
@pytest.mark.row("AUT-1", part="own credentials stripped")
def test_strips_credentials_for_our_realms_only():
    ours = 'Digest username="a", realm="example.test", nonce="n"'
    theirs = 'Digest username="a", realm="far.test", nonce="n"'
    message = wire(
        f"Proxy-Authorization: {ours}", f"Proxy-Authorization: {theirs}", f"Authorization: {ours}", "User-Agent: x"
    )
    out = forward(message, realms=frozenset({"example.test"}))
    assert out.get_all("proxy-authorization") == [theirs]
    assert out.get_all("authorization") == []
    out = forward(wire(f"Authorization: {theirs}"), realms=frozenset({"example.test"}))
    assert out.lines[-2] == f"Authorization: {theirs}"


@pytest.mark.parametrize(
    ("value", "realm"),
    [
        ('Digest realm="a, b", nonce="x"', "a, b"),
        ('Digest nonce="realm=no" , REALM = "c\\"d"', 'c"d'),
        ("Digest realm=e", "e"),
        ("Basic abc=", None),
        ("Digest", None),
        ('Digest realm="open', None),
    ],
)
def test_reads_the_realm_of_credentials(value, realm):
    assert realm_of(value) == realm


def test_adds_content_length_for_a_stream():
    tcp = Flow("TCP", UDP.local, UDP.remote, 1)
    assert forward(wire(without=["l:"]), flow=tcp).get("content-length") == "4"
    assert forward(wire(without=["l:"])).get("content-length") is None
    assert forward(wire(), flow=tcp).get_all("content-length") == ["4"]


def test_replaces_max_breadth_with_the_branches_share():
    assert forward(wire("Max-Breadth: 60"), breadth=30).get_all("max-breadth") == ["30"]
    assert forward(wire("Max-Breadth: 60", "max-breadth: 70"), breadth=30).get_all("max-breadth") == ["30"]
    assert forward(wire(), breadth=0).get("max-breadth") is None


def test_a_malformed_target_is_refused():
    with pytest.raises(RemoteProtocolError):
        forward(wire(), Target("sip:@"))


def stateless(message, secret=b"secret"):
    return Forwarding(ProxyPolicy(secret), lambda flow: "x").stateless_branch(message)


@pytest.mark.row("ACK-4", part="its own branch, computed")
@pytest.mark.rfc("3261 16.11")
def test_the_stateless_branch_follows_the_received_one():
    ack = wire(start="ACK sip:bob@example.test SIP/2.0")
    assert stateless(ack).startswith("z9hG4bK")
    assert stateless(ack) == stateless(wire())
    other = wire("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKb", without=["v:", "Via"])
    assert stateless(other) != stateless(ack)
    assert stateless(ack, b"other") != stateless(ack)


@pytest.mark.rfc("3261 16.11")
def test_the_stateless_branch_of_an_rfc_2543_request_is_computed_from_its_fields():
    old = {"without": ["v:", "Via"]}
    first = wire("Via: SIP/2.0/UDP 192.0.2.1", **old)
    assert stateless(first) == stateless(wire("Via: SIP/2.0/UDP 192.0.2.1", **old))
    assert stateless(first) != stateless(wire("Via: SIP/2.0/UDP 192.0.2.1;branch=1", **old))
    assert stateless(first) != stateless(wire("Via: SIP/2.0/UDP 192.0.2.1", start="ACK sip:c@x.test SIP/2.0", **old))


@pytest.mark.row("PX-2", part="the transport of a Record-Route value")
@pytest.mark.parametrize(
    ("scheme", "transport", "way"),
    [
        ("sip", "UDP", ""),
        ("sip", "TCP", ";transport=tcp"),
        ("sip", "TLS", ";transport=tls"),
        ("sips", "TLS", ""),
        ("sip", "WS", ";transport=ws"),
        ("sips", "WSS", ";transport=ws"),
    ],
)
def test_a_record_route_names_the_transport_that_its_uri_does_not_imply(scheme, transport, way):
    assert record_route(scheme, "p.test:5060", transport, "t") == f"Record-Route: <{scheme}:p.test:5060;lr{way};rbk=t>"
