"""Route, Record-Route and who we are (RFC 3261 §16.4, §16.6 steps 4 and 6)."""

import pytest

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.message.build import build_request
from ringback.protocol.message.uri import Uri
from ringback.protocol.routing.flow import Flow
from ringback.protocol.routing.route import (
    LocalNames,
    check_route_token,
    connection_beyond,
    flows_text,
    next_hop_uri,
    preprocess,
    record_route_token,
)

SECRET = b"secret"
FLOW = Flow("UDP", ("192.0.2.2", 5060), ("192.0.2.1", 5060))
LOCAL = LocalNames(["Example.Test"], [("192.0.2.2", 5060), ("2001:db8::2", 5080)])
TOKEN = record_route_token(SECRET, "call")
OURS = f"<sip:192.0.2.2:5060;lr;rbk={TOKEN}>"


def request(uri="sip:bob@far.test", *routes):
    return build_request(
        "BYE",
        uri,
        via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa",
        from_="<sip:a@x.test>;tag=1",
        to="<sip:b@x.test>;tag=2",
        call_id="call",
        cseq=2,
        headers=[("Route", route) for route in routes],
    )


def preprocessed(uri, *routes):
    message = request(uri, *routes)
    return preprocess(message, FLOW, LOCAL, SECRET), message.uri_text, message.values("route")


@pytest.mark.parametrize(
    ("uri", "ours"),
    [
        ("sip:bob@example.test", True),
        ("sip:bob@EXAMPLE.test:5060", True),
        ("sip:bob@example.test:5080", True),
        ("sip:bob@example.test:6000", False),
        ("sip:192.0.2.2", True),
        ("sip:192.0.2.2:5061", False),
        ("sips:192.0.2.2", False),
        ("sip:[2001:DB8::2]:5080", True),
        ("sip:[2001:db8::2]", False),
        ("sip:bob@far.test", False),
        ("tel:+1", False),
    ],
)
def test_knows_which_uris_name_this_element(uri, ours):
    assert LOCAL.owns(Uri.parse(uri)) is ours


@pytest.mark.rfc("3261 16.4")
def test_removes_our_own_value_from_the_top_of_route():
    assert preprocessed("sip:bob@far.test", OURS, "<sip:p2.test;lr>") == (
        True,
        "sip:bob@far.test",
        ["<sip:p2.test;lr>"],
    )


def test_removes_both_values_of_a_double_record_route_in_one_line():
    second = OURS.replace(";rbk", ";transport=tcp;rbk")
    assert preprocessed("sip:bob@far.test", f"{OURS}, {second}, <sip:p2.test;lr>")[2] == ["<sip:p2.test;lr>"]


def test_leaves_a_route_that_begins_elsewhere():
    routes = ["<sip:p2.test;lr>", OURS]
    assert preprocessed("sip:bob@far.test", *routes) == (False, "sip:bob@far.test", routes)


@pytest.mark.row("PX-2", part="closed relay")
@pytest.mark.threat("T15")
@pytest.mark.parametrize(
    "route",
    [
        "<sip:192.0.2.2;lr>",
        "<sip:192.0.2.2;lr;rbk>",
        "<sip:192.0.2.2;lr;rbk=0000000000000000>",
        f"<sip:192.0.2.2;lr;rbk={record_route_token(SECRET, 'other call')}>",
        f"<sip:192.0.2.2;lr;rbk={record_route_token(b'other secret', 'call')}>",
    ],
)
def test_a_route_through_us_without_a_valid_token_is_no_dialog_of_ours(route):
    assert preprocessed("sip:victim@far.test", route) == (False, "sip:victim@far.test", [])


def test_token_check_takes_any_text():
    assert check_route_token(SECRET, "call", TOKEN)
    assert not check_route_token(SECRET, "call", None)
    assert not check_route_token(SECRET, "call", "")
    assert not check_route_token(SECRET, "call", "\udcff٣")
    assert record_route_token(SECRET, "\udcff") != TOKEN


@pytest.mark.row("PX-2", part="strict routing")
@pytest.mark.rfc("3261 16.4")
def test_a_strict_router_before_us_is_undone():
    within, uri, routes = preprocessed(f"sip:192.0.2.2:5060;lr;rbk={TOKEN}", "<sip:p2.test;lr>", "<sip:bob@far.test>")
    assert (within, uri, routes) == (True, "sip:bob@far.test", ["<sip:p2.test;lr>"])


def test_a_strict_router_before_us_may_leave_no_other_route():
    assert preprocessed(f"sip:192.0.2.2;rbk={TOKEN}", "<sip:bob@far.test>") == (True, "sip:bob@far.test", [])


def test_a_request_uri_of_ours_with_no_route_stays():
    uri = f"sip:192.0.2.2;rbk={TOKEN}"
    assert preprocessed(uri) == (True, uri, [])


@pytest.mark.parametrize("uri", ["sip:192.0.2.2;rbk=bad", f"sip:192.0.2.9;rbk={TOKEN}"])
def test_a_request_uri_that_we_did_not_record_route_is_no_strict_route(uri):
    assert preprocessed(uri, "<sip:bob@far.test>") == (False, uri, ["<sip:bob@far.test>"])


@pytest.mark.rfc("3261 16.4")
@pytest.mark.parametrize(
    ("uri", "after"),
    [
        ("sip:bob@far.test;maddr=192.0.2.2", "sip:bob@far.test"),
        ("sip:bob:pw@far.test:5060;x=1;maddr=192.0.2.2;transport=udp", "sip:bob:pw@far.test;x=1"),
        ("sip:bob@far.test;maddr=192.0.2.2;transport=tcp", None),
        ("sip:bob@far.test:5070;maddr=192.0.2.2", None),
        ("sip:bob@far.test:5080;maddr=[2001:db8::2]", None),
        ("sip:bob@far.test;maddr=192.0.2.9", None),
        ("sips:bob@far.test;maddr=192.0.2.2", None),
    ],
)
def test_takes_off_a_maddr_of_ours_when_it_came_as_the_uri_says(uri, after):
    assert preprocessed(uri) == (False, after or uri, [])


def test_next_hop_is_the_request_uri_without_route():
    assert str(next_hop_uri(request("sip:bob@far.test"))) == "sip:bob@far.test"


@pytest.mark.rfc("3261 16.6")
def test_next_hop_is_a_loose_routers_uri_and_nothing_changes():
    message = request("sip:bob@far.test", "<sip:p2.test;lr>")
    assert str(next_hop_uri(message)) == "sip:p2.test;lr"
    assert message.uri_text == "sip:bob@far.test"
    assert message.values("route") == ["<sip:p2.test;lr>"]


@pytest.mark.row("PX-2", part="strict routing")
@pytest.mark.rfc("3261 16.6")
def test_rewrites_the_request_for_a_strict_router():
    message = request("sip:bob@far.test", "<sip:strict.test>", "<sip:p3.test;lr>")
    assert str(next_hop_uri(message)) == "sip:strict.test"
    assert message.uri_text == "sip:strict.test"
    assert message.values("route") == ["<sip:p3.test;lr>", "<sip:bob@far.test>"]


def test_a_malformed_route_is_the_senders_fault():
    message = request("sip:bob@far.test", "<sip:p2.test;lr")
    with pytest.raises(RemoteProtocolError):
        preprocess(message, FLOW, LOCAL, SECRET)


# Connections on both sides of a dialog


def connection(number: int) -> Flow:
    return Flow("TCP", ("192.0.2.2", 5060), ("192.0.2.9", 40000), number)


def beyond(route: str, arrived_on: int) -> int:
    message = request("sip:bob@far.test", *([route] if route else []))
    return connection_beyond(message, connection(arrived_on), LOCAL, SECRET)


FLOWS_TEXT = flows_text(connection(10), connection(17))
WITH_FLOWS = f"<sip:192.0.2.2;lr;rbk={record_route_token(SECRET, 'call', FLOWS_TEXT)};rbf={FLOWS_TEXT}>"


@pytest.mark.rfc("5626 5.3.1")
def test_a_request_goes_on_by_the_connection_that_it_did_not_come_on() -> None:
    assert FLOWS_TEXT == "a-11"
    assert beyond(WITH_FLOWS, 10) == 17
    assert beyond(WITH_FLOWS, 17) == 10
    assert beyond(WITH_FLOWS, 3) == 0


def test_no_connection_is_known_without_a_route_of_ours_that_proves_it() -> None:
    assert flows_text(None, FLOW) == ""
    assert flows_text(None, connection(5)) == "0-5"
    for route in (
        "",
        "<sip:192.0.2.2;lr>",
        WITH_FLOWS.replace("192.0.2.2", "192.0.2.3"),
        WITH_FLOWS.replace("rbf=a-11", "rbf=a-12"),
        WITH_FLOWS.replace("rbf=a-11", "rbf=a11"),
        WITH_FLOWS.replace("rbf=a-11", "rbf"),
        f"<sip:192.0.2.2;lr;rbk={TOKEN};rbf=a-11>",
        f"<sip:192.0.2.2;lr;rbk={record_route_token(SECRET, 'call', 'a-a')};rbf=a-a>",
    ):
        assert beyond(route, 10) == 0


def test_a_route_with_connections_proves_the_dialog_as_well() -> None:
    assert preprocessed("sip:bob@far.test", WITH_FLOWS)[0]
    assert not preprocessed("sip:bob@far.test", WITH_FLOWS.replace("a-11", "a-12"))[0]


@pytest.mark.rfc("7118 5.5")
@pytest.mark.parametrize("port", [80, 443])
def test_the_usual_port_of_a_websocket_is_that_of_the_web(port: int) -> None:
    local = LocalNames([], [("192.0.2.2", port)])
    assert local.owns(Uri.parse("sip:192.0.2.2;transport=ws;lr"))
    assert not local.owns(Uri.parse("sip:192.0.2.3;transport=ws;lr"))
    assert not local.owns(Uri.parse("sip:192.0.2.2"))
    assert not local.owns(Uri.parse("sip:192.0.2.2:5060;transport=ws"))
    assert not local.owns(Uri.parse("tel:+4930"))
