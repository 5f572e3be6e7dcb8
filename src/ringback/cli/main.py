"""The program ``ringback``: its commands and what its exit codes mean.

0 a final 2xx, or all went well · 1 a final response other than 2xx, or a failed flow · 2 usage, settings or a local
error · 3 no answer, or the network failed · 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ringback.cli import call, config, demo, doctor, listen, location, options, register, send, serve, user
from ringback.cli.terminal import INTERRUPTED, LOCAL_ERROR, NO_ANSWER, complain

app = typer.Typer(
    name="ringback",
    help="SIP in Python: server, phones and tools.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.add_typer(user.app, name="user")
app.add_typer(location.app, name="location")
app.add_typer(config.app, name="config")
app.command("options")(options.options)
app.command("ping", hidden=True)(options.options)
app.command("register")(register.register)
app.command("message")(send.message)
app.command("send")(send.send)
app.command("call")(call.call)
app.command("dial", hidden=True)(call.call)
app.command("listen")(listen.listen)
app.command("answer", hidden=True)(listen.listen)
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"ringback {version('ringback')}")
        raise typer.Exit


@app.callback()
def ringback(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """SIP in Python: server, phones and tools."""


def run() -> int:
    """Run the command line of this process; the exit code."""
    from ringback.errors import SettingsError, SipError, StoreError, TransactionTimeout, TransportError

    try:
        app()
    except (TransportError, TransactionTimeout) as error:
        complain(error)
        return NO_ANSWER
    except (SettingsError, StoreError, SipError) as error:
        complain(error)
        return LOCAL_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    return 0
