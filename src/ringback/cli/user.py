"""``ringback user add|list|passwd|rm``: who may register. Passwords are asked for, never shown, and never stored."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringback.cli.terminal import ask_password, complain, console, fail, print_json, print_table

if TYPE_CHECKING:
    from ringback.server.settings import Settings
    from ringback.server.stores.sqlite import SqliteStore

PATIENCE = 5.0  # seconds to wait while a running server writes

app = typer.Typer(help="Users: who may register and call.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option("--config", help="Settings file.")]
Store = Annotated[str | None, typer.Option("--store", help="Where users are kept: sqlite:FILE.")]
Domain = Annotated[str | None, typer.Option("--domain", help="The user's domain. Default: the first of the settings.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Ha1 = Annotated[
    list[str] | None,
    typer.Option(
        "--ha1", help="H(user:realm:password) in hex instead of a password; SHA-256:HEX for another than MD5."
    ),
]
Name = Annotated[str, typer.Argument(help="alice, alice@example.test or sip:alice@example.test")]


def open_store(config: Path | None, store: str | None) -> tuple[Settings, SqliteStore]:
    """The settings of this machine and the store they name."""
    from ringback.server.settings import load
    from ringback.server.stores.sqlite import SqliteStore

    settings = load(config, store=store)
    return settings, SqliteStore(settings.database, busy_wait=PATIENCE)


def split_name(name: str, domain: str | None, settings: Settings) -> tuple[str, str]:
    """User and domain of a name as it was typed."""
    from ringback.server.settings import default_domain

    bare = name.removeprefix("sip:")
    user, at, written = bare.rpartition("@")
    if not at:
        user, written = bare, domain or default_domain(settings)
    elif domain is not None and domain != written:
        fail(f"two domains for {name}: {written} and {domain}")
    if not user or not written:
        fail(f"expected user@domain, got {name!r}")
    return user, written.lower()


def read_proof(ha1: list[str]) -> str | dict[str, str]:
    """What proves the user: the HA1 given as ``[ALGORITHM:]HEX``, else a password."""
    from ringback.protocol.auth.digest import BASE_ALGORITHMS

    if not ha1:
        return read_password()
    proof = {}
    for text in ha1:
        name, colon, value = text.rpartition(":")
        algorithm = name if colon else "MD5"
        size = {"MD5": 32}.get(algorithm, 64)
        if algorithm not in BASE_ALGORITHMS or len(value) != size or not set(value.lower()) <= set("0123456789abcdef"):
            fail("--ha1: expected [ALGORITHM:]HEX, " + " or ".join(BASE_ALGORITHMS) + "; 32 digits for MD5, else 64")
        proof[algorithm] = value.lower()
    return proof


def read_password() -> str:
    """From ``$RINGBACK_PASSWORD``, or typed twice without being shown."""
    password = os.environ.get("RINGBACK_PASSWORD")
    if password is None:
        password = ask_password(twice=True)
    if not password:
        fail("an empty password is no password")
    return password


@app.command("add")
def add(
    name: Name,
    config: Config = None,
    store: Store = None,
    domain: Domain = None,
    ha1: Ha1 = None,
    as_json: Json = False,
) -> None:
    """Add a user. The password comes from a prompt or $RINGBACK_PASSWORD, unless --ha1 is given."""
    settings, open_ = open_store(config, store)
    user, where = split_name(name, domain, settings)
    with open_ as users:
        if users.exists(user, where):
            fail(f"there is a user {user} in {where} already")
        added = users.add_user(user, where, read_proof(ha1 or []), settings.auth.realm)
    if as_json:
        print_json({"user": added.username, "domain": added.domain, "realm": added.realm, "aor": added.aor})
        return
    console().print(f"added {added.aor}")
    console(stderr=True).print(
        f"A phone needs: user {added.username}, domain {added.domain}, server {_server(config)}, the password.",
    )


def _server(config: Path | None) -> str:
    """Where phones find the server, as far as the settings file says so: flags of ``serve`` are not known here."""
    from ringback.server.settings import find_file, load, read_file

    path = find_file(config, os.environ)
    if path is not None and "listen" in read_file(path):
        places = [it for it in load(path).addresses if it.port and it.host not in ("0.0.0.0", "::")]  # noqa: S104
        if places:
            return " or ".join(map(str, places))
    return "the address that serve listens on"


@app.command("list")
def list_users(config: Config = None, store: Store = None, as_json: Json = False) -> None:
    """List the users and the digest algorithms that they can use."""
    _, open_ = open_store(config, store)
    with open_ as users:
        found = users.users()
    if as_json:
        for user in found:
            print_json(
                {
                    "user": user.username,
                    "domain": user.domain,
                    "realm": user.realm,
                    "aor": user.aor,
                    "algorithms": list(user.algorithms),
                }
            )
        return
    if not found:
        complain("no users yet; ringback user add NAME adds one")
        return
    print_table(("AOR", "Realm", "Algorithms"), [(it.aor, it.realm, ", ".join(it.algorithms)) for it in found])


@app.command("passwd")
def passwd(name: Name, config: Config = None, store: Store = None, domain: Domain = None, ha1: Ha1 = None) -> None:
    """Give a user a new password, from a prompt or $RINGBACK_PASSWORD, or a new --ha1."""
    settings, open_ = open_store(config, store)
    user, where = split_name(name, domain, settings)
    with open_ as users:
        if not users.exists(user, where):
            fail(f"there is no user {user} in {where}")
        users.set_password(user, where, read_proof(ha1 or []))
    console().print(f"changed sip:{user}@{where}")


@app.command("rm")
def remove(name: Name, config: Config = None, store: Store = None, domain: Domain = None) -> None:
    """Remove a user, and what is registered for it."""
    settings, open_ = open_store(config, store)
    user, where = split_name(name, domain, settings)
    with open_ as users:
        if not users.remove_user(user, where):
            fail(f"there is no user {user} in {where}")
    console().print(f"removed sip:{user}@{where}")
