"""The registry is whole and consistent."""

from ringback.protocol.message.registry import (
    CANONICAL,
    HEADERS,
    KEYS,
    LISTS,
    METHODS,
    STATUS,
    display_name,
    header_key,
)

COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}


def test_has_the_fourteen_methods():
    assert len(METHODS) == 14
    assert header_key("ALERTMSG-ERROR") == "alertmsg-error"  # the latest, RFC 8876
    assert display_name("alertmsg-error") == "AlertMsg-Error"
    assert METHODS["INVITE"] == 3261
    assert METHODS["SUBSCRIBE"] == 6665


def test_has_every_status_code():
    assert len(STATUS) == 75
    assert STATUS[200] == "OK"
    assert STATUS[608] == "Rejected"
    assert all(100 <= status <= 699 for status in STATUS)


def test_has_every_compact_form():
    assert {header.compact: key for key, header in HEADERS.items() if header.compact} == COMPACT
    for compact, key in COMPACT.items():
        assert header_key(compact) == header_key(compact.upper()) == key


def test_names_a_header_in_any_spelling():
    assert header_key("CALL-id \t") == "call-id"
    assert header_key("X-Unknown") == "x-unknown"
    assert header_key("Via\u212a") == ""
    assert header_key(" Via") == ""
    assert header_key("") == ""
    assert " Via" not in KEYS
    assert CANONICAL["v"] == CANONICAL["via"] == "via"


def test_shows_a_key_in_its_usual_spelling():
    assert display_name("call-id") == "Call-ID"
    assert display_name("www-authenticate") == "WWW-Authenticate"
    assert display_name("x-some-thing") == "X-Some-Thing"


def test_commas_part_the_values_of_lists_only():
    assert {"via", "contact", "route", "supported", "allow"} <= LISTS
    assert not {"from", "to", "authorization", "www-authenticate", "date", "subject", "call-id"} & LISTS
    assert HEADERS["rack"].source == "RFC3262"


def test_does_not_remember_spellings_without_bound():
    for number in range(5000):
        assert header_key(f"X-{number}") == f"x-{number}"
    assert header_key("X-" + "a" * 100) == "x-" + "a" * 100
    assert len(KEYS) < 5000
