"""Run all checks at once, print what they found, and say by the exit status whether anything is wrong."""

import asyncio
import functools
import sys
from collections.abc import Mapping
from pathlib import Path

from tocsin.doctor.clickhouse import check_clickhouse
from tocsin.doctor.consul import check_consul
from tocsin.doctor.finding import Check, Environ, Finding, Verdict, bad
from tocsin.doctor.kafka import check_kafka
from tocsin.doctor.machine import check_disk, check_java, check_ports
from tocsin.doctor.postgres import check_postgres
from tocsin.doctor.redis import check_redis
from tocsin.doctor.report import render
from tocsin.doctor.settings import check_settings
from tocsin.doctor.telegram import check_telegram

CHECKS: Mapping[str, Check] = {
    "Settings": check_settings,
    "Redis": check_redis,
    "Kafka": check_kafka,
    "Own Kafka": check_java,
    "ClickHouse": check_clickhouse,
    "Postgres": check_postgres,
    "Telegram": check_telegram,
    "Consul": check_consul,
    "Ports": check_ports,
    "Disk": check_disk,
}
DEADLINE_SECONDS = 8.0


async def run_doctor(environ: Environ, *, data: Path | None = None) -> int:
    """Examine, print the table to stdout, and return the exit status: 1 if anything is BAD, else 0."""
    findings = await examine(environ, data=data)
    colour = sys.stdout.isatty() and not environ.get("NO_COLOR")
    sys.stdout.write(render(findings, colour=colour) + "\n")
    return int(any(finding.verdict is Verdict.BAD for finding in findings))


async def examine(environ: Environ, *, data: Path | None = None) -> list[Finding]:
    """Everything found, in the order of CHECKS. Never raises because of a server.

    data: where the servers of `tocsin up` would keep theirs, if it is not the usual place.
    """
    checks = {**CHECKS, "Disk": functools.partial(check_disk, data=data)} if data else CHECKS
    groups = await asyncio.gather(*(_within_deadline(name, check, environ) for name, check in checks.items()))
    return [finding for group in groups for finding in group]


async def _within_deadline(name: str, check: Check, environ: Environ) -> list[Finding]:
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await check(environ)
    except TimeoutError:
        return [bad(name, f"no answer in {DEADLINE_SECONDS:g} s", "the server, or the way to it, is stuck")]
    except Exception as error:  # noqa: BLE001  # one check that breaks must not hide the others
        return [bad(name, f"the check itself broke ({type(error).__name__})", "please report it, with this line")]
