"""The identity of a transaction (RFC 3261 §17.1.3, §17.2.3): plain tuples of strings, dict keys everywhere."""

from __future__ import annotations

# Client: (branch of the top Via, CSeq method). The method tells CANCEL from the INVITE whose branch it shares.
ClientKey = tuple[str, str]

# Server: (branch, sent-by "host:port" in lower case as written in the top Via, method; ACK counts as INVITE).
# From an RFC 2543 peer (branch without the magic cookie): the tuple that §17.2.3 compares, first item "2543".
ServerKey = tuple[str, ...]

MAGIC_COOKIE = "z9hG4bK"

# The first item of a key that was made for an RFC 2543 peer.
LEGACY = "2543"
