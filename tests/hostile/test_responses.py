"""A callee that answers with hostile responses: the caller gets only what is in order, and every call ends."""

from __future__ import annotations

import asyncio

import pytest

from ringback.protocol.message.model import Request, Response
from ringback.protocol.message.parser import parse_message, validate
from ringback.testing.fixtures import pytest_runtest_makereport, world
from ringback.testing.world import World
from ringback.transport.network import DatagramEndpoint
from tests.hostile.cases import INVITE, Case, crossed, elements, render
from tests.hostile.range import ATTACKER, PHONE, Range

__all__ = ["pytest_runtest_makereport", "world"]

ANSWER = (
    "{{version-name:SIP}}/{{version-number:2.0}} {{status:486}} {{reason:Busy Here}}\r\n"
    "[via]{{via-tail:}}\r\n"
    "[vias]\r\n"
    "From: {{from-display:}}[from]{{from-tail:}}\r\n"
    "To: {{to-display:}}[to];tag={{to-tag:t}}{{to-tail:}}\r\n"
    "Call-ID: {{call-id:[call-id]}}\r\n"
    "CSeq: {{cseq-number:1}} {{cseq-method:INVITE}}\r\n"
    "Contact: {{contact-display:}}<{{contact-uri:sip:bob@10.0.0.8}}>{{contact-tail:}}\r\n"
    "Record-Route: <{{route-uri:sip:10.0.0.1;lr}}>{{route-tail:}}\r\n"
    "Retry-After: {{retry-after:5}}\r\n"
    'Proxy-Authenticate: {{scheme:Digest}} realm={{realm:"x"}}, nonce={{nonce:"y"}}{{credentials-tail:}}\r\n'
    "{{header:Subject: x}}\r\n"
    "Content-Length: {{content-length:0}}\r\n\r\n"
)


class Callee:
    """Takes the phone's place and answers the next INVITE with what it is given."""

    def __init__(self, target: Range) -> None:
        self.target = target
        self.template = b""
        target._phone.close()
        self.endpoint = target.world.host(PHONE[0]).bind(*PHONE, self.answer)

    def answer(self, endpoint: DatagramEndpoint) -> None:
        for data, source in endpoint.receive(1 << 20):
            message = parse_message(data)
            if isinstance(message, Request) and message.method == "INVITE":
                via, *vias = message.get_all("via")
                values = {
                    b"[via]": f"Via: {via}",
                    b"[vias]": "\r\n".join([f"Via: {value}" for value in vias]),
                    b"[from]": message.get("from"),
                    b"[to]": message.get("to"),
                    b"[call-id]": message.call_id,
                }
                data = self.template
                for mark, value in values.items():
                    data = data.replace(mark, (value or "").encode("utf-8", "surrogateescape"))
                if len(data) < 65507:
                    endpoint.send(data, source)


@pytest.mark.threat("T1")
@pytest.mark.threat("T4")
@pytest.mark.parametrize("status", ["486", "200", "302", "407", "183"])
@pytest.mark.parametrize("element", list(elements(ANSWER)))
def test_a_hostile_answer_is_passed_on_in_order_or_not_at_all(
    world: World, caplog: pytest.LogCaptureFixture, element: str, status: str
) -> None:
    target = Range(world, caplog)

    async def scenario() -> None:
        await target.start()
        callee = Callee(target)
        for number, case in enumerate(
            crossed(ANSWER.replace("{{status:486}}", f"{{{{status:{status}}}}}"), 0, (element,)), 1
        ):
            if number % (2 if status == "486" else 12):
                continue
            callee.template = case.data
            invite = render(INVITE, 7_000_000 + number)
            for packet in await target.fire(Case(case.name, invite)):
                if packet.destination == ATTACKER:
                    message = parse_message(packet.data)
                    if element != "via-tail":
                        validate(message)  # what the callee wrote between the Vias is for their owners to judge
                    assert isinstance(message, Response), case.name
                    assert message.has("via"), case.name
                    assert "x-injected" not in message.names or b"\r\nX-Injected" in case.data
                else:
                    assert packet.destination == PHONE, case.name
        callee.template = b""
        await asyncio.sleep(300)

    world.run(scenario())
    world.check_quiet()
    world.run(target.server.close())
