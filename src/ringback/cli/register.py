"""``ringback register AOR``: tell a registrar where somebody is, ask it, or take it back (RFC 3261 §10.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ringback.cli.shared import Asking, takes
from ringback.cli.terminal import fail

if TYPE_CHECKING:
    from ringback.protocol.message.model import Response
    from ringback.ua import UserAgent


@takes(Asking)
def register(
    aor: Annotated[str, typer.Argument(help="Who: sip:alice@example.test")],
    given: Asking,
    expires: Annotated[int, typer.Option("--expires", "-x", min=0, help="Seconds; 0 takes the binding back.")] = 3600,
    contact: Annotated[str | None, typer.Option("--contact", "-C", help='Where: a URI, or "*" with -x 0.')] = None,
    query: Annotated[bool, typer.Option("--query", help="Only ask who is registered.")] = False,
) -> None:
    """Register, and leave the binding there; -v lists the bindings that there are.

    Goes to the domain of AOR, or to --proxy. ringback listen --register keeps a registration and takes calls.
    Example: ringback register sip:alice@example.test -u alice -p 192.0.2.1:5060
    """
    from ringback.cli.agent import Identity
    from ringback.cli.asking import ask_and_show
    from ringback.cli.target import parse_target
    from ringback.protocol.message.uri import Uri

    identity = Identity(aor, given)
    who = Uri.parse(identity.target.uri)
    if who.user is None:
        fail(f"expected user@domain, got {aor!r}")
    if given.from_ is None:
        identity.from_ = identity.target.uri
    identity.user = identity.user or who.user
    registrar = f"{who.scheme}:{who.hostport}"
    if who.transport is not None:
        registrar += f";transport={who.transport.lower()}"
    identity.target = identity.target._replace(uri=registrar)
    headers = given.headers
    if contact is not None and not query:
        headers.append(("Contact", contact if contact == "*" else f"<{parse_target(contact)}>"))
    if not query:
        headers.append(("Expires", str(expires)))

    async def ask(agent: UserAgent) -> Response:
        return await agent.request(
            "REGISTER",
            identity.uri,
            headers=headers,
            to=f"<{who.aor}>",
            contact=not query and contact is None,
            body=given.read_body(),
            content_type=given.content_type,
        )

    raise typer.Exit(ask_and_show(identity, given, ask))
