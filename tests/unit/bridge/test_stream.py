"""Positions and losses, against a model of a Redis stream that also remembers what Redis forgets."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge.sources.bullmq.door import Reply
from bridge.sources.bullmq.following import Following
from bridge.sources.bullmq.stream import Info, Position, Reading, Recent, advance, go_on, order
from bridge.sources.bullmq.wire import follow, follow_command
from tests.unit.bridge.entries import entry_of


@dataclass
class Stream:
    """What XADD, XTRIM, XDEL, DEL and a failover do to a stream, as XINFO and XREAD show it.

    Its clock goes back at a failover only; no id is given twice. primary: the how-manieth. ever: ids of all that ever
    were added.
    """

    clock: int = 1000
    ids: list[str] = field(default_factory=list[str])
    ever: list[str] = field(default_factory=list[str])
    added: int = 0
    last_id: str = "0-0"
    has_deletions: bool = False
    exists: bool = False
    primary: int = 0

    def add(self, count: int) -> None:
        self.exists = self.exists or count > 0
        for _ in range(count):
            self.clock += 1
            self.last_id = f"{self.clock}-{self.primary}"
            self.ids.append(self.last_id)
            self.ever.append(self.last_id)
        self.added += count

    def fail_over(self, lost: int, *, is_behind: bool = False) -> None:
        """To a primary that lacks the last entries, though not all that are kept; its clock may be behind."""
        del self.ids[len(self.ids) - lost :]
        self.added -= lost
        self.last_id = self.ids[-1]
        self.primary += 1
        if is_behind:
            self.clock = order(self.last_id)[0]

    def trim(self, keep: int) -> None:
        self.ids = self.ids[len(self.ids) - keep :] if keep < len(self.ids) else self.ids

    def delete_entry(self, at: int) -> None:
        del self.ids[at]
        self.has_deletions = True

    def delete(self) -> None:
        self.ids, self.added, self.last_id = [], 0, "0-0"
        self.has_deletions = self.exists = False

    def info(self, position: Position) -> Info | None:
        if not self.exists:
            return None
        first, holds_last = self.ids[0] if self.ids else None, position.last_id in self.ids
        return Info(len(self.ids), self.last_id, self.added, first, self.has_deletions, holds_last)

    def read(self, position: Position, count: int, sure_id: str | None = None) -> Reading:
        after = [id for id in self.ids if order(id) > order(position.last_id)][:count]
        entries = [entry_of(id, {"event": "drained"}) for id in after]
        return advance(position, self.info(position), entries, count, sure_id)

    def reply(self, position: Position, count: int) -> Reply:
        """What XREAD answers to `follow_command`."""
        _, _, most, _, _, before = follow_command("k", position, count)
        found = [[id, ["event", "drained"]] for id in self.ids if order(id) > order(str(before))][: int(most)]
        return [["k", found]] if found else None

    def before(self, position: Position) -> list[str]:
        """The ids up to the position, newest first."""
        return [id for id in reversed(self.ids) if order(id) <= order(position.last_id)]


class Reader(RuleBasedStateMachine):
    """One reader of one stream, which is read a little at a time while everything happens to it.

    told: since the stream was last read from its start. seen, lost: since pos was last set, to `begun`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stream = Stream()
        self.position = Position()
        self.recent = Recent()
        self.told: set[str] = set()
        self.seen: list[str] = []
        self.lost = self.begun = 0
        self.resets = 0
        self.following = Following()

    @rule(count=st.integers(1, 30))
    def app_adds(self, count: int) -> None:
        self.stream.add(count)

    @rule(keep=st.integers(0, 20))
    def bullmq_trims(self, keep: int) -> None:
        self.stream.trim(keep)

    @precondition(lambda self: self.stream.ids)
    @rule(where=st.floats(0, 0.999))
    def somebody_deletes_an_entry(self, where: float) -> None:
        self.stream.delete_entry(int(where * len(self.stream.ids)))

    @rule(count=st.integers(2, 12))
    def reader_reads(self, count: int) -> None:
        self._take(count)

    @rule()
    def a_check_is_due(self) -> None:
        self.following.check()

    @rule(more=st.integers(0, 60))
    def app_obliterates(self, more: int) -> None:
        """Deleted when the reader had read to its end, and begun anew."""
        self._read_to_end()
        passed = self.position.pos
        self.stream.delete()
        self.stream.add(more)
        before = self.resets
        self._read_to_end()
        assert self.resets == before + (passed > 0)

    @precondition(lambda self: len(self.stream.ids) > 1 and not self.stream.has_deletions)
    @rule(share=st.floats(0, 0.999), more=st.integers(0, 30), is_behind=st.booleans(), count=st.integers(2, 12))
    def redis_fails_over(self, share: float, more: int, is_behind: bool, count: int) -> None:
        """Whatever comes after it, it is seen at once where told entries are lost, and only there."""
        self.stream.fail_over(int(share * len(self.stream.ids)), is_behind=is_behind)
        is_cut = bool(self.told) and order(self.stream.last_id) < order(self.position.last_id)
        self.stream.add(more)
        before, is_known = self.resets, any(id in self.recent for id in self.stream.ids)
        self._take(count)
        assert (self.resets > before) == is_cut
        if is_cut and is_known:
            assert self.position.last_id in self.told, "gone on with"
        self._take(count)
        assert self.resets == before + is_cut

    @invariant()
    def every_entry_was_read_or_counted_lost(self) -> None:
        assert self.position.pos == self.begun + len(self.seen) + self.lost
        assert self.position.pos <= self.stream.added
        assert self.seen == sorted(set(self.seen), key=order)

    def teardown(self) -> None:
        self.following.check()
        self._read_to_end()
        assert self.told.issuperset(self.stream.ids)
        assert self.position.pos == self.stream.added

    def _read_to_end(self) -> None:
        for _ in range(1000):
            if not self._take(5).is_full:
                return
        raise AssertionError("no end")

    def _read(self, count: int) -> Reading:
        """As entryreader.py reads."""
        following, position = self.following, self.position
        if following.is_on:
            found = follow(position, self.stream.reply(position, count), count)
            if found is not None:
                reading = advance(position, *found, count, following.sure_id)
                assert (reading.lost, reading.is_reset, reading.is_miscounted) == (0, False, False)
                following.is_on = not reading.is_full
                return reading
            following.fail()
        reading = self.stream.read(position, count, following.sure_id)
        if reading.is_reset and reading.is_full:
            reading = go_on(position, self.recent, self.stream.before(position)) or reading
        following.whole(position, self.stream.info(position), reading, "")
        following.hand_on()
        return reading

    def _take(self, count: int) -> Reading:
        reading = self._read(count)
        if reading.is_reset:
            self.resets += 1
            assert reading.position.epoch == self.position.epoch + 1
            self.begun, self.seen, self.lost = reading.position.pos, [], 0
            if reading.position.last_id == "0-0":
                self.told.clear()
        elif reading.lost:
            assert order(reading.lost_from) < order(reading.lost_to)
            assert order(reading.lost_from) <= order(self.position.last_id)
            assert reading.lost_from == self.position.last_id or self.stream.has_deletions
            assert reading.passed == self.position.last_id
            missing = [id for id in self.stream.ever if order(reading.lost_from) < order(id) <= order(reading.lost_to)]
            assert len([id for id in missing if id not in self.told and id not in self.stream.ids]) >= reading.lost
        assert not reading.is_miscounted
        ids = [entry.id for entry in reading.entries]
        assert self.told.isdisjoint(ids), "told twice"
        self.told.update(ids)
        self.seen += ids
        self.lost += reading.lost
        self.position = reading.position
        self.recent.pass_on(reading)
        return reading


TestReader = Reader.TestCase
TestReader.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


START = Position()


def read_all(stream: Stream, position: Position = START, count: int = 10) -> tuple[list[Reading], Position]:
    """Read to the end."""
    readings: list[Reading] = []
    while True:
        readings.append(stream.read(position, count))
        position = readings[-1].position
        if not readings[-1].is_full:
            return readings, position


def test_first_contact_counts_what_was_trimmed_before_as_nothing_lost() -> None:
    stream = Stream()
    stream.add(50)
    stream.trim(7)
    readings, position = read_all(stream, Position(is_first_contact=True))

    assert sum(reading.lost for reading in readings) == 0
    assert position.pos == 50


def test_queue_created_while_we_knew_its_source_counts_what_was_trimmed_as_lost() -> None:
    stream = Stream()
    stream.add(50)
    stream.trim(7)
    readings, _ = read_all(stream, Position(baseline_id="900-0"))

    assert sum(reading.lost for reading in readings) == 43


def test_first_contact_with_an_empty_stream_takes_its_count_over() -> None:
    stream = Stream()
    stream.add(5)
    stream.trim(0)
    _, position = read_all(stream, Position(is_first_contact=True))
    stream.add(3)
    readings, _ = read_all(stream, position)

    assert (position.pos, position.last_id) == (5, stream.ids[0].replace("1006", "1005"))
    assert [reading.lost for reading in readings] == [0]


@pytest.mark.parametrize("count", [1, 19])
def test_stream_begun_anew_with_fewer_entries_is_another(count: int) -> None:
    stream = Stream()
    stream.add(20)
    _, position = read_all(stream)
    stream.delete()
    stream.add(count)

    reading = stream.read(position, 10)
    assert reading.is_reset
    assert (reading.position.last_id, reading.position.pos, reading.position.epoch) == ("0-0", 0, 2)
    readings, position = read_all(stream, reading.position)
    assert next(len(reading.entries) for reading in readings if reading.entries) == min(10, count)
    assert position.pos == count


@pytest.mark.parametrize("count", [20, 21, 300])
def test_stream_begun_anew_that_outgrew_the_position_is_another(count: int) -> None:
    stream = Stream()
    stream.add(20)
    _, position = read_all(stream)
    stream.delete()
    stream.add(count)

    assert stream.read(position, 10).is_reset


def test_stream_begun_anew_and_trimmed_beyond_the_position_is_a_gap() -> None:
    """Redis keeps nothing that would tell the two apart; what is missing is counted all the same."""
    stream = Stream()
    stream.add(20)
    _, position = read_all(stream)
    stream.delete()
    stream.add(100)
    stream.trim(10)

    reading = stream.read(position, 100)
    assert (reading.is_reset, reading.lost) == (False, 70)


def test_deleted_stream_is_reset_once_until_it_comes_back() -> None:
    stream = Stream()
    stream.add(3)
    _, position = read_all(stream)
    stream.delete()

    first = stream.read(position, 10)
    second = stream.read(first.position, 10)
    assert (first.is_reset, second.is_reset) == (True, False)
    assert second.position == first.position
    stream.add(2)
    assert [entry.id for entry in stream.read(second.position, 10).entries] == stream.ids


def test_entries_lost_from_a_new_stream_before_its_first_read_are_a_gap_of_the_new_epoch() -> None:
    stream = Stream()
    stream.add(3)
    _, position = read_all(stream)
    stream.delete()
    stream.add(2)
    position = stream.read(position, 10).position
    stream.add(50)
    stream.trim(4)

    reading = stream.read(position, 10)
    assert (reading.lost, reading.lost_from, reading.lost_to) == (48, "0-0", stream.ids[0])
    assert reading.position.epoch == 2


def test_failover_that_lost_entries_is_a_reset() -> None:
    stream = Stream()
    stream.add(9)
    _, position = read_all(stream)
    stream.fail_over(4)

    assert stream.read(position, 10).is_reset


def test_what_a_failover_left_is_told_again_as_backfill_and_what_comes_after_it_is_not() -> None:
    stream = Stream()
    stream.add(9)
    _, position = read_all(stream)
    stream.fail_over(4)
    reset = stream.read(position, 10)
    stream.add(2)
    reading = stream.read(reset.position, 10)

    assert [reading.position.is_backfill(entry.id) for entry in reading.entries] == [True] * 5 + [False] * 2


def passed(readings: Sequence[Reading]) -> Recent:
    """What is known after these."""
    recent = Recent()
    for reading in readings:
        recent.pass_on(reading)
    return recent


@pytest.mark.parametrize("more", [1, 5, 6, 95])
@pytest.mark.parametrize("is_behind", [False, True])
def test_failover_that_lost_entries_is_gone_on_with_where_they_ended(more: int, is_behind: bool) -> None:
    """However many came since: fewer than one read brings, as many as were lost, or more."""
    stream = Stream()
    stream.add(900)
    readings, position = read_all(stream, count=100)
    recent, told = passed(readings), list(stream.ids)
    stream.fail_over(5, is_behind=is_behind)
    stream.add(more)
    assert stream.read(position, 20).is_reset
    left = go_on(replace(position, jobs_added=99), recent, stream.before(position))
    assert left is not None
    assert (left.position.last_id, left.position.pos, left.position.epoch) == (told[894], 895, 2)
    assert left.position.jobs_added == 0, "the jobs that were lost are counted again"
    readings, position = read_all(stream, left.position)
    assert [entry.id for reading in readings for entry in reading.entries] == stream.ids[895:]
    assert position.pos == 895 + more
    assert not any(reading.lost or reading.is_reset for reading in readings)
    recent.pass_on(left)
    assert recent.last_in(told[893::-1]) == (told[893], 894), "a second failover is gone on with, too"


def test_entry_with_the_id_of_a_lost_one_is_not_taken_for_it() -> None:
    stream = Stream()
    stream.add(100)
    readings, position = read_all(stream)
    recent, told = passed(readings), list(stream.ids)
    stream.fail_over(3, is_behind=True)
    stream.add(3)
    stream.ids[-1] = stream.last_id = told[-1]
    stream.add(30)

    reading = stream.read(position, 100)
    assert (reading.is_reset, reading.is_miscounted) == (False, False), "as many were lost"
    del stream.ids[97]
    stream.added -= 1
    reading = stream.read(position, 100)
    assert (reading.is_reset, reading.is_miscounted) == (False, True)
    left = go_on(position, recent, stream.before(position))
    assert left is not None
    assert (left.position.last_id, left.position.pos) == (told[96], 97)


def test_server_that_has_a_counter_at_last_is_followed_and_nothing_is_told_again() -> None:
    """Redis 6 passed entries uncounted; Redis 7 counts from those it finds in its file on."""
    stream = Stream()
    stream.add(30)
    position = Position(stream.last_id, pos=5_000)
    stream.add(50)
    first = stream.read(position, 10)
    assert (first.is_reset, first.lost, first.position.pos) == (False, 0, 80)
    readings, position = read_all(stream, first.position)
    told = [entry.id for reading in (first, *readings) for entry in reading.entries]
    assert told == stream.ids[30:]
    assert (position.pos, position.epoch) == (80, 1)
    assert go_on(position, passed(readings), stream.before(position)) is None, "the same entries"


def test_stream_of_which_no_entry_is_known_is_another() -> None:
    stream = Stream()
    stream.add(1000)
    readings, position = read_all(stream, count=600)
    recent = passed(readings)
    assert recent.last_in(stream.ids[::-1]) == (stream.ids[-1], 1000)
    assert recent.last_in(stream.ids[500::-1]) == (stream.ids[500], 501)
    assert recent.last_in(stream.ids[499::-1]) is None, "too long ago"
    assert go_on(position, recent, stream.ids[499::-1]) is None
    recent.pass_on(Reading([], Position(), is_reset=True))
    assert not recent


def test_once_a_stream_was_read_to_its_end_nothing_that_comes_is_backfill() -> None:
    stream = Stream()
    stream.add(9)
    _, position = read_all(stream)
    stream.fail_over(4)
    _, position = read_all(stream, stream.read(position, 10).position)
    stream.clock = 1006  # behind the old one
    stream.add(1)
    reading = stream.read(position, 10)
    assert [reading.position.is_backfill(entry.id) for entry in reading.entries] == [False]


def test_server_without_a_counter_loses_quietly_but_is_read() -> None:
    info = Info(3, "30-0", None, "10-0")
    reading = advance(Position("5-0", 4), info, [entry_of("10-0", {}), entry_of("30-0", {})], 10)

    assert (reading.lost, reading.is_reset, reading.position.pos) == (0, False, 6)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_ids_order_as_numbers(milliseconds: int, sequence: int) -> None:
    assert order(f"{milliseconds}-{sequence}") == (milliseconds, sequence)
    assert order(str(milliseconds)) == (milliseconds, 0)


def test_history_ends_behind_the_last_entry_that_was_there_before() -> None:
    entries = [entry_of(f"{ms}-{at}", {}) for ms in (99, 100, 1000) for at in range(3)]
    for baseline in ("0-0", "98-9", "99-0", "100-1", "999-7", "1000-2", "1001-0"):
        position = Position(baseline_id=baseline)
        assert position.count_backfill(entries) == sum(position.is_backfill(entry.id) for entry in entries)
