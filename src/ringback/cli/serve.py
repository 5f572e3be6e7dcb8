"""``ringback serve``: registrar and proxy, until it is told to end."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringback.cli.terminal import complain, print_json, run_async

if TYPE_CHECKING:
    from ringback.server.settings import Settings

LEVELS = (logging.WARNING, logging.INFO, logging.INFO, logging.DEBUG)  # by the number of -v


def serve(
    config: Annotated[Path | None, typer.Option("--config", help="Settings file (default: ./ringback.toml …).")] = None,
    listen: Annotated[
        list[str] | None, typer.Option("--listen", help="Where: udp:127.0.0.1:5060. May be repeated.")
    ] = None,
    domain: Annotated[
        list[str] | None, typer.Option("--domain", help="For whom: example.test. May be repeated.")
    ] = None,
    store: Annotated[str | None, typer.Option("--store", help="sqlite:FILE or sqlite::memory:")] = None,
    open_: Annotated[bool, typer.Option("--open", help="No passwords: a lab.")] = False,
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="-v status lines, -vv replies, -vvv every byte.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Where it listens, and the log, as JSON lines.")] = False,
) -> None:
    """Serve: a registrar and forking proxy. Ends at SIGTERM or SIGINT.

    Example: ringback serve --listen udp:192.0.2.1:5060 --domain example.test
    """
    from ringback.server.settings import load

    settings = load(config, listen=listen or (), domains=domain or (), store=store, open_=True if open_ else None)
    _set_up_log(LEVELS[min(verbose, 3)], as_json)
    run_async(_serve(settings, verbose, as_json))


async def _serve(settings: Settings, verbose: int, as_json: bool) -> None:
    import asyncio

    from ringback.cli.trace import WireTrace
    from ringback.runtime.collector import tune_collector
    from ringback.server.server import Server

    loop = asyncio.get_running_loop()
    told_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_end.set)
    server = Server(settings, observer=WireTrace(verbose) if verbose else None)
    await server.start()
    collector = tune_collector(loop, lambda: server.stack.received)
    try:
        _announce(server.listening, settings, as_json)
        await told_to_end.wait()
    finally:
        collector.stop()
        await server.close()
    complain("ended")


def _announce(listening: list[str], settings: Settings, as_json: bool) -> None:
    """Say where we listen. Whoever started us may wait for this line."""
    if as_json:
        print_json(
            {
                "event": "listening",
                "listen": listening,
                "domains": settings.domains,
                "store": settings.store,
                "open": settings.open,
            }
        )
        return
    for address in listening:
        print(f"listening on {address}", flush=True)
    whom = ", ".join(settings.domains) or "our own addresses"
    lock = "open to everyone, no passwords" if settings.open else "users: ringback user add NAME"
    complain(f"serving {whom}; {settings.store}; {lock}")


def _set_up_log(level: int, as_json: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    if as_json:
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)


class JsonFormatter(logging.Formatter):
    """A record as one JSON object a line: time (epoch seconds), level, logger, message, and the exception, if any."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        import msgspec

        fields: dict[str, object] = {
            "time": record.created,
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(fields).decode()
