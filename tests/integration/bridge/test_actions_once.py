"""A request is carried out once: by two bridges at once, by the next after a kill -9, beside one that was stopped."""

import asyncio
import json
import signal
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from bridge.actions.request import parse
from tests.clients import aiokafka
from tests.eventually import eventually
from tests.integration.bridge.acting import done, may_act, outcomes, send
from tests.integration.bridge.failed_jobs import FAILED_AT, fail_again, make_failed, retries
from tests.integration.bridge.running import ROOT, Bridge, bridge_on
from tocsin.events import ActionKind, ActionRecord, PlannedJob, encode

JOBS = 500
PATIENT = """
import runpy
from bridge.actions import handling
handling.LEASE_SECONDS = 3600.0
runpy.run_module("bridge", run_name="__main__", alter_sys=True)
"""
"""A bridge that takes nobody for dead within a request, however long nothing comes of them."""
SAME: dict[str, Any] = {"request_id": "once", "action": "retry", "queue": "mail", "filter": {"name": "mail"}}


@pytest.fixture
async def pair(
    bridge: Bridge, kafka_bootstrap: str, topic_prefix: str, redis_url: str, tmp_path: Path
) -> AsyncGenerator[tuple[Bridge, Bridge]]:
    """Two bridges that may act, not started yet."""
    async with bridge_on(kafka_bootstrap, topic_prefix, redis_url, tmp_path / "other.log") as other:
        for one in (bridge, other):
            may_act(one, redis_url)
        yield bridge, other


async def start(*bridges: Bridge) -> None:
    for one in bridges:
        await one.start()
    for one in bridges:
        await one.ready()


async def start_dying(bridge: Bridge, tmp_path: Path, *, nth: int) -> None:
    """Start a bridge that kills itself after its nth retry, inside a page."""
    await bridge.start(
        str(ROOT / "tests" / "dying.py"), "bridge", "--at", "bridge.actions.performer:Performer._act",
        "--when", "after", "--nth", str(nth), "--marker", str(tmp_path / "died"),
    )  # fmt: skip
    await bridge.ready()


async def test_two_bridges_at_once_retry_each_job_once(pair: tuple[Bridge, Bridge], app: Any) -> None:
    job_ids = await make_failed(app, "mail", JOBS)
    await start(*pair)
    answers = await asyncio.gather(*(done(one, **SAME) for one in (*pair, *pair)))
    assert all(answer == answers[0] for answer in answers)
    assert outcomes(answers[0]) == dict.fromkeys(job_ids, "done")
    assert await retries(app, "mail") == dict.fromkeys(job_ids, 1)


@pytest.mark.slow
@pytest.mark.parametrize("again", [False, True])
async def test_after_a_kill_the_next_finishes_and_retries_nothing_twice(
    pair: tuple[Bridge, Bridge], app: Any, tmp_path: Path, again: bool
) -> None:
    """again: what was retried before the kill has failed once more when the request is repeated."""
    job_ids = await make_failed(app, "mail", JOBS)
    dying, heir = pair
    await start_dying(dying, tmp_path, nth=250)
    with pytest.raises(Exception):  # noqa: B017, PT011  # whatever the client says of a dead server
        await send(dying, **SAME)
    assert await dying.ended() == -9
    before = await retries(app, "mail")
    assert 250 <= before.total() < JOBS
    if again:
        assert await fail_again(app, "mail") == before.total()
    await start(heir)
    answer = await done(heir, **SAME)
    assert await retries(app, "mail") == dict.fromkeys(job_ids, 1)
    assert answer["count"] == JOBS
    assert outcomes(answer) == dict.fromkeys(job_ids, "done")
    doubtful = [result for result in answer["results"] if "message" in result]
    assert 0 < len(doubtful) <= 100  # of the page that was cut off
    await start(dying)
    assert await done(dying, **SAME) == answer


async def test_what_somebody_left_long_ago_is_finished_at_once(
    bridge: Bridge, app: Any, kafka_bootstrap: str, topic_prefix: str, redis_url: str
) -> None:
    await make_failed(app, "mail", 3)
    may_act(bridge, redis_url)
    await bridge.start("-c", PATIENT)
    await bridge.ready()
    body: dict[str, Any] = {"request_id": "old", "user_id": 1, "action": "retry", "source": "main", "queue": "mail"}
    body["job_ids"] = ["job-0", "job-1"]
    digest = parse(json.dumps(body).encode()).digest
    plain: dict[str, Any] = {"v": 1, "ts": FAILED_AT, "request_id": "old", "by": "dead"}
    planned = [
        PlannedJob(job_id="job-0", stamp=str(FAILED_AT)),
        PlannedJob(job_id="job-1", stamp=str(FAILED_AT - 1)),
    ]
    steps = [
        ActionRecord(kind=ActionKind.CLAIM, digest=digest, **plain),
        ActionRecord(kind=ActionKind.PLAN, pages=1, planned=planned, **plain),
    ]
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=kafka_bootstrap) as producer:
        for step in steps:
            await producer.send_and_wait(f"{topic_prefix}actions", encode(step), b"old", partition=0)
    response = await send(bridge, **body)
    assert response.status_code == 200, response.text
    assert outcomes(response.json()) == {"job-0": "done", "job-1": "done"}
    assert await retries(app, "mail") == {"job-0": 1}  # job-1 is not in the state it was planned in


async def test_a_removal_that_was_left_is_asked_of_the_policy_again(
    bridge: Bridge, app: Any, kafka_bootstrap: str, topic_prefix: str, redis_url: str
) -> None:
    """Since it was planned the job got a child in a queue of which nothing may be removed."""
    await make_failed(app, "orders", 2)
    await make_failed(app, "payments-eu", 1)
    may_act(bridge, redis_url)
    bridge.environ["BRIDGE_ACTION_POLICY"] = "payments-*: no remove"
    await start(bridge)
    body: dict[str, Any] = {"request_id": "old", "user_id": 1, "action": "remove", "source": "main", "queue": "orders"}
    body["job_ids"] = ["job-0", "job-1"]
    plain: dict[str, Any] = {"v": 1, "ts": FAILED_AT, "request_id": "old", "by": "gone"}
    planned = [PlannedJob(job_id=job_id, stamp=str(FAILED_AT)) for job_id in body["job_ids"]]
    steps = [
        ActionRecord(kind=ActionKind.CLAIM, digest=parse(json.dumps(body).encode()).digest, **plain),
        ActionRecord(kind=ActionKind.PLAN, pages=1, planned=planned, **plain),
        ActionRecord(kind=ActionKind.RELEASE, **plain),
    ]
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=kafka_bootstrap) as producer:
        for step in steps:
            await producer.send_and_wait(f"{topic_prefix}actions", encode(step), b"old", partition=0)
    await app.sadd("bull:orders:job-0:dependencies", "bull:payments-eu:job-0")
    answer = await done(bridge, **body)
    assert outcomes(answer) == {"job-0": "refused", "job-1": "done"}
    assert "`payments-eu`" in answer["results"][0]["message"]
    assert await app.exists("bull:orders:job-0", "bull:payments-eu:job-0") == 2


@pytest.mark.slow
async def test_a_bridge_that_was_stopped_half_way_does_nothing_when_it_wakes(
    pair: tuple[Bridge, Bridge], app: Any
) -> None:
    job_ids = await make_failed(app, "mail", 10_000)
    await start(*pair)
    stopped, heir = pair
    asking = asyncio.create_task(send(stopped, seconds=600, **SAME))

    async def is_half_way() -> bool:
        return bool((await retries(app, "mail")).total() > 1000)

    await eventually(is_half_way, what="a thousand retries")
    stopped.signal(signal.SIGSTOP)
    try:
        answer = await done(heir, **SAME)
        assert answer["count"] == len(job_ids)
        assert await fail_again(app, "mail") == len(job_ids)
    finally:
        stopped.signal(signal.SIGCONT)
    response = await asking
    while response.status_code == 503:
        response = await send(stopped, **SAME)
    assert response.json() == answer
    assert await retries(app, "mail") == dict.fromkeys(job_ids, 1)


@pytest.mark.slow
async def test_a_bridge_that_drains_puts_the_request_down_for_the_next(pair: tuple[Bridge, Bridge], app: Any) -> None:
    job_ids = await make_failed(app, "mail", 10_000)
    await start(*pair)
    leaving, heir = pair
    asking = asyncio.create_task(send(leaving, **SAME))

    async def has_begun() -> bool:
        return bool((await retries(app, "mail")).total() > 100)

    await eventually(has_begun, what="the first retries")
    await leaving.stop()
    response = await asking
    assert (response.status_code, response.json()["error"]) == (503, "still_running")
    progress = response.json()["progress"]
    assert (progress["planned"], 0 < progress["settled"] < len(job_ids)) == (len(job_ids), True)
    answer = await done(heir, **SAME)
    assert answer["count"] == len(job_ids)
    assert not [result for result in answer["results"] if "message" in result]
    assert await retries(app, "mail") == dict.fromkeys(job_ids, 1)
