"""What the real Node BullMQ did, and what the bridge told of it: attempt by attempt the same."""

import pytest

from tests.bullmq.driver import Major, run_workload
from tests.eventually import eventually
from tests.integration.bridge.running import Bridge
from tests.integration.bridge.truth import differences, has_ended, out_of_order, unknown_of_kept

QUEUES = ["mail", "images", "invoices", "דואר נכנס", "gone"]


async def test_thrown_text_is_told_as_unknown_never_as_the_error_before(bridge: Bridge, redis_url: str) -> None:
    """`throw 'text'`: BullMQ keeps neither message nor stack, and leaves those of the attempt before in the hash."""
    await bridge.start()
    await bridge.ready()
    truth = await run_workload(redis_url, version=6, jobs=300, queues=QUEUES[:2], thrown_text=True, timeout=60)

    async def is_told() -> bool:
        return has_ended(await bridge.records(), truth)

    await eventually(is_told, seconds=30, what="every job's end in Kafka")
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


@pytest.mark.parametrize("version", [6, 5])
async def test_every_attempt_is_relayed_with_its_own_error(bridge: Bridge, redis_url: str, version: Major) -> None:
    await bridge.start()
    await bridge.ready()
    truth = await run_workload(redis_url, version=version, jobs=500, queues=QUEUES, ephemeral="gone", timeout=60)

    async def is_told() -> bool:
        return has_ended(await bridge.records(), truth)

    await eventually(is_told, seconds=30, what="every job's end in Kafka")

    async def is_unknown_counted() -> bool:
        unknown = sum(not event.enriched for event in (await bridge.records()).jobs)
        return unknown == await bridge.metric("bridge_events_unenriched_total")

    await eventually(is_unknown_counted, what="as many unenriched events counted as told")
    await bridge.stop()
    records = await bridge.records()

    assert differences(records, truth) == []
    assert out_of_order(records) == []
    assert unknown_of_kept(records, truth) == []
    assert not any(event.backfill for event in records.jobs)
    unknown = [event for event in records.of_queue("gone") if not event.enriched]
    assert {event.event for event in unknown} >= {"completed", "failed"}
    assert all(event.job_id for event in unknown)
