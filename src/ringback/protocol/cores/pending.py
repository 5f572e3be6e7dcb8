"""A request that was handed to the user of the UAS core, until it is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from ringback.protocol.dialog.state import Dialog
    from ringback.protocol.message.model import Request


@final
class Pending:
    """A request that the user has and has not answered yet; ``contact`` is our Contact value where it came in."""

    __slots__ = ("contact", "dialog", "request", "tag")

    def __init__(self, request: Request, tag: str, contact: str, dialog: Dialog | None) -> None:
        self.request = request
        self.tag = tag
        self.contact = contact
        self.dialog = dialog
