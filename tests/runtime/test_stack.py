"""The stack: turns, the order in them, and what never stops them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ringback.errors import RemoteProtocolError, SipError, TransportError
from ringback.protocol.message.build import build_request, build_response
from ringback.protocol.message.model import Request
from ringback.protocol.message.uri import Uri
from ringback.protocol.routing.flow import Flow, Hop
from ringback.protocol.routing.locate import Locate
from ringback.protocol.transaction.events import (
    CancelReceived,
    RequestReceived,
    ResponseReceived,
    StrayResponse,
    TransactionTimedOut,
    TransportFailed,
)
from ringback.runtime import stack as module
from ringback.runtime.stack import Stack
from ringback.testing.peer import ScriptedPeer, as_datagram
from ringback.testing.virtual_time import EPOCH
from ringback.testing.world import World
from ringback.transport.coroutines import suspend

SERVER = "10.0.0.1"
PHONE = "10.0.0.2"
SERVER_ADDRESS = (SERVER, 5060)


class RecordingCore:
    """A core that keeps what it is given and says what it is told to say."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.said: list[Any] = []
        self.answers: list[tuple[int, list[Hop] | SipError, float]] = []
        self.deadline: float | None = None
        self.woken_at: list[float] = []
        self.broken = False

    def handle_event(self, event: Any, now: float) -> None:
        self.events.append(event)
        if self.broken:
            raise ValueError("a fault in the core")

    def handle_timers(self, now: float) -> None:
        self.woken_at.append(now)
        self.deadline = None
        if self.broken:
            raise ValueError("a fault in the core's timers")

    def next_deadline(self) -> float | None:
        return self.deadline

    def poll(self) -> list[Any]:
        said, self.said = self.said, []
        return said

    def located(self, token: int, answer: list[Hop] | SipError, now: float) -> None:
        self.answers.append((token, answer, now))

    def counts(self) -> dict[str, int]:
        return {"said": len(self.said)}

    def kinds(self) -> list[type]:
        return [type(event) for event in self.events]


def make_stack(world: World, **more: Any) -> tuple[Stack, RecordingCore]:
    """A listening stack at SERVER with one core, "core", that takes every request statefully."""
    stack = world.stack(world.host(SERVER), **more)
    core = RecordingCore()
    stack.add("core", core)
    world.run(stack.listen("UDP", SERVER, 5060))
    return stack, core


def answer_all(stack: Stack, status: int = 200) -> list[Request]:
    """Have the stack accept and answer every request but ACK; gives the list of requests."""
    seen: list[Request] = []

    def on_request(event: RequestReceived, now: float) -> None:
        seen.append(event.request)
        if event.request.method != "ACK":
            key = stack.layer.accept(event.request, event.flow, now, "core")
            stack.layer.respond(key, build_response(event.request, status, to_tag=stack.ids.tag()), now)

    stack.on_request = on_request
    return seen


def request_text(
    method: str = "OPTIONS", branch: str = "z9hG4bKa", cseq: int = 1, extra: str = "", tag: str = ""
) -> str:
    return f"""
        {method} sip:{SERVER} SIP/2.0
        Via: SIP/2.0/UDP {PHONE}:5060;branch={branch};rport
        Max-Forwards: 70
        From: <sip:alice@example.test>;tag=a1
        To: <sip:bob@example.test>{tag}
        Call-ID: c1
        CSeq: {cseq} {method}{extra}
        Content-Length: 0
        """


def outgoing(stack: Stack, method: str = "OPTIONS", host: str = PHONE) -> tuple[Request, Flow]:
    flow = stack.flow_to(Hop("UDP", host, 5060))
    request = build_request(
        method,
        f"sip:{host}",
        via=f"SIP/2.0/UDP {stack.sent_by(flow)};branch={stack.ids.branch()};rport",
        from_=f"<sip:server@example.test>;tag={stack.ids.tag()}",
        to="<sip:alice@example.test>",
        call_id=stack.ids.call_id(),
        cseq=1,
    )
    return request, flow


def send(world: World, stack: Stack, method: str = "OPTIONS", host: str = PHONE) -> tuple[str, str]:
    request, flow = outgoing(stack, method, host)

    async def go() -> tuple[str, str]:
        key = stack.layer.send_request(request, flow, stack.clock.now(), "core")
        stack.wake()
        return key

    return world.run(go())


def heard(peer: ScriptedPeer) -> list[str]:
    return [data.partition(b"\r\n")[0].decode() for data, _ in peer.received]


@pytest.mark.rfc("3581 4")
def test_a_request_is_stamped_and_answered_to_where_it_came_from(world: World) -> None:
    stack, _ = make_stack(world)
    answer_all(stack)
    peer = ScriptedPeer(world.host(PHONE), 5070)
    peer.send(request_text(), SERVER_ADDRESS)
    response = world.run(peer.expect_response(200))
    assert response.top_via.received == PHONE
    assert response.top_via.rport == "5070"
    assert (stack.received, stack.sent) == (1, 1)


def test_keepalives_are_taken_in_silence(world: World) -> None:
    stack, _ = make_stack(world)
    seen = answer_all(stack)
    peer = ScriptedPeer(world.host(PHONE))
    for data in (b"\r\n\r\n", b"\r\n", b""):
        peer.send(data, SERVER_ADDRESS)
    world.run(peer.silence(5))
    assert seen == []
    assert stack.refused == 0


@pytest.mark.rfc("3261 8.2.6.2")
def test_an_unusable_request_gets_400_with_a_warning_and_nothing_is_remembered(world: World) -> None:
    stack, _ = make_stack(world)
    seen = answer_all(stack)
    peer = ScriptedPeer(world.host(PHONE))
    peer.send(request_text().replace("CSeq: 1 OPTIONS", "CSeq: x OPTIONS"), SERVER_ADDRESS)
    response = world.run(peer.expect_response(400))
    assert "399 ringback" in (response.get("warning") or "")
    assert response.to_tag
    assert seen == []
    assert not any(stack.counts().values())
    assert stack.refused == 1


@pytest.mark.rfc("3581 4")
def test_an_unusable_request_is_answered_at_its_source_too(world: World) -> None:
    make_stack(world)
    peer = ScriptedPeer(world.host(PHONE), 5070)
    peer.send(request_text().replace("CSeq: 1 OPTIONS", "CSeq: x OPTIONS"), SERVER_ADDRESS)
    response = world.run(peer.expect_response(400))
    assert (response.top_via.received, response.top_via.rport) == (PHONE, "5070")


@pytest.mark.rfc("4475 3.1.2.1")
def test_a_request_whose_via_cannot_be_read_is_answered_where_it_came_from(world: World) -> None:
    make_stack(world)
    peer = ScriptedPeer(world.host(PHONE), 5070)
    peer.send(request_text().replace("Via: ", "Via: ;;;"), SERVER_ADDRESS)
    response = world.run(peer.expect_response(400))
    assert response.get_all("via")[0].startswith(";;;SIP/2.0/UDP")


def test_the_ack_to_a_stateless_answer_is_dropped_and_no_other(world: World) -> None:
    stack, _ = make_stack(world)
    seen: list[Request] = []

    def on_request(event: RequestReceived, now: float) -> None:
        seen.append(event.request)
        if event.request.method == "INVITE":
            tag = stack.stateless_tags.tag(event.request)
            stack.layer.reply_stateless(event.request, event.flow, build_response(event.request, 401, to_tag=tag))

    stack.on_request = on_request
    peer = ScriptedPeer(world.host(PHONE))
    peer.send(request_text("INVITE"), SERVER_ADDRESS)
    tag = world.run(peer.expect_response(401)).to_tag
    peer.send(request_text("ACK", tag=f";tag={tag}"))
    peer.send(request_text("ACK", tag=";tag=rbs-0000000000000000"))
    world.advance(1)
    assert [request.method for request in seen] == ["INVITE", "ACK"]
    assert seen[1].to_tag == "rbs-0000000000000000"


@pytest.mark.row("ACK-1", part="nothing answers an ACK")
@pytest.mark.parametrize(
    "data",
    [
        request_text("ACK").replace("CSeq: 1 ACK", "CSeq: x ACK"),
        "SIP/2.0 200 OK\nVia: nonsense\n",
        "hello",
        b"\x00\x01\x00\x08 stun",
        request_text().replace("Via: ", "X-Via: "),
    ],
    ids=["ack", "response", "no message", "binary", "no via"],
)
def test_what_cannot_be_answered_is_dropped(world: World, data: str | bytes) -> None:
    stack, _ = make_stack(world)
    peer = ScriptedPeer(world.host(PHONE))
    peer.send(data, SERVER_ADDRESS)
    world.run(peer.silence(5))
    assert stack.refused == 1


@pytest.mark.threat("T1")
def test_a_fault_before_a_transaction_is_answered_500_and_the_next_message_is_served(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    stack, _ = make_stack(world)
    seen = answer_all(stack)
    serve = stack.on_request

    def on_request(event: RequestReceived, now: float) -> None:
        if event.request.cseq.number == 1:
            raise ValueError("a fault of ours")
        serve(event, now)

    stack.on_request = on_request
    peer = ScriptedPeer(world.host(PHONE))
    peer.send(request_text(), SERVER_ADDRESS)
    peer.send(request_text(branch="z9hG4bKb", cseq=2), SERVER_ADDRESS)
    world.run(peer.expect(500))
    world.run(peer.expect(200))
    assert len(seen) == 1
    assert "a fault of ours" in caplog.text


def test_a_fault_after_accept_answers_the_transaction_500(world: World) -> None:
    stack, _ = make_stack(world)

    def on_request(event: RequestReceived, now: float) -> None:
        stack.layer.accept(event.request, event.flow, now, "core")
        raise ValueError("a fault of ours")

    stack.on_request = on_request
    peer = ScriptedPeer(world.host(PHONE))
    peer.send(request_text("INVITE"), SERVER_ADDRESS)
    tag = world.run(peer.expect_response(500)).to_tag
    peer.send(request_text("ACK", tag=f";tag={tag}"))
    world.run(peer.silence(1))


def test_a_rule_broken_in_a_part_read_late_is_answered_with_its_status(world: World) -> None:
    stack, _ = make_stack(world)

    def on_request(event: RequestReceived, now: float) -> None:
        stack.layer.accept(event.request, event.flow, now, "core")
        raise RemoteProtocolError("no such type of body", status=415)

    stack.on_request = on_request
    peer = ScriptedPeer(world.host(PHONE))
    peer.send(request_text(), SERVER_ADDRESS)
    world.run(peer.expect(415))


def test_a_fault_in_a_core_is_logged_and_the_turn_goes_on(world: World, caplog: pytest.LogCaptureFixture) -> None:
    stack, core = make_stack(world)
    core.broken = True
    peer = ScriptedPeer(world.host(PHONE))
    send(world, stack)
    peer.reply(world.run(peer.expect_request("OPTIONS")), 200)
    world.advance(1)
    core.deadline = world.clock.now() + 1
    stack.turn()
    world.advance(2)
    assert ResponseReceived in core.kinds()
    assert len(core.woken_at) == 1
    assert "a fault in the core" in caplog.text
    assert "a fault in the core's timers" in caplog.text


def test_nothing_leaves_before_before_send_was_called(world: World) -> None:
    stack, _ = make_stack(world)
    answer_all(stack)
    sent_by_then: list[int] = []
    stack.before_send = lambda: sent_by_then.append(stack.sent)
    peer = ScriptedPeer(world.host(PHONE))
    peer.send(request_text(), SERVER_ADDRESS)
    world.run(peer.expect(200))
    assert set(sent_by_then) == {0}


def test_answers_held_until_before_send_leave_in_the_same_turn(world: World) -> None:
    stack, _ = make_stack(world)
    held: list[tuple[Any, Request]] = []

    def on_request(event: RequestReceived, now: float) -> None:
        held.append((stack.layer.accept(event.request, event.flow, now, "core"), event.request))

    def commit() -> None:
        while held:
            key, request = held.pop()
            stack.layer.respond(key, build_response(request, 200, to_tag="t"), stack.clock.now())

    stack.on_request = on_request
    stack.before_send = commit
    peer = ScriptedPeer(world.host(PHONE))
    peer.send(request_text(), SERVER_ADDRESS)
    world.run(peer.expect(200))
    assert world.now == pytest.approx(0.020, abs=1e-6)


def test_what_comes_up_in_before_send_is_committed_too(world: World) -> None:
    stack, core = make_stack(world)
    calls: list[int] = []
    told: list[object] = []
    stack.add("shell", core, lambda notice, now: told.append(notice))

    def commit() -> None:
        calls.append(len(told))
        if len(calls) == 1:
            core.said.append("a notice that has something stored")

    stack.before_send = commit
    # two entries for one core: whichever polls first hands the notice on
    stack._shells.pop(0)
    stack.turn()
    assert calls == [0, 1]


def test_a_failing_commit_is_logged_and_the_turn_goes_on(world: World, caplog: pytest.LogCaptureFixture) -> None:
    stack, _ = make_stack(world)
    answer_all(stack)

    def commit() -> None:
        raise OSError("disk full")

    stack.before_send = commit
    peer = ScriptedPeer(world.host(PHONE))
    peer.send(request_text(), SERVER_ADDRESS)
    world.run(peer.expect(200))
    assert "disk full" in caplog.text


@pytest.mark.row("CAN-7", part="a CANCEL in the same batch as its INVITE")
def test_a_cancel_read_in_the_same_turn_as_its_invite_finds_it(world: World) -> None:
    stack, core = make_stack(world)

    def on_request(event: RequestReceived, now: float) -> None:
        assert event.request.method == "INVITE"
        stack.layer.accept(event.request, event.flow, now, "core")

    stack.on_request = on_request
    peer = ScriptedPeer(world.host(PHONE))
    peer.send(request_text("INVITE"), SERVER_ADDRESS)
    peer.send(request_text("CANCEL"), SERVER_ADDRESS)
    world.advance(0.1)
    assert core.kinds() == [CancelReceived]
    key = core.events[0].key
    stack.layer.respond(key, build_response(stack.layer.server_request(key), 487, to_tag="t"), stack.clock.now())
    stack.turn()
    world.advance(0.1)
    peer.send(request_text("ACK", tag=";tag=t"))


@pytest.mark.rfc("3261 17.1.1.2")
def test_an_invite_is_retransmitted_at_the_very_instants_of_timer_a_until_timer_b(world: World) -> None:
    stack, core = make_stack(world)
    world.host(PHONE)
    send(world, stack, "INVITE")
    world.advance(100)
    assert [packet.sent_at for packet in world.trace] == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert TransactionTimedOut in core.kinds()


def test_a_thousand_transactions_share_one_loop_timer(world: World) -> None:
    stack, _ = make_stack(world)
    world.host(PHONE)
    for _ in range(1000):
        request, flow = outgoing(stack)
        stack.layer.send_request(request, flow, stack.clock.now(), "core")
    stack.turn()
    assert len(world.loop._scheduled) <= 2
    with world.dropping(lambda packet: True):
        world.advance(100)


def test_deadlines_of_cores_are_met_and_an_earlier_one_takes_over_the_timer(world: World) -> None:
    stack, core = make_stack(world)
    core.deadline = EPOCH + 50
    stack.turn()
    world.advance(1)
    core.deadline = EPOCH + 10.25
    stack.turn()
    world.advance(100)
    assert core.woken_at == [EPOCH + 10.25]


def test_timers_are_rounded_up_to_the_wake_grid() -> None:
    with World() as world:
        stack, core = make_stack(world, wake_grid=0.125)
        core.deadline = EPOCH + 1.01
        stack.turn()
        world.advance(5)
        assert core.woken_at == [EPOCH + 1.125]


def test_a_timer_set_too_early_wakes_once_and_sets_the_next(world: World) -> None:
    stack, core = make_stack(world)
    core.deadline = EPOCH + 10
    stack.turn()
    core.deadline = EPOCH + 20
    world.advance(30)
    assert core.woken_at == [EPOCH + 20]


def test_wake_runs_one_turn_soon_however_often_it_is_called(world: World) -> None:
    stack, _ = make_stack(world)
    turns: list[float] = []
    stack.before_send = lambda: turns.append(world.now)

    async def go() -> None:
        for _ in range(5):
            stack.wake()
        assert turns == []
        await asyncio.sleep(0)

    world.run(go())
    assert len(turns) == 1


def test_a_turn_inside_a_turn_does_nothing(world: World) -> None:
    stack, _ = make_stack(world)
    depth: list[int] = []

    def commit() -> None:
        depth.append(1)
        stack.turn()
        stack.wake()

    stack.before_send = commit
    stack.turn()
    world.advance(1)
    assert depth == [1]


# sending


@pytest.mark.rfc("3261 18.4")
def test_a_port_that_icmp_says_is_closed_fails_the_transactions_that_sent_there() -> None:
    with World(icmp=True) as world:
        stack, core = make_stack(world)
        world.host(PHONE)
        ScriptedPeer(world.host("10.0.0.3"))
        key = send(world, stack)
        other = send(world, stack, host="10.0.0.3")
        world.advance(0.4)
        failures = [event for event in core.events if isinstance(event, TransportFailed)]
        assert [failure.key for failure in failures] == [key]
        assert "refused" in failures[0].text
        assert stack.layer.client_request(other) is not None
        world.check_quiet()


def test_a_message_the_system_refuses_to_send_fails_its_transaction(world: World) -> None:
    stack, core = make_stack(world)
    request, flow = outgoing(stack)
    request.set("Subject", "x" * 66000)
    stack.layer.send_request(request, flow, stack.clock.now(), "core")
    stack.turn()
    assert TransportFailed in core.kinds()
    assert stack.failed == 1


@pytest.mark.threat("T7")
def test_the_outbox_of_a_turn_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OUTBOX_LIMIT", 10)
    stack, _ = make_stack(world)
    world.host(PHONE)
    for _ in range(30):
        request, flow = outgoing(stack)
        stack.layer.send_stateless(request, flow)
    stack.turn()
    assert (stack.sent, stack.dropped) == (10, 20)


def test_a_response_that_matches_nothing_goes_to_the_composition_root(world: World) -> None:
    stack, _ = make_stack(world)
    strays: list[StrayResponse] = []
    stack.on_stray_response = lambda event, now: strays.append(event)
    peer = ScriptedPeer(world.host(PHONE))
    peer.send(request_text().replace(f"OPTIONS sip:{SERVER} SIP/2.0", "SIP/2.0 200 OK"), SERVER_ADDRESS)
    world.advance(1)
    assert [stray.response.status for stray in strays] == [200]


def test_an_observer_sees_every_message_in_order(world: World) -> None:
    seen: list[tuple[str, str, str, str, float]] = []

    class Watcher:
        def message(self, direction: str, data: bytes, transport: str, local: str, remote: str, now: float) -> None:
            seen.append((direction, data.split(b" ")[0].decode(), local, remote, now - EPOCH))

    stack, _ = make_stack(world, observer=Watcher())
    answer_all(stack)
    peer = ScriptedPeer(world.host(PHONE))
    peer.send(request_text(), SERVER_ADDRESS)
    world.run(peer.expect(200))
    path = (f"{SERVER}:5060", f"{PHONE}:5060", pytest.approx(0.01, abs=1e-6))
    assert seen == [("in", "OPTIONS", *path), ("out", "SIP/2.0", *path)]


# locating


def ask(world: World, stack: Stack, core: RecordingCore, uri: str, token: int = 7) -> Any:
    core.said.append(Locate("core", token, Uri.parse(uri)))
    stack.turn()
    world.advance(0.5)
    [(answered, answer, _)] = core.answers
    assert answered == token
    return answer


def test_a_name_is_answered_with_hops_in_the_same_turn(world: World) -> None:
    stack, core = make_stack(world)
    world.zone["example.test"] = ["10.0.0.7", "2001:db8::7", "10.0.0.8"]
    answer = ask(world, stack, core, "sip:bob@example.test")
    assert answer == [Hop("UDP", "10.0.0.7", 5060), Hop("UDP", "10.0.0.8", 5060)]
    assert core.answers[0][2] == EPOCH


def test_port_maddr_and_numeric_hosts_are_respected(world: World) -> None:
    stack, core = make_stack(world)
    world.zone["example.test"] = ["10.0.0.7"]
    assert ask(world, stack, core, "sip:bob@example.test:5070") == [Hop("UDP", "10.0.0.7", 5070)]
    core.answers.clear()
    assert ask(world, stack, core, "sip:bob@example.test;maddr=10.0.0.9") == [Hop("UDP", "10.0.0.9", 5060)]


@pytest.mark.parametrize(
    "uri", ["sip:nowhere.test", "sip:[2001:db8::9]", "sips:10.0.0.9", "sip:10.0.0.9;transport=tcp"]
)
def test_what_cannot_be_reached_is_answered_with_the_error(world: World, uri: str) -> None:
    stack, core = make_stack(world)
    assert isinstance(ask(world, stack, core, uri), TransportError)


class SlowResolver:
    """A resolver that takes a second, or fails after it."""

    async def addresses(self, host: str, family: int | None = None) -> list[str]:
        return [host]

    async def records(self, name: str, kind: str) -> list[str]:
        if kind != "A":
            return []
        await suspend()
        await asyncio.sleep(1)
        if name == "nowhere.test":
            raise TransportError("no such name")
        return ["10.0.0.7"]


def test_a_slow_answer_comes_later_and_begins_a_turn(world: World) -> None:
    host = world.host(SERVER)
    stack = Stack(network=host, resolver=SlowResolver(), clock=host.clock, ids=host.ids, wake_grid=0.0)
    core = RecordingCore()
    stack.add("core", core)
    turns: list[float] = []

    async def main() -> None:
        await stack.listen("UDP", SERVER, 5060)
        core.said += [
            Locate("core", 1, Uri.parse("sip:example.test")),
            Locate("core", 2, Uri.parse("sip:nowhere.test")),
        ]
        stack.turn()
        assert core.answers == []
        assert stack.counts()["locating"] == 2
        stack.before_send = lambda: turns.append(world.now)
        await asyncio.sleep(2)

    world.run(main())
    assert [(token, now) for token, _, now in core.answers] == [(1, EPOCH + 1), (2, EPOCH + 1)]
    assert isinstance(core.answers[1][1], TransportError)
    assert turns == [1.0]
    assert stack.counts()["locating"] == 0


class BrokenResolver:
    """A resolver with faults of its own: at once, later, and one that waits without saying so."""

    async def records(self, name: str, kind: str) -> list[str]:
        if name == "later.test":
            await suspend()
            await asyncio.sleep(1)
        if name == "careless.test":
            await asyncio.sleep(1)
        raise ValueError("a fault in the resolver")


@pytest.mark.parametrize("name", ["now.test", "later.test", "careless.test"])
def test_a_fault_in_the_resolver_is_an_answer_too(world: World, name: str, caplog: pytest.LogCaptureFixture) -> None:
    host = world.host(SERVER)
    stack = Stack(network=host, resolver=BrokenResolver(), clock=host.clock, ids=host.ids)
    core = RecordingCore()
    stack.add("core", core)

    async def main() -> None:
        core.said.append(Locate("core", 1, Uri.parse(f"sip:{name}")))
        stack.turn()
        await asyncio.sleep(2)

    world.run(main())
    [(token, answer, _)] = core.answers
    assert token == 1
    assert isinstance(answer, TransportError)
    assert "could not be resolved" in caplog.text


def test_closing_cancels_what_is_being_located(world: World) -> None:
    host = world.host(SERVER)
    stack = Stack(network=host, resolver=SlowResolver(), clock=host.clock, ids=host.ids)
    core = RecordingCore()
    stack.add("core", core)

    async def main() -> None:
        await stack.listen("UDP", SERVER, 5060)
        core.said.append(Locate("core", 1, Uri.parse("sip:example.test")))
        stack.turn()
        await asyncio.sleep(0)
        await stack.close()

    world.run(main())
    assert core.answers == []


# listening and closing


def test_listen_tells_the_address_and_sent_by_the_name_for_via(world: World) -> None:
    stack = world.stack(world.host(SERVER))

    async def main() -> None:
        address = await stack.listen("UDP", SERVER, 0, advertised=("203.0.113.5", 5060))
        assert address[0] == SERVER
        assert address[1] != 0
        assert [listener.local for listener in stack.listeners()] == [address]
        assert stack.sent_by(stack.flow_to(Hop("UDP", PHONE, 5060))) == "203.0.113.5:5060"

    world.run(main())


def test_a_name_of_this_machine_can_be_listened_on(world: World) -> None:
    world.zone["server.test"] = [SERVER]
    stack = world.stack(world.host(SERVER))
    assert world.run(stack.listen("UDP", "server.test", 5060)) == SERVER_ADDRESS


def test_a_closed_stack_sends_what_it_had_and_then_nothing(world: World) -> None:
    stack, _ = make_stack(world)
    peer = ScriptedPeer(world.host(PHONE))
    request, flow = outgoing(stack)
    stack.layer.send_stateless(request, flow)

    async def main() -> None:
        await stack.close()
        await stack.close()
        stack.wake()
        peer.send(request_text(), SERVER_ADDRESS)
        await asyncio.sleep(1)

    world.run(main())
    assert len(heard(peer)) == 1
    assert world.trace[-1].fate == "no port"


def test_counts_tell_of_the_layer_the_cores_and_the_stack(world: World) -> None:
    stack, core = make_stack(world)
    core.said.append("unsaid")
    counts = stack.counts()
    assert counts["core said"] == 1
    assert counts["outbox"] == 0
    core.poll()


def test_the_same_seed_gives_the_same_messages_to_the_byte() -> None:
    def once() -> list[bytes]:
        with World(5, loss=0.3, jitter=0.02) as world:
            stack, _ = make_stack(world)
            answer_all(stack)
            ScriptedPeer(world.host(PHONE))
            for _ in range(5):
                send(world, stack)
            world.advance(40)
            return [packet.data for packet in world.trace]

    assert once() == once()


# attacks


@pytest.mark.threat("T11")
@pytest.mark.parametrize(
    "data",
    [
        f"X sip:a SIP/2.0\nVia: SIP/2.0/UDP {PHONE}\n",
        f"INVITE sip:a SIP/2.0\nv:SIP/2.0/UDP {PHONE}\nf:a\nt:b\ni:c\n",
        request_text().replace("CSeq: 1 OPTIONS", "CSeq: 99999999999 OPTIONS"),
    ],
)
def test_an_unusable_request_draws_one_answer_little_larger_than_itself(world: World, data: str) -> None:
    make_stack(world)
    peer = ScriptedPeer(world.host(PHONE))
    peer.send(data, SERVER_ADDRESS)
    world.advance(200)
    assert len(peer.received) <= 1
    assert sum(len(answer) for answer, _ in peer.received) <= len(as_datagram(data)) + 300


@pytest.mark.threat("T7")
def test_a_flood_of_unusable_messages_leaves_nothing_behind(world: World) -> None:
    stack, _ = make_stack(world)
    for number in range(300):
        peer = ScriptedPeer(world.host(f"10.1.{number // 250}.{number % 250 + 1}"), 5060)
        peer.send(request_text(branch=f"z9hG4bK{number}").replace("Call-ID: c1", "Call-ID:"), SERVER_ADDRESS)
    world.advance(1)
    assert stack.refused == 300
    assert not any(stack.counts().values())


@pytest.mark.threat("T1")
def test_a_fault_in_the_core_while_receiving_is_logged_and_the_next_message_is_served(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, _ = make_stack(world)
    answer_all(stack)
    faults = iter([ValueError("a fault in the parser")])
    parse = module.parse_message

    def parse_with_a_fault(data: bytes) -> Any:
        for fault in faults:
            raise fault
        return parse(data)

    monkeypatch.setattr(module, "parse_message", parse_with_a_fault)
    peer = ScriptedPeer(world.host(PHONE))
    peer.send(request_text(), SERVER_ADDRESS)
    peer.send(request_text(branch="z9hG4bKb", cseq=2), SERVER_ADDRESS)
    world.run(peer.expect(200))
    assert "a fault in the parser" in caplog.text


def test_a_fault_after_the_answer_is_only_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    stack, _ = make_stack(world)
    answer_all(stack)
    serve = stack.on_request

    def on_request(event: RequestReceived, now: float) -> None:
        serve(event, now)
        raise ValueError("a fault of ours")

    stack.on_request = on_request
    peer = ScriptedPeer(world.host(PHONE))
    peer.send(request_text("INVITE"), SERVER_ADDRESS)
    tag = world.run(peer.expect_response(200)).to_tag
    peer.send(request_text("ACK", branch="z9hG4bKack", tag=f";tag={tag}"))
    world.advance(1)
    assert "a fault of ours" in caplog.text


def test_a_fault_in_the_shell_is_logged_and_the_turn_goes_on(world: World, caplog: pytest.LogCaptureFixture) -> None:
    stack = world.stack(world.host(SERVER))
    core = RecordingCore()
    told: list[object] = []

    def on_event(notice: object, now: float) -> None:
        told.append(notice)
        if notice == "first":
            raise ValueError("a fault in the shell")

    stack.add("core", core, on_event)
    core.said += ["first", "second"]
    stack.turn()
    assert told == ["first", "second"]
    assert "a fault in the shell" in caplog.text


def test_a_fault_in_the_layers_timers_is_logged_and_the_cores_timers_still_run(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    stack, core = make_stack(world)

    class BrokenLayer:
        has_events = False

        def next_deadline(self) -> float | None:
            return EPOCH if stack.clock.now() < EPOCH + 1 else None

        def handle_timers(self, now: float) -> None:
            raise ValueError("a fault in the layer")

        def poll(self) -> list[Any]:
            return []

        def counts(self) -> dict[str, int]:
            return {}

    stack.layer = BrokenLayer()
    core.deadline = EPOCH
    stack._handle_timers(EPOCH)
    assert core.woken_at == [EPOCH]
    assert "a fault in the layer" in caplog.text
