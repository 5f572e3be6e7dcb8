"""Whose certificate is good for what (RFC 5922), and TLS on buffers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ringback.errors import SettingsError, TransportError
from ringback.transport.tls import TlsConfiguration, TlsPipe, certified_names, speaks_for
from tests.certificates import authority, stranger


def shake_hands(client: TlsPipe, server: TlsPipe) -> None:
    """Carry bytes to and fro until both are ready or one raises."""
    client.start()
    for _ in range(10):
        server.receive(client.outgoing())
        client.receive(server.outgoing())
        if client.ready and server.ready:
            return


@pytest.mark.rfc("5922 7.1")
@pytest.mark.row("TRN-7", part="names")
@pytest.mark.parametrize(
    ("certificate", "names"),
    [
        ({"subjectAltName": (("URI", "sip:Example.com"), ("DNS", "other.test"))}, ["example.com"]),
        ({"subjectAltName": (("URI", "sip:alice@example.com"), ("DNS", "Sip.Example.COM"))}, ["sip.example.com"]),
        ({"subjectAltName": (("URI", "https://example.com"), ("DNS", "a.test"))}, ["a.test"]),
        ({"subjectAltName": (("URI", "sips:a.test"), ("URI", "sip:[bad"), ("DNS", "b.test"))}, ["b.test"]),
        ({"subjectAltName": (("DNS", "a.test"), ("IP Address", "192.0.2.1"))}, ["a.test", "192.0.2.1"]),
        ({"subjectAltName": (("IP Address", "2001:DB8:0:0:0:0:0:1\n"),)}, ["2001:db8::1"]),
        ({"subjectAltName": (("IP Address", "<invalid>"),)}, ["<invalid>"]),
        ({"subject": ((("commonName", "Old.Test"),), (("organizationName", "x"),))}, ["old.test"]),
        ({"subject": ((("commonName", "old.test"),),), "subjectAltName": (("email", "a@b.test"),)}, []),
        ({}, []),
    ],
)
def test_the_names_in_a_certificate(certificate: dict[str, Any], names: list[str]) -> None:
    assert certified_names(certificate) == names


@pytest.mark.rfc("5922 7.2")
@pytest.mark.parametrize(
    ("names", "name", "good"),
    [
        (["example.com"], "EXAMPLE.com", True),
        (["example.com"], "example.com.", True),
        (["example.com"], "sip.example.com", False),
        (["*.example.com"], "sip.example.com", False),
        (["192.0.2.1"], "192.0.2.1", True),
        (["2001:db8::1"], "2001:DB8:0::1", True),
        (["192.0.2.1"], "192.0.2.2", False),
        ([], "example.com", False),
    ],
)
def test_names_are_compared_whole(names: list[str], name: str, good: bool) -> None:
    assert speaks_for(names, name) is good


@pytest.mark.parametrize("name", ["example.test", "192.0.2.1", "2001:db8::1"])
def test_bytes_pass_both_ways(name: str) -> None:
    client = authority().client().connecting(name)
    server = authority().server("example.test", "192.0.2.1", "2001:db8::1").accepting()
    shake_hands(client, server)
    assert client.ready
    assert server.ready
    assert client.identities() == ["example.test", "192.0.2.1", "2001:db8::1"]
    assert server.identities() == []
    assert client.description.startswith("TLSv1.3 ")
    client.send(b"question")
    assert server.receive(client.outgoing()) == b"question"
    server.send(b"a" * 100_000)
    assert client.receive(server.outgoing()) == b"a" * 100_000
    client.close()
    assert server.receive(client.outgoing()) == b""
    assert server.closed


@pytest.mark.rfc("5922 7.3")
@pytest.mark.row("TRN-7", part="wrong name")
def test_a_certificate_of_the_wrong_name_is_refused_with_a_sentence_that_says_so() -> None:
    client = authority().client().connecting("example.test")
    server = authority().server("other.test", "192.0.2.7").accepting()
    with pytest.raises(TransportError) as caught:
        shake_hands(client, server)
    assert str(caught.value) == (
        "TLS: the peer's certificate is for other.test, 192.0.2.7, not for example.test (RFC 5922 §7)"
    )
    assert not client.ready


def test_a_certificate_of_an_unknown_authority_is_refused_with_a_sentence_that_says_so() -> None:
    client = authority().client().connecting("example.test")
    with pytest.raises(
        TransportError, match="certificate is not trusted: self-signed certificate in certificate chain"
    ):
        shake_hands(client, stranger().server("example.test").accepting())


@pytest.mark.rfc("5922 7.4")
def test_a_client_that_must_show_a_certificate_speaks_for_its_names() -> None:
    server = authority().server("example.test", clients="required").accepting()
    mine = authority().issue("proxy.test")
    client = TlsConfiguration(certificate=mine.certificate, key=mine.key, authorities=authority().file)
    shake_hands(client.connecting("example.test"), server)
    assert server.identities() == ["proxy.test"]


@pytest.mark.parametrize(("clients", "text"), [("required", "did not return a certificate"), ("optional", None)])
def test_a_client_without_certificate(clients: Any, text: str | None) -> None:
    server = authority().server("example.test", clients=clients).accepting()
    client = authority().client().connecting("example.test")
    if text is None:
        shake_hands(client, server)
        assert server.ready
    else:
        with pytest.raises(TransportError, match=text):
            shake_hands(client, server)


def test_what_is_no_tls_is_an_error_at_once() -> None:
    with pytest.raises(TransportError, match="TLS: "):
        authority().server("example.test").accepting().receive(b"OPTIONS sip:a SIP/2.0\r\n")


def test_what_is_damaged_afterwards_is_an_error_too() -> None:
    client = authority().client().connecting("example.test")
    server = authority().server("example.test").accepting()
    shake_hands(client, server)
    client.send(b"question")
    damaged = bytearray(client.outgoing())
    damaged[-1] ^= 1
    with pytest.raises(TransportError, match="TLS: "):
        server.receive(bytes(damaged))


def test_a_uri_in_a_real_certificate_is_read(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "proxy")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier("sip:example.test")]), False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "both.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = TlsConfiguration(certificate=path).accepting()
    client = TlsConfiguration(authorities=path).connecting("example.test")
    shake_hands(client, server)
    assert client.identities() == ["example.test"]


def test_a_file_that_cannot_be_used_names_its_setting(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no certificate")
    mine = authority().issue("example.test")
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"certificate": tmp_path / "none"}, "tls.certificate", "No such file"),
        ({"certificate": text}, "tls.certificate", "not usable"),
        ({"certificate": mine.certificate, "key": authority().issue("b.test").key}, "tls.certificate", "mismatch"),
        ({"authorities": tmp_path / "none"}, "tls.authorities", "No such file"),
        ({"authorities": text}, "tls.authorities", "not usable"),
    ]
    for settings, key, words in cases:
        with pytest.raises(SettingsError, match=words) as caught:
            TlsConfiguration(**settings)
        assert caught.value.key == key


def test_without_a_certificate_one_can_connect_only() -> None:
    assert not authority().client().can_serve
    assert authority().server("example.test").can_serve
