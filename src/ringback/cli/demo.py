"""``ringback demo``: see a call go through the server."""

from __future__ import annotations

from typing import Annotated

import typer

from ringback.cli.terminal import run_async


def demo(
    ascii_only: Annotated[bool, typer.Option("--ascii", help="Draw with ASCII only.")] = False,
) -> None:
    """Watch a call: three phones register, two ring, one answers, the other stops ringing.

    Picks free ports, leaves nothing behind. Ends with 1 if the call did not go as it should.
    """
    from ringback.cli.demo_call import Demo

    raise typer.Exit(run_async(Demo(ascii_only).run()))
