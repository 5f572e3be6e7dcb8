"""``ringback call TARGET``: call somebody, and say what happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ringback.cli.shared import Asking, seconds, takes

if TYPE_CHECKING:
    from ringback.protocol.message.model import Response
    from ringback.ua import UserAgent

LONGEST_END = 70.0  # seconds until CANCEL or BYE have had their answer, or never get one


@takes(Asking)
def call(
    target: Annotated[str, typer.Argument(help="sip:bob@example.test, bob@example.test, example.test:5060 …")],
    given: Asking,
    duration: Annotated[str, typer.Option("--duration", "-d", help="How long to talk: 10, 500ms.")] = "3",
) -> None:
    """Call, wait for an answer, talk, hang up. No sound is sent: the offer is of audio that is inactive.

    --timeout says how long it may ring before the call is withdrawn. Ends with 0 for a call that was answered, 1 for
    one that was refused, 3 for one that nobody answered.
    Example: ringback call sip:bob@192.0.2.7 -d 10 -w 30
    """
    from ringback.cli.agent import Identity
    from ringback.cli.asking import ask_and_show
    from ringback.cli.calling import talk
    from ringback.cli.phone import inactive_audio

    identity = Identity(target, given)
    talks = seconds(duration, "--duration")
    body = given.read_body() or inactive_audio(identity)
    if given.dry_run:
        talks = 0.0

    async def ask(agent: UserAgent) -> Response:
        return await talk(agent, identity, given, body, talks)

    raise typer.Exit(ask_and_show(identity, given, ask, waits=talks + LONGEST_END))
