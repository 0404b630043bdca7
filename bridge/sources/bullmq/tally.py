"""What was relayed of one queue, counted once it is committed: for its metrics and its rates. Backfill counts nowhere.

One pass over a batch; the labelled metrics are looked up once a queue.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from bridge.metrics import Metrics, QueueTimes
from tocsin.events import JobEvent, State

MINUTE_MS = 60_000
LATE_MS = 5_000
"""Events committed later than this: the bridge is behind, and the last minute is not known yet."""

Clock = Callable[[], int]
"""The source's clock, ms: the one that events carry."""


class Rates:
    """Completed and failed jobs of the last minute, by the events' own times."""

    def __init__(self, now_ms: Clock) -> None:
        self._now_ms = now_ms
        self._since = now_ms()
        self._completed: Counter[int] = Counter()
        self._failed: Counter[int] = Counter()

    def count(self, events: Sequence[JobEvent]) -> None:
        """Count a batch of events."""
        now = self._now_ms()
        if now - events[-1].ts > LATE_MS:
            self._since = now
        for event in events:
            if event.event == "completed" and not event.backfill:
                self._completed[event.ts // 1000] += 1
            elif event.event == "failed" and not event.backfill:
                self._failed[event.ts // 1000] += 1
            elif event.event == "gap":
                self._since = now
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
    """One queue's. epoch, last_ts: of the newest event; last_ts 0 = none yet."""

    def __init__(self, metrics: Metrics, source: str, queue: str, epoch: int, now_ms: Clock) -> None:
        self.epoch = epoch
        self.last_ts = 0
        self.rates = Rates(now_ms)
        self._counters = metrics.counters_of(source, queue)
        self._times: QueueTimes | None = None
        self._find_times = lambda: metrics.times_of(source, queue)

    def count(self, events: Sequence[JobEvent]) -> None:
        """Count a committed batch."""
        if not events:
            return
        self.epoch = events[-1].epoch
        self.last_ts = max(self.last_ts, events[-1].ts)
        self.rates.count(events)
        live = [event for event in events if not event.backfill]
        if not live:
            return
        for word, count in Counter([event.event for event in live]).items():
            if (counter := self._counters.by_event.get(word)) is not None:
                counter.inc(count)
        retried = sum([event.state is State.RETRYING for event in live])
        if retried:
            self._counters.retried.inc(retried)
        timed = [event for event in live if event.wait_ms is not None or event.run_ms is not None]
        if timed:
            self._times = self._times or self._find_times()
            for event in timed:
                _time(event, self._times)


def _time(event: JobEvent, times: QueueTimes) -> None:
    """How long one job waited, or ran, and was there in all. A stalled run is no attempt."""
    if event.wait_ms is not None:
        times.wait.observe(event.wait_ms / 1000)
    elif event.run_ms is not None and (event.event in ("completed", "failed") or event.state is State.RETRYING):
        times.run.observe(event.run_ms / 1000)
        if event.event == "completed" and event.added_at:
            times.total.observe(max(0, event.ts - event.added_at) / 1000)


Tallies = dict[str, Tally]
"""Of one source's queues in one partition, by queue."""
