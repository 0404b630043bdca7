"""`tocsin doctor` as a whole, on real servers: settings, what is well, what is down, and the command itself."""

import asyncio
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.eventually import READY_SECONDS
from tests.integration.doctor.findings import PATIENT, TOKEN, WRONG
from tests.ports import free_port
from tests.tcp import listening
from tocsin.doctor import Verdict, examine, run_doctor
from tocsin.doctor.run import DEADLINE_SECONDS
from tocsin.doctor.settings import check_settings


@PATIENT
async def test_a_healthy_setup_is_all_right(
    redis: Any,
    redis_url: str,
    kafka_bootstrap: str,
    topic_prefix: str,
    postgres_url: str,
    sandbox: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environ = {
        "REDIS_URL": redis_url,
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "KAFKA_TOPIC_PREFIX": topic_prefix,
        "DATABASE_URL": postgres_url,
        "CLICKHOUSE_URL": f"chdb://{tmp_path}/chdb",
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_API_URL": sandbox,
        "TELEGRAM_ADMINS": "1001",
        "TELEGRAM_ALERT_CHATS": "prod=1001",
        "LOGSVC_PORT": "0",
        "BRIDGE_PORT": "0",
        "BOT_PORT": "0",
    }
    assert await run_doctor(environ) == 0
    told = capsys.readouterr().out
    assert "no problems, no warnings" in told
    assert "1 queue, each keeps 10,000 events or more" in told
    assert "4.2 (knows metadata.version 29)" in told
    assert "@tocsin_sandbox_bot" in told
    assert TOKEN not in told


@PATIENT
async def test_one_service_in_its_own_environment_is_all_right(
    redis: Any, redis_url: str, kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container: no bot token there, no Postgres, and nowhere to write."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.access", _may_not)
    environ = {
        "REDIS_URL": redis_url,
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "KAFKA_TOPIC_PREFIX": topic_prefix,
        "BRIDGE_PORT": "0",
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    findings = await examine(environ, ["bridge"])
    assert {finding.verdict for finding in findings} <= {Verdict.OK, Verdict.NOTE}, findings
    checks = {finding.check for finding in findings}
    assert {"Settings", "Redis main", "Kafka", "Consul", "Ports"} <= checks
    assert not {"Postgres", "Telegram", "ClickHouse", "Own Kafka", "Disk"} & checks


@PATIENT
async def test_a_service_by_itself_needs_its_servers_named() -> None:
    findings = await check_settings({}, ["logsvc"])
    assert {finding.found for finding in findings} == {
        "CLICKHOUSE_URL: required, not set (logsvc)",
        "KAFKA_BOOTSTRAP_SERVERS: required, not set (logsvc)",
    }


@PATIENT
async def test_whatever_a_service_would_refuse_is_named_with_its_mend() -> None:
    wrong = {
        "WEBSOCKET_PORT": WRONG,
        "HEARTBEAT_URL": f"http://{WRONG}",
        "TRUSTED_PROXIES": WRONG,
        "BIND_HOST": "0.0.0.0",
        "LOGSVC_BATCH_ROW": "5",
        "TELEGRAM_ALERT_CHATS": WRONG,
        "REDIS_SOURCES": f"a=redis://:{WRONG}@h",
        "PUBLIC_ULR": WRONG,
        "KAFKA_PARTITIONS": WRONG,
        "TOCSIN_SERVICE_TOKEN": "short",
    }
    findings = await check_settings({"REDIS_URL": "redis://h", **wrong})
    assert {finding.verdict for finding in findings} == {Verdict.BAD}
    named = {finding.found.partition(":")[0]: finding for finding in findings}
    assert set(named) == {*wrong, "settings", "SESSION_SECRET"} - {"REDIS_SOURCES", "BIND_HOST"}
    assert all(name in finding.mend for name, finding in named.items() if name != "settings")
    assert "exactly one of REDIS_URL, REDIS_SOURCES" in named["settings"].found
    assert "openssl rand -hex 32" in named["TOCSIN_SERVICE_TOKEN"].mend
    assert named["SESSION_SECRET"].found.endswith("(logsvc)"), "which an address for everybody asks of logsvc"
    assert named["PUBLIC_ULR"].found.endswith("(bridge, logsvc, bot)"), "told once"
    assert WRONG not in str(findings)


@PATIENT
async def test_what_is_not_set_and_given_by_up_or_told_elsewhere_is_no_problem_of_the_settings() -> None:
    assert [finding.verdict for finding in await check_settings({})] == [Verdict.OK]
    empty = {"REDIS_URL": "", "DATABASE_URL": "", "CLICKHOUSE_URL": " ", "TELEGRAM_BOT_TOKEN": ""}
    assert [finding.verdict for finding in await check_settings(empty)] == [Verdict.OK]


async def test_a_service_that_does_not_answer_in_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.doctor.settings.SECONDS", 0.001)
    findings = await check_settings({})
    assert {finding.verdict for finding in findings} == {Verdict.WARN}
    assert "python -m bridge --check" in findings[0].mend


async def test_servers_that_are_down_or_hang_are_each_named_and_waited_for_no_longer_than_the_deadlines() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(hang) as hanging:
        for port in (free_port(), hanging):
            at = f"127.0.0.1:{port}"
            started = time.monotonic()
            findings = await examine(
                {
                    "REDIS_URL": f"redis://:{WRONG}@{at}",
                    "KAFKA_BOOTSTRAP_SERVERS": at,
                    "DATABASE_URL": f"postgresql://u:{WRONG}@{at}/d",
                    "CLICKHOUSE_URL": f"http://u:{WRONG}@{at}/d",
                    "CONSUL_HTTP_ADDR": at,
                    "CONSUL_HTTP_TOKEN": WRONG,
                    "TELEGRAM_BOT_TOKEN": TOKEN,
                    "TELEGRAM_API_URL": f"http://{at}",
                }
            )
            assert time.monotonic() - started < 3 * DEADLINE_SECONDS, "all at once, and with time for a busy machine"
            wrong = {finding.check for finding in findings if finding.verdict in (Verdict.BAD, Verdict.WARN)}
            assert wrong >= {"Redis main", "Kafka", "Postgres", "ClickHouse", "Consul", "Telegram"}
            assert all(finding.mend for finding in findings if finding.check in wrong)
            assert WRONG not in str(findings)
            assert TOKEN not in str(findings)


async def test_the_command_says_what_mends_a_problem_and_ends_with_1(redis_url: str) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "REDIS_URL": redis_url,
    }
    doctor = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tocsin.cli", "doctor", "bridge"), env=environ, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(doctor.communicate(), READY_SECONDS)
    assert doctor.returncode == 1
    assert b"BAD   Kafka " in output
    assert re.search(rb"BAD   Kafka .*\n +-> \S", output), "a problem without its mend"
    assert b"1 problem, " in output


def _may_not(path: Path, mode: int) -> bool:
    return False
