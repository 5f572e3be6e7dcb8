"""The DNS records that lead to a SIP server, as values, and the order in which they are to be used.

``Naptr`` is RFC 3403 §4, ``Srv`` RFC 2782; an A or AAAA record is its numeric address. Names are written without the
final dot; the root alone is ".".
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import final

MOST_RECORDS = 64  # of one answer that are looked at, in the order of the rules


@final
class Naptr:
    """A NAPTR record. ``flags`` "s" says that SRV records are at ``replacement`` (RFC 3403 §4, RFC 3263 §4.1)."""

    __slots__ = ("flags", "order", "preference", "regexp", "replacement", "service")

    def __init__(
        self, order: int, preference: int, flags: str, service: str, replacement: str, regexp: str = ""
    ) -> None:
        self.order = order
        self.preference = preference
        self.flags = flags
        self.service = service
        self.replacement = replacement
        self.regexp = regexp

    def __str__(self) -> str:
        return (
            f'{self.order} {self.preference} "{self.flags}" "{self.service}" "{self.regexp}" {self.replacement or "."}'
        )

    def __repr__(self) -> str:
        return f"Naptr({self})"


@final
class Srv:
    """An SRV record (RFC 2782). A ``target`` of "." says that the service is decidedly not there."""

    __slots__ = ("port", "priority", "target", "weight")

    def __init__(self, priority: int, weight: int, port: int, target: str) -> None:
        self.priority = priority
        self.weight = weight
        self.port = port
        self.target = target

    def __str__(self) -> str:
        return f"{self.priority} {self.weight} {self.port} {self.target or '.'}"

    def __repr__(self) -> str:
        return f"Srv({self})"


Record = Naptr | Srv | str


def order_naptr(records: Iterable[Naptr]) -> list[Naptr]:
    """By order, then by preference, the lowest first (RFC 3403 §4.1)."""
    return sorted(records, key=lambda record: (record.order, record.preference))


def order_srv(records: Iterable[Srv], number: Callable[[int, int], int]) -> list[Srv]:
    """By priority, the lowest first, and at random by weight where it is the same (RFC 2782, "Usage rules").

    ``number(low, high)`` draws a whole number, both ends included.
    """
    ordered: list[Srv] = []
    # a weight of 0 stands first, so that it has its small chance beside heavy ones
    waiting = sorted(records, key=lambda record: (record.priority, record.weight > 0))
    while waiting:
        priority = waiting[0].priority
        group = [record for record in waiting if record.priority == priority]
        del waiting[: len(group)]
        while len(group) > 1:
            running = list(accumulate(record.weight for record in group))
            ordered.append(group.pop(bisect_left(running, number(0, running[-1]))))
        ordered += group
    return ordered
