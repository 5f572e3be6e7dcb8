"""What a REGISTER does to bindings and how it is answered (RFC 3261 §10.3)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.protocol.cores.registrar import (
    Outcome,
    Policy,
    address_of_record,
    check_owner,
    http_date,
    process,
    reaches_outward,
)
from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.message.build import build_request
from ringback.protocol.message.model import Request
from ringback.protocol.message.parser import parse_message
from ringback.protocol.message.uri import Uri
from ringback.protocol.registration.binding import Binding, ChangeKind
from ringback.protocol.routing.flow import Flow

NOW = 1_800_000_000.0
FLOW = Flow("UDP", ("192.0.2.1", 5060), ("198.51.100.7", 40000))
HOUSE = Path(__file__).resolve().parents[3]


def register(
    *contacts: str,
    expires: int | str | None = None,
    cseq: int = 1,
    call_id: str = "one",
    to: str = "<sip:bob@example.test>",
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
) -> Request:
    more = [("contact", contact) for contact in contacts]
    if expires is not None:
        more.append(("expires", str(expires)))
    return build_request(
        "REGISTER",
        "sip:example.test",
        via="SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1",
        from_="<sip:bob@example.test>;tag=1",
        to=to,
        call_id=call_id,
        cseq=cseq,
        headers=[*more, *headers],
        body=body,
    )


def run(request: Request, bindings: Sequence[Binding] = (), now: float = NOW, **policy: Any) -> Outcome:
    outcome = process(request, list(bindings), Policy(**policy), now, FLOW)
    if outcome.status != 200:
        assert outcome.changes == []
        assert outcome.bindings == []
    return outcome


def registered(*contacts: str, **more: Any) -> list[Binding]:
    outcome = run(register(*contacts, **more))
    assert outcome.status == 200
    return outcome.bindings


def headers(outcome: Outcome, name: str) -> list[str]:
    return [value for key, value in outcome.headers if key == name]


# Adding, refreshing, removing, asking


@pytest.mark.row("REG-1", part="registrar")
@pytest.mark.row("REG-2")
def test_adds_a_binding_with_all_that_routing_will_need() -> None:
    [binding] = registered(
        'Bob <sip:bob@198.51.100.7:40000;ob>;q=0.5;+sip.instance="<urn:uuid:1>";reg-id=2;unknown',
        expires=600,
        cseq=7,
        headers=[("user-agent", "phone " * 100), ("supported", "path"), ("path", "<sip:p1;lr>, <sip:p2;lr>")],
    )
    assert binding == Binding(
        aor="sip:bob@example.test",
        uri="sip:bob@198.51.100.7:40000;ob",
        params=';q=0.5;+sip.instance="<urn:uuid:1>";reg-id=2;unknown',
        q=0.5,
        expires_at=NOW + 600,
        call_id="one",
        cseq=7,
        instance="<urn:uuid:1>",
        reg_id=2,
        path=["<sip:p1;lr>", "<sip:p2;lr>"],
        received="UDP 192.0.2.1:5060 198.51.100.7:40000 0",
        user_agent=("phone " * 100)[:128],
        registered_at=NOW,
    )


@pytest.mark.row("REG-2")
def test_refreshes_a_binding_that_is_there() -> None:
    before = registered("<sip:b@h>", cseq=1)
    outcome = run(register("<sip:b@h>", cseq=2, expires=120), before, NOW + 10)
    [change] = outcome.changes
    assert (change.kind, change.replaced) == (ChangeKind.UPDATE, before[0])
    assert [it.expires_at for it in outcome.bindings] == [NOW + 130]


@pytest.mark.row("REG-2")
@pytest.mark.rfc("3261 19.1.4")
@pytest.mark.parametrize(
    ("stored", "given", "same"),
    [
        ("sip:b@h.test", "sip:b@H.TEST", True),
        ("sip:b%6f@h", "sip:bo@h", True),
        ("sip:b@h;x=1", "sip:b@h", True),
        ("sip:b@h;transport=TCP", "sip:b@h;transport=tcp", True),
        ("sip:B@h", "sip:b@h", False),
        ("sip:b@h:5060", "sip:b@h", False),
        ("sip:b@h;transport=udp", "sip:b@h", False),
        ("sip:%00@h", "sip:%00%00@h", False),
        ("sips:b@h", "sip:b@h", False),
        ("tel:+1", "tel:+1", True),
    ],
)
def test_compares_contacts_as_uris(stored: str, given: str, same: bool) -> None:
    before = registered(f"<{stored}>")
    outcome = run(register(f"<{given}>", cseq=2), before)
    assert [it.uri for it in outcome.bindings] == ([given] if same else [stored, given])


def test_a_contact_written_alike_is_preferred_to_one_that_is_equal() -> None:
    before = registered("<sip:b@h;x=1>", "<sip:b@h;x=2>", "<sip:b@h:5070>")
    outcome = run(register("<sip:b@h;x=2>;expires=0", cseq=2), before)
    assert [it.uri for it in outcome.bindings] == ["sip:b@h;x=1", "sip:b@h:5070"]


@pytest.mark.row("REG-2")
def test_removes_one_and_says_so_by_listing_the_rest() -> None:
    before = registered("<sip:1@h>", "<sip:2@h>")
    outcome = run(register("<sip:1@h>;expires=0", cseq=2), before)
    assert [(it.kind, it.binding.uri) for it in outcome.changes] == [("remove", "sip:1@h")]
    assert headers(outcome, "contact") == ["<sip:2@h>;expires=3600"]


@pytest.mark.row("REG-2")
def test_removing_what_is_not_there_is_no_fault() -> None:
    outcome = run(register("<sip:1@h>", expires=0))
    assert (outcome.status, outcome.changes, outcome.bindings) == (200, [], [])


@pytest.mark.row("REG-2")
@pytest.mark.rfc("3261 10.2.2")
def test_a_star_removes_all_whoever_registered_them() -> None:
    before = [*registered("<sip:1@h>"), *registered("<sip:2@h>", call_id="two", cseq=99)]
    outcome = run(register("*", expires=0, cseq=2), before)
    assert (outcome.status, outcome.bindings, len(outcome.changes)) == (200, [], 2)
    assert headers(outcome, "contact") == []


@pytest.mark.row("REG-2")
@pytest.mark.rfc("3261 10.3")
@pytest.mark.parametrize(
    ("contacts", "expires"),
    [
        (["*"], None),
        (["*"], 1),
        (["*"], "abc"),
        (["*", "<sip:1@h>"], 0),
        (["<sip:1@h>", "*"], 0),
        (["*, <sip:1@h>"], 0),
        (["*", "*"], 0),
    ],
)
def test_a_star_with_anything_else_is_a_bad_request(contacts: list[str], expires: int | str | None) -> None:
    before = registered("<sip:1@h>")
    assert run(register(*contacts, expires=expires, cseq=2), before).status == 400


@pytest.mark.row("REG-2")
@pytest.mark.row("REG-5")
def test_a_query_changes_nothing_and_lists_all() -> None:
    before = registered("<sip:1@h>;q=0.3", "<sip:2@h>")
    outcome = run(register(cseq=1), before, NOW + 100.5)
    assert outcome.changes == []
    assert headers(outcome, "contact") == ["<sip:1@h>;q=0.3;expires=3500", "<sip:2@h>;expires=3500"]
    assert headers(outcome, "date") == ["Fri, 15 Jan 2027 08:01:40 GMT"]


@pytest.mark.row("REG-5")
def test_expired_bindings_are_neither_listed_nor_matched() -> None:
    before = registered("<sip:1@h>", cseq=5)
    assert run(register(), before, NOW + 3600).bindings == []
    outcome = run(register("<sip:1@h>", cseq=1), before, NOW + 3600)
    assert [it.kind for it in outcome.changes] == ["add"]


# Intervals


@pytest.mark.row("REG-2")
@pytest.mark.rfc("3261 10.3")
@pytest.mark.parametrize(
    ("contact", "expires", "granted"),
    [
        ("<sip:1@h>", None, 3600),
        ("<sip:1@h>", 100, 100),
        ("<sip:1@h>;expires=200", 100, 200),
        ("<sip:1@h>;expires=200", None, 200),
        ("<sip:1@h>;expires", 100, 100),
        ("<sip:1@h>;expires=7201", None, 7200),
        ("<sip:1@h>", 4294967295, 7200),
        ("<sip:1@h>", 4294967296, 3600),
        ("<sip:1@h>;expires=280297596632815", 10**100, 3600),
        ("<sip:1@h>", "soon", 3600),
        ("<sip:1@h>;expires=60", None, 60),
    ],
)
def test_grants_the_interval_asked_for_within_bounds(contact: str, expires: int | str | None, granted: int) -> None:
    outcome = run(register(contact, expires=expires))
    assert headers(outcome, "contact") == [f"<sip:1@h>;expires={granted}"]


@pytest.mark.row("REG-2")
@pytest.mark.rfc("3261 10.2.8")
def test_refuses_an_interval_that_is_too_brief_and_names_the_least() -> None:
    outcome = run(register("<sip:1@h>", "<sip:2@h>;expires=59"), minimum_expires=60)
    assert (outcome.status, headers(outcome, "min-expires")) == (423, ["60"])


@pytest.mark.row("REG-2")
@pytest.mark.rfc("3261 10.3")
@pytest.mark.parametrize(("asked", "status"), [(0, 200), (1, 423), (3599, 423), (3600, 200), (7100, 200)])
def test_an_hour_is_never_too_brief(asked: int, status: int) -> None:
    outcome = run(register("<sip:1@h>", expires=asked), minimum_expires=7000, maximum_expires=9000)
    assert outcome.status == status


# Order and wholeness


@pytest.mark.row("REG-3")
@pytest.mark.rfc("3261 10.3")
@pytest.mark.parametrize("cseq", [5, 4, 1])
@pytest.mark.parametrize("contact", ["<sip:1@h>", "<sip:1@h>;expires=0", "*"])
def test_a_request_that_comes_late_changes_nothing(contact: str, cseq: int) -> None:
    before = registered("<sip:1@h>", cseq=5)
    assert run(register(contact, expires=0 if contact == "*" else None, cseq=cseq), before).status == 500


@pytest.mark.row("REG-3")
def test_another_call_id_may_have_any_cseq() -> None:
    before = registered("<sip:1@h>", cseq=5)
    [binding] = run(register("<sip:1@h>", cseq=1, call_id="two"), before).bindings
    assert (binding.call_id, binding.cseq) == ("two", 1)
    assert run(register("*", expires=0, cseq=1, call_id="two"), before).bindings == []


@pytest.mark.row("REG-3")
@pytest.mark.parametrize(
    "bad", ["<sip:2@h>;expires=5", "<sip:2@h>;q=7", "<sip:@h>", "<sip:old@h>", "<sip:2@127.0.0.1>"]
)
def test_all_contacts_are_applied_or_none(bad: str) -> None:
    before = registered("<sip:old@h>", cseq=9)
    assert run(register("<sip:1@h>", bad, "<sip:3@h>", cseq=9), before).status in (400, 403, 423, 500)


def test_a_contact_listed_twice_counts_the_last_time() -> None:
    assert [it.q for it in registered("<sip:1@h>;q=0.1", "<sip:1@H>;q=0.2")] == [0.2]
    assert registered("<sip:1@h>", "<sip:1@h>;expires=0") == []
    before = registered("<sip:1@h>")
    assert [it.cseq for it in run(register("<sip:1@h>;expires=0", "<sip:1@h>", cseq=2), before).bindings] == [2]


# Whose


@pytest.mark.row("REG-4")
@pytest.mark.rfc("3261 10.3")
@pytest.mark.parametrize(
    ("to", "aor"),
    [
        ("<sip:bob@example.test>", "sip:bob@example.test"),
        ('"B" <sip:bob:secret@EXAMPLE.test:5060;user=phone>;tag=1', "sip:bob@example.test"),
        ("sip:b%6Fb@example.test", "sip:bob@example.test"),
        ("<sip:null-%00-null@example.test>", "sip:null-%00-null@example.test"),
    ],
)
def test_the_aor_is_the_canonical_to(to: str, aor: str) -> None:
    assert address_of_record(register(to=to)) == aor
    assert registered("<sip:1@h>", to=to)[0].aor == aor


@pytest.mark.row("REG-4")
@pytest.mark.parametrize("to", ["isbn:2983792873", "<tel:+1>", "<sip:example.test>", "<sip:@example.test>", "bob"])
def test_a_to_that_is_no_sip_address_is_a_bad_request(to: str) -> None:
    assert run(register("<sip:1@h>", to=to)).status == 400
    with pytest.raises(RemoteProtocolError) as caught:
        address_of_record(register(to=to))
    assert caught.value.status == 400


@pytest.mark.row("REG-4")
def test_an_aor_of_nobody_is_not_found() -> None:
    assert process(register("<sip:1@h>"), [], Policy(), NOW, FLOW, known=False).status == 404


def test_the_shell_may_know_the_aor_by_another_domain() -> None:
    outcome = process(register("<sip:1@h>"), [], Policy(), NOW, FLOW, aor="sip:bob@main.test")
    assert [it.aor for it in outcome.bindings] == ["sip:bob@main.test"]


@pytest.mark.row("REG-4")
@pytest.mark.threat("T15")
@pytest.mark.parametrize(
    ("aor", "username", "domain", "allowed"),
    [
        ("sip:bob@example.test", "bob", "example.test", True),
        ("sips:bob@example.test", "bob", "Example.TEST", True),
        ("sip:b%20b@example.test", "b b", "example.test", True),
        ("sip:bob@example.test", "Bob", "example.test", False),
        ("sip:alice@example.test", "bob", "example.test", False),
        ("sip:bob@other.test", "bob", "example.test", False),
        ("sip:bob@example.test:5070", "bob", "example.test", False),
    ],
)
def test_a_user_changes_only_its_own_bindings(aor: str, username: str, domain: str, allowed: bool) -> None:
    outcome = check_owner(aor, username, domain)
    assert (outcome is None) is allowed
    assert outcome is None or outcome.status == 403


@pytest.mark.rfc("3261 8.2.2.3")
def test_refuses_extensions_that_it_lacks() -> None:
    outcome = run(register("<sip:1@h>", headers=[("require", "path, gruu, New")]))
    assert (outcome.status, headers(outcome, "unsupported")) == (420, ["gruu, new"])


@pytest.mark.row("REG-7")
def test_a_body_is_tolerated_and_ignored() -> None:
    request = register("<sip:1@h>", headers=[("content-type", "application/unknownformat")], body=b"<>")
    assert run(request).status == 200


# Path


@pytest.mark.row("REG-6", part="Path is stored and copied")
@pytest.mark.rfc("3327 5.3")
@pytest.mark.parametrize("how", ["supported", "require"])
def test_a_path_is_kept_and_copied_to_the_200(how: str) -> None:
    request = register(
        "<sip:1@h>", headers=[(how, "path"), ("path", "<sip:p1;lr>"), ("path", "<sip:p2;lr;x>,<sip:p3>")]
    )
    outcome = run(request)
    assert outcome.bindings[0].path == ["<sip:p1;lr>", "<sip:p2;lr;x>", "<sip:p3>"]
    assert headers(outcome, "path") == ["<sip:p1;lr>", "<sip:p2;lr;x>,<sip:p3>"]


@pytest.mark.row("REG-6", part="Path without support")
@pytest.mark.rfc("3327 5.3")
def test_a_path_that_the_client_does_not_know_of_is_refused_unless_the_policy_says_otherwise() -> None:
    request = register("<sip:1@h>", headers=[("path", "<sip:p1;lr>")])
    outcome = run(request)
    assert (outcome.status, headers(outcome, "unsupported")) == (420, ["path"])
    assert run(request, path_unasked=True).bindings[0].path == ["<sip:p1;lr>"]


@pytest.mark.parametrize("path", ["<tel:+1>", "<sip:@>", "<sip:a", f"<sip:{'p' * 2100};lr>"])
def test_a_path_that_cannot_be_a_route_is_a_bad_request(path: str) -> None:
    assert run(register("<sip:1@h>", headers=[("supported", "path"), ("path", path)])).status == 400


# Limits


@pytest.mark.row("REG-2")
@pytest.mark.threat("T7")
def test_an_aor_has_no_more_contacts_than_allowed() -> None:
    before = registered(*[f"<sip:{n}@h>" for n in range(3)])
    assert run(register("<sip:new@h>", cseq=2), before, maximum_contacts=3).status == 403
    assert run(register("<sip:new@h>", "<sip:0@h>;expires=0", cseq=2), before, maximum_contacts=3).status == 200
    assert run(register("<sip:0@h>", cseq=2), before, maximum_contacts=3).status == 200


def test_a_limit_that_was_lowered_refuses_no_refresh_and_no_removal() -> None:
    before = registered(*[f"<sip:{n}@h>" for n in range(3)])
    assert run(register("<sip:0@h>", cseq=2), before, maximum_contacts=1).status == 200
    assert run(register("<sip:0@h>;expires=0", cseq=2), before, maximum_contacts=1).status == 200
    assert run(register(), before, maximum_contacts=1).status == 200


@pytest.mark.threat("T3")
def test_a_register_lists_no_more_contacts_than_allowed() -> None:
    assert run(register(*[f"<sip:{n}@h>;expires=0" for n in range(20)])).status == 200
    assert run(register(*[f"<sip:{n}@h>;expires=0" for n in range(21)])).status == 403


@pytest.mark.threat("T3")
def test_a_contact_is_not_longer_than_a_datagram_can_list_ten_of() -> None:
    assert run(register(f"<sip:{'u' * 1000}@h>")).status == 200
    assert run(register(f"<sip:{'u' * 1100}@h>")).status == 400
    assert run(register(f"<sip:u@h>;x={'u' * 1100}")).status == 400


@pytest.mark.threat("T15")
@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("198.51.100.7", ""),
        ("phone.example.test", ""),
        ("[2001:db8::7]", ""),
        ("10.0.0.1", ""),
        ("127.0.0.1", "loopback"),
        ("127.9.9.9", "loopback"),
        ("localhost", "loopback"),
        ("LocalHost.", "loopback"),
        ("x.localhost", "loopback"),
        ("[::1]", "loopback"),
        ("phone.example.test;maddr=127.0.0.1", "loopback"),
        ("localhost;maddr=[::1]", "loopback"),
        ("198.51.100.7;maddr=169.254.169.254", "link-local"),
        ("198.51.100.7;maddr=198.51.100.8", ""),
        ("127.0.0.1;maddr=169.254.169.254", "both"),
        ("phone.example.test;maddr=a:b", "other"),
        ("phone.example.test;maddr=[]", ""),
        ("[::ffff:127.0.0.1]", "loopback"),
        ("169.254.169.254", "link-local"),
        ("[fe80::1]", "link-local"),
        ("0.0.0.0", "other"),
        ("[::]", "other"),
        ("224.0.1.75", "other"),
        ("[ff02::1]", "other"),
        ("[::ffff:010.0.0.1]", "other"),
        ("255.255.255.255", "other"),
        ("127.1", "other"),
        ("2130706433", "other"),
        ("0x7f000001", "other"),
        ("0177.0.0.1", "other"),
        ("010.0.0.1", "other"),
    ],
)
def test_a_contact_reaches_into_the_servers_own_network_only_from_there(host: str, kind: str) -> None:
    uri = Uri.parse(f"sip:b@{host}")
    sources = {"": "198.51.100.7", "loopback": "127.0.0.1", "link-local": "169.254.1.1"}
    for source_kind, source in sources.items():
        flow = Flow("UDP", ("192.0.2.1", 5060), (source, 40000))
        assert reaches_outward(uri, flow) is (not kind or kind == source_kind)
        outcome = process(register(f"<sip:b@{host}>"), [], Policy(), NOW, flow)
        assert outcome.status == (200 if reaches_outward(uri, flow) else 403)
    assert reaches_outward(uri, None) is (not kind)
    assert reaches_outward(Uri.parse("mailto:b@localhost"), FLOW)


@pytest.mark.threat("T15")
def test_a_path_reaches_into_the_servers_own_network_only_from_there() -> None:
    for first, status in (("127.0.0.1;lr", 403), ("h;maddr=[::1];lr", 403), ("edge.example.test;lr", 200)):
        path = f"<sip:{first}>, <sip:127.0.0.1;lr>"  # the second value is the first one's business
        assert run(register("<sip:b@h>", headers=(("Path", path), ("Supported", "path")))).status == status


def test_the_operator_may_judge_contacts_otherwise() -> None:
    assert run(register("<sip:b@127.0.0.1>"), allows=lambda uri, flow: True).status == 200
    assert run(register("<sip:b@h>"), allows=lambda uri, flow: uri.host != "h").status == 403


@pytest.mark.threat("T1")
@pytest.mark.parametrize("reg_id", ["0x1", "2147483648", "1" * 5000, "-1", "\u0663"])
def test_a_reg_id_that_is_no_number_is_a_bad_request(reg_id: str) -> None:
    assert run(register(f"<sip:b@h>;reg-id={reg_id}")).status == 400


LINES = st.text(st.characters(exclude_characters="\r\n\0"), max_size=30)
CONTACTS = st.one_of(
    LINES,
    st.just("*"),
    LINES.map(lambda text: f"<sip:b@h>;expires={text}"),
    LINES.map(lambda text: f"<sip:b@{text}>;q=0.5"),
    LINES.map(lambda text: f"<{text}>"),
)


@pytest.mark.row("REG-4")
@pytest.mark.threat("T1")
@given(
    contacts=st.lists(CONTACTS, max_size=3),
    expires=st.none() | LINES,
    to=st.just("<sip:bob@example.test>") | LINES,
    path=st.none() | LINES,
    cseq=LINES,
)
def test_whatever_a_register_holds_it_is_answered_and_never_by_6xx(
    contacts: list[str], expires: str | None, to: str, path: str | None, cseq: str
) -> None:
    request = register(
        *contacts, expires=expires, to=to, headers=[("supported", "path")] + [("path", path)] * bool(path)
    )
    request.set("cseq", cseq)
    outcome = run(request)
    assert outcome.status in (200, 400, 403, 423, 500)
    parse_message(outcome.response(request, "tag").to_bytes())


# The answer


@pytest.mark.row("REG-4")
def test_a_refusal_tells_a_person_why_and_is_never_a_6xx() -> None:
    outcome = run(register("*", expires=1))
    [warning] = headers(outcome, "warning")
    assert warning == '399 ringback "Contact: * goes with Expires: 0 (RFC 3261 §10.3 step 6)"'
    response = outcome.response(register("*", expires=1), "tag1")
    assert (response.status, response.reason, response.to_tag) == (400, "Bad Request", "tag1")


@pytest.mark.row("REG-5")
def test_the_response_lists_each_contact_on_a_line_of_its_own() -> None:
    request = register("<sip:1@h>, <sip:2@h>")
    response = run(request).response(request, "tag1")
    again = parse_message(response.to_bytes())
    assert [str(it) for it in again.contacts] == ["<sip:1@h>;expires=3600", "<sip:2@h>;expires=3600"]
    assert repr(run(request)) == "Outcome(200, [Change(add sip:1@h), Change(add sip:2@h)])"
    assert again.get("date") == "Fri, 15 Jan 2027 08:00:00 GMT"


@pytest.mark.rfc("3261 20.17")
@pytest.mark.parametrize(
    ("second", "text"),
    [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (4_102_444_799, "Thu, 31 Dec 2099 23:59:59 GMT"),
    ],
)
def test_writes_a_date(second: int, text: str) -> None:
    assert http_date(second) == text


# Messages of RFC 4475


@pytest.fixture(scope="module")
def torture() -> Path:
    folder = Path(os.environ.get("RINGBACK_CORPORA") or HOUSE.parent / "shared" / "corpora") / "rfc4475" / "dat"
    if not folder.is_dir():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"no corpora at {folder}")
    return folder


def torture_outcome(folder: Path, name: str) -> Outcome:
    try:
        message = parse_message((folder / f"{name}.dat").read_bytes())
    except RemoteProtocolError as error:
        return Outcome(error.status, [])
    assert isinstance(message, Request)
    return run(message)


@pytest.mark.row("REG-2")
@pytest.mark.parametrize(
    ("name", "contacts"),
    [
        ("escnull", ["<sip:%00@host5.example.com>;expires=3600", "<sip:%00%00@host5.example.com>;expires=3600"]),
        ("cparam01", ["<sip:+19725552222@gw1.example.net>;unknownparam;expires=3600"]),
        ("cparam02", ["<sip:+19725552222@gw1.example.net;unknownparam>;expires=3600"]),
        ("regescrt", ["<sip:user@example.com?Route=%3Csip:sip.example.com%3E>;expires=3600"]),
        ("dblreq", ["<sip:j.user@host.example.com>;expires=3600"]),
        ("regaut01", []),
    ],
)
def test_registers_what_rfc_4475_calls_valid(torture: Path, name: str, contacts: list[str]) -> None:
    outcome = torture_outcome(torture, name)
    assert (outcome.status, headers(outcome, "contact")) == (200, contacts)


@pytest.mark.parametrize("name", ["scalar02", "regbadct", "unksm2"])
def test_refuses_what_rfc_4475_calls_invalid(torture: Path, name: str) -> None:
    assert torture_outcome(torture, name).status == 400
