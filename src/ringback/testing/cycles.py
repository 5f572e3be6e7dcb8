"""What of ours only the garbage collector could free.

On the path of messages reference counts alone must free everything. Garbage that hangs together through somebody
else's frame is not ours: ``with pytest.raises(…) as refusal:`` makes such a cycle, of the error, its traceback, and the
frame of the test that holds both. So frames of other code are taken out of the picture, and what then is still in a
cycle, or held by one, counts.
"""

from __future__ import annotations

import gc
import inspect
from pathlib import Path
from types import FrameType

import ringback

_HOME = str(Path(ringback.__file__).parent)


def collect_cycles() -> list[str]:
    """Run the collector over what is not frozen; the names of our own objects that only it could free."""
    flags = gc.get_debug()
    gc.set_debug(flags | gc.DEBUG_SAVEALL)
    try:
        if not gc.collect():
            return []
        return sorted({name for name in map(_ours, _held_by_cycles(gc.garbage)) if name})
    finally:
        gc.set_debug(flags)
        gc.garbage.clear()


def _held_by_cycles(garbage: list[object]) -> list[object]:
    """What is left of ``garbage`` when all that nothing refers to is taken away, again and again."""
    left = {id(thing): thing for thing in garbage if not _is_foreign_frame(thing)}
    referred = dict.fromkeys(left, 0)
    for thing in left.values():
        for other in gc.get_referents(thing):
            if id(other) in referred:
                referred[id(other)] += 1
    free = [number for number, count in referred.items() if not count]
    while free:
        for other in gc.get_referents(left.pop(free.pop())):
            number = id(other)
            if number in left:
                referred[number] -= 1
                if not referred[number]:
                    free.append(number)
    return list(left.values())


def _is_foreign_frame(thing: object) -> bool:
    return isinstance(thing, FrameType) and not thing.f_code.co_filename.startswith(_HOME)


def _ours(thing: object) -> str | None:
    """A name for ``thing`` if it is Ringback's: an instance, a function, a coroutine or a frame of its modules."""
    if inspect.iscoroutine(thing):
        return f"coroutine {thing.__qualname__}" if thing.cr_code.co_filename.startswith(_HOME) else None
    if inspect.isfunction(thing):
        return f"function {thing.__qualname__}" if thing.__module__.startswith("ringback.") else None
    kind = type(thing)
    return kind.__qualname__ if kind.__module__.startswith("ringback.") else None
