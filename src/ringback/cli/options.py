"""``ringback options TARGET``: is it there, how fast does it answer, what can it do? (RFC 3261 §11)"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Annotated

import typer

from ringback.cli.terminal import (
    NO_ANSWER,
    REFUSED,
    SUCCESS,
    complain,
    console,
    fail,
    print_json,
    run_async,
)

if TYPE_CHECKING:
    from ringback.cli.probe import Answer, Credentials, Probe


def options(
    target: Annotated[str, typer.Argument(help="sip:bob@example.test, bob@example.test, example.test:5060 …")],
    count: Annotated[int, typer.Option("--count", "-c", min=1, help="How many to send.")] = 1,
    interval: Annotated[str, typer.Option("--interval", "-i", help="Between two: 1, 500ms.")] = "1",
    timeout: Annotated[str, typer.Option("--timeout", "-w", help="For each answer: 5, 500ms.")] = "5",
    from_: Annotated[str | None, typer.Option("--from", "-f", help="Who asks: sip:alice@example.test")] = None,
    header: Annotated[list[str] | None, typer.Option("--header", "-H", help='"Name: value". May be repeated.')] = None,
    proxy: Annotated[str | None, typer.Option("--proxy", "-p", help="Send it there instead.")] = None,
    local: Annotated[str | None, typer.Option("--local", "-l", help="Send from ip:port.")] = None,
    nameserver: Annotated[
        list[str] | None, typer.Option("--nameserver", help="Ask this DNS server: ip or ip:port. May be repeated.")
    ] = None,
    user: Annotated[str | None, typer.Option("--user", "-u", help="Answer a challenge as this user.")] = None,
    auth: Annotated[
        str | None, typer.Option("--auth", "-a", help="Password; better $RINGBACK_PASSWORD, or be asked.")
    ] = None,
    ha1: Annotated[str | None, typer.Option("--ha1", help="H(user:realm:password) instead of a password.")] = None,
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose", "-v", count=True, help="-v how it is found and what it can do, -vv replies, -vvv bytes."
        ),
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document an answer.")] = False,
) -> None:
    """Ask what a SIP element can do, and how long it takes to say so; like ping.

    Ends with 0 for a 2xx, 1 for another final response, 2 for a mistake of yours, 3 without an answer.
    """
    from ringback.cli.probe import Probe
    from ringback.cli.target import parse_target
    from ringback.cli.trace import WireTrace
    from ringback.server.settings import parse_listen

    here = parse_listen(local, "--local", ("UDP",)) if local is not None else None
    probe = Probe(
        parse_target(target),
        proxy=parse_target(proxy) if proxy is not None else None,
        local=(here.host, here.port) if here is not None else None,
        credentials=_credentials(user, auth, ha1),
        observer=WireTrace(verbose) if verbose >= 2 else None,
        nameservers=nameserver or (),
    )
    asker = _Asker(probe, _seconds(timeout, "--timeout"), parse_target(from_) if from_ else None, header or [])
    asker.show(verbose, as_json)
    raise typer.Exit(run_async(asker.run(count, _seconds(interval, "--interval"))))


class _Asker:
    """Sends the requests and shows what comes."""

    def __init__(self, probe: Probe, timeout: float, from_: str | None, headers: list[str]) -> None:
        self._probe = probe
        self._timeout = timeout
        self._from = from_
        self._headers = [("Accept", "application/sdp"), *(_header(text) for text in headers)]
        self._times: list[float] = []
        self._verbose = 0
        self._as_json = False

    def show(self, verbose: int, as_json: bool) -> None:
        """How much to show, and in which form."""
        self._verbose = verbose
        self._as_json = as_json

    async def run(self, count: int, interval: float) -> int:
        """Ask ``count`` times; the exit code, which is the worst that happened."""
        import asyncio
        from contextlib import AsyncExitStack

        worst = SUCCESS
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._probe)
            finally:
                if self._verbose and not self._as_json:
                    self._print_path()
            for number in range(1, count + 1):
                if number > 1:
                    await asyncio.sleep(interval)
                worst = max(worst, await self._once(number))
        if count > 1 and not self._as_json:
            self._sum_up(count)
        return worst

    async def _once(self, number: int) -> int:
        from ringback.errors import TransactionTimeout, TransportError

        try:
            answer = await self._probe.ask("OPTIONS", self._timeout, from_=self._from, headers=self._headers)
        except (TransportError, TransactionTimeout) as error:
            if self._as_json:
                print_json({"seq": number, "to": self._probe.destination, "status": None, "error": str(error)})
            else:
                complain(f"{error} (seq={number})")
            return NO_ANSWER
        self._times.append(answer.seconds)
        if self._as_json:
            print_json(_as_json(answer, number))
        else:
            self._print(answer, number)
        return SUCCESS if answer.response.status < 300 else REFUSED

    def _print_path(self) -> None:
        """How the target was found: NAPTR, SRV, addresses, and where that leads (RFC 3263)."""
        from ringback.callflow.correlate import printable
        from ringback.protocol.routing.flow import format_address

        show = console().print
        for question, records in self._probe.path:
            said = ["no answer"] if records is None else [str(record) for record in records] or ["none"]
            for text in said:
                show(f"  {question.kind} {printable(question.name)}: {printable(text)}", markup=False, highlight=False)
        hops = [f"{hop.transport.lower()} {format_address((hop.host, hop.port))}" for hop in self._probe.hops]
        if hops:
            show(f"  to {', then '.join(hops)}", markup=False, highlight=False)

    def _print(self, answer: Answer, number: int) -> None:
        from rich.text import Text

        from ringback.callflow.correlate import printable
        from ringback.cli.terminal import STYLES
        from ringback.protocol.routing.flow import format_address

        response = answer.response
        line = Text(f"{response.status} {printable(response.reason)}", style=STYLES[f"{response.status // 100}xx"])
        line.append(
            f" from {format_address(answer.source)} udp seq={number} {answer.seconds * 1000:.1f} ms", style="default"
        )
        name = response.get("server") or response.get("user-agent")
        if name:
            line.append(f" ({printable(name)})", style="default")
        console().print(line)
        if self._verbose:
            for header in ("Allow", "Supported", "Accept", "Accept-Encoding", "Accept-Language", "Contact", "Warning"):
                values = response.get_all(header.lower())
                if values:
                    console().print(f"  {header}: {printable(', '.join(values))}")

    def _sum_up(self, count: int) -> None:
        line = f"{count} sent, {len(self._times)} answered"
        if self._times:
            low, high = min(self._times) * 1000, max(self._times) * 1000
            line += f", min/avg/max {low:.1f}/{sum(self._times) * 1000 / len(self._times):.1f}/{high:.1f} ms"
        console().print(line)


def _as_json(answer: Answer, number: int) -> dict[str, object]:
    from ringback.protocol.routing.flow import format_address

    response = answer.response
    return {
        "seq": number,
        "status": response.status,
        "reason": response.reason,
        "from": format_address(answer.source),
        "transport": "udp",
        "ms": round(answer.seconds * 1000, 3),
        "server": response.get("server") or response.get("user-agent"),
        "allow": response.allow,
        "supported": response.supported,
        "accept": response.accept,
    }


def _credentials(user: str | None, password: str | None, ha1: str | None) -> Credentials | None:
    from ringback.cli.probe import Credentials

    if user is None:
        return None
    if ha1 is None and password is None:
        password = os.environ.get("RINGBACK_PASSWORD")
        if password is None:
            password = typer.prompt("Password", hide_input=True, err=True)
    return Credentials(user, password, ha1)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        fail(f'expected "Name: value", got {text!r}')
    return name.strip(), value.strip()


def _seconds(text: str, option: str) -> float:
    """A duration as people write it: ``2``, ``0.5``, ``2s``, ``500ms``."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)(ms|s)?", text, re.ASCII)
    if match is None:
        fail(f"{option}: expected seconds, as 2 or 500ms, got {text!r}")
    return float(match.group(1)) * (0.001 if match.group(2) == "ms" else 1.0)
