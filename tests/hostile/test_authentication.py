"""Method by credential against the running server (THREATS T5): only right ones get anything."""

from __future__ import annotations

import asyncio
import re

import pytest

from ringback.protocol.auth.digest import read_challenges, respond
from ringback.protocol.message.parser import parse_message
from ringback.testing.fixtures import pytest_runtest_makereport, world
from ringback.testing.world import World
from tests.hostile.cases import Case
from tests.hostile.range import DOMAIN, PASSWORD, Range

__all__ = ["pytest_runtest_makereport", "world"]

USERS = ("alice", "bob")
METHODS = (
    "INVITE",
    "OPTIONS",
    "MESSAGE",
    "SUBSCRIBE",
    "NOTIFY",
    "PUBLISH",
    "REFER",
    "INFO",
    "UPDATE",
    "PRACK",
    "BYE",
    "REGISTER",
    "FOO",
    "invite",
)
TO_BOB = f"sip:bob@{DOMAIN}"
OUTSIDE = "sip:x@10.0.0.66"
REGISTRAR = f"sip:{DOMAIN}"


class Client:
    """Alice's hand, or that of someone who would be she."""

    def __init__(self, target: Range) -> None:
        self.target = target
        self.number = 0

    async def ask(
        self, method: str, uri: str, *lines: str, from_: str = f"sip:alice@{DOMAIN}", to: str = ""
    ) -> list[str]:
        """Start lines of what the server sends because of it, 100 left out; a forwarded request is ``"forwarded"``."""
        self.number += 1
        head = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKa{self.number}",
            "Max-Forwards: 70",
            f"From: <{from_}>;tag=f{self.number}",
            f"To: <{to or from_ if method == 'REGISTER' else uri}>",
            f"Call-ID: a{self.number}",
            f"CSeq: {self.number} {method}",
            *lines,
            *(["Contact: <sip:alice@10.0.0.9>"] if method == "REGISTER" else []),
            "Content-Length: 0",
            "",
            "",
        ]
        got = []
        for packet in await self.target.fire(Case(f"{method} {lines}", "\r\n".join(head).encode())):
            message = parse_message(packet.data)
            if packet.data.startswith(b"SIP/2.0"):
                self.last = message
                if not packet.data.startswith(b"SIP/2.0 100"):
                    got.append(packet.data[8:11].decode())
            elif not packet.data.startswith(b"ACK"):
                got.append("forwarded")
        return got

    async def challenge(self, method: str, uri: str, **fields: str) -> list:
        got = await self.ask(method, uri, **fields)
        assert got == ["401" if method == "REGISTER" else "407"]
        return read_challenges(self.last.get_all("www-authenticate" if method == "REGISTER" else "proxy-authenticate"))

    def sign(
        self, challenges: list, method: str, uri: str, username: str = "alice", password: str = PASSWORD, **fields
    ) -> str:
        name = "Authorization" if method == "REGISTER" else "Proxy-Authorization"
        text = respond(
            challenges,
            username=username,
            password=password,
            method=fields.pop("signed", method),
            uri=fields.pop("for_uri", uri),
            cnonce="c",
            **fields,
        )
        return f"{name}: {text}"


def refused(method: str) -> list[str]:
    return ["401" if method == "REGISTER" else "407"]


@pytest.mark.threat("T5")
@pytest.mark.row("AUT-1", part="method by credential")
@pytest.mark.parametrize("uri", [TO_BOB, OUTSIDE], ids=["to our user", "to the outside"])
@pytest.mark.parametrize("method", METHODS)
def test_only_the_right_credentials_get_anything_and_only_once(
    world: World, caplog: pytest.LogCaptureFixture, method: str, uri: str
) -> None:
    target = Range(world, caplog)
    if method == "REGISTER":
        uri = REGISTRAR
    elsewhere = OUTSIDE if uri != OUTSIDE else TO_BOB

    async def scenario() -> None:
        await target.start(USERS)
        client = Client(target)
        no = refused(method)
        assert await client.ask(method, uri) == no
        fresh = await client.challenge(method, uri)
        good = client.sign(fresh, method, uri)
        twist = {
            "wrong password": client.sign(fresh, method, uri, password="wrong"),
            "empty password": client.sign(fresh, method, uri, password=""),
            "unknown user": client.sign(fresh, method, uri, username="nobody"),
            "another user's name": good.replace('"alice"', '"bob"'),
            "no user name": re.sub(r'username="alice", ?', "", good),
            "another method": client.sign(fresh, method, uri, signed="OPTIONS" if method != "OPTIONS" else "INVITE"),
            "another URI": client.sign(fresh, method, uri, for_uri=elsewhere if method != "REGISTER" else TO_BOB),
            "another realm": good.replace(f'realm="{DOMAIN}"', 'realm="other.test"'),
            "another realm's case": good.replace(f'realm="{DOMAIN}"', f'realm="{DOMAIN.upper()}"'),
            "a made-up nonce": re.sub(r'nonce="[^"]*"', 'nonce="' + "0" * 49 + '"', good),
            "a nonce with another time": re.sub(r'nonce="(.)', lambda m: f'nonce="{"1" if m[1] != "1" else "2"}', good),
            "no response": re.sub(r'response="[^"]*",? ?', "", good),
            "an empty response": re.sub(r'response="[^"]*"', 'response=""', good),
            "a short response": re.sub(r'response="([^"]{8})[^"]*"', r'response="\1"', good),
            "no qop": re.sub(r"(qop=auth|nc=\w+|cnonce=\"c\"),? ?", "", good),
            "qop auth-int": good.replace("qop=auth", "qop=auth-int"),
            "another algorithm": re.sub(r"algorithm=[\w-]+", "algorithm=MD5-sess", good),
            "no algorithm": re.sub(r",? ?algorithm=[\w-]+", "", good),
            "a count of none": re.sub(r"nc=\w+", "nc=00000000", good),
            "a long count": re.sub(r"nc=\w+", "nc=100000001", good),
            "Basic": good.partition(":")[0] + ": Basic YWxpY2U6c2VjcmV0",
            "in the other header": good.replace("Proxy-Authorization", "X").replace(
                "Authorization", "Proxy-Authorization"
            )
            if method == "REGISTER"
            else good.replace("Proxy-Authorization", "Authorization"),
        }
        for name, line in twist.items():
            assert await client.ask(method, uri, line) == no, name
        first = await client.ask(method, uri, good)
        assert first == ["200"] if method == "REGISTER" else first[:1] == ["forwarded"], first
        assert await client.ask(method, uri, good) == no, "a count used twice"
        ahead = re.sub(r"nc=\w+", "nc=00000009", good)
        assert await client.ask(method, uri, ahead) == no, "a count that was not signed"
        old = client.sign(await client.challenge(method, uri), method, uri)
        await asyncio.sleep(400)
        assert await client.ask(method, uri, old) == no, "a nonce too old"
        stale = client.last.get("www-authenticate" if method == "REGISTER" else "proxy-authenticate")
        assert "stale=true" in stale

    world.run(scenario())
    world.check_quiet()
    world.run(target.server.close())


@pytest.mark.threat("T5")
def test_a_user_registers_for_nobody_else(world: World, caplog: pytest.LogCaptureFixture) -> None:
    target = Range(world, caplog)

    async def scenario() -> None:
        await target.start(USERS)
        client = Client(target)
        for to in (
            f"sip:bob@{DOMAIN}",
            f"sip:BOB@{DOMAIN}",
            f"sip:%62ob@{DOMAIN}",
            "sip:bob@10.0.0.1",
            f"sips:bob@{DOMAIN}",
            f"sip:bob:x@{DOMAIN}",
            f"sip:bob;x@{DOMAIN}",
            f"sip:alice%00@{DOMAIN}",
            f"sip:ALICE@{DOMAIN}",
            f"sip:alice%20@{DOMAIN}",
            f"sip:bob@{DOMAIN}:5060",
        ):
            fresh = await client.challenge("REGISTER", REGISTRAR)
            got = await client.ask("REGISTER", REGISTRAR, client.sign(fresh, "REGISTER", REGISTRAR), to=to)
            assert got == ["403"], (to, got)
        assert [b.uri for b in target.server.store.bindings(f"sip:bob@{DOMAIN}", world.clock.now())] == [
            "sip:bob@10.0.0.8"
        ]

    world.run(scenario())
    world.check_quiet()
    world.run(target.server.close())


@pytest.mark.threat("T5")
@pytest.mark.parametrize("host", ["EXAMPLE.test", "example.test.", "example.test:5070", "10.0.0.1", "10.0.0.1:5060"])
def test_whoever_claims_to_be_ours_must_prove_it_however_it_is_written(
    world: World, caplog: pytest.LogCaptureFixture, host: str
) -> None:
    target = Range(world, caplog)

    async def scenario() -> None:
        await target.start(USERS)
        client = Client(target)
        assert await client.ask("INVITE", TO_BOB, from_=f"sip:alice@{host}") == ["407"]

    world.run(scenario())
    world.check_quiet()
    world.run(target.server.close())
