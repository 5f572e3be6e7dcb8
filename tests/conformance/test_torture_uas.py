"""The torture messages of RFC 4475 and RFC 5118 at a phone, sent as they are: what it answers.

The phone takes MESSAGE with text/plain besides what every phone takes, so that mpart01 meets a body type it lacks. It
rings for an INVITE that it would take, so that "a normal INVITE" is an answer one can see. REGISTER is not a phone's:
it gets 405, whatever else is right or wrong about it. None: no answer at all.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.protocol.cores.capabilities import Capabilities
from ringback.protocol.cores.ua_events import CallOffered, RequestOffered
from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.message.build import build_error
from ringback.protocol.message.model import Request, Response
from ringback.protocol.message.parser import parse_message, validate
from tests.protocol.cores.bench import BOB, CAROL, Bench

RFC4475: dict[str, int | None] = {
    "badaspec": 400,
    "badbranch": 400,
    "baddate": 180,
    "baddn": 400,
    "badinv01": 400,
    "badvers": 505,
    "bcast": None,
    "bext01": 420,
    "bigcode": None,
    "clerr": 400,
    "cparam01": 405,
    "cparam02": 405,
    "dblreq": 405,
    "esc01": 180,
    "esc02": 501,
    "escnull": 405,
    "escruri": 400,
    "insuf": 400,
    "intmeth": 501,
    "inv2543": 180,
    "invut": 415,
    "longreq": 180,
    "ltgtruri": 400,
    "lwsdisp": 200,
    "lwsruri": 400,
    "lwsstart": 400,
    "mcl01": 400,
    "mismatch01": 400,
    "mismatch02": 501,
    "mpart01": 415,
    "multi01": 400,
    "ncl": 400,
    "noreason": None,
    "novelsc": 416,
    "quotbal": 400,
    "regaut01": 405,
    "regbadct": 400,
    "regescrt": 405,
    "scalar02": 400,
    "scalarlg": None,
    "sdp01": 406,
    "semiuri": 200,
    "test": 400,
    "transports": 200,
    "trws": 400,
    "unkscm": 416,
    "unksm2": 405,
    "unreason": None,
    "wsinv": 481,
    "zeromf": 200,
}

RFC5118: dict[str, int | None] = {
    "ipv4-mapped-ipv6": 180,
    "ipv6-bad": 400,
    "ipv6-bug-abnf-3-colons": 200,
    "ipv6-correct-abnf-2-colons": 200,
    "ipv6-good": 405,
    "ipv6-in-sdp": 180,
    "mult-ip-in-header": 481,
    "mult-ip-in-sdp": 180,
    "port-ambiguous": 405,
    "port-unambiguous": 405,
    "via-received-param-no-delim": 200,
    "via-received-param-with-delim": 481,
}


def verdict(bench: Bench, data: bytes) -> Response | None:
    """What the phone answers to a datagram; what the door refuses is answered there, as the stack does it."""
    bob = bench.phone("bob", BOB, can=Capabilities(methods=["MESSAGE"], accept=["text/plain"]))
    try:
        message = parse_message(data)
        validate(message)
    except RemoteProtocolError as error:
        request = error.message
        return build_error(error, request, "door") if isinstance(request, Request) else None
    bench.inject(data, CAROL, BOB)
    for event in bob.told:
        if isinstance(event, CallOffered):
            bob.uas.ring(event.call, bench.now)
        elif isinstance(event, RequestOffered):
            bob.uas.respond(event.key, 200, bench.now)
    bench.settle()
    answers = [message for _, source, _, message in bench.wire if source == BOB]
    return answers[-1] if answers else None


def check(bench: Bench, data: bytes, expected: int | None) -> None:
    response = verdict(bench, data)
    assert (None if response is None else response.status) == expected
    if response is None:
        return
    if expected in (405, 501):
        assert response.get("allow") or response.get("warning")
    if expected == 415:
        assert response.accept == ["application/sdp", "text/plain"]
    if expected == 420:
        assert response.get("unsupported") == "nothingSupportsThis, nothingSupportsThisEither"


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.row("TRN-4", part="UAS")
@pytest.mark.rfc("4475 3")
@pytest.mark.parametrize("name", sorted(RFC4475))
def test_rfc4475_message_gets_its_verdict(bench: Bench, corpora: Path, name: str) -> None:
    check(bench, (corpora / "rfc4475" / "dat" / f"{name}.dat").read_bytes(), RFC4475[name])


@pytest.mark.row("TRN-4", part="UAS")
@pytest.mark.rfc("5118 4")
@pytest.mark.parametrize("name", sorted(RFC5118))
def test_rfc5118_message_gets_its_verdict(bench: Bench, corpora: Path, name: str) -> None:
    [path] = (corpora / "rfc5118" / "wire").glob(f"{name}.*")
    check(bench, path.read_bytes(), RFC5118[name])


def test_no_message_of_the_archives_is_left_out(corpora: Path) -> None:
    assert {path.stem for path in (corpora / "rfc4475" / "dat").glob("*.dat")} == set(RFC4475)
    assert {path.stem for path in (corpora / "rfc5118" / "wire").iterdir()} == set(RFC5118)
