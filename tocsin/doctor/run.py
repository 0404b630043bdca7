"""Run all checks at once, print what they found, and say by the exit status whether anything is wrong."""

import asyncio
import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tocsin.doctor.clickhouse import check_clickhouse
from tocsin.doctor.consul import check_consul
from tocsin.doctor.finding import Check, Environ, Finding, Verdict, bad
from tocsin.doctor.kafka import check_kafka
from tocsin.doctor.login import check_login
from tocsin.doctor.machine import check_disk, check_java, check_ports
from tocsin.doctor.postgres import check_postgres
from tocsin.doctor.public_url import check_public_url
from tocsin.doctor.redis import check_redis
from tocsin.doctor.report import render
from tocsin.doctor.settings import check_settings
from tocsin.doctor.telegram import check_telegram

OF_A_SERVICE: Mapping[str, Mapping[str, Check]] = {
    "bridge": {"Redis": check_redis, "Kafka": check_kafka, "Consul": check_consul},
    "logsvc": {
        "Kafka": check_kafka,
        "ClickHouse": check_clickhouse,
        "Consul": check_consul,
        "Login": check_login,
        "Public URL": check_public_url,
    },
    "bot": {"Kafka": check_kafka, "Postgres": check_postgres, "Telegram": check_telegram, "Consul": check_consul},
}
"""The servers each service speaks to."""
DEADLINE_SECONDS = 8.0


async def run_doctor(environ: Environ, services: Sequence[str] = (), *, data: Path | None = None) -> int:
    """Examine, print the table to stdout, and return the exit status: 1 if anything is BAD, else 0."""
    findings = await examine(environ, services, data=data)
    colour = sys.stdout.isatty() and not environ.get("NO_COLOR")
    sys.stdout.write(render(findings, colour=colour) + "\n")
    return int(any(finding.verdict is Verdict.BAD for finding in findings))


async def examine(environ: Environ, services: Sequence[str] = (), *, data: Path | None = None) -> list[Finding]:
    """Everything found. Never raises because of a server.

    services: whose needs are looked at, each on its own; default all of them, and what `tocsin up` needs besides.
    data: where the servers of `tocsin up` would keep theirs, if it is not the usual place.
    """
    checks = _of_services(services) if services else _of_up(data)
    groups = await asyncio.gather(*(_within_deadline(name, check, environ) for name, check in checks.items()))
    return [finding for group in groups for finding in group]


def _of_up(data: Path | None) -> dict[str, Check]:
    servers = {name: check for checks in OF_A_SERVICE.values() for name, check in checks.items()}
    disk = functools.partial(check_disk, data=data) if data else check_disk
    return {"Settings": check_settings, **servers, "Own Kafka": check_java, "Ports": check_ports, "Disk": disk}


def _of_services(services: Sequence[str]) -> dict[str, Check]:
    servers = {name: check for service in services for name, check in OF_A_SERVICE[service].items()}
    disk: dict[str, Check] = {"Disk": functools.partial(check_disk, data=None)} if "logsvc" in services else {}
    return {
        "Settings": functools.partial(check_settings, services=services),
        **servers,
        "Kafka": functools.partial(check_kafka, services=services),
        "Consul": functools.partial(check_consul, services=services),
        "Ports": functools.partial(check_ports, services=services),
        **disk,
    }


async def _within_deadline(name: str, check: Check, environ: Environ) -> list[Finding]:
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await check(environ)
    except TimeoutError:
        return [bad(name, f"no answer in {DEADLINE_SECONDS:g} s", "the server, or the way to it, is stuck")]
    except Exception as error:  # noqa: BLE001  # one check that breaks must not hide the others
        return [bad(name, f"the check itself broke ({type(error).__name__})", "please report it, with this line")]
