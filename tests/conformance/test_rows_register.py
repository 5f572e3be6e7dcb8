"""REG-1 to REG-5, REG-7 and REG-10: what the registrar does with bindings, and who may ask it to."""

from __future__ import annotations

import asyncio
import hashlib
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from ringback.protocol.message.model import Response
from ringback.testing.peer import ScriptedPeer
from tests.conformance.conftest import BOB, House, outcome
from tests.server.conftest import DOMAIN, PASSWORD, SERVER

HOME = f"sip:{DOMAIN}"


async def register(house: House, peer: ScriptedPeer, status: int, *headers: str, **fields: Any) -> Response:
    """Send a REGISTER of bob's."""
    return await house.ask(peer, status, "REGISTER", HOME, *headers, **({"from_": BOB, "to": BOB} | fields))


def listed(response: Response) -> dict[str, int | None]:
    """The contacts of a 200 and the seconds that they have left."""
    return {contact.uri_text: contact.expires for contact in response.contacts}


@pytest.mark.row("REG-1")
@pytest.mark.rfc("3261 10.1")
def test_a_binding_routes_requests_to_the_contact_for_as_long_as_it_lives(house: House) -> None:
    async def scenario() -> None:
        await house.start("alice", "bob")
        bob = await house.agent("bob", 2, password=PASSWORD)
        alice = await house.agent("alice", 3, password=PASSWORD)

        @bob.on_request("MESSAGE")
        async def _(incoming: object) -> None: ...

        assert (await alice.request("MESSAGE", BOB)).status == 480
        assert await bob.register(120) == 120
        assert (await alice.request("MESSAGE", BOB)).status == 200
        assert house.sent("MESSAGE", to=2)[0].uri_text == bob.uri
        await asyncio.sleep(1000.0)  # refreshed meanwhile
        assert (await alice.request("MESSAGE", BOB)).status == 200
        await bob.unregister()
        assert (await alice.request("MESSAGE", BOB)).status == 480
        await bob.register(120)
        house.world.partition("10.0.0.2", SERVER[0])
        await asyncio.sleep(130.0)
        assert (await alice.request("MESSAGE", BOB)).status == 480  # expired
        house.world.heal()
        await bob.unregister()

    house.run(scenario)


@pytest.mark.row("REG-2", "REG-5")
@pytest.mark.rfc("3261 10.3")
def test_bindings_are_added_refreshed_removed_and_listed_with_the_time_they_have_left(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        peer = house.peer(2)
        one, two, three = "sip:bob@10.0.0.2", "sip:bob@10.0.0.3", "sip:bob@10.0.0.4"
        answer = await register(
            house, peer, 200, f"Contact: <{one}>;expires=100, <{two}>", "Expires: 200", call_id="c", cseq=1
        )
        assert listed(answer) == {one: 100, two: 200}  # the contact's own beats the header
        date = parsedate_to_datetime(answer.get("date") or "")
        assert abs(date.timestamp() - house.server.stack.clock.now()) < 2.0
        await asyncio.sleep(60.0)
        answer = await register(house, peer, 200)  # a query
        assert listed(answer) == {one: 40, two: 140}
        assert answer.has("date")
        answer = await register(house, peer, 200, f"Contact: <{three}>", f"Contact: <{one}>", call_id="c", cseq=2)
        assert listed(answer) == {one: 3600, two: 140, three: 3600}  # the default
        answer = await register(house, peer, 200, f"Contact: <{one}>;expires=0", call_id="c", cseq=3)
        assert listed(answer) == {two: 140, three: 3600}
        answer = await register(house, peer, 200, f"Contact: <{three}>;expires=1000000", call_id="c", cseq=4)
        assert listed(answer) == {two: 140, three: 7200}  # the maximum
        await asyncio.sleep(141.0)
        assert listed(await register(house, peer, 200)) == {three: 7059}
        for headers in (
            ("Contact: *", "Expires: 10"),
            ("Contact: *",),
            (f"Contact: *, <{one}>", "Expires: 0"),
            ("Contact: *", f"Contact: <{one}>", "Expires: 0"),
        ):
            await register(house, peer, 400, *headers, call_id="c", cseq=5)
        assert listed(await register(house, peer, 200)) == {three: 7059}
        assert listed(await register(house, peer, 200, "Contact: *", "Expires: 0", call_id="c", cseq=6)) == {}

    house.run(scenario)


@pytest.mark.row("REG-2")
@pytest.mark.rfc("3261 10.3")
@pytest.mark.parametrize(
    ("minimum", "asked", "status"),
    [(60, 59, 423), (60, 60, 200), (60, 1, 423), (60, 0, 200), (7000, 3599, 423), (7000, 3600, 200), (0, 1, 200)],
)
def test_an_interval_is_too_brief_only_within_its_bounds(house: House, minimum: int, asked: int, status: int) -> None:
    async def scenario() -> None:
        await house.start(registrar={"min_expires": minimum, "default_expires": 7200})
        peer = house.peer(2)
        for headers in (
            (f"Contact: <sip:bob@10.0.0.2>;expires={asked}",),
            ("Contact: <sip:bob@10.0.0.2>", f"Expires: {asked}"),
        ):
            answer = await register(house, peer, status, *headers)
            assert answer.get("min-expires") == (str(minimum) if status == 423 else None)

    house.run(scenario)


@pytest.mark.row("REG-3")
@pytest.mark.rfc("3261 10.2")
def test_a_phone_has_one_register_out_with_one_call_id_and_rising_numbers(house: House) -> None:
    async def scenario() -> None:
        await house.start("bob")
        bob = await house.agent("bob", 2, password=PASSWORD)
        house.world.partition("10.0.0.2", SERVER[0])
        first = asyncio.ensure_future(outcome(bob.register(600)))
        await asyncio.sleep(5.0)
        second = asyncio.ensure_future(outcome(bob.register(300)))  # while the first has no answer
        await asyncio.sleep(5.0)
        assert len({request.cseq.number for request in house.sent("REGISTER")}) == 1
        house.world.heal()
        await first
        await second
        await asyncio.sleep(2000.0)
        await bob.unregister()

    house.run(scenario)
    sent = house.sent("REGISTER", source=2)
    assert len({request.call_id for request in sent}) == 1
    numbers = [request.cseq.number for request in sent]
    new = sorted(set(numbers))
    assert numbers == sorted(numbers)
    assert new == list(range(new[0], new[0] + len(new)))
    assert len(new) > 8  # challenged, refreshed, removed
    for number in new:  # each one is a new transaction
        assert len({request.top_via.branch for request in sent if request.cseq.number == number}) == 1
    assert len({request.top_via.branch for request in sent}) == len(new)


@pytest.mark.row("REG-3")
@pytest.mark.rfc("3261 10.3")
def test_a_register_that_comes_late_or_has_a_fault_changes_nothing_at_all(house: House) -> None:
    async def scenario() -> None:
        await house.start()
        peer = house.peer(2)
        one, two = "<sip:bob@10.0.0.2>", "<sip:bob@10.0.0.3>"
        await register(house, peer, 200, f"Contact: {one}", call_id="c", cseq=5)
        before = set(listed(await register(house, peer, 200)))
        for headers, number, status in (
            ((f"Contact: {two}, {one};expires=0",), 5, 500),
            ((f"Contact: {two}, {one}",), 4, 500),
            (("Contact: *", "Expires: 0"), 5, 500),
            ((f"Contact: {two}, {one};expires=5",), 6, 423),
            ((f"Contact: {two}, <sip:bob@127.0.0.1>",), 6, 403),
            ((f"Contact: {two}, {one};expires=0", "Require: teleport"), 6, 420),
            ((f"Contact: {two}", "Contact: <sip:[bad>"), 6, 400),
        ):
            await register(house, peer, status, *headers, call_id="c", cseq=number)
            assert set(listed(await register(house, peer, 200))) == before
        await register(house, peer, 200, f"Contact: {one};expires=0", call_id="another", cseq=1)  # no order to keep
        assert listed(await register(house, peer, 200)) == {}

    house.run(scenario)


@pytest.mark.row("REG-4")
@pytest.mark.rfc("3261 10.2")
def test_a_phone_registers_with_the_domain_for_its_address_of_record(house: House) -> None:
    async def scenario() -> None:
        await house.start("bob")
        await house.phone("bob", 2, password=PASSWORD)

    house.run(scenario)
    for request in house.sent("REGISTER"):
        assert (request.uri_text, request.uri.user) == (HOME, None)
        assert request.to.uri_text == request.from_.uri_text == BOB
        assert request.to_tag is None


@pytest.mark.row("REG-4")
@pytest.mark.rfc("3261 10.3")
def test_whose_address_of_record_it_is_decides(house: House) -> None:
    async def scenario() -> None:
        await house.start("alice", "bob")
        peer, far = house.peer(2), house.peer(3)
        contact = "Contact: <sip:bob@10.0.0.2>"

        async def as_user(user: str, status: int, to: str) -> None:
            await house.authenticated(peer, status, user, "REGISTER", HOME, contact, to=to, from_=BOB)

        for spelling in (BOB, "sip:%62ob@EXAMPLE.test;x=y", f"sip:bob@{SERVER[0]}:5060"):
            await as_user("bob", 200, spelling)
        assert set(house.server.store.bindings(BOB, 0.0)) != set()
        assert len(house.server.store.bindings(BOB, house.server.stack.clock.now())) == 1  # all the same one
        await as_user("alice", 403, BOB)
        await as_user("alice", 403, f"sip:carol@{DOMAIN}")
        await as_user("alice", 404, "sip:bob@other.test")
        uri = "sip:10.0.0.3"
        refused = await house.ask(peer, 407, "REGISTER", uri, contact, to="sip:bob@10.0.0.3", call_id="f")
        line = house.credentials(refused, "REGISTER", uri, "alice")
        house.send(peer, "REGISTER", uri, contact, line, to="sip:bob@10.0.0.3", call_id="f", cseq=2)
        got = await far.expect_request("REGISTER")  # a domain that is not ours is proxied on
        far.reply(got, 200)
        await peer.expect_response(200)

    house.run(scenario)
    assert not any(packet.data.startswith(b"SIP/2.0 6") for packet in house.world.trace)


@pytest.mark.row("REG-7")
@pytest.mark.rfc("3261 10.3")
@pytest.mark.parametrize("kind", ["application/sdp", "text/html", "multipart/mixed", "nonsense/x"])
def test_a_body_is_tolerated_and_ignored(house: House, kind: str) -> None:
    async def scenario() -> None:
        await house.start()
        peer = house.peer(2)
        header = f"Content-Type: {kind}"
        answer = await register(house, peer, 200, "Contact: <sip:bob@10.0.0.2>", header, body="x\nContact: *\n")
        assert list(listed(answer)) == ["sip:bob@10.0.0.2"]
        assert answer.body == b""

    house.run(scenario)


@pytest.mark.row("REG-10")
@pytest.mark.rfc("7616 3.3")
@pytest.mark.rfc("8760 2.4")
@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
def test_either_algorithm_is_good_with_qop_and_each_count_only_once(house: House, algorithm: str) -> None:
    async def scenario() -> None:
        await house.start("bob", auth={"nonce_lifetime": 100})
        peer = house.peer(2)
        contact = "Contact: <sip:bob@10.0.0.2>"
        challenged = await register(house, peer, 401, contact, call_id="c")
        values = challenged.get_all("www-authenticate")
        assert [("SHA-256" in value, "MD5" in value) for value in values] == [(True, False), (False, True)]
        assert all('qop="auth"' in value or 'qop="auth,auth-int"' in value for value in values)
        nonce = parameter(next(value for value in values if algorithm in value), "nonce")

        def line(count: int, *, method: str = "REGISTER", password: str = PASSWORD, used: str = nonce) -> str:
            return "Authorization: " + credentials(algorithm, used, count, method, password)

        await register(house, peer, 401, contact, line(1, password="wrong"), call_id="c", cseq=2)
        await register(house, peer, 401, contact, line(1, method="INVITE"), call_id="c", cseq=3)
        await register(house, peer, 200, contact, line(1), call_id="c", cseq=4)
        await register(house, peer, 401, contact, line(1), call_id="c", cseq=5)  # replayed
        await register(house, peer, 200, contact, line(2), call_id="c", cseq=6)
        await register(house, peer, 200, contact, line(9), call_id="c", cseq=7)
        made_up = await register(house, peer, 401, contact, line(1, used="0" * len(nonce)), call_id="c", cseq=8)
        assert made_up.has("www-authenticate")
        await asyncio.sleep(101.0)
        stale = await register(house, peer, 401, contact, line(10), call_id="c", cseq=9)
        assert all("stale=true" in value.lower() for value in stale.get_all("www-authenticate"))

    house.run(scenario)


def parameter(challenge: str, name: str) -> str:
    return challenge.partition(f'{name}="')[2].partition('"')[0]


def credentials(algorithm: str, nonce: str, count: int, method: str, password: str) -> str:
    """Digest by the book (RFC 7616 §3.4), not by the code under test."""
    digest = hashlib.sha256 if algorithm == "SHA-256" else hashlib.md5
    first = digest(f"bob:{DOMAIN}:{password}".encode()).hexdigest()
    second = digest(f"{method}:{HOME}".encode()).hexdigest()
    answer = digest(f"{first}:{nonce}:{count:08x}:cn:auth:{second}".encode()).hexdigest()
    return (
        f'Digest username="bob", realm="{DOMAIN}", nonce="{nonce}", uri="{HOME}", response="{answer}", '
        f'algorithm={algorithm}, cnonce="cn", qop=auth, nc={count:08x}'
    )


@pytest.mark.row("REG-10")
@pytest.mark.threat("T5")
def test_no_password_is_kept(house: House, tmp_path: Path) -> None:
    password = "cuckoo-clock-7"

    async def scenario() -> None:
        await house.start("bob", store=f"sqlite:{tmp_path / 'users.db'}")
        house.server.store.add_user("carol", DOMAIN, password)
        house.server.store.commit()
        await house.phone("carol", 2, password=password)

    house.run(scenario)
    files = list(tmp_path.iterdir())
    assert any(b"carol" in file.read_bytes() for file in files)
    assert not any(password.encode() in file.read_bytes() for file in files)
    assert not any(password.encode() in packet.data for packet in house.world.trace)
