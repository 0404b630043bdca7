"""The command line refuses clearly and runs services as `python -m` does."""

import os
import subprocess
import sys

import pytest

from tocsin import __version__
from tocsin.cli import main


def test_it_says_which_version_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["--version"])
    assert done.value.code == 0
    assert capsys.readouterr().out == f"tocsin {__version__}\n"


def test_an_unknown_argument_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        main(["up", "--demmo"])
    assert refusal.value.code == 2
    assert "--demmo" in capsys.readouterr().err


def test_the_doctor_knows_no_other_services(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        main(["doctor", "brigde"])
    assert refusal.value.code == 2
    assert "bridge, logsvc, bot" in capsys.readouterr().err


def test_without_a_command_the_usage_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        main([])
    assert refusal.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize("service", ["bridge", "logsvc", "bot"])
def test_a_service_tells_all_it_lacks_and_exits_with_2(service: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tocsin.cli", service], env={"PATH": os.defpath}, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert f"{service} cannot start:\n" in done.stderr
    assert "KAFKA_BOOTSTRAP_SERVERS: required, not set" in done.stderr


@pytest.mark.parametrize(
    ("argument", "status", "says"), [("--check", 0, ""), ("--help", 0, "--check"), ("--x", 2, "--x")]
)
def test_a_service_takes_the_arguments_of_its_own_module(argument: str, status: int, says: str) -> None:
    environ = {"PATH": os.defpath, "KAFKA_BOOTSTRAP_SERVERS": "k:9092", "REDIS_URL": "redis://h"}
    done = subprocess.run(
        [sys.executable, "-m", "tocsin.cli", "bridge", argument], env=environ, capture_output=True, text=True
    )
    assert done.returncode == status
    assert says in done.stdout + done.stderr


def test_the_sql_of_the_tables_can_be_read_first(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGSVC_RETENTION_DAYS", "7")
    monkeypatch.setenv("LOGSVC_SEARCH_INDEX", "tokenbf")
    assert main(["migrate", "--print-sql"]) == 0
    shown = capfd.readouterr().out
    assert "CREATE TABLE" in shown
    assert shown.count("toIntervalDay(7)") == shown.count("toIntervalDay(") >= 5
    assert "TYPE tokenbf_v1" in shown
    assert "TYPE text(" not in shown
    assert "\n-- Postgres: " in shown
    monkeypatch.setenv("LOGSVC_RETENTION_DAYS", "0")
    assert main(["migrate", "--print-sql"]) == 2
    assert "LOGSVC_RETENTION_DAYS" in capfd.readouterr().err
