"""No record can outgrow Kafka's limit, whatever a job holds; a big reading becomes several groups."""

import hashlib
import itertools
import json

import pytest

from bridge.record import MAX_RECORD_BYTES, Record
from bridge.records import Records
from bridge.sources.bullmq import enrich, translate
from bridge.sources.bullmq.groups import GROUP_BYTES, Batch, cut_back, groups
from bridge.sources.bullmq.logs.lines import records as line_records
from bridge.sources.bullmq.memory import JobMemory, QueueMemory
from bridge.sources.bullmq.stream import Position, Reading
from bridge.sources.bullmq.translate import Place
from tests.unit.bridge.entries import Stream, entry_of
from tocsin.events import Cursor, DeadLetter, decode
from tocsin.topics import Topics

RECORDS = Records(Topics("tocsin."))
PLACE = Place("e" * 100, "s" * 100, "q" * 2000)
LONG_BYTES = 300 * 1024


@pytest.mark.parametrize("letter", ["\0", "\x7f", '"', "\\", "é", "🚀", "a"])
def test_worst_record_fits(letter: str) -> None:
    long = letter * (LONG_BYTES // len(letter.encode()))
    text = json.dumps({"k": long}, ensure_ascii=False)
    stack = f"Error: {long[:1000]}\n" + f"    at {long[:5000]} (a:1:2)\n" * 100
    fields = {
        "name": long, "timestamp": "9" * 15, "opts": json.dumps({"attempts": 9, "tm": long}), "finishedOn": "1",
        "failedReason": long, "stacktrace": json.dumps([stack, stack]), "atm": "2", "attemptsMade": None, "pb": long,
        "parentKey": long, "rjk": long, "data": text,
    }  # fmt: skip
    values = [fields.get(name) for name in enrich.FIELDS_AND_DATA]
    job = enrich.parse([[None if value is None else value.encode() for value in values], 0])
    everything = {name: long for name in ("jobId", "prev", "name", "returnvalue", "delay", "attemptsMade", "x", letter)}
    entries = [
        entry_of(f"{number}-0", {**everything, "event": event, "data": text, "failedReason": long})
        for number, event in enumerate([*translate.STATES, long], 1)
    ]
    translated = translate.translate(PLACE, Reading(entries, Position()), entries, {long: job}, QueueMemory())
    made = [RECORDS.job(event) for event in translated.events]
    made.append(RECORDS.dead_letter(PLACE, translate.Bad(entries[0], "no event"), 1))
    known = JobMemory(name=translated.events[-1].job_name, added_at=9)
    lines = line_records(PLACE, 1, long, known, [long, text], 1, first=0, attempt=1, backfill=False)
    made += [RECORDS.line(line) for line in lines]

    assert len(translated.events) == len(entries)
    assert max(record.size for record in made) < MAX_RECORD_BYTES


def test_dead_letter_holds_the_fields_as_json_and_the_digest_of_them_whole() -> None:
    fields = {"jobId": "é", "password": "hunter22"}
    letter = RECORDS.dead_letter(Place("e", "s", "q"), translate.Bad(entry_of("1-0", fields), "no event"), 1)
    told = decode(DeadLetter, letter.value or b"")
    raw = json.dumps(fields, ensure_ascii=False).encode()

    assert json.loads(told.body) == {"jobId": "é", "password": "[redacted]"}
    assert (told.sha256, told.length) == (hashlib.sha256(raw).hexdigest(), len(raw))


def test_record_that_is_too_big_is_kept_as_far_as_it_goes() -> None:
    letter = RECORDS.too_big(Record.of("tocsin.jobs", b"main:mail", b"v" * MAX_RECORD_BYTES))
    told = decode(DeadLetter, letter.value or b"")

    assert letter.size < 100_000
    assert (told.length, told.origin, told.body[:5]) == (MAX_RECORD_BYTES, "kafka:tocsin.jobs:main:mail", "vvvvv")
    stream = Stream()
    [event] = stream.tell(*stream.entries('completed/{"password": "canary-5d1e", "to": "ann"}'))
    body = decode(DeadLetter, RECORDS.too_big(RECORDS.job(event)).value or b"").body
    assert ("canary-5d1e" in body, "ann" in body) == (False, True)


def test_big_reading_becomes_groups_that_each_say_where_to_go_on() -> None:
    stream = Stream()
    entries = stream.entries(*["completed/" + json.dumps("x" * 15_000)] * 300)
    reading = Reading(entries, Position(entries[-1].id, 1300, 3), lost=7, lost_from="5-0", lost_to=entries[0].id)
    batch = Batch(reading, entries)
    translated = translate.translate(PLACE, reading, entries, {}, QueueMemory())
    made = groups("eu", RECORDS, PLACE, batch, translated, 1, {})

    assert len(made) > 3
    assert all(sum(record.size for record in group.records) < GROUP_BYTES + 64 * 1024 for group in made)
    assert [group.lost for group in made] == [7] + [0] * (len(made) - 1)
    cursors = [decode(Cursor, group.records[-1].value or b"") for group in made]
    told = list(itertools.accumulate(sum(not event.lost for event in group.events) for group in made))
    assert [cursor.last_id for cursor in cursors] == [entries[number - 1].id for number in told]
    assert [cursor.pos for cursor in cursors] == [1000 + number for number in told]
    assert {cursor.epoch for cursor in cursors} == {3}
    assert [event.event for event in made[0].events][:2] == ["gap", "completed"]


def test_what_is_committed_with_an_entry_is_in_its_group_and_counts_for_its_size() -> None:
    entries = Stream().entries(*["completed"] * 6)
    reading = Reading(entries, Position(entries[-1].id, 6))
    translated = translate.translate(PLACE, reading, entries, {}, QueueMemory())
    beside = {at: [Record.of("lines", b"%d" % at, b"x" * 400_000)] for at in range(6)}
    made = groups("eu", RECORDS, PLACE, Batch(reading, entries), translated, 1, beside)

    assert [[event.stream_id for event in group.events] for group in made] == [
        [entry.id for entry in entries[:3]],
        [entry.id for entry in entries[3:]],
    ]
    lines = [[record.key for record in group.records if record.topic == "lines"] for group in made]
    assert lines == [[b"0", b"1", b"2"], [b"3", b"4", b"5"]]


def test_reset_is_told_with_the_new_epoch_and_its_cursor() -> None:
    reading = Reading([], Position("0-0", 0, 2), is_reset=True)
    made = groups("eu", RECORDS, PLACE, Batch(reading, []), translate.Translated(), 1, {})

    assert [event.event for group in made for event in group.events] == ["stream-reset"]
    assert decode(Cursor, made[0].records[-1].value or b"").epoch == 2


def test_reading_cut_between_waiting_and_stalled_is_cut_back_by_one() -> None:
    entries = Stream().entries("active", "active", "waiting/active")
    full = Reading(entries, Position(entries[-1].id, 10), is_full=True)

    reading, kept = cut_back(full)
    assert (len(kept), reading.position.last_id, reading.position.pos) == (2, entries[1].id, 9)
    assert cut_back(Reading(entries, Position(entries[-1].id, 10)))[1] == entries
