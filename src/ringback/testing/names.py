"""The DNS of the simulated world: what names lead to, and how well it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from ringback.errors import TransportError
from ringback.protocol.routing.records import Naptr, Srv
from ringback.transport.network import address_family

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringback.protocol.routing.records import Record

_TYPES = {"NAPTR": Naptr, "SRV": Srv}
_FAMILIES = {"A": 4, "AAAA": 6}


@final
class Conduct:
    """How a name is answered: after ``delay`` seconds, good for ``ttl`` seconds, or with a failure if it ``fails``."""

    __slots__ = ("delay", "fails", "ttl")

    def __init__(self, delay: float = 0.0, ttl: float = 0.0, fails: bool = False) -> None:
        self.delay = delay
        self.ttl = ttl
        self.fails = fails


@final
class NameServer:
    """How the world's DNS answers. Without a word it answers at once, and nobody remembers what it said.

    ``asked`` is every question that reached it: who asked, the name, the type.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self._conduct: dict[str, Conduct] = {}
        self._default = Conduct()

    def behave(self, name: str | None = None, *, delay: float = 0.0, ttl: float = 0.0, fails: bool = False) -> None:
        """From now on answer ``name`` (None: every name that has no conduct of its own) like this.

        With a ``ttl`` hosts remember the answer for so many seconds. A name that ``fails`` is as if its servers were
        broken; one with a long ``delay`` as if they were out of reach.
        """
        conduct = Conduct(delay, ttl, fails)
        if name is None:
            self._default = conduct
        else:
            self._conduct[name.lower()] = conduct

    def of(self, name: str) -> Conduct:
        """The conduct for ``name``."""
        return self._conduct.get(name.lower(), self._default)

    def answer(self, asker: str, zone: Mapping[str, list[Record]], name: str, kind: str) -> list[Record]:
        """The records of that type in ``zone``; TransportError when the name's conduct is to fail."""
        self.asked.append((asker, name, kind))
        if self.of(name).fails:
            raise TransportError(f"no answer for {kind} of {name}")
        records = zone.get(name.lower(), [])
        family = _FAMILIES.get(kind)
        if family is None:
            return [record for record in records if isinstance(record, _TYPES[kind])]
        return [record for record in records if isinstance(record, str) and address_family(record) == family]
