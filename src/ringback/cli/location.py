"""``ringback location show``: who is registered, from where, for how long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from ringback.cli.terminal import complain, console, print_json
from ringback.cli.user import Config, Json, Store, open_store

if TYPE_CHECKING:
    from ringback.protocol.registration.binding import Binding

app = typer.Typer(help="The location service: who is registered where.", no_args_is_help=True)


@app.command("show")
def show(
    aor: Annotated[str | None, typer.Argument(help="Only this user: bob, or sip:bob@example.test")] = None,
    config: Config = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Show every binding: address-of-record, contact, q, seconds left, where it registered from."""
    _, open_ = open_store(config, store)
    now = time.time()
    with open_ as location:
        bindings = [binding for binding in location.all_bindings(now) if aor is None or _is(binding, aor)]
    if as_json:
        for binding in bindings:
            print_json(_as_json(binding, now))
        return
    if not bindings:
        complain("nobody is registered" if aor is None else f"{aor} is not registered")
        return
    from rich.table import Table

    from ringback.callflow.correlate import printable

    table = Table("AOR", "Contact", "q", "Expires", "From", "User-Agent", box=None, pad_edge=False, header_style="bold")
    for binding in bindings:
        table.add_row(
            *(
                printable(text)
                for text in (
                    binding.aor,
                    binding.uri,
                    f"{binding.q:g}",
                    str(binding.seconds_left(now)),
                    _source(binding),
                    binding.user_agent,
                )
            )
        )
    console().print(table)
    complain(f"{len(bindings)} bindings of {len({binding.aor for binding in bindings})} addresses-of-record")


def _is(binding: Binding, aor: str) -> bool:
    wanted = aor.removeprefix("sip:")
    return binding.aor == f"sip:{wanted}" or binding.aor.partition("@")[0] == f"sip:{wanted}"


def _source(binding: Binding) -> str:
    parts = binding.received.split(" ")
    return f"{parts[0].lower()}:{parts[2]}" if len(parts) == 4 else ""


def _as_json(binding: Binding, now: float) -> dict[str, object]:
    return {
        "aor": binding.aor,
        "contact": binding.uri,
        "q": binding.q,
        "expires": binding.seconds_left(now),
        "call_id": binding.call_id,
        "cseq": binding.cseq,
        "path": binding.path,
        "received": _source(binding),
        "user_agent": binding.user_agent,
    }
