"""What is too much is refused with a number, and what BullMQ would not do, or does otherwise, is kept."""

import asyncio
import uuid
from typing import Any

import httpx
import pytest

from tests.eventually import READY_SECONDS
from tests.integration.bridge.acting import TOKEN, done, may_act, outcomes, refused, send
from tests.integration.bridge.failed_jobs import FAILED_AT, make_failed, retries
from tests.integration.bridge.running import Bridge


@pytest.fixture
async def acting(bridge: Bridge, redis_url: str) -> Bridge:
    """A bridge that may act, and is ready."""
    may_act(bridge, redis_url)
    await bridge.start()
    await bridge.ready()
    return bridge


async def test_a_filter_acts_on_more_than_can_be_named_each_job_once(acting: Bridge, app: Any) -> None:
    job_ids = await make_failed(app, "mail", 10_001)
    body: dict[str, Any] = {"request_id": uuid.uuid4().hex, "action": "retry", "queue": "mail"}
    body["filter"] = {"name": "mail", "to": "2100-01-01T00:00:00Z"}
    assert (await done(acting, **body, dry_run=True))["count"] == len(job_ids)
    answer = await done(acting, **body)
    assert (answer["count"], outcomes(answer)) == (len(job_ids), dict.fromkeys(job_ids, "done"))
    assert await retries(app, "mail") == dict.fromkeys(job_ids, 1)


async def test_more_than_one_request_acts_on_is_counted_and_refused(acting: Bridge, app: Any) -> None:
    await make_failed(app, "mail", 3)
    more = f"redis.call('ZADD', KEYS[1], {FAILED_AT} + n, n) redis.call('HSET', 'bull:mail:' .. n, 'name', 'mail')"
    await app.eval(f"for n = 1, 99998 do {more} end", 1, "bull:mail:failed")
    body: dict[str, Any] = {"request_id": uuid.uuid4().hex, "action": "retry", "queue": "mail"}
    wanted = {"to": "2100-01-01T00:00:00Z"}
    assert (await done(acting, **body, filter=wanted, dry_run=True))["count"] == 100_001
    response = await send(acting, **body, filter=wanted)
    assert (response.status_code, response.json()["error"]) == (422, "too_many")
    assert "100001 failed jobs match" in response.json()["message"]
    body["filter"] = {"to": FAILED_AT + 1}
    assert (await done(acting, **body))["count"] == 1  # what is refused claims no id


async def test_jobs_of_which_only_the_id_is_left_are_counted_by_no_filter(acting: Bridge, app: Any) -> None:
    """Redis evicted their data, or somebody deleted it."""
    job_ids = await make_failed(app, "mail", 5)
    await app.delete("bull:mail:job-1", "bull:mail:job-3")
    plain: dict[str, Any] = {"action": "retry", "queue": "mail", "filter": {"to": "2100-01-01T00:00:00Z"}}
    assert (await done(acting, **plain, dry_run=True))["count"] == 3
    answer = await done(acting, **plain)
    assert (answer["count"], outcomes(answer)) == (3, dict.fromkeys(job_ids[::2], "done"))


async def test_more_at_once_than_it_takes_are_busy_and_done_when_sent_again(acting: Bridge, app: Any) -> None:
    queues = [f"store-{number}" for number in range(20)]
    for queue in queues:
        await make_failed(app, queue, 3)
    wishes: list[dict[str, Any]] = [
        {"request_id": f"r-{queue}", "action": "retry", "queue": queue, "filter": {"to": "2100-01-01T00:00:00Z"}}
        for queue in queues
    ]
    answers = await asyncio.gather(*(send(acting, **wish) for wish in wishes))
    busy = [wish for wish, answer in zip(wishes, answers, strict=True) if answer.status_code != 200]
    said = {(answer.json()["error"], answer.headers["retry-after"]) for answer in answers if answer.status_code != 200}
    assert said == {("busy", "5")}
    for wish in busy:
        assert (await done(acting, **wish))["count"] == 3
    for queue in queues:
        assert set((await retries(app, queue)).values()) == {1}


async def test_looking_for_a_name_among_too_many_is_refused(acting: Bridge, app: Any) -> None:
    await app.hset("bull:mail:meta", "opts.maxLenEvents", 10_000)
    fill = "for n = 1, 100001 do redis.call('ZADD', KEYS[1], n, n) end"
    await app.eval(fill, 1, "bull:mail:failed")
    plain: dict[str, Any] = {"action": "retry", "queue": "mail"}
    assert await refused(acting, **plain, filter={"name": "x"}, dry_run=True) == (422, "too_many")
    assert (await done(acting, **plain, filter={"name": "x", "from": 2}, dry_run=True))["count"] == 0
    assert (await done(acting, **plain, filter={"from": 0}, dry_run=True))["count"] == 100_001


async def test_a_body_too_large_is_refused(acting: Bridge) -> None:
    url = f"http://127.0.0.1:{acting.environ['BRIDGE_PORT']}/internal/v1/actions"
    async with httpx.AsyncClient(timeout=READY_SECONDS, headers={"authorization": f"Bearer {TOKEN}"}) as client:
        response = await client.post(url, content=b" " * (5 * 1024 * 1024))
        assert (response.status_code, response.json()["error"]) == (413, "too_large")
        response = await client.post(url, content=b"no json")
        assert (response.status_code, response.json()["error"]) == (400, "invalid")


async def test_the_next_run_of_a_scheduler_is_not_removed(acting: Bridge, app: Any) -> None:
    await app.hset("bull:mail:meta", "opts.maxLenEvents", 10_000)
    due = 1_900_000_000_000
    await app.zadd("bull:mail:repeat", {"nightly:a": due})
    for at in (due, due - 1):
        await app.hset(f"bull:mail:repeat:nightly:a:{at}", mapping={"timestamp": 1, "rjk": "nightly:a", "opts": "{}"})
        await app.zadd("bull:mail:delayed", {f"repeat:nightly:a:{at}": at * 4096})
    job_ids = [f"repeat:nightly:a:{due}", f"repeat:nightly:a:{due - 1}"]
    expected = {job_ids[0]: "refused", job_ids[1]: "done"}
    dry = await done(acting, action="remove", queue="mail", job_ids=job_ids, dry_run=True)
    assert (dry["count"], outcomes(dry)) == (1, {job_ids[0]: "refused"})
    assert outcomes(await done(acting, action="remove", queue="mail", job_ids=job_ids)) == expected


@pytest.mark.parametrize("action", ["retry", "promote", "remove"])
async def test_an_id_that_is_another_key_of_the_queue_is_no_job(acting: Bridge, app: Any, action: str) -> None:
    await make_failed(app, "mail", 1)
    await app.rpush("bull:mail:wait", "waiting")
    others = ["meta", "wait", "failed", "events", "id", "repeat", "job-0:logs"]
    before = {key: await app.dump(key) for key in await app.keys("*")}
    answer = await done(acting, action=action, queue="mail", job_ids=others)
    assert (answer["count"], set(outcomes(answer))) == (0, set(others))
    assert {key: await app.dump(key) for key in await app.keys("*")} == before


async def test_a_retried_job_goes_where_its_own_options_say(acting: Bridge, app: Any) -> None:
    await make_failed(app, "mail", 3)
    await app.rpush("bull:mail:wait", "waiting")
    await app.hset("bull:mail:job-1", "opts", '{"lifo":true}')
    await app.hset("bull:mail:job-2", "priority", 5)
    await done(acting, action="retry", queue="mail", job_ids=["job-0", "job-1", "job-2"])
    assert await app.lrange("bull:mail:wait", 0, -1) == [b"job-0", b"waiting", b"job-1"]
    assert await app.zrange("bull:mail:prioritized", 0, -1) == [b"job-2"]
