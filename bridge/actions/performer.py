"""The door to BullMQ's own Python client, and the one place that writes to the user's Redis: one source's.

Each call is one of BullMQ's scripts: atomic, with the events that its own `job.retry()` makes.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, cast

import bullmq as library  # pyright: ignore[reportMissingTypeStubs]  # has none
from redis.exceptions import RedisClusterException, RedisError

from bridge.actions import versions
from bridge.actions.claims import stamp_of
from bridge.actions.family import Look
from bridge.errors import SourceUnavailable
from bridge.jsontext import NotJson, parse
from bridge.settings import Source
from bridge.sources.bullmq.door.acting import ActingClient, TooLate, sending_until
from bridge.sources.bullmq.keys import Keys
from tocsin.events import JobOutcome, Outcome, PlannedJob

AT_ONCE = 16
"""Jobs acted on at the same time."""
COMMAND_SECONDS = 2.0
MOST_QUEUES = 20
"""Kept, each with a third of a megabyte of scripts."""
FAILED = (RedisError, RedisClusterException, OSError)

bullmq = cast(Any, library)


class Performer:
    """Acts on the queues of one source. breaker: the name of what guards it.

    Raises SourceUnavailable where its Redis does not answer, or refuses the user.
    """

    def __init__(self, source: Source) -> None:
        self.breaker = f"redis-actions:{source.name}"
        self._prefix = source.prefix
        assert source.acting is not None
        self._acting = ActingClient(source.acting, most=AT_ONCE, seconds=COMMAND_SECONDS)
        self._client = self._acting.client
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._queues: dict[str, Any] = {}

    async def ping(self) -> None:
        """Ask whether Redis answers."""
        try:
            await self._acting.ping()
        except FAILED as error:
            raise _unavailable(error) from error

    async def set_paused(self, queue: str, paused: bool, *, until: float) -> JobOutcome | None:
        """Pause or resume a queue; None = it was too late, see `act`.

        Version 5's list of paused jobs is moved back 7000 at a time, to its end.
        """
        made = self._queue(queue)
        try:
            await self._acting.look_around()
            meta = await self._client.hmget(Keys(self._prefix, queue).meta, *versions.FIELDS)
            if why := versions.hazard("pause" if paused else "resume", meta):
                return _refused("", why)
            with sending_until(until):
                while await (made.pause() if paused else made.resume()):
                    continue
        except TooLate:
            return None
        except FAILED as error:
            raise _unavailable(error) from error
        return JobOutcome(job_id="", outcome=Outcome.DONE)

    async def act(
        self,
        action: str,
        queue: str,
        planned: Sequence[PlannedJob],
        *,
        is_repeat: bool,
        until: float,
        look: Look | None = None,
    ) -> list[JobOutcome] | None:
        """Act on these jobs, each only while it is in the state planned for; return their outcomes in order.

        is_repeat: some of it may have been done before: a job in another state counts as done then. until: monotonic
        time after which no job is begun any more; None = it was too short for all of them. look: at each job before it
        is acted on, for what speaks against that.
        """
        keys = Keys(self._prefix, queue)
        now, why_not = await self._states(keys, action, [job.job_id for job in planned if job.outcome is None])

        async def one(job: PlannedJob) -> JobOutcome | None:
            if job.outcome is not None:
                return job.outcome
            if why_not is not None:
                return _refused(job.job_id, why_not)
            stamp, is_lifo = now[job.job_id]
            if stamp != job.stamp:
                return _moved_on(action, job, stamp, is_repeat)
            async with self._turns:
                if look is not None and time.monotonic() < until and (why := await look(job.job_id)) is not None:
                    return _refused(job.job_id, why)
                if time.monotonic() > until:
                    return None  # before a connection is taken, which would be closed for it
                try:
                    return await self._act(action, queue, job.job_id, is_lifo)
                except TooLate:
                    return None

        with sending_until(until):
            outcomes = await asyncio.gather(*map(one, planned), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        whole = cast(list[JobOutcome | None], outcomes)
        return None if None in whole else cast(list[JobOutcome], whole)

    async def close(self) -> None:
        """Close every connection."""
        await self._acting.close()

    async def _states(
        self, keys: Keys, action: str, job_ids: Sequence[str]
    ) -> tuple[dict[str, tuple[str | None, bool]], str | None]:
        """Of each job the stamp it has now, None = it is not in that state; and whether it goes to the line's front.

        With it why none of them may be acted on, as the queue is now; None if they may.
        """
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hmget(keys.meta, *versions.FIELDS)
        for job_id in job_ids:
            if action == "remove":
                pipeline.hget(keys.job(job_id), "timestamp")
            else:
                pipeline.zscore(keys.of("failed" if action == "retry" else "delayed"), job_id)
            pipeline.hget(keys.job(job_id), "opts")
        try:
            await self._acting.look_around()
            meta, *replies = cast(list[Any], await pipeline.execute())
        except FAILED as error:
            with suppress(*FAILED):
                await self._acting.learn_anew()
            raise _unavailable(error) from error
        each = zip(job_ids, replies[::2], replies[1::2], strict=True)
        found = {job_id: (_stamp(now), _is_lifo(opts)) for job_id, now, opts in each}
        return found, versions.hazard(action, meta)

    async def _act(self, action: str, queue: str, job_id: str, is_lifo: bool) -> JobOutcome:
        made = self._queue(queue)
        job = bullmq.Job(made, "", {}, {"lifo": is_lifo}, job_id)
        call: Callable[[], Any] = {
            "retry": job.retry,
            "promote": job.promote,
            "remove": lambda: made.backend.remove(job_id, True),
        }[action]
        try:
            answer = await call()
        except TooLate:
            raise
        except FAILED as error:
            raise _unavailable(error) from error
        except TypeError as error:  # what this library raises for a script's "no"
            return _said_no(action, job_id, str(error))
        if action == "remove" and answer != 1:
            return _refused(job_id, "a worker is at it" if answer == 0 else "it is the next run of a job scheduler")
        return JobOutcome(job_id=job_id, outcome=Outcome.DONE)

    def _queue(self, name: str) -> Any:
        """BullMQ's queue; making one reads its scripts from disk and sends nothing."""
        if name not in self._queues:
            if len(self._queues) >= MOST_QUEUES:
                self._queues.clear()
            self._queues[name] = bullmq.Queue(name, {"connection": self._client, "prefix": self._prefix})
        return self._queues[name]


def _stamp(reply: Any) -> str | None:
    return stamp_of(reply) if isinstance(reply, float) else reply


def _is_lifo(opts: Any) -> bool:
    try:
        options = parse(opts) if isinstance(opts, str) else None
    except NotJson:
        return False
    return isinstance(options, dict) and bool(cast(dict[str, Any], options).get("lifo"))


def _moved_on(action: str, job: PlannedJob, stamp: str | None, is_repeat: bool) -> JobOutcome:
    """A job that is not as it was planned for: acted on before this handling of the request, or by somebody else."""
    if is_repeat:
        message = "it was acted on when this request was first handled, or by someone else since"
        return JobOutcome(job_id=job.job_id, outcome=Outcome.DONE, message=message)
    if action == "remove":
        message = "" if stamp is None else "its id is another job's by now"
        return JobOutcome(job_id=job.job_id, outcome=Outcome.GONE, message=message)
    wrong = Outcome.NOT_FAILED if action == "retry" else Outcome.NOT_DELAYED
    return JobOutcome(job_id=job.job_id, outcome=wrong, message="it has moved on meanwhile")


def _said_no(action: str, job_id: str, message: str) -> JobOutcome:
    if message.startswith("Missing key for job"):
        return JobOutcome(job_id=job_id, outcome=Outcome.GONE)
    if " is not in the " in message:
        wrong = Outcome.NOT_FAILED if action == "retry" else Outcome.NOT_DELAYED
        return JobOutcome(job_id=job_id, outcome=wrong, message="it has moved on meanwhile")
    return JobOutcome(job_id=job_id, outcome=Outcome.ERROR, message=message[:200])


def _refused(job_id: str, message: str) -> JobOutcome:
    return JobOutcome(job_id=job_id, outcome=Outcome.REFUSED, message=message)


def _unavailable(error: Exception) -> SourceUnavailable:
    return SourceUnavailable(f"actions: {str(error) or type(error).__name__}")
