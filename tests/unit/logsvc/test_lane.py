"""The exactly-once protocol of one partition, against stand-ins that fail, forget and come late."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from logsvc.deadletters.letters import Letter
from logsvc.errors import Fenced, RowsRefused, StoreDown
from logsvc.ingest.batch import Feed, Span
from logsvc.ingest.lane import Lane, Limits
from logsvc.ingest.pace import Pace
from logsvc.metrics import Metrics
from logsvc.partitions import Bounds, Committed, Place
from tests.eventually import READY_SECONDS
from tests.unit.logsvc.records import NOW_MS, FakeRecord, record
from tocsin.events import DeadLetter, JobEvent, decode

PLACE = Place("tocsin.jobs", 3)
FEED = Feed("tocsin.jobs", "journal", JobEvent, "event")
DEADLINE = READY_SECONDS
YEARS = 36_500
"""Days that rows are kept: these tests write at a fixed time."""


@dataclass
class FakeLog:
    """Kafka for one partition."""

    records: list[FakeRecord] = field(default_factory=list[FakeRecord])
    commits: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    is_fenced: bool = False
    paused: bool = True
    sought: int | None = None
    begin: int = 0
    passed: int = 0
    last: int | None = None
    """The end, where it is not after a marker that follows the last record."""

    async def committed(self, place: Place) -> Committed:
        return Committed(*self.commits[-1]) if self.commits else Committed(None, "")

    async def bounds(self, place: Place) -> Bounds:
        after_marker = self.records[-1].offset + 2 if self.records else 0
        return Bounds(self.begin, after_marker if self.last is None else self.last)

    async def commit(self, place: Place, offset: int, metadata: str) -> None:
        if self.is_fenced:
            raise Fenced("gone")
        self.commits.append((offset, metadata))

    async def position(self, place: Place) -> int | None:
        return self.passed

    async def peek(self, place: Place, offset: int) -> FakeRecord | None:
        return next((one for one in self.records if one.offset == offset), None)

    def seek(self, place: Place, offset: int) -> None:
        self.sought = offset

    def pause(self, place: Place) -> None:
        self.paused = True

    def resume(self, place: Place) -> None:
        self.paused = False


def offsets_of(rows: bytes) -> list[int]:
    return [int(json.loads(line)["kafka_offset"]) for line in rows.splitlines()]


@dataclass
class FakeTable:
    """ClickHouse with its memory of tokens. on_insert may raise before or after the rows are kept."""

    rows: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    tokens: dict[str, int] = field(default_factory=dict[str, int])
    cluster: str = "c"
    before: Callable[[str, list[int]], None] = lambda token, offsets: None
    after: Callable[[str, list[int]], None] = lambda token, offsets: None
    ts_of: Callable[[int], int] = lambda offset: NOW_MS + offset
    unreadable: dict[int, int] = field(default_factory=dict[int, int])
    """Offsets that cannot be read, with the code that says so."""

    async def insert(self, table: str, rows: bytes, token: str) -> None:
        offsets = offsets_of(rows)
        self.before(token, offsets)
        self.keep(token, offsets)
        self.after(token, offsets)

    def keep(self, token: str, offsets: Sequence[int]) -> None:
        if token in self.tokens:
            return
        self.tokens[token] = len(offsets)
        for offset in offsets:
            self.rows.setdefault(offset, []).append(len(self.tokens))

    async def cannot_read(self, table: str, rows: bytes) -> int | None:
        return next((self.unreadable[one] for one in offsets_of(rows) if one in self.unreadable), None)

    async def offsets(
        self, table: str, origin: tuple[str, str, int], span: Span, ts_bounds: tuple[int, int]
    ) -> set[int]:
        return {offset for offset in self.rows if span.first <= offset <= span.last}

    async def newest_row(
        self, table: str, origin: tuple[str, str, int], first: int, last: int
    ) -> tuple[int, int] | None:
        newest = max((offset for offset in self.rows if first <= offset <= last), default=None)
        return (newest, self.ts_of(newest)) if newest is not None else None

    async def newest_offsets(self, table: str, topic: str, partition: int) -> dict[str, int]:
        return {self.cluster: max(self.rows)} if self.rows else {}

    @property
    def is_exact(self) -> bool:
        return all(len(times) == 1 for times in self.rows.values())


@dataclass
class FakeLetters:
    letters: list[DeadLetter] = field(default_factory=list[DeadLetter])
    calls: int = 0

    async def write(self, letters: Sequence[Letter]) -> None:
        self.calls += 1
        self.letters += [decode(DeadLetter, letter.body) for letter in letters]


@dataclass
class Rig:
    """One partition's world, which outlives its owners."""

    log: FakeLog = field(default_factory=FakeLog)
    table: FakeTable = field(default_factory=FakeTable)
    letters: FakeLetters = field(default_factory=FakeLetters)
    metrics: Metrics = field(default_factory=lambda: Metrics(CollectorRegistry()))
    limits: Limits = field(default_factory=lambda: Limits(4, 1_000_000, YEARS))
    feed: Feed = FEED
    pace: Pace = field(default_factory=lambda: Pace(0))

    def lane(self) -> Lane:
        return Lane(PLACE, self.feed, "c", self.log, self.table, self.letters, self.limits, self.pace, self.metrics)

    @asynccontextmanager
    async def owner(self):
        """A new owner of the partition: it reads on from where its lane seeks to. Killed at the end."""
        lane = self.lane()
        self.log.passed = 0
        task = asyncio.create_task(lane.run())
        await self.until(lambda: lane.next_offset is not None or task.done())
        self.deliver(lane)
        try:
            yield lane
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def deliver(self, lane: Lane) -> None:
        """Hand the lane everything from where it sought to, and go past the end, in one step as the client does."""
        lane.arrived([one for one in self.log.records if one.offset >= (self.log.sought or 0)])
        self.log.passed = self.log.records[-1].offset + 1

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():  # noqa: ASYNC110  # a condition over many objects, none of which tells
                await asyncio.sleep(0)

    def stored(self) -> list[int]:
        return sorted(self.table.rows)


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logsvc.ingest.patience.FIRST_BACKOFF_SECONDS", 0.001)


class Killed(BaseException):
    """The process dies here."""


async def test_each_insert_is_announced_before_and_finished_when_idle() -> None:
    rig = Rig(log=FakeLog([record(offset) for offset in (0, 1, 2, 4, 5, 7)]))
    async with rig.owner():
        await rig.until(lambda: rig.log.commits[-1:] == [(8, "")])
    assert rig.stored() == [0, 1, 2, 4, 5, 7]
    assert rig.log.commits == [(0, "0-4"), (5, "5-7"), (8, "")]
    assert list(rig.table.tokens) == ["c:tocsin.jobs:3:0-4", "c:tocsin.jobs:3:5-7"]


async def test_an_idle_owner_commits_past_what_is_no_record_for_the_other_replicas_to_see() -> None:
    rig = Rig(log=FakeLog([record(0), record(1)]))
    async with rig.owner() as lane:
        await rig.until(lambda: rig.log.commits[-1:] == [(2, "")])
        rig.log.passed = 9  # markers, and what was aborted
        await rig.until(lambda: rig.log.commits[-1:] == [(9, "")])
        assert lane.next_offset == 9
    assert rig.log.commits == [(0, "0-1"), (2, ""), (9, "")]


async def test_a_fenced_owner_stores_nothing() -> None:
    rig = Rig(log=FakeLog([record(0)], is_fenced=True))
    async with rig.owner() as lane:
        await rig.until(lambda: lane.state == "fenced")
    assert rig.stored() == []


async def test_a_range_left_before_its_insert_is_stored_by_the_next_owner() -> None:
    rig = Rig(log=FakeLog([record(offset) for offset in range(6)]))
    rig.log.commits.append((0, "0-3"))
    async with rig.owner():
        await rig.until(lambda: rig.log.commits[-1] == (6, ""))
    assert rig.stored() == [0, 1, 2, 3, 4, 5]
    assert rig.table.is_exact


async def test_a_range_left_after_its_insert_is_not_stored_twice() -> None:
    rig = Rig(log=FakeLog([record(offset) for offset in range(6)]))
    rig.log.commits.append((0, "0-3"))
    rig.table.keep("c:tocsin.jobs:3:0-3", [0, 1, 2, 3])
    async with rig.owner():
        await rig.until(lambda: rig.log.commits[-1] == (6, ""))
    assert rig.stored() == [0, 1, 2, 3, 4, 5]
    assert rig.table.is_exact


async def test_a_token_remembered_while_rows_were_lost_is_repaired() -> None:
    rig = Rig(log=FakeLog([record(offset) for offset in range(4)]))
    rig.log.commits.append((0, "0-3"))
    rig.table.tokens["c:tocsin.jobs:3:0-3"] = 4
    rig.table.rows[1] = [1]
    async with rig.owner():
        await rig.until(lambda: rig.log.commits[-1] == (4, ""))
    assert rig.stored() == [0, 1, 2, 3]
    assert rig.table.is_exact
    assert rig.table.tokens["c:tocsin.jobs:3:0-3:r"] == 3


async def test_a_stopped_owners_insert_that_lands_late_changes_nothing() -> None:
    rig = Rig(log=FakeLog([record(offset) for offset in range(4)]))
    rig.log.commits.append((0, "0-3"))
    async with rig.owner():
        await rig.until(lambda: rig.log.commits[-1] == (4, ""))
    rig.table.keep("c:tocsin.jobs:3:0-3", [0, 1, 2, 3])
    assert rig.table.is_exact


async def test_an_answer_lost_after_the_insert_doubles_nothing() -> None:
    rig = Rig(log=FakeLog([record(offset) for offset in range(3)]))
    failures = iter([StoreDown("answer lost"), None])

    def after(token: str, offsets: list[int]) -> None:
        if error := next(failures, None):
            raise error

    rig.table.after = after
    async with rig.owner():
        await rig.until(lambda: rig.log.commits[-1:] == [(3, "")])
    assert rig.stored() == [0, 1, 2]
    assert rig.table.is_exact


async def test_rows_lost_behind_a_lost_answer_are_found_missing() -> None:
    rig = Rig(log=FakeLog([record(offset) for offset in range(3)]))
    crashes = iter([True])

    def after(token: str, offsets: list[int]) -> None:
        if next(crashes, False):
            rig.table.rows.clear()
            raise StoreDown("the server died after it had noted the token")

    rig.table.after = after
    async with rig.owner():
        await rig.until(lambda: rig.log.commits[-1:] == [(3, "")])
    assert rig.stored() == [0, 1, 2]


async def test_a_group_reset_to_the_start_does_not_double_rows() -> None:
    rig = Rig(log=FakeLog([record(offset) for offset in range(6)]))
    rig.table.keep("c:tocsin.jobs:3:0-2", [0, 1, 2])
    rig.log.commits.append((0, ""))
    async with rig.owner():
        await rig.until(lambda: rig.log.commits[-1] == (6, ""))
    assert rig.stored() == [0, 1, 2, 3, 4, 5]
    assert rig.table.is_exact


async def test_a_lost_position_goes_on_where_the_same_records_are() -> None:
    rig = Rig(log=FakeLog([record(offset) for offset in range(6)]))
    rig.table.keep("c:tocsin.jobs:3:0-2", [0, 1, 2])
    async with rig.owner() as lane:
        await rig.until(lambda: rig.log.commits[-1:] == [(6, "")])
        assert lane.incarnation == "c"
    assert rig.log.sought == 3
    assert rig.table.is_exact


async def test_a_topic_made_anew_that_has_grown_already_is_noticed_by_its_records() -> None:
    rig = Rig(log=FakeLog([record(offset) for offset in range(6)]))
    rig.table.keep("c:tocsin.jobs:3:0-2", [0, 1, 2])
    rig.table.ts_of = lambda offset: 5
    async with rig.owner() as lane:
        await rig.until(lambda: rig.log.commits[-1:] == [(6, "")])
        assert lane.incarnation == "c#1"
    assert rig.log.sought == 0
    assert list(rig.table.tokens)[1:] == ["c#1:tocsin.jobs:3:0-3", "c#1:tocsin.jobs:3:4-5"]


async def test_a_bad_record_is_buried_and_the_rest_goes_on() -> None:
    good = record(0).value or b""
    rig = Rig(log=FakeLog([record(0), FakeRecord(1, b"{"), FakeRecord(2, good.replace(b'"v":1', b'"v":9')), record(3)]))
    async with rig.owner():
        await rig.until(lambda: rig.log.commits[-1:] == [(4, "")])
    assert rig.stored() == [0, 3]
    assert [letter.id for letter in rig.letters.letters] == ["kafka:tocsin.jobs:3:1", "kafka:tocsin.jobs:3:2"]
    assert rig.letters.letters[0].body == "{"


async def test_a_batch_that_is_refused_is_parted_until_the_bad_record_stands_alone() -> None:
    rig = Rig(log=FakeLog([record(offset) for offset in range(4)]))

    def before(token: str, offsets: list[int]) -> None:
        if 2 in offsets:
            raise RowsRefused("cannot parse")

    rig.table.before = before
    async with rig.owner():
        await rig.until(lambda: rig.log.commits[-1:] == [(4, "")])
    assert rig.stored() == [0, 1, 3]
    assert [letter.origin for letter in rig.letters.letters] == ["kafka:tocsin.jobs:3:2"]
    assert "cannot parse" in rig.letters.letters[0].reason


async def test_a_batch_that_fails_again_and_again_is_parted_if_its_rows_are_at_fault() -> None:
    rig = Rig(log=FakeLog([record(offset) for offset in range(4)]))
    rig.table.unreadable = {2: 999}

    def before(token: str, offsets: list[int]) -> None:
        if 2 in offsets:
            raise StoreDown("an unknown complaint", 999)

    rig.table.before = before
    async with rig.owner():
        await rig.until(lambda: rig.log.commits[-1:] == [(4, "")])
    assert rig.stored() == [0, 1, 3]
    assert rig.table.is_exact
    assert "an unknown complaint" in rig.letters.letters[0].reason


@pytest.mark.parametrize(("code", "unreadable"), [(243, {}), (None, {2: 999}), (243, {2: 999})])
async def test_a_server_that_is_ill_for_long_makes_no_dead_letters(
    code: int | None, unreadable: dict[int, int]
) -> None:
    rig = Rig(log=FakeLog([record(offset) for offset in range(4)]))
    rig.table.unreadable = unreadable
    attempts = iter(range(8))

    def before(token: str, offsets: list[int]) -> None:
        if next(attempts, None) is not None:
            raise StoreDown("no space left on device", code)

    rig.table.before = before
    async with rig.owner():
        await rig.until(lambda: rig.log.commits[-1:] == [(4, "")])
    assert rig.stored() == [0, 1, 2, 3]
    assert rig.letters.letters == []


async def test_a_tombstone_of_a_compacted_topic_is_neither_row_nor_dead_letter() -> None:
    rig = Rig(log=FakeLog([record(0), FakeRecord(1, None), record(2)]))
    rig.feed = Feed("tocsin.jobs", "journal", JobEvent)
    async with rig.owner():
        await rig.until(lambda: rig.log.commits[-1:] == [(3, "")])
    assert rig.stored() == [0, 2]
    assert rig.letters.letters == []


async def test_lanes_of_one_table_take_turns() -> None:
    pace = Pace(10)
    first = pace.turn()
    assert [round(pace.turn() - first) for _ in range(3)] == [10, 20, 30]


async def test_a_lane_that_catches_up_in_full_batches_takes_no_turns_of_the_others() -> None:
    rig = Rig(pace=Pace(3600), log=FakeLog([record(0)]))
    async with rig.owner() as lane:
        await rig.until(lambda: rig.stored() == [0])
        for first in range(1, 81, 4):
            lane.arrived([record(first)])  # waits for a turn, until the batch is full
            await asyncio.sleep(0)
            lane.arrived([record(first + number) for number in (1, 2, 3)])
            await rig.until(lambda last=first + 3: lane.next_offset == last + 1)
    assert rig.stored() == list(range(81))
    assert rig.pace.turn() - time.monotonic() <= 2 * 3600, "the turn of the first row, and the one the lane still has"


async def test_a_flood_of_bad_records_is_buried_together() -> None:
    rig = Rig(log=FakeLog([FakeRecord(offset, b"{") for offset in range(50)]), limits=Limits(50, 1_000_000, YEARS))
    async with rig.owner():
        await rig.until(lambda: rig.log.commits[-1:] == [(50, "")])
    assert len(rig.letters.letters) == 50
    assert rig.letters.calls == 1


async def test_a_refused_batch_is_parted_the_same_way_by_the_next_owner() -> None:
    rig = Rig(log=FakeLog([record(offset) for offset in range(4)]))
    is_dying = True

    def before(token: str, offsets: list[int]) -> None:
        if 2 in offsets:
            raise RowsRefused("cannot parse")
        if is_dying and offsets == [3]:
            raise StoreDown("dies here")

    rig.table.before = before
    async with rig.owner():
        await rig.until(lambda: bool(rig.letters.letters))
    is_dying = False
    async with rig.owner():
        await rig.until(lambda: rig.log.commits[-1] == (4, ""))
    assert rig.stored() == [0, 1, 3]
    assert rig.table.is_exact
    assert {letter.id for letter in rig.letters.letters} == {"kafka:tocsin.jobs:3:2"}


async def test_while_the_store_is_down_nothing_is_dropped_and_reading_pauses() -> None:
    rig = Rig(limits=Limits(4, 1_000, YEARS))
    rig.log.records = [record(offset, data="x" * 200) for offset in range(12)]
    is_down = True

    def before(token: str, offsets: list[int]) -> None:
        if is_down:
            raise StoreDown("down")

    rig.table.before = before
    async with rig.owner() as lane:
        await rig.until(lambda: lane.state == "retrying")
        assert rig.log.paused
        assert lane.oldest_unstored_ms is not None
        is_down = False
        await rig.until(lambda: rig.log.commits[-1] == (12, ""))
        assert not rig.log.paused
        assert lane.oldest_unstored_ms is None
    assert rig.stored() == list(range(12))
    assert rig.table.is_exact


async def test_a_stop_stores_the_buffer_and_says_it_is_finished() -> None:
    rig = Rig(pace=Pace(3600))
    rig.log.records = [record(0)]
    lane = rig.lane()
    task = asyncio.create_task(lane.run())
    await rig.until(lambda: lane.state == "storing")
    lane.arrived([record(0)])
    await rig.until(lambda: rig.stored() == [0])
    lane.arrived([record(1), record(2)])
    lane.stop(flush=True)
    await asyncio.wait_for(task, DEADLINE)
    assert rig.stored() == [0, 1, 2]
    assert rig.log.commits[-1] == (3, "")


async def test_a_rebalance_leaves_the_buffer_to_the_next_owner() -> None:
    rig = Rig(pace=Pace(3600))
    rig.log.records = [record(0)]
    lane = rig.lane()
    task = asyncio.create_task(lane.run())
    await rig.until(lambda: lane.state == "storing")
    lane.arrived([record(0)])
    await rig.until(lambda: rig.stored() == [0])
    lane.arrived([record(1), record(2)])
    lane.stop(flush=False)
    await asyncio.wait_for(task, DEADLINE)
    assert rig.stored() == [0]
    assert rig.log.commits[-1] == (1, "")


async def test_a_stop_while_the_store_is_down_leaves_the_range_on_record() -> None:
    rig = Rig(log=FakeLog([record(0), record(1)]))

    def before(token: str, offsets: list[int]) -> None:
        raise StoreDown("down")

    rig.table.before = before
    async with rig.owner() as lane:
        await rig.until(lambda: lane.state == "retrying")
        lane.stop(flush=True)
        await rig.until(lambda: lane.state == "stopped")
    assert rig.log.commits == [(0, "0-1")]
    rig.table.before = lambda token, offsets: None
    async with rig.owner():
        await rig.until(lambda: rig.log.commits[-1] == (2, ""))
    assert rig.stored() == [0, 1]
    assert rig.table.is_exact


async def test_a_row_missing_after_one_repair_is_repaired_under_another_token() -> None:
    rig = Rig(log=FakeLog([record(offset) for offset in range(4)]))
    rig.log.commits.append((0, "0-3"))
    rig.table.tokens |= {"c:tocsin.jobs:3:0-3": 4, "c:tocsin.jobs:3:0-3:r": 4}
    rig.table.rows[1] = [1]
    async with rig.owner():
        await rig.until(lambda: rig.log.commits[-1] == (4, ""))
    assert rig.stored() == [0, 1, 2, 3]
    assert rig.table.is_exact
    assert rig.table.tokens["c:tocsin.jobs:3:0-3:r2"] == 3


async def test_rows_that_stay_missing_hold_the_lane_until_they_are_there() -> None:
    rig = Rig(log=FakeLog([record(offset) for offset in range(8)]))
    rig.log.commits.append((0, "0-3"))
    tokens = [f"c:tocsin.jobs:3:0-3{repair}" for repair in ("", ":r", ":r2")]
    rig.table.tokens |= dict.fromkeys(tokens, 4)
    async with rig.owner() as lane:
        await rig.until(lambda: lane.state == "retrying")
        for _ in range(200):
            await asyncio.sleep(0)
        assert rig.log.commits == [(0, "0-3")], "it went on"
        assert rig.stored() == []
        rig.table.keep("by hand", [0, 1, 2, 3])
        await rig.until(lambda: rig.log.commits[-1] == (8, ""))
    assert rig.stored() == list(range(8))
    assert rig.table.is_exact
    unaccounted = rig.metrics.registry.get_sample_value("logsvc_rows_unaccounted_total", {"topic": PLACE.topic})
    assert unaccounted == 4


async def test_rows_past_their_retention_are_not_missed() -> None:
    rig = Rig(limits=Limits(4, 1_000_000, 1))
    rig.log.records = [record(offset, ts=NOW_MS - 3 * 24 * 3600 * 1000) for offset in range(4)]
    rig.log.commits.append((0, "0-3"))
    rig.table.after = lambda token, offsets: rig.table.rows.clear()
    async with rig.owner():
        await rig.until(lambda: rig.log.commits[-1] == (4, ""))
    assert list(rig.table.tokens) == ["c:tocsin.jobs:3:0-3"]


async def test_a_parted_batch_that_is_accepted_whole_on_recovery_doubles_nothing() -> None:
    rig = Rig(log=FakeLog([record(offset) for offset in range(4)]))
    is_refusing = True

    def before(token: str, offsets: list[int]) -> None:
        if is_refusing and 2 in offsets:
            raise StoreDown("dies here") if offsets == [2, 3] else RowsRefused("cannot parse")

    rig.table.before = before
    async with rig.owner() as lane:
        await rig.until(lambda: lane.state == "retrying")
    assert rig.stored() == [0, 1]
    is_refusing = False
    async with rig.owner():
        await rig.until(lambda: rig.log.commits[-1] == (4, ""))
    assert rig.stored() == [0, 1, 2, 3]
    assert rig.table.is_exact


async def test_parts_of_a_refused_batch_that_land_late_change_nothing() -> None:
    rig = Rig(log=FakeLog([record(offset) for offset in range(4)]))
    rig.log.commits.append((0, "0-3"))
    rig.table.keep("c:tocsin.jobs:3:0-3/0-1", [0, 1])

    def before(token: str, offsets: list[int]) -> None:
        if 2 in offsets:
            raise RowsRefused("cannot parse")

    rig.table.before = before
    async with rig.owner():
        await rig.until(lambda: rig.log.commits[-1] == (4, ""))
    rig.table.keep("c:tocsin.jobs:3:0-3/2-3/3-3", [3])
    assert rig.stored() == [0, 1, 3]
    assert rig.table.is_exact


async def test_records_that_expire_under_a_running_lane_are_counted() -> None:
    rig = Rig(log=FakeLog([record(offset) for offset in range(3)]))
    async with rig.owner() as lane:
        await rig.until(lambda: rig.log.commits[-1:] == [(3, "")])
        rig.log.records = [record(offset) for offset in range(10, 13)]
        rig.log.begin = 10
        lane.lost_place()
        await rig.until(lambda: rig.log.sought == 10)
        rig.deliver(lane)
        await rig.until(lambda: rig.log.commits[-1] == (13, ""))
        assert lane.incarnation == "c"
    assert rig.stored() == [0, 1, 2, 10, 11, 12]
    assert rig.metrics.registry.get_sample_value("logsvc_offsets_expired_total", {"topic": PLACE.topic}) == 7


async def test_what_was_read_before_the_place_was_lost_is_stored_first() -> None:
    rig = Rig(pace=Pace(3600))
    rig.log.records = [record(0)]
    async with rig.owner() as lane:
        await rig.until(lambda: rig.stored() == [0])
        lane.arrived([record(1), record(2)])
        rig.log.records, rig.log.begin = [record(10)], 10
        lane.lost_place()
        await rig.until(lambda: rig.log.sought == 10)
    assert rig.stored() == [0, 1, 2]
    assert rig.metrics.registry.get_sample_value("logsvc_offsets_expired_total", {"topic": PLACE.topic}) == 7


@pytest.mark.parametrize("grown", [0, 3])
async def test_a_log_that_lost_its_end_is_not_stored_again_from_its_start(grown: int) -> None:
    """grown: records that followed where the cut ones stood before anybody noticed; a restart in between loses none."""
    rig = Rig(log=FakeLog([record(offset) for offset in range(1000)]))
    rig.table.keep("before", list(range(1000)))
    rig.log.commits.append((1000, ""))
    following = [record(offset, ts=NOW_MS + 50_000 + offset) for offset in range(990, 990 + grown)]
    rig.log.records = rig.log.records[:990] + following
    rig.log.last = 990 + grown
    for _ in range(2):  # the first owner dies before it has stored anything
        lane = rig.lane()
        task = asyncio.create_task(lane.run())
        await rig.until(lambda lane=lane: lane.next_offset is not None)
        assert (rig.log.sought, lane.incarnation) == (990, "c#1")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_lane_whose_log_is_cut_while_it_runs_restores() -> None:
    rig = Rig(log=FakeLog([record(offset) for offset in range(6)]))
    async with rig.owner() as lane:
        await rig.until(lambda: rig.log.commits[-1:] == [(6, "")])
        rig.log.records, rig.log.last = rig.log.records[:4], 4
        lane.lost_place()
        await rig.until(lambda: lane.incarnation == "c#1")
        assert rig.log.sought == 4
    assert rig.table.is_exact


async def test_a_range_whose_last_record_was_compacted_away_does_not_hang() -> None:
    rig = Rig(log=FakeLog([record(0), record(5)]))
    rig.log.commits.append((0, "0-3"))
    async with rig.owner():
        await rig.until(lambda: rig.log.commits[-1] == (6, ""))
    assert rig.stored() == [0, 5]


@pytest.mark.parametrize("seed", range(40))
async def test_any_series_of_deaths_stores_every_record_once(seed: int) -> None:
    """Owners die at random calls, before or after they took effect; the last one lives."""
    chance = random.Random(seed)
    rig = Rig(log=FakeLog([record(offset) for offset in sorted(chance.sample(range(60), 40))]))
    deaths = 12

    def maybe_die(token: str, offsets: list[int]) -> None:
        nonlocal deaths
        if deaths and chance.random() < 0.4:
            deaths -= 1
            raise Killed

    rig.table.before = rig.table.after = maybe_die
    commit = rig.log.commit

    async def commit_or_die(place: Place, offset: int, metadata: str) -> None:
        maybe_die("", [])
        await commit(place, offset, metadata)
        maybe_die("", [])

    rig.log.commit = commit_or_die  # type: ignore[method-assign]  # a stand-in of a stand-in
    last = rig.log.records[-1].offset + 1
    for _ in range(50):
        lane = rig.lane()
        rig.log.passed = 0
        task = asyncio.create_task(lane.run())
        await rig.until(lambda lane=lane, task=task: lane.state in ("storing", "recovering") or task.done())
        if not task.done():
            rig.deliver(lane)
            await rig.until(lambda task=task: task.done() or rig.log.commits[-1:] == [(last, "")])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if rig.log.commits[-1:] == [(last, "")]:
            break
    assert rig.stored() == [one.offset for one in rig.log.records]
    assert rig.table.is_exact
