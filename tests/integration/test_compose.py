"""docker-compose.yaml and the files it mounts, checked without an engine: by docker-compose itself, the services' own
settings, and what the file promises about ports, users and stopping.
"""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.settings import BotSettings
from bridge.settings import BridgeSettings
from logsvc.settings import LogsvcSettings
from tests.compose import COMPOSE, EXAMPLE, ROOT, config, environments, make_secrets
from tocsin.settings import Settings, read

SERVICES: dict[str, type[Settings]] = {"bridge": BridgeSettings, "logsvc": LogsvcSettings, "bot": BotSettings}


@pytest.fixture(scope="module")
def resolved() -> dict[str, Any]:
    """The services as docker-compose sees them, with the values of envs/example.env and every profile."""
    done = config()
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr, done.stderr
    return yaml.safe_load(done.stdout)["services"]


def test_docker_compose_accepts_the_file(resolved: dict[str, Any]) -> None:
    assert set(resolved) == {
        *("proxy", "consul", "bridge", "logsvc", "bot", "prometheus", "grafana"),
        *("kafka", "clickhouse", "postgres", "valkey"),
    }


def test_a_mistake_in_the_file_would_be_noticed(tmp_path: Path) -> None:
    broken = tmp_path / "docker-compose.yaml"
    broken.write_text(COMPOSE.read_text().replace("healthcheck:", "healthchek:", 1))
    assert config(broken).returncode != 0
    assert "PUBLIC_URL" in config(env_file=None).stderr


def test_every_variable_of_the_file_is_documented() -> None:
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", COMPOSE.read_text()))
    documented = set(re.findall(r"^#?(\w+)=", EXAMPLE.read_text(), re.MULTILINE))
    assert used - documented == set()
    assert documented - used == {"COMPOSE_PROFILES"}


def test_every_secret_of_the_file_is_made_and_each_service_starts_with_its_settings(tmp_path: Path) -> None:
    make_secrets(tmp_path / "secrets")
    assert {file.name for file in (tmp_path / "secrets").iterdir()} == set(
        yaml.safe_load(COMPOSE.read_text())["secrets"]
    )
    given = environments(TOCSIN_SECRETS=str(tmp_path / "secrets"))
    for name, model in SERVICES.items():
        settings = read(model, given[name])
        assert settings.bind_host == "127.0.0.1"
        assert settings.log_format == "json"


def test_a_service_reads_no_secret_that_it_is_not_given(tmp_path: Path) -> None:
    make_secrets(tmp_path / "secrets")
    for name, environ in environments(TOCSIN_SECRETS=str(tmp_path / "secrets")).items():
        assert not [value for value in environ.values() if value.startswith("/run/secrets/")], name


def test_the_secrets_script_changes_nothing_that_is_there(tmp_path: Path) -> None:
    runs: list[dict[str, str]] = []
    for _ in range(2):
        make_secrets(tmp_path / "s")
        runs.append({file.name: file.read_text() for file in (tmp_path / "s").iterdir()})
    assert runs[0] == runs[1]
    assert len({value for name, value in runs[0].items() if "password" in name}) == 3


def test_secrets_can_be_written_into_by_their_owner_and_reached_by_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    make_secrets(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o644}


@pytest.mark.parametrize("written", ["TOCSIN_SECRETS=./kept", 'TOCSIN_SECRETS="./kept"'])
def test_the_folder_of_the_secrets_is_the_one_compose_reads_from_the_env_file(tmp_path: Path, written: str) -> None:
    (tmp_path / "envs").mkdir()
    shutil.copy(ROOT / "envs" / "secrets.sh", tmp_path / "envs")
    (tmp_path / ".env").write_text(f"PUBLIC_URL=http://x\n{written}\n")
    making = {"PATH": os.environ["PATH"], "TELEGRAM_BOT_TOKEN": "1:x"}
    subprocess.run(["sh", "envs/secrets.sh"], cwd=tmp_path, env=making, check=True, capture_output=True)
    assert (tmp_path / "kept" / "database_url").exists()
    assert not (tmp_path / ".tocsin").exists()


def test_the_check_of_kafka_fits_beside_it(resolved: dict[str, Any]) -> None:
    """Its test starts a second JVM, which would take the broker's heap again."""
    assert "-Xms512m" in resolved["kafka"]["environment"]["KAFKA_HEAP_OPTS"]
    assert re.match(r"KAFKA_HEAP_OPTS=-Xmx\d\dm ", resolved["kafka"]["healthcheck"]["test"][1])


def test_only_the_proxy_is_published_and_on_loopback(resolved: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in resolved.items() if service.get("ports")}
    assert set(published) == {"proxy"}
    assert {port["host_ip"] for port in published["proxy"]} == {"127.0.0.1"}


def test_images_are_pinned_and_every_service_is_watched_and_held_back(resolved: dict[str, Any]) -> None:
    for name, service in resolved.items():
        _, _, tag = service["image"].partition(":")
        assert tag, name
        assert tag != "latest", name
        assert service["healthcheck"]["test"], name
        assert service["restart"] == "unless-stopped", name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["deploy"]["resources"]["limits"]["memory"], name
        assert not service.get("privileged"), name


def test_a_stop_has_more_time_than_the_drain(resolved: dict[str, Any]) -> None:
    for name in SERVICES:
        drain = float(resolved[name]["environment"]["DRAIN_SECONDS"])
        assert _seconds(resolved[name]["stop_grace_period"]) > drain


def test_nothing_runs_as_root_or_with_a_capability(resolved: dict[str, Any]) -> None:
    for name, service in resolved.items():
        user = service.get("user", "").partition(":")[0]
        assert user not in ("", "0", "root"), f"{name}: whom its image is run as by itself is the image's choice"
        assert service.get("cap_drop") == ["ALL"], name
        assert not service.get("cap_add"), name


def test_services_run_as_one_user_and_cannot_write(resolved: dict[str, Any]) -> None:
    for name in SERVICES:
        assert resolved[name]["user"] == "10001:10001"
        assert resolved[name]["read_only"] is True
        assert resolved[name]["network_mode"] == "service:proxy"


def test_only_the_images_that_need_it_write_beside_their_volumes(resolved: dict[str, Any]) -> None:
    writes = {name for name, service in resolved.items() if not service.get("read_only")}
    assert writes == {"kafka", "clickhouse"}, "their images write their configuration at each start"


def test_no_secret_stands_in_the_environment(resolved: dict[str, Any]) -> None:
    for name, service in resolved.items():
        environment: dict[str, Any] = service.get("environment") or {}
        for variable, value in environment.items():
            if re.search(r"PASSWORD|TOKEN|SECRET", variable) and value:
                is_file = str(value).startswith("/run/secrets/") and variable.endswith(("_FILE", "__FILE"))
                assert is_file or variable == "PROXY_PASSWORD_HASH", (name, variable)


def test_whoever_depends_on_another_waits_until_it_is_well(resolved: dict[str, Any]) -> None:
    for name in SERVICES:
        needs = resolved[name]["depends_on"]
        assert {need for need, how in needs.items() if how["condition"] == "service_healthy"} >= {"consul", "kafka"}


def test_every_mounted_file_is_there(resolved: dict[str, Any]) -> None:
    for name, service in resolved.items():
        for volume in service.get("volumes", []):
            if volume["type"] == "bind":
                assert Path(volume["source"]).exists(), (name, volume["source"])


def test_the_image_is_built_from_what_it_copies() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert ignored[0] == "**", "what is not named stays out: secrets, data, .env"
    kept = {line[1:] for line in ignored if line.startswith("!")}
    assert all((ROOT / name).exists() for name in kept)
    assert {"bridge", "bot", "logsvc", "tocsin", "pyproject.toml", "requirements.lock"} <= kept
    commands = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("FROM ")]
    assert all(re.search(r":\d+\.\d+\.\d+-slim", shlex.split(command)[1]) for command in commands)


def _seconds(duration: str) -> float:
    found = re.fullmatch(r"(?:(\d+)m)?(\d+)s", duration)
    assert found is not None, duration
    return int(found[1] or 0) * 60 + int(found[2])
