"""Deadlines of a state machine: many timers, few distinct durations, one question ("when must I wake?").

Rule 1: a timer cannot be stopped. Its item says what it was for, and the machine that gets it decides from its state
whether that still means anything. A handle per timer would cost more than the stale timers do.

Rule 2: ``now`` never goes back from one call to the next. Timers of one duration are therefore started in the order in
which they end, and a first-in, first-out queue per duration keeps them sorted for nothing.

Theory of operation. ``start`` is for durations of a small fixed set (T1 and its doublings, 64*T1 ...): one queue each.
``start_at`` is for deadlines that are computed (Expires, a ring time): a heap. Should a caller break the promise and
``start`` ever new durations, those above ``MAX_QUEUES`` go to the heap too: slower, never wrong, never unbounded.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import Any, final

MAX_QUEUES = 32

Item = tuple[Any, ...]


def _deadline(entry: tuple[float, Item]) -> float:
    return entry[0]


@final
class TimerQueue:
    """Timers that carry an item, a tuple of whatever the owner likes. Times are seconds on the clock of ``now``."""

    __slots__ = ("_earliest", "_heap", "_number", "_queues")

    def __init__(self) -> None:
        self._earliest: float | None = None  # of all deadlines; a start can only lower it, ``expired`` finds it anew
        self._queues: dict[float, deque[tuple[float, Item]]] = {}
        # The number breaks ties, so that items are never compared.
        self._heap: list[tuple[float, int, Item]] = []
        self._number = 0

    def start(self, duration: float, item: Item, now: float) -> None:
        """Have ``item`` expire ``duration`` seconds from ``now``. For durations that recur; see ``start_at``."""
        queue = self._queues.get(duration)
        if queue is None:
            if len(self._queues) >= MAX_QUEUES:
                self.start_at(now + duration, item)
                return
            queue = self._queues[duration] = deque()
        deadline = now + duration
        queue.append((deadline, item))
        if self._earliest is None or deadline < self._earliest:
            self._earliest = deadline

    def start_at(self, deadline: float, item: Item) -> None:
        """Have ``item`` expire at ``deadline``. For deadlines of no fixed duration."""
        self._number += 1
        heappush(self._heap, (deadline, self._number, item))
        if self._earliest is None or deadline < self._earliest:
            self._earliest = deadline

    def expired(self, now: float) -> list[Item]:
        """Take out and return every item whose deadline is not after ``now``, the earliest first."""
        if self._earliest is None or self._earliest > now:
            return []
        due: list[tuple[float, Item]] = []
        sources = 0
        for queue in self._queues.values():
            if queue and queue[0][0] <= now:
                sources += 1
                while queue and queue[0][0] <= now:
                    due.append(queue.popleft())
        heap = self._heap
        if heap and heap[0][0] <= now:
            sources += 1
            while heap and heap[0][0] <= now:
                deadline, _, item = heappop(heap)
                due.append((deadline, item))
        if sources > 1:
            due.sort(key=_deadline)
        firsts = [queue[0][0] for queue in self._queues.values() if queue]
        if heap:
            firsts.append(heap[0][0])
        self._earliest = min(firsts, default=None)
        return [item for _, item in due]

    def next_deadline(self) -> float | None:
        """The earliest deadline, None when nothing is pending."""
        return self._earliest

    def clear(self) -> None:
        """Stop every timer."""
        self._earliest = None
        self._queues.clear()
        self._heap.clear()

    def __len__(self) -> int:
        """How many timers are pending, stale ones included."""
        return len(self._heap) + sum(map(len, self._queues.values()))
