"""SIGINT and SIGTERM for a program that waits in an event loop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def told_to_end() -> Iterator[asyncio.Future[int]]:
    """A future that gets the number of the first signal; the second acts as it did before, as do all afterwards.

    Outside of the main thread, and on a loop that takes no signals, it is never done.
    """
    loop = asyncio.get_running_loop()
    told: asyncio.Future[int] = loop.create_future()
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def restore() -> None:
        for number in caught:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])
        caught.clear()

    def tell(number: int) -> None:
        restore()
        told.set_result(number)

    caught: list[signal.Signals] = []
    try:
        for number in SIGNALS:
            loop.add_signal_handler(number, tell, number)
            caught.append(number)
    except (NotImplementedError, ValueError, RuntimeError):
        pass  # another thread's loop, or a simulated one: the program's own handlers stay
    try:
        yield told
    finally:
        restore()
