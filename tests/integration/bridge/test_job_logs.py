"""Lines of real jobs' logs: told while the job runs, each once, in order, whatever is cut, killed or refused."""

import asyncio
import random
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.bullmq.logging_jobs import LoggingJobs, logging_jobs
from tests.eventually import eventually
from tests.integration.bridge.by_hand import make_queue
from tests.integration.bridge.running import ROOT, Bridge
from tests.integration.bridge.test_read_only import make_reader
from tests.integration.bridge.test_replica import commands, pair, source
from tests.integration.bridge.test_tracked import kill_tracking
from tests.servers.redis_servers import RedisServers
from tocsin.events import JobEvent, LogLine

KEPT = 6
"""`keepLogs` where many lines are written at a time."""


async def lines_of(bridge: Bridge, queue: str, job_id: str = "1") -> list[LogLine]:
    """A job's lines, as they were committed."""
    return [line for line in (await bridge.records()).logs if (line.queue, line.job_id) == (queue, job_id)]


async def until_told(bridge: Bridge, queue: str, last: str, job_id: str = "1") -> list[LogLine]:
    """Wait for a line; return all of the job's until now."""

    async def is_told() -> bool:
        return last in [line.message for line in await lines_of(bridge, queue, job_id)]

    await eventually(is_told, what=f"the line {last!r}")
    return await lines_of(bridge, queue, job_id)


async def until_ended(bridge: Bridge, queue: str, job_id: str) -> JobEvent:
    """Wait for the end of a job, which was told once."""

    async def ends() -> list[JobEvent]:
        told = (await bridge.records()).of_queue(queue)
        return [event for event in told if (event.event, event.job_id) == ("completed", job_id)]

    async def is_told() -> bool:
        return bool(await ends())

    await eventually(is_told, what=f"the end of job {job_id}")
    [end] = await ends()
    return end


def assert_told(lines: list[LogLine], *messages: str) -> None:
    """These lines, in this order, each once; numbered on."""
    assert [line.message for line in lines] == list(messages)
    assert [line.line for line in lines] == list(range(len(messages)))


async def are_followed(bridge: Bridge, jobs: LoggingJobs, queue: str) -> None:
    """Wait until the first line of the job was told, while it runs."""
    await jobs.log("1", "first")
    await until_told(bridge, queue, "first")


async def tracking_clients(app: Any) -> set[str]:
    """Ids of the connections to which Redis tells what changed."""
    return {client["id"] for client in await app.client_list() if "t" in client["flags"]}


async def do_track(app: Any, count: int) -> bool:
    return len(await tracking_clients(app)) == count


@pytest.mark.parametrize("tracks", [True, False])
async def test_each_line_is_told_while_its_job_runs(bridge: Bridge, app: Any, redis_url: str, tracks: bool) -> None:
    """The next is written when it is committed. Under a user who may not track the logs are polled, which is said once.

    How old a line is in Kafka: benchmarks/job_logs.py.
    """
    bridge.environ["REDIS_URL"] = await make_reader(app, redis_url, *([] if tracks else ["+client|tracking"]))
    await bridge.start()
    async with logging_jobs(redis_url, queue="mail") as jobs:
        await are_followed(bridge, jobs, "mail")
        await eventually(lambda: do_track(app, tracks), what="tracking, or none")
        for number in range(6):
            await jobs.log("1", f"line {number}")
            await until_told(bridge, "mail", f"line {number}")
        assert [event.event for event in (await bridge.records()).of_queue("mail")][-1] == "active"
        await jobs.log("1", "last")
        await jobs.end("1")
        lines = await until_told(bridge, "mail", "last")
    assert_told(lines, "first", *(f"line {number}" for number in range(6)), "last")
    assert bridge.log.count("tracking_refused") == (0 if tracks else 1)
    assert await bridge.metric("bridge_source_errors_total") == 0


async def test_each_line_has_the_level_that_its_logger_wrote(bridge: Bridge, redis_url: str) -> None:
    written = {
        '{"level":50,"time":1700000000000,"msg":"pino: mailbox is full"}': "error",
        '{"level":"warn","message":"winston: mailbox is nearly full"}': "warn",
        '{"level":20,"msg":"pino: looked at the mailbox"}': "debug",
        "[ERROR] mailbox is full": "error",
        "2026-11-27 03:00:00 WARN mailbox is nearly full": "warn",
        "no error at all": "info",
    }
    await bridge.start()
    async with logging_jobs(redis_url, queue="mail") as jobs:
        await are_followed(bridge, jobs, "mail")
        for line in written:
            await jobs.log("1", line)
        lines = await until_told(bridge, "mail", "no error at all")
        await jobs.end("1")
    assert [(line.message, str(line.level)) for line in lines[1:]] == list(written.items())


async def six_looks_read_nothing(app: Any, lanes: int) -> None:
    """Of each lane, in a row; each look is a PING. Every 45 s all is read once more."""
    reads, pings = -1, 0

    async def have_looked() -> bool:
        nonlocal pings, reads
        calls = {name: one["calls"] for name, one in (await app.info("commandstats")).items()}
        if calls["cmdstat_lrange"] != reads:
            reads, pings = calls["cmdstat_lrange"], calls["cmdstat_ping"]
        return calls["cmdstat_ping"] - pings >= 6 * lanes

    await eventually(have_looked, what="six looks of each lane that read nothing")


async def test_jobs_that_log_nothing_are_not_read(bridge: Bridge, app: Any, redis_url: str) -> None:
    bridge.environ["BRIDGE_POLL_SECONDS"] = "60"  # a poll pings too
    await bridge.start()
    async with (
        logging_jobs(redis_url, queue="mail", jobs=20) as mail,
        logging_jobs(redis_url, queue="images", jobs=20) as images,
        logging_jobs(redis_url, queue="kept", jobs=5, keep_logs=3) as kept,
    ):
        for queue, jobs in (("mail", mail), ("images", images), ("kept", kept)):
            await are_followed(bridge, jobs, queue)
        await six_looks_read_nothing(app, lanes=3)
        await mail.log("20", "at last")
        assert_told(await until_told(bridge, "mail", "at last", "20"), "at last")


async def test_nothing_is_lost_when_the_connection_that_tracks_is_killed(
    bridge: Bridge, app: Any, redis_url: str
) -> None:
    await bridge.start()
    async with logging_jobs(redis_url, queue="mail") as jobs:
        await are_followed(bridge, jobs, "mail")
        lines = list[LogLine]()
        for number in range(4):
            await jobs.log("1", f"before {number}")
            await kill_tracking(app)
            await jobs.log("1", f"after {number}")
            lines = await until_told(bridge, "mail", f"after {number}")

            async def is_tracking() -> bool:
                return len(await tracking_clients(app)) == 1

            await eventually(is_tracking, what="tracking begun again")
    assert_told(lines, "first", *(f"{when} {number}" for number in range(4) for when in ("before", "after")))


async def test_job_that_keeps_few_lines_is_followed_and_goes_on_after_a_kill(bridge: Bridge, redis_url: str) -> None:
    await bridge.start()
    async with logging_jobs(redis_url, queue="mail", keep_logs=3, attempts=2) as jobs:
        for number in range(5):
            await jobs.log("1", f"line {number}")
            await until_told(bridge, "mail", f"line {number}")
        await bridge.kill()
        await jobs.log("1", "line 5", "line 6")
        await bridge.start()
        await until_told(bridge, "mail", "line 6")
        await bridge.kill()
        await jobs.log("1", "cut 0", "cut 1", "line 7", "line 8", "line 9")
        await bridge.start()
        await until_told(bridge, "mail", "line 9")
        await jobs.log("1", "line 10")
        await until_told(bridge, "mail", "line 10")
        await jobs.end("1", "failed")
        await jobs.running("1")

        async def is_told() -> bool:
            return [event.event for event in (await bridge.records()).of_queue("mail")].count("active") == 2

        await eventually(is_told, what="the second attempt")
        await jobs.log("1", "line 11")
        await jobs.end("1")
        lines = await until_told(bridge, "mail", "line 11")
        assert_told(lines, *(f"line {number}" for number in range(12)))
        assert [line.attempt for line in lines] == [1] * 11 + [2]


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_no_line_is_lost_that_is_kept_though_hundreds_came_meanwhile(
    bridge: Bridge, redis_url: str, how: str
) -> None:
    await bridge.start()
    async with logging_jobs(redis_url, queue="mail", keep_logs=1000) as jobs:
        before, after = [f"line {number}" for number in range(1000)], [f"line {number}" for number in range(1000, 1900)]
        await jobs.log("1", *before)
        await until_told(bridge, "mail", before[-1])
        if how == "killed":
            await bridge.kill()
        else:
            bridge.signal(signal.SIGSTOP)
        await jobs.log("1", *after)
        if how == "killed":
            await bridge.start()
        else:
            bridge.signal(signal.SIGCONT)
        assert_told(await until_told(bridge, "mail", after[-1]), *before, *after)


async def test_cleared_log_is_told_on_from_where_it_was(bridge: Bridge, redis_url: str) -> None:
    await bridge.start()
    async with logging_jobs(redis_url, queue="mail") as jobs:
        await jobs.log("1", "a", "b", "c", "d")
        await until_told(bridge, "mail", "d")
        await jobs.clear("1", 2)
        await jobs.log("1", "e")
        await until_told(bridge, "mail", "e")
        await jobs.clear("1")
        await jobs.log("1", "f", "g", "h", "i", "j", "k", "l")
        await until_told(bridge, "mail", "l")
        await bridge.kill()
        await jobs.clear("1", 1)
        await jobs.log("1", "m")
        await bridge.start()
        await until_told(bridge, "mail", "m")
        await jobs.clear("1")
        await jobs.log("1", "n")
        await jobs.end("1")
        lines = await until_told(bridge, "mail", "n")
    assert_told(lines, *"abcdefghijklmn")


async def test_log_of_a_job_retried_by_hand_goes_on_behind_what_it_held(bridge: Bridge, app: Any) -> None:
    """Its place was given up, and its log keeps few lines: what stood there was told in its life before."""
    key, events = "bull:mail:7:logs", "bull:mail:events"
    await make_queue(app, "mail")
    await app.hset("bull:mail:7", mapping={"name": "talk", "timestamp": 5, "opts": '{"kl":3}'})
    await app.rpush(key, "a", "b", "c")
    await app.xadd(events, {"event": "waiting", "jobId": "7", "prev": "failed"})
    await app.xadd(events, {"event": "active", "jobId": "7", "prev": "waiting"})
    await bridge.start()

    async def is_told() -> bool:
        return len((await bridge.records()).of_queue("mail")) == 2

    await eventually(is_told, what="the job's second life")
    pipe = app.pipeline(transaction=True)
    await pipe.rpush(key, "d", "e").ltrim(key, -3, -1).execute()
    lines = await until_told(bridge, "mail", "e", "7")
    assert [(line.message, line.line) for line in lines] == [("d", 3), ("e", 4)]


async def test_replica_that_is_behind_makes_no_line_be_told_twice(unset_bridge: Bridge, servers: RedisServers) -> None:
    """Its log is shorter than what was told, as a cleared one is: its primary knows better."""
    bridge, (primary, replica) = unset_bridge, await pair(servers)
    key, events = "bull:mail:7:logs", "bull:mail:events"
    await make_queue(primary.client, "mail")
    await primary.client.hset("bull:mail:7", mapping={"name": "talk", "timestamp": 5, "opts": "{}"})
    for event in ("added", "active"):
        await primary.client.xadd(events, {"event": event, "jobId": "7", "name": "talk"})
    await primary.client.rpush(key, *"abcde")
    bridge.watch(source(primary, replica))
    await bridge.start()
    await until_told(bridge, "mail", "e", "7")
    await replica.client.replicaof("NO", "ONE")
    await replica.client.config_resetstat()
    await replica.client.rpop(key, 2)

    async def has_looked() -> bool:
        return "lrange" in await commands(replica)

    await eventually(has_looked, what="a look at what the replica has")
    await primary.client.rpush(key, "f")
    await replica.client.replicaof("127.0.0.1", primary.port)
    assert_told(await until_told(bridge, "mail", "f", "7"), *"abcdef")


class Written:
    """Numbered lines of three ordinary jobs and of three that keep few, as they were written."""

    def __init__(self, mail: LoggingJobs, kept: LoggingJobs, seed: int) -> None:
        self._jobs = (mail, kept)
        self._dice = random.Random(seed)
        self._counts: dict[str, int] = dict.fromkeys(("1", "2", "3"), 0)

    async def write(self) -> None:
        """One more line of one job in each queue."""
        job_id = self._dice.choice(list(self._counts))
        for jobs in self._jobs:
            await jobs.log(job_id, f"line {self._counts[job_id]}")
        self._counts[job_id] += 1
        await asyncio.sleep(self._dice.uniform(0, 0.03))  # the pace of a job at work, not a synchronisation

    async def end(self) -> None:
        """End all of them."""
        for job_id in self._counts:
            for jobs in self._jobs:
                await jobs.log(job_id, "last")
                await jobs.end(job_id)

    def of(self, job_id: str) -> list[str]:
        """The job's lines until now."""
        return [f"line {number}" for number in range(self._counts[job_id])]

    async def check(self, bridge: Bridge) -> None:
        """Ordinary jobs: every line once, in order. The others: no line twice, in order, the last ones all there."""
        for job_id in self._counts:
            written = [*self.of(job_id), "last"]
            assert_told(await until_told(bridge, "mail", "last", job_id), *written)
            lines = await until_told(bridge, "kept", "last", job_id)
            told = [line.message for line in lines]
            assert_told(lines, *(message for message in written if message in told))
            assert told[-KEPT:] == written[-KEPT:]


@asynccontextmanager
async def writing(redis_url: str, seed: int) -> AsyncGenerator[Written]:
    async with (
        logging_jobs(redis_url, queue="mail", jobs=3) as mail,
        logging_jobs(redis_url, queue="kept", jobs=3, keep_logs=KEPT) as kept,
    ):
        yield Written(mail, kept, seed)


async def test_each_line_is_told_once_across_kills_at_random_moments(bridge: Bridge, redis_url: str) -> None:
    dice = random.Random(5)
    async with writing(redis_url, seed=5) as written:
        for _ in range(3):
            await bridge.start()
            while not (lines := written.of("1")):
                await written.write()
            await until_told(bridge, "mail", lines[-1])
            for _ in range(dice.randint(10, 80)):
                await written.write()
            await bridge.kill()
        await bridge.start()
        await written.end()
        await written.check(bridge)


async def test_line_names_its_job_and_attempt_that_began_before_a_restart(bridge: Bridge, redis_url: str) -> None:
    await bridge.start()
    async with logging_jobs(redis_url, queue="mail", jobs=2, attempts=2) as jobs:
        await jobs.log("1", "first")
        await until_told(bridge, "mail", "first")
        await jobs.end("1", "failed")
        await jobs.running("1")

        async def runs_again() -> bool:
            told = (await bridge.records()).of_jobs()["mail", "1"]
            return sum(event.event == "active" for event in told) == 2

        await eventually(runs_again, what="the second attempt")
        await bridge.kill()
        await jobs.end("2")
        await bridge.start()
        await until_ended(bridge, "mail", "2")
        await jobs.log("1", "second")
        lines = await until_told(bridge, "mail", "second")
        await jobs.end("1")
    assert_told(lines, "first", "second")
    added = (await bridge.records()).of_jobs()["mail", "1"][0].added_at
    assert [(line.job_name, line.added_at, line.attempt) for line in lines] == [("talk", added, 1), ("talk", added, 2)]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_each_line_is_told_once_across_a_kill_inside_a_transaction(
    bridge: Bridge, redis_url: str, tmp_path: Path, when: str
) -> None:
    """before: all is sent, nothing committed. after: committed, and the answer was not seen."""
    async with writing(redis_url, seed=7) as written:
        marker = tmp_path / "died"
        await bridge.start(
            str(ROOT / "tests" / "dying.py"), "bridge",
            "--at", "bridge.kafka:Writer._commit", "--when", when, "--nth", "25", "--marker", str(marker),
        )  # fmt: skip
        assert bridge.process is not None
        while bridge.process.returncode is None:
            await written.write()
        assert await bridge.ended() == -9
        assert marker.exists()
        await bridge.start()
        for _ in range(50):
            await written.write()
        await written.end()
        await written.check(bridge)


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_last_lines_of_a_job_that_ended_unseen_are_told_with_its_rebuilt_end(
    bridge: Bridge, app: Any, redis_url: str, how: str
) -> None:
    """Job 1 was followed before; of job 2, with more lines than are read at once, nothing was told; 3 keeps only its
    last lines."""
    many = [f"line {number}" for number in range(1200)]
    await bridge.start()
    async with (
        logging_jobs(redis_url, queue="mail", jobs=2) as mail,
        logging_jobs(redis_url, queue="kept", keep_logs=KEPT) as kept,
    ):
        await are_followed(bridge, mail, "mail")
        await are_followed(bridge, kept, "kept")
        if how == "killed":
            await bridge.kill()
        else:
            bridge.signal(signal.SIGSTOP)
        await mail.log("1", "second")
        await mail.log("2", *many)
        await kept.log("1", *many)
        for jobs, job_id in ((mail, "1"), (mail, "2"), (kept, "1")):
            await jobs.end(job_id)
        for queue in ("mail", "kept"):
            await app.xtrim(f"bull:{queue}:events", maxlen=0, approximate=False)
        if how == "killed":
            await bridge.start()
        else:
            bridge.signal(signal.SIGCONT)
        assert_told(await until_told(bridge, "mail", "second"), "first", "second")
        assert_told(await until_told(bridge, "mail", many[-1], "2"), *many)
        assert_told(await until_told(bridge, "kept", many[-1]), "first", *many[-KEPT:])
    for queue, job_id, told_before in (("mail", "1", 1), ("mail", "2", 0), ("kept", "1", 1)):
        lines = await lines_of(bridge, queue, job_id)
        if how == "killed":  # one that wakes up still follows the job until it sees that it ended
            assert [line.rebuilt for line in lines] == [number >= told_before for number in range(len(lines))]
        end = await until_ended(bridge, queue, job_id)
        assert end.rebuilt
        assert {line.attempt for line in lines} == {1}
