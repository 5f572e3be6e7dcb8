"""Answers are remembered for as long as they may be, within bounds (RFC 2308)."""

from __future__ import annotations

import asyncio

import pytest

from ringback.errors import TransportError
from ringback.protocol.routing.records import Record
from ringback.testing.world import World
from ringback.transport import record_cache as module
from ringback.transport.record_cache import Answer, RecordCache


class Source:
    """Answers every name but ``bad`` ones, and counts."""

    def __init__(self, lifetime: float = 60.0) -> None:
        self.lifetime = lifetime
        self.asked: list[str] = []
        self.records: list[Record] = ["192.0.2.1"]

    async def query(self, name: str, kind: str) -> Answer:
        self.asked.append(name)
        if name.startswith("bad"):
            raise TransportError("broken")
        if name.startswith("slow"):
            await asyncio.sleep(3)
        return self.records, self.lifetime


async def failing(cache: RecordCache, name: str, source: Source) -> None:
    with pytest.raises(TransportError):
        await cache.records(name, "A", source.query)


@pytest.mark.parametrize(
    ("records", "ttl", "good_for"),
    [(["192.0.2.1"], 60.0, 60), (["192.0.2.1"], 1e9, module.LONGEST), ([], 1e9, module.NOTHING_REMEMBERED_FOR)],
)
def test_an_answer_is_good_for_its_time_to_live_and_never_for_too_long(
    records: list[Record], ttl: float, good_for: float
) -> None:
    with World() as world:
        source = Source(ttl)
        source.records = records
        cache = RecordCache()

        async def scenario() -> None:
            for wait, asked in ((0, 1), (good_for - 1, 1), (2, 2)):
                await asyncio.sleep(wait)
                assert await cache.records("a.test", "A", source.query) == records
                assert len(source.asked) == asked

        world.run(scenario())


def test_an_answer_without_a_time_to_live_is_asked_for_each_time() -> None:
    with World() as world:
        source = Source(0.0)
        cache = RecordCache()

        async def scenario() -> None:
            for _ in range(3):
                await cache.records("a.test", "A", source.query)

        world.run(scenario())
        assert (len(source.asked), len(cache)) == (3, 0)


def test_a_failure_is_remembered_for_a_moment() -> None:
    with World() as world:
        source = Source()
        cache = RecordCache()

        async def scenario() -> None:
            for wait, asked in ((0, 1), (4, 1), (2, 2)):
                await asyncio.sleep(wait)
                await failing(cache, "bad.test", source)
                assert len(source.asked) == asked

        world.run(scenario())


@pytest.mark.threat("T7", "T10")
def test_memory_and_look_ups_under_way_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ANSWERS", 5)
    monkeypatch.setattr(module, "MOST_UNDER_WAY", 3)
    with World() as world:
        source = Source()
        cache = RecordCache()

        async def scenario() -> None:
            for number in range(20):
                await cache.records(f"{number}.test", "A", source.query)
            assert len(cache) == 5
            await cache.records("19.test", "A", source.query)
            assert len(source.asked) == 20, "the newest are kept"
            slow = [
                asyncio.ensure_future(cache.records(f"slow{number}.test", "A", source.query)) for number in range(3)
            ]
            await asyncio.sleep(0.1)
            assert cache.under_way == 3
            await failing(cache, "fourth.test", source)
            await asyncio.gather(*slow)
            assert cache.under_way == 0

        world.run(scenario())


def test_whoever_gives_up_takes_nothing_from_the_others_and_closing_ends_all() -> None:
    with World() as world:
        source = Source()
        cache = RecordCache()

        async def scenario() -> None:
            impatient = asyncio.ensure_future(cache.records("slow.test", "A", source.query))
            patient = asyncio.ensure_future(cache.records("slow.test", "A", source.query))
            await asyncio.sleep(1)
            impatient.cancel()
            assert await patient == ["192.0.2.1"]
            assert len(source.asked) == 1
            last = asyncio.ensure_future(cache.records("slow2.test", "A", source.query))
            await asyncio.sleep(1)
            cache.close()
            with pytest.raises(asyncio.CancelledError):
                await last
            assert cache.under_way == 0

        world.run(scenario())
