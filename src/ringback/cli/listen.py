"""``ringback listen [AOR]``: a phone that answers, or refuses, and says who called and what was said."""

from __future__ import annotations

from typing import Annotated

import typer

from ringback.cli.shared import Agent, seconds, takes
from ringback.cli.terminal import fail, run_async


@takes(Agent)
def listen(
    given: Agent,
    aor: Annotated[str | None, typer.Argument(help="Who we are: sip:bob@example.test")] = None,
    register: Annotated[bool, typer.Option("--register", "-r", help="Register first, and as long as we run.")] = False,
    expires: Annotated[int, typer.Option("--expires", "-x", min=1, help="Seconds to register for.")] = 3600,
    status: Annotated[int, typer.Option("--status", min=200, max=699, help="Answer calls so: 200, 486 …")] = 200,
    ring: Annotated[str, typer.Option("--ring", help="Ring so long before: 2, 500ms.")] = "0",
    count: Annotated[int | None, typer.Option("--count", "-c", min=1, help="End after so many calls.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document an event.")] = False,
) -> None:
    """Answer calls and texts until interrupted, and print what comes. No sound is sent or heard.

    Listens on --local (default port 5060, or any free one), by --transport (default udp).
    Example: ringback listen sip:bob@example.test --register -u bob --status 486
    """
    from ringback.cli.agent import Identity
    from ringback.cli.listening import Phone

    if register and aor is None and given.profile is None:
        fail("--register needs an AOR to register, or a profile")
    if 300 > status > 200:
        fail("--status: a call is answered by 200, or refused by 300 to 699")
    given.from_ = aor or given.from_
    given.transport = given.transport or "udp"
    identity = Identity(None, given)
    phone = Phone(identity, status, seconds(ring, "--ring"), count, as_json)
    raise typer.Exit(run_async(phone.run(expires if register else None)))
