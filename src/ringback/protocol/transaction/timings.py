"""The timer values of RFC 3261 §17 (table 4 in appendix A), all derived from T1, T2 and T4."""

from __future__ import annotations

from typing import final

DEFAULT_T1 = 0.5
DEFAULT_T2 = 4.0
DEFAULT_T4 = 5.0
DEFAULT_TIMER_C = 181.0  # more than three minutes (§16.6 step 11)
DEFAULT_TRYING_DELAY = 0.2  # §17.2.1
MINIMUM_TIMER_D = 32.0  # §17.1.1.2: the far end's T1 is not known


@final
class Timings:
    """Seconds. T1 is the round trip that is reckoned with, T2 the longest retransmission interval, T4 a message's life.

    ``timer_c`` is the proxy's (§16.6), ``trying_delay`` how long an INVITE waits for its user before the layer says
    100.
    Raises ``ValueError`` when one is not above zero or Timer C is not above three minutes.
    """

    __slots__ = (
        "t1",
        "t2",
        "t4",
        "timer_b",
        "timer_c",
        "timer_d",
        "timer_f",
        "timer_h",
        "timer_j",
        "timer_l",
        "timer_m",
        "trying_delay",
        "trying_due",
        "trying_lifetime",
    )

    def __init__(
        self,
        t1: float = DEFAULT_T1,
        t2: float = DEFAULT_T2,
        t4: float = DEFAULT_T4,
        *,
        timer_c: float = DEFAULT_TIMER_C,
        trying_delay: float = DEFAULT_TRYING_DELAY,
    ) -> None:
        if min(t1, t2, t4, trying_delay) <= 0 or timer_c <= 180:
            raise ValueError("T1, T2, T4 and the delay of 100 must be above 0 s, Timer C above 180 s")
        self.t1 = t1
        self.t2 = t2
        self.t4 = t4
        self.timer_b = self.timer_f = self.timer_h = self.timer_j = 64 * t1
        self.timer_l = self.timer_m = 64 * t1  # RFC 6026 §7
        self.timer_c = timer_c
        self.timer_d = max(MINIMUM_TIMER_D, 64 * t1)
        self.trying_delay = trying_delay
        self.trying_due = _time_until_t2(t1, t2)
        # A non-INVITE that is still unanswered when the far end's Timer F and its last message are gone can be
        # answered to nobody (RFC 4320 §4.2). Counted from the moment its 100 was due.
        self.trying_lifetime = max(self.timer_f + t4 - self.trying_due, t4)


def _time_until_t2(t1: float, t2: float) -> float:
    """How long a client's Timer E takes to be reset to T2 (RFC 4320 §4.1): 3.5 s with the default values."""
    elapsed = interval = t1
    while 2 * interval < t2:
        interval *= 2
        elapsed += interval
    return elapsed
