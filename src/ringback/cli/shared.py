"""The options that commands share, each with one meaning everywhere (``-h`` of any command lists them).

A command takes a whole group of them as one argument::

    @takes(Asking)
    def message(target: Target, text: Text, given: Asking) -> None: ...
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

from ringback.cli.terminal import fail

Form = Literal["table", "json", "jsonl", "raw"]
TRANSPORTS = ("udp", "tcp", "tls")
WHAT = "What is asked, and how it is shown"  # headings of the help
WHO = "Who asks, and by which way"


@dataclass(kw_only=True)
class Agent:
    """Who we are, and how we reach others."""

    from_: Annotated[str | None, typer.Option("--from", "-f", help="Who asks: sip:alice@example.test")] = None
    user: Annotated[str | None, typer.Option("--user", "-u", help="Answer a challenge as this user.")] = None
    auth: Annotated[
        str | None, typer.Option("--auth", "-a", help="Password; better $RINGBACK_PASSWORD, or be asked.")
    ] = None
    ha1: Annotated[str | None, typer.Option("--ha1", help="H(user:realm:password) instead of a password.")] = None
    proxy: Annotated[str | None, typer.Option("--proxy", "-p", help="Send it by way of this proxy.")] = None
    local: Annotated[str | None, typer.Option("--local", "-l", help="Send from ip:port, or from ip.")] = None
    transport: Annotated[
        str | None, typer.Option("--transport", "-T", help="udp, tcp or tls. Default: what the target says.")
    ] = None
    ipv4: Annotated[bool, typer.Option("-4", help="IPv4 only.")] = False
    ipv6: Annotated[bool, typer.Option("-6", help="IPv6 only.")] = False
    ca: Annotated[Path | None, typer.Option("--ca", help="Who may vouch for servers: PEM. Default: the system's.")] = (
        None
    )
    cert: Annotated[Path | None, typer.Option("--cert", help="Our certificate, for mutual TLS: PEM.")] = None
    key: Annotated[Path | None, typer.Option("--key", help="Its key, if in another file.")] = None
    nameserver: Annotated[
        list[str] | None, typer.Option("--nameserver", help="Ask this DNS server: ip or ip:port. May be repeated.")
    ] = None
    t1: Annotated[str | None, typer.Option("--t1", help="Timer T1 (RFC 3261 §17.1.1.1): 500ms.")] = None
    profile: Annotated[
        str | None, typer.Option("--profile", envvar="RINGBACK_PROFILE", help="Take what is not given from this one.")
    ] = None
    config: Annotated[Path | None, typer.Option("--config", help="File with the profiles.")] = None
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose", "-v", count=True, help="-v more of the answer, -vv replies in full, -vvv every message."
        ),
    ] = 0
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing; the exit code tells.")] = False


@dataclass(kw_only=True)
class Asking(Agent):
    """What is asked, how often, and in which form the answers are shown."""

    header: Annotated[list[str] | None, typer.Option("--header", "-H", help='"Name: value". May be repeated.')] = None
    body: Annotated[str | None, typer.Option("--body", "-b", help="The body.")] = None
    body_file: Annotated[str | None, typer.Option("--body-file", help="The body from a file, - for input.")] = None
    content_type: Annotated[str | None, typer.Option("--content-type", help="What the body is.")] = None
    count: Annotated[int, typer.Option("--count", "-c", min=1, help="How many to send.")] = 1
    interval: Annotated[str, typer.Option("--interval", "-i", help="Between two: 1, 500ms.")] = "1"
    timeout: Annotated[str, typer.Option("--timeout", "-w", help="For each answer: 5, 500ms.")] = "5"
    output: Annotated[Form, typer.Option("--output", "-o", help="Lines, one document, one a line, or as it came.")] = (
        "table"
    )
    as_json: Annotated[bool, typer.Option("--json", help="The same as -o jsonl.")] = False
    nagios: Annotated[bool, typer.Option("--nagios", help="One line and exit code for a monitoring system.")] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the message, send nothing.")] = False

    @property
    def form(self) -> Form:
        """How answers are shown."""
        return "jsonl" if self.as_json else self.output

    @property
    def headers(self) -> list[tuple[str, str]]:
        """``-H``, taken apart. Ends with 2 for what is none."""
        return [read_header(text) for text in self.header or ()]

    def read_body(self) -> bytes:
        """``-b`` or ``--body-file``. Ends with 2 when there are both, or the file cannot be read."""
        import sys

        if self.body_file is None:
            return (self.body or "").encode()
        if self.body is not None:
            fail("--body and --body-file: only one of them")
        try:
            return sys.stdin.buffer.read() if self.body_file == "-" else Path(self.body_file).read_bytes()
        except OSError as error:
            fail(f"--body-file: {self.body_file}: {error.strerror}")


def takes(group: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator: the options of ``group`` become options of the command, and reach it as its argument ``given``."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(group, include_extras=True)
        own = [it for name, it in inspect.signature(command, eval_str=True).parameters.items() if name != "given"]
        shared = [
            inspect.Parameter(it.name, inspect.Parameter.KEYWORD_ONLY, default=it.default, annotation=hints[it.name])
            for it in fields(group)
        ]
        names = [it.name for it in shared]
        whose = {it.name for it in fields(Agent)}
        for it in shared:
            it.annotation.__metadata__[0].rich_help_panel = WHO if it.name in whose else WHAT

        @functools.wraps(command)
        def run(**values: Any) -> None:
            given = group(**{name: values.pop(name) for name in names})
            command(**values, given=given)

        own = [it.replace(kind=inspect.Parameter.KEYWORD_ONLY) for it in own]
        # typer reads both.
        run.__dict__["__signature__"] = inspect.Signature([*own, *shared])
        run.__annotations__ = {it.name: it.annotation for it in (*own, *shared)}
        return run

    return decorate


def read_header(text: str) -> tuple[str, str]:
    """``Name: value`` taken apart; ends with 2 for what is none."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        fail(f'expected "Name: value", got {text!r}')
    return name.strip(), value.strip()


def seconds(text: str, option: str) -> float:
    """A duration as people write it: ``2``, ``0.5``, ``2s``, ``500ms``."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)(ms|s)?", text, re.ASCII)
    if match is None:
        fail(f"{option}: expected seconds, as 2 or 500ms, got {text!r}")
    return float(match.group(1)) * (0.001 if match.group(2) == "ms" else 1.0)
