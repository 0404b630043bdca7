"""Which records can be rows."""

import json
import re
from typing import Any

import msgspec
import pytest

from logsvc.schema.migrate import migration_sql
from logsvc.storable import UINT32, UINT64, fitted
from tests.unit.logsvc.records import event, line
from tocsin.events import BadRecord, JobEvent, LogLine, QueueSnapshot, SchedulerSnapshot, encode


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "not a JobEvent"),
        (b"\xff\xfe", "not a JobEvent"),
        (b"[]", "not a JobEvent"),
        (b'{"v":1}', "missing required field"),
        (encode(event())[:-1] + b"} {}", "not a JobEvent"),
        (encode(event(v=2)), "contract version 2"),
        (encode(event(ts=0)), "ts 0 is no time"),
        (encode(event(ts=9_999_999_999_999)), "ts 9999999999999 is no time"),
        (encode(event(attempt=99_999_999_999)), "attempt 99999999999 is not within"),
        (encode(event(attempt=-1)), "attempt -1 is not within"),
        (encode(event(lost=-1)), "lost -1 is not within"),
        (encode(event(added_at=2**63)), "added_at 9223372036854775808 is not within"),
        (encode(event(wait_ms=-(2**63) - 1)), "wait_ms -9223372036854775809 is not within"),
    ],
)
def test_what_can_never_be_a_row_is_named(value: bytes, reason: str) -> None:
    with pytest.raises(BadRecord, match=re.escape(reason)):
        fitted(JobEvent, value)


@pytest.mark.parametrize("one", [event(), event(attempt=2**32 - 1, lost=2**64 - 1, added_at=2**63 - 1), line(3)])
def test_a_sound_record_is_stored_as_it_came(one: JobEvent | LogLine) -> None:
    value = encode(one)
    record, kept = fitted(type(one), value)
    assert kept is value
    assert isinstance(record, type(one))
    assert encode(record) == value


@pytest.mark.parametrize("extra", ['"enriched":"maybe"', '"lost":{}', '"kafka_offset":5', '"news":{"a":[1]}'])
def test_keys_the_contract_does_not_know_are_not_sent_on(extra: str) -> None:
    one = line(3, message="hello")
    record, kept = fitted(LogLine, b"%s,%s}" % (encode(one)[:-1], extra.encode()))
    assert json.loads(kept) == json.loads(encode(one))
    assert record.message == "hello"


@pytest.mark.parametrize("struct", [JobEvent, LogLine, QueueSnapshot, SchedulerSnapshot])
def test_whole_numbers_are_held_to_their_columns(struct: type[msgspec.Struct]) -> None:
    numbers: list[Any] = [field.name for field in msgspec.structs.fields(struct) if field.type in (int, int | None)]
    for name in set(numbers) - {"v"}:
        told = set(re.findall(rf"(?:\n    |COLUMN IF NOT EXISTS ){name} (?:Nullable\()?(\w+)", migration_sql()))
        assert told == {"UInt32" if name in UINT32 else "UInt64" if name in UINT64 else "Int64"}, name
