"""The shapes in which a target may be written."""

import pytest

from ringback.cli.target import parse_target
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
    ],
)
def test_what_people_write_becomes_a_uri(text: str, uri: str) -> None:
    assert parse_target(text) == uri


@pytest.mark.parametrize(
    "text", ["", "tel:+15550100", "sip:", "a b", "sip:a@b@c", "tls:example.test", "sip:x;transport=tcp"]
)
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        parse_target(text)


@pytest.mark.threat("T5")
def test_a_password_in_a_uri_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_target("sip:bob:hunter2@example.test")
    assert "hunter2" not in str(caught.value)
