"""One handling of one request: take it up in the ledger, act page by page, or follow who is at it and finish it.

The order of a page is what makes it safe: its plan is in the ledger before anything is done, its results after; whoever
takes up a request that was cut off treats the first page without results as one that may have been begun.
"""

import asyncio
import math
import time
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from bridge.actions.claims import Claim, fold, pages_of
from bridge.actions.family import Look, Objection, look_at
from bridge.actions.ledger import Following, Ledger
from bridge.actions.performer import Performer
from bridge.actions.request import ON_JOBS, ActionAnswer, ActionRefused, ActionRequest, answer
from bridge.actions.selection import plan
from bridge.errors import SourceUnavailable
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.source import BullmqSource
from tocsin.access import Progress
from tocsin.breakers import Breakers, Unavailable
from tocsin.events import VERSION, ActionKind, ActionRecord, JobOutcome, Outcome, PlannedJob
from tocsin.lifecycle import pause
from tocsin.times import current_ms

REQUEST_SECONDS = 25.0
"""After that a request is put down; sent again, it goes on where it was."""
LEASE_SECONDS = 12.0
"""A holder that adds nothing to the ledger for so long is taken for dead. So one that has added nothing for half of it
takes its request up anew, under another name: a claim that was made against the former one is void then."""
LONG_SECONDS = 300.0
"""A step older than this, by two computers' clocks, is a dead holder's: no need to wait and see."""
PAGE_SECONDS = 2.5
"""No job of a page is begun later: well within the lease, and a replica that was stopped meanwhile begins nothing when
it wakes."""
PLAN_SECONDS = 20.0
FOLLOW_SECONDS = 0.2
SEND_AGAIN = "send the same again, which goes on where this one stopped"


class Handling:
    """Runs once."""

    def __init__(
        self,
        request: ActionRequest,
        source: BullmqSource,
        performer: Performer,
        keys: Keys,
        objects: Objection,
        following: Following,
        ledger: Ledger,
        breakers: Breakers,
        stop: asyncio.Event,
    ) -> None:
        self._request = request
        self._source = source
        self._performer = performer
        self._keys = keys
        self._objects = objects
        self._following = following
        self._ledger = ledger
        self._breakers = breakers
        self._stop = stop
        self._by = uuid.uuid4().hex
        self._deadline = time.monotonic() + REQUEST_SECONDS
        self._kept = -math.inf  # monotonic: nobody takes the request from us within LEASE_SECONDS of it
        self._doubtful: set[int] = set()

    async def run(self) -> ActionAnswer:
        """Return once all of the request is done, by whomever. Raises ActionRefused, Unavailable."""
        steps, changed = -1, 0.0
        while True:
            verified = time.monotonic()
            await self._following.catch_up()
            if len(self._following.records) != steps:
                steps, changed = len(self._following.records), time.monotonic()
            claim = fold(self._following.records)
            if claim.digest not in ("", self._request.digest):
                raise ActionRefused(
                    409, "conflict", f"request_id `{self._request.request_id}` was used to ask for something else"
                )
            if claim.is_ended:
                return answer(self._request, claim.outcomes)
            if claim.holder == self._by:
                await self._work(claim, verified)
            elif self._is_late:
                raise _still_running(claim)
            elif not claim.holder or verified - changed >= LEASE_SECONDS or self._is_long_ago:
                await self._take_up(claim)
            else:
                await pause(self._stop, FOLLOW_SECONDS)

    @property
    def _is_long_ago(self) -> bool:
        """Whether the last step is so old that no clock can be so wrong."""
        return time.time() - self._following.records[-1].ts / 1000 > LONG_SECONDS

    @property
    def _is_late(self) -> bool:
        return self._stop.is_set() or time.monotonic() > self._deadline

    async def _take_up(self, claim: Claim) -> None:
        """Claim the request, with the plan if it has none. Another may have been first: the ledger will say."""
        steps = [self._step(ActionKind.CLAIM, supersedes=claim.holder, **self._described())]
        if not claim.is_planned:
            pages = pages_of(await self._plan())
            steps += [
                self._step(ActionKind.PLAN, page=page, pages=len(pages), planned=planned)
                for page, planned in enumerate(pages)
            ]
        await self._claim(steps)

    async def _plan(self) -> list[PlannedJob]:
        if self._request.action not in ON_JOBS:
            return [PlannedJob(job_id="")]
        async with self._breakers.guard(
            self._performer.breaker, timeout=PLAN_SECONDS, errors_that_count=(SourceUnavailable,)
        ):
            return await plan(self._source.door, self._keys, self._request, self._objects)

    async def _work(self, claim: Claim, verified: float) -> None:
        """Act on what is left, until all is done or it is time to look whether the request is still ours."""
        if claim.is_doubtful and claim.next_page is not None:
            self._doubtful.add(claim.next_page)
        while (page := claim.next_page) is not None:
            now = time.monotonic()
            if self._is_late:
                await self._add(self._release(page))
                raise _still_running(claim)
            if now - verified > LEASE_SECONDS / 2:
                return
            if now - self._kept > LEASE_SECONDS / 2:
                return await self._take_up_anew(page)
            results = await self._act(page, claim.plan[page], until=now + PAGE_SECONDS)
            if results is None:
                self._doubtful.add(page)
                continue
            claim.results[page] = results
            await self._add(self._step(ActionKind.RESULTS, page=page, results=results))
        done = sum(result.outcome is Outcome.DONE for result in claim.outcomes)
        await self._add(self._step(ActionKind.END, count=done))

    async def _claim(self, steps: Sequence[ActionRecord]) -> None:
        """Append a claim, and what goes with it. Whether it holds, and since when at the latest, reading tells."""
        self._kept = time.monotonic()
        await self._ledger.append(steps)

    async def _take_up_anew(self, page: int) -> None:
        """Leave the request, and claim it under another name. Who takes us for dead was first, or is void."""
        release = self._release(page)
        self._by = uuid.uuid4().hex
        await self._claim([release, self._step(ActionKind.CLAIM, **self._described())])

    async def _add(self, step: ActionRecord) -> None:
        """Append a step of ours. It keeps the request, unless it may have come when that was another's already."""
        kept, now = self._kept, time.monotonic()
        await self._ledger.append([step])
        self._kept = now if time.monotonic() - kept < LEASE_SECONDS else -math.inf

    def _release(self, page: int) -> ActionRecord:
        return self._step(ActionKind.RELEASE, is_cut_off=page in self._doubtful)

    async def _act(self, page: int, planned: list[PlannedJob], *, until: float) -> list[JobOutcome] | None:
        """The outcomes of a page; None = there was no time for all of it. Puts the request down if Redis is away."""
        try:
            async with self._breakers.guard(
                self._performer.breaker, timeout=PAGE_SECONDS + 3, errors_that_count=(SourceUnavailable,)
            ):
                if self._request.action not in ON_JOBS:
                    is_pause = self._request.action == "pause"
                    outcome = await self._performer.set_paused(self._keys.queue, is_pause, until=until)
                    return None if outcome is None else [outcome]
                return await self._performer.act(
                    self._request.action,
                    self._keys.queue,
                    planned,
                    is_repeat=page in self._doubtful,
                    until=until,
                    look=await self._look_at(planned),
                )
        except Unavailable:
            self._doubtful.add(page)
            await self._add(self._release(page))
            raise

    async def _look_at(self, planned: list[PlannedJob]) -> Look | None:
        """How to look at each job before a removal: children, or the policy, may have come since it was planned."""
        if self._request.action != "remove":
            return None
        job_ids = [job.job_id for job in planned if job.outcome is None]
        return await look_at(self._source.door, self._keys, job_ids, self._objects)

    def _described(self) -> dict[str, Any]:
        """What a claim says of the request."""
        request = self._request
        return {
            "digest": request.digest,
            "user_id": str(request.user_id),
            "action": request.action,
            "env": self._source.source.env,
            "source": request.source,
            "queue": request.queue,
            "wanted": "" if request.filter is None else msgspec.json.encode(request.filter).decode(),
        }

    def _step(self, kind: ActionKind, **fields: Any) -> ActionRecord:
        ts = current_ms()
        return ActionRecord(v=VERSION, ts=ts, kind=kind, request_id=self._request.request_id, by=self._by, **fields)


def _still_running(claim: Claim) -> ActionRefused:
    planned, done = sum(len(page) for page in claim.plan.values()), len(claim.outcomes)
    return ActionRefused(
        503,
        "still_running",
        f"{done} of {planned} jobs are settled",
        mend=SEND_AGAIN,
        retry_after=1,
        progress=Progress(settled=done, planned=planned) if claim.is_planned else None,
    )
