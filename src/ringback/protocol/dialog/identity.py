"""The identity of a dialog (RFC 3261 §12): Call-ID, our tag, their tag, as a plain tuple used as a dict key.

The same message names a dialog differently at its two ends, so there is one function for what we receive as a UAS
(the To tag is ours) and one for what we receive as a UAC (the From tag is ours). A tag that is missing, as RFC 2543
peers leave it out, counts as the empty string (§12.1.1, §12.1.2: "null").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringback.protocol.message.model import Request, Response

DialogId = tuple[str, str, str]  # Call-ID, local tag, remote tag


def of_request(request: Request) -> DialogId:
    """The dialog that a request we received speaks of (§12.2.2); its middle item is "" outside a dialog."""
    return request.call_id, request.to_tag or "", request.from_tag or ""


def of_response(response: Response) -> DialogId:
    """The dialog that a response to our own request speaks of (§12.1.2)."""
    return response.call_id, response.from_tag or "", response.to_tag or ""
