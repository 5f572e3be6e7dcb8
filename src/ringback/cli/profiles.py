"""Profiles: who one is and how one goes out, under a name, in the settings file beside what the server reads.

[profiles.work]
aor = "sip:alice@example.test"
password_env = "WORK_PASSWORD"
outbound_proxy = "sip:proxy.example.test"

[aliases]
bob = "sip:bob@example.test"
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from ringback.errors import SettingsError


class Profile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One of ``[profiles]``; an option on the command line comes before it."""

    aor: str | None = None
    auth_user: str | None = None
    password_env: str | None = None  # the environment variable that holds the password
    ha1: str | None = None
    outbound_proxy: str | None = None
    transport: str | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None


class Book(msgspec.Struct, kw_only=True):
    """What the file has for the commands."""

    profiles: dict[str, Profile] = {}
    aliases: dict[str, str] = {}

    def profile(self, name: str | None) -> Profile:
        """The profile of that name, an empty one for None. Raises ``SettingsError`` for a name that is none."""
        if name is None:
            return Profile()
        found = self.profiles.get(name)
        if found is None:
            known = ", ".join(self.profiles) or "none"
            raise SettingsError("--profile", f"there is no profile {name!r} ({known} known)")
        return found


def read_book(config: Path | None) -> Book:
    """The profiles and aliases of the settings file; empty when there is no file."""
    from ringback.server.settings import find_file, read_file

    path = find_file(config, os.environ)
    if path is None:
        return Book()
    try:
        return msgspec.convert(read_file(path), Book)
    except msgspec.ValidationError as error:
        raise SettingsError(str(path), str(error)[0].lower() + str(error)[1:]) from None
