"""What a user agent can do, as it tells in Allow, Accept, Supported (RFC 3261 §11.2) and as it holds others to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

from ringback.protocol.grammar import ascii_lower, strip_lws

# What the UAS core itself answers, in the order of RFC 3261.
METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS")
SDP = "application/sdp"


@final
class Capabilities:
    """True to what is switched on: whoever adds a method or a body type here must be there to take it.

    ``methods`` in the order of Allow; ``accept`` media types in lower case; ``supported`` option tags; ``sdp`` the
    session description told to those who ask by OPTIONS, None for none.
    """

    __slots__ = ("accept", "encodings", "languages", "methods", "sdp", "supported")

    def __init__(
        self,
        *,
        methods: Iterable[str] = (),
        accept: Iterable[str] = (),
        supported: Iterable[str] = (),
        languages: Iterable[str] = ("en",),
        sdp: bytes | None = None,
    ) -> None:
        self.methods = [*METHODS, *(method for method in methods if method not in METHODS)]
        self.accept = [SDP, *(kind for kind in accept if kind != SDP)]
        self.supported = list(supported)
        self.encodings = ["identity"]
        self.languages = list(languages)
        self.sdp = sdp

    @property
    def allow(self) -> tuple[str, str]:
        """The Allow header field (§20.5)."""
        return "Allow", ", ".join(self.methods)

    def headers(self) -> list[tuple[str, str]]:
        """Everything that the answer to OPTIONS says (§11.2). An empty Supported says that no extension is."""
        return [
            self.allow,
            ("Accept", ", ".join(self.accept)),
            ("Accept-Encoding", ", ".join(self.encodings)),
            ("Accept-Language", ", ".join(self.languages)),
            ("Supported", ", ".join(self.supported)),
        ]


def accepts(ranges: Iterable[str], kind: str) -> bool:
    """Whether a media type is within an Accept value's ranges (§20.1): ``type/subtype``, ``type/*`` or ``*/*``.

    A range with q=0 says that it is not wanted (RFC 2616 §14.1).
    """
    main = kind.partition("/")[0]
    for text in ranges:
        name, *params = [ascii_lower(strip_lws(part)) for part in text.split(";")]
        if name in (kind, f"{main}/*", "*/*") and not any(_is_zero(param) for param in params):
            return True
    return False


def _is_zero(param: str) -> bool:
    name, _, value = param.partition("=")
    return strip_lws(name) == "q" and strip_lws(value).rstrip("0") in ("", "0.", "0")
