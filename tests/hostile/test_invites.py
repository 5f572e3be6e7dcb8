"""Thousands of hostile INVITEs and REGISTERs against a whole server, in the manner of PROTOS c07-sip.

After each, and after all of them, the server is as it was: see ``Range`` for the rules.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from ringback.testing.fixtures import pytest_runtest_makereport, world
from ringback.testing.world import World
from tests.hostile.cases import CREDENTIALS, INVITE, REGISTER, Case, crossed, elements, headers, structures
from tests.hostile.range import Range

__all__ = ["pytest_runtest_makereport", "world"]

SECURED = REGISTER.replace("Expires: ", CREDENTIALS + "Expires: ", 1)


def fire(world: World, caplog: pytest.LogCaptureFixture, cases: Iterable[Case], users: Iterable[str] = ()) -> Range:
    """Fire all cases at a new server; everything that must hold then is checked."""
    target = Range(world, caplog)

    async def scenario() -> None:
        await target.start(users)
        await target.barrage(cases)

    world.run(scenario())
    world.check_quiet()
    world.run(target.server.close())
    target.check_cost()
    return target


@pytest.mark.row("TRN-4", part="hostile INVITEs")
@pytest.mark.threat("T1")
@pytest.mark.threat("T2")
@pytest.mark.parametrize("element", list(elements(INVITE)))
def test_an_invite_with_one_element_wrong_harms_nobody(
    world: World, caplog: pytest.LogCaptureFixture, element: str
) -> None:
    target = fire(world, caplog, crossed(INVITE, 100_000, (element,)))
    assert not set(target.statuses) & {500, 503}


@pytest.mark.row("TRN-4", part="hostile REGISTERs")
@pytest.mark.threat("T1")
@pytest.mark.parametrize("element", list(elements(REGISTER)))
def test_a_register_with_one_element_wrong_harms_nobody(
    world: World, caplog: pytest.LogCaptureFixture, element: str
) -> None:
    target = fire(world, caplog, crossed(REGISTER, 200_000, (element,)))
    assert not set(target.statuses) & {503}


@pytest.mark.threat("T1")
@pytest.mark.threat("T5")
@pytest.mark.parametrize("element", list(elements(CREDENTIALS)))
def test_odd_credentials_are_challenged_or_refused(
    world: World, caplog: pytest.LogCaptureFixture, element: str
) -> None:
    target = fire(world, caplog, crossed(SECURED, 300_000, (element,)), users=("dave",))
    assert set(target.statuses) <= {400, 401}
    assert not target.server.counts()["server_transactions"]


@pytest.mark.row("TRN-4", part="hostile header fields")
@pytest.mark.threat("T3")
@pytest.mark.threat("T4")
def test_every_header_field_may_hold_anything(world: World, caplog: pytest.LogCaptureFixture) -> None:
    target = fire(world, caplog, headers(400_000))
    assert not set(target.statuses) & {500, 503}


@pytest.mark.row("TRN-4", part="messages wrong as a whole")
@pytest.mark.threat("T4")
def test_messages_wrong_as_a_whole_are_refused_or_dropped(world: World, caplog: pytest.LogCaptureFixture) -> None:
    target = fire(world, caplog, structures(500_000))
    assert not set(target.statuses) & {500, 503}


def test_there_are_thousands_of_them() -> None:
    invites = sum(1 for source in (crossed(INVITE, 0), headers(0), structures(0)) for _ in source)
    assert invites > 7000
