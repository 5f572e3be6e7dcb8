"""Names are looked up off the loop, remembered for a while, and never hold up others."""

from __future__ import annotations

import asyncio
import threading

import pytest

from ringback.errors import TransportError
from ringback.transport import resolver as module
from ringback.transport.coroutines import Suspended, drive
from ringback.transport.resolver import SystemResolver


class Zone:
    """A look-up that counts, and waits for ``gate`` where the name says slow."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gate = threading.Event()

    def __call__(self, name: str) -> list[str]:
        self.asked.append(name)
        if name.startswith("slow"):
            self.gate.wait(5)
        if name.startswith("nowhere"):
            raise OSError("Name or service not known")
        return ["192.0.2.1", "2001:db8::1"]


async def test_a_numeric_host_is_its_own_answer_without_suspending() -> None:
    resolver = SystemResolver(Zone())
    assert drive(resolver.addresses("192.0.2.7")) == ["192.0.2.7"]
    assert drive(resolver.addresses("2001:db8::7")) == ["2001:db8::7"]
    with pytest.raises(TransportError):
        drive(resolver.addresses("192.0.2.7", 6))


async def test_a_name_is_looked_up_once_and_then_remembered_without_suspending() -> None:
    zone = Zone()
    resolver = SystemResolver(zone)
    assert await resolver.addresses("Example.Test") == ["192.0.2.1", "2001:db8::1"]
    assert drive(resolver.addresses("example.test", 4)) == ["192.0.2.1"]
    assert drive(resolver.addresses("example.test", 6)) == ["2001:db8::1"]
    assert zone.asked == ["example.test"]
    resolver.close()


async def test_a_driven_look_up_can_be_made_a_task() -> None:
    resolver = SystemResolver(Zone())
    driven = drive(resolver.addresses("example.test"))
    assert isinstance(driven, Suspended)
    assert await asyncio.create_task(driven.rest) == ["192.0.2.1", "2001:db8::1"]
    resolver.close()


async def test_a_name_that_is_not_there_is_an_error_that_is_remembered_too() -> None:
    zone = Zone()
    resolver = SystemResolver(zone)
    for _ in range(2):
        with pytest.raises(TransportError, match=r"nowhere\.test"):
            await resolver.addresses("nowhere.test")
    assert zone.asked == ["nowhere.test"]
    resolver.close()


@pytest.mark.threat("T10")
async def test_a_slow_name_does_not_hold_up_another() -> None:
    zone = Zone()
    resolver = SystemResolver(zone)
    slow = asyncio.ensure_future(resolver.addresses("slow.test"))
    assert await resolver.addresses("quick.test")
    assert not slow.done()
    zone.gate.set()
    assert await slow
    resolver.close()


async def test_callers_for_the_same_name_share_one_look_up() -> None:
    zone = Zone()
    resolver = SystemResolver(zone)
    callers = [asyncio.ensure_future(resolver.addresses("slow.test")) for _ in range(5)]
    while not zone.asked:
        await asyncio.sleep(0)
    callers[0].cancel()  # one that gives up takes nothing from the others
    zone.gate.set()
    assert [await caller for caller in callers[1:]] == [["192.0.2.1", "2001:db8::1"]] * 4
    assert zone.asked == ["slow.test"]
    resolver.close()


async def test_a_look_up_that_takes_too_long_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    zone = Zone()
    resolver = SystemResolver(zone)
    with pytest.raises(TransportError):
        await resolver.addresses("slow.test")
    zone.gate.set()
    resolver.close()


async def test_what_was_remembered_too_long_is_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED_FOR", 0.0)
    zone = Zone()
    resolver = SystemResolver(zone)
    await resolver.addresses("example.test")
    await resolver.addresses("example.test")
    assert len(zone.asked) == 2
    resolver.close()


@pytest.mark.threat("T7")
async def test_memory_and_look_ups_under_way_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_NAMES", 3)
    monkeypatch.setattr(module, "MOST_UNDER_WAY", 2)
    zone = Zone()
    resolver = SystemResolver(zone)
    for number in range(10):
        await resolver.addresses(f"host{number}.test")
    assert len(resolver._remembered) <= 3
    slow = [asyncio.ensure_future(resolver.addresses(f"slow{number}.test")) for number in range(2)]
    while len(zone.asked) < 12:
        await asyncio.sleep(0)
    with pytest.raises(TransportError):
        await resolver.addresses("third.test")
    zone.gate.set()
    await asyncio.gather(*slow)
    resolver.close()


async def test_localhost_resolves_on_this_machine() -> None:
    resolver = SystemResolver()
    assert "127.0.0.1" in await resolver.addresses("localhost", 4)
    resolver.close()


async def test_a_coroutine_that_waits_without_suspending_first_is_refused() -> None:
    async def careless() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="suspend"):
        drive(careless())
