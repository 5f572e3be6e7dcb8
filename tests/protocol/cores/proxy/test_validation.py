"""Request validation (RFC 3261 §16.3), check by check and in order."""

import pytest

from ringback.protocol.cores.proxy.loop_detection import LoopDetection
from ringback.protocol.cores.proxy.policy import ProxyPolicy
from ringback.protocol.cores.proxy.validation import Refusal, addressed_here, check, incoming_breadth
from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.message.build import build_request
from ringback.protocol.routing.route import LocalNames

LOCAL = LocalNames(["example.test"], [("192.0.2.2", 5060)])
DETECTION = LoopDetection(b"secret", LOCAL)
POLICY = ProxyPolicy(b"secret", extensions=frozenset({"known"}))


def request(uri="sip:bob@example.test", *headers, method="INVITE", hops=70, via=(), **more):
    given = {"from_": "<sip:a@x.test>;tag=1", "to": "<sip:b@x.test>", "call_id": "c", "cseq": 1, **more}
    vias = [*via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa"]
    return build_request(method, uri, via=vias, max_forwards=hops, headers=headers, **given)


def refusal(message):
    return check(message, POLICY, DETECTION, DETECTION.hash_of(message))


def status(message):
    found = refusal(message)
    return None if found is None else found.status


def test_passes_an_ordinary_request():
    assert status(request()) is None


@pytest.mark.rfc("3261 16.3")
def test_passes_methods_and_headers_it_never_heard_of():
    assert status(request("sip:bob@example.test", ("X-New", "1"), method="FOO")) is None


@pytest.mark.row("PX-3", part="416")
@pytest.mark.parametrize("uri", ["tel:+15551234", "http://example.test/", "soap.beep://192.0.2.103:3002"])
def test_refuses_a_scheme_it_cannot_route(uri):
    assert status(request(uri)) == 416


@pytest.mark.row("TRN-5", part="Max-Forwards")
@pytest.mark.parametrize("method", ["INVITE", "BYE", "REGISTER", "FOO"])
def test_refuses_a_request_without_hops_left(method):
    assert status(request(hops=0, method=method)) == 483
    assert status(request(hops=1, method=method)) is None


@pytest.mark.row("OPT-4", part="Max-Forwards 0")
def test_an_options_out_of_hops_is_for_us_to_answer():
    message = request(hops=0, method="OPTIONS")
    assert status(message) is None
    assert addressed_here(message, LOCAL)


@pytest.mark.row("OPT-4", part="addressed to itself")
@pytest.mark.parametrize(
    ("uri", "method", "here"),
    [
        ("sip:example.test", "OPTIONS", True),
        ("sip:192.0.2.2", "OPTIONS", True),
        ("sip:bob@example.test", "OPTIONS", False),
        ("sip:far.test", "OPTIONS", False),
        ("sip:example.test", "INVITE", False),
    ],
)
def test_only_an_options_to_the_server_itself_is_answered_here(uri, method, here):
    assert addressed_here(request(uri, method=method), LOCAL) is here


def our_via(loop, host="192.0.2.2:5060"):
    return f"SIP/2.0/UDP {host};branch=z9hG4bKunique.{loop}"


@pytest.mark.row("TRN-5", part="loop")
@pytest.mark.rfc("5393 4.2.2")
def test_refuses_a_request_that_comes_back_unchanged():
    loop = DETECTION.hash_of(request())
    assert status(request(via=["SIP/2.0/UDP p2.test;branch=z9hG4bKb", our_via(loop)])) == 482


@pytest.mark.row("TRN-5", part="a spiral is no loop")
def test_passes_a_spiral():
    loop = DETECTION.hash_of(request("sip:hunt@example.test"))
    assert status(request("sip:bob@example.test", via=[our_via(loop)])) is None


def test_passes_a_via_that_copies_our_hash_under_another_name():
    loop = DETECTION.hash_of(request())
    assert status(request(via=[our_via(loop, "203.0.113.1")])) is None
    assert status(request(via=[f"SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKx;x=.{loop}y"])) is None


@pytest.mark.rfc("5393 4.2.1")
@pytest.mark.parametrize(
    "change",
    [
        {"call_id": "d"},
        {"cseq": 2},
        {"from_": "<sip:a@x.test>;tag=2"},
        {"to": "<sip:b@x.test>;tag=2"},
        {"headers": [("Route", "<sip:p.test;lr>")]},
        {"headers": [("Proxy-Require", "foo")]},
        {"headers": [("Proxy-Authorization", 'Digest realm="x"')]},
        {"uri": "sip:bob@example.test;x=1"},
    ],
)
def test_the_hash_follows_everything_that_routes(change):
    change = dict(change)
    changed = request(change.pop("uri", "sip:bob@example.test"), *change.pop("headers", ()), **change)
    assert DETECTION.hash_of(changed) != DETECTION.hash_of(request())


@pytest.mark.rfc("5393 4.2.1")
def test_the_hash_leaves_out_the_method_and_the_vias():
    other = request(method="CANCEL", via=["SIP/2.0/UDP p2.test;branch=z9hG4bKb"])
    assert DETECTION.hash_of(other) == DETECTION.hash_of(request())


def test_the_hash_takes_any_bytes():
    assert len(DETECTION.hash_of(request("sip:\udcff@example.test"))) == 8


@pytest.mark.row("TRN-5", part="Max-Breadth")
@pytest.mark.rfc("5393 5.3.3")
def test_refuses_a_request_without_breadth():
    assert status(request("sip:b@example.test", ("Max-Breadth", "0"))) == 440
    assert status(request("sip:b@example.test", ("Max-Breadth", "1"))) is None


def test_breadth_is_capped_and_defaulted():
    assert incoming_breadth(request(), 60) == 60
    assert incoming_breadth(request("sip:b@x.test", ("Max-Breadth", "7")), 60) == 7
    assert incoming_breadth(request("sip:b@x.test", ("Max-Breadth", "2000000000")), 60) == 60
    with pytest.raises(RemoteProtocolError):
        incoming_breadth(request("sip:b@x.test", ("Max-Breadth", "many")), 60)


@pytest.mark.row("PX-3", part="420")
@pytest.mark.rfc("3261 16.3")
def test_refuses_unknown_proxy_requirements_and_names_them():
    found = refusal(request("sip:b@example.test", ("Proxy-Require", "known, foo"), ("Proxy-Require", "Bar")))
    assert (found.status, found.headers) == (420, (("Unsupported", "foo, bar"),))
    assert status(request("sip:b@example.test", ("Proxy-Require", "Known"))) is None


@pytest.mark.rfc("3261 16.3")
def test_the_order_of_the_checks():
    worst = [("Max-Breadth", "0"), ("Proxy-Require", "foo")]
    bare = request("sip:b@example.test", *worst)
    looped = our_via(DETECTION.hash_of(bare))
    assert status(request("tel:1", *worst, hops=0)) == 416
    assert status(request("sip:b@example.test", *worst, hops=0, via=[looped])) == 483
    assert status(request("sip:b@example.test", *worst, via=[looped])) == 482
    assert status(bare) == 440
    assert status(request("sip:b@example.test", worst[1])) == 420


def test_a_refusal_shows_itself():
    assert repr(Refusal(483)) == "Refusal(483 ())"
