"""What the server asks of a store: where users are (location service) and who they are (user store).

Calls are synchronous and short, and belong to one turn of the stack:

1. ``bindings`` reads. The first read of a turn opens a snapshot that serves the whole turn.
2. ``begin`` takes the write lock. Call it **before** ``bindings`` when the answer will be handed to ``apply``, so that
   no other process changes that address-of-record in between. ``apply`` calls it where it was forgotten.
3. ``commit`` at the end of every turn, before anything of the turn is sent: a REGISTER is answered 200 only when its
   bindings are safe. It costs nothing when the turn touched no store. ``rollback`` when the turn failed.

An address-of-record is always the canonical text that ``Uri.aor`` makes.

Who calls ``bindings`` outside a turn of the stack (a command line) calls ``commit`` too, or uses the store as a
context manager.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, final

from ringback.protocol.errors import StoreError
from ringback.protocol.registration.binding import Binding, Change


class StoreBusy(StoreError):
    """Another process holds the write lock. Nothing was changed: the request goes into the next turn."""


@final
class User:
    """A user as the store lists one: never with what a password could be guessed from.

    ``username`` as it is typed, ``domain`` of its address-of-record, ``realm`` of its credentials, ``algorithms`` for
    which an HA1 is kept, in alphabetical order.
    """

    __slots__ = ("algorithms", "aor", "domain", "realm", "username")

    def __init__(self, username: str, domain: str, realm: str, aor: str, algorithms: tuple[str, ...]) -> None:
        self.username = username
        self.domain = domain
        self.realm = realm
        self.aor = aor
        self.algorithms = algorithms

    def __repr__(self) -> str:
        return f"User({self.aor})"


class Transactions(Protocol):
    """The turn of a store. All raise StoreBusy or StoreError."""

    def begin(self) -> None:
        """Take the write lock for the rest of the turn; nothing when it is held already."""

    def commit(self) -> None:
        """Make the turn's changes durable and end it. When it raises, the changes are gone and the turn is ended."""

    def rollback(self) -> None:
        """Drop the turn's changes and end it. Never raises."""


class LocationStore(Transactions, Protocol):
    """The location service (RFC 3261 §10). All raise StoreBusy or StoreError."""

    def bindings(self, aor: str, now: float) -> list[Binding]:
        """The current bindings of an address-of-record, in the order they were added; [] for none."""

    def apply(self, aor: str, changes: Sequence[Change]) -> None:
        """Apply all changes of one REGISTER, visible to this turn at once and to others after ``commit``."""

    def known(self, aor: str) -> bool:
        """Whether the address-of-record is a user's, or has or lately had bindings."""

    def all_bindings(self, now: float) -> Iterator[Binding]:
        """Every current binding, by address-of-record."""

    def count(self, now: float) -> tuple[int, int]:
        """How many addresses-of-record have bindings, and how many bindings there are. Reads the whole store."""

    def sweep(self, now: float, limit: int) -> int:
        """Look at the next ``limit`` addresses-of-record, remove those all of whose bindings have expired.

        Walks round the store from call to call. Returns how many were removed.
        """


class UserStore(Transactions, Protocol):
    """Users and their HA1 per algorithm; passwords are not kept (RFC 7616 §5.2). All raise StoreBusy or StoreError."""

    def ha1(self, username: str, realm: str, algorithm: str) -> str | None:
        """The stored H(username:realm:password) in hexadecimal, None for an unknown user or algorithm."""

    def exists(self, username: str, domain: str) -> bool:
        """Whether ``sip:username@domain`` is a user's address-of-record."""

    def aor_of(self, username: str, realm: str) -> str | None:
        """The address-of-record that these credentials own, None for an unknown user (RFC 3261 §10.3 step 4)."""

    def add_user(self, username: str, domain: str, password: str | Mapping[str, str], realm: str | None = None) -> User:
        """Add a user. ``realm`` None: the domain. StoreError when there already.

        ``password`` gives an HA1 for every algorithm known; a mapping of algorithm to HA1 is kept as it is.
        """

    def set_password(self, username: str, domain: str, password: str | Mapping[str, str]) -> None:
        """Replace what proves a user, as in ``add_user``. StoreError when there is no such user."""

    def remove_user(self, username: str, domain: str) -> bool:
        """Remove a user with its bindings. False when there is no such user."""

    def users(self) -> list[User]:
        """All users, by domain and name."""


class SecretStore(Transactions, Protocol):
    """Random keys that outlive the process. All raise StoreBusy or StoreError."""

    def secret(self, name: str, make: Callable[[], bytes]) -> bytes:
        """The secret of that name; the first call ever makes it. Durable after ``commit``."""
