"""The shapes in which a target may be written."""

import pytest

from ringback.cli.profiles import Book, Profile
from ringback.cli.target import parse_target, read_target
from ringback.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("sip:bob@example.test", "sip:bob@example.test"),
        ("sip:bob@example.test:5070;transport=udp", "sip:bob@example.test:5070;transport=udp"),
        ("<sip:bob@example.test>", "sip:bob@example.test"),
        ('"Bob <home>" <sip:bob@example.test>', "sip:bob@example.test"),
        ("bob@example.test", "sip:bob@example.test"),
        ("example.test", "sip:example.test"),
        ("example.test:5070", "sip:example.test:5070"),
        ("udp:127.0.0.1:5060", "sip:127.0.0.1:5060;transport=udp"),
        ("udp:[::1]:5060", "sip:[::1]:5060;transport=udp"),
        ("[2001:db8::1]:5060", "sip:[2001:db8::1]:5060"),
        ("2001:db8::1", "sip:[2001:db8::1]"),
        ("example.test 5070", "sip:example.test:5070"),
        ("tls:example.test", "sip:example.test;transport=tls"),
        ("wss://example.test:8443/sip", "sip:example.test:8443;transport=wss"),
        ("sips:bob@example.test", "sips:bob@example.test"),
        ("localhost", "sip:localhost"),
    ],
)
def test_what_people_write_becomes_a_uri(text: str, uri: str) -> None:
    assert parse_target(text) == uri


@pytest.mark.parametrize("text", ["", "tel:+15550100", "+15550100", "sip:", "a b", "sip:a@b@c"])
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        parse_target(text)


@pytest.mark.threat("T5")
def test_a_password_in_a_uri_is_taken_out_warned_of_and_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert read_target("sip:bob:hunter2@example.test") == ("sip:bob@example.test", "bob", "hunter2")
    warned = capsys.readouterr().err
    assert "warning" in warned
    assert "hunter2" not in warned


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("bob", "sip:bob@example.test"),
        ("sip.other.test", "sip:sip.other.test"),
        ("desk", "sip:desk@192.0.2.1"),
        ("work", "sip:alice@example.test"),
        ("tel:+1-555-0100", "sip:+1-555-0100@example.test;user=phone"),
        ("+15550100", "sip:+15550100@example.test;user=phone"),
    ],
)
def test_a_profile_lends_its_domain_to_words_and_numbers(text: str, uri: str) -> None:
    book = Book(profiles={"work": Profile(aor="sip:alice@example.test")}, aliases={"desk": "sip:desk@192.0.2.1"})
    assert read_target(text, book, "example.test").uri == uri
