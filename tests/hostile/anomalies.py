"""What is put in the place of an element: classes of values that parsers have died of, in the manner of PROTOS c07-sip.

Every value is text for the wire; bytes that are not UTF-8 are lone surrogates, as the parser itself has them.
"""

from __future__ import annotations

LENGTHS = (1, 31, 127, 128, 255, 256, 511, 1023, 2047, 4095, 8000, 8191, 8192, 16383, 32767, 60000)


def _raw(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


OVERFLOW: dict[str, str] = {
    **{f"a x {size}": "a" * size for size in LENGTHS},
    "spaces x 5000": " " * 5000,
    "tabs x 2000": "\t" * 2000,
    "é x 3000": "é" * 3000,
    "\\xff x 3000": _raw(b"\xff" * 3000),
}

SEPARATORS: dict[str, str] = {
    f"{separator!r} x {count}": separator * count
    for separator in (
        *"\t @:;,=/?<>[]{}\\\"'.()&%*",
        "::",
        "//",
        "<>",
        '""',
        "a;",
        "a,",
        "a=",
        "()",
        "%41",
        "\\\\",
        "[]",
    )
    for count in (1, 2, 300)
}

FORMATS: dict[str, str] = {
    text[:20]: text for text in ("%s%s%s%s%n%n", "%d%x%p" * 50, "%999999999d", "%.9999f", "{0}{1!r}", "${jndi:x}", "%%")
}

ENCODINGS: dict[str, str] = {
    "overlong slash": _raw(b"a\xc0\xafb"),
    "overlong NUL": _raw(b"a\xc0\x80b"),
    "overlong CR LF": _raw(b"a\xc0\x8d\xc0\x8aX: y"),
    "half a sequence": _raw(b"a\xe2\x82"),
    "continuation alone": _raw(b"\x80\xbf"),
    "above U+10FFFF": _raw(b"\xf4\x90\x80\x80"),
    "encoded surrogate": _raw(b"\xed\xa0\x80"),
    "UTF-16": _raw("bob".encode("utf-16")),
    "BOM": "\ufeffbob",
    "line separator": "a\u2028X: y",
    "next line": "a\x85X: y",
    "right to left": "a\u202etset.elpmaxe",
    "no-break space": "a\u00a0b",
    "Latin-1": _raw(b"Andr\xe9"),
    "full width colon": "a\uff1ab",
    "Kelvin sign": "\u212aelvin",
    "dotless i": "\u0131nvite",
}

CONTROLS: dict[str, str] = {
    f"control {code:02x}": f"a{chr(code)}b" for code in (*range(10), 11, 12, *range(14, 32), 127)
} | {"NUL x 100": "\0" * 100, "escaped NUL in quotes": '"\\\0"', "escaped control in quotes": '"\\\x01"'}

LINE_ENDS: dict[str, str] = {
    "CR": "a\rb",
    "LF": "a\nb",
    "LF header": "a\nX-Injected: y",
    "CR header": "a\rX-Injected: y",
    "CRLF header": "a\r\nX-Injected: y",
    "CRLF Route": "a\r\nRoute: <sip:10.6.6.6;lr>",
    "end of headers": "a\r\n\r\nX-Injected: y",
    "fold": "a\r\n b",
    "fold, no text": "a\r\n \r\n\t\r\n b",
    "folds x 300": "a" + "\r\n b" * 300,
    "fold before": "\r\n a",
    "LF fold": "a\n b",
    "escaped CRLF": "a%0d%0aX-Injected:%20y",
    "escaped CRLF in quotes": '"a\\\r\\\nX-Injected: y"',
    "escaped NUL": "a%00b",
    "escaped twice": "a%250d%250aX: y",
}

NUMBERS: dict[str, str] = {
    name: text
    for text in (
        *(
            "0",
            "-0",
            "-1",
            "+1",
            "1.5",
            "1e9",
            "0x10",
            "010",
            "255",
            "256",
            "65535",
            "65536",
            "99999",
            " 1",
            "1 ",
            "1_0",
        ),
        *("2147483647", "2147483648", "4294967295", "4294967296", "18446744073709551615", "18446744073709551616"),
        *(
            "-2147483648",
            "-2147483649",
            "9" * 21,
            "9" * 400,
            "9" * 5000,
            "0" * 400 + "1",
            "\u0663",
            "1\u0663",
            "\u00b2",
        ),
        *("\uff11", "NaN", "inf", "1,2", "1;2", "1 2", "$1"),
    )
    for name in [f"number {ascii(text)[:24]} ({len(text)})"]
}

HOSTS: dict[str, str] = {
    text[:24]: text
    for text in (
        *(
            "256.1.1.1",
            "1.2.3",
            "1.2.3.4.5",
            "-1.0.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "127.0.0.1",
            "0177.0.0.1",
            "010.0.0.8",
        ),
        *(
            "2130706433",
            "0x7f000001",
            "10.0.0.8.",
            "1..2",
            ".",
            "..",
            "a..b",
            "-a",
            "a-",
            "_a",
            "localhost",
            "a" * 64 + ".test",
        ),
        *(
            "a." * 140 + "test",
            "[",
            "]",
            "[]",
            "[::",
            "[:::]",
            "[::1",
            "::1",
            "[::1]",
            "[::1]]",
            "[1:2:3:4:5:6:7:8:9]",
            "[::1]x",
        ),
        *(
            "[::ffff:10.0.0.8]",
            "[::ffff:010.0.0.8]",
            "[::ffff:256.0.0.1]",
            "[fe80::1%eth0]",
            "[12345::]",
            "[g::]",
            "[1::2::3]",
        ),
        *("[v1.x]", "xn--e1afmkfd.test", "b\u00fccher.test", "example.test:", "example.test:0", "example.test:65536"),
        *("example.test:-1", "example.test:5060:5060", "example.test:99999999999999999999", "exa mple.test", "a%2eb"),
    )
}

QUOTING: dict[str, str] = {
    text[:24]: text
    for text in (
        *(
            '"',
            '"a',
            'a"',
            '"a""b"',
            '"a\\"',
            '"a\\\\"',
            '"\\',
            '"a" b',
            '"a"b"c"',
            "'a'",
            '"' * 501,
            '"\\"' * 200,
            '\\"',
        ),
        *(
            "<",
            ">",
            "<>",
            "<<a>>",
            "<a",
            "a>",
            "a<b",
            "<sip:a@b",
            "sip:a@b>",
            "<sip:a@b>>",
            "<<sip:a@b>>",
            "<sip:a@b><sip:c@d>",
        ),
        *(
            "(",
            "(()",
            "(a(b)c)",
            "(" * 500 + ")" * 500,
            "(\\)",
            "%",
            "%4",
            "%zz",
            "%%41",
            "%00",
            "%C0%AF",
            "%0d%0a",
            "&lt;a&gt;",
        ),
    )
}

ADDRESSES: dict[str, str] = {
    text[:28]: text
    for text in (
        *(
            "sip:",
            "sip:@",
            "sip:@h",
            "sip:u@",
            "sip:u@@h",
            "sip:u@h@h",
            ":",
            "sip",
            "sips:u@h",
            "tel:+1",
            "tel:",
            "urn:a:b",
            "a:b",
        ),
        *(
            "SIP:u@h",
            "sip:u:@h",
            "sip::p@h",
            "sip:u:p:q@h",
            "sip:u@h;",
            "sip:u@h;;",
            "sip:u@h;=",
            "sip:u@h;a=",
            "sip:u@h;a;a",
        ),
        *(
            "sip:u@h;lr;LR",
            "sip:u@h?",
            "sip:u@h?a",
            "sip:u@h?Route=%3Csip:x%3E",
            "sip:u@h;maddr=127.0.0.1",
            "sip:u@h;transport=x",
        ),
        *(
            "sip:u@h;transport=tcp",
            "sip:u@h;ttl=256",
            "sip:u@h;method=BYE",
            "sip:;x@h",
            "sip:u;x@h",
            "sip:u?x@h",
            "sip:u/x@h",
        ),
        *(
            "sip:u@h:5060;lr",
            "mailto:a@b",
            "http://h/",
            "file:///etc/passwd",
            "data:,a",
            "*",
            "<sip:u@h",
            "sip:u h@h",
            "sip:u@h h",
        ),
        *(
            "sip:" * 100,
            "sip:u@" + "a." * 100 + "test",
            "sip:" + "u" * 2000 + "@h",
            "sip:u@h;" + "a=b;" * 500 + "c",
            "sip:u%00@h",
        ),
        *(
            "sip:u%0d%0a@h",
            "sip:u@h;a=%0d%0aX:y",
            "sip:10.0.0.1",
            "sip:rob@10.0.0.1",
            "sip:[::1]",
            "sip:u@[::ffff:010.0.0.1]",
        ),
    )
}

EMPTY: dict[str, str] = {"empty": "", "space": " ", "tab": "\t", "spaces and tabs": " \t \t"}

GENERAL = EMPTY | OVERFLOW | SEPARATORS | FORMATS | ENCODINGS | CONTROLS | LINE_ENDS | QUOTING

# A shorter list, for the elements that no code of ours reads.
BRIEF = (
    EMPTY
    | {name: OVERFLOW[name] for name in ("a x 255", "a x 8192", "a x 60000", "\\xff x 3000")}
    | FORMATS
    | {name: ENCODINGS[name] for name in ("overlong CR LF", "half a sequence", "next line")}
    | {name: CONTROLS[name] for name in ("control 00", "control 0b", "control 7f", "escaped NUL in quotes")}
    | {name: LINE_ENDS[name] for name in ("LF header", "CRLF header", "end of headers", "fold", "fold before")}
    | {name: text for name, text in SEPARATORS.items() if name.endswith("300")}
    | {name: NUMBERS[name] for name in list(NUMBERS)[2:3]}
    | {text[:12]: text for text in ('"', '"a\\', "<", "a,b,,c", "a;b=;c", "<sip:u@h>;x", "9" * 5000)}
)
