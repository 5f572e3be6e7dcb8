"""SIPp as caller, phone and registering user."""

from __future__ import annotations

from pathlib import Path

from tests.interop.process import LOOPBACK, Child, Children, find, free_port, is_bound, wait_for

SCENARIOS = Path(__file__).parent / "scenarios"
DOMAIN = "example.test"


class SippError(AssertionError):
    """A scenario that SIPp did not see through; bears the messages it exchanged."""


class Sipp:
    """SIPp processes of one test, all talking to ``target`` (``host:port``) unless told otherwise."""

    def __init__(self, children: Children, target: str, domain: str = DOMAIN) -> None:
        self.children = children
        self.target = target
        self.domain = domain

    def start(
        self,
        scenario: str | Path,
        *options: str,
        port: int | None = None,
        calls: int = 1,
        keys: dict[str, str] | None = None,
        target: str | None = None,
        host: str = LOOPBACK,
        seconds: int = 20,
    ) -> Scenario:
        """Starts a scenario: one of ``scenarios/`` by name, another by path. ``keys`` fill its ``[name]`` places."""
        path = scenario if isinstance(scenario, Path) else SCENARIOS / f"{scenario}.xml"
        number = len(self.children.all)
        messages = self.children.folder / f"{number}-{path.stem}.messages"
        errors = self.children.folder / f"{number}-{path.stem}.errors"
        filled = {"domain": self.domain, "callee": f"bob@{self.domain}", "lifetime": "3600", **(keys or {})}
        command = [find("sipp") or "sipp", target or self.target, "-sf", str(path), "-nostdin", "-i", host]
        command += ["-p", str(port or free_port(host)), "-m", str(calls), "-timeout", str(seconds), "-timeout_error"]
        command += ["-trace_msg", "-message_file", str(messages), "-trace_err", "-error_file", str(errors)]
        command += [word for name, value in filled.items() for word in ("-key", name, value)]
        scenario_run = Scenario(self.children.start(path.stem, [*command, *options]), messages, errors, seconds)
        if port is not None:
            # Somebody will be told to send there: not before it listens.
            wait_for(lambda: is_bound(port, host), f"{path.stem} on port {port}")
        return scenario_run

    def run(self, scenario: str | Path, *options: str, **settings: object) -> Scenario:
        """Starts a scenario and sees it through."""
        started = self.start(scenario, *options, **settings)  # type: ignore[arg-type]
        started.passes()
        return started

    def register(self, user: str, port: int, *, password: str | None = None, q: str | None = None) -> Scenario:
        """Binds ``user`` of the domain to ``port`` on loopback, with digest where a password is given."""
        contact = f"<sip:{user}@{LOOPBACK}:{port}>" + (f";q={q}" if q else "")
        if password is None:
            return self.run("register", "-s", user, keys={"contact": contact})
        digest = ("-au", user, "-ap", password)
        return self.run("register_with_digest", "-s", user, *digest, keys={"contact": contact})


class Scenario:
    """One SIPp process and its verdict."""

    def __init__(self, child: Child, messages: Path, errors: Path, seconds: int) -> None:
        self.child = child
        self.messages = messages
        self.errors = errors
        self.seconds = seconds

    def passes(self) -> None:
        """Waits for the end; raises SippError with all that was said on the wire unless every call went as written."""
        code = self.child.wait(self.seconds + 10)
        if code:
            raise SippError(f"{self.child.name} ended with {code}\n{self.report()}")

    def fails(self) -> None:
        """Waits for the end, which must be a failed call (exit code 1)."""
        code = self.child.wait(self.seconds + 10)
        if code != 1:
            raise SippError(f"{self.child.name} ended with {code}, not 1\n{self.report()}")

    def report(self) -> str:
        errors = self.errors.read_text(errors="replace") if self.errors.exists() else ""
        return f"--- errors\n{errors[-4000:]}\n--- messages\n{self.traffic()[-20_000:]}"

    def traffic(self) -> str:
        """Every message that it sent or received, as SIPp logs them."""
        return self.messages.read_text(errors="replace") if self.messages.exists() else ""
