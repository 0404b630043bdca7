"""What the real Node BullMQ did, and what the bridge told of it: attempt by attempt the same."""

from collections import Counter
from typing import Any

import pytest

from tests.bullmq.driver import Version, run_mishaps, run_workload
from tests.bullmq.records import Truth
from tests.eventually import eventually
from tests.integration.bridge.running import Bridge
from tests.integration.bridge.truth import differences, ends_of, has_ended, out_of_order, unknown_of_kept, untimed
from tests.kafka_reader import Records

QUEUES = ["mail", "images", "invoices", "דואר נכנס", "gone"]


async def test_thrown_text_is_told_as_unknown_never_as_the_error_before(bridge: Bridge, redis_url: str) -> None:
    """`throw 'text'`: BullMQ keeps neither message nor stack, and leaves those of the attempt before in the hash."""
    await bridge.start()
    await bridge.ready()
    truth = await run_workload(redis_url, version=6, jobs=300, queues=QUEUES[:2], thrown_text=True)

    await told(bridge, truth)
    records = await bridge.records()
    assert differences(records, truth) == []
    texts = {key for key, job in truth.jobs.items() if job.kind == "thrown-text"}
    retries = [
        event
        for key, events in records.of_jobs().items()
        if key in texts
        for event in events
        if event.state == "retrying"
    ]
    assert len(texts) > 3
    assert len(retries) == 2 * len(texts)
    assert {(event.enriched, event.error) for event in retries} == {(False, "")}


VERSIONS: list[Version] = [6, 5, "5.40", "5.0"]
LEFT_OUT: dict[Version, list[str]] = {"5.0": ["rate-limited", "handed-back"]}
"""BullMQ 5.0.0 leaves some jobs of a rate limited queue active for ever."""
ALL_VERSIONS = pytest.mark.parametrize("version", VERSIONS)


@ALL_VERSIONS
async def test_every_attempt_is_relayed_with_its_own_error(bridge: Bridge, redis_url: str, version: Version) -> None:
    await bridge.start()
    await bridge.ready()
    names_each = version in (5, 6)  # a run that another follows before its hash is read is told without a name
    truth = await run_mix(redis_url, version, rate=200 if names_each else 10_000)
    await told(bridge, truth)

    async def is_unknown_counted() -> bool:
        unknown = sum(not event.enriched for event in (await bridge.records()).jobs)
        return unknown == await bridge.metric("bridge_events_unenriched_total")

    await eventually(is_unknown_counted, what="as many unenriched events counted as told")
    await bridge.stop()
    records = await bridge.records()

    assert differences(records, truth) == []
    assert out_of_order(records) == []
    assert unknown_of_kept(records, truth) == []
    assert untimed(records) == []
    assert not any(event.backfill for event in records.jobs)
    unknown = [event for event in records.of_queue("gone") if not event.enriched]
    assert {event.event for event in unknown} >= {"completed", "failed"}
    assert all(event.job_id for event in unknown)
    assert_workers_are_named(records, version)
    if names_each:
        retried = {event.worker for event in ends_of(records.jobs) if event.state == "retrying"} - {""}
        assert {name.endswith("-worker-2") for name in retried} == {True, False}


@ALL_VERSIONS
async def test_what_is_read_long_after_is_right_or_says_it_is_unknown(
    bridge: Bridge, redis_url: str, version: Version
) -> None:
    """Every hash is that of the job's end, and tells of runs that the entries read with it do not show yet."""
    truth = await run_mix(redis_url, version)
    await bridge.start()
    await told(bridge, truth)
    await bridge.stop()
    records = await bridge.records()

    assert differences(records, truth) == []
    assert unknown_of_kept(records, truth) == []
    assert_workers_are_named(records, version)
    handed_back = {key for key, job in truth.jobs.items() if job.postponed and not job.removed}
    known = {(event.queue, event.job_id) for event in ends_of(records.jobs) if event.enriched}
    assert len(handed_back & known) > 5, "the end of a job is known also where its first run is not"


@pytest.mark.parametrize("is_late", [False, True], ids=["live", "late"])
@ALL_VERSIONS
async def test_killed_workers_failed_children_and_retries_by_hand_are_told(
    bridge: Bridge, app: Any, redis_url: str, version: Version, is_late: bool
) -> None:
    if not is_late:
        await bridge.start()
        await bridge.ready()
    truth = await run_mishaps(redis_url, version=version)
    if is_late:
        await bridge.start()
    await told(bridge, truth)
    if not is_late:
        await until_counted(bridge, app, truth)
    await bridge.stop()
    records = await bridge.records()

    assert differences(records, truth) == []
    assert [event for event in records.jobs if not event.enriched] == []
    parents = [event for event in records.of_queue("parents") if event.event == "failed"]
    assert {(event.attempt, event.started_at is None) for event in parents} == {
        (0, True) if version in ("5.0", "5.40") else (1, False)
    }


async def run_mix(redis_url: str, version: Version, *, rate: float = 10_000) -> Truth:
    """The workload's mix of jobs on this version. rate: jobs added a second."""
    return await run_workload(
        redis_url,
        version=version,
        jobs=500,
        queues=QUEUES,
        ephemeral="gone",
        rate=rate,
        workers=2,
        without=LEFT_OUT.get(version, []),
    )


async def told(bridge: Bridge, truth: Truth) -> None:
    """Wait for the last end of every job in Kafka."""

    async def is_told() -> bool:
        return has_ended(await bridge.records(), truth)

    await eventually(is_told, what="every job's end in Kafka")


async def until_counted(bridge: Bridge, app: Any, truth: Truth) -> None:
    """Wait until stalls, and parents that waited for their children, are counted as often as BullMQ wrote them."""
    words: Counter[str] = Counter()
    for queue in {job.queue for job in truth.jobs.values()} | {"parents"}:
        words.update(fields[b"event"].decode() for _, fields in await app.xrange(f"bull:{queue}:events"))
    wanted = [words["stalled"], words["waiting-children"]]
    assert min(wanted) > 0

    async def are_counted() -> bool:
        names = ("bridge_jobs_stalled_total", "bridge_jobs_waiting_children_total")
        return [await bridge.metric(name) for name in names] == wanted

    await eventually(are_counted, what=f"{wanted} stalls and parents that wait")


def assert_workers_are_named(records: Records, version: Version) -> None:
    """Of the last run at least. 5.0 keeps no name, 5.40 not of each run; the queue `gone` has a worker without one."""
    finals = [event for event in records.jobs if event.event in ("completed", "failed") and event.queue != "gone"]
    named = {event.worker in workers_of(event.queue) for event in finals}
    assert named == {"5.0": {False}, "5.40": {True, False}}.get(str(version), {True})


def workers_of(queue: str) -> set[str]:
    """The names of a queue's workers."""
    return {f"{queue}-worker", f"{queue}-worker-2"}
