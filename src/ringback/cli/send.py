"""``ringback send METHOD TARGET`` and ``ringback message TARGET TEXT``: any request outside of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ringback.cli.shared import Asking, takes
from ringback.cli.terminal import fail

if TYPE_CHECKING:
    from ringback.protocol.message.model import Response
    from ringback.ua import UserAgent

Target = Annotated[str, typer.Argument(help="sip:bob@example.test, bob@example.test, example.test:5060 …")]
To = Annotated[str | None, typer.Option("--to", "-t", help="To, where it is not the target.")]


@takes(Asking)
def send(
    method: Annotated[str, typer.Argument(help="INFO, NOTIFY, SUBSCRIBE … or one of your own.")],
    target: Target,
    given: Asking,
    to: To = None,
) -> None:
    """Send a request of any method, and show what answers it.

    ringback call makes an INVITE, its ACK and CANCEL; these are not sent by themselves.
    Example: ringback send NOTIFY sip:bob@192.0.2.7 -H "Event: check-sync"
    """
    from ringback.protocol.message.registry import METHODS

    name = method.upper() if method.upper() in METHODS else method
    if name in ("INVITE", "ACK", "CANCEL"):
        fail(f"{name} is part of a call: ringback call makes one")
    _ask(name, target, given, given.read_body(), given.content_type, to)


@takes(Asking)
def message(
    target: Target,
    given: Asking,
    text: Annotated[str | None, typer.Argument(help="What to say; or --body, --body-file.")] = None,
) -> None:
    """Send a short text (RFC 3428).

    Example: ringback message bob@example.test "call me back" --from alice@example.test -u alice
    """
    body = given.read_body() if text is None else text.encode()
    if text is not None and (given.body is not None or given.body_file is not None):
        fail("the text is given twice: as an argument and as --body or --body-file")
    if not body:
        fail("there is nothing to say: give a text, --body or --body-file")
    _ask("MESSAGE", target, given, body, given.content_type or "text/plain;charset=UTF-8", None)


def _ask(method: str, target: str, given: Asking, body: bytes, content_type: str | None, to: str | None) -> None:
    from ringback.cli.agent import Identity
    from ringback.cli.asking import ask_and_show
    from ringback.cli.target import read_target

    identity = Identity(target, given)
    headers = given.headers
    whom = None if to is None else f"<{read_target(to, identity.book, identity.domain).uri}>"

    async def ask(agent: UserAgent) -> Response:
        return await agent.request(
            method,
            identity.uri,
            headers=headers,
            body=body,
            content_type=content_type or ("text/plain" if body else None),
            to=whom,
            contact=method not in ("MESSAGE", "PUBLISH"),
        )

    raise typer.Exit(ask_and_show(identity, given, ask))
