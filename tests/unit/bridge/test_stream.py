"""Positions and losses, against a model of a Redis stream that also remembers what Redis forgets."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge.errors import SourceUnavailable
from bridge.sources.bullmq.door import Refused
from bridge.sources.bullmq.stream import (
    Info,
    Position,
    Reading,
    Recent,
    Unreadable,
    advance,
    entries_of,
    go_on,
    order,
    parse,
    read_commands,
)
from tests.unit.bridge.entries import entry_of


@dataclass
class Stream:
    """What XADD, XTRIM, XDEL and DEL do to a stream, as XINFO and XREAD show it. Its clock never goes back."""

    clock: int = 1000
    ids: list[str] = field(default_factory=list[str])
    added: int = 0
    last_id: str = "0-0"
    has_deletions: bool = False
    exists: bool = False

    def add(self, count: int) -> None:
        self.exists = True
        for _ in range(count):
            self.clock += 1
            self.last_id = f"{self.clock}-0"
            self.ids.append(self.last_id)
        self.added += count

    def trim(self, keep: int) -> None:
        self.ids = self.ids[len(self.ids) - keep :] if keep < len(self.ids) else self.ids

    def delete_entry(self, at: int) -> None:
        del self.ids[at]
        self.has_deletions = True

    def delete(self) -> None:
        self.ids, self.added, self.last_id = [], 0, "0-0"
        self.has_deletions = self.exists = False

    def info(self) -> Info | None:
        if not self.exists:
            return None
        first = self.ids[0] if self.ids else None
        return Info(len(self.ids), self.last_id, self.added, first, has_deletions=self.has_deletions)

    def read(self, position: Position, count: int) -> Reading:
        after = [id for id in self.ids if order(id) > order(position.last_id)][:count]
        entries = [entry_of(id, {"event": "drained"}) for id in after]
        return advance(position, self.info(), entries, count)


class Reader(RuleBasedStateMachine):
    """One reader of one stream, which is read a little at a time while everything happens to it."""

    def __init__(self) -> None:
        super().__init__()
        self.stream = Stream()
        self.position = Position()
        self.seen: list[str] = []
        self.lost = 0
        self.resets = 0

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
        self._take(self.stream.read(self.position, count))

    @rule(more=st.integers(0, 5))
    def app_obliterates(self, more: int) -> None:
        """Deleted when the reader had read to its end, and begun anew with fewer entries: that is always seen."""
        self._read_to_end()
        passed = self.position.pos
        self.stream.delete()
        if more and more < passed:
            self.stream.add(more)
        before = self.resets
        self._read_to_end()
        assert self.resets == before + (passed > 0)

    @invariant()
    def every_entry_was_read_or_counted_lost(self) -> None:
        assert self.position.pos == len(self.seen) + self.lost
        assert self.position.pos <= self.stream.added
        assert self.seen == sorted(set(self.seen), key=order)

    def teardown(self) -> None:
        self._read_to_end()
        assert len(self.seen) + self.lost == self.stream.added
        assert self.position.pos == self.stream.added

    def _read_to_end(self) -> None:
        for _ in range(1000):
            reading = self.stream.read(self.position, 5)
            self._take(reading)
            if not reading.is_full:
                return
        raise AssertionError("no end")

    def _take(self, reading: Reading) -> None:
        if reading.is_reset:
            assert not self.stream.exists or self.stream.added < self.position.pos or self.position.pos == 0
            self.resets += 1
            assert reading.position.epoch == self.position.epoch + 1
            self.seen, self.lost = [], 0
        elif reading.lost:
            assert order(reading.lost_from) < order(reading.lost_to)
            assert reading.lost_from == self.position.last_id
        self.seen += [entry.id for entry in reading.entries]
        self.lost += reading.lost
        self.position = reading.position


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
    stream.ids, stream.added, stream.last_id = stream.ids[:5], 5, stream.ids[4]

    assert stream.read(position, 10).is_reset


def test_what_a_failover_left_is_told_again_as_backfill_and_what_comes_after_it_is_not() -> None:
    stream = Stream()
    stream.add(9)
    _, position = read_all(stream)
    stream.ids, stream.added, stream.last_id = stream.ids[:5], 5, stream.ids[4]
    reset = stream.read(position, 10)
    stream.add(2)
    reading = stream.read(reset.position, 10)

    assert [reading.position.is_backfill(entry.id) for entry in reading.entries] == [True] * 5 + [False] * 2


def test_failover_that_lost_entries_is_gone_on_with_where_they_ended() -> None:
    stream, recent = Stream(), Recent()
    stream.add(900)
    readings, position = read_all(stream, count=100)
    for reading in readings:
        recent.pass_on(reading)
    told = list(stream.ids)
    stream.ids, stream.added = told[:895], 895
    stream.ids.append(f"{order(told[894])[0]}-7")  # by a clock that is behind
    stream.added, stream.last_id = 896, stream.ids[-1]
    assert stream.read(position, 100).is_reset
    left = go_on(position, recent, stream.ids[::-1][:100])
    assert left is not None
    assert (left.position.last_id, left.position.pos, left.position.epoch) == (told[894], 895, 2)
    readings, position = read_all(stream, left.position)
    assert [entry.id for reading in readings for entry in reading.entries] == [stream.ids[-1]]
    assert position.pos == 896
    assert not any(reading.lost or reading.is_reset for reading in readings)


def test_stream_of_which_no_entry_is_known_is_another() -> None:
    stream, recent = Stream(), Recent()
    stream.add(1000)
    readings, position = read_all(stream, count=600)
    for reading in readings:
        recent.pass_on(reading)
    assert recent.pos_of(stream.ids[-1]) == 1000
    assert recent.pos_of(stream.ids[500]) == 501
    assert recent.pos_of(stream.ids[499]) is None, "too long ago"
    assert go_on(position, recent, stream.ids[:500]) is None
    recent.pass_on(Reading([], position, is_reset=True))
    assert not recent


def test_once_a_stream_was_read_to_its_end_nothing_that_comes_is_backfill() -> None:
    stream = Stream()
    stream.add(9)
    _, position = read_all(stream)
    stream.ids, stream.added, stream.last_id = stream.ids[:5], 5, stream.ids[4]
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


def test_reply_is_parsed_and_bytes_that_are_no_text_are_replaced() -> None:
    info = [b"length", 2, b"last-generated-id", b"5-1", b"max-deleted-entry-id", b"0-0", b"entries-added", 9]
    first = [b"first-entry", [b"4-0", [b"event", b"x"]]]
    read = [[b"bull:q:events", [[b"5-1", [b"event", b"\xff\xfe", b"odd"]]]]]
    parsed, (entry,) = parse([b"OK", b"QUEUED", b"QUEUED", [[*info, *first], read]])

    assert parsed == Info(2, "5-1", 9, "4-0")
    assert (entry.id, entry.fields, entry.event, entry.ts) == ("5-1", {"event": "��"}, "��", 5)
    assert entries_of([[b"7-0", []]]) == [entry_of("7-0", {})]


def test_texts_are_parsed_like_bytes() -> None:
    raw = [b"1700000000000-12", [b"event", b"waiting", b"jobId", b"7"]]
    assert entries_of([["1700000000000-12", ["event", "waiting", "jobId", "7"]]]) == entries_of([raw])
    info = [b"length", 0, b"last-generated-id", b"5-1", b"max-deleted-entry-id", b"5-1", b"entries-added", 1]
    texts = [word.decode() if isinstance(word, bytes) else word for word in info]
    assert parse(["OK", "", "", [texts, None]]) == parse([b"OK", b"", b"", [info, None]])


def test_absent_key_is_no_stream_and_a_refused_one_is_unreadable() -> None:
    assert parse([b"OK", b"", b"", [Refused("ERR no such key"), None]]) == (None, [])
    wrong = Refused("WRONGTYPE Operation against a key holding the wrong kind of value")
    with pytest.raises(Unreadable):
        parse([b"OK", b"", b"", [wrong, wrong]])
    with pytest.raises(Unreadable):
        parse([b"OK", Refused("NOPERM no"), b"", Refused("EXECABORT")])
    with pytest.raises(SourceUnavailable):
        parse([b"OK", b"", b"", [Refused("LOADING Redis is loading"), None]])


def test_both_commands_run_in_one_transaction() -> None:
    names = [command[0] for command in read_commands("k", Position("3-0"), 7)]
    assert names == ["MULTI", "XINFO", "XREAD", "EXEC"]


def test_history_ends_behind_the_last_entry_that_was_there_before() -> None:
    entries = [entry_of(f"{ms}-{at}", {}) for ms in (99, 100, 1000) for at in range(3)]
    for baseline in ("0-0", "98-9", "99-0", "100-1", "999-7", "1000-2", "1001-0"):
        position = Position(baseline_id=baseline)
        assert position.count_backfill(entries) == sum(position.is_backfill(entry.id) for entry in entries)
