"""Which jobs a filter finds while they are at work: each once, as it failed last."""

from collections.abc import Sequence
from typing import Any

from bridge.actions.request import ActionRequest, Filter
from bridge.actions.selection import JOBS_A_READ, count, plan
from bridge.sources.bullmq.door import Command, Door, Reply
from bridge.sources.bullmq.keys import Keys
from tests.integration.bridge.failed_jobs import FAILED_AT, make_failed

AGAIN_AT = FAILED_AT + 1_000_000


class Working(Door):
    """Between two pages the first job is retried by somebody, and fails again."""

    async def ask(self, commands: Sequence[Command], **more: Any) -> list[Reply]:
        replies = await super().ask(commands, **more)
        if commands[0][0] == "ZRANGEBYSCORE":
            await super().ask([("ZADD", "bull:mail:failed", AGAIN_AT, "job-0")])
        return replies


async def test_a_job_that_fails_again_meanwhile_is_planned_and_counted_once(app: Any, redis_url: str) -> None:
    job_ids = await make_failed(app, "mail", JOBS_A_READ + 100)
    keys, wanted = Keys("bull", "mail"), Filter(name="mail")
    request = ActionRequest(request_id="r", user_id=1, action="retry", source="main", queue="mail", filter=wanted)
    door = Working(redis_url)
    assert await count(door, keys, wanted) == len(job_ids)
    await app.zadd("bull:mail:failed", {"job-0": FAILED_AT})
    planned = await plan(door, keys, request, lambda _queue: None)
    await door.close()
    assert sorted(job.job_id for job in planned) == sorted(job_ids)
    assert {job.job_id: job.stamp for job in planned}["job-0"] == str(AGAIN_AT)
