"""Nothing is written to the user's Redis: by its own statistics, and under a user who may only read."""

import re
import signal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.bullmq.driver import run_workload, workload
from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.running import Bridge
from tests.integration.bridge.truth import differences, has_ended

QUEUES = ["mail", "images", "gone"]
OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


def documented_rules() -> list[str]:
    """The rules that docs/operations.md gives for the bridge's own Redis user."""
    found = re.search(r"`ACL SETUSER tocsin (on >PASSWORD [^`]+)`", OPERATIONS.read_text())
    assert found is not None
    return found[1].replace("PASSWORD", "reading").split()


async def make_reader(app: Any, redis_url: str, *without: str) -> str:
    """Make the user `bridge`; return the URL it logs in with. without: commands it may not use."""
    await app.execute_command("ACL", "SETUSER", "bridge", *(word for word in documented_rules() if word not in without))
    return f"redis://bridge:reading@{urlsplit(redis_url).netloc}/0"


async def writes(app: Any) -> dict[str, Any]:
    """Commands called since CONFIG RESETSTAT that may write, or were refused."""
    stats: dict[str, dict[str, Any]] = await app.info("commandstats")
    found: dict[str, Any] = {}
    for name, figures in stats.items():
        command = name.removeprefix("cmdstat_").partition("|")[0]
        described = await app.execute_command("COMMAND", "INFO", command)
        flags = {str(flag) for one in described.values() for flag in one["flags"]}
        if any("write" in flag for flag in flags) or figures["rejected_calls"] or figures["failed_calls"]:
            found[name] = figures
    return found


async def add_running_job(app: Any) -> None:
    """A job of `mail` that runs and has logged a line."""
    pipe = app.pipeline(transaction=True)
    pipe.hset("bull:mail:running", mapping={"name": "send", "timestamp": 1, "opts": "{}", "atm": 0, "ats": 1})
    pipe.lpush("bull:mail:active", "running")
    pipe.rpush("bull:mail:running:logs", "half of it is done")
    for event in ("added", "active"):
        pipe.xadd("bull:mail:events", {"event": event, "jobId": "running", "name": "send"})
    await pipe.execute()


async def add_scheduler(app: Any) -> None:
    """One of `mail`, whose next run is far away."""
    pipe = app.pipeline(transaction=True)
    pipe.zadd("bull:mail:repeat", {"nightly": 4_000_000_000_000})
    pipe.hset("bull:mail:repeat:nightly", mapping={"name": "nightly", "every": 86_400_000})
    await pipe.execute()


async def test_the_documented_user_is_refused_every_write(app: Any, redis_url: str) -> None:
    await make_reader(app, redis_url)
    names: list[str] = await app.acl_cat("write")
    assert {"set", "del", "xadd", "xreadgroup"} <= set(names)
    allowed: list[str] = []
    for name in [*names, "eval", "evalsha", "fcall", "flushall", "publish", "config|set", "script|load"]:
        command, _, part = name.partition("|")
        (described,) = (await app.execute_command("COMMAND", "INFO", name)).values()
        arguments = [*([part] if part else []), *["bull:mail:1"] * (abs(described["arity"]) - 1 - bool(part))]
        answer = await app.execute_command("ACL", "DRYRUN", "bridge", command, *arguments)
        if b"has no permissions to run" not in answer:
            allowed.append(name)
    assert allowed == []


async def test_reader_who_may_write_nothing_reads_everything(bridge: Bridge, app: Any, redis_url: str) -> None:
    bridge.environ["REDIS_URL"] = await make_reader(app, redis_url)
    await bridge.start()
    truth = await run_workload(redis_url, version=6, jobs=150, queues=QUEUES, ephemeral="gone")

    async def is_told() -> bool:
        return has_ended(await bridge.records(), truth)

    await eventually(is_told, what="every job's end in Kafka")
    assert differences(await bridge.records(), truth) == []
    assert "refused" not in bridge.log
    assert await bridge.metric("bridge_source_errors_total") == 0
    assert await app.acl_log() == []


async def test_statistics_of_redis_show_no_write(bridge: Bridge, app: Any, redis_url: str) -> None:
    """Not in reading, nor in following a log and a scheduler, mending a gap, finding what was drained, or a restart."""
    bridge.environ["BRIDGE_RECONCILE_SECONDS"] = "0.5"
    truth = await run_workload(redis_url, version=6, jobs=150, queues=QUEUES, ephemeral="gone")
    await add_running_job(app)
    await add_scheduler(app)
    before = {key: await app.type(key) for key in await app.keys("*")}
    await app.config_resetstat()
    bridge.environ["REDIS_URL"] = await make_reader(app, redis_url)
    await bridge.start()

    async def is_told() -> bool:
        records = await bridge.records()
        has_counts = {snapshot.queue for snapshot in records.queues} == set(QUEUES)
        is_followed = [line.message for line in records.logs if line.job_id == "running"] == ["half of it is done"]
        return has_ended(records, truth) and has_counts and is_followed and records.scheduler("nightly") is not None

    async def tells(event: str, job_id: str = "") -> bool:
        return (event, job_id) in [(one.event, one.job_id) for one in (await bridge.records()).of_queue("mail")]

    await eventually(is_told, what="every job's end in Kafka")
    bridge.signal(signal.SIGSTOP)
    await add_events(app, "mail", 300, max_len=10)
    bridge.signal(signal.SIGCONT)
    await eventually(lambda: tells("gap"), what="a gap")
    await eventually(lambda: tells("reconciled", "job-299"), what="a job that is nowhere")
    await bridge.kill()
    await bridge.start()
    await add_events(app, "mail", 1, first=300)
    await eventually(lambda: tells("added", "job-300"), what="an event after a restart")
    await bridge.stop()

    written = await writes(app)
    assert set(written) <= {"cmdstat_acl|setuser", "cmdstat_xadd"}
    assert written["cmdstat_xadd"]["calls"] == 301, "the app's own"
    assert await app.acl_log() == []
    assert {key: await app.type(key) for key in await app.keys("*")} == before


@pytest.mark.parametrize("may_list", [True, False])
async def test_workers_are_counted_or_unknown(bridge: Bridge, app: Any, redis_url: str, may_list: bool) -> None:
    bridge.environ["REDIS_URL"] = await make_reader(app, redis_url, *([] if may_list else ["+client|list"]))
    await bridge.start()
    async with workload(redis_url, version=6, jobs=100_000, queues=QUEUES, rate=20):

        async def is_counted() -> bool:
            records = await bridge.records()
            newest = [records.newest(queue) for queue in QUEUES]
            return all(snapshot is not None and snapshot.workers == (1 if may_list else None) for snapshot in newest)

        await eventually(is_counted, what="one worker each" if may_list else "workers unknown")
    if may_list:

        async def are_gone() -> bool:
            records = await bridge.records()
            return all((snapshot := records.newest(queue)) and snapshot.workers == 0 for queue in QUEUES)

        await eventually(are_gone, what="no worker")
        await app.execute_command("ACL", "SETUSER", "bridge", "-client|list")

        async def is_unknown() -> bool:
            return not await bridge.samples("bridge_queue_workers")

        await eventually(is_unknown, what="no number of workers once nobody knows")
    else:
        assert {snapshot.workers for snapshot in (await bridge.records()).queues} == {None}


async def test_source_that_refuses_info_is_relayed_by_our_own_clock(bridge: Bridge, app: Any, redis_url: str) -> None:
    bridge.environ["REDIS_URL"] = await make_reader(app, redis_url, "+info")
    await make_queue(app, "mail")
    await bridge.start()
    await bridge.ready()
    await add_events(app, "mail", 1)

    async def is_told() -> bool:
        return bool((await bridge.records()).of_queue("mail"))

    await eventually(is_told, what="the event")
    assert bridge.log.count("clock_refused") == 1


async def test_reader_who_may_not_look_back_in_a_stream_goes_on_with_all_queues(
    bridge: Bridge, app: Any, redis_url: str
) -> None:
    """After a restart, what it knew of its jobs is gone: they are told by their hashes. That is said once."""
    bridge.environ["REDIS_URL"] = await make_reader(app, redis_url, "+xrevrange", "+xrange")
    bridge.environ["KAFKA_PARTITIONS"] = "1"

    async def told(queue: str, event: str, job_id: str) -> bool:
        jobs = (await bridge.records()).of_queue(queue)
        return (event, job_id) in [(one.event, one.job_id) for one in jobs]

    for queue in ("mail", "other"):
        await make_queue(app, queue)
    await bridge.start()
    await bridge.ready()
    for queue in ("mail", "other"):
        await add_events(app, queue, 5)
        await eventually(lambda queue=queue: told(queue, "added", "job-4"), what="the first events")
    await bridge.kill()
    await bridge.start()
    for queue in ("mail", "other"):
        await app.xadd(f"bull:{queue}:events", {"event": "waiting", "jobId": "job-1"})
    for queue in ("mail", "other"):
        await eventually(lambda queue=queue: told(queue, "waiting", "job-1"), what="an event after the restart")
    await add_events(app, "mail", 1, first=99)
    await eventually(lambda: told("mail", "added", "job-99"), what="the next")
    said = [line for line in bridge.log.splitlines() if "command_refused" in line]
    assert len([line for line in said if "XREVRANGE" in line]) == 1
    assert await bridge.metric("bridge_source_errors_total") == 0
