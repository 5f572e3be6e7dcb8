"""``ringback location show``: who is registered, from where, for how long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from ringback.cli.terminal import REFUSED, complain, counted, fail, print_json, print_table
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
    """Show every binding: address-of-record, contact, q, seconds left, where it registered from.

    Ends with 1 when the user that was asked for is not registered.
    """
    _, open_ = open_store(config, store)
    now = time.time()
    with open_ as location:
        bindings = [binding for binding in location.all_bindings(now) if aor is None or _names(binding.aor, aor)]
        known = aor is None or bool(bindings) or any(_names(user.aor, aor) for user in location.users())
    if aor is not None and not bindings:
        fail(
            f"{aor} is not registered" if known else f"there is no user {aor}, and nobody has registered as that",
            REFUSED,
        )
    if as_json:
        for binding in bindings:
            print_json(_as_json(binding, now))
        return
    if not bindings:
        complain("nobody is registered")
        return
    print_table(
        ("AOR", "Contact", "q", "Expires", "From", "User-Agent"),
        [
            (
                binding.aor,
                binding.uri,
                f"{binding.q:g}",
                str(binding.seconds_left(now)),
                _source(binding),
                binding.user_agent,
            )
            for binding in bindings
        ],
    )
    users = counted(len({binding.aor for binding in bindings}), "address-of-record", "addresses-of-record")
    complain(f"{counted(len(bindings), 'binding')} of {users}")


def _names(known: str, aor: str) -> bool:
    """Whether what was typed means this address-of-record: bob, bob@example.test or sip:bob@example.test."""
    wanted = aor.removeprefix("sip:")
    return known == f"sip:{wanted}" or known.partition("@")[0] == f"sip:{wanted}"


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
