"""What IANA keeps under "Session Initiation Protocol (SIP) Parameters": methods, status codes, header fields.

One line a header, so that adding one is adding a line. A header that is not here is carried all the same; being
listed gives it a compact form, its spelling, and the right to be split at commas.
"""

from __future__ import annotations

from typing import final

from ringback.protocol.grammar import ascii_lower, is_token

# Method -> the RFC that defines it now.
METHODS: dict[str, int] = {
    "ACK": 3261,
    "BYE": 3261,
    "CANCEL": 3261,
    "INFO": 6086,
    "INVITE": 3261,
    "MESSAGE": 3428,
    "NOTIFY": 6665,
    "OPTIONS": 3261,
    "PRACK": 3262,
    "PUBLISH": 3903,
    "REFER": 3515,
    "REGISTER": 3261,
    "SUBSCRIBE": 6665,
    "UPDATE": 3311,
}

# Status code -> its canonical reason phrase.
STATUS: dict[int, str] = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    199: "Early Dialog Terminated",
    200: "OK",
    202: "Accepted",
    204: "No Notification",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    412: "Conditional Request Failed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    417: "Unknown Resource-Priority",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    424: "Bad Location Information",
    425: "Bad Alert Message",
    428: "Use Identity Header",
    429: "Provide Referrer Identity",
    430: "Flow Failed",
    433: "Anonymity Disallowed",
    436: "Bad Identity Info",
    437: "Unsupported Credential",
    438: "Invalid Identity Header",
    439: "First Hop Lacks Outbound Support",
    440: "Max-Breadth Exceeded",
    469: "Bad Info Package",
    470: "Consent Needed",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    494: "Security Agreement Required",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    555: "Push Notification Service Not Supported",
    580: "Precondition Failure",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
    607: "Unwanted",
    608: "Rejected",
}


@final
class Header:
    """A registered header field: spelling, compact form ("" if none), whether commas part its values, its source."""

    __slots__ = ("compact", "is_list", "name", "source")

    def __init__(self, name: str, compact: str, is_list: bool, source: str) -> None:
        self.name = name
        self.compact = compact
        self.is_list = is_list
        self.source = source


# Spelling, compact form, source. One header a line; _LIST are those whose values a comma parts (grammar "1#").
_LIST = """
Accept - RFC3261
Accept-Contact a RFC3841
Accept-Encoding - RFC3261
Accept-Language - RFC3261
Accept-Resource-Priority - RFC4412
Alert-Info - RFC3261
Allow - RFC3261
Allow-Events u RFC6665
Call-Info - RFC3261
Contact m RFC3261
Content-Encoding e RFC3261
Content-Language - RFC3261
Diversion - RFC5806
Error-Info - RFC3261
Feature-Caps - RFC6809
Geolocation - RFC6442
History-Info - RFC7044
Identity y RFC8224
In-Reply-To - RFC3261
P-Access-Network-Info - RFC7315
P-Asserted-Identity - RFC3325
P-Asserted-Service - RFC6050
P-Associated-URI - RFC7315
P-Early-Media - RFC5009
P-Media-Authorization - RFC3313
P-Preferred-Identity - RFC3325
P-Preferred-Service - RFC6050
P-Refused-URI-List - RFC5318
P-Visited-Network-ID - RFC7315
Path - RFC3327
Permission-Missing - RFC5360
Policy-Contact - RFC6794
Proxy-Require - RFC3261
Reason - RFC3326
Record-Route - RFC3261
Recv-Info - RFC6086
Reject-Contact j RFC3841
Request-Disposition d RFC3841
Require - RFC3261
Resource-Priority - RFC4412
Route - RFC3261
Security-Client - RFC3329
Security-Server - RFC3329
Security-Verify - RFC3329
Service-Route - RFC3608
Supported k RFC3261
Trigger-Consent - RFC5360
Unsupported - RFC3261
User-to-User - RFC7433
Via v RFC3261
Warning - RFC3261
"""

# Those whose line is one value. The authentication headers are here: their commas part parameters, not values.
_SINGLE = """
Additional-Identity - TS24.229
AlertMsg-Error - RFC8876
Answer-Mode - RFC5373
Attestation-Info - TS24.229
Authentication-Info - RFC3261
Authorization - RFC3261
Call-ID i RFC3261
Cellular-Network-Info - TS24.229
Content-Disposition - RFC3261
Content-ID - RFC8262
Content-Length l RFC3261
Content-Type c RFC3261
CSeq - RFC3261
Date - RFC3261
DC-Info - TS24.229
Encryption - RFC2543
Event o RFC6665
Expires - RFC3261
Flow-Timer - RFC5626
From f RFC3261
Geolocation-Error - RFC6442
Geolocation-Routing - RFC6442
Hide - RFC2543
Identity-Info n RFC4474
Info-Package - RFC6086
Join - RFC3911
Max-Breadth - RFC5393
Max-Forwards - RFC3261
MIME-Version - RFC3261
Min-Expires - RFC3261
Min-SE - RFC4028
Organization - RFC3261
Origination-Id - TS24.229
P-Answer-State - RFC4964
P-Called-Party-ID - RFC7315
P-Charge-Info - RFC8496
P-Charging-Function-Addresses - RFC7315
P-Charging-Vector - RFC7315
P-DCS-Billing-Info - RFC5503
P-DCS-LAES - RFC5503
P-DCS-OSPS - RFC5503
P-DCS-Redirect - RFC5503
P-DCS-Trace-Party-ID - RFC5503
P-Private-Network-Indication - RFC7316
P-Profile-Key - RFC5002
P-Served-User - RFC5502
P-User-Database - RFC4457
Policy-ID - RFC6794
Priority - RFC3261
Priority-Share - TS24.229
Priority-Verstat - TS24.229
Priv-Answer-Mode - RFC5373
Privacy - RFC3323
Proxy-Authenticate - RFC3261
Proxy-Authorization - RFC3261
RAck - RFC3262
Refer-Events-At - RFC7614
Refer-Sub - RFC4488
Refer-To r RFC3515
Referred-By b RFC3892
Relayed-Charge - TS24.229
Replaces - RFC3891
Reply-To - RFC3261
Resource-Share - TS24.229
Response-Key - RFC2543
Response-Source - TS24.229
Restoration-Info - TS24.229
Retry-After - RFC3261
RSeq - RFC3262
Server - RFC3261
Service-Interact-Info - TS24.229
Session-Expires x RFC4028
Session-ID - RFC7989
SIP-ETag - RFC3903
SIP-If-Match - RFC3903
Subject s RFC3261
Subscription-State - RFC6665
Suppress-If-Match - RFC5839
Target-Dialog - RFC4538
Timestamp - RFC3261
To t RFC3261
User-Agent - RFC3261
WWW-Authenticate - RFC3261
"""


def _read(table: str, is_list: bool) -> dict[str, Header]:
    found: dict[str, Header] = {}
    for line in table.split("\n"):
        if line:
            name, compact, source = line.split(" ")
            found[name.lower()] = Header(name, "" if compact == "-" else compact, is_list, source)
    return found


# Key (long name in lower case) -> the header.
HEADERS: dict[str, Header] = {**_read(_LIST, True), **_read(_SINGLE, False)}

# The keys whose values a comma parts, for a quick look.
LISTS: frozenset[str] = frozenset(key for key, header in HEADERS.items() if header.is_list)

# Spelling in lower case, long or compact -> key.
CANONICAL: dict[str, str] = {
    **{key: key for key in HEADERS},
    **{header.compact: key for key, header in HEADERS.items() if header.compact},
}

# Spelling as it came -> key: what has been met, kept so that one look-up names a header. Bounded, because the wire
# chooses the spellings.
KEYS: dict[str, str] = {
    spelling: key
    for key, header in HEADERS.items()
    for spelling in (header.name, key, header.compact, header.compact.upper())
    if spelling
}
_KEYS_LIMIT = len(KEYS) + 2048


def header_key(spelling: str) -> str:
    """The key of a header name in any spelling: the long form in lower case. "" when it is not a token (§25.1)."""
    key = KEYS.get(spelling)
    if key is None:
        name = spelling.rstrip(" \t")  # HCOLON allows white space before the colon, and it is no part of the name
        if not is_token(name):
            return ""
        lower = ascii_lower(name)
        key = CANONICAL.get(lower, lower)
        if len(KEYS) < _KEYS_LIMIT and len(spelling) <= 64:
            KEYS[spelling] = key
    return key


def display_name(key: str) -> str:
    """The usual spelling of a header's key: "Call-ID" for "call-id". One not registered: each word's capital."""
    header = HEADERS.get(key)
    if header is not None:
        return header.name
    return "-".join([word[:1].upper() + word[1:] for word in key.split("-")])
