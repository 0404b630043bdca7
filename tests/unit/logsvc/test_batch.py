"""How records become rows, and how batches are cut."""

import json

from logsvc.ingest.batch import Buffer, Feed, Fit, Span, parse_span, row_prefix, span_of, splice, ts_bounds
from tests.unit.logsvc.records import NOW_MS, FakeRecord, event, record
from tocsin.events import JobEvent, QueueSnapshot, encode

JOBS = Feed("tocsin.jobs", "journal", JobEvent, "event")
QUEUES = Feed("tocsin.queues", "queue_snapshots", QueueSnapshot)


def test_a_row_is_the_record_with_its_origin_in_front() -> None:
    value = encode(event(7, data='{"a":"}{"}'))
    row = json.loads(splice(row_prefix(JOBS, "cl", 3), 41, value))
    assert row.pop("kafka_cluster") == "cl"
    assert row.pop("kafka_topic") == "tocsin.jobs"
    assert row.pop("kafka_partition") == 3
    assert row.pop("kafka_offset") == 41
    assert row.pop("kind") == "event"
    assert row == json.loads(value)


def test_a_snapshot_has_no_kind() -> None:
    assert b"kind" not in row_prefix(QUEUES, "cl", 0)


def test_white_space_before_the_object_is_no_obstacle() -> None:
    row = json.loads(splice(row_prefix(JOBS, "cl", 0), 1, b' \n {"v":1}'))
    assert row["v"] == 1


def test_spans_are_read_back_as_written() -> None:
    assert parse_span(str(Span(3, 90))) == Span(3, 90)
    for other in ("", "3", "3-", "-3", "a-b", "3-4-5"):
        assert parse_span(other) is None


def test_a_batch_is_cut_by_rows_and_by_bytes_but_never_empty() -> None:
    buffer = Buffer()
    buffer.extend(FakeRecord(offset, b"x" * 10) for offset in range(10))
    assert buffer.bytes == 100
    assert span_of(buffer.take(3)) == Span(0, 2)
    assert span_of(buffer.take(100, most_bytes=25)) == Span(3, 4)
    assert span_of(buffer.take(100, most_bytes=5)) == Span(5, 5)
    assert span_of(buffer.take_through(7)) == Span(6, 7)
    assert (len(buffer), buffer.bytes) == (2, 20)
    assert buffer.take_through(7) == []


def test_the_bounds_of_a_batch_in_time() -> None:
    fit = [Fit(one.offset, NOW_MS + one.offset, b"", one) for one in (record(5), record(2), record(9))]
    assert ts_bounds(fit) == (NOW_MS + 2, NOW_MS + 9)
