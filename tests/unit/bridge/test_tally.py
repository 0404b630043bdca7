"""Rates and totals of what was relayed: only the last minute, only when it was followed, never backfill."""

from typing import Any

from prometheus_client import CollectorRegistry

from bridge.metrics import Metrics
from bridge.sources.bullmq.tally import Sum, Tally
from tocsin.events import VERSION, JobEvent, State

START = 1_795_330_800_000


class Watch:
    """A tally on a clock that the test moves."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.now = START
        self.tally = Tally(Metrics(self.registry), "main", "mail", 1, lambda: self.now)

    def at(self, seconds: float, *events: JobEvent) -> tuple[int, int] | None:
        """Let so many seconds have passed since the start, commit events, return the rates."""
        self.now = START + int(seconds * 1000)
        if events:
            self.tally.count(Sum.of(events))
        return self.tally.rates.per_minute()

    def value(self, name: str) -> float:
        return self.registry.get_sample_value(name, {"source": "main", "queue": "mail"}) or 0


def event(seconds: float, word: str = "completed", **more: Any) -> JobEvent:
    ts = START + int(seconds * 1000)
    return JobEvent(
        v=VERSION,
        id="x",
        ts=ts,
        env="prod",
        source="main",
        queue="mail",
        epoch=3,
        stream_id=f"{ts}-0",
        event=word,
        **more,
    )


def test_first_minute_is_unknown_and_the_next_is_counted() -> None:
    watch = Watch()
    assert watch.at(1, event(1)) is None
    assert watch.at(59.9, event(59), event(59, "failed")) is None
    assert watch.at(60) == (2, 1)
    assert watch.at(62) == (1, 1), "what is older than a minute is out"
    assert watch.at(200) == (0, 0)


def test_backfill_and_other_events_enter_no_rate() -> None:
    watch = Watch()
    assert watch.at(70, event(69, backfill=True), event(69, "active"), event(69, "stalled")) == (0, 0)


def test_minute_is_unknown_while_the_bridge_is_behind_and_after_a_gap() -> None:
    watch = Watch()
    assert watch.at(100) == (0, 0)
    assert watch.at(100, event(90)) is None, "ten seconds late: there may be more that is not read"
    assert watch.at(161) == (0, 0)
    assert watch.at(162, event(162, "gap", lost=7)) is None


def test_rebuilt_events_that_come_late_leave_the_minute_unknown_only() -> None:
    watch = Watch()
    watch.at(100, event(30, rebuilt=True))
    assert watch.at(161, event(160)) == (1, 0)


def test_totals_and_durations_are_those_of_live_events() -> None:
    watch = Watch()
    watch.at(
        10,
        event(8, "waiting"),
        event(9, "active", wait_ms=250),
        event(9, "delayed", state=State.RETRYING, run_ms=40),
        event(9, "stalled", run_ms=30_000),
        event(10, state=State.COMPLETED, run_ms=2000, added_at=START),
        event(10, "failed", run_ms=2000, backfill=True),
        event(10, "removed"),
    )
    names = ("completed", "failed", "retried", "delayed", "stalled", "waiting", "added")
    assert [watch.value(f"bridge_jobs_{name}_total") for name in names] == [1, 0, 1, 1, 1, 1, 0]
    assert (watch.value("bridge_job_run_seconds_count"), watch.value("bridge_job_run_seconds_sum")) == (2, 2.04)
    assert watch.value("bridge_job_wait_seconds_sum") == 0.25
    assert watch.value("bridge_job_total_seconds_sum") == 10
    assert (watch.tally.epoch, watch.tally.last_ts) == (3, START + 10_000)


def test_queue_without_jobs_has_counters_and_no_durations() -> None:
    watch = Watch()
    assert watch.registry.get_sample_value("bridge_jobs_failed_total", {"source": "main", "queue": "mail"}) == 0
    watch.at(1, event(1, "failed", run_ms=5, backfill=True))
    labels = {"source": "main", "queue": "mail"}
    assert watch.registry.get_sample_value("bridge_job_run_seconds_count", labels) is None


def test_what_bridge_itself_has_to_say_is_no_event_of_the_stream() -> None:
    reset = event(1, "stream-reset")
    reset.stream_id = ""
    assert Sum.of([event(1, "gap")]).events == 1, "an app may call its own so"
    for notice in (event(1, "gap", lost=7), reset):
        assert Sum.of([notice]).events == 0
        assert Sum.of([notice, event(2, "completed")]).events == 1
