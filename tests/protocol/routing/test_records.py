"""DNS records in the order in which they are to be used (RFC 2782, RFC 3403 §4.1)."""

from collections import Counter
from random import Random

import pytest

from ringback.protocol.routing.records import Naptr, Srv, order_naptr, order_srv


@pytest.mark.rfc("3403 4.1")
@pytest.mark.row("TRN-3", part="NAPTR")
def test_naptr_records_go_by_order_and_then_by_preference():
    records = [
        Naptr(order, preference, "s", "", f"{order}.{preference}") for order, preference in ((2, 1), (1, 9), (1, 3))
    ]
    assert [record.replacement for record in order_naptr(records)] == ["1.3", "1.9", "2.1"]


@pytest.mark.rfc("2782")
@pytest.mark.row("TRN-3", part="SRV")
def test_srv_records_go_by_priority_whatever_their_weight():
    records = [Srv(20, 65535, 5060, "c"), Srv(10, 0, 5060, "b"), Srv(0, 1, 5060, "a")]
    assert [record.target for record in order_srv(records, Random(1).randint)] == ["a", "b", "c"]


@pytest.mark.rfc("2782")
@pytest.mark.row("TRN-3", part="weights")
def test_the_first_of_a_priority_is_drawn_in_proportion_to_the_weights():
    records = [Srv(0, 60, 5060, "heavy"), Srv(0, 20, 5060, "light"), Srv(0, 20, 5061, "other"), Srv(0, 0, 5060, "none")]
    draw = Random(7)
    first = Counter(order_srv(records, draw.randint)[0].target for _ in range(2000))
    assert 1100 < first["heavy"] < 1300
    assert 330 < first["light"] < 470
    assert 0 < first["none"] < 60  # a weight of 0 has a small chance, and not none


@pytest.mark.rfc("2782")
def test_records_that_all_weigh_nothing_are_all_there():
    records = [Srv(0, 0, 5060, name) for name in "abc"]
    assert sorted(record.target for record in order_srv(records, Random(1).randint)) == ["a", "b", "c"]
    assert order_srv([], Random(1).randint) == []


def test_records_read_as_in_a_zone_file():
    assert (
        str(Naptr(10, 50, "s", "SIP+D2U", "_sip._udp.example.test")) == '10 50 "s" "SIP+D2U" "" _sip._udp.example.test'
    )
    assert repr(Naptr(1, 2, "u", "E2U+sip", "", "!^.*$!x!")) == 'Naptr(1 2 "u" "E2U+sip" "!^.*$!x!" .)'
    assert repr(Srv(1, 2, 5060, "a.test")) == "Srv(1 2 5060 a.test)"
