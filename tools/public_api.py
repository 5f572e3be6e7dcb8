"""Write docs/reference/public-api.txt: every public name with its signature; a change of one is a line in a diff.

python tools/public_api.py           write it
python tools/public_api.py --check   exit 1 and show the difference when it is not up to date
"""

from __future__ import annotations

import difflib
import enum
import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("ringback", "ringback.testing")
REPORT = Path(__file__).parent.parent / "docs" / "reference" / "public-api.txt"


def report() -> str:
    """The whole text."""
    lines = ["# The public names and their signatures. Written by tools/public_api.py; do not edit."]
    for package in PACKAGES:
        module = importlib.import_module(package)
        lines += ["", package]
        for name in sorted(module.__all__):
            lines += [f"  {line}" for line in describe(name, getattr(module, name))]
    return "\n".join(lines) + "\n"


def describe(name: str, value: object) -> Iterator[str]:
    """One name and, below it, what belongs to it."""
    if not inspect.isclass(value):
        yield f"{name}{signature(value)}" if callable(value) else f"{name}: {type(value).__name__}"
        return
    bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
    yield f"class {name}({bases})" if bases else f"class {name}"
    if issubclass(value, enum.Enum):
        yield from (f"  {member.name} = {member.value!r}" for member in value)
        return
    if "__init__" in vars(value):
        yield f"  __init__{signature(value.__init__)}"
    for member, content in sorted(members(value).items()):
        if isinstance(content, property):
            yield f"  {member}: {annotation(content)}"
        elif isinstance(content, staticmethod | classmethod):
            yield f"  {type(content).__name__} {member}{signature(content.__func__)}"
        elif inspect.isfunction(content):
            kind = "async " if inspect.iscoroutinefunction(content) else ""
            yield f"  {kind}{member}{signature(content)}"


def members(kind: type) -> dict[str, object]:
    """The public members of a class, those of its bases in this package included."""
    found: dict[str, object] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.startswith("ringback"):
            found.update((name, content) for name, content in vars(base).items() if not name.startswith("_"))
    return found


class Text(str):
    """Text that is shown as it is, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def signature(function: object) -> str:
    """Parameters and result as written in the source; a default object without a form of its own is "..."."""
    if not callable(function):
        return ""
    written = inspect.signature(function)
    parameters = []
    for parameter in written.parameters.values():
        default = Text("...") if " at 0x" in repr(parameter.default) else parameter.default
        parameters.append(parameter.replace(default=default, annotation=text_of(parameter.annotation)))
    return str(written.replace(parameters=parameters, return_annotation=text_of(written.return_annotation)))


def text_of(annotation: object) -> object:
    """Annotations are text already, where nothing evaluates them."""
    return Text(annotation) if isinstance(annotation, str) else annotation


def annotation(content: property) -> str:
    """The type of a property as written in the source."""
    return str(inspect.get_annotations(content.fget).get("return", "?")) if content.fget else "?"


def main() -> int:
    text = report()
    if "--check" not in sys.argv[1:]:
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text(text, encoding="utf-8")
        return 0
    known = REPORT.read_text(encoding="utf-8") if REPORT.exists() else ""
    if known == text:
        return 0
    names = (str(REPORT.name), "the code")
    sys.stdout.writelines(difflib.unified_diff(known.splitlines(True), text.splitlines(True), *names))
    print("The public API has changed: run tools/public_api.py, and tell of it in CHANGELOG.md if it was released.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
