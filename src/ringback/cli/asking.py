"""Asks as often as wanted and shows what comes, in the form that was asked for; what ``options`` and its kin share."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple, final

from ringback.cli.agent import Identity
from ringback.cli.dry_run import PaperNetwork
from ringback.cli.shared import Asking, seconds
from ringback.cli.terminal import (
    LOCAL_ERROR,
    NO_ANSWER,
    REFUSED,
    STYLES,
    SUCCESS,
    complain,
    console,
    print_json,
    run_async,
)
from ringback.errors import SipError, TransactionTimeout, TransportError

if TYPE_CHECKING:
    from ringback.protocol.message.model import Response
    from ringback.ua import UserAgent

SHOWN = ("Allow", "Supported", "Accept", "Accept-Encoding", "Accept-Language", "Contact", "Expires", "Warning")
CSEQ = re.compile(rb"^CSeq[ \t]*:[ \t]*([0-9]+)[ \t]+([^\s]+)", re.IGNORECASE | re.MULTILINE)
NAGIOS = {SUCCESS: (0, "OK"), REFUSED: (1, "WARNING"), NO_ANSWER: (2, "CRITICAL"), LOCAL_ERROR: (3, "UNKNOWN")}


class Answer(NamedTuple):
    """A final response, where it came from, by which transport, after how many seconds."""

    response: Response
    source: str
    transport: str
    seconds: float
    data: bytes


@final
class Witness:
    """An observer that knows when each request left, and when and whence its final response came, by their CSeq."""

    def __init__(self) -> None:
        self.destination = ""
        self._sent: dict[bytes, float] = {}
        self._came: dict[bytes, tuple[bytes, str, str, float]] = {}

    def message(self, direction: str, data: bytes, transport: str, local: str, remote: str, now: float) -> None:
        """See one message. A retransmission does not start the clock anew."""
        found = CSEQ.search(data)
        number = b"" if found is None else b" ".join(found.groups())
        if direction == "out":
            if data[:4] != b"SIP/":
                self._sent.setdefault(number, now)
                self.destination = remote
        elif data[:8] == b"SIP/2.0 " and data[8:9] != b"1":
            self._came.setdefault(number, (data, remote, transport, now))

    def answer(self, response: Response) -> Answer:
        """What is known of a final response."""
        number = f"{response.cseq.number} {response.cseq.method}".encode()
        data, source, transport, now = self._came.pop(number, (response.to_bytes(), "", "", 0.0))
        return Answer(response, source, transport.lower(), max(0.0, now - self._sent.pop(number, now)), data)


Ask = Callable[["UserAgent"], Awaitable["Response"]]
Before = Callable[[Identity], Awaitable[None]]


def ask_and_show(
    identity: Identity, given: Asking, ask: Ask, before: Before | None = None, *, waits: float = 0.0
) -> int:
    """The whole of a command: ``ask`` each time, after ``before`` has been done once; the exit code.

    ``waits`` is how many seconds it may take longer than its answer.
    """
    if given.dry_run:
        return run_async(_write_down(identity, ask))
    asker = Asker(identity, given, ask, before, waits)
    if not given.nagios:
        return run_async(asker.run())
    try:
        code = run_async(asker.run())
    except SipError as error:
        code = NO_ANSWER if isinstance(error, TransportError | TransactionTimeout) else LOCAL_ERROR
        asker.problem = str(error)
    return asker.sum_up_for_nagios(code)


async def _write_down(identity: Identity, ask: Ask) -> int:
    """What ``--dry-run`` does: the first message, on standard output."""
    network = PaperNetwork()
    resolver = identity.resolver()
    async with identity.agent(network=network) as agent:
        asking = asyncio.ensure_future(ask(agent))
        pending: list[asyncio.Future[Any]] = [asking, network.written]
        await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        if not network.written.done():
            network.written.cancel()
            await asking
        else:
            asking.cancel()
            sys.stdout.write(network.written.result().decode("utf-8", "backslashreplace").replace("\r\n", "\n"))
    resolver.close()
    return SUCCESS


@final
class Asker:
    """Sends the requests and shows what comes."""

    def __init__(self, identity: Identity, given: Asking, ask: Ask, before: Before | None, waits: float) -> None:
        self._identity = identity
        self._given = given
        self._ask = ask
        self._before = before
        self._waits = waits
        self._witness = Witness()
        self._timeout = seconds(given.timeout, "--timeout")
        self._interval = seconds(given.interval, "--interval")
        self._answers: list[Answer] = []
        self._documents: list[dict[str, object]] = []
        self.problem = "no answer"

    async def run(self) -> int:
        """Ask as often as wanted; the exit code, which is the worst that happened."""
        if self._before is not None:
            await self._before(self._identity)
        given = self._given
        worst = SUCCESS
        async with self._identity.agent(self._witness) as agent:
            for number in range(1, given.count + 1):
                if number > 1:
                    await asyncio.sleep(self._interval)
                worst = max(worst, await self._once(agent, number))
        if given.form == "json" and self._is_shown:
            print_json(self._documents)
        elif given.form == "table" and given.count > 1 and self._is_shown:
            console().print(self._summary())
        return worst

    @property
    def _is_shown(self) -> bool:
        return not self._given.quiet and not self._given.nagios

    async def _once(self, agent: UserAgent, number: int) -> int:
        try:
            with _status(self._identity.target.uri, shown=self._is_shown):
                response = await asyncio.wait_for(self._ask(agent), self._timeout + self._waits)
        except TimeoutError:
            where = self._witness.destination or self._identity.next_uri
            return self._failed(number, f"no answer from {where} within {self._timeout:g} s")
        except TransportError as error:
            where = self._witness.destination
            return self._failed(number, f"{where} cannot be reached: {error}" if where else str(error))
        answer = self._witness.answer(response)
        self._answers.append(answer)
        if self._is_shown:
            self._show(answer, number)
        return SUCCESS if response.status < 300 else REFUSED

    def _failed(self, number: int, problem: str) -> int:
        self.problem = problem
        document = {"seq": number, "to": self._witness.destination, "status": None, "error": problem}
        if not self._is_shown:
            return NO_ANSWER
        if self._given.form == "jsonl":
            print_json(document)
        elif self._given.form == "json":
            self._documents.append(document)
        else:
            complain(f"{problem} (seq={number})")
        return NO_ANSWER

    def _show(self, answer: Answer, number: int) -> None:
        form = self._given.form
        if form == "raw":
            sys.stdout.buffer.write(answer.data)
            sys.stdout.buffer.flush()
        elif form == "jsonl":
            print_json(as_document(answer, number))
        elif form == "json":
            self._documents.append(as_document(answer, number))
        else:
            self._print(answer, number)

    def _print(self, answer: Answer, number: int) -> None:
        from rich.text import Text

        from ringback.callflow.correlate import printable

        response = answer.response
        out = console()
        line = Text(f"{response.status} {printable(response.reason)}", style=STYLES[f"{response.status // 100}xx"])
        line.append(
            f" from {answer.source} {answer.transport} seq={number} {answer.seconds * 1000:.1f} ms", style="default"
        )
        name = response.get("server") or response.get("user-agent")
        if name:
            line.append(f" ({printable(name)})", style="default")
        out.print(line)
        for header in SHOWN if self._given.verbose else ("Warning",) if response.status >= 300 else ():
            values = [value for value in response.get_all(header.lower()) if value]
            if values:
                out.print(f"  {header}: {printable(', '.join(values))}")
        if self._given.verbose and response.body:
            out.print(printable(response.body.decode("utf-8", "backslashreplace").replace("\r\n", "\n")))

    def _summary(self) -> str:
        line = f"{self._given.count} sent, {len(self._answers)} answered"
        times = [answer.seconds * 1000 for answer in self._answers]
        if times:
            line += f", min/avg/max {min(times):.1f}/{sum(times) / len(times):.1f}/{max(times):.1f} ms"
        return line

    def sum_up_for_nagios(self, code: int) -> int:
        """One line with performance data; the exit code that a monitoring system understands."""
        result, word = NAGIOS[code]
        if self._answers and code != NO_ANSWER:
            last = self._answers[-1]
            milliseconds = last.seconds * 1000
            text = (
                f"{last.response.status} {last.response.reason} in {milliseconds:.1f} ms | rtt={milliseconds:.1f}ms;;;0"
            )
        else:
            text = self.problem
        console().print(f"SIP {word} - {text}")
        return result


def as_document(answer: Answer, number: int) -> dict[str, object]:
    """An answer for other programs."""
    response = answer.response
    return {
        "seq": number,
        "status": response.status,
        "reason": response.reason,
        "from": answer.source,
        "transport": answer.transport,
        "ms": round(answer.seconds * 1000, 3),
        "server": response.get("server") or response.get("user-agent"),
        "allow": response.allow,
        "supported": response.supported,
        "accept": response.accept,
        "contacts": [contact.uri_text for contact in response.contacts],
        "warning": response.get("warning"),
        "body": response.body.decode("utf-8", "backslashreplace"),
    }


class _status:  # noqa: N801 - used as a function
    """A spinner on a terminal while an answer is awaited; nothing elsewhere."""

    def __init__(self, whom: str, *, shown: bool) -> None:
        out = console(stderr=True)
        self._spinner = out.status(f"waiting for {whom}") if shown and out.is_terminal else None

    def __enter__(self) -> None:
        if self._spinner is not None:
            self._spinner.start()

    def __exit__(self, *_: object) -> None:
        if self._spinner is not None:
            self._spinner.stop()
