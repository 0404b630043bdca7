"""Schedulers read page by page: what is asked, what is told, and when one counts as gone."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bridge.errors import SourceUnavailable
from bridge.sources.bullmq.door import Command, Door, Refused, Reply
from bridge.sources.bullmq.snapshots import schedulers
from bridge.sources.bullmq.snapshots.repeat import FIELDS, GONE_AFTER, snapshot
from bridge.sources.bullmq.snapshots.schedulers import Changes, Schedulers
from bridge.sources.bullmq.translate import Place
from tests.unit.bridge.entries import PLACE
from tocsin.events import SchedulerSnapshot

NOW = 1_795_330_800_000
HOUR = 3_600_000


class Sets(Door):
    """Holds `repeat` sets; pages of ZSCAN are as long as asked for. It notes what was asked."""

    def __init__(self) -> None:
        self.now = NOW
        self.runs: dict[bytes, int] = {}
        self.runs_of_other: dict[bytes, int] = {}
        self.has_hashes = True
        self.asked: list[Command] = []
        self.refuses: set[str] = set()
        self.primarys_runs: dict[bytes, int] | None = None
        self.data = b""
        self.most_bytes = 0

    def now_ms(self) -> int:
        return self.now

    @property
    def may_lag(self) -> bool:
        return self.primarys_runs is not None

    async def ask_primary(self, commands: Sequence[Command]) -> list[Reply]:
        mine, self.runs = self.runs, self.primarys_runs or {}
        try:
            return await self.ask(commands)
        finally:
            self.runs = mine

    async def ask(self, commands: Sequence[Command], *, timeout: float = 10, as_text: bool = False) -> list[Reply]:
        self.asked += commands
        self.most_bytes = max(self.most_bytes, len(self.data) * sum(command[0] == "HMGET" for command in commands))
        return [self._answer(command) for command in commands]

    def _answer(self, command: Command) -> Reply:
        if command[0] in self.refuses:
            return Refused("WRONGTYPE")
        if command[0] == "HMGET":
            if not self.has_hashes:
                raise SourceUnavailable("away")
            values: dict[str, Any] = {"name": b"tick", "every": b"60000", "ic": b"3", "data": self.data}
            return [values.get(name) for name in FIELDS]
        at, count = int(command[2]), int(command[4])
        runs = self.runs_of_other if "other" in str(command[1]) else self.runs
        flat = [part for raw, run in runs.items() for part in (raw, str(run).encode())]
        end = at + 2 * count
        return [str(end if end < len(flat) else 0).encode(), flat[at:end]]

    def hashes(self) -> int:
        """Hashes asked for since the last call."""
        count = sum(command[0] == "HMGET" for command in self.asked)
        self.asked.clear()
        return count


def known_to(door: Door, *told: SchedulerSnapshot) -> Schedulers:
    return Schedulers(door, "bull", told)


PLACES = {PLACE.queue: PLACE}


async def read(those: Schedulers, places: Mapping[str, Place] = PLACES) -> Changes:
    """What one reading of all these queues brought."""
    whole = Changes()
    async for changes in those.read(list({*places, *those.queues}), places):
        whole.told += changes.told
        whole.gone += changes.gone
    return whole


async def test_thousands_are_read_in_pages_and_cost_no_hash_while_nothing_moves() -> None:
    door = Sets()
    door.runs = {b"s%d" % number: NOW + HOUR for number in range(2_300)}
    those = known_to(door)

    first = await read(those)
    assert len(first.told) == 2_300
    assert sum(command[0] == "ZSCAN" for command in door.asked) == 5
    assert door.hashes() == 2_300
    assert not (await read(those)).told
    assert door.hashes() == 0
    door.runs[b"s7"] += 60_000
    [moved] = (await read(those)).told
    assert (moved.scheduler, moved.next_run, door.hashes()) == ("s7", NOW + HOUR + 60_000, 1)


async def test_what_does_not_change_is_told_within_a_minute_and_read_anew_now_and_then() -> None:
    door = Sets()
    door.runs = {b"poll": NOW + HOUR}
    those = known_to(door)
    await read(those)
    door.hashes()
    door.now += 55_000
    assert [one.ts for one in (await read(those)).told] == [door.now]
    assert door.hashes() == 0
    door.now += schedulers.REFRESH_MS
    await read(those)
    assert door.hashes() == 1


async def test_lateness_is_told_at_once() -> None:
    door = Sets()
    door.runs = {b"poll": NOW + 1000}
    those = known_to(door)
    await read(those)
    door.now += 5_500
    assert not (await read(those)).told
    door.now += 1_000
    [late] = (await read(those)).told
    assert (late.is_overdue, late.overdue_seconds) == (True, 5.5)
    assert those.counts() == {PLACE.queue: (1, 1)}


async def test_only_two_complete_readings_make_one_gone() -> None:
    door = Sets()
    door.runs = {b"poll": NOW + HOUR, b"stays": NOW + HOUR}
    those = known_to(door)
    await read(those)
    del door.runs[b"poll"]
    assert not (await read(those)).gone
    door.refuses = {"ZSCAN"}
    assert not (await read(those)).gone, "a refused reading says nothing"
    door.refuses = set()
    assert [one.scheduler for one in (await read(those)).gone] == ["poll"]
    assert not (await read(those)).gone


async def test_replica_that_knows_nothing_of_one_does_not_make_it_gone() -> None:
    """Its primary does: a slot moves, or it is behind."""
    door = Sets()
    door.runs = {b"poll": NOW + HOUR}
    door.primarys_runs = dict(door.runs)
    those = known_to(door)
    await read(those)
    door.runs = {}
    for _ in range(2 * GONE_AFTER):
        assert not (await read(those)).gone
    door.primarys_runs = {}
    gone = [one.scheduler for _ in range(GONE_AFTER) for one in (await read(those)).gone]
    assert gone == ["poll"]


async def test_one_that_is_back_in_the_next_reading_is_not_gone() -> None:
    door = Sets()
    door.runs = {b"poll": NOW + HOUR}
    those = known_to(door)
    await read(those)
    runs, door.runs = door.runs, {}
    await read(those)
    door.runs = runs
    await read(those)
    door.runs = {}
    assert not (await read(those)).gone


async def test_queue_that_is_not_watched_is_looked_at_for_what_is_gone_only() -> None:
    door = Sets()
    door.runs = {b"poll": NOW + HOUR}
    told = snapshot(PLACE, b"poll", NOW, [b"tick", *[None] * (len(FIELDS) - 1)], NOW)
    assert told is not None
    those = known_to(door, told)
    changes = await read(those, {})
    assert (changes.told, changes.gone) == ([], [])
    door.runs = {}
    await read(those, {})
    assert [one.scheduler for one in (await read(those, {})).gone] == ["poll"]


async def test_big_templates_are_asked_for_few_at_a_time_and_cut() -> None:
    door = Sets()
    door.data = b'{"text":"%s"}' % (b"x" * 500_000)
    door.runs = {b"s%d" % number: NOW + HOUR for number in range(60)}
    told = (await read(known_to(door))).told

    assert len(told) == 60
    assert door.most_bytes < 20 * 600_000, "no more than the first portion, of which nobody knew"
    assert door.hashes() == 60
    assert max(len(one.data) for one in told) < 5_000
    assert told[0].data.endswith("…[cut, 500011 in all]")


async def test_what_is_gone_in_one_queue_is_told_though_redis_fails_at_the_next() -> None:
    door = Sets()
    door.runs = {b"poll": NOW + HOUR}
    those = known_to(door)
    await read(those)
    door.runs = {}
    await read(those)
    door.runs_of_other, door.has_hashes = {b"new": NOW}, False
    gone: list[str] = []

    async def read_both() -> None:
        places = {**PLACES, "other": Place("prod", "main", "other")}
        async for changes in those.read(list(places), places):
            gone.extend(one.scheduler for one in changes.gone)

    with pytest.raises(SourceUnavailable):
        await read_both()
    assert gone == ["poll"]


async def test_what_was_read_is_told_though_the_hashes_of_others_do_not_come(monkeypatch: Any) -> None:
    door = Sets()
    door.runs = {b"s%d" % number: NOW + HOUR for number in range(100)}
    those, told = known_to(door), list[str]()

    async def read_until_away() -> None:
        async for changes in those.read(list(PLACES), PLACES):
            told.extend(one.scheduler for one in changes.told)

    real = door.ask

    async def ask(commands: Sequence[Command], **more: Any) -> list[Reply]:
        door.has_hashes = door.hashes() == 0 or commands[0][0] != "HMGET"
        return await real(commands, **more)

    monkeypatch.setattr(door, "ask", ask)
    with pytest.raises(SourceUnavailable):
        await read_until_away()
    assert 0 < len(told) < 100
    monkeypatch.setattr(door, "ask", real)
    door.has_hashes = True
    await read_until_away()
    assert sorted(told) == sorted(raw.decode() for raw in door.runs), "each once"


async def test_too_many_are_cut_and_then_none_is_gone(monkeypatch: Any) -> None:
    monkeypatch.setattr(schedulers, "MAX_SCHEDULERS", 1000)
    door = Sets()
    door.runs = {b"s%d" % number: NOW + HOUR for number in range(3_000)}
    those = known_to(door)
    assert len((await read(those)).told) == 1000
    door.runs = {b"t%d" % number: NOW + HOUR for number in range(3_000)}
    await read(those)
    assert not (await read(those)).gone


def hash_of(**fields: bytes) -> list[bytes | None]:
    return [fields.get(name) for name in FIELDS]


def test_hash_without_iteration_is_a_legacy_repeatable() -> None:
    one = snapshot(PLACE, b"0f3e", NOW, hash_of(name=b"old", pattern=b"* * * * *"), NOW)
    assert one is not None
    assert (one.is_legacy, one.iteration, one.scheduler, one.job_name) == (True, None, "0f3e", "old")


def test_old_shape_tells_itself_and_anything_else_without_a_hash_is_left_out() -> None:
    old = snapshot(PLACE, b"mail:7:1799999999000:Europe/Lisbon:0 9 * * *", NOW, hash_of(), NOW)
    assert old is not None
    assert (old.job_name, old.ends_at, old.timezone, old.pattern) == (
        "mail", 1_799_999_999_000, "Europe/Lisbon", "0 9 * * *",
    )  # fmt: skip
    every = snapshot(PLACE, b"mail::::5000", NOW, hash_of(), NOW)
    assert every is not None
    assert (every.every, every.pattern, every.is_legacy) == (5000, "", True)
    assert snapshot(PLACE, b"poll", NOW, hash_of(), NOW) is None
    assert snapshot(PLACE, b"mail::::5000", NOW, Refused("NOPERM"), NOW) is None


def test_odd_values_are_no_numbers() -> None:
    one = snapshot(PLACE, b"\xff:x", NOW, hash_of(name=b"\xff", every=b"soon", ic=b"x", limit=b"-1", endDate=b""), NOW)
    assert one is not None
    assert (one.every, one.iteration, one.max_iterations, one.ends_at) == (None, 0, None, None)
