"""Dialog state from two messages and nothing else (RFC 3261 §12)."""

from __future__ import annotations

import pytest

from ringback.protocol.dialog.identity import of_request, of_response
from ringback.protocol.dialog.state import (
    Dialog,
    addressing,
    as_uac,
    as_uas,
    confirm,
    in_order,
    next_sequence,
    received,
    refresh,
)
from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.message.build import build_request, build_response
from ringback.protocol.message.model import Request, Response

ROUTES = [("Record-Route", "<sip:p2.example.net;lr>, <sip:p1.example.com;lr;x=1>;y=2")]


def invite(
    uri: str = "sip:bob@example.net", *, from_: str = "Alice <sip:alice@example.com>;tag=al", **parts: object
) -> Request:
    headers = parts.pop("headers", [("Contact", "<sip:alice@192.0.2.1>")])
    return build_request(
        "INVITE",
        uri,
        via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx",
        from_=from_,
        to="<sip:bob@example.net>",
        call_id="c1",
        cseq=7,
        headers=headers,
    )


def answer(request: Request, status: int = 200, *, tag: str = "bo", headers: object = ()) -> Response:
    return build_response(request, status, to_tag=tag, headers=headers)


CONTACT = ("Contact", "<sip:bob@192.0.2.2;transport=udp>")


@pytest.mark.row("DLG-1")
@pytest.mark.rfc("3261 12.1.2")
def test_caller_takes_the_route_set_reversed_and_the_contact_as_target() -> None:
    dialog = as_uac(invite(), answer(invite(), headers=[*ROUTES, CONTACT]))
    assert dialog.id == ("c1", "al", "bo")
    assert dialog.call_id == "c1"
    assert dialog.route_set == ["<sip:p1.example.com;lr;x=1>", "<sip:p2.example.net;lr>"]
    assert dialog.remote_target == "sip:bob@192.0.2.2;transport=udp"
    assert (dialog.local_sequence, dialog.remote_sequence) == (7, None)
    assert dialog.local == "Alice <sip:alice@example.com>;tag=al"
    assert dialog.remote == "<sip:bob@example.net>;tag=bo"
    assert dialog.confirmed
    assert not dialog.secure


@pytest.mark.rfc("3261 12.1.1")
def test_callee_takes_the_route_set_in_order_and_the_other_ends_as_its_own() -> None:
    dialog = as_uas(invite(headers=[*ROUTES, ("Contact", "<sip:alice@192.0.2.1>")]), "bo")
    assert dialog.id == ("c1", "bo", "al")
    assert dialog.route_set == ["<sip:p2.example.net;lr>", "<sip:p1.example.com;lr;x=1>"]
    assert dialog.remote_target == "sip:alice@192.0.2.1"
    assert (dialog.local_sequence, dialog.remote_sequence) == (None, 7)
    assert dialog.local == "<sip:bob@example.net>;tag=bo"
    assert dialog.remote == "Alice <sip:alice@example.com>;tag=al"
    assert not dialog.confirmed


def test_provisional_response_makes_an_early_dialog() -> None:
    assert not as_uac(invite(), answer(invite(), 180, headers=[CONTACT])).confirmed


def test_sips_request_makes_a_secure_dialog() -> None:
    assert as_uas(invite("sips:bob@example.net"), "bo").secure
    assert as_uac(invite("sips:bob@example.net"), answer(invite(), headers=[CONTACT])).secure


def test_missing_contact_leaves_the_place_that_is_known() -> None:
    assert as_uac(invite(), answer(invite())).remote_target == "sip:bob@example.net"
    assert as_uas(invite(headers=[]), "bo").remote_target == "sip:alice@example.com"


@pytest.mark.rfc("3261 12.1.1")
def test_missing_from_tag_counts_as_empty() -> None:
    request = invite(from_="<sip:alice@example.com>")
    assert as_uas(request, "bo").id == ("c1", "bo", "")
    assert of_request(request) == ("c1", "", "")


def test_missing_to_tag_counts_as_empty() -> None:
    assert of_response(build_response(invite(), 200)) == ("c1", "al", "")


def test_unreadable_record_route_is_the_peers_error() -> None:
    with pytest.raises(RemoteProtocolError):
        as_uas(invite(headers=[("Record-Route", "<sip:p1")]), "bo")


@pytest.mark.rfc("3261 13.2.2.4")
def test_2xx_computes_the_route_set_of_an_early_dialog_anew() -> None:
    dialog = as_uac(invite(), answer(invite(), 180, headers=[*ROUTES, CONTACT]))
    confirm(dialog, answer(invite(), headers=[("Record-Route", "<sip:p3;lr>"), ("Contact", "<sip:bob@192.0.2.9>")]))
    assert dialog.confirmed
    assert dialog.route_set == ["<sip:p3;lr>"]
    assert dialog.remote_target == "sip:bob@192.0.2.9"


@pytest.mark.row("DLG-1")
@pytest.mark.rfc("3261 12.2.1.2")
def test_target_refresh_changes_the_target_and_never_the_route_set() -> None:
    dialog = as_uac(invite(), answer(invite(), headers=[*ROUTES, CONTACT]))
    before = list(dialog.route_set)
    refresh(dialog, invite(headers=[("Contact", "<sip:bob@192.0.2.7>"), ("Record-Route", "<sip:evil;lr>")]))
    assert dialog.remote_target == "sip:bob@192.0.2.7"
    assert dialog.route_set == before
    refresh(dialog, invite(headers=[]))
    assert dialog.remote_target == "sip:bob@192.0.2.7"


def dialog_with(routes: list[str]) -> Dialog:
    dialog = as_uac(invite(), answer(invite(), headers=[CONTACT]))
    dialog.route_set = routes
    return dialog


@pytest.mark.row("DLG-1")
@pytest.mark.rfc("3261 12.2.2")
def test_lower_number_is_out_of_order_and_gaps_are_not() -> None:
    dialog = dialog_with([])
    assert in_order(dialog, 4)
    received(dialog, 4)
    assert not in_order(dialog, 3)
    assert in_order(dialog, 4)
    assert in_order(dialog, 900)


@pytest.mark.row("DLG-1")
@pytest.mark.rfc("3261 12.2.1.1")
def test_our_numbers_grow_by_one_from_the_invites() -> None:
    dialog = dialog_with([])
    assert [next_sequence(dialog, 50), next_sequence(dialog, 50)] == [8, 9]
    callee = as_uas(invite(), "bo")
    assert [next_sequence(callee, 50), next_sequence(callee, 50)] == [50, 51]


TARGET = "sip:user@remoteua"


@pytest.mark.rfc("3261 12.2.1.1")
def test_without_routes_a_request_goes_to_the_target() -> None:
    assert addressing(TARGET, []) == (TARGET, [], TARGET)


@pytest.mark.rfc("3261 12.2.1.1")
def test_loose_router_leaves_the_target_in_the_request_uri() -> None:
    routes = ["<sip:p1;lr>", "<sip:p2>"]
    assert addressing(TARGET, routes) == (TARGET, routes, "sip:p1;lr")


@pytest.mark.rfc("3261 12.2.1.1")
def test_strict_router_takes_the_request_uri_and_the_target_goes_last() -> None:
    routes = ["<sip:bob@proxy1:5070;method=INVITE;transport=udp?Subject=x>", "<sip:proxy2>", "<sip:proxy3;lr>"]
    uri, route, next_hop = addressing(TARGET, routes)
    assert uri == "sip:bob@proxy1:5070;transport=udp"
    assert route == ["<sip:proxy2>", "<sip:proxy3;lr>", "<sip:user@remoteua>"]
    assert next_hop == uri


@pytest.mark.parametrize("route", ["sip:p1:99999", "tel:+49301"])
def test_route_that_leads_nowhere_is_the_next_hop_all_the_same(route: str) -> None:
    assert addressing(TARGET, [f"<{route}>"]) == (TARGET, [f"<{route}>"], route)
