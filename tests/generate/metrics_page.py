"""docs/metrics.md and the end of docs/logsvc.md, generated from the services' own registries.

`python -m tests.generate.metrics_page` writes them.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry

from bridge.metrics import STATES, Metrics
from bridge.settings import BridgeSettings
from logsvc.metrics import Metrics as LogsvcMetrics
from logsvc.settings import LogsvcSettings
from tocsin.breakers import Breakers
from tocsin.discovery import Directory
from tocsin.log_topic import lines_counter
from tocsin.settings import Settings, read

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
LOGSVC_PAGE = PAGE.with_name("logsvc.md")
LOGSVC_HEAD = """## Metrics

`GET /metrics` of every replica; each tells of the partitions it owns and the viewers it has. Labels come from closed
sets. Generated from the code by `make docs`; a test compares.

"""
HEAD = f"""# Metrics of the bridge

`GET /metrics` of every replica. Labels come from closed sets: `source` from the settings, `queue` from discovery,
`state` is one of {", ".join(f"`{state}`" for state in STATES)}; `dependency` is
what a [circuit breaker](architecture.md#when-a-neighbour-is-away) stands before. A queue is measured by the one replica
that owns it, a source's Redis by one replica; what nobody knows has no sample, rather than 0 or an old number. Counters
say only what is in Kafka, and those of jobs and their durations leave out `backfill`: what was there before Tocsin. A
queue has duration series from its first job on. Generated from the code by `make docs`; a test compares.

"""
EXPORTERS = {
    "BullMQ's `exportPrometheusMetrics()`": {
        "bullmq_job_count{queue,state}": ("bridge_queue_jobs",),
        "bullmq_job_completed_total": ("bridge_jobs_completed_total",),
        "bullmq_job_failed_total": ("bridge_jobs_failed_total",),
    },
    "BullMQ's OpenTelemetry metrics": {
        "bullmq.jobs.completed, .failed": ("bridge_jobs_completed_total", "bridge_jobs_failed_total"),
        "bullmq.jobs.delayed, .waiting": ("bridge_jobs_delayed_total", "bridge_jobs_waiting_total"),
        "bullmq.jobs.waiting_children": ("bridge_jobs_waiting_children_total",),
        "bullmq.jobs.retried": ("bridge_jobs_retried_total",),
        "bullmq.job.duration (ms)": ("bridge_job_run_seconds",),
    },
    "bull_exporter": {
        "bull_queue_completed, _active, _delayed, _failed, _waiting": ("bridge_queue_jobs",),
        "bull_queue_complete_duration (summary, ms)": ("bridge_job_run_seconds",),
    },
    "bullmq-exporter": {
        "bullmq_completed, _active, _delayed, _failed, _waiting": ("bridge_queue_jobs",),
        "bullmq_processed_duration (histogram)": ("bridge_job_run_seconds",),
        "bullmq_completed_duration (histogram)": ("bridge_job_total_seconds",),
    },
    "bullmq-prometheus": {
        "bull_active_total, _wait_, _waiting_children_, _prioritized_, _delayed_, _failed_": ("bridge_queue_jobs",),
        "bull_completed_total (last minute)": ("bridge_jobs_completed_total",),
    },
    "bull-prom, bull-monitor": {
        "jobs_completed_total, _failed_, _active_, _delayed_, _waiting_ (gauges)": ("bridge_queue_jobs",),
        "jobs_duration_milliseconds (summary)": ("bridge_job_run_seconds",),
        "jobs_waiting_duration_milliseconds (summary)": ("bridge_job_wait_seconds",),
        "jobs_attempts (summary)": (
            "bridge_job_run_seconds",
            "bridge_jobs_completed_total",
            "bridge_jobs_failed_total",
        ),
    },
}
"""Exporter -> its name -> ours that say the same."""
TAIL = """
What those label with a job's name has no counterpart: names are the app's to choose, without bound. logsvc answers such
questions from history. The mean of attempts is `bridge_job_run_seconds_count` by completed and failed jobs.
"""


class Metric(NamedTuple):
    """One of a service's metrics, as it is scraped."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str

    @property
    def unit(self) -> str:
        bare = self.name.removesuffix("_total")
        return next((unit for unit in ("per_second", "seconds", "bytes") if bare.endswith(f"_{unit}")), "")


def metrics() -> list[Metric]:
    """Every metric that a bridge has, in the order they are made."""
    registry = CollectorRegistry()
    Metrics(registry)
    return _all(registry, read(BridgeSettings, {"REDIS_URL": "redis://r", "KAFKA_BOOTSTRAP_SERVERS": "k:9092"}))


def logsvc_metrics() -> list[Metric]:
    """Every metric that a logsvc has that hears syslog."""
    registry = CollectorRegistry()
    LogsvcMetrics(registry)
    given = {"CLICKHOUSE_URL": "chdb:///c", "KAFKA_BOOTSTRAP_SERVERS": "k:9092"}
    found = _all(registry, read(LogsvcSettings, given))
    return [*found, *_made(lines_counter("logsvc_syslog", CollectorRegistry()))]


def _all(registry: CollectorRegistry, settings: Settings) -> list[Metric]:
    """Those of a service's own page, and those that every service has."""
    Breakers(settings, registry)
    Directory(settings, registry)
    lines_counter(settings.service, registry)
    collectors: Any = registry  # nothing public of it tells a metric's labels
    return _made(*collectors._collector_to_names)


def _made(*collectors: Any) -> list[Metric]:
    found: list[Metric] = []
    for collector in collectors:
        [family] = collector.describe()
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found.append(Metric(name, family.type, tuple(collector._labelnames), family.documentation))
    return found


def table(found: Iterable[Metric]) -> str:
    """Markdown, a line for each."""
    lines = ["| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n"]
    for one in found:
        labels = ", ".join(one.labels)
        unit = one.unit.replace("_", " ")
        lines.append(f"| `{one.name}` | {one.kind} | {unit} | {labels} | {one.meaning} |\n")
    return "".join(lines)


def logsvc_end() -> str:
    """The last section of docs/logsvc.md."""
    return LOGSVC_HEAD + table(logsvc_metrics())


def page() -> str:
    """The text of docs/metrics.md."""
    lines = [HEAD, table(metrics())]
    lines.append("\n## Coming from another exporter\n")
    for exporter, names in EXPORTERS.items():
        lines.append(f"\n| {exporter} | here |\n|---|---|\n")
        for theirs, ours in names.items():
            lines.append(f"| `{theirs}` | {', '.join(f'`{name}`' for name in ours)} |\n")
    lines.append(TAIL)
    return "".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page())
    LOGSVC_PAGE.write_text(LOGSVC_PAGE.read_text().partition(LOGSVC_HEAD[:11])[0] + logsvc_end())
