"""logsvc's settings: what is refused, and in which words."""

from pathlib import Path

import pytest

from logsvc.settings import LogsvcSettings, is_loopback
from tocsin.settings import SettingsError, names, read, secrets_of

GOOD = {"KAFKA_BOOTSTRAP_SERVERS": "localhost:9092", "CLICKHOUSE_URL": "chdb:///var/lib/tocsin/clickhouse"}


def problems(**settings: str) -> str:
    with pytest.raises(SettingsError) as refused:
        read(LogsvcSettings, {**GOOD, **settings})
    return "\n".join(refused.value.problems)


def test_two_settings_are_enough() -> None:
    settings = read(LogsvcSettings, GOOD)
    assert settings.logsvc_retention_days == 30
    assert settings.consumer_group == "tocsin.logsvc"


def test_everything_wrong_is_said_at_once() -> None:
    said = problems(
        KAFKA_BOOTSTRAP_SERVERS="", CLICKHOUSE_URL="mysql://x", LOGSVC_BATCH_ROWS="many", LOGSVC_BATCH_ROW="5"
    )
    assert "KAFKA_BOOTSTRAP_SERVERS: required, not set" in said
    assert "CLICKHOUSE_URL: expected http://, https:// or chdb:///directory" in said
    assert "LOGSVC_BATCH_ROWS: expected a whole number" in said
    assert "LOGSVC_BATCH_ROW: unknown setting (typo?)" in said


@pytest.mark.parametrize("name", ["TRUSTED_PROXIES", "WEBSOCKET_PORT", "LOGSVC_SYSLOG_PORT"])
def test_what_is_not_there_yet_is_refused_and_not_ignored(name: str) -> None:
    assert f"{name}: not available in this release" in problems(**{name: "8080"})


def test_the_session_secret_is_accepted_and_checked() -> None:
    assert read(LogsvcSettings, {**GOOD, "SESSION_SECRET": "x" * 48}).session_secret is not None
    assert "SESSION_SECRET" in problems(SESSION_SECRET="short")


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.5", "::", "tocsin.example.com", ""])
def test_without_a_login_only_loopback_is_served(host: str) -> None:
    if host:
        assert "BIND_HOST: only a loopback address is allowed while there is no login" in problems(BIND_HOST=host)
    assert not is_loopback(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LocalHost"])
def test_loopback_has_many_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("url", ["chdb://relative", "chdb://", "chdb:///"])
def test_an_embedded_directory_is_absolute(url: str) -> None:
    assert "three slashes" in problems(CLICKHOUSE_URL=url)


def test_a_ca_file_is_there_and_has_an_effect(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    assert "CLICKHOUSE_CA_FILE: no such file" in problems(CLICKHOUSE_URL="https://ch/x", CLICKHOUSE_CA_FILE=str(ca))
    ca.write_text("")
    for url in ("http://ch/x", "chdb:///var/lib/tocsin/clickhouse"):
        assert "of no effect unless CLICKHOUSE_URL is https://" in problems(
            CLICKHOUSE_URL=url, CLICKHOUSE_CA_FILE=str(ca)
        )
    given = {**GOOD, "CLICKHOUSE_URL": "https://ch/x", "CLICKHOUSE_CA_FILE": str(ca)}
    assert read(LogsvcSettings, given).clickhouse_ca_file == ca


def test_no_secret_is_shown() -> None:
    url = "http://tocsin:hunter2hunter2@ch:8123/tocsin"
    settings = read(LogsvcSettings, {**GOOD, "CLICKHOUSE_URL": url, "SESSION_SECRET": "s" * 20})
    assert "hunter2hunter2" not in repr(settings)
    assert {"hunter2hunter2", "s" * 20, url} <= set(secrets_of(settings))


def test_every_setting_says_what_it_means() -> None:
    assert all(LogsvcSettings.model_fields[name.lower()].description for name in names(LogsvcSettings))
