"""Hops and flows are values."""

from ringback.protocol.routing.flow import Flow, Hop, format_address


def test_hops_are_equal_by_content():
    assert Hop("UDP", "192.0.2.1", 5060) == Hop("UDP", "192.0.2.1", 5060)
    assert len({Hop("UDP", "192.0.2.1", 5060), Hop("UDP", "192.0.2.1", 5060), Hop("TCP", "192.0.2.1", 5060)}) == 2
    assert Hop("UDP", "192.0.2.1", 5060) != "UDP"
    assert repr(Hop("UDP", "2001:db8::1", 5060)) == "Hop(UDP [2001:db8::1]:5060)"


def test_flows_are_equal_by_content():
    flow = Flow("TCP", ("192.0.2.2", 5060), ("192.0.2.1", 4000), 7)
    assert flow == Flow("TCP", ("192.0.2.2", 5060), ("192.0.2.1", 4000), 7)
    assert hash(flow) == hash(Flow("TCP", ("192.0.2.2", 5060), ("192.0.2.1", 4000), 7))
    assert flow != Flow("TCP", ("192.0.2.2", 5060), ("192.0.2.1", 4000), 8)
    assert flow.reliable
    assert not Flow("UDP", ("192.0.2.2", 5060), ("192.0.2.1", 4000)).reliable
    assert repr(flow) == "Flow(TCP 192.0.2.2:5060 -> 192.0.2.1:4000)"


def test_brackets_an_ipv6_host():
    assert format_address(("2001:db8::1", 5060)) == "[2001:db8::1]:5060"
