"""What was relayed of one queue, counted once it is committed: for its metrics and its rates. Backfill counts nowhere.

A batch is summed up when it is made; the labelled metrics are looked up once a queue.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Self

import msgspec

from bridge.metrics import Metrics, QueueTimes
from tocsin.events import JobEvent, State
from tocsin.times import MINUTE_MS

LATE_MS = 5_000
"""Events committed later than this: the bridge is behind, and the last minute is not known yet."""

_RETRYING = State.RETRYING  # a member of an Enum is slow to find

Clock = Callable[[], int]
"""The source's clock, ms: the one that events carry."""


class Sum(msgspec.Struct, gc=False):
    """What a batch of events, one at least, adds once it is committed: so that nobody keeps the events until then.

    events: without what bridge itself has to say, which comes first: that entries were lost, or a stream is another.
    unenriched: of all of them. words, retried, completed, failed and timed are of live ones only; completed and failed
    by second; timed: those that say how long a job waited or ran. ts: Redis's clock, ms.
    """

    events: int
    epoch: int
    first_ts: int
    last_ts: int
    unenriched: int
    words: Counter[str]
    retried: int
    has_gap: bool
    completed: list[int]
    failed: list[int]
    timed: list["Time"]

    @classmethod
    def of(cls, events: Sequence[JobEvent]) -> Self:
        """Sum up events of one queue, in order."""
        live = [event for event in events if not event.backfill]
        words = Counter([event.event for event in live])
        has_ended = "completed" in words or "failed" in words
        last, has_gap = events[-1], events[0].lost > 0
        return cls(
            events=len(events) - (has_gap or not events[0].stream_id),
            epoch=last.epoch,
            first_ts=events[0].ts,
            last_ts=last.ts,
            unenriched=sum([not event.enriched for event in events]),
            words=words,
            retried=sum([event.state is _RETRYING for event in live]),
            has_gap=has_gap,
            completed=[event.ts // 1000 for event in live if event.event == "completed"] if has_ended else [],
            failed=[event.ts // 1000 for event in live if event.event == "failed"] if has_ended else [],
            timed=[Time.of(event) for event in live if event.wait_ms is not None or event.run_ms is not None],
        )


class Time(msgspec.Struct, gc=False):
    """How long one job waited, ran, and was there in all, ms; None = this event does not say.

    A stalled run is no attempt.
    """

    wait: int | None
    run: int | None
    total: int | None

    @classmethod
    def of(cls, event: JobEvent) -> Self:
        if event.wait_ms is not None:
            return cls(event.wait_ms, None, None)
        word = event.event
        if word not in ("completed", "failed") and event.state is not _RETRYING:
            return cls(None, None, None)
        is_whole = word == "completed" and event.added_at
        return cls(None, event.run_ms, max(0, event.ts - event.added_at) if is_whole else None)


class Rates:
    """Completed and failed jobs of the last minute, by the events' own times."""

    def __init__(self, now_ms: Clock) -> None:
        self._now_ms = now_ms
        self._since = now_ms()
        self._completed: Counter[int] = Counter()
        self._failed: Counter[int] = Counter()

    def count(self, batch: Sum) -> None:
        """Count a batch of events."""
        now = self._now_ms()
        if batch.has_gap or now - batch.last_ts > LATE_MS:
            self._since = now
        self._completed.update(batch.completed)
        self._failed.update(batch.failed)
        if len(self._completed) + len(self._failed) > 4 * MINUTE_MS // 1000:
            self._forget()

    def per_minute(self) -> tuple[int, int] | None:
        """Completed and failed; None while no whole minute was followed."""
        if self._now_ms() - self._since < MINUTE_MS:
            return None
        self._forget()
        return self._completed.total(), self._failed.total()

    def _forget(self) -> None:
        oldest = (self._now_ms() - MINUTE_MS) // 1000
        for counted in (self._completed, self._failed):
            for second in [second for second in counted if second <= oldest]:
                del counted[second]


class Tally:
    """One queue's. epoch, last_ts: of the newest event; last_ts 0 = none yet. counters: what else is counted of it."""

    def __init__(self, metrics: Metrics, source: str, queue: str, epoch: int, now_ms: Clock) -> None:
        self.epoch = epoch
        self.last_ts = 0
        self.rates = Rates(now_ms)
        self.counters = metrics.counters_of(source, queue)
        self._times: QueueTimes | None = None
        self._find_times: Callable[[], QueueTimes | None] = lambda: metrics.times_of(source, queue)

    def count(self, batch: Sum) -> None:
        """Count a committed batch."""
        self.epoch = batch.epoch
        self.last_ts = max(self.last_ts, batch.last_ts)
        self.rates.count(batch)
        for word, count in batch.words.items():
            if (counter := self.counters.by_event.get(word)) is not None:
                counter.inc(count)
        if batch.retried:
            self.counters.retried.inc(batch.retried)
        if batch.timed and (times := self._times or self._find_times()) is not None:
            self._times = times
            for time in batch.timed:
                _observe(time, times)

    def leave(self) -> None:
        """The queue is let go: what of it is committed later makes no metrics of it anew."""
        self._find_times = lambda: None


def _observe(time: Time, times: QueueTimes) -> None:
    for ms, histogram in ((time.wait, times.wait), (time.run, times.run), (time.total, times.total)):
        if ms is not None:
            histogram.observe(ms / 1000)


Tallies = dict[str, Tally]
"""Of one source's queues in one partition, by queue."""
