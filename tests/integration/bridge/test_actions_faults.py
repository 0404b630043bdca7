"""Servers away: the answer says which, at once when it is known, and the same request goes on afterwards."""

import signal
from pathlib import Path
from typing import Any

from tests.clients import redis
from tests.conftest import StartValkey
from tests.eventually import eventually
from tests.integration.bridge.acting import done, may_act, outcomes, refused, send
from tests.integration.bridge.failed_jobs import fail_again, make_failed, retries
from tests.integration.bridge.running import Bridge, bridge_on
from tocsin.stack.kafka.mock import start_mock
from tocsin.stack.ports import Ports
from tocsin.topics import Topics

QUICK = {"BREAKER_FAIL_MAX": "2", "BREAKER_PROBE_SECONDS": "0.5", "BREAKER_TIMEOUT_SECONDS": "1"}


async def test_a_redis_that_is_away_is_said_at_once_and_met_again(
    bridge: Bridge, app: Any, start_redis: StartValkey, tmp_path: Path, redis_url: str
) -> None:
    away = await start_redis(tmp_path / "away")
    sources = tmp_path / "sources.toml"
    url = away.settings["REDIS_URL"]
    sources.write_text(
        f'[[source]]\nname="main"\nurl="{url}"\n[source.actions]\nurl="{url}"\n'
        f'[[source]]\nname="other"\nurl="{redis_url}"\n[source.actions]\nurl="{redis_url}"\n'
    )
    may_act(bridge, url)
    del bridge.environ["REDIS_URL"], bridge.environ["REDIS_ACTIONS_URL"]
    bridge.environ |= {"TOCSIN_SOURCES_FILE": str(sources), **QUICK}
    client: Any = redis.from_url(url)
    await make_failed(client, "mail", 5)
    await client.aclose()
    await make_failed(app, "mail", 5)
    await bridge.start()
    await bridge.ready()
    same: dict[str, Any] = {"request_id": "r", "action": "retry", "queue": "mail", "job_ids": ["job-1"]}
    away.child.process.send_signal(signal.SIGSTOP)
    try:
        for _ in range(2):
            assert await refused(bridge, **same) == (503, "redis_unavailable")
        assert await bridge.metric("bridge_breaker_state", dependency="redis-actions:main") > 0
        refusals = await bridge.metric("bridge_breaker_refused_total", dependency="redis-actions:main")
        response = await send(bridge, **same)
        assert (response.status_code, response.headers["retry-after"]) == (503, "5")
        told = await bridge.metric("bridge_breaker_refused_total", dependency="redis-actions:main")
        assert told == refusals + 1, "Redis was asked though it is known to be away"
        assert (await done(bridge, source="other", action="retry", queue="mail", job_ids=["job-1"]))["count"] == 1
    finally:
        away.child.process.send_signal(signal.SIGCONT)

    async def is_closed() -> bool:
        return await bridge.metric("bridge_breaker_state", dependency="redis-actions:main") == 0

    await eventually(is_closed, what="the breaker closed by its probe")
    assert (await done(bridge, **same))["count"] == 1


async def test_on_the_stand_in_a_request_is_carried_out_once_and_its_end_is_said(
    app: Any, redis_url: str, tmp_path: Path
) -> None:
    topics = {spec.name: spec.partitions or 2 for spec in Topics().specs()}
    kafka = await start_mock(tmp_path / "kafka", Ports(tmp_path), 0, topics)
    address = kafka.settings["KAFKA_BOOTSTRAP_SERVERS"]
    try:
        async with bridge_on(
            address, Topics().prefix, redis_url, tmp_path / "bridge.log", **kafka.settings, **QUICK
        ) as bridge:
            may_act(bridge, redis_url)
            job_ids = await make_failed(app, "mail", 150)
            await bridge.start()
            await bridge.ready()
            same: dict[str, Any] = {"request_id": "r", "action": "retry", "queue": "mail", "filter": {"name": "mail"}}
            answer = await done(bridge, **same)
            assert outcomes(answer) == dict.fromkeys(job_ids, "done")
            assert await fail_again(app, "mail") == 150
            assert await done(bridge, **same) == answer
            assert await retries(app, "mail") == dict.fromkeys(job_ids, 1)
            kafka.child.process.kill()
            for _ in range(3):
                assert await refused(bridge, **{**same, "request_id": "other"}) == (503, "kafka_unavailable")
            assert await retries(app, "mail") == dict.fromkeys(job_ids, 1)
    finally:
        await kafka.child.stop()
