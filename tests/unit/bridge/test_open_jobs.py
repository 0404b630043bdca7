"""What was told last of each open job is known, however many there are and whatever becomes of their stream."""

import pytest

from bridge.record import MAX_RECORD_BYTES
from bridge.sources.bullmq.cursors import no_open_pages, open_cursor, open_cursors, restore
from bridge.sources.bullmq.reconcile.open_jobs import LEAST_JOBS, STORED_JOBS, OpenJob, OpenJobs, Room
from bridge.sources.bullmq.stream import Position
from tocsin.events import JobEvent, State


def event(job_id: str, name: str, state: State, *, added_at: int = 5, backfill: bool = False) -> JobEvent:
    return JobEvent(
        v=1,
        id="x",
        ts=1,
        env="e",
        source="s",
        queue="q",
        epoch=1,
        stream_id="1-1",
        event=name,
        state=state,
        job_id=job_id,
        job_name="send" if name == "added" else "",
        added_at=added_at,
        backfill=backfill,
    )


def told(jobs: OpenJobs, job_id: str, name: str, state: State) -> None:
    jobs.told(job_id, event(job_id, name, state))


def test_job_is_open_from_its_first_event_to_its_end() -> None:
    jobs = OpenJobs()
    told(jobs, "1", "added", State.WAITING)
    told(jobs, "1", "waiting", State.WAITING)
    told(jobs, "1", "active", State.ACTIVE)
    assert jobs.get("1") == OpenJob(State.ACTIVE, "send", 5)
    told(jobs, "1", "custom", State.UNKNOWN)
    assert jobs.get("1") == OpenJob(State.ACTIVE, "send", 5)
    told(jobs, "1", "delayed", State.RETRYING)
    assert jobs.get("1") == OpenJob(State.RETRYING, "send", 5)
    told(jobs, "1", "failed", State.FAILED)
    assert "1" not in jobs
    told(jobs, "1", "waiting", State.WAITING)
    assert "1" in jobs, "retried by hand"
    told(jobs, "1", "removed", State.REMOVED)
    assert len(jobs) == 0


@pytest.mark.parametrize("job_id", ["", "a\ufffdb", "x" * 10_000])
def test_job_that_cannot_be_asked_for_by_its_id_is_left_out(job_id: str) -> None:
    jobs = OpenJobs()
    jobs.told(job_id, event(job_id[:100], "active", State.ACTIVE))
    assert len(jobs) == 0


def test_of_too_many_the_one_that_waits_longest_is_left_out_and_one_that_runs_last_of_all() -> None:
    jobs = OpenJobs(max_jobs=3)
    told(jobs, "runs", "active", State.ACTIVE)
    for number in range(5):
        told(jobs, str(number), "waiting", State.WAITING)
    assert [job_id for job_id, _ in jobs.items()] == ["runs", "3", "4"]
    told(jobs, "3", "active", State.ACTIVE)
    told(jobs, "4", "active", State.ACTIVE)
    told(jobs, "5", "active", State.ACTIVE)
    assert [job_id for job_id, _ in jobs.items()] == ["3", "4", "5"]


def test_open_jobs_are_stored_those_that_run_first() -> None:
    jobs = OpenJobs()
    for number in range(STORED_JOBS + 10):
        told(jobs, str(number), "added", State.WAITING)
    told(jobs, "last", "active", State.ACTIVE)
    jobs.put("0", OpenJob(State.WAITING, "send", 5, priority=3))
    key, value = open_cursor("eu", "main", "q:", Position("7-1", 9, 2), jobs, 1)
    assert key == b"eu:main:q::"
    key, value = open_cursor("eu", "main", "q", Position("7-1", 9, 2), jobs, 1)
    stored = restore("eu", "main", "all", {key: value or b""}).open_jobs["q"]
    assert (stored.last_id, stored.pos, stored.epoch, len(stored.jobs)) == ("7-1", 9, 2, STORED_JOBS)
    again = OpenJobs()
    again.restore(stored)
    assert not again.is_changed
    assert next(again.items()) == ("last", OpenJob(State.ACTIVE, "", 5))
    assert again.get("1") == OpenJob(State.WAITING, "send", 5)


def test_what_is_stored_always_fits_a_record() -> None:
    jobs = OpenJobs()
    for number in range(STORED_JOBS):
        jobs.put(str(number) + "\x01" * 1000, OpenJob(State.WAITING, "\x01" * 1000))
    jobs.orphan()
    _, value = open_cursor("eu", "main", "q", Position(), jobs, 1)
    assert 100_000 < len(value or b"") < MAX_RECORD_BYTES


def test_job_of_a_stream_begun_anew_is_another_when_its_id_is_added_again() -> None:
    jobs = OpenJobs()
    for job_id in ("1", "2", "3", "4"):
        told(jobs, job_id, "added", State.WAITING)
    jobs.orphan()
    assert len(jobs) == 0
    jobs.told("1", event("1", "added", State.WAITING, added_at=9))
    jobs.told("2", event("2", "added", State.WAITING, added_at=5))
    jobs.told("3", event("3", "added", State.WAITING, added_at=0, backfill=True))
    told(jobs, "4", "active", State.ACTIVE)
    assert [job_id for job_id, _ in jobs.replaced] == ["1"]
    assert not jobs.orphans, "the others live on: they were told again"


def test_what_was_told_before_a_restart_is_known_later_and_what_was_told_since_wins() -> None:
    jobs, late = OpenJobs(), OpenJobs()
    for job_id in ("untouched", "ended", "moved", "reused"):
        told(late, job_id, "added", State.WAITING)
    late.orphans = {"orphan": OpenJob(State.ACTIVE, added_at=3), "taken": OpenJob(State.ACTIVE, added_at=3)}
    jobs.expect_late()
    told(jobs, "ended", "completed", State.COMPLETED)
    told(jobs, "moved", "active", State.ACTIVE)
    jobs.told("reused", event("reused", "added", State.WAITING, added_at=9))
    told(jobs, "taken", "added", State.WAITING)
    jobs.take_up(late)

    known = {job_id: (job.state, job.name, job.added_at) for job_id, job in jobs.items()}
    assert known == {
        "untouched": (State.WAITING, "send", 5),
        "moved": (State.ACTIVE, "send", 5),
        "reused": (State.WAITING, "send", 9),
        "taken": (State.WAITING, "send", 5),
    }
    assert list(jobs.orphans) == ["orphan"]
    assert [job_id for job_id, _ in jobs.replaced] == ["taken"]
    told(jobs, "untouched", "completed", State.COMPLETED)
    assert "untouched" not in jobs


def test_all_jobs_are_stored_in_several_cursors_of_one_moment() -> None:
    jobs = OpenJobs()
    for number in range(2 * STORED_JOBS + 10):
        told(jobs, str(number), "added", State.WAITING)
    cursors = dict(open_cursors("eu", "main", "q", Position("7-1", 9, 2), jobs, 1))
    assert list(cursors) == [b"eu:main:q:", b"eu:main:q::1", b"eu:main:q::2"]
    again = OpenJobs()
    again.restore(restore("eu", "main", "all", cursors).open_jobs["q"])
    assert dict(again.items()) == dict(jobs.items())
    key, value = open_cursor("eu", "main", "q", Position("8-1", 10, 2), jobs, 2)
    later = restore("eu", "main", "all", cursors | {key: value or b""})
    assert len(later.open_jobs["q"].jobs) == STORED_JOBS, "the others are of another moment"
    assert later.log_places == {}
    assert later.open_pages == {"q": 2}, "to be taken back all the same"
    gone = dict(no_open_pages("eu", "main", "q", 2))
    assert gone == {key: None for key in list(cursors)[1:]}


def test_queues_share_the_room_of_their_process_and_each_has_some() -> None:
    room = Room(3 * LEAST_JOBS)
    big, small = OpenJobs(room=room), OpenJobs(room=room)
    for number in range(4 * LEAST_JOBS):
        told(big, str(number), "added", State.WAITING)
    assert (len(big), big.forgotten, big.space) == (3 * LEAST_JOBS, LEAST_JOBS, 0)
    for number in range(LEAST_JOBS + 1):
        told(small, str(number), "added", State.WAITING)
    assert (len(small), small.forgotten) == (LEAST_JOBS, 1)
    big.leave()
    assert room.left == 2 * LEAST_JOBS
    told(small, "more", "added", State.WAITING)
    told(small, "more", "completed", State.COMPLETED)
    assert (len(small), room.left) == (LEAST_JOBS, 2 * LEAST_JOBS)
