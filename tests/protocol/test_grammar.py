"""The small pieces of the grammar know ASCII, white space as SIP has it, and nothing of Unicode's."""

import pytest

from ringback.protocol.errors import RemoteProtocolError
from ringback.protocol.grammar import (
    ascii_lower,
    ascii_upper,
    escape_param,
    escape_user,
    find_closing_quote,
    is_call_id,
    is_ipv4,
    is_ipv6,
    is_token,
    parse_uint,
    quote,
    split_hostport,
    split_unquoted,
    strip_lws,
    unescape,
    unfold,
    unquote,
)


def test_case_is_an_ascii_matter():
    assert ascii_lower("Call-ID") == "call-id"
    assert ascii_lower("K\u212aİ") == "k\u212aİ"  # the Kelvin sign is not k
    assert ascii_upper("udp") == "UDP"
    assert ascii_upper("u\u017fp") == "U\u017fP"  # the long s is not s


def test_white_space_is_space_and_tab():
    assert strip_lws(" \t x\x0b\u00a0 ") == "x\x0b\u00a0"


@pytest.mark.rfc("3261 7.3.1")
def test_a_fold_is_one_space():
    assert unfold("a  \r\n\t b\r\n c ") == "a b c "
    assert unfold(" a") == " a"


def test_tokens_are_ascii():
    assert is_token("INVITE")
    assert is_token("a-.!%*_+`'~9")
    for text in ("", "a b", "é", "a\n", "a:b", "\u0663"):
        assert not is_token(text)


def test_call_ids_are_one_word_or_two_with_an_at():
    assert is_call_id('a(b)<c>:d"/[]?{}@host')
    for text in ("", "a b", "a@b@c", "é", "a,b", "@b", "a@"):
        assert not is_call_id(text)


@pytest.mark.threat("T1")
@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("0009", 9), ("255", 255), ("0" * 10**5 + "7", 7), ("0" * 30, 0)]
)
def test_reads_numbers(text, value):
    assert parse_uint(text, 255, "Test") == value


@pytest.mark.threat("T1")
@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", " 1", "1 ", "1_0", "0x1", "1.0", "٣", "²", "256", str(2**31), str(2**32), str(2**64), "9" * 10**5],
)
def test_refuses_what_is_no_number_in_range(text):
    with pytest.raises(RemoteProtocolError) as caught:
        parse_uint(text, 255, "Test")
    assert (caught.value.status, caught.value.header) == (400, "Test")


def test_splits_outside_quotes_and_brackets():
    assert split_unquoted("a, b ,c", ",") == ["a", "b", "c"]
    assert split_unquoted('"a,b" <c,d>;e , f', ",") == ['"a,b" <c,d>;e', "f"]
    assert split_unquoted('"a\\",b", c', ",") == ['"a\\",b"', "c"]
    assert split_unquoted('"a\\,b", c', ",") == ['"a\\,b"', "c"]
    assert split_unquoted('"a\\\\", c', ",") == ['"a\\\\"', "c"]
    assert split_unquoted('<"a>, b, "<"', ",") == ['<"a>', "b", '"<"']
    assert split_unquoted("a\\, b > <c\\>", ",") == ["a\\", "b > <c\\>"]
    assert split_unquoted("", ",") == [""]
    assert split_unquoted(",,", ",") == ["", "", ""]


@pytest.mark.rfc("4475 3.1.2.6")
@pytest.mark.parametrize("text", ['"a, b', "<a, b", '"a\\", b', '"a\\,'])
def test_refuses_to_guess_where_an_open_quote_ends(text):
    with pytest.raises(RemoteProtocolError):
        split_unquoted(text, ",")


def test_finds_the_quote_that_closes():
    assert find_closing_quote('"ab"', 1) == 3
    assert find_closing_quote('"a\\"b"c', 1) == 5
    assert find_closing_quote('"a\\\\"b', 1) == 4
    assert find_closing_quote('"a\\"', 1) == -1


def test_quotes_and_unquotes():
    assert quote('a"b\\c') == '"a\\"b\\\\c"'
    assert unquote(quote('a"b\\c')) == 'a"b\\c'
    assert quote("a\0b\x7f\tc\u200b") == '"a\\\0b\\\x7f\tc\u200b"'
    assert unquote(quote("a\0b\x7f\tc")) == "a\0b\x7f\tc"
    assert unquote("plain") == "plain"
    assert unquote('"') == '"'
    assert unquote('"plain"') == "plain"


@pytest.mark.rfc("3261 19.1.2")
def test_escapes_and_unescapes_once():
    assert unescape("a%2541") == "a%41"
    assert unescape("caf%C3%A9%zz%") == "café%zz%"
    assert escape_user("café @%") == "caf%C3%A9%20%40%25"
    assert escape_user(unescape("%FF%00")) == "%FF%00"
    assert escape_user("a;b=c") == "a;b=c"
    assert escape_param("[::1]:5;=") == "[::1]:5%3B%3D"
    assert unescape("plain") == "plain"


@pytest.mark.parametrize("host", ["192.0.2.1", "0.0.0.0", "255.255.255.255"])
def test_knows_ipv4(host):
    assert is_ipv4(host)


@pytest.mark.parametrize("host", ["1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.0004", "1.2.3.٣", "a.b.c.d", "1..2.3"])
def test_knows_what_is_not_ipv4(host):
    assert not is_ipv4(host)


@pytest.mark.rfc("5954 4.1")
@pytest.mark.parametrize(
    "host",
    [
        "::",
        "::1",
        "2001:db8::10",
        "1:2:3:4:5:6:7:8",
        "::ffff:192.0.2.1",
        "1:2:3:4:5:6:192.0.2.1",
        "2001:db8:::192.0.2.1",
    ],
)
def test_knows_ipv6(host):
    assert is_ipv6(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":",
        "1",
        "1:2",
        "1::2::3",
        "12345::",
        "g::",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7::8",
        "192.0.2.1::",
        "::1.2.3",
        "::٣",
        "1:2:3:4:5:6:7:192.0.2.1",
        "1::2:",
        "fe80::1%eth0",
    ],
)
def test_knows_what_is_not_ipv6(host):
    assert not is_ipv6(host)


def test_splits_host_and_port():
    assert split_hostport("example.com", "Via") == ("example.com", None)
    assert split_hostport("a_b.example.com:5070", "Via") == ("a_b.example.com", 5070)
    assert split_hostport("[::1]", "Via") == ("[::1]", None)
    assert split_hostport("[::1]:05060", "Via") == ("[::1]", 5060)


@pytest.mark.threat("T1")
@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        ":5060",
        "a:",
        "a:0",
        "a:65536",
        "a:-1",
        "a: 1",
        "a:٣",
        "a:1:2",
        "[::1",
        "[::1]x",
        "[::1]5060",
        "[]",
        "a..b",
        ".a",
        "-a",
        "a b",
        "é",
        "a:" + "1" * 10**5,
        "[::1]:",
    ],
)
def test_refuses_what_is_no_host_and_port(text):
    with pytest.raises(RemoteProtocolError) as caught:
        split_hostport(text, "Via")
    assert "Via" in (caught.value.header or "")
