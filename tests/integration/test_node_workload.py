"""The workload's truth is the truth: it equals what BullMQ itself keeps in Redis."""

import re

import pytest

from tests.bullmq.driver import Major, counts, make_states, run_workload, stored_jobs, workload
from tests.bullmq.records import Job, StoredJob
from tests.eventually import eventually

QUEUES = ["mail", "images", "gone"]
BOTH_VERSIONS = pytest.mark.parametrize("version", [6, 5])


def assert_same(job: Job, stored: StoredJob) -> None:
    """Compare a job's record with its hash, attempt by attempt."""
    assert stored.state == job.final_state
    assert (stored.name, stored.added) == (job.name, job.added)
    assert stored.attempts_made == len(job.attempts)
    assert stored.attempts_started == len(job.attempts) + job.postponed
    assert stored.returnvalue == job.returnvalue
    assert stored.logs == job.logs
    failed = job.failed_attempts
    assert [attempt.n for attempt in job.attempts] == list(range(1, len(job.attempts) + 1))
    assert stored.failed_reason == (failed[-1].error if failed else None)
    assert len(stored.stacktrace) == len(failed)
    for attempt, stack in zip(failed, stored.stacktrace, strict=True):
        assert stack.startswith(f"{attempt.error_name}: {attempt.error}\n    at ")


@BOTH_VERSIONS
async def test_truth_of_every_job_equals_what_redis_keeps(redis_url: str, version: Major) -> None:
    truth = await run_workload(redis_url, version=version, jobs=100, queues=QUEUES, ephemeral="gone")

    assert truth.summary.errors == ()
    assert re.match(rf"{version}\.", truth.summary.version)
    assert len(truth.jobs) == 100
    assert not truth.in_state(None)
    kept = {key: job for key, job in truth.jobs.items() if not job.removed}
    stored: dict[tuple[str, str], StoredJob] = {}
    for queue in QUEUES:
        in_redis = await stored_jobs(redis_url, queue, version=version)
        stored |= {(queue, job_id): job for job_id, job in in_redis.items()}
    assert stored.keys() == kept.keys()
    for key, job in kept.items():
        assert_same(job, stored[key])
    for shown in await counts(redis_url, QUEUES, version=version):
        ended = [job.final_state for job in kept.values() if job.queue == shown.queue]
        assert shown.counts == dict.fromkeys(shown.counts, 0) | {state: ended.count(state) for state in set(ended)}


async def test_mix_holds_every_kind_of_end(redis_url: str) -> None:
    truth = await run_workload(redis_url, version=6, jobs=100, queues=QUEUES, seed=7)

    jobs = truth.jobs.values()
    assert {"flaky-backoff", "flaky-now", "exhausted", "unrecoverable", "delayed", "postponed"} <= {
        j.kind for j in jobs
    }
    assert any(job.final_state == "failed" and len(job.attempts) < job.max_attempts for job in jobs), "unrecoverable"
    assert any(job.final_state == "completed" and job.failed_attempts for job in jobs), "failed, then succeeded"
    assert any("\n" in (job.failed_reason or "") for job in jobs), "message of several lines"
    assert any(not job.id.isdecimal() for job in jobs), "ids of the app's own"
    assert any(job.progress for job in jobs)
    assert truth.final_failures().total() == truth.summary.failed


@BOTH_VERSIONS
async def test_producer_and_worker_run_apart(redis_url: str, version: Major) -> None:
    async with workload(redis_url, version=version, jobs=50, queues=QUEUES, role="work") as worker:
        added = await run_workload(redis_url, version=version, jobs=50, queues=QUEUES, role="produce")
        worked = await worker.finish()

    assert added.summary.added == 50
    assert len(added.in_state(None)) == 50
    truth = added.joined([worked])
    assert len(truth.jobs) == 50
    assert not truth.in_state(None)


async def test_stopped_workload_tells_the_truth_so_far(redis_url: str) -> None:
    async with workload(redis_url, version=6, jobs=100_000, queues=QUEUES, rate=200) as running:

        async def something_ended() -> bool:
            return any(shown.counts["completed"] for shown in await counts(redis_url, QUEUES, version=6))

        await eventually(something_ended, what="a completed job")
        truth = await running.stop()

    assert truth.summary.stopped
    assert 0 < truth.summary.completed <= truth.summary.known < 100_000


async def test_made_states_are_all_there(redis_url: str) -> None:
    made = await make_states(redis_url)

    assert [shown.queue for shown in made] == ["states-v6", "states-paused-v6", "states-v5", "states-paused-v5"]
    assert [shown.is_paused for shown in made] == [False, True, False, True]
    for shown in made:
        others = {state: count for state, count in shown.counts.items() if state not in {"waiting", "paused"}}
        assert len(others) == 6
        assert all(others.values())
        assert shown.waiting > 0
    assert await counts(redis_url, [made[0].queue, made[1].queue], version=6) == made[:2]
    assert await counts(redis_url, [made[2].queue, made[3].queue], version=5) == made[2:]
