"""Levels of log lines, and how far a job's log was told."""

import pytest

from bridge.cursors import restore
from bridge.record import Record
from bridge.records import Records
from bridge.sources.bullmq import logs, logtail
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.logtail import LogTail
from bridge.sources.bullmq.memory import JobMemory, QueueMemory
from tests.unit.bridge.entries import PLACE
from tocsin.events import Level, LogLine, decode
from tocsin.topics import Topics

JOB = JobMemory(name="send", added_at=900, trace_id="t")


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("plain words", Level.INFO),
        ("", Level.INFO),
        ("[ERROR] gateway", Level.ERROR),
        ("ERROR: x", Level.ERROR),
        ("error happened", Level.ERROR),
        ("errors: 0", Level.INFO),
        ("2026-01-02T03:04:05.678Z [warn] slow", Level.WARN),
        ("2026-01-02 03:04:05,678 - WARNING - slow", Level.WARN),
        ("[debug] x", Level.DEBUG),
        ("<fatal> x", Level.ERROR),
        ("information", Level.INFO),
        ('{"level":"warn","msg":"x"}', Level.WARN),
        ('{"level":50,"msg":"x"}', Level.ERROR),
        ('{"level":60}', Level.ERROR),
        ('{"level":40}', Level.WARN),
        ('{"level":30}', Level.INFO),
        ('{"level":20}', Level.DEBUG),
        ('{"severity":"CRITICAL"}', Level.ERROR),
        ('{"level":"\\ud800"}', Level.INFO),
        ('{"level":null}', Level.INFO),
        ('{"level":{"a":1}}', Level.INFO),
        ("{not json", Level.INFO),
        ('{"x":' * 3000, Level.INFO),
        ("שגיאה ERROR", Level.INFO),
    ],
)
def test_level_is_read_from_the_line(line: str, level: Level) -> None:
    assert logs.level_of(line) is level


def test_endless_line_is_not_searched_for_its_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """A date is any run of digits, and the search for what follows it begins again at each."""
    looked_at: list[int] = []

    class Noting:
        def match(self, line: str) -> None:
            looked_at.append(len(line))

    monkeypatch.setattr(logs, "_WORD", Noting())
    logs.level_of("1" * 5_000_000)
    assert looked_at == [logs.LEVEL_CHARACTERS]


def test_lines_are_read_from_where_we_were() -> None:
    keys = Keys("bull", "q")

    assert logs.read_command(keys, "a:b:c", 7, 50) == ("LRANGE", "bull:q:a:b:c:logs", 7, 56)
    assert logs.parse([b"one", b"\xff"]) == ["one", "�"]
    assert logs.parse(None) == []


def tail(**restored: int) -> LogTail:
    return LogTail("eu", PLACE, Records(Topics("t.")), QueueMemory(), restored)


def lines_of(records: list[Record]) -> list[LogLine]:
    return [decode(LogLine, record.value or b"") for record in records if record.topic == "t.logs"]


def test_lines_are_numbered_on_and_their_place_is_kept() -> None:
    mine = tail(x=5)
    records = mine.tell("x", JOB, ["five", "six"], epoch=2, ts=9, attempt=3, backfill=True)
    lines = lines_of(records)

    assert [(line.line, line.message, line.attempt, line.backfill) for line in lines] == [
        (5, "five", 3, True),
        (6, "six", 3, True),
    ]
    assert [line.id for line in lines] == ["main:mail:2:l:x:900:5", "main:mail:2:l:x:900:6"]
    assert (records[-1].topic, records[-1].key) == ("t.cursors", b"eu:main:mail:x")
    assert mine.seen("x") == 7
    assert mine.tell("x", JOB, [], epoch=2, ts=9, attempt=3, backfill=True) == []


def test_secrets_in_lines_are_hidden() -> None:
    records = tail().tell(
        "x", JOB, ['{"password":"hunter22"}', "token=hunter22"], epoch=1, ts=1, attempt=1, backfill=False
    )

    assert b"hunter22" not in b"".join(record.value or b"" for record in records)


def test_gone_jobs_leave_a_tombstone_once() -> None:
    mine = tail(x=5, y=1)

    assert [(record.key, record.value) for record in mine.drop("x", 1)] == [(b"eu:main:mail:x", None)]
    assert mine.drop("x", 1) == []
    assert [(record.key, record.value) for record in mine.clear(1)] == [(b"eu:main:mail:y", None)]
    assert (mine.seen("y"), "y" in mine) == (0, False)


def test_place_of_an_endless_job_id_fits_a_cursor_and_is_found_again() -> None:
    endless = "x" * 3_000_000
    mine = tail()
    cursor = mine.tell(endless, JOB, ["one"], epoch=1, ts=1, attempt=1, backfill=False)[-1]
    assert cursor.size < 2000

    restored = restore("eu", "main", "", {cursor.key: cursor.value or b""}).log_lines["mail"]
    again = LogTail("eu", PLACE, Records(Topics("t.")), QueueMemory(), restored)
    assert (again.seen(endless), endless in again, endless + "y" in again) == (1, True, False)
    assert [record.key for record in again.drop(endless, 1)] == [cursor.key]


def test_oldest_place_is_given_up_but_not_one_of_a_job_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logtail, "MAX_PLACES", 3)
    memory = QueueMemory()
    memory.run("runs", since=1)
    mine = LogTail("eu", PLACE, Records(Topics("t.")), memory, {})
    for job_id in ("runs", "a", "b"):
        mine.move(job_id, 1, 1)
    records = mine.move("c", 1, 1)

    assert [(record.key, record.value) for record in records][1:] == [(b"eu:main:mail:a", None)]
    assert [job_id in mine for job_id in ("runs", "a", "b", "c")] == [True, False, True, True]
