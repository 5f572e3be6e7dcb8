"""The torture messages of RFC 4475 and RFC 5118 at the parser: parse, then the check at the door.

Where RFC 4475 leaves the choice between refusing and repairing, we refuse (lwsstart, trws, escruri, regbadct, badaspec,
baddn, badbranch): a repaired message is not the one that the next hop would see. Two faults are let through, as the
RFC prefers: a Date in another zone (baddate), and legacy requests without branch, From tag and Max-Forwards (inv2543).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.message.build import build_error
from ringback.protocol.message.model import Request, Response
from ringback.protocol.message.parser import parse_message, validate

# File -> None when it is accepted, the status of the refusal when it is a request, "discard" when it is a response.
RFC4475: dict[str, int | str | None] = {
    "badaspec": 400,
    "badbranch": 400,
    "baddate": None,
    "baddn": 400,
    "badinv01": 400,
    "badvers": 505,
    "bcast": None,
    "bext01": None,
    "bigcode": "discard",
    "clerr": 400,
    "cparam01": None,
    "cparam02": None,
    "dblreq": None,
    "esc01": None,
    "esc02": None,
    "escnull": None,
    "escruri": 400,
    "insuf": 400,
    "intmeth": None,
    "inv2543": None,
    "invut": None,
    "longreq": None,
    "ltgtruri": 400,
    "lwsdisp": None,
    "lwsruri": 400,
    "lwsstart": 400,
    "mcl01": 400,
    "mismatch01": 400,
    "mismatch02": 501,
    "mpart01": None,
    "multi01": 400,
    "ncl": 400,
    "noreason": None,
    "novelsc": None,
    "quotbal": 400,
    "regaut01": None,
    "regbadct": 400,
    "regescrt": None,
    "scalar02": 400,
    "scalarlg": "discard",
    "sdp01": None,
    "semiuri": None,
    "test": 400,
    "transports": None,
    "trws": 400,
    "unkscm": None,
    "unksm2": None,
    "unreason": None,
    "wsinv": None,
    "zeromf": None,
}

RFC5118: dict[str, int | None] = {
    "ipv4-mapped-ipv6": None,
    "ipv6-bad": 400,
    "ipv6-bug-abnf-3-colons": None,
    "ipv6-correct-abnf-2-colons": None,
    "ipv6-good": None,
    "ipv6-in-sdp": None,
    "mult-ip-in-header": None,
    "mult-ip-in-sdp": None,
    "port-ambiguous": None,
    "port-unambiguous": None,
    "via-received-param-no-delim": None,
    "via-received-param-with-delim": None,
}


def accept(data: bytes) -> Request | Response:
    message = parse_message(data)
    validate(message)
    return message


@pytest.fixture
def torture(corpora: Path):
    """The bytes of a file of RFC 4475 by its name."""
    return lambda name: (corpora / "rfc4475" / "dat" / f"{name}.dat").read_bytes()


@pytest.fixture
def ipv6(corpora: Path):
    """The bytes of a file of RFC 5118, as they go on the wire, by its name."""
    return lambda name: (corpora / "rfc5118" / "wire" / f"{name}.dat").read_bytes()


def check_verdict(data: bytes, verdict: int | str | None) -> None:
    if verdict is None:
        message = accept(data)
        # Untouched it leaves as it came; dblreq has a second message behind its end, which is dropped.
        assert data.startswith(message.to_bytes())
        assert len(message.to_bytes()) == len(data) or b"INVITE" in data[len(message.to_bytes()) :]
        return
    with pytest.raises(RemoteProtocolError) as caught:
        accept(data)
    error = caught.value
    if verdict == "discard":
        assert isinstance(error.message, Response)
        return
    assert error.status == verdict
    assert error.clause
    assert isinstance(error.message, Request)
    answer = parse_message(build_error(error, error.message, "tag").to_bytes())
    assert isinstance(answer, Response)
    assert answer.status == verdict
    assert (answer.get("warning") or "").startswith('399 ringback "')
    assert answer.get_all("via") == error.message.get_all("via")


@pytest.mark.rfc("4475")
@pytest.mark.parametrize(("name", "verdict"), RFC4475.items())
def test_rfc_4475_message_gets_its_verdict(torture, name: str, verdict: int | str | None):
    check_verdict(torture(name), verdict)


@pytest.mark.rfc("5118")
@pytest.mark.parametrize(("name", "verdict"), RFC5118.items())
def test_rfc_5118_message_gets_its_verdict(ipv6, name: str, verdict: int | None):
    check_verdict(ipv6(name), verdict)


def test_every_file_of_the_archives_has_a_verdict(corpora: Path):
    assert {path.stem for path in (corpora / "rfc4475" / "dat").glob("*.dat")} == set(RFC4475)
    assert {path.stem for path in (corpora / "rfc5118" / "wire").glob("*.dat")} == set(RFC5118)


@pytest.mark.rfc("5118")
def test_the_archive_of_rfc_5118_with_bare_line_feeds_is_refused(corpora: Path):
    for path in sorted((corpora / "rfc5118" / "archive").iterdir()):
        with pytest.raises(RemoteProtocolError) as caught:
            parse_message(path.read_bytes())
        assert caught.value.status == 400


@pytest.mark.rfc("4475 3.1.1.1")
def test_wsinv_is_read_through_its_folds_and_spaces(torture):
    request = accept(torture("wsinv"))
    assert isinstance(request, Request)
    assert (request.cseq.number, request.cseq.method) == (9, "INVITE")
    assert request.max_forwards == 68
    assert [via.branch for via in request.vias] == ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]
    assert [via.sent_by for via in request.vias] == ["192.0.2.2", "spindle.example.com", "192.168.255.111"]
    assert [via.transport for via in request.vias] == ["UDP", "TCP", "UDP"]
    assert request.get("subject") == ""
    assert request.to_tag == "1918181833n"
    assert request.from_tag == "98asjd8"
    assert request.from_.display == 'J Rosenberg \\"'
    (contact,) = request.contacts
    assert (contact.q, contact.display) == (0.33, 'Quoted string ""')
    assert contact.params == {"newparam": "newvalue", "secondparam": None, "q": "0.33"}
    assert request.get("newfangledheader") == "newfangled value continued newfangled value"
    assert request.routes[0].uri.params == {"lr": None, "unknownwith": "value", "unknown-no-value": None}
    request.remove("subject")
    assert b"\r\nUnknownHeaderWithUnusualValue: ;;,,;;,;\r\n" in request.to_bytes()


@pytest.mark.rfc("4475 3.1.1.2")
def test_intmeth_keeps_its_odd_characters(torture):
    request = accept(torture("intmeth"))
    assert isinstance(request, Request)
    assert request.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert request.to.display == "BEL:\x07 NUL:\0 DEL:\x7f"
    assert request.uri.host == "example.com"
    assert "%" in request.call_id


@pytest.mark.rfc("4475 3.1.1.3")
def test_esc01_is_unescaped_once(torture):
    request = accept(torture("esc01"))
    assert isinstance(request, Request)
    assert request.uri.user == "sips%3Auser%40example.com"
    assert request.uri.host == "example.net"
    contact = request.contacts[0].uri
    assert contact.lr
    assert contact.params["name"] == "value%41"
    assert contact.aor == "sip:caller@host5.example.net"


@pytest.mark.rfc("4475 3.1.1.4")
def test_escnull_does_not_end_a_user_at_nul(torture):
    request = accept(torture("escnull"))
    assert [contact.uri.aor for contact in request.contacts] == [
        "sip:%00@host5.example.com",
        "sip:%00%00@host5.example.com",
    ]
    assert request.to.uri.aor == "sip:null-%00-null@example.com"


@pytest.mark.rfc("4475 3.1.1.5")
def test_esc02_does_not_unescape_names_and_methods(torture):
    request = accept(torture("esc02"))
    assert isinstance(request, Request)
    assert request.method == "RE%47IST%45R"
    assert len(request.contacts) == 2
    assert request.get("C%6Fntact") == "<sip:alias2@host2.example.com>"
    assert request.to.display == "%Z%45"


@pytest.mark.rfc("4475 3.1.1.7")
def test_longreq_is_read_whole(torture):
    request = accept(torture("longreq"))
    assert len(request.vias) == 34
    assert len(request.from_tag or "") == 155


@pytest.mark.rfc("4475 3.1.1.9")
def test_semiuri_has_a_user_with_a_semicolon(torture):
    request = accept(torture("semiuri"))
    assert isinstance(request, Request)
    assert request.uri.user == "user;par=u%40example.net"
    assert request.uri.params == {}


@pytest.mark.rfc("4475 3.1.1.12")
def test_unreason_keeps_a_reason_in_any_script(torture):
    response = accept(torture("unreason"))
    assert isinstance(response, Response)
    assert response.reason.startswith("= 2**3 * 5**2 но сто")


@pytest.mark.rfc("4475 3.1.2.4")
def test_scalar02_numbers_that_are_too_large_count_as_absent_or_default(torture):
    request = parse_message(torture("scalar02"))
    assert request.max_forwards is None
    assert request.expires == 3600


@pytest.mark.rfc("4475 3.3.12")
def test_a_contact_parameter_is_the_headers_without_brackets_and_the_uris_within(torture):
    outside = accept(torture("cparam01")).contacts[0]
    assert outside.params == {"unknownparam": None}
    assert outside.uri.params == {}
    within = accept(torture("cparam02")).contacts[0]
    assert within.params == {}
    assert within.uri.params == {"unknownparam": None}


@pytest.mark.rfc("5118 4.10")
def test_three_colons_in_an_ipv6_reference_are_read_as_two(ipv6):
    request = accept(ipv6("ipv6-bug-abnf-3-colons"))
    assert isinstance(request, Request)
    assert request.uri.host == "[2001:db8:::192.0.2.1]"
    assert request.uri.ip == "2001:db8::192.0.2.1"
    assert request.uri.host_is_ip


@pytest.mark.rfc("5118 4.3")
def test_a_port_within_the_brackets_is_part_of_the_address(ipv6):
    uri = accept(ipv6("port-ambiguous")).uri
    assert (uri.host, uri.port) == ("[2001:db8::10:5070]", None)
    uri = accept(ipv6("port-unambiguous")).uri
    assert (uri.host, uri.port) == ("[2001:db8::10]", 5070)


@pytest.mark.rfc("5118 4.5")
def test_received_is_read_with_brackets_and_without(ipv6):
    assert accept(ipv6("via-received-param-with-delim")).top_via.received == "[2001:db8::9:255]"
    assert accept(ipv6("via-received-param-no-delim")).top_via.received == "2001:db8::9:255"
