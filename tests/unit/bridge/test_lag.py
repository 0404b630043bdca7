"""Lag grows while nothing is committed, and nothing stale is said of queues that left."""

from prometheus_client import CollectorRegistry, generate_latest

from bridge.lag import Lag, Lags
from bridge.metrics import Metrics


class Clock:
    def __init__(self) -> None:
        self.ms = 10_000

    def __call__(self) -> int:
        return self.ms


def test_lag_grows_while_something_waits_and_tells_the_last_commit_after() -> None:
    clock = Clock()
    lag = Lag(clock)
    assert lag.seconds() == 0
    lag.put(9_000)
    lag.put(9_500)
    clock.ms = 60_000
    assert lag.seconds() == 51
    lag.committed(9_400)
    assert lag.seconds() == 50.5
    lag.committed(59_000)
    assert lag.seconds() == 1
    clock.ms = 90_000
    assert lag.seconds() == 1


def test_what_was_seen_in_the_stream_waits_until_it_is_committed() -> None:
    clock = Clock()
    lag = Lag(clock)
    lag.unread(9_000)
    clock.ms = 60_000
    assert lag.seconds() == 51, "its queue's turn has not come"
    lag.put(9_000)
    lag.unread(20_000)
    assert lag.seconds() == 51, "it was read, and not committed; there is more"
    lag.committed(19_999)
    assert lag.seconds() == 40
    lag.put(20_000)
    lag.unread(None)
    lag.committed(20_000)
    assert lag.seconds() == 40
    clock.ms = 90_000
    assert lag.seconds() == 40


def test_what_waited_for_a_lost_writer_still_waits() -> None:
    clock, registry = Clock(), CollectorRegistry()
    lags = Lags(Metrics(registry))
    lags.of("main", "mail", clock).put(9_000)
    again = lags.of("main", "mail", clock)
    clock.ms = 20_000
    assert registry.get_sample_value("bridge_relay_lag_seconds", {"source": "main", "queue": "mail"}) == 11
    again.put(9_000)
    again.committed(9_000)
    again.put(20_000)
    assert again.seconds() == 0


def test_queue_that_left_keeps_only_what_was_counted() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    lags = Lags(metrics)
    labels = {"source": "main", "queue": "mail"}
    lags.of("main", "mail", Clock())
    metrics.queue_jobs.labels("main", "mail", "active").set(3)
    metrics.queue_workers.labels("main", "mail").set(3)
    metrics.events_relayed.labels("main", "mail").inc(3)
    lags.leave()

    assert registry.get_sample_value("bridge_events_relayed_total", labels) == 3
    for name in ("bridge_relay_lag_seconds", "bridge_queue_workers"):
        assert registry.get_sample_value(name, labels) is None
    assert registry.get_sample_value("bridge_queue_jobs", {**labels, "state": "active"}) is None


def test_a_queue_that_is_gone_leaves_no_series() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    lags = Lags(metrics)
    for queue in ("mail", "stays"):
        lags.of("main", queue, Clock())
        metrics.counters_of("main", queue)
        metrics.times_of("main", queue).run.observe(1)
        metrics.events_relayed.labels("main", queue).inc()
        metrics.schedulers.labels("main", queue).set(1)
    told = generate_latest(registry).decode()
    lags.drop("main", "mail")
    left = generate_latest(registry).decode()
    assert told.count('queue="mail"') == told.count('queue="stays"') == left.count('queue="stays"') > 20
    assert 'queue="mail"' not in left
