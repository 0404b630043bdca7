"""A Redis that takes long for everything: who is at a request is not taken for dead, and nothing is done twice."""

import asyncio
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from prometheus_client import CollectorRegistry

from bridge.actions.ledger import Ledger
from tests.integration.bridge.acting import done, may_act, outcomes, send
from tests.integration.bridge.failed_jobs import make_failed, retries
from tests.integration.bridge.running import bridge_on
from tests.integration.bridge.test_sites import site
from tests.tcp import close, listening
from tocsin.breakers import Breakers

LATENCY_SECONDS = 1.3
"""Not enough for a page of 100 jobs within its time, nor for a lease's; less than a command may take."""


class Distance:
    """What is sent to Redis arrives so much later."""

    def __init__(self, redis_url: str) -> None:
        self.seconds = 0.0
        self._port = urlsplit(redis_url).port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection("127.0.0.1", self._port)
        chunks = asyncio.Queue[tuple[float, bytes]]()

        async def take() -> None:
            while chunk := await reader.read(65536):
                chunks.put_nowait((time.monotonic() + self.seconds, chunk))
            chunks.put_nowait((0.0, b""))

        async def bring() -> None:
            while (due_chunk := await chunks.get())[1]:
                await asyncio.sleep(due_chunk[0] - time.monotonic())
                ours.write(due_chunk[1])
            ours.write_eof()

        async def answer() -> None:
            while chunk := await theirs.read(65536):
                writer.write(chunk)

        try:
            await asyncio.gather(take(), bring(), answer())
        except OSError:
            return
        finally:
            await close(ours)


@pytest.mark.slow
async def test_who_is_slow_keeps_the_request_until_it_is_put_down(
    app: Any, kafka_bootstrap: str, topic_prefix: str, redis_url: str, tmp_path: Path
) -> None:
    distance = Distance(redis_url)
    async with (
        listening(distance.serve) as port,
        bridge_on(kafka_bootstrap, topic_prefix, redis_url, tmp_path / "one.log") as one,
        bridge_on(kafka_bootstrap, topic_prefix, redis_url, tmp_path / "other.log") as other,
    ):
        for bridge in (one, other):
            may_act(bridge, f"redis://127.0.0.1:{port}/0")
            await bridge.start()
        for bridge in (one, other):
            await bridge.ready()
            warm = f"warm-{bridge.environ['BRIDGE_PORT']}"  # its connections and its scripts
            await make_failed(app, warm, 100)
            await done(bridge, action="retry", queue=warm, filter={"name": "mail"})
        job_ids = await make_failed(app, "mail", 200)
        distance.seconds = LATENCY_SECONDS
        same: dict[str, Any] = {"request_id": "slow", "action": "retry", "queue": "mail", "filter": {"name": "mail"}}
        await asyncio.gather(*(send(bridge, **same) for bridge in (one, other)))
        distance.seconds = 0.0
        answer = await done(one, **same)
        assert answer["count"] == len(job_ids)
        assert await retries(app, "mail") == dict.fromkeys(job_ids, 1)
        settings = site("eu", kafka_bootstrap, topic_prefix)
        async with Ledger(settings, Breakers(settings, CollectorRegistry())).follow("slow") as following:
            await following.catch_up()
    assert not [step for step in following.records if step.supersedes], "who was at it was taken for dead"


@pytest.mark.slow
async def test_jobs_with_children_are_removed_over_a_slow_line(
    app: Any, kafka_bootstrap: str, topic_prefix: str, redis_url: str, tmp_path: Path
) -> None:
    """To look at a page of them, one after another, would take longer than a page may."""
    distance = Distance(redis_url)
    job_ids = await make_failed(app, "mail", 100)
    for job_id in job_ids:
        await app.hset(f"bull:mail:{job_id}:processed", f"bull:mail:child-of-{job_id}", "null")
    async with (
        listening(distance.serve) as port,
        bridge_on(kafka_bootstrap, topic_prefix, f"redis://127.0.0.1:{port}/0", tmp_path / "one.log") as bridge,
    ):
        may_act(bridge, redis_url)
        await bridge.start()
        await bridge.ready()
        distance.seconds = 0.025
        answer = await done(bridge, action="remove", queue="mail", job_ids=job_ids)
    assert outcomes(answer) == dict.fromkeys(job_ids, "done")
