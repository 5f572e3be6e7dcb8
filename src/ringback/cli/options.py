"""``ringback options TARGET``: is it there, how fast does it answer, what can it do? (RFC 3261 §11)"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ringback.cli.shared import Asking, takes

if TYPE_CHECKING:
    from ringback.protocol.message.model import Response
    from ringback.ua import UserAgent


@takes(Asking)
def options(
    target: Annotated[str, typer.Argument(help="sip:bob@example.test, bob@example.test, example.test:5060 …")],
    given: Asking,
    port: Annotated[int | None, typer.Argument(help="The port, where it is not in the target.", min=1)] = None,
) -> None:
    """Ask what a SIP element can do, and how long it takes to say so; like ping.

    Ends with 0 for a 2xx, 1 for another final response, 2 for a mistake of yours, 3 without an answer.

    Examples: ringback options -v example.test; ringback ping -c 5 sip:bob@192.0.2.7; ringback options tls:example.test
    """
    from ringback.cli.agent import Identity
    from ringback.cli.asking import ask_and_show
    from ringback.cli.path import show_path

    identity = Identity(target if port is None else f"{target} {port}", given)
    headers, body = given.headers, given.read_body()
    if not any(name.lower() == "accept" for name, _ in headers):
        headers = [("Accept", "application/sdp"), *headers]

    async def ask(agent: UserAgent) -> Response:
        return await agent.request(
            "OPTIONS", identity.uri, headers=headers, body=body, content_type=given.content_type, contact=True
        )

    shown = given.verbose and given.form == "table" and not given.quiet and not given.nagios
    raise typer.Exit(ask_and_show(identity, given, ask, show_path if shown else None))
