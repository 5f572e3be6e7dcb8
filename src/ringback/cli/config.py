"""``ringback config show|check``: what ``serve`` would run with, and where each value comes from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringback.cli.terminal import complain, console, print_json, print_table
from ringback.cli.user import Config, Json

if TYPE_CHECKING:
    from ringback.server.settings import Settings

DEFAULT = "default"
SECRET = ("auth.secret",)

app = typer.Typer(help="The settings of the server.", no_args_is_help=True)
Origin = Annotated[bool, typer.Option("--origin", help="Say where each value comes from.")]


@app.command("show")
def show(config: Config = None, origin: Origin = False, as_json: Json = False) -> None:
    """Show every setting of the server, those that have their default included; secrets are not shown."""
    settings, path = _load(config)
    origins = _origins(path)
    values = {key: _shown(key, _value(settings, key)) for key in _keys()}
    if as_json:
        print_json({key: {"value": value, "origin": origins.get(key, DEFAULT)} for key, value in values.items()})
    elif origin:
        rows = [(key, _toml(value), origins.get(key, DEFAULT)) for key, value in values.items()]
        print_table(("Setting", "Value", "Origin"), rows)
    else:
        for key, value in values.items():
            console().print(f"{key} = {_toml(value)}")


@app.command("check")
def check(config: Config = None) -> None:
    """Read the settings file, and say whether ``serve`` could use it. Ends with 2 when not, naming the key at fault."""
    from ringback.server.settings import default_domain

    settings, path = _load(config)
    default_domain(settings)
    _check_files(settings)
    if path is None:
        complain("no settings file: all is as by default")
    else:
        console().print(f"{path}: all is well")


def _check_files(settings: Settings) -> None:
    """Raises ``SettingsError`` for certificates that cannot be used."""
    from ringback.server.server import tls_configuration

    tls_configuration(settings)


def _load(config: Path | None) -> tuple[Settings, Path | None]:
    from ringback.server.settings import find_file, load

    return load(config), find_file(config, os.environ)


def _keys() -> list[str]:
    from ringback.server.settings import known_keys

    return known_keys()


def _origins(path: Path | None) -> dict[str, str]:
    """The keys that the file has, each with the file's name."""
    from ringback.server.settings import read_file

    if path is None:
        return {}
    found = {}
    for key, value in read_file(path).items():
        names = [f"{key}.{name}" for name in value] if isinstance(value, dict) else [key]
        found.update(dict.fromkeys(names, str(path)))
    return found


def _value(settings: Settings, key: str) -> Any:
    value: Any = settings
    for name in key.split("."):
        value = getattr(value, name)
    return value


def _shown(key: str, value: Any) -> Any:
    return "(not shown)" if key in SECRET and value is not None else value


def _toml(value: Any) -> str:
    """A value as the file would have it; what has none is said so."""
    import msgspec

    return "(none)" if value is None else msgspec.json.encode(value).decode()
