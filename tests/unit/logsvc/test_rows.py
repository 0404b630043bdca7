"""Rows as HTTP and the live stream show them, times and cursors."""

import base64
import json

import msgspec
import pytest

from logsvc.cursors import RowKey, TailPosition, pack, pack_position, unpack, unpack_position
from logsvc.errors import BadRequest
from logsvc.partitions import Place
from logsvc.rows import Row, live_row
from logsvc.times import parse_time
from tests.unit.logsvc.records import NOW_MS, event, line
from tocsin.events import JobEvent, LogLine, encode
from tocsin.times import rfc3339, rfc3339_or_none


def shown(record: JobEvent | LogLine, value: bytes | None = None) -> dict[str, object]:
    return json.loads(live_row(record, encode(record) if value is None else value, 3, 41))


def test_a_live_row_is_the_record_with_a_time_people_read() -> None:
    one = event(1, error='quote " and "ts":1795000000001, inside', event="failed", state="failed")
    row = shown(one)
    assert row["ts"] == rfc3339(one.ts)
    assert row["error"] == one.error
    assert (row["kind"], row["level"]) == ("event", "error")
    assert unpack(RowKey, str(row["cursor"])) == RowKey(one.ts, "event", 3, 41)


@pytest.mark.parametrize("shape", ["spaced", "indented", "sorted last"])
def test_json_of_another_shape_makes_the_same_row(shape: str) -> None:
    one = line(5, level="warn", source="main", queue="q")
    fields = json.loads(encode(one))
    if shape == "sorted last":
        fields["ts"] = fields.pop("ts")
        other = json.dumps(fields, separators=(",", ":")).encode()
    else:
        other = json.dumps(fields, indent=2 if shape == "indented" else None).encode()
    plain = shown(one)
    plain.pop("v")
    assert shown(one, other) == plain


def test_a_field_that_takes_our_name_cannot_pass_for_ours() -> None:
    one = line(5)
    value = encode(one)[:-1] + b',"kind":"event","cursor":"x"}'
    assert shown(one, value)["kind"] == "log"


@pytest.mark.parametrize(
    ("fields", "level"),
    [
        ({"event": "gap", "lost": 3}, "error"),
        ({"event": "delayed", "state": "retrying"}, "warn"),
        ({"event": "progress"}, "debug"),
        ({"event": "progress", "level": "error"}, "error"),
        ({"event": "completed"}, "info"),
    ],
)
def test_levels_of_events(fields: dict[str, object], level: str) -> None:
    assert shown(event(1, **fields))["level"] == level


def test_a_row_leaves_out_what_is_empty() -> None:
    row = Row(id="x", ts="t", kind="log", level="info", message="m")
    assert msgspec.json.decode(msgspec.json.encode(row)) == {
        "id": "x",
        "ts": "t",
        "kind": "log",
        "level": "info",
        "message": "m",
    }


def test_times_are_exact_to_the_millisecond() -> None:
    for ms in (0, 1, 999, 1_732_230_000_123, NOW_MS + 1, 4_102_444_799_999):
        assert parse_time("x", rfc3339(ms)) == ms
    assert rfc3339(1_732_230_000_123) == "2024-11-21T23:00:00.123Z"
    assert parse_time("x", "1732230000123") == 1_732_230_000_123
    assert parse_time("x", "2024-11-22T00:00:00.123+01:00") == 1_732_230_000_123


@pytest.mark.parametrize("ms", [None, 0, -1, 253_402_300_800_000, NOW_MS * 1000, 2**53, 2**63 - 1, -(2**63)])
def test_a_number_that_is_no_time_is_not_shown_as_one(ms: int | None) -> None:
    assert rfc3339_or_none(ms) is None


def test_a_far_time_is_read_back() -> None:
    assert parse_time("x", rfc3339_or_none(253_402_300_799_999) or "") == 253_402_300_799_999


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-11-22T06:15:12", "-5", "99999999999999999", "", "2026-13-01T00:00:00Z"]
)
def test_a_time_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadRequest, match=r"^from: "):
        parse_time("from", text)


NESTED = base64.urlsafe_b64encode(b'[1,"log",1,1,' + b"[" * 10_000).decode()


@pytest.mark.parametrize("text", ["", "x", "e30", "é", "WzFd", "a" * 5000, NESTED])
def test_a_cursor_that_is_not_ours_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match=r"^cursor: "):
        unpack(RowKey, text)


def test_cursors_are_read_back_as_written() -> None:
    key = RowKey(NOW_MS, "log", 7, 2**60)
    assert unpack(RowKey, pack(key)) == key


def test_a_live_cursor_names_every_partition_and_its_cluster() -> None:
    position = {Place("t.jobs", 0): 5, Place("t.jobs", 1): 0, Place("t.logs", 0): 9}
    text = pack_position("cluster", position)
    assert unpack_position("cluster", text) == TailPosition(position)
    assert unpack_position("another", text) is None
