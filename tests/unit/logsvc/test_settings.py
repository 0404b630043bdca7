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


LINKS = {"SESSION_SECRET": "x" * 48, "TOCSIN_SERVICE_TOKEN": "service-token-of-the-test"}
PROXY = {
    "SESSION_SECRET": "x" * 48,
    "TRUSTED_PROXIES": "10.0.0.5",
    "LOGSVC_PROXY_USER_HEADER": "X-Forwarded-User",
}


def test_a_session_secret_is_long_and_comes_with_a_way_to_log_in() -> None:
    assert "SESSION_SECRET: expected at least 32 characters" in problems(SESSION_SECRET="short")
    for way in (LINKS, PROXY):
        assert read(LogsvcSettings, {**GOOD, **way}).session_secret is not None
    assert "set, but nobody could log in: set TOCSIN_SERVICE_TOKEN" in problems(SESSION_SECRET="x" * 48)
    assert "nobody could log in" in problems(SESSION_SECRET="x" * 48, TRUSTED_PROXIES="10.0.0.5")


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.5", "::", "tocsin.example.com"])
def test_without_a_login_only_loopback_is_served(host: str) -> None:
    said = problems(BIND_HOST=host)
    assert "SESSION_SECRET: required while BIND_HOST is not a loopback address: anyone who reached it could" in said
    assert "openssl rand -hex 32" in said
    assert not is_loopback(host)
    for way in (LINKS, PROXY):
        assert read(LogsvcSettings, {**GOOD, **way, "BIND_HOST": host}).bind_host == host


def test_people_from_elsewhere_log_in_and_come_by_https() -> None:
    assert "required while PUBLIC_URL is not a loopback address" in problems(PUBLIC_URL="https://tocsin.example.com")
    assert "PUBLIC_URL must be https" in problems(**LINKS, PUBLIC_URL="http://tocsin.example.com")
    for url in ("https://tocsin.example.com", "http://localhost:8080"):
        assert read(LogsvcSettings, {**GOOD, **LINKS, "PUBLIC_URL": url}).public_url is not None
    assert read(LogsvcSettings, {**GOOD, "PUBLIC_URL": "http://127.0.0.1:9001"}).session_secret is None


def test_proxies_are_named_by_address_and_their_settings_belong_together() -> None:
    assert "TRUSTED_PROXIES: expected addresses or networks" in problems(**LINKS, TRUSTED_PROXIES="proxy.local")
    assert "SESSION_SECRET: required while TRUSTED_PROXIES is set" in problems(TRUSTED_PROXIES="10.0.0.5")
    assert "LOGSVC_PROXY_USER_HEADER: of no effect" in problems(**LINKS, LOGSVC_PROXY_USER_HEADER="X-User")
    assert "LOGSVC_PROXY_ROLES: expected GLOB=ROLE" in problems(**PROXY, LOGSVC_PROXY_ROLES="ann=root")


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
    settings = read(
        LogsvcSettings, {**GOOD, "CLICKHOUSE_URL": url, "SESSION_SECRET": "s" * 40, "TOCSIN_SERVICE_TOKEN": "t" * 30}
    )
    assert "hunter2hunter2" not in repr(settings)
    assert {"hunter2hunter2", "s" * 40, url} <= set(secrets_of(settings))


def test_every_setting_says_what_it_means() -> None:
    assert all(LogsvcSettings.model_fields[name.lower()].description for name in names(LogsvcSettings))
