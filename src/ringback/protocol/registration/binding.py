"""A binding of an address-of-record to a contact (RFC 3261 §10), and what a REGISTER changes about bindings.

A binding is a value: the registrar makes a new one rather than editing one that a store handed out.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import final

from ringback.protocol.errors import LocalProtocolError
from ringback.protocol.routing.flow import Address, Flow, format_address


@final
class Binding:
    """One contact of an address-of-record, as the last REGISTER that touched it left it.

    ``aor`` canonical ``sip:user@host`` (RFC 3261 §10.3 step 5);
    ``uri`` the contact's URI as it was written, escapes and headers included;
    ``params`` the contact parameters as written, with their semicolons, without ``expires``: ``';q=0.5;+sip.ice'``;
    ``q`` 0.0 to 1.0, 1.0 where the contact names none (RFC 3261 leaves that open);
    ``expires_at`` epoch seconds; ``call_id``, ``cseq`` of that REGISTER (the ordering rule of step 7);
    ``instance`` the unquoted ``+sip.instance``, ``reg_id`` the ``reg-id`` (RFC 5626 §4.2.1), None where absent;
    ``path`` the Path values (RFC 3327), top first, each a route as written;
    ``received`` the flow the REGISTER came on (``flow_text``), empty when not known;
    ``user_agent`` its User-Agent; ``registered_at`` when it came, epoch seconds.
    """

    __slots__ = (
        "aor",
        "call_id",
        "cseq",
        "expires_at",
        "instance",
        "params",
        "path",
        "q",
        "received",
        "reg_id",
        "registered_at",
        "uri",
        "user_agent",
    )

    def __init__(
        self,
        aor: str,
        uri: str,
        params: str = "",
        q: float = 1.0,
        expires_at: float = 0.0,
        call_id: str = "",
        cseq: int = 0,
        instance: str | None = None,
        reg_id: int | None = None,
        path: list[str] | None = None,
        received: str = "",
        user_agent: str = "",
        registered_at: float = 0.0,
    ) -> None:
        self.aor = aor
        self.uri = uri
        self.params = params
        self.q = q
        self.expires_at = expires_at
        self.call_id = call_id
        self.cseq = cseq
        self.instance = instance
        self.reg_id = reg_id
        self.path = path if path is not None else []
        self.received = received
        self.user_agent = user_agent
        self.registered_at = registered_at

    def seconds_left(self, now: float) -> int:
        """Whole seconds until it expires, rounded up: never 0 for a binding that is still current."""
        return int(self.expires_at - now + 0.999) or 1

    def contact(self, now: float) -> str:
        """The Contact value that lists this binding in a 200 (RFC 3261 §10.3 step 8)."""
        return f"<{self.uri}>{self.params};expires={self.seconds_left(now)}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Binding) and all(
            getattr(self, name) == getattr(other, name) for name in Binding.__slots__
        )

    def __hash__(self) -> int:
        return hash((self.aor, self.uri))

    def __repr__(self) -> str:
        return f"Binding({self.aor} -> {self.uri} until {self.expires_at:.0f})"


class ChangeKind(StrEnum):
    """What happens to a binding."""

    ADD = "add"
    UPDATE = "update"
    REMOVE = "remove"


@final
class Change:
    """One step from the bindings that were to those that shall be.

    ``binding`` is the new one (ADD, UPDATE) or the one that goes (REMOVE); ``replaced`` is the one that UPDATE
    supersedes: its URI is equal by RFC 3261 §19.1.4, though perhaps not written alike.
    """

    __slots__ = ("binding", "kind", "replaced")

    def __init__(self, kind: ChangeKind, binding: Binding, replaced: Binding | None = None) -> None:
        self.kind = kind
        self.binding = binding
        self.replaced = replaced

    def __repr__(self) -> str:
        return f"Change({self.kind} {self.binding.uri})"


def changed(bindings: Sequence[Binding], changes: Sequence[Change]) -> list[Binding]:
    """The bindings that result: updated ones keep their place, new ones come last. Arguments are left alone.

    A binding is named by its URI as written, so the list may come from a store that was read anew. An update or
    removal of a binding that is gone adds it, or does nothing.
    """
    by_uri = {binding.uri: binding for binding in bindings}
    for change in changes:
        if change.kind is ChangeKind.REMOVE:
            by_uri.pop(change.binding.uri, None)
            continue
        old = change.replaced
        if old is not None and old.uri != change.binding.uri and old.uri in by_uri:
            # Spelled otherwise this time: the new spelling takes the place of the old.
            by_uri = {
                (change.binding.uri if uri == old.uri else uri): binding
                for uri, binding in by_uri.items()
                if uri != change.binding.uri
            }
        by_uri[change.binding.uri] = change.binding
    return list(by_uri.values())


def flow_text(flow: Flow) -> str:
    """A flow as one line of text, ``"UDP 192.0.2.1:5060 198.51.100.7:40000 0"``: how a binding keeps it."""
    return f"{flow.transport} {format_address(flow.local)} {format_address(flow.remote)} {flow.connection}"


def flow_from_text(text: str) -> Flow:
    """The flow that ``flow_text`` wrote. Raises LocalProtocolError when the text is none."""
    try:
        transport, local, remote, connection = text.split(" ")
        return Flow(transport, _address(local), _address(remote), int(connection))
    except ValueError as error:
        raise LocalProtocolError(f"not a flow: {text!r}") from error


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if host.startswith("["):
        host = host[1:-1]
    return host, int(port)
