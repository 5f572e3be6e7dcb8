"""The top Via on arrival and the way back (RFC 3261 §18.2, RFC 3581)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.protocol.message.parser import parse_message
from ringback.protocol.message.values import Via
from ringback.protocol.routing.flow import Flow, Hop
from ringback.protocol.routing.via import response_hop, stamp, top_branch


def request(*vias, more=""):
    lines = "".join(f"Via: {via}\r\n" for via in vias)
    return parse_message(
        f"OPTIONS sip:bob@example.test SIP/2.0\r\n{lines}From: <sip:a@example.test>;tag=1\r\n"
        f"To: <sip:bob@example.test>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n{more}\r\n".encode()
    )


def arrived(*vias, source=("192.0.2.1", 9988)):
    message = request(*vias)
    assert message.top_via is not None  # parsed before, as at the door
    stamp(message, Flow("UDP", ("192.0.2.2", 5060), source))
    again = parse_message(message.to_bytes())
    assert [via.params for via in again.vias] == [via.params for via in message.vias]
    assert again.top_via.params == message.top_via.params  # what was parsed before tells what is sent
    return message


def lines_of(message):
    return [line for line, name in zip(message.lines, message.names, strict=True) if name == "via"]


@pytest.mark.rfc("3581 4")
def test_fills_in_rport_and_adds_received_even_when_the_host_is_the_source():
    message = arrived("SIP/2.0/UDP 192.0.2.1:4540;rport;branch=z9hG4bKa")
    assert lines_of(message) == ["Via: SIP/2.0/UDP 192.0.2.1:4540;received=192.0.2.1;rport=9988;branch=z9hG4bKa"]
    assert message.top_via.received == "192.0.2.1"
    assert message.top_via.rport == "9988"
    assert message.vias[0].rport == "9988"


@pytest.mark.rfc("3261 18.2.1")
@pytest.mark.parametrize("host", ["bobspc.biloxi.com:5060", "10.1.1.1", "[2001:db8::1]:5060"])
def test_adds_received_when_sent_by_is_not_the_source(host):
    message = arrived(f"SIP/2.0/UDP {host};branch=z9hG4bKa")
    assert lines_of(message) == [f"Via: SIP/2.0/UDP {host};branch=z9hG4bKa;received=192.0.2.1"]
    assert message.top_via.received == "192.0.2.1"


@pytest.mark.rfc("3261 18.2.1")
def test_leaves_a_via_that_tells_the_truth_byte_for_byte():
    message = request("SIP/2.0/UDP 192.0.2.1:4540;branch=z9hG4bKa")
    before = message.to_bytes()
    stamp(message, Flow("UDP", ("192.0.2.2", 5060), ("192.0.2.1", 9988)))
    assert message.to_bytes() == before
    assert message.raw is not None


def test_recognises_an_ipv6_source_in_brackets():
    message = arrived("SIP/2.0/UDP [2001:db8::9]:4540;branch=z9hG4bKa", source=("2001:db8::9", 4540))
    assert message.raw is not None


def test_writes_an_ipv6_source_without_brackets():
    message = arrived("SIP/2.0/UDP host.test;rport;branch=z9hG4bKa", source=("2001:db8::9", 4540))
    assert message.top_via.received == "2001:db8::9"
    assert response_hop(message.top_via) == Hop("UDP", "2001:db8::9", 4540)


@pytest.mark.threat("T11")
@pytest.mark.parametrize(
    "lie",
    [
        "SIP/2.0/UDP 192.0.2.1:4540;received=203.0.113.9;branch=z9hG4bKa",
        "SIP/2.0/UDP 192.0.2.1:4540;received=203.0.113.9;rport;branch=z9hG4bKa",
        "SIP/2.0/UDP 192.0.2.1:4540;rport=53;received=203.0.113.9;branch=z9hG4bKa",
        "SIP/2.0/UDP 192.0.2.1:4540;rport=53;branch=z9hG4bKa",
        "SIP/2.0/UDP 192.0.2.1:4540 ; RECEIVED=203.0.113.9 ; rport = 53 ;branch=z9hG4bKa",
    ],
)
def test_replaces_a_made_up_received_or_rport(lie):
    via = arrived(lie).top_via
    assert via.received == "192.0.2.1"
    assert via.rport in (None, "9988")
    assert via.branch == "z9hG4bKa"
    assert response_hop(via).host == "192.0.2.1"


@pytest.mark.parametrize(
    "spelling", ["; rport ;branch=z9hG4bKa", ";RPORT;branch=z9hG4bKa", ";rportal;rport;branch=z9hG4bKa"]
)
def test_finds_rport_however_it_is_written(spelling):
    via = arrived(f"SIP/2.0/UDP 192.0.2.1:4540{spelling}").top_via
    assert (via.received, via.rport, via.branch) == ("192.0.2.1", "9988", "z9hG4bKa")


def test_touches_only_the_first_value_of_a_comma_list():
    message = arrived(
        "SIP/2.0/UDP first.test;branch=z9hG4bKa, SIP/2.0/UDP second.test;rport;branch=z9hG4bKb",
        "SIP/2.0/UDP third.test;rport",
    )
    first, second, third = message.vias
    assert first.received == "192.0.2.1"
    assert first.rport is None
    assert second.received is None
    assert second.rport == ""
    assert third.rport == ""


def test_does_not_take_the_second_values_rport_for_the_first_ones():
    message = arrived("SIP/2.0/UDP 192.0.2.1;x=1;Rport;branch=z9hG4bKa, SIP/2.0/UDP second.test;rport;branch=z9hG4bKb")
    first, second = message.vias
    assert first.rport == "9988"
    assert second.rport == ""


def test_is_not_fooled_by_rport_within_a_quoted_parameter():
    message = arrived('SIP/2.0/UDP 192.0.2.1;x="a;rport";rport;branch=z9hG4bKa')
    assert message.top_via.params["x"] == '"a;rport"'
    assert message.top_via.rport == "9988"


def test_keeps_a_folded_via_readable():
    message = arrived("SIP/2.0/UDP 192.0.2.1:4540;rport\r\n ;branch=z9hG4bKa")
    again = parse_message(message.to_bytes())
    assert again.top_via.rport == "9988"
    assert again.top_via.branch == "z9hG4bKa"


PARAMS = st.lists(
    st.sampled_from(
        [
            "rport",
            "rport=7",
            "received=203.0.113.9",
            "branch=z9hG4bKx",
            "ttl=1",
            'x="a;rport, b"',
            " RPORT ",
            "rportx",
            "y=1",
        ]
    ),
    unique_by=lambda param: param.partition("=")[0].strip().lower(),
)


@pytest.mark.threat("T11")
@given(st.sampled_from(["192.0.2.1", "192.0.2.1:4540", "host.test", "[2001:db8::1]:5070"]), PARAMS, st.booleans())
def test_whatever_the_via_says_the_answer_goes_to_the_source(sent_by, params, listed):
    value = "SIP/2.0/UDP " + " ;".join([sent_by, *params])
    message = arrived(f"{value}, SIP/2.0/UDP other.test;rport" if listed else value)
    assert response_hop(message.top_via).host == "192.0.2.1"
    once = message.to_bytes()
    again = parse_message(once)
    stamp(again, Flow("UDP", ("192.0.2.2", 5060), ("192.0.2.1", 9988)))
    assert [via.params for via in again.vias] == [via.params for via in message.vias]


def hop(text):
    return response_hop(Via.parse(text))


@pytest.mark.row("TRN-6", part="responses travel by §18.2.2")
@pytest.mark.rfc("3261 18.2.2")
@pytest.mark.parametrize(
    ("via", "expected"),
    [
        ("SIP/2.0/UDP 10.0.0.1:4540;received=192.0.2.1;rport=9988", Hop("UDP", "192.0.2.1", 9988)),
        ("SIP/2.0/UDP 10.0.0.1:4540;received=192.0.2.1", Hop("UDP", "192.0.2.1", 4540)),
        ("SIP/2.0/UDP 10.0.0.1;received=192.0.2.1", Hop("UDP", "192.0.2.1", 5060)),
        ("SIP/2.0/UDP 10.0.0.1:4540", Hop("UDP", "10.0.0.1", 4540)),
        ("SIP/2.0/UDP [2001:db8::1]", Hop("UDP", "2001:db8::1", 5060)),
        ("SIP/2.0/UDP 10.0.0.1:7000;maddr=224.2.0.1;received=192.0.2.1;rport=1", Hop("UDP", "224.2.0.1", 7000)),
        ("SIP/2.0/UDP 10.0.0.1;maddr=[ff02::1]", Hop("UDP", "ff02::1", 5060)),
        # whoever it names did not ask for it (THREATS T11)
        ("SIP/2.0/UDP 10.0.0.1;maddr=[2001:db8::1]", Hop("UDP", "10.0.0.1", 5060)),
        ("SIP/2.0/UDP 10.0.0.1:7000;maddr=198.51.100.9;received=192.0.2.1;rport=1", Hop("UDP", "192.0.2.1", 1)),
        ("SIP/2.0/UDP 10.0.0.1;maddr=victim.test;received=192.0.2.1", Hop("UDP", "192.0.2.1", 5060)),
        ("SIP/2.0/UDP 10.0.0.1;maddr=255.255.255.255;received=192.0.2.1", Hop("UDP", "192.0.2.1", 5060)),
        ("SIP/2.0/UDP 10.0.0.1;received=[2001:db8::1]", Hop("UDP", "2001:db8::1", 5060)),
        ("SIP/2.0/UDP [2001:db8:::1]", Hop("UDP", "2001:db8::1", 5060)),
        ("SIP/2.0/UDP 10.0.0.1;received=2001:db8::1", Hop("UDP", "2001:db8::1", 5060)),
        ("SIP/2.0/TCP 10.0.0.1:4540;received=192.0.2.1;rport=9988", Hop("TCP", "192.0.2.1", 4540)),
        ("SIP/2.0/TLS host.test;received=192.0.2.1;maddr=224.2.0.1", Hop("TLS", "192.0.2.1", 5061)),
        ("SIP/2.0/TCP 10.0.0.1", Hop("TCP", "10.0.0.1", 5060)),
        ("SIP/2.0/WSS 10.0.0.1", Hop("WSS", "10.0.0.1", 443)),
    ],
)
def test_routes_a_response_by_its_top_via(via, expected):
    assert hop(via) == expected


@pytest.mark.threat("T1")
@pytest.mark.parametrize("rport", ["0", "65536", "999999", "-1", "٣٣", "1_0", "abc"])
def test_ignores_an_rport_that_is_no_port(rport):
    via = Via("UDP", "10.0.0.1", 4540, {"received": "192.0.2.1", "rport": rport})
    assert response_hop(via) == Hop("UDP", "192.0.2.1", 4540)


def test_top_branch_is_empty_for_an_rfc_2543_peer():
    assert top_branch(request("SIP/2.0/UDP 10.0.0.1:4540")) == ""
    assert top_branch(request("SIP/2.0/UDP 10.0.0.1:4540;branch=z9hG4bKx")) == "z9hG4bKx"
