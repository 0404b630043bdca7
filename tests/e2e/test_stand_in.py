"""Without Java: the in-memory stand-in of Kafka carries the main job too, at least once and for as long as it lives."""

from collections import Counter
from pathlib import Path

from tests.bullmq.driver import run_workload
from tests.e2e.accounts import SELECT_ENDS, differences, expected_rings, rings
from tests.eventually import eventually
from tests.product import product
from tocsin.stack.kafka.mock import start_mock
from tocsin.stack.ports import Ports
from tocsin.topics import Topics

QUEUES = ["orders", "mails", "gone"]
PARTITIONS = 8


async def test_the_main_job_runs_on_the_stand_in(redis_url: str, postgres_url: str, tmp_path: Path) -> None:
    topics = {spec.name: spec.partitions or PARTITIONS for spec in Topics().specs()}
    kafka = await start_mock(tmp_path / "kafka", Ports(tmp_path), 0, topics)
    try:
        async with product(
            tmp_path,
            kafka=kafka.settings["KAFKA_BOOTSTRAP_SERVERS"],
            prefix=Topics().prefix,
            redis=redis_url,
            postgres=postgres_url,
            settings=kafka.settings,
        ) as tocsin:
            for service in ("sandbox", "logsvc", "bridge", "bot"):
                await tocsin.start(service)
            await tocsin.ready()
            truth = await run_workload(redis_url, version=6, jobs=150, queues=QUEUES, ephemeral="gone", rate=50)

            async def rung() -> bool:
                told = rings(await tocsin.chat())
                return all(told.get(queue) == counts for queue, counts in expected_rings(truth).items())

            await eventually(rung, what="every failure in the chat, each with its count")

            async def stored() -> bool:
                ended = await tocsin.get("/api/v1/jobs", state="completed,failed", limit=500)
                return len(ended["items"]) == len(truth.jobs)

            await eventually(stored, what="every job's end in the history")
            assert await tocsin.stop("logsvc") == 0
            (ends,) = await tocsin.query(SELECT_ENDS)
            assert differences(truth, ends, ephemeral="gone") == []
            assert Counter(row[5] for row in ends if row[4] in ("completed", "failed")) == Counter(
                job.final_state for job in truth.jobs.values()
            )
    finally:
        await kafka.child.stop()
