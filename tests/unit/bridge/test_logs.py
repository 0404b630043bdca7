"""How far a job's log was told, and what its places leave in Kafka."""

import pytest

from bridge.record import Record
from bridge.records import Records
from bridge.sources.bullmq.cursors import restore
from bridge.sources.bullmq.logs import tail as logtail
from bridge.sources.bullmq.logs.place import LogPlace
from bridge.sources.bullmq.logs.tail import LogTail
from bridge.sources.bullmq.memory import JobMemory, QueueMemory
from bridge.sources.bullmq.reconcile.open_jobs import OpenJob
from bridge.sources.bullmq.reconcile.reconciling import Reconciling
from tests.unit.bridge.entries import PLACE
from tocsin.events import LogLine, State, decode
from tocsin.topics import Topics

JOB = JobMemory(name="send", added_at=900, trace_id="t")


def has_ended(job_id: str) -> bool:
    return False


def restarted(records: list[Record]) -> LogTail:
    """The places as the next owner finds them."""
    values: dict[bytes, bytes] = {}
    for record in records:
        values.pop(record.key, None)
        if record.value is not None:
            values[record.key] = record.value
    places = restore("eu", "main", "", values).log_places.get("mail", {})
    return LogTail("eu", PLACE, Records(Topics("t.")), QueueMemory(), places, has_ended)


def tail(**restored: int) -> LogTail:
    places = {job_id: LogPlace(lines, at=lines) for job_id, lines in restored.items()}
    return LogTail("eu", PLACE, Records(Topics("t.")), QueueMemory(), places, has_ended)


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
    assert (mine.place("x").lines, mine.place("x").at) == (7, 7)
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
    assert (mine.place("y").lines, "y" in mine) == (0, False)


def test_place_of_an_endless_job_id_fits_a_cursor_and_is_found_again() -> None:
    endless = "x" * 3_000_000
    mine = tail()
    cursor = mine.tell(endless, JOB, ["one"], epoch=1, ts=1, attempt=1, backfill=False)[-1]
    assert cursor.size < 2000

    restored = restore("eu", "main", "", {cursor.key: cursor.value or b""}).log_places["mail"]
    again = LogTail("eu", PLACE, Records(Topics("t.")), QueueMemory(), restored, has_ended)
    assert (again.place(endless).lines, endless in again, endless + "y" in again) == (1, True, False)
    assert [record.key for record in again.drop(endless, 1)] == [cursor.key]


def test_oldest_place_is_given_up_but_not_one_of_a_job_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logtail, "MAX_PLACES", 3)
    memory = QueueMemory()
    memory.run("runs", since=1)
    mine = LogTail("eu", PLACE, Records(Topics("t.")), memory, {}, has_ended)
    for job_id in ("runs", "a", "b"):
        mine.move(job_id, LogPlace(1), 1)
    records = mine.move("c", LogPlace(1), 1)

    assert [record.key for record in records if record.value is None] == [b"eu:main:mail:a"]
    assert [job_id in mine for job_id in ("runs", "a", "b", "c")] == [True, False, True, True]


def test_place_of_a_job_that_has_not_ended_is_kept_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it, a job that ran before goes on at its log's end; a job's first run does not."""
    monkeypatch.setattr(logtail, "MAX_PLACES", 2)
    monkeypatch.setattr(logtail, "MOST_PLACES", 4)
    memory = QueueMemory()
    mine = LogTail("eu", PLACE, Records(Topics("t.")), memory, {}, lambda job_id: job_id.startswith("open"))
    for job_id in ("open-1", "a", "open-2", "b", "c", "open-3"):
        mine.move(job_id, LogPlace(1), 1)
    assert [job_id for job_id in ("open-1", "open-2", "open-3", "a", "b", "c") if job_id in mine] == [
        "open-1",
        "open-2",
        "open-3",
    ]
    assert not mine.may_have_told("x")
    mine.move("open-4", LogPlace(1), 1)
    mine.move("open-5", LogPlace(1), 1)
    [lost] = [job_id for job_id in ("open-1", "open-2", "open-3", "open-4", "open-5") if job_id not in mine]
    assert mine.may_have_told(lost)
    memory.job("new").runs = 0
    assert not mine.may_have_told("new")
    assert not mine.may_have_told("open-5")


def test_restart_knows_that_places_were_given_up() -> None:
    """A job that ended before goes on at its log's end when its next run is rebuilt: its first lines were told."""
    mine = tail()
    told = [record for job_id in ("a", "b") for record in mine.move(job_id, LogPlace(1), 1)]
    assert not restarted(told).is_full
    told += mine.shrink(1, 2)

    again = restarted(told)
    assert ([job_id in again for job_id in ("a", "b")], len(again)) == ([False, True], 1)
    assert again.is_full
    assert not again.may_have_told("a"), "it has ended: only a retry by hand goes on with it"
    told += mine.clear(3)
    assert (mine.is_full, restarted(told).is_full) == (False, False), "the stream was begun anew"


def test_search_for_places_to_give_up_is_bounded_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logtail, "LOOKED_AT", 2)
    monkeypatch.setattr(logtail, "MOST_LOOKS", 2)
    mine = LogTail("eu", PLACE, Records(Topics("t.")), QueueMemory(), {}, lambda job_id: job_id.startswith("open"))
    for job_id in ("open-1", "a", "open-2", "b", "open-3", "c"):
        mine.move(job_id, LogPlace(1), 1)
    mine.shrink(0, 2)
    assert [job_id in mine for job_id in "abc"] == [False, False, True]
    mine.shrink(0, 2)
    assert ("c" in mine, len(mine)) == (False, 3)


def test_place_of_a_job_that_may_be_open_waits_until_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """After every restart nobody knows for a while: an ordinary queue that is full must not pass for a doubtful one."""
    monkeypatch.setattr(logtail, "MAX_PLACES", 2)
    said: dict[str, bool | None] = {}
    mine = LogTail("eu", PLACE, Records(Topics("t.")), QueueMemory(), {}, said.get)
    for job_id in ("a", "b", "c"):
        mine.move(job_id, LogPlace(1), 1)
    assert len(mine) == 3
    said["b"] = False
    mine.shrink(2, 1)
    assert [job_id in mine for job_id in ("a", "b", "c")] == [True, False, True], "who has ended goes first"
    assert not mine.may_have_told("x")
    mine.shrink(1, 1)
    assert (len(mine), mine.may_have_told("x")) == (1, True)


def test_place_given_up_while_nobody_knows_all_open_jobs_may_be_of_one_of_them() -> None:
    """After a kill not all come back, and of too many some are left out."""
    open_jobs = Reconciling()
    open_jobs.jobs.put("open", OpenJob(State.RETRYING))
    mine = LogTail("eu", PLACE, Records(Topics("t.")), QueueMemory(), {}, open_jobs.may_go_on)
    told = [record for job_id in ("open", "a", "b", "c") for record in mine.move(job_id, LogPlace(1), 1)]
    open_jobs.has_strangers = False
    told += mine.shrink(3, 2)
    assert ("a" in mine, mine.may_have_told("a")) == (False, False)
    open_jobs.has_strangers = True
    told += mine.shrink(2, 2)
    assert ("b" in mine, mine.may_have_told("b")) == (False, True)
    assert restarted(told).may_have_told("b")

    open_jobs.has_strangers, open_jobs.jobs.forgotten = False, 1
    assert [open_jobs.may_go_on(job_id) for job_id in ("open", "c")] == [True, None]
