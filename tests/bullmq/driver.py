"""Drives the real Node BullMQ from a test: runs the workload, asks BullMQ for its own numbers, makes queues to count.

async with workload(redis_url, version=6, jobs=2000, queues=["mail", "gone"], ephemeral="gone") as running:
    ...  # kill something
    truth = await running.finish()
"""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal, Required, TypedDict, Unpack

import msgspec

from tests.bullmq import node
from tests.bullmq.records import Counts, Job, Role, StoredJob, Summary, Truth
from tests.eventually import READY_SECONDS

Major = Literal[5, 6]
Version = Major | Literal["5.0", "5.40"]
"""A major version stands for the newest of its releases."""


class Options(TypedDict, total=False):
    """What a workload does. Left out: the default of workload.mjs, given in brackets."""

    version: Required[Version]
    jobs: Required[int]
    queues: Required[Sequence[str]]
    """Names without commas."""
    seed: int
    """Same seed and same other options: the same jobs [1]."""
    prefix: str
    """[bull]"""
    role: Role
    """Add the jobs, process them, or [both]; a worker alone ends when `jobs` of them are terminal."""
    ephemeral: str
    """The queue whose jobs are removed as they end [none]."""
    events_maxlen: int
    """Length BullMQ trims each event stream to, about [1000000]."""
    rate: float
    """Jobs added per second [as fast as can be]."""
    concurrency: int
    """Jobs at once per worker [8]."""
    workers: int
    """Per queue, each of another name: `<queue>-worker`, `<queue>-worker-2` … [1]; those of `ephemeral` have none."""
    work_ms: int
    """A job runs a seeded time up to this [10]."""
    without: Sequence[str]
    """Kinds of jobs left out, as plan.mjs names them [none]."""
    thrown_text: bool
    """Add jobs that throw a plain text, of which BullMQ keeps nothing [no]."""
    cluster: bool
    """The URL is one node of a cluster [no]."""
    timeout: float
    """Seconds after which it gives up, exit code 1 [300]."""


class Workload:
    """A workload that runs beside the test."""

    def __init__(self, process: asyncio.subprocess.Process, truth_file: Path) -> None:
        self._process = process
        self._truth_file = truth_file
        self._output = asyncio.create_task(node.output_of("workload.mjs", process), name="workload output")

    @property
    def is_running(self) -> bool:
        """Whether the program has not ended yet."""
        return self._process.returncode is None

    async def finish(self) -> Truth:
        """Wait until all jobs are terminal (the workload's own timeout is the deadline) and return the truth."""
        (summary,) = await asyncio.shield(self._output)
        return await asyncio.to_thread(_read_truth, summary, self._truth_file)

    async def stop(self) -> Truth:
        """End it early, after the jobs that run now, and return the truth so far."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        return await self.finish()

    async def kill(self) -> None:
        """End the program at once, as kill -9 does; the truth is lost then."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await asyncio.wait([self._output])


@asynccontextmanager
async def workload(redis_url: str, **options: Unpack[Options]) -> AsyncGenerator[Workload]:
    """Start the workload; it ends with the block at the latest. Raises ProgramFailed from finish() and stop()."""
    with tempfile.TemporaryDirectory(prefix="tocsin-truth-") as directory:
        truth_file = Path(directory) / "truth.jsonl"
        arguments, flags = _arguments(options)
        process = await node.start("workload.mjs", {"redis": redis_url, "truth": truth_file, **arguments}, flags)
        running = Workload(process, truth_file)
        try:
            yield running
        finally:
            await running.kill()


async def run_mishaps(redis_url: str, *, version: Version, jobs: int = 3) -> Truth:
    """Kill workers, fail children, retry by hand; `jobs` of each kind. Return the truth once all have ended."""
    with tempfile.TemporaryDirectory(prefix="tocsin-truth-") as directory:
        truth_file = Path(directory) / "truth.jsonl"
        options = {"version": version, "redis": redis_url, "jobs": jobs, "truth": truth_file}
        (summary,) = await node.run("mishaps.mjs", options, seconds=READY_SECONDS)
        return await asyncio.to_thread(_read_truth, summary, truth_file)


async def run_workload(redis_url: str, **options: Unpack[Options]) -> Truth:
    """Run the workload to its end: all jobs terminal (role `produce`: all added)."""
    async with workload(redis_url, **options) as running:
        return await running.finish()


async def counts(redis_url: str, queues: Sequence[str], *, version: Version, prefix: str = "bull") -> list[Counts]:
    """BullMQ's getJobCounts() and isPaused() of each queue, in order."""
    options = {"version": version, "redis": redis_url, "prefix": prefix}
    names = [f"--queue={queue}" for queue in queues]
    lines = await node.run("counts.mjs", options, names, seconds=READY_SECONDS)
    return [msgspec.json.decode(line, type=Counts) for line in lines]


async def make_states(
    redis_url: str, *, prefix: str = "bull", name: str = "states", versions: Sequence[Version] = (6, 5)
) -> list[Counts]:
    """Make two queues a version in which every state is non-zero and nothing moves; return BullMQ's counts of them.

    `<name>-v6`, `<name>-paused-v6`, `<name>-v5`, `<name>-paused-v5`: the numbers differ from queue to queue. No worker
    is left; the active jobs hold their locks for an hour.
    """
    options = {"redis": redis_url, "prefix": prefix, "name": name, "versions": ",".join(map(str, versions))}
    lines = await node.run("states.mjs", options, seconds=READY_SECONDS)
    return [msgspec.json.decode(line, type=Counts) for line in lines]


async def make_waiting(redis_url: str, *, version: Major) -> dict[str, str]:
    """Make queues in each of which one job has waited longest, by how that came, as waiting.mjs describes; its ids."""
    [line] = await node.run("waiting.mjs", {"redis": redis_url, "version": version}, seconds=READY_SECONDS)
    return msgspec.json.decode(line, type=dict[str, str])


Silent = Literal[
    "add",
    "delay",
    "prioritize",
    "family",
    "schedule",
    "replace",
    "take",
    "finish",
    "fail",
    "progress",
    "report",
    "pause",
    "resume",
    "drain",
    "clean",
    "obliterate",
    "reprioritize",
]


async def silent(
    redis_url: str,
    queue: str,
    do: Silent,
    *,
    count: int = 3,
    version: Major = 6,
    keep: str | None = None,
    cluster: bool = False,
) -> list[str]:
    """Do one thing to a queue, as silent.mjs describes; return the ids of the jobs it made, or touched.

    keep: the JSON of removeOnComplete and removeOnFail of jobs that are added. cluster: as in Options.
    """
    options: dict[str, object] = {"version": version, "redis": redis_url, "queue": queue, "do": do, "count": count}
    if keep is not None:
        options["keep"] = keep
    [line] = await node.run("silent.mjs", options, ["--cluster"] if cluster else [], seconds=READY_SECONDS)
    return msgspec.json.decode(line, type=dict[str, list[str]])["ids"]


@asynccontextmanager
async def scene(
    redis_url: str, name: str, *, queue: str, version: Major, **options: object
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Bring a queue into one of the states of scenes.mjs; its worker, if any, is killed with the block."""
    arguments = {"redis": redis_url, "scene": name, "queue": queue, "version": version, **options}
    process = await node.start("scenes.mjs", arguments)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(READY_SECONDS):
            line = await process.stdout.readline()
            assert line, (await process.stderr.read()).decode(errors="replace")[-2000:]
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def leave_canaries(redis_url: str, queue: str, secret: str, *, version: Major) -> int:
    """Put one secret wherever an app can put one: jobs that complete, fail, are retried, are scheduled, and stay.

    Returns how many jobs named `shape` there are: one for each shape that an object takes in a text.
    """
    options = {"version": version, "redis": redis_url, "queue": queue, "secret": secret}
    (line,) = await node.run("canaries.mjs", options, seconds=READY_SECONDS)
    return msgspec.json.decode(line, type=dict[str, int])["shapes"]


async def stored_jobs(redis_url: str, queue: str, *, version: Version, prefix: str = "bull") -> dict[str, StoredJob]:
    """Every job of the queue still in Redis, by id, in any state."""
    options = {"version": version, "redis": redis_url, "prefix": prefix, "queue": queue}
    lines = await node.run("truth_from_redis.mjs", options, seconds=READY_SECONDS)
    jobs = [msgspec.json.decode(line, type=StoredJob) for line in lines]
    return {job.id: job for job in jobs}


def _read_truth(summary: bytes, truth_file: Path) -> Truth:
    jobs = [msgspec.json.decode(line, type=Job) for line in truth_file.read_bytes().splitlines()]
    return Truth(msgspec.json.decode(summary, type=Summary), {job.key: job for job in jobs})


def _arguments(options: Options) -> tuple[dict[str, object], list[str]]:
    """The program's options and its flags."""
    arguments: dict[str, object] = {}
    flags: list[str] = []
    for name, value in options.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            flags += [f"--{option}"] if value else []
        elif isinstance(value, list | tuple):
            arguments[option] = ",".join(str(part) for part in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - a TypedDict's items() are objects
        else:
            arguments[option] = value
    return arguments, flags
