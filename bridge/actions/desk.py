"""Where a request is taken: is it known, configured, allowed; a dry run is answered here, the rest carried out."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

import msgspec

from bridge.actions import versions
from bridge.actions.family import Objection, descendants
from bridge.actions.handling import PLAN_SECONDS, SEND_AGAIN, Handling
from bridge.actions.ledger import KAFKA, Ledger
from bridge.actions.performer import Performer
from bridge.actions.policy import Policy
from bridge.actions.request import ON_JOBS, ActionAnswer, ActionRefused, ActionRequest, answer
from bridge.actions.selection import count, plan, queue_now
from bridge.errors import SourceUnavailable
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.source import BullmqSource
from tocsin.breakers import Breakers, Unavailable
from tocsin.events import JobOutcome, Outcome, PlannedJob

MOST_AT_ONCE = 8
RETRY_AFTER = 5
HARD_SECONDS = 40.0
"""A request puts itself down long before, unless what it waits for hangs."""


class Desk:
    """Safe for concurrent use. performers: by source, of those whose actions are configured."""

    def __init__(
        self,
        sources: Sequence[BullmqSource],
        performers: Mapping[str, Performer],
        policy: Policy,
        ledger: Ledger,
        breakers: Breakers,
        stop: asyncio.Event,
    ) -> None:
        self._sources = {source.source.name: source for source in sources}
        self._performers = performers
        self._policy = policy
        self._ledger = ledger
        self._breakers = breakers
        self._stop = stop
        self._at_once = 0
        for performer in performers.values():
            breakers.probe_with(performer.breaker, performer.ping)

    async def handle(self, request: ActionRequest) -> ActionAnswer:
        """Do what is asked, once. Raises ActionRefused."""
        if self._stop.is_set() or self._at_once >= MOST_AT_ONCE:
            reason = "this replica is stopping" if self._stop.is_set() else "it is at its most requests already"
            raise ActionRefused(503, "busy", reason, retry_after=RETRY_AFTER)
        self._at_once += 1
        try:
            async with asyncio.timeout(HARD_SECONDS):
                return await self._handle(request)
        except Unavailable as error:
            raise _unavailable(error) from error
        except TimeoutError:
            message = "nobody knows yet how far this request came"
            raise ActionRefused(503, "still_running", message, mend=SEND_AGAIN, retry_after=RETRY_AFTER) from None
        finally:
            self._at_once -= 1

    async def _handle(self, request: ActionRequest) -> ActionAnswer:
        source, performer = self._place(request)
        keys = Keys(source.source.prefix, request.queue)
        async with self._breakers.guard(performer.breaker, errors_that_count=(SourceUnavailable,)):
            is_there = source.source.watches(keys.queue) and await source.door.one("EXISTS", keys.meta)
            meta = cast(list[bytes | None], await source.door.one("HMGET", keys.meta, *versions.FIELDS))
        if not is_there:
            raise ActionRefused(404, "unknown_queue", f"source `{request.source}` has no queue `{request.queue}`")
        refusal = self._refusal(request, source, meta)
        objects = partial(self._objection, source, request.action)
        if request.dry_run:
            return await self._rehearse(request, source, performer, keys, refusal, objects)
        if refusal is not None:
            raise refusal
        async with self._ledger.follow(request.request_id) as following:
            handling = Handling(
                request, source, performer, keys, objects, following, self._ledger, self._breakers, self._stop
            )
            return await handling.run()

    def _refusal(
        self, request: ActionRequest, source: BullmqSource, meta: Sequence[bytes | None]
    ) -> ActionRefused | None:
        """Why nothing of a request may be done, if so. meta: versions.FIELDS of the queue."""
        if rule := self._policy.refusal(request.action, source.source.env, request.queue):
            return ActionRefused(
                403,
                "forbidden_by_policy",
                f"the policy `{rule}` does not allow {request.action} on queue `{request.queue}`",
                mend="the operator may change BRIDGE_ACTION_POLICY",
            )
        if hazard := versions.hazard(request.action, meta):
            return ActionRefused(409, "unsafe_on_version", hazard, mend=versions.mend_of(request.action))
        return None

    def _objection(self, source: BullmqSource, action: str, queue: str) -> str | None:
        """Why an action may not reach another queue, if so."""
        if not source.source.watches(queue):
            return "it is not watched"
        rule = self._policy.refusal(action, source.source.env, queue)
        return None if rule is None else f"the policy `{rule}`"

    def _place(self, request: ActionRequest) -> tuple[BullmqSource, Performer]:
        source, performer = self._sources.get(request.source), self._performers.get(request.source)
        if source is None:
            raise ActionRefused(404, "unknown_source", f"there is no source `{request.source}` at this site")
        if performer is None:
            raise ActionRefused(
                503,
                "not_configured",
                f"actions are not configured for source `{request.source}`",
                mend="set REDIS_ACTIONS_URL, or the source's `actions` table in TOCSIN_SOURCES_FILE",
            )
        return source, performer

    async def _rehearse(
        self,
        request: ActionRequest,
        source: BullmqSource,
        performer: Performer,
        keys: Keys,
        refusal: ActionRefused | None,
        objects: Objection,
    ) -> ActionAnswer:
        """What would be done. A filter is counted to the end, also when one request may not act on so many."""
        outcome, why = (Outcome.DONE, "") if refusal is None else (Outcome.REFUSED, refusal.message)
        async with self._breakers.guard(
            performer.breaker, timeout=PLAN_SECONDS, errors_that_count=(SourceUnavailable,)
        ):
            if request.filter is not None:
                matching = await count(source.door, keys, request.filter)
                return ActionAnswer(
                    request_id=request.request_id,
                    dry_run=True,
                    count=matching if refusal is None else 0,
                    outcomes={outcome.value: matching} if matching else {},
                    results=[],
                )
            if request.action not in ON_JOBS:
                told = answer(request, [JobOutcome(job_id="", outcome=outcome, message=why)])
                return msgspec.structs.replace(told, queue=await queue_now(source.door, keys))
            planned: list[PlannedJob] = await plan(source.door, keys, request, objects)
            doomed = [job.job_id for job in planned if job.outcome is None and request.action == "remove"]
            along = await descendants(source.door, keys, doomed) if doomed and refusal is None else 0
        would_be = [job.outcome or JobOutcome(job_id=job.job_id, outcome=outcome, message=why) for job in planned]
        return msgspec.structs.replace(answer(request, would_be), descendants=along)


def _unavailable(error: Unavailable) -> ActionRefused:
    """What is away, in the words of its own error where it has any."""
    said = str(error.__cause__) if isinstance(error.__cause__, SourceUnavailable) else ""
    message = f"{error}: {said[:300]}" if said else str(error)
    if error.dependency == KAFKA:
        return ActionRefused(503, "kafka_unavailable", message, mend=SEND_AGAIN, retry_after=RETRY_AFTER)
    mend = SEND_AGAIN
    if "NOPERM" in said or "no permissions" in said:
        mend = "give the actions' Redis user the rules of docs/actions.md"
    return ActionRefused(503, "redis_unavailable", message, mend=mend, retry_after=RETRY_AFTER)
