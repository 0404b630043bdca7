"""consul/ and grafana/: valid to the tools that read them, and every query names a metric that some service has."""

import json
import re
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
from tests.tools import tool
from tocsin.breakers import Breakers
from tocsin.discovery import Directory
from tocsin.settings import Settings, read

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "grafana" / "prometheus"
FROM_PROMETHEUS = {"up"}


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
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


def named_in(query: str) -> set[str]:
    """The metrics a PromQL expression names."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"|\b(?:by|without) \([^)]*\)", " ", query)
    return set(re.findall(r"[a-z_][a-z0-9_]*(?![a-z0-9_]*\s*\()", bare)) - {"or", "and", "unless"}


def test_consul_accepts_the_definitions() -> None:
    run(tool("consul"), "validate", str(ROOT / "consul"))


def test_promtool_accepts_the_rules() -> None:
    run(tool("promtool"), "check", "rules", *map(str, (PROMETHEUS / "rules").glob("*.yml")))


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


def test_every_alert_and_panel_names_metrics_that_exist() -> None:
    rules = yaml.safe_load((PROMETHEUS / "rules" / "tocsin.yml").read_text())
    queries = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    for file in (ROOT / "grafana" / "dashboards").glob("*.json"):
        panels = json.loads(file.read_text())["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        queries += [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(queries) > 10
    known = metric_names() | FROM_PROMETHEUS
    for query in queries:
        named = named_in(query)
        assert named, query
        assert named <= known, (query, named - known)
