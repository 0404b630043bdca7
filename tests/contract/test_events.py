"""The wire contract holds: what older and newer releases wrote is read, and what we write is what they expect.

A sample that must be edited to make these tests pass is a change of the contract: old records are still in Kafka.
"""

import json
from typing import Any

import msgspec
import pytest

from tests.contract.golden import STRUCTS, Sample, sample, samples
from tocsin.events import VERSION, BadRecord, JobEvent, Level, QueueSnapshot, State, decode, encode

SAMPLES = samples()
ALL = pytest.mark.parametrize("one", SAMPLES, ids=[one.name for one in SAMPLES])


def required(struct: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(struct) if field.required]


REQUIRED = [(one, field) for one in SAMPLES for field in required(one.struct)]


@ALL
def test_a_sample_survives_decoding_and_encoding(one: Sample) -> None:
    assert json.loads(encode(decode(one.struct, one.body))) == one.fields


@ALL
def test_a_record_is_one_line_of_utf_8(one: Sample) -> None:
    assert b"\n" not in encode(decode(one.struct, one.body))


@ALL
def test_fields_of_a_newer_release_are_ignored(one: Sample) -> None:
    newer = one.changed(new_word="x", new_list=[1, {"a": None}], new_flag=True)
    assert decode(one.struct, newer) == decode(one.struct, one.body)


@pytest.mark.parametrize(("one", "field"), REQUIRED, ids=[f"{one.name}-{field}" for one, field in REQUIRED])
def test_a_record_without_a_required_field_is_bad(one: Sample, field: str) -> None:
    with pytest.raises(BadRecord, match=f"`{field}`"):
        decode(one.struct, one.without(field))


@ALL
@pytest.mark.parametrize("version", [0, VERSION + 1, -1])
def test_a_record_of_another_version_is_bad_and_says_which(one: Sample, version: int) -> None:
    with pytest.raises(BadRecord, match=f"version {version}; this release reads {VERSION}"):
        decode(one.struct, one.changed(v=version))


@ALL
@pytest.mark.parametrize("version", ["1", 1.5, None, True, [1]])
def test_a_version_that_is_no_whole_number_is_bad(one: Sample, version: object) -> None:
    with pytest.raises(BadRecord):
        decode(one.struct, one.changed(v=version))


@pytest.mark.parametrize("struct", STRUCTS.values(), ids=STRUCTS.keys())
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"null",
        b"{}",
        b'{"v":1',
        b'\xff\xfe{"v":1}',
        b'{"v":1,"id":"\xff","ts":1}',
        b'{"v":1}{"v":1}',
        b"[" * 5000,
        b'{"v":1,"x":' + b"[" * 200_000,
        b'{"v":99999999999999999999999999}',
    ],
)
def test_bytes_that_are_no_record_are_bad(struct: type[msgspec.Struct], body: bytes) -> None:
    with pytest.raises(BadRecord):
        decode(struct, body)


@pytest.mark.parametrize("word", ["paused", "RETRYING", "", None, 3])
def test_a_state_the_contract_does_not_name_is_bad(word: object) -> None:
    with pytest.raises(BadRecord, match="state"):
        decode(JobEvent, sample("job_event.retrying").changed(state=word))


def test_the_words_of_the_contract() -> None:
    assert [*State] == [
        "waiting",
        "active",
        "delayed",
        "retrying",
        "waiting-children",
        "completed",
        "failed",
        "stalled",
        "removed",
        "unknown",
    ]
    assert [*Level] == ["debug", "info", "warn", "error"]


@pytest.mark.parametrize("struct", STRUCTS.values(), ids=STRUCTS.keys())
def test_every_field_stands_in_a_sample(struct: type[msgspec.Struct]) -> None:
    shown = {field for one in SAMPLES if one.struct is struct for field in one.fields}
    assert set(struct.__struct_fields__) - shown == set()


@ALL
def test_no_sample_holds_a_field_the_contract_lacks(one: Sample) -> None:
    assert set(one.fields) - set(one.struct.__struct_fields__) == set()


@ALL
def test_optional_fields_cost_nothing_on_the_wire(one: Sample) -> None:
    needed = required(one.struct)
    least = json.dumps({field: value for field, value in one.fields.items() if field in needed}).encode()
    assert set(json.loads(encode(decode(one.struct, least)))) == set(needed)


def test_workers_unknown_and_no_workers_are_told_apart() -> None:
    unknown = decode(QueueSnapshot, sample("queue_snapshot.workers-unknown").body)
    none = decode(QueueSnapshot, sample("queue_snapshot.no-workers").body)
    assert (unknown.workers, none.workers) == (None, 0)
    assert json.loads(encode(none))["workers"] == 0
    assert unknown == decode(QueueSnapshot, sample("queue_snapshot.workers-unknown").changed(workers=None))


def test_an_attempt_that_will_be_retried_keeps_its_own_error() -> None:
    attempt = decode(JobEvent, sample("job_event.retrying").body)
    assert (attempt.event, attempt.state, attempt.attempt) == ("delayed", State.RETRYING, 1)
    assert (attempt.error, attempt.error_type) == ("SMTP 421 try again later", "Error")
    assert attempt.stack == ["at send (/app/mailer.js:41:11)", "at async run (/app/worker.js:9:5)"]


def test_a_job_whose_hash_was_gone_says_so() -> None:
    assert decode(JobEvent, sample("job_event.completed-and-removed").body).enriched is False
    assert decode(JobEvent, sample("job_event.completed").body).enriched is True


def test_two_records_never_share_a_list() -> None:
    bare = sample("job_event.paused-queue").body
    first, second = decode(JobEvent, bare), decode(JobEvent, bare)
    first.stack.append("x")
    assert second.stack == []


def test_a_lone_surrogate_is_refused_when_written() -> None:
    event = decode(JobEvent, sample("job_event.failed-finally").body)
    with pytest.raises(UnicodeEncodeError):
        encode(msgspec.structs.replace(event, error="\ud83d"))


@pytest.mark.parametrize("value", [2**53, 2**63 - 1, 1_795_330_800_000])
def test_whole_numbers_stay_whole(value: int) -> None:
    assert decode(JobEvent, encode(_with_ts(value))).ts == value


def _with_ts(ts: int) -> Any:
    return msgspec.structs.replace(decode(JobEvent, sample("job_event.added").body), ts=ts)
