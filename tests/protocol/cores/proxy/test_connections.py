"""Requests within a dialog go by the connections that it began on, and a sips request by none without TLS."""

import pytest

from ringback.protocol.cores.proxy.target_set import Target
from ringback.protocol.message.build import build_request
from ringback.protocol.routing.flow import Flow, Hop
from ringback.protocol.routing.route import record_route_token
from ringback.protocol.transaction.events import SendMessage
from tests.protocol.cores.proxy.conftest import US, Exchange

ALICE = Flow("TLS", US, ("192.0.2.1", 40_000), 10)
BOB = Flow("TLS", US, ("192.0.2.3", 50_000), 17)
BY_TCP = Flow("TCP", US, ("192.0.2.3", 50_001), 18)
FLOWS = "a-11"


def within_dialog(method="BYE", uri="sip:bob@198.51.100.1:5070;transport=tls", flows=FLOWS, routes=()):
    token = record_route_token(b"secret", "call", flows)
    return build_request(
        method,
        uri,
        via="SIP/2.0/TLS 192.0.2.1:40000;branch=z9hG4bKa",
        from_="<sip:alice@example.test>;tag=1",
        to="<sip:bob@example.test>;tag=2",
        call_id="call",
        cseq=2,
        headers=[("Route", f"<sip:192.0.2.2:5060;lr;rbk={token};rbf={flows}>"), *(("Route", one) for one in routes)],
    )


@pytest.fixture
def exchange():
    made = Exchange()
    flows = {flow.connection: flow for flow in (ALICE, BOB, BY_TCP)}
    made.core._flow_of = flows.get
    return made


def sent_on(exchange):
    return [event.flow for event in exchange.layer.poll() if isinstance(event, SendMessage)]


def forward(exchange, request, targets=None):
    admission = exchange.core.admit(request, ALICE)
    key = exchange.layer.accept(request, ALICE, exchange.now, "proxy")
    exchange.core.forward(request, key, targets or [Target(request.uri_text)], exchange.now, admission)
    return sent_on(exchange)


@pytest.mark.rfc("5626 5.3.1")
@pytest.mark.parametrize("routes", [(), ("<sip:198.51.100.7;lr>",)])
def test_a_request_within_a_dialog_goes_by_the_other_sides_connection(exchange, routes):
    assert forward(exchange, within_dialog(routes=routes)) == [BOB]


@pytest.mark.rfc("5626 5.3.1")
def test_so_does_the_ack_to_a_2xx(exchange):
    ack = within_dialog("ACK")
    admission = exchange.core.admit(ack, ALICE)
    exchange.core.forward_stateless(ack, exchange.now, admission.beyond)
    assert sent_on(exchange) == [BOB]


def test_when_the_connection_has_ended_the_uri_says_where(exchange):
    assert forward(exchange, within_dialog(flows="a-63")) == [Flow("TLS", US, ("198.51.100.1", 5070))]


def test_when_it_ends_in_that_moment_the_uri_says_where_too(exchange):
    request = within_dialog()
    forward(exchange, request)
    [key] = exchange.core._machine.by_key
    exchange.layer.transport_failed(key, "gone", exchange.now)
    for event in exchange.layer.poll():
        exchange.core.handle_event(event, exchange.now)
    assert sent_on(exchange) == [Flow("TLS", US, ("198.51.100.1", 5070))]


def test_without_connections_there_is_none_to_go_by():
    exchange = Exchange()
    assert exchange.core.admit(within_dialog(), ALICE).beyond is None


@pytest.mark.row("TRN-7", part="proxy")
@pytest.mark.rfc("3261 26.2.2")
def test_a_sips_request_goes_by_tls_whatever_its_target_was_reached_by(exchange):
    uri = "sips:bob@198.51.100.1:5061"
    assert forward(exchange, within_dialog(uri=uri, flows="a-12")) == [Flow("TLS", US, ("198.51.100.1", 5061))]


def test_a_sips_request_takes_the_secure_ones_of_several_addresses(exchange):
    request = within_dialog(uri="sips:bob@198.51.100.1", flows="a-63")
    target = Target(
        "sip:bob@192.0.2.9", hops=[Hop("TCP", "192.0.2.9", 5060), Hop("TLS", "192.0.2.9", 5061)], flow=BY_TCP
    )
    assert forward(exchange, request, [target]) == [Flow("TLS", US, ("192.0.2.9", 5061))]


def test_nor_does_the_ack_of_a_sips_call_go_by_a_connection_without_tls(exchange):
    ack = within_dialog("ACK", uri="sips:bob@198.51.100.1:5061")
    exchange.core.admit(ack, ALICE)
    exchange.core.forward_stateless(ack, exchange.now, BY_TCP)
    assert sent_on(exchange) == [Flow("TLS", US, ("198.51.100.1", 5061))]
