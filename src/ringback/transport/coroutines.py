"""Running a coroutine without a task, as long as it does not wait.

A task costs 5 µs, a coroutine driven by hand a quarter of one; most steps on the path of a message never wait. One
that is about to wait awaits ``suspend()`` first: whoever drives it sees a bare yield and can still make it a task.
After a yield into asyncio (a future) it would be too late: the driver cannot hand that future back.
"""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar, final

T = TypeVar("T")


@types.coroutine
def suspend() -> Generator[None, None, None]:
    """Await this before the first thing that really waits."""
    yield


@final
class Suspended:
    """What ``drive`` gives for a coroutine that wants to wait; ``rest`` is to be made a task of its own.

    Another coroutine cannot await it: Python refuses to await what has been begun.
    """

    __slots__ = ("rest",)

    def __init__(self, rest: Coroutine[Any, Any, Any]) -> None:
        self.rest = rest


def drive(coroutine: Coroutine[Any, Any, T]) -> T | Suspended:
    """Run ``coroutine`` to its end or to its ``suspend()``; its exception comes out as it is.

    Raises RuntimeError if it waits for a future without ``suspend()``: the coroutine is closed then.
    """
    try:
        yielded = coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    if yielded is not None:
        coroutine.close()
        raise RuntimeError(f"{coroutine!r} waits without awaiting suspend() first")
    return Suspended(coroutine)
