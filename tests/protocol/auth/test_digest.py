"""The digest computation against published values, and the client's side of it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.protocol.auth.digest import (
    BASE_ALGORITHMS,
    DigestSession,
    algorithm_named,
    choose,
    compute_ha1,
    compute_response,
    compute_userhash,
    is_stale,
    read_challenges,
    respond,
)
from ringback.protocol.errors import LocalProtocolError
from ringback.protocol.message.values import Challenge, Credentials

HOUSE = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def vectors() -> Path:
    folder = Path(os.environ.get("RINGBACK_CORPORA") or HOUSE.parent / "shared" / "corpora") / "digest_vectors"
    if not folder.is_dir():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"no corpora at {folder}")
    return folder


def response_to(vector: dict[str, Any]) -> str:
    algorithm = algorithm_named(vector["alg"])
    assert algorithm is not None
    return compute_response(
        algorithm,
        compute_ha1(algorithm.base, vector["user"], vector["realm"], vector["pw"]),
        nonce=vector["nonce"],
        method=vector["method"],
        uri=vector["uri"],
        qop=vector.get("qop"),
        nc=vector.get("nc", ""),
        cnonce=vector.get("cnonce", ""),
    )


@pytest.mark.row("REG-10")
@pytest.mark.rfc("7616 3.4.1")
def test_computes_every_published_response(vectors: Path) -> None:
    published = json.loads((vectors / "vectors.json").read_text("utf-8"))
    assert len(published) >= 6
    assert {it["name"]: response_to(it) for it in published} == {it["name"]: it["response"] for it in published}


@pytest.mark.rfc("7616 3.4.4")
def test_sha_512_256_is_the_real_one_and_not_what_the_rfc_printed(vectors: Path) -> None:
    printed = json.loads((vectors / "rfc7616-3.9.2-printed.json").read_text("utf-8"))
    userhash = compute_userhash("SHA-512-256", "Jäsøn Doe", "api@example.org")
    assert userhash == printed["userhash_real"]
    assert userhash != printed["userhash_printed"]
    [vector] = [it for it in json.loads((vectors / "vectors.json").read_text("utf-8")) if it["alg"] == "SHA-512-256"]
    assert response_to(vector) != printed["response_printed"]


@pytest.mark.rfc("3261 22.4")
def test_auth_int_of_an_empty_body_hashes_the_empty_string() -> None:
    md5 = algorithm_named("md5")
    assert md5 is not None
    assert md5.hash(b"") == "d41d8cd98f00b204e9800998ecf8427e"
    some = {"nonce": "n", "method": "REGISTER", "uri": "sip:a", "qop": "auth-int", "nc": "00000001", "cnonce": "c"}
    assert compute_response(md5, "0" * 32, body=b"", **some) != compute_response(md5, "0" * 32, body=b"x", **some)


def test_hashes_the_octets_of_the_wire() -> None:
    latin = b"J\xf6rg".decode("utf-8", "surrogateescape")
    assert compute_ha1("MD5", latin, "r", "p") == hashlib.md5(b"J\xf6rg:r:p").hexdigest()


def test_refuses_an_unknown_algorithm_by_name() -> None:
    with pytest.raises(LocalProtocolError, match="SHA-1"):
        compute_ha1("SHA-1", "u", "r", "p")
    assert algorithm_named("token") is None


def challenge(text: str) -> Challenge:
    return Challenge.parse(f"Digest {text}")


def answer(*challenges: str, **more: Any) -> dict[str, str] | None:
    arguments: dict[str, Any] = {"username": "bob", "password": "zanzibar", "method": "INVITE", "uri": "sip:a@b"}
    value = respond([challenge(it) for it in challenges], cnonce="c0ffee", **{**arguments, **more})
    return None if value is None else Credentials.parse(value).params


@pytest.mark.row("AUT-1", part="client")
@pytest.mark.rfc("8760 2.4")
def test_answers_the_first_challenge_it_understands() -> None:
    found = answer(
        'realm="r", nonce="1", algorithm=SHA3-512, qop="auth"',
        'realm="r", nonce="2", algorithm=SHA-256, qop="auth"',
        'realm="r", nonce="3", algorithm=MD5, qop="auth"',
    )
    assert found is not None
    assert (found["algorithm"], found["nonce"], len(found["response"])) == ("SHA-256", "2", 64)


@pytest.mark.row("AUT-1", part="client")
@pytest.mark.rfc("8760 2.4")
def test_chooses_one_challenge_a_realm_in_order() -> None:
    chosen = choose(
        read_challenges(
            [
                'Digest realm="two", nonce="1", algorithm=SHA-256',
                "Basic realm=two",
                'Digest realm="one", nonce="2"',
                'Digest realm="two", nonce="3"',
                "Digest nonce=1, broken",
                'Digest realm="three"',
                'Digest nonce="no realm"',
            ]
        )
    )
    assert [(it.params["realm"], it.params["nonce"]) for it in chosen] == [("two", "1"), ("one", "2")]


@pytest.mark.rfc("7616 3.3")
@pytest.mark.parametrize(
    ("qop", "used"), [("auth,auth-int", "auth"), ("auth-int", "auth-int"), ("auth-int , AUTH, new", "auth")]
)
def test_prefers_auth_to_auth_int(qop: str, used: str) -> None:
    found = answer(f'realm="r", nonce="n", qop="{qop}"', body=b"v=0")
    assert found is not None
    assert (found["qop"], found["nc"], found["cnonce"]) == (used, "00000001", "c0ffee")


def test_passes_over_a_qop_it_does_not_know_and_a_session_without_qop() -> None:
    assert answer('realm="r", nonce="n", qop="token"', 'realm="r", nonce="n", algorithm=MD5-sess') is None


@pytest.mark.rfc("2617 3.2.2.1")
def test_answers_an_old_server_without_qop_or_count() -> None:
    found = answer('realm="r", nonce="n"')
    assert found is not None
    assert {"qop", "nc", "cnonce", "algorithm", "opaque"}.isdisjoint(found)


@pytest.mark.rfc("7616 3.4")
def test_quotes_what_must_be_quoted_and_nothing_else() -> None:
    value = respond(
        [challenge('realm="r\\"1", nonce="n", opaque="o", algorithm=md5, qop="auth"')],
        username='b"ob',
        password="p",
        method="REGISTER",
        uri="sip:r",
        cnonce="c",
        nc=0x2A,
    )
    assert value is not None
    given = Credentials.parse(value)
    assert given.quoted == {"username", "realm", "nonce", "uri", "response", "cnonce", "opaque"}
    assert given.params["username"] == 'b"ob'
    assert given.params["realm"] == 'r"1'
    assert (given.params["nc"], given.params["algorithm"], given.params["opaque"]) == ("0000002a", "MD5", "o")


@pytest.mark.rfc("7616 3.4.4")
def test_hides_the_username_when_the_server_can_hash_it() -> None:
    found = answer('realm="r", nonce="n", algorithm=SHA-256, qop="auth", userhash=true')
    assert found is not None
    assert found["username"] == compute_userhash("SHA-256", "bob", "r")
    assert found["userhash"] == "true"


def test_an_ha1_answers_the_challenge_whose_algorithm_it_fits() -> None:
    both = ('realm="r", nonce="1", algorithm=SHA-256, qop="auth"', 'realm="r", nonce="2", algorithm=MD5, qop="auth"')
    ha1 = compute_ha1("MD5", "bob", "r", "zanzibar")
    assert answer(*both, password=None, ha1=ha1.upper()) == answer(both[1])
    assert answer(*both, password=None, ha1="abc") is None
    assert answer(*both, password=None) is None


def test_has_no_answer_to_no_challenge() -> None:
    assert answer() is None


def test_knows_a_stale_challenge() -> None:
    assert is_stale(challenge('realm="r", nonce="n", stale=TRUE'))
    assert not is_stale(challenge('realm="r", nonce="n", stale=false'))
    assert not is_stale(challenge('realm="r", nonce="n"'))


@pytest.mark.rfc("7616 3.6")
def test_a_session_counts_its_uses() -> None:
    session = DigestSession(challenge('realm="r", nonce="n", qop="auth"'), "bob", password="p")
    counts = [Credentials.parse(session.authorize("REGISTER", "sip:r", "c")).params["nc"] for _ in range(3)]
    assert counts == ["00000001", "00000002", "00000003"]
    assert session.realm == "r"
    session.count = 0xFFFFFFFF
    with pytest.raises(LocalProtocolError):
        session.authorize("REGISTER", "sip:r", "c")


def test_a_session_that_cannot_answer_says_so() -> None:
    with pytest.raises(LocalProtocolError):
        DigestSession(challenge('realm="r", nonce="n", qop="auth"'), "bob").authorize("REGISTER", "sip:r", "c")


@given(
    algorithm=st.sampled_from([*BASE_ALGORITHMS, *[f"{name}-sess" for name in BASE_ALGORITHMS]]),
    username=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1),
    password=st.text(st.characters(exclude_categories=["Cs"])),
    qop=st.sampled_from(["auth", "auth-int"]),
    body=st.binary(max_size=50),
    nc=st.integers(1, 0xFFFFFFFF),
)
def test_both_sides_compute_alike(algorithm: str, username: str, password: str, qop: str, body: bytes, nc: int) -> None:
    value = respond(
        [challenge(f'realm="r", nonce="n", algorithm={algorithm}, qop="{qop}"')],
        username=username,
        password=password,
        method="MESSAGE",
        uri="sip:x",
        cnonce="c",
        body=body,
        nc=nc,
    )
    assert value is not None
    given_ = Credentials.parse(value).params
    known = algorithm_named(algorithm)
    assert known is not None
    assert given_["username"] == username
    assert given_["response"] == compute_response(
        known,
        compute_ha1(known.base, username, "r", password),
        nonce="n",
        method="MESSAGE",
        uri="sip:x",
        qop=qop,
        nc=f"{nc:08x}",
        cnonce="c",
        body=body,
    )
