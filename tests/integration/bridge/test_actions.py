"""Actions on real queues, made by Node's BullMQ 5 and 6: each does what it says, once, and says what it did."""

import asyncio
import time
from typing import Any

import pytest

from tests.bullmq.driver import Major, Version, counts, make_states, run_workload, stored_jobs
from tests.clients import bullmq
from tests.eventually import eventually
from tests.integration.bridge.acting import done, may_act, outcomes, refused, send
from tests.integration.bridge.running import Bridge

VERSIONS: tuple[Version, ...] = ("5.0", "5.40", 5, 6)


@pytest.fixture
async def acting(bridge: Bridge, redis_url: str) -> Bridge:
    """A bridge that may act."""
    may_act(bridge, redis_url)
    return bridge


async def ids(app: Any, queue: str, state: str) -> list[str]:
    return [job_id.decode() for job_id in await app.zrange(f"bull:{queue}:{state}", 0, -1)]


async def test_each_action_does_what_it_says_on_every_version(acting: Bridge, app: Any, redis_url: str) -> None:
    """What Node's own client of that version says afterwards is what counts."""
    before = {made.queue: made.counts for made in await make_states(redis_url, versions=VERSIONS)}
    await acting.start()
    await acting.ready()
    for version in VERSIONS:
        for queue in (f"states-v{version}", f"states-paused-v{version}"):
            if queue.startswith("states-paused") and version != 6:
                await assert_refuses_what_would_lose_jobs(acting, queue)
                assert (await done(acting, action="resume", queue=queue))["count"] == 1
            failed, delayed = await ids(app, queue, "failed"), await ids(app, queue, "delayed")
            active = (await app.lindex(f"bull:{queue}:active", 0)).decode()

            answer = await done(acting, action="retry", queue=queue, job_ids=[*failed[:3], delayed[0], "no-such"])
            assert answer["count"] == 3
            assert outcomes(answer) == {
                **dict.fromkeys(failed[:3], "done"), delayed[0]: "not_failed", "no-such": "gone"
            }  # fmt: skip
            answer = await done(acting, action="promote", queue=queue, job_ids=[delayed[0], failed[5]])
            assert outcomes(answer) == {delayed[0]: "done", failed[5]: "not_delayed"}
            answer = await done(acting, action="remove", queue=queue, job_ids=[failed[5], failed[6], active])
            assert outcomes(answer) == {failed[5]: "done", failed[6]: "done", active: "refused"}

            (now,) = await counts(redis_url, [queue], version=version)
            was = before[queue]
            waiting = {name: now.counts[name] for name in ("waiting", "paused") if name in now.counts}
            assert sum(waiting.values()) == sum(was[name] for name in waiting) + 4
            assert now.counts["failed"] == was["failed"] - 5
            assert now.counts["delayed"] == was["delayed"] - 1
            assert now.counts["active"] == was["active"]

            if version != 6:
                assert await refused(acting, action="pause", queue=queue) == (409, "unsafe_on_version")
            dry = await done(acting, action="resume", queue=queue, dry_run=True)
            in_line = sum(now.counts.get(name, 0) for name in ("waiting", "paused", "prioritized"))
            assert dry["queue"] == {"waiting": in_line, "active": now.counts["active"]}
            for action, is_paused in (("pause", True), ("pause", True), ("resume", False))[0 if version == 6 else 2 :]:
                answer = await done(acting, action=action, queue=queue)
                assert (answer["count"], answer["results"]) == (1, [])
                (now,) = await counts(redis_url, [queue], version=version)
                assert now.is_paused is is_paused
            assert now.counts.get("paused", 0) == 0  # version 5's jobs of the pause are in line again
    await acting.stop()


async def assert_refuses_what_would_lose_jobs(acting: Bridge, queue: str) -> None:
    """Version 5's resume renames one list over the other: jobs put into the other meanwhile would be in none."""
    for action in ("pause", "retry", "promote"):
        about = {} if action == "pause" else {"job_ids": ["1"]}
        assert await refused(acting, action=action, queue=queue, **about) == (409, "unsafe_on_version")
        assert (await done(acting, action=action, queue=queue, dry_run=True, **about))["count"] == 0


async def test_a_removal_that_would_reach_a_forbidden_queue_is_refused(
    acting: Bridge, app: Any, redis_url: str
) -> None:
    acting.environ["BRIDGE_ACTION_POLICY"] = "payments-*: no remove"
    flows = bullmq.FlowProducer({"connection": redis_url})
    child: dict[str, Any] = {"name": "pay", "queueName": "payments-eu", "data": {}}
    made = [
        await flows.add(
            {"name": "order", "queueName": "orders", "data": {}, "children": [{**step, "children": [child]}]}
        )
        for step in ({"name": "pack", "queueName": "orders"}, {"name": "pack", "queueName": "parcels"})
    ]
    alone = await flows.add(
        {"name": "order", "queueName": "orders", "children": [{"name": "x", "queueName": "parcels"}]}
    )
    await flows.close()
    jobs = [tree["job"].id for tree in (*made, alone)]
    await acting.start()
    await acting.ready()
    dry = await done(acting, action="remove", queue="orders", job_ids=jobs, dry_run=True)
    assert (dry["count"], dry["descendants"]) == (1, 1)
    answer = await done(acting, action="remove", queue="orders", job_ids=jobs)
    assert outcomes(answer) == dict(zip(jobs, ("refused", "refused", "done"), strict=True))
    assert "`payments-eu`" in answer["results"][0]["message"]
    assert await app.exists(*(f"bull:orders:{job_id}" for job_id in jobs)) == 2
    assert await app.llen("bull:payments-eu:wait") == 2
    assert await app.llen("bull:parcels:wait") == 0


@pytest.mark.parametrize("version", [5, 6])
async def test_retry_of_a_fingerprint_does_what_the_dry_run_counted(
    acting: Bridge, app: Any, redis_url: str, version: Major
) -> None:
    await acting.start()
    truth = await run_workload(redis_url, version=version, jobs=200, queues=["mail"])
    failed = set(await ids(app, "mail", "failed"))
    assert len(failed) > 10

    async def told() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for event in (await acting.records()).of_queue("mail"):
            if event.state == "failed" and event.event == "failed":
                found.setdefault(event.fingerprint, []).append(event.job_id)
        return found

    async def all_told() -> bool:
        return sum(map(len, (await told()).values())) == len(failed)

    await eventually(all_told, what="every failure in Kafka")
    groups = await told()
    assert len(groups) > 3
    assert truth.jobs
    for fingerprint, job_ids in groups.items():
        wanted: dict[str, Any] = {"action": "retry", "queue": "mail", "filter": {"fingerprint": fingerprint}}
        dry = await done(acting, **wanted, dry_run=True)
        assert dry["count"] == len(job_ids), fingerprint
        assert dry["dry_run"] is True
        answer = await done(acting, **wanted)
        assert answer["count"] == dry["count"]
        assert outcomes(answer) == dict.fromkeys(job_ids, "done")
        assert (await done(acting, **wanted, dry_run=True))["count"] == 0
    assert await ids(app, "mail", "failed") == []
    assert set(await stored_jobs(redis_url, "mail", version=version)) >= failed


async def test_filters_of_name_and_time(acting: Bridge, app: Any, redis_url: str) -> None:
    await acting.start()
    await acting.ready()
    await app.hset("bull:mail:meta", mapping={"opts.maxLenEvents": 10000, "version": "bullmq:6.7.0"})
    for number in range(1200):
        at = 1_700_000_000_000 + number // 700  # 700 share a millisecond: more than one read
        await app.zadd("bull:mail:failed", {f"j{number}": at})
        name = "odd" if number % 2 else "even"
        await app.hset(f"bull:mail:j{number}", mapping={"name": name, "opts": "{}", "timestamp": 1, "finishedOn": at})

    async def dry(**wanted: Any) -> int:
        return (await done(acting, action="retry", queue="mail", filter=wanted, dry_run=True))["count"]

    begun = time.monotonic()
    assert await dry(name="odd") == 600
    assert await dry(name="Odd") == 0
    assert await dry(to=1_700_000_000_001) == 700
    assert await dry(**{"from": "2023-11-14T22:13:20.001Z"}) == 500
    assert await dry(**{"from": 1_700_000_000_001, "to": 1_700_000_000_002}) == 500
    assert await dry(name="even", to=1_700_000_000_001) == 350
    answer = await done(acting, action="retry", queue="mail", filter={"name": "odd"})
    assert answer["count"] == len(answer["results"]) == 600
    assert await app.zcard("bull:mail:failed") == 600
    assert await app.llen("bull:mail:wait") == 600
    assert await refused(acting, action="retry", queue="other", job_ids=["1"]) == (404, "unknown_queue")
    asked = time.monotonic() - begun
    requests = {("retry", "dry_run"): 6, ("retry", "done"): 1, ("retry", "unknown_queue"): 1}
    assert await acting.samples("bridge_actions_total") == requests
    assert await acting.samples("bridge_action_jobs_total") == {("retry", "done"): 600}
    assert await acting.samples("bridge_action_duration_seconds_count") == {("retry",): 8}
    assert 0 < await acting.metric("bridge_action_duration_seconds_sum") < asked


async def test_the_same_request_again_does_nothing_again(acting: Bridge, app: Any, redis_url: str) -> None:
    await make_states(redis_url)
    await acting.start()
    await acting.ready()
    job, other = (await ids(app, "states-v6", "failed"))[:2]
    same: dict[str, Any] = {"request_id": "r-1", "action": "retry", "queue": "states-v6", "job_ids": [job]}
    first = await done(acting, **same)
    await app.lrem("bull:states-v6:wait", 0, job)
    await app.zadd("bull:states-v6:failed", {job: 1_900_000_000_000})  # it has failed once more since
    assert await done(acting, **same) == first
    assert await app.zscore("bull:states-v6:failed", job) == 1_900_000_000_000
    assert await refused(acting, **{**same, "job_ids": [other]}) == (409, "conflict")
    assert await refused(acting, **{**same, "user_id": 7}) == (409, "conflict")
    several = await asyncio.gather(
        *(done(acting, **{**same, "request_id": "r-2", "job_ids": [other]}) for _ in range(5))
    )
    assert all(answer == several[0] for answer in several)
    events = [entry[1] for entry in await app.xrange("bull:states-v6:events")]
    waiting = [entry for entry in events if entry[b"event"] == b"waiting" and entry[b"jobId"] == other.encode()]
    assert [entry[b"prev"] for entry in waiting if b"prev" in entry] == [b"failed"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"queue": "no-such"}, (404, "unknown_queue")),
        ({"source": "no-such"}, (404, "unknown_source")),
        ({"action": "obliterate"}, (400, "invalid")),
        ({"token": None}, (401, "unauthorized")),
        ({"token": "another"}, (403, "forbidden")),
        ({"queue": "payments-eu"}, (403, "forbidden_by_policy")),
        ({"queue": "hidden"}, (404, "unknown_queue")),
    ],
)
async def test_what_is_wrong_is_refused(
    acting: Bridge, app: Any, tmp_path: Any, redis_url: str, change: dict[str, Any], expected: tuple[int, str]
) -> None:
    sources = tmp_path / "sources.toml"
    sources.write_text(
        f'[[source]]\nname="main"\nurl="{redis_url}"\nexclude=["hidden"]\n[source.actions]\nurl="{redis_url}"\n'
    )
    del acting.environ["REDIS_URL"], acting.environ["REDIS_ACTIONS_URL"]
    acting.environ |= {"TOCSIN_SOURCES_FILE": str(sources), "BRIDGE_ACTION_POLICY": "prod/payments-*: no retry"}
    for queue in ("mail", "payments-eu", "hidden"):
        await app.hset(f"bull:{queue}:meta", mapping={"opts.maxLenEvents": 10000, "version": "bullmq:6.7.0"})
    await acting.start()
    await acting.ready()
    plain: dict[str, Any] = {"action": "retry", "queue": "mail", "job_ids": ["1"]}
    assert await refused(acting, **{**plain, **change}) == expected
    if expected[1] == "forbidden_by_policy":
        dry = await done(acting, **{**plain, **change, "filter": {"name": "x"}, "job_ids": None}, dry_run=True)
        assert dry["count"] == 0
        assert (await done(acting, action="pause", queue="payments-eu"))["count"] == 1


async def test_a_bridge_without_an_actions_connection_says_so(bridge: Bridge, app: Any) -> None:
    await app.hset("bull:mail:meta", "opts.maxLenEvents", 10000)
    await bridge.start()
    await bridge.ready()
    response = await send(bridge, action="pause", queue="mail")
    assert (response.status_code, response.json()["error"]) == (503, "not_configured")
    assert "TOCSIN_SERVICE_TOKEN" in response.json()["mend"]
    await bridge.stop()
    bridge.environ["TOCSIN_SERVICE_TOKEN"] = "service-token-of-the-test"
    await bridge.start()
    await bridge.ready()
    response = await send(bridge, action="pause", queue="mail")
    assert (response.status_code, response.json()["error"]) == (503, "not_configured")
    assert "REDIS_ACTIONS_URL" in response.json()["mend"]
    assert not await app.hexists("bull:mail:meta", "paused")
