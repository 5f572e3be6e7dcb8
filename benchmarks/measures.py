"""What is measured: which scenario, at which rate, answered by which phones."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """One unit of work for a server.

    ``rate`` is units a second: the CPU of a unit depends on it, since a busy server wakes up less often, so both
    servers are given the same. ``users`` is how many different ones there are. ``quiet`` is how long in seconds the
    last timers of a transaction run on (32 s after a call); with it the cost to the very end is measured too.
    """

    name: str
    unit: str
    scenario: str
    rate: int
    users: int
    phones: tuple[str, ...] = ()
    quiet: float = 0.0


MEASURES = (
    Measure("options", "OPTIONS answered", "options", rate=4000, users=1000),
    Measure("register", "REGISTER, refreshing a binding", "register", rate=4000, users=20_000),
    Measure("message", "MESSAGE relayed", "message", rate=2000, users=1000, phones=("phone_reads",)),
    Measure("call", "call, INVITE to BYE", "call", rate=1000, users=1000, phones=("phone",), quiet=35.0),
    Measure(
        "fork", "call forked to two, one cancelled", "call", rate=500, users=1000, phones=("phone_wins", "phone_loses")
    ),
)
