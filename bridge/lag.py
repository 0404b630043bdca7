"""How far Kafka is behind Redis, queue by queue: of the event that waits longest, or was committed last.

An event waits from when a look at its stream finds it, though its queue's turn to be read has not come, until it is
committed. It outlives the writer: while nothing can be committed, lag grows.
"""

from collections import deque
from collections.abc import Callable, Container

from bridge.metrics import Metrics
from bridge.window import Window

Clock = Callable[[], int]
"""The source's clock, ms: the one that events carry."""


class Lag:
    """One queue's. Groups are committed in the order they were put in. window: how near Redis is to trimming it."""

    def __init__(self, now_ms: Clock) -> None:
        self.window = Window()
        self._now_ms = now_ms
        self._put: deque[int] = deque()
        self._oldest: int | None = None
        self._unread: int | None = None
        self._committed = 0.0

    def unread(self, ts: int | None) -> None:
        """The stream has entries that were not read, of which the oldest is as old as this (ms); None = none."""
        self._unread = ts

    def told(self, ts: int) -> None:
        """The stream has changed, at this time (ms) at the latest."""
        if self._unread is None:
            self._unread = ts

    def put(self, ts: int) -> None:
        """A group of events is on its way. ts: its first event's, ms."""
        self._put.append(ts)
        self._oldest = ts if self._oldest is None else self._oldest

    def committed(self, ts: int) -> None:
        """The oldest group is in Kafka. ts: its last event's, ms."""
        self._put.popleft()
        self._oldest = self._put[0] if self._put else None
        self._committed = self._age(ts)

    def begin_again(self) -> None:
        """What was put and not committed will be read and put again: it is waiting all the same."""
        self._put.clear()

    def seconds(self) -> float:
        """The lag now."""
        waiting = self.waiting()
        return self._committed if waiting is None else waiting

    def waiting(self) -> float | None:
        """How long the event has waited that waits longest, seconds; None = none waits."""
        waiting = [ts for ts in (self._oldest, self._unread) if ts is not None]
        return self._age(min(waiting)) if waiting else None

    def _age(self, ts: int) -> float:
        return max(0, self._now_ms() - ts) / 1000


class Lags:
    """Those of one partition's queues, from the day it comes to the day it leaves."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._lags: dict[tuple[str, str], Lag] = {}

    def of(self, source: str, queue: str, now_ms: Clock) -> Lag:
        """The queue's lag, for a reader that begins."""
        lag = self._lags.get((source, queue))
        if lag is None:
            lag = self._lags[source, queue] = Lag(now_ms)
            self._metrics.relay_lag.labels(source, queue).set_function(lag.seconds)
            self._metrics.waiting[source, queue] = lag.waiting
            self._metrics.trim_window_left.labels(source, queue).set_function(lag.window.left)
            self._metrics.trim_window_seconds.labels(source, queue).set_function(lag.window.seconds)
        lag.begin_again()
        return lag

    def drop(self, source: str, queue: str) -> None:
        """The queue is gone."""
        if self._lags.pop((source, queue), None) is not None:
            self._metrics.drop(source, queue)

    def keep_only(self, source: str, queues: Container[str]) -> None:
        """No other queue of this source is read: one that was gone before its writer was replaced has no cursor."""
        for place in [place for place in self._lags if place[0] == source and place[1] not in queues]:
            self.drop(*place)

    def leave(self) -> None:
        """The partition is another replica's: what we say of its queues would only get older."""
        for source, queue in self._lags:
            self._metrics.forget(source, queue)
        self._lags.clear()
