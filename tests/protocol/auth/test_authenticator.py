"""The server's side of digest: what is offered, what is accepted, and what every abuse of it gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.protocol.auth.authenticator import Authenticator, Verdict, VerdictKind
from ringback.protocol.auth.digest import algorithm_named, compute_ha1, compute_response, read_challenges, respond
from ringback.protocol.errors import LocalProtocolError, RemoteProtocolError
from ringback.protocol.message.build import build_request
from ringback.protocol.message.model import Request
from ringback.protocol.message.registry import METHODS
from ringback.protocol.message.values import Credentials

NOW = 1_800_000_000.0
REALM = "example.test"
SECRET = bytes(range(32))
USERS = {"bob": "zanzibar", "alice": "wonderland"}
# ACK and CANCEL are never challenged (RFC 3261 §22.1).
CHALLENGED = sorted(set(METHODS) - {"ACK", "CANCEL"})


def ha1(username: str, realm: str, algorithm: str) -> str | None:
    return compute_ha1(algorithm, username, realm, USERS[username]) if username in USERS else None


def authenticator(**more: Any) -> Authenticator:
    return Authenticator(REALM, SECRET, **more)


def request(method: str = "REGISTER", uri: str = "sip:example.test", body: bytes = b"") -> Request:
    return build_request(
        method,
        uri,
        via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
        from_="<sip:bob@example.test>;tag=1",
        to="<sip:bob@example.test>",
        call_id="c",
        cseq=1,
        body=body,
    )


def sign(server: Authenticator, asked: Request, username: str = "bob", now: float = NOW, **more: Any) -> str:
    arguments: dict[str, Any] = {
        "username": username,
        "password": USERS.get(username, "guess"),
        "method": asked.method,
        "uri": asked.uri_text,
        "body": asked.body,
        "cnonce": "c0ffee",
    }
    challenges = more.pop("challenges", None) or server.challenge(now)
    value = respond(read_challenges(challenges), **{**arguments, **more})
    assert value is not None
    return value


def verify(server: Authenticator, asked: Request, *credentials: str, now: float = NOW) -> Verdict:
    return server.verify(asked, credentials, ha1, now)


@pytest.mark.row("AUT-1")
@pytest.mark.rfc("8760 2.3")
def test_offers_one_challenge_for_each_algorithm_the_preferred_first() -> None:
    challenges = read_challenges(authenticator().challenge(NOW))
    assert [it.params["algorithm"] for it in challenges] == ["SHA-256", "MD5"]
    assert {it.params["qop"] for it in challenges} == {"auth"}
    assert all(it.quoted == {"realm", "nonce", "qop"} for it in challenges)
    assert all("stale" not in it.params for it in challenges)


@pytest.mark.rfc("7616 3.3")
def test_says_stale_in_every_challenge_when_only_the_nonce_was_refused() -> None:
    assert [it.params["stale"] for it in read_challenges(authenticator().challenge(NOW, stale=True))] == ["true"] * 2


@pytest.mark.row("REG-10")
@pytest.mark.parametrize("method", CHALLENGED)
@pytest.mark.parametrize("algorithm", ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"])
def test_accepts_right_credentials(method: str, algorithm: str) -> None:
    server = authenticator(algorithms=[algorithm])
    asked = request(method)
    verdict = verify(server, asked, sign(server, asked))
    assert verdict.accepted
    assert verdict.username == "bob"


@pytest.mark.row("REG-10")
@pytest.mark.threat("T5")
@pytest.mark.parametrize("method", CHALLENGED)
@pytest.mark.parametrize("abuse", ["none", "wrong", "unknown user", "other's", "replayed", "stale", "other method"])
def test_refuses_for_every_method(method: str, abuse: str) -> None:
    server = authenticator()
    asked = request(method)
    expected = VerdictKind.DENIED
    if abuse == "none":
        expected, credentials = VerdictKind.MISSING, []
    elif abuse == "wrong":
        credentials = [sign(server, asked, password="guess")]
    elif abuse == "unknown user":
        credentials = [sign(server, asked, username="mallory")]
    elif abuse == "other's":
        # alice's password under bob's name
        credentials = [sign(server, asked, password=USERS["alice"])]
    elif abuse == "replayed":
        credentials = [sign(server, asked)]
        assert verify(server, asked, *credentials).accepted
        expected = VerdictKind.STALE
    elif abuse == "stale":
        credentials = [sign(server, asked, now=NOW - 301)]
        expected = VerdictKind.STALE
    else:
        other = request("OPTIONS" if method != "OPTIONS" else "INVITE")
        credentials = [sign(server, other)]
    verdict = verify(server, asked, *credentials)
    assert verdict.kind is expected
    assert not verdict.accepted


@pytest.mark.threat("T5")
def test_an_unknown_user_and_a_wrong_password_look_alike_and_cost_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    from ringback.protocol.auth import authenticator as module

    server = authenticator()
    asked = request()
    work: list[str] = []
    real = module.compute_response

    def counted(algorithm: Any, ha1: str, **more: Any) -> str:
        work.append(f"{algorithm.name} {len(ha1)}")
        return real(algorithm, ha1, **more)

    monkeypatch.setattr(module, "compute_response", counted)
    verdicts = [
        verify(server, asked, sign(server, asked, username=name, password="guess")) for name in ("bob", "nobody")
    ]
    assert [it.kind for it in verdicts] == [VerdictKind.DENIED] * 2
    assert work == ["SHA-256 64"] * 2
    assert [it.reason for it in verdicts] == ["wrong password", "unknown user"]  # for the log only


@pytest.mark.threat("T5")
def test_the_decoy_of_an_unknown_user_opens_nothing() -> None:
    server = authenticator()
    asked = request()
    md5, sha = algorithm_named("MD5"), algorithm_named("SHA-256")
    assert md5 is not None
    assert sha is not None
    for decoy in (md5.hash(SECRET), sha.hash(SECRET)):
        assert verify(server, asked, sign(server, asked, username="nobody", password=None, ha1=decoy)).kind is (
            VerdictKind.DENIED
        )


@pytest.mark.threat("T5")
@pytest.mark.rfc("8760 3")
def test_refuses_an_algorithm_that_was_not_offered() -> None:
    server = authenticator(algorithms=["SHA-256"])
    asked = request()
    weaker = [it.replace("algorithm=SHA-256", "algorithm=MD5") for it in server.challenge(NOW)]
    assert verify(server, asked, sign(server, asked, challenges=weaker)).kind is VerdictKind.DENIED
    silent = [it.replace(", algorithm=SHA-256", "") for it in server.challenge(NOW)]  # absent means MD5
    verdict = verify(server, asked, sign(server, asked, challenges=silent))
    assert verdict.kind is VerdictKind.DENIED
    assert verdict.reason == "an algorithm that was not offered"


@pytest.mark.threat("T5")
def test_refuses_a_qop_that_was_not_offered_or_none() -> None:
    server = authenticator()
    asked = request()
    for other in (', qop="auth-int"', ""):
        challenges = [it.replace(', qop="auth"', other) for it in server.challenge(NOW)]
        assert verify(server, asked, sign(server, asked, challenges=challenges)).kind is VerdictKind.DENIED


@pytest.mark.rfc("3261 22.4")
def test_takes_a_client_of_rfc_2069_once_a_nonce_where_that_is_allowed() -> None:
    server = authenticator(without_qop=True, algorithms=["MD5"])
    asked = request()
    challenges = [it.replace(', qop="auth"', "") for it in server.challenge(NOW)]
    credentials = sign(server, asked, challenges=challenges)
    verdict = verify(server, asked, credentials)
    assert verdict.accepted
    assert verdict.authentication_info().startswith('rspauth="')
    assert verify(server, asked, credentials).kind is VerdictKind.STALE
    assert verify(server, asked, credentials + ", nc=00000002").kind is VerdictKind.DENIED


@pytest.mark.row("REG-10")
@pytest.mark.threat("T5")
def test_auth_int_notices_a_changed_body() -> None:
    server = authenticator(qop=["auth-int"])
    asked = request("MESSAGE", body=b"pay 10")
    credentials = sign(server, asked)
    assert "qop=auth-int" in credentials
    assert verify(server, request("MESSAGE", body=b"pay 99"), credentials).kind is VerdictKind.DENIED
    assert verify(server, asked, credentials).accepted


@pytest.mark.row("REG-10")
def test_a_nonce_serves_many_requests_with_rising_counts() -> None:
    server = authenticator()
    asked = request()
    challenges = server.challenge(NOW)
    for nc in (1, 2, 9, 3):
        assert verify(server, asked, sign(server, asked, challenges=challenges, nc=nc)).accepted
    assert verify(server, asked, sign(server, asked, challenges=challenges, nc=3)).stale


@pytest.mark.threat("T5")
def test_a_failed_guess_does_not_use_up_the_count() -> None:
    server = authenticator()
    asked = request()
    challenges = server.challenge(NOW)
    assert not verify(server, asked, sign(server, asked, challenges=challenges, password="guess")).accepted
    assert verify(server, asked, sign(server, asked, challenges=challenges)).accepted
    assert len(server.nonces) == 1


@pytest.mark.threat("T5")
@pytest.mark.rfc("8760 2.6")
def test_refuses_credentials_for_another_uri() -> None:
    server = authenticator(is_local=lambda uri: uri.host == "192.0.2.9")
    asked = request("INVITE", "sip:bob@example.test")
    for uri in ("sip:carol@example.test", "sip:other.test", "sip:bob@192.0.2.9", "tel:+1", "not a uri", ""):
        assert verify(server, asked, sign(server, asked, uri=uri)).reason == "credentials for another URI"


@pytest.mark.rfc("8760 2.6")
@pytest.mark.parametrize("uri", ["sip:bob@EXAMPLE.test", "sip:b%6fb@example.test", "sip:192.0.2.9:5060"])
def test_accepts_a_uri_written_otherwise_or_the_servers_own_address(uri: str) -> None:
    server = authenticator(is_local=lambda found: found.host == "192.0.2.9")
    asked = request("INVITE", "sip:bob@example.test")
    assert verify(server, asked, sign(server, asked, uri=uri)).accepted


def test_no_uri_is_local_unless_the_server_says_so() -> None:
    server = authenticator()
    asked = request("INVITE", "sip:bob@example.test")
    assert not verify(server, asked, sign(server, asked, uri="sip:192.0.2.9")).accepted


@pytest.mark.threat("T5")
@pytest.mark.parametrize("missing", ["username", "nonce", "uri", "response", "qop", "nc", "cnonce"])
def test_refuses_credentials_that_lack_a_part(missing: str) -> None:
    server = authenticator()
    asked = request()
    credentials = Credentials.parse(sign(server, asked))
    del credentials.params[missing]
    assert verify(server, asked, str(credentials)).kind is VerdictKind.DENIED


@pytest.mark.threat("T1")
@pytest.mark.parametrize(
    "nc", ["1", "00000000", "0000000g", "+0000001", "00000_01", "\u0660" * 7 + "\u0661", "0" * 5000 + "1", '" 0000001"']
)
def test_refuses_a_count_that_is_not_eight_digits_above_zero(nc: str) -> None:
    server = authenticator()
    asked = request()
    credentials = sign(server, asked).replace("nc=00000001", f"nc={nc}")
    assert verify(server, asked, credentials).kind is VerdictKind.DENIED


@pytest.mark.rfc("8760 2.7")
@pytest.mark.parametrize("empty", ["nonce", "response"])
def test_challenges_anew_who_has_not_been_challenged_yet(empty: str) -> None:
    server = authenticator()
    asked = request()
    credentials = Credentials.parse(sign(server, asked))
    credentials.params[empty] = ""
    assert verify(server, asked, str(credentials)).kind is VerdictKind.MISSING


@pytest.mark.rfc("3261 22.3")
def test_looks_only_at_credentials_for_its_realm() -> None:
    server = authenticator()
    asked = request()
    foreign = 'Digest username="bob", realm="elsewhere", nonce="n", uri="sip:x", response="0"'
    assert verify(server, asked, foreign, "NoOneKnowsThisScheme opaque-data=here").kind is VerdictKind.MISSING
    assert verify(server, asked, foreign, sign(server, asked)).accepted


@pytest.mark.rfc("8760 2.4")
def test_takes_the_credentials_it_can_of_several_for_its_realm() -> None:
    server = authenticator(algorithms=["SHA-256"])
    asked = request()
    strange = 'Digest username="bob", realm="example.test", nonce="n", uri="sip:x", response="0", algorithm=SHA3-512'
    assert verify(server, asked, strange, sign(server, asked)).accepted
    assert verify(server, asked, strange, strange).kind is VerdictKind.DENIED


@pytest.mark.threat("T7")
def test_looks_at_few_credentials_only() -> None:
    server = authenticator()
    asked = request()
    foreign = 'Digest username="bob", realm="elsewhere", nonce="n", uri="sip:x", response="0"'
    assert verify(server, asked, *[foreign] * 8, sign(server, asked)).kind is VerdictKind.MISSING


def test_credentials_that_cannot_be_read_are_a_bad_request() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        verify(authenticator(), request(), 'Digest username="bob')
    assert caught.value.status == 400


PARTS = ["username", "realm", "nonce", "uri", "response", "algorithm", "qop", "nc", "cnonce", "opaque", "userhash"]
ODD = st.text(st.characters(exclude_characters="\r\n\0"), max_size=20)


@pytest.mark.threat("T1")
@given(
    st.one_of(
        ODD,
        st.lists(
            st.tuples(st.sampled_from(PARTS), st.one_of(ODD, st.just(REALM), st.just("auth"), st.just("MD5")))
        ).map(lambda parts: "Digest " + ", ".join(f'{name}="{value}"' for name, value in parts)),
    )
)
def test_whatever_the_credentials_hold_they_are_refused_in_order(text: str) -> None:
    server = authenticator(without_qop=True)
    try:
        verdict = verify(server, request(), text)
        assert not verdict.accepted
    except RemoteProtocolError:
        pass  # a 400
    assert len(server.nonces) == 0


@pytest.mark.threat("T5")
def test_a_response_in_odd_characters_is_just_wrong() -> None:
    server = authenticator()
    asked = request()
    credentials = Credentials.parse(sign(server, asked))
    credentials.params["response"] = "\udcff" * 64
    assert verify(server, asked, str(credentials)).kind is VerdictKind.DENIED


@pytest.mark.rfc("7616 3.5")
def test_authentication_info_proves_that_the_server_knows_the_secret() -> None:
    server = authenticator()
    asked = request()
    credentials = Credentials.parse(sign(server, asked))
    verdict = verify(server, asked, str(credentials))
    info = verdict.authentication_info(b"body")
    sha = algorithm_named("SHA-256")
    assert sha is not None
    expected = compute_response(
        sha,
        compute_ha1("SHA-256", "bob", REALM, "zanzibar"),
        nonce=credentials.params["nonce"],
        method="",
        uri="sip:example.test",
        qop="auth",
        nc="00000001",
        cnonce="c0ffee",
    )
    assert info == f'qop=auth, rspauth="{expected}", cnonce="c0ffee", nc=00000001'
    with pytest.raises(LocalProtocolError):
        verify(server, asked).authentication_info()


def test_a_verdict_shows_no_secret() -> None:
    server = authenticator()
    asked = request()
    verdict = verify(server, asked, sign(server, asked))
    assert repr(verdict) == "Verdict(accepted: )"


def test_the_same_algorithm_is_offered_once() -> None:
    assert len(authenticator(algorithms=["md5", "MD5"]).challenge(NOW)) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: Authenticator(REALM, b"short"),
        lambda: authenticator(algorithms=[]),
        lambda: authenticator(algorithms=["SHA-1"]),
        lambda: authenticator(qop=[]),
        lambda: authenticator(qop=["auth", "none"]),
    ],
)
def test_refuses_settings_that_make_no_sense(make: Callable[[], Authenticator]) -> None:
    with pytest.raises(LocalProtocolError):
        make()
