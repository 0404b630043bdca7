"""grafana/dashboards/*.json, from the panels below: `python -m tests.generate.dashboards` writes them."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parents[2] / "grafana" / "dashboards"
PROMETHEUS = {"type": "prometheus", "uid": "prometheus"}
QUEUE = '{source=~"$source", queue=~"$queue"}'
SOURCE = '{source=~"$source"}'
WIDTH, HEIGHT = 12, 8


class Panel(NamedTuple):
    """One panel. queries: expression and legend each. alarm: from which value on it is red."""

    title: str
    says: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    kind: str = "timeseries"
    alarm: float | None = None


class Dashboard(NamedTuple):
    """One file. by_queue: it can be narrowed to sources and queues."""

    name: str
    title: str
    panels: Sequence[Panel]
    by_queue: bool = False


def percentiles(histogram: str, by: str = "") -> list[tuple[str, str]]:
    """p50, p95 and p99 of a histogram over five minutes."""
    labels = f"{by}, le" if by else "le"
    narrowed = QUEUE if by else ""
    legend = "{{source}}/{{queue}} " if by else ""
    return [
        (
            f"histogram_quantile({share}, sum by ({labels}) (rate({histogram}_bucket{narrowed}[5m])))",
            f"{legend}p{share * 100:.0f}",
        )
        for share in (0.5, 0.95, 0.99)
    ]


def per_queue(metric: str, how: str = "sum", after: str = "") -> list[tuple[str, str]]:
    """A gauge of each queue."""
    return [(f"{how} by (source, queue) ({metric}{QUEUE}){after}", "{{source}}/{{queue}}")]


BY_QUEUE = "source, queue"
QUEUES = Dashboard(
    "queues",
    "Tocsin: queues",
    [
        Panel(
            "Jobs by state", "All queues chosen above.", [(f"sum by (state) (bridge_queue_jobs{QUEUE})", "{{state}}")]
        ),
        Panel(
            "Oldest waiting",
            "How long the job has waited that is ready for longest.",
            per_queue("bridge_queue_oldest_waiting_seconds", "max"),
            "s",
        ),
        Panel(
            "Ends per second",
            "Jobs that ended, and attempts that failed and will be followed by another.",
            [
                (f"sum(rate(bridge_jobs_completed_total{QUEUE}[5m]))", "completed"),
                (f"sum(rate(bridge_jobs_failed_total{QUEUE}[5m]))", "failed"),
                (f"sum(rate(bridge_jobs_retried_total{QUEUE}[5m]))", "will be retried"),
            ],
        ),
        Panel(
            "Failure rate",
            "Jobs that failed for good, of all that ended, over five minutes.",
            per_queue("tocsin:jobs_failed:ratio_rate5m", "max"),
            "percentunit",
        ),
        Panel(
            "Attempts take",
            "From active to the end of the attempt.",
            percentiles("bridge_job_run_seconds", BY_QUEUE),
            "s",
        ),
        Panel("Jobs wait", "From waiting to active.", percentiles("bridge_job_wait_seconds", BY_QUEUE), "s"),
        Panel("Workers", "Connected, where Redis tells.", per_queue("bridge_queue_workers")),
        Panel(
            "Standing still",
            "1 while a queue is paused, or its rate limit lets no job begin.",
            [
                (f"max by (source, queue) (bridge_queue_paused{QUEUE}) > 0", "{{source}}/{{queue}} paused"),
                (f"max by (source, queue) (bridge_queue_rate_limited{QUEUE}) > 0", "{{source}}/{{queue}} rate limited"),
            ],
        ),
        Panel(
            "Overdue",
            "Delayed jobs and schedulers whose time is past: no worker moves them on.",
            [
                (f"sum by (source, queue) (bridge_queue_overdue_jobs{QUEUE})", "{{source}}/{{queue}} jobs"),
                (f"sum by (source, queue) (bridge_schedulers_overdue{QUEUE})", "{{source}}/{{queue}} schedulers"),
            ],
            alarm=1,
        ),
        Panel(
            "Runs longest",
            "The job that has run longest; a lock that is gone means a dead or stuck worker.",
            per_queue("bridge_queue_longest_active_seconds", "max"),
            "s",
        ),
        Panel(
            "Redis: memory",
            "Used, and allowed where there is a bound.",
            [
                (f"max by (source) (bridge_redis_memory_bytes{SOURCE})", "{{source}} used"),
                (f"max by (source) (bridge_redis_memory_max_bytes{SOURCE}) > 0", "{{source}} allowed"),
            ],
            "bytes",
        ),
        Panel(
            "Redis: keys thrown away",
            "In the last hour. Jobs may be among them.",
            [(f"sum by (source) (increase(bridge_redis_evicted_keys_total{SOURCE}[1h]))", "{{source}}")],
            alarm=1,
        ),
        Panel(
            "Redis: round trip",
            "Median of a few.",
            [(f"max by (source) (bridge_redis_ping_seconds{SOURCE})", "{{source}}")],
            "s",
        ),
        Panel(
            "Redis: clients",
            "Connected, workers among them.",
            [(f"max by (source) (bridge_redis_clients{SOURCE})", "{{source}}")],
        ),
    ],
    by_queue=True,
)

PIPELINE = Dashboard(
    "pipeline",
    "Tocsin: pipeline",
    [
        Panel(
            "Services", "1 while a replica answers Prometheus.", [("sum by (service) (up)", "{{service}}")], kind="stat"
        ),
        Panel(
            "Circuit breakers",
            "0 closed, 1 half open, 2 open.",
            [
                (f"max by (dependency) ({service}_breaker_state)", f"{service} → {{{{dependency}}}}")
                for service in ("bridge", "logsvc", "bot")
            ],
            alarm=2,
        ),
        Panel(
            "Events relayed per second",
            "Committed to Kafka.",
            [("sum by (source, queue) (rate(bridge_events_relayed_total[1m]))", "{{source}}/{{queue}}")],
        ),
        Panel(
            "Events lost",
            "Trimmed by BullMQ before they were read, in the last hour. More than 0: raise streams.events.maxLen.",
            [("sum by (source, queue) (increase(bridge_events_lost_total[1h]))", "{{source}}/{{queue}}")],
            kind="bargauge",
            alarm=1,
        ),
        Panel(
            "Age at relay",
            "Of the event that waits longest to be read and committed.",
            [("max by (source, queue) (bridge_relay_lag_seconds)", "{{source}}/{{queue}}")],
            "s",
        ),
        Panel(
            "Trim window left",
            "Of the events BullMQ keeps, the share that may still be added before unread ones are trimmed.",
            [("min by (source, queue) (bridge_trim_window_left_ratio)", "{{source}}/{{queue}}")],
            "percentunit",
        ),
        Panel("Commit to Kafka takes", "Of the bridge.", percentiles("bridge_commit_duration_seconds"), "s"),
        Panel(
            "Failed reads of Redis, partitions begun afresh",
            "In ten minutes.",
            [
                ("sum by (source) (increase(bridge_source_errors_total[10m]))", "{{source}}"),
                ("sum(increase(bridge_partition_restarts_total[10m]))", "partitions begun afresh"),
            ],
        ),
        Panel(
            "Rows stored per second",
            "Acknowledged by ClickHouse.",
            [("sum by (topic) (rate(logsvc_rows_stored_total[1m]))", "{{topic}}")],
        ),
        Panel(
            "Not stored yet",
            "Offsets between what is stored and Kafka's end.",
            [("sum by (topic) (logsvc_lag_records)", "{{topic}}")],
        ),
        Panel("An insert takes", "From call to acknowledgement.", percentiles("logsvc_insert_duration_seconds"), "s"),
        Panel(
            "Partitions that wait for ClickHouse or Kafka",
            "/api/v1/system says why.",
            [("max(logsvc_partitions_retrying)", "partitions")],
            alarm=1,
        ),
        Panel(
            "Dead letters",
            "In the last hour.",
            [
                ("sum(increase(bridge_dead_letters_total[1h]))", "could not be read"),
                ("sum by (topic) (increase(logsvc_dead_letters_total[1h]))", "could not be stored: {{topic}}"),
            ],
            alarm=1,
        ),
        Panel(
            "Rows repaired, rows missing",
            "Since the start. The second is to stay 0.",
            [
                ("sum(logsvc_rows_repaired_total)", "found missing and stored"),
                ("sum(logsvc_rows_unaccounted_total)", "still missing"),
            ],
            kind="stat",
            alarm=1,
        ),
    ],
)

BOT = Dashboard(
    "bot",
    "Tocsin: bot",
    [
        Panel(
            "Failures are counted up to",
            "How long ago the bot furthest behind had counted everything in Kafka; decades: not once since its start.",
            [("time() - min(bot_kafka_heard_timestamp_seconds)", "ago")],
            "s",
            alarm=60,
        ),
        Panel("Not read yet", "Records in Kafka.", [("max(bot_kafka_lag_records)", "records")]),
        Panel(
            "Messages that wait",
            "For Telegram, edits too; and for a chat that does not let the bot in.",
            [("max(bot_outbox_messages)", "to be sent"), ("max(bot_away_messages)", "for a closed chat")],
        ),
        Panel(
            "Oldest unsent message",
            "Waits for Telegram and is no edit.",
            [("max(bot_outbox_unsent_seconds)", "age")],
            "s",
            alarm=240,
        ),
        Panel("From wanting to ring to Telegram's yes", "New messages.", percentiles("bot_ring_duration_seconds"), "s"),
        Panel(
            "Incidents and failures",
            "In ten minutes.",
            [
                ("sum(increase(bot_failures_counted_total[10m]))", "failures for good"),
                ("sum(increase(bot_incidents_rung_total[10m]))", "incidents rung"),
            ],
        ),
        Panel(
            "Messages sent",
            "In ten minutes, by kind.",
            [("sum by (kind) (increase(bot_messages_sent_total[10m]))", "{{kind}}")],
        ),
        Panel(
            "Telegram says no",
            "In ten minutes.",
            [
                ("sum(increase(bot_rate_limited_total[10m]))", "too many requests"),
                ("sum(increase(bot_chat_refused_total[10m]))", "a chat is closed"),
                ("sum by (reason) (increase(bot_messages_dead_total[10m]))", "given up: {{reason}}"),
                ("sum by (kind) (increase(bot_messages_dropped_total[10m]))", "too old to be of use: {{kind}}"),
            ],
        ),
        Panel(
            "Asked",
            "Commands and presses in ten minutes.",
            [("sum by (command) (increase(bot_asks_total[10m]))", "{{command}}")],
        ),
        Panel(
            "Errors",
            "In ten minutes, by where.",
            [("sum by (stage, kind) (increase(bot_errors_total[10m]))", "{{stage}}: {{kind}}")],
        ),
        Panel(
            "Hears commands",
            "Of several bots on one database, one does.",
            [("sum(bot_is_polling)", "bots")],
            kind="stat",
        ),
    ],
)

PAGE = Dashboard(
    "page",
    "Tocsin: page",
    [
        Panel("Viewers", "Live, by how.", [("sum by (transport) (logsvc_viewers)", "{{transport}}")]),
        Panel(
            "Lines to viewers per second",
            "Sent; and left out for one who reads too slowly, who is told so.",
            [
                ("sum(rate(logsvc_live_rows_sent_total[1m]))", "sent"),
                ("sum(rate(logsvc_live_rows_dropped_total[1m]))", "left out"),
            ],
        ),
        Panel("History", "1 while ClickHouse is usable.", [("min(logsvc_store_up)", "usable")], kind="stat"),
        Panel(
            "Viewers cut off",
            "In an hour: they did not read.",
            [("sum(increase(logsvc_live_viewers_cut_total[1h]))", "viewers")],
        ),
        Panel(
            "Requests per second",
            "At the proxy, by answer.",
            [('sum by (code) (rate(haproxy_frontend_http_responses_total{proxy="edge"}[1m]))', "{{code}}")],
        ),
        Panel(
            "Requests refused",
            "At the proxy, per second: too many of one address, too big, or not for outside.",
            [('sum(rate(haproxy_frontend_requests_denied_total{proxy="edge"}[1m]))', "refused")],
        ),
        Panel(
            "Answers take",
            "At the proxy: mean of the last 1,024.",
            [('max(haproxy_backend_response_time_average_seconds{proxy="logsvc"})', "logsvc")],
            "s",
        ),
        Panel(
            "Replicas in use",
            "Of logsvc, as the proxy sees them.",
            [('max(haproxy_backend_active_servers{proxy="logsvc"})', "logsvc")],
            kind="stat",
        ),
        Panel(
            "Connections",
            "Open at the proxy, live streams among them.",
            [('sum(haproxy_frontend_current_sessions{proxy="edge"})', "open")],
        ),
        Panel(
            "Rows exported",
            "In an hour, by format.",
            [("sum by (format) (increase(logsvc_exported_rows_total[1h]))", "{{format}}")],
        ),
    ],
)

DASHBOARDS = (QUEUES, PIPELINE, BOT, PAGE)


def text(dashboard: Dashboard) -> str:
    """The file's text."""
    return json.dumps(_dashboard(dashboard), indent=2) + "\n"


def named_in(query: str) -> set[str]:
    """The metrics a PromQL expression names."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"|\b(?:by|without) \([^)]*\)", " ", query)
    return set(re.findall(r"[a-z_][a-z0-9_:]*(?![a-z0-9_:]*\s*\()", bare)) - {"or", "and", "unless"}


def _dashboard(dashboard: Dashboard) -> dict[str, Any]:
    return {
        "uid": f"tocsin-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["tocsin"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "refresh": "15s",
        "timezone": "browser",
        "time": {"from": "now-3h", "to": "now"},
        "links": [{"type": "dashboards", "tags": ["tocsin"], "title": "Tocsin", "asDropdown": False}],
        "templating": {"list": [_variable("source"), _variable("queue")] if dashboard.by_queue else []},
        "annotations": {"list": []},
        "panels": [_panel(at, panel) for at, panel in enumerate(dashboard.panels)],
    }


def _variable(name: str) -> dict[str, Any]:
    within = SOURCE if name == "queue" else ""
    return {
        "name": name,
        "type": "query",
        "datasource": PROMETHEUS,
        "query": f"label_values(bridge_queue_jobs{within}, {name})",
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _panel(at: int, panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.alarm is not None:
        steps.append({"color": "red", "value": panel.alarm})
    return {
        "id": at + 1,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": PROMETHEUS,
        "gridPos": {"h": HEIGHT, "w": WIDTH, "x": at % 2 * WIDTH, "y": at // 2 * HEIGHT},
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
        "targets": [
            {"refId": chr(ord("A") + number), "expr": query, "legendFormat": legend, "datasource": PROMETHEUS}
            for number, (query, legend) in enumerate(panel.queries)
        ],
    }


if __name__ == "__main__":
    for each in DASHBOARDS:
        (FOLDER / f"{each.name}.json").write_text(text(each))
