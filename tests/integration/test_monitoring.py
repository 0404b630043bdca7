"""grafana/: valid to the tools that read it, and every query names a metric that some service has."""

import subprocess
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import CollectorRegistry

import bot.metrics
import bridge.metrics
import logsvc.metrics
from bot.settings import BotSettings
from bridge.settings import BridgeSettings
from logsvc.settings import LogsvcSettings
from tests.eventually import READY_SECONDS
from tests.generate import dashboards
from tests.generate.dashboards import named_in
from tests.tools import tool
from tocsin.breakers import Breakers
from tocsin.discovery import Directory
from tocsin.settings import Settings, read

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "grafana" / "prometheus"
FOLDER = ROOT / "grafana" / "dashboards"
FROM_ELSEWHERE = {
    "up",
    "haproxy_frontend_http_responses_total",
    "haproxy_frontend_requests_denied_total",
    "haproxy_frontend_current_sessions",
    "haproxy_backend_response_time_average_seconds",
    "haproxy_backend_active_servers",
}
"""Prometheus' own, and the proxy's: tests/e2e/test_edge.py asks a real Prometheus for them."""


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=READY_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def metric_names() -> set[str]:
    """Every series name that bridge, logsvc and bot can have."""
    registry = CollectorRegistry()
    for metrics in (bridge.metrics, logsvc.metrics, bot.metrics):
        metrics.Metrics(registry)
    kafka = {"KAFKA_BOOTSTRAP_SERVERS": "k:9092"}
    settings: list[Settings] = [
        read(BridgeSettings, {**kafka, "REDIS_URL": "redis://r"}),
        read(LogsvcSettings, {**kafka, "CLICKHOUSE_URL": "http://c:8123/d"}),
        read(BotSettings, {**kafka, "DATABASE_URL": "postgresql://p/d", "TELEGRAM_BOT_TOKEN": "1:x"}),
    ]
    for each in settings:
        Breakers(each, registry)
        Directory(each, registry)
    names: set[str] = set()
    for family in registry.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}[family.type]
        names.update(family.name + suffix for suffix in suffixes)
    return names


def test_promtool_accepts_the_rules() -> None:
    run(tool("promtool"), "check", "rules", *map(str, (PROMETHEUS / "rules").glob("*.yml")))


def test_alerts_fire_when_they_should_and_not_before(tmp_path: Path) -> None:
    for rules in (PROMETHEUS / "rules").glob("*.yml"):
        (tmp_path / rules.name).symlink_to(rules)
    tests = tmp_path / "test.yml"
    tests.symlink_to(Path(__file__).with_name("rules_test.yml"))
    run(tool("promtool"), "test", "rules", str(tests))


def test_every_alert_is_seen_both_quiet_and_firing() -> None:
    groups = yaml.safe_load((PROMETHEUS / "rules" / "tocsin.yml").read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    tests = yaml.safe_load(Path(__file__).with_name("rules_test.yml").read_text())["tests"]
    seen = {(case["alertname"], bool(case["exp_alerts"])) for one in tests for case in one.get("alert_rule_test", ())}
    assert seen == {(alert, fires) for alert in alerts for fires in (False, True)}


def test_the_dashboards_are_those_of_the_code() -> None:
    files = {file.stem: file.read_text() for file in FOLDER.glob("*.json")}
    assert files == {one.name: dashboards.text(one) for one in dashboards.DASHBOARDS}


def test_promtool_accepts_the_configuration(tmp_path: Path) -> None:
    """Debian's promtool knows no Consul: that part is looked at here, and a static one takes its place."""
    config: dict[str, Any] = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    [job] = config["scrape_configs"]
    assert job.pop("consul_sd_configs") == [{"server": "127.0.0.1:8500", "tags": ["tocsin"]}]
    job["static_configs"] = [{"targets": ["127.0.0.1:9001"]}]
    (tmp_path / "rules").symlink_to(PROMETHEUS / "rules")
    changed = tmp_path / "prometheus.yml"
    changed.write_text(yaml.safe_dump(config))
    run(tool("promtool"), "check", "config", str(changed))


def test_what_happens_seldom_is_counted_from_0() -> None:
    """A counter whose first sample is 1 has not increased, to Prometheus."""
    registry = CollectorRegistry()
    bot.metrics.Metrics(registry)
    logsvc.metrics.Metrics(registry).begin_topic("tocsin.jobs")
    begun = {sample.name for family in registry.collect() for sample in family.samples if sample.value == 0}
    seldom = {"bot_errors_total", "bot_messages_dead_total"}
    assert seldom | {"logsvc_dead_letters_total", "logsvc_exported_rows_total"} <= begun


def test_every_alert_and_panel_names_metrics_that_exist() -> None:
    files = [yaml.safe_load(file.read_text()) for file in (PROMETHEUS / "rules").glob("*.yml")]
    rules = [rule for file in files for group in file["groups"] for rule in group["rules"]]
    queries = [rule["expr"] for rule in rules]
    queries += [query for one in dashboards.DASHBOARDS for panel in one.panels for query, _ in panel.queries]
    known = metric_names() | FROM_ELSEWHERE | {rule["record"] for rule in rules if "record" in rule}
    for query in queries:
        named = named_in(query)
        assert named, query
        assert named <= known, (query, named - known)
