"""From a URI to hops by NAPTR, SRV, A and AAAA (RFC 3263), as questions and answers."""

from __future__ import annotations

import pytest

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.message.uri import Uri
from ringback.protocol.message.values import Via
from ringback.protocol.routing.flow import Hop
from ringback.protocol.routing.locate import (
    MOST_HOPS,
    MOST_SERVERS,
    MOST_SERVICES,
    Location,
    Question,
    Reach,
    RecordType,
    Stage,
)
from ringback.protocol.routing.records import Naptr, Srv

ALL = Reach(["UDP", "TCP", "TLS", "WS", "WSS"])
UDP_ONLY = Reach(["UDP"])

NAPTRS = [
    Naptr(50, 50, "s", "SIPS+D2T", "_sips._tcp.example.test"),
    Naptr(90, 50, "s", "SIP+D2T", "_sip._tcp.example.test"),
    Naptr(100, 50, "s", "SIP+D2U", "_sip._udp.example.test"),
]
ZONE = {
    ("example.test", "NAPTR"): NAPTRS,
    ("_sips._tcp.example.test", "SRV"): [Srv(0, 0, 5061, "secure.example.test")],
    ("_sip._tcp.example.test", "SRV"): [Srv(0, 0, 5060, "one.example.test")],
    ("_sip._udp.example.test", "SRV"): [Srv(10, 0, 5070, "two.example.test"), Srv(0, 0, 5060, "one.example.test")],
    ("secure.example.test", "A"): ["192.0.2.5"],
    ("one.example.test", "A"): ["192.0.2.1"],
    ("one.example.test", "AAAA"): ["2001:db8::1"],
    ("two.example.test", "A"): ["192.0.2.2"],
    ("example.test", "A"): ["192.0.2.9"],
}


def lowest(low, high):
    return low


def resolve(location, zone):
    """Answer from ``zone``: a list of records, or None there for a look-up that fails."""
    rounds = []
    while location.questions:
        rounds.append([f"{question.kind} {question.name}" for question in location.questions])
        location.answer([zone.get((question.name, str(question.kind)), []) for question in location.questions])
    assert len(rounds) <= 3
    return rounds


def locate(uri, zone=ZONE, reach=ALL, transport=None):
    location = Location.of_uri(Uri.parse(uri), reach, lowest, transport)
    resolve(location, zone)
    assert location.stage is Stage.DONE
    assert bool(location.hops) != bool(location.problem)
    return location.hops


@pytest.mark.rfc("3263 4.1")
@pytest.mark.row("TRN-3", part="NAPTR")
def test_services_are_used_in_the_order_of_the_domain():
    assert locate("sip:bob@example.test") == [
        Hop("TLS", "192.0.2.5", 5061, "example.test"),
        Hop("TCP", "192.0.2.1", 5060),
        Hop("TCP", "2001:db8::1", 5060),
        Hop("UDP", "192.0.2.1", 5060),
        Hop("UDP", "2001:db8::1", 5060),
        Hop("UDP", "192.0.2.2", 5070),
    ]


@pytest.mark.rfc("3263 4.1")
@pytest.mark.row("TRN-3", part="NAPTR")
def test_services_of_transports_that_we_lack_are_discarded():
    location = Location.of_uri(Uri.parse("sip:bob@example.test"), UDP_ONLY, lowest)
    assert resolve(location, ZONE) == [
        ["NAPTR example.test"],
        ["SRV _sip._udp.example.test"],
        [f"{kind} {name}.example.test" for name in ("one", "two") for kind in ("A", "AAAA")],
    ]
    assert {hop.transport for hop in location.hops} == {"UDP"}


@pytest.mark.rfc("3263 4.1")
@pytest.mark.row("TRN-7", part="no fall-back")
def test_a_sips_uri_is_never_led_away_from_tls():
    assert locate("sips:bob@example.test") == [Hop("TLS", "192.0.2.5", 5061, "example.test")]
    insecure = {**ZONE, ("example.test", "NAPTR"): NAPTRS[1:], ("_sips._tcp.example.test", "SRV"): []}
    assert locate("sips:bob@example.test", insecure) == [Hop("TLS", "192.0.2.9", 5061, "example.test")]
    assert locate("sips:bob@example.test", insecure, UDP_ONLY) == [Hop("TLS", "192.0.2.9", 5061, "example.test")]


@pytest.mark.rfc("3263 4.1")
def test_without_naptr_the_srv_records_of_each_transport_of_ours_are_asked_for():
    zone = {key: value for key, value in ZONE.items() if key[1] != "NAPTR"}
    location = Location.of_uri(Uri.parse("sip:bob@example.test"), ALL, lowest)
    assert resolve(location, zone)[1] == ["SRV _sip._udp.example.test", "SRV _sip._tcp.example.test"]
    assert [str(hop.transport) for hop in location.hops] == ["UDP", "UDP", "UDP", "TCP", "TCP"]
    secure = Location.of_uri(Uri.parse("sips:bob@example.test"), ALL, lowest)
    assert resolve(secure, zone)[1] == ["SRV _sips._tcp.example.test"]


@pytest.mark.rfc("3263 4.1", "3263 4.2")
@pytest.mark.parametrize(
    ("uri", "reach", "hop"),
    [
        ("sip:bob@plain.test", ALL, Hop("UDP", "192.0.2.7", 5060)),
        ("sips:bob@plain.test", ALL, Hop("TLS", "192.0.2.7", 5061, "plain.test")),
        ("sip:bob@plain.test", Reach(["TCP"]), Hop("TCP", "192.0.2.7", 5060)),
        ("sip:bob@plain.test", Reach(["TLS"]), Hop("TLS", "192.0.2.7", 5061, "plain.test")),
        ("sip:bob@plain.test", Reach(["WS"]), Hop("WS", "192.0.2.7", 80)),
    ],
)
def test_without_any_record_but_an_address_the_usual_transport_and_port_are_used(uri, reach, hop):
    assert locate(uri, {("plain.test", "A"): ["192.0.2.7"]}, reach) == [hop]


@pytest.mark.rfc("3263 4.2")
@pytest.mark.row("TRN-3", part="SRV")
@pytest.mark.parametrize(
    ("uri", "asked", "hop"),
    [
        ("sip:example.test;transport=tcp", "SRV _sip._tcp.example.test", Hop("TCP", "192.0.2.1", 5060)),
        (
            "sip:example.test;transport=tls",
            "SRV _sips._tcp.example.test",
            Hop("TLS", "192.0.2.5", 5061, "example.test"),
        ),
        (
            "sips:example.test;transport=tcp",
            "SRV _sips._tcp.example.test",
            Hop("TLS", "192.0.2.5", 5061, "example.test"),
        ),
        ("sip:example.test;transport=ws", "A example.test", Hop("WS", "192.0.2.9", 80)),
        ("sips:example.test;transport=ws", "A example.test", Hop("WSS", "192.0.2.9", 443, "example.test")),
        ("sip:example.test;transport=sctp", "A example.test", Hop("SCTP", "192.0.2.9", 5060)),
        ("sip:example.test:5080", "A example.test", Hop("UDP", "192.0.2.9", 5080)),
        ("sip:example.test:5080;transport=tcp", "A example.test", Hop("TCP", "192.0.2.9", 5080)),
        ("sips:example.test:5080", "A example.test", Hop("TLS", "192.0.2.9", 5080, "example.test")),
        ("sip:far.test:5080;maddr=example.test", "A example.test", Hop("UDP", "192.0.2.9", 5080)),
        ("sip:example.test.:5080", "A example.test", Hop("UDP", "192.0.2.9", 5080)),
    ],
)
def test_what_the_uri_says_is_not_asked_for(uri, asked, hop):
    location = Location.of_uri(Uri.parse(uri), ALL, lowest)
    assert resolve(location, ZONE)[0][0] == asked
    assert location.hops[0] == hop


@pytest.mark.rfc("3263 4")
@pytest.mark.parametrize(
    ("uri", "transport", "hop"),
    [
        ("sip:192.0.2.1", None, Hop("UDP", "192.0.2.1", 5060)),
        ("sip:[2001:db8::1]:5070", None, Hop("UDP", "2001:db8::1", 5070)),
        ("sips:192.0.2.1", None, Hop("TLS", "192.0.2.1", 5061)),
        ("sip:192.0.2.1", "TLS", Hop("TLS", "192.0.2.1", 5061)),
    ],
)
def test_a_numeric_host_needs_no_question(uri, transport, hop):
    location = Location.of_uri(Uri.parse(uri), ALL, lowest, transport)
    assert location.questions == []
    assert location.hops == [hop]


def test_a_numeric_host_is_reached_by_a_transport_of_ours():
    assert Location.of_uri(Uri.parse("sip:192.0.2.1"), Reach(["TCP"]), lowest).hops == [Hop("TCP", "192.0.2.1", 5060)]


def test_the_askers_transport_takes_the_place_of_a_choice():
    assert locate("sip:example.test", transport="TCP")[0] == Hop("TCP", "192.0.2.1", 5060)


@pytest.mark.rfc("3261 8.2.2.1")
@pytest.mark.row("PX-3", part="416")
def test_a_number_leads_to_no_host():
    with pytest.raises(RemoteProtocolError, match="tel") as refused:
        Location.of_uri(Uri.parse("tel:+12125551212"), ALL, lowest)
    assert refused.value.status == 416


@pytest.mark.rfc("3263 4.1")
@pytest.mark.parametrize(
    "record",
    [
        Naptr(1, 1, "u", "SIP+D2U", "_sip._udp.other.test"),
        Naptr(1, 1, "s", "SIP+D2U", "_sip._udp.other.test", "!.*!x!"),
        Naptr(1, 1, "s", "SIP+D2U", "."),
        Naptr(1, 1, "s", "SIP+D2X", "_sip._udp.other.test"),
        Naptr(1, 1, "s", "E2U+sip", "_sip._udp.other.test"),
        Srv(1, 1, 5060, "other.test"),
    ],
)
def test_naptr_records_of_other_purposes_count_as_none(record):
    zone = {
        ("example.test", "NAPTR"): [record],
        ("_sip._udp.example.test", "SRV"): [Srv(0, 0, 5062, "one.example.test")],
    }
    zone[("one.example.test", "A")] = ["192.0.2.1"]
    assert locate("sip:example.test", zone) == [Hop("UDP", "192.0.2.1", 5062)]


def test_names_and_letters_of_a_naptr_record_may_be_written_in_any_case():
    zone = {**ZONE, ("example.test", "NAPTR"): [Naptr(1, 1, "S", "sip+d2u", "_sip._udp.example.test.")] * 2}
    assert [hop.port for hop in locate("sip:example.test", zone, Reach(["UDP"], [4]))] == [5060, 5070]


@pytest.mark.rfc("2782")
def test_a_service_that_is_decidedly_not_there_is_not_looked_for_elsewhere():
    location = Location.of_uri(Uri.parse("sip:example.test;transport=tcp"), ALL, lowest)
    resolve(location, {**ZONE, ("_sip._tcp.example.test", "SRV"): [Srv(0, 0, 0, ".")]})
    assert location.hops == []
    assert location.problem == "example.test says that it has no such service"


def test_a_server_at_port_0_or_of_another_type_is_no_server():
    zone = {**ZONE, ("_sip._tcp.example.test", "SRV"): [Srv(0, 0, 0, "one.example.test"), "192.0.2.77"]}
    assert locate("sip:example.test;transport=tcp", zone) == [Hop("TCP", "192.0.2.9", 5060)]


@pytest.mark.rfc("3263 4.2")
def test_a_service_whose_servers_are_not_told_is_sought_at_the_name_itself_by_its_transport():
    zone = {("example.test", "NAPTR"): [NAPTRS[1]], ("example.test", "A"): ["192.0.2.9"]}
    assert locate("sip:example.test", zone) == [Hop("TCP", "192.0.2.9", 5060)]


@pytest.mark.threat("T10")
def test_look_ups_that_fail_count_as_no_records():
    zone = {("example.test", "NAPTR"): None, ("_sip._udp.example.test", "SRV"): None, ("example.test", "AAAA"): None}
    zone |= {("_sip._tcp.example.test", "SRV"): None, ("example.test", "A"): ["192.0.2.9"]}
    assert locate("sip:example.test", zone) == [Hop("UDP", "192.0.2.9", 5060)]
    location = Location.of_uri(Uri.parse("sip:example.test"), ALL, lowest)
    resolve(location, {})
    assert location.hops == []
    assert location.problem == "no address for example.test"


def test_families_that_we_lack_are_not_asked_for_and_the_others_come_in_our_order():
    assert locate("sip:one.example.test:5060", reach=Reach(["UDP"], [6])) == [Hop("UDP", "2001:db8::1", 5060)]
    hops = locate("sip:one.example.test:5060", reach=Reach(["UDP"], [6, 4]))
    assert [hop.host for hop in hops] == ["2001:db8::1", "192.0.2.1"]
    location = Location.of_uri(Uri.parse("sip:example.test:5060"), Reach([], []), lowest)
    assert (location.hops, location.problem) == ([], "no address family of ours")


@pytest.mark.threat("T10")
def test_however_many_records_there_are_the_hops_are_few():
    zone = {
        ("example.test", "NAPTR"): [Naptr(n, 0, "s", "SIP+D2U", f"_sip._udp.{n}.test") for n in range(1000)],
        **{
            (f"_sip._udp.{n}.test", "SRV"): [Srv(m, 1, 5060, f"{n}.{m}.test") for m in range(1000)] for n in range(1000)
        },
        **{(f"0.{m}.test", "A"): [f"192.0.2.{n}" for n in range(250)] for m in range(1000)},
    }
    location = Location.of_uri(Uri.parse("sip:example.test"), ALL, lowest)
    rounds = resolve(location, zone)
    assert len(rounds[1]) == MOST_SERVICES
    assert len(rounds[2]) == 2 * MOST_SERVERS
    assert len(location.hops) <= MOST_HOPS
    assert len(location.asked) == 1 + MOST_SERVICES + 2 * MOST_SERVERS


@pytest.mark.threat("T10")
def test_records_that_lead_back_to_themselves_end():
    zone = {
        ("loop.test", "NAPTR"): [Naptr(1, 1, "s", "SIP+D2U", "loop.test")],
        ("loop.test", "SRV"): [Srv(0, 0, 5060, "loop.test")] * 3,
    }
    location = Location.of_uri(Uri.parse("sip:loop.test"), ALL, lowest)
    assert len(resolve(location, zone)) == 3
    assert location.hops == []
    zone["loop.test", "A"] = ["192.0.2.1"]
    assert locate("sip:loop.test", zone) == [Hop("UDP", "192.0.2.1", 5060)]


@pytest.mark.rfc("3263 5")
@pytest.mark.parametrize(
    ("via", "hops"),
    [
        ("SIP/2.0/UDP 192.0.2.1:5070", [Hop("UDP", "192.0.2.1", 5070)]),
        ("SIP/2.0/TLS [2001:db8::1]", [Hop("TLS", "2001:db8::1", 5061)]),
        ("SIP/2.0/TCP one.example.test:5070", [Hop("TCP", "192.0.2.1", 5070), Hop("TCP", "2001:db8::1", 5070)]),
        ("SIP/2.0/TLS example.test", [Hop("TLS", "192.0.2.5", 5061, "example.test")]),
        ("SIP/2.0/UDP two.example.test", [Hop("UDP", "192.0.2.2", 5060)]),
    ],
)
def test_a_response_whose_way_is_gone_goes_where_sent_by_leads(via, hops):
    location = Location.of_via(Via.parse(via), ALL, lowest)
    resolve(location, ZONE)
    assert location.hops == hops


def test_a_question_is_its_name_and_type():
    question = Question("example.test", RecordType.SRV)
    assert question == Question("example.test", RecordType.SRV)
    assert question != Question("example.test", RecordType.A)
    assert question != "SRV example.test"
    assert len({question, Question("example.test", RecordType.SRV)}) == 1
    assert repr(question) == "Question(SRV example.test)"
