"""A service that cannot start says everything that is wrong, once, and exits with status 2."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.eventually import READY_SECONDS

ROOT = Path(__file__).parents[3]

NEEDED = {
    "bridge": ["KAFKA_BOOTSTRAP_SERVERS: required, not set", "REDIS_URL"],
    "bot": [
        "DATABASE_URL: required, not set",
        "KAFKA_BOOTSTRAP_SERVERS: required, not set",
        "TELEGRAM_BOT_TOKEN: required, not set",
    ],
    "logsvc": ["CLICKHOUSE_URL: required, not set", "KAFKA_BOOTSTRAP_SERVERS: required, not set"],
}
SERVICES = pytest.mark.parametrize("service", NEEDED)


def start(service: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the service as its container does, with nothing in its environment but `environ`."""
    command = [sys.executable, "-m", service]
    return subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=READY_SECONDS, check=False
    )


@SERVICES
def test_with_nothing_set_all_that_is_missing_is_told_at_once(service: str) -> None:
    left = start(service, {})
    assert (left.returncode, left.stdout) == (2, "")
    first, *told = left.stderr.splitlines()
    assert first == f"{service} cannot start:"
    for problem in NEEDED[service]:
        assert sum(problem in line for line in told) == 1, left.stderr
    assert len(told) == len(NEEDED[service])


@SERVICES
def test_missing_wrong_and_mistyped_are_told_together_and_no_value(service: str) -> None:
    left = start(service, {"KAFKA_PARTITIONS": "s3cr=t", "BREAKER_FAIL_MAXX": "s3cr=t"})
    assert (left.returncode, left.stdout) == (2, "")
    assert "  KAFKA_PARTITIONS: expected a whole number\n" in left.stderr
    assert "  BREAKER_FAIL_MAXX: unknown setting (typo?)\n" in left.stderr
    for problem in NEEDED[service]:
        assert problem in left.stderr
    assert "s3cr=t" not in left.stderr
    assert "Traceback" not in left.stderr
