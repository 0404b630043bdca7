"""A logsvc whose past ends now, and whose bot is away.

Two environments, errors that come and go, schedulers, a sick Redis, a dead letter.
"""

import time
import uuid
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from typing import Any

from tests.eventually import eventually
from tests.integration.logsvc.house import House, house
from tocsin.events import DeadLetter, JobEvent, LogLine, QueueSnapshot, SchedulerSnapshot, SourceSnapshot, encode
from tocsin.times import rfc3339

MINUTE = 60_000
HOUR = 60 * MINUTE
DECLINED = "f-declined"
TOKEN = "a-service-token-of-the-tests"
SETTINGS = {"TRACE_URL_TEMPLATE": "https://traces.example.com/{trace_id}", "TOCSIN_SERVICE_TOKEN": TOKEN}
STACK = [
    "at charge (/app/src/payments/charge.js:88:13)",
    "at processTicksAndRejections (node:internal/process/task_queues:95:5)",
    "at async Worker.processJob (/app/node_modules/bullmq/dist/cjs/classes/worker.js:512:28)",
]


def failure(home: House, number: int, at: int, **fields: Any) -> list[JobEvent]:
    """A job whose one attempt fails."""
    why = {name: fields.pop(name) for name in ("error", "error_type", "fingerprint")}
    told: list[dict[str, Any]] = [
        {"event": "added", "state": "waiting", "data": f'{{"order":"ord-{number}"}}'},
        {"event": "active", "state": "active", "attempt": 1, "wait_ms": 40, "worker": "api-7c9f"},
        {
            "event": "failed",
            "state": "failed",
            "attempt": 1,
            "run_ms": 900,
            "worker": "api-7c9f",
            "stack": STACK,
            **why,
        },
    ]
    same: dict[str, Any] = {"job_id": str(number), "added_at": at, "job_name": "charge", "max_attempts": 1} | fields
    return [
        home.event(0, ts=at + step * 500, stream_id=f"{at + step}-{number}", **same, **one)
        for step, one in enumerate(told)
    ]


def failures(home: House, now: int) -> Iterable[JobEvent]:
    """Three errors: one that grows and is new, an old one that is rare, and one of staging in two queues."""
    declined: dict[str, Any] = {
        "error": "Card declined: do_not_honor",
        "error_type": "PaymentError",
        "fingerprint": DECLINED,
    }
    timeout: dict[str, Any] = {
        "error": "connect ETIMEDOUT 10.0.0.4:5432",
        "error_type": "Error",
        "fingerprint": "f-timeout",
    }
    bounced: dict[str, Any] = {
        "error": "550 mailbox unavailable",
        "error_type": "SMTPError",
        "fingerprint": "f-bounced",
    }
    for number in range(36):
        yield from failure(
            home,
            4000 + number,
            now - 2 * HOUR + number * 3 * MINUTE,
            queue="payments.capture",
            trace_id="4bf92f",
            **declined,
        )
    for number in range(9):
        yield from failure(
            home,
            300 + number,
            now - 60 * HOUR + number * 7 * HOUR,
            queue="reports",
            job_name="nightly-report",
            **timeout,
        )
    for number in range(12):
        queue = "mail.send" if number % 3 else "mail.digest"
        at = now - 20 * HOUR + number * 97 * MINUTE
        yield from failure(
            home, 800 + number, at, env="staging", source="stage", queue=queue, job_name="mail", **bounced
        )


def snapshots(now: int) -> Iterable[QueueSnapshot | SchedulerSnapshot]:
    """Queues of two environments, and schedulers: one overdue, one that failed, one that is well."""
    at: dict[str, Any] = {"v": 1, "ts": now, "env": "prod", "source": "main"}
    stage: dict[str, Any] = {**at, "env": "staging", "source": "stage"}
    told: dict[str, dict[str, Any]] = {
        "payments.capture": {"failed": 36, "waiting": 212, "workers": 2, "oldest_waiting_seconds": 420.0},
        "reports": {"failed": 9, "workers": 1},
        "mail.send": {"waiting": 3, "workers": 4, "completed": 1000},
    }
    for queue, counts in told.items():
        yield QueueSnapshot(**at, queue=queue, bullmq_version="6.2.0", **counts)
    for queue in ("mail.send", "mail.digest"):
        yield QueueSnapshot(**stage, queue=queue, failed=6, bullmq_version="5.30.0")
    late: dict[str, Any] = {"is_overdue": True, "overdue_seconds": 900.0, "next_run": now - 15 * MINUTE}
    yield SchedulerSnapshot(**at, queue="reports", scheduler="ledger-close", job_name="close", every=5 * MINUTE, **late)
    yield SchedulerSnapshot(
        **at,
        queue="reports",
        scheduler="nightly-report",
        pattern="0 3 * * *",
        timezone="Europe/Berlin",
        next_run=now + 5 * HOUR,
    )
    yield SchedulerSnapshot(
        **stage, queue="mail.digest", scheduler="digest", every=HOUR, next_run=now + 20 * MINUTE, iteration=81
    )


def events(home: House, now: int) -> Iterable[Any]:
    """Everything of the topics that are keyed by queue."""
    yield from failures(home, now)
    yield from snapshots(now)
    yield from failure(
        home,
        990,
        now - 4 * HOUR,
        queue="reports",
        scheduler="nightly-report",
        error="connect ETIMEDOUT 10.0.0.4:5432",
        error_type="Error",
        fingerprint="f-timeout",
    )
    yield home.event(0, ts=now - 3 * HOUR, job_id="", event="gap", lost=218, id="gap-1", queue="payments.capture")
    yield LogLine(
        v=1, id="line-1", ts=now - MINUTE, env="prod", source="main", queue="mail.send", job_id="1", message="hi"
    )


async def write_beside(home: House, now: int) -> None:
    """Two sources' Redis, and dead letters: one of a record that logsvc could store by now, one of the bridge."""
    producer = await home.producer()
    well = SourceSnapshot(
        v=1,
        ts=now,
        env="prod",
        source="main",
        ping_ms=0.4,
        queues=3,
        server="redis 7.4.1",
        role="master",
        memory_bytes=612_000_000,
        max_memory_bytes=1_000_000_000,
        policy="allkeys-lru",
        evicted_keys=318,
        clients=41,
        max_clients=10_000,
        blocked_clients=12,
        commands_per_second=840,
        is_rdb_ok=True,
        is_aof_on=False,
    )
    away = SourceSnapshot(v=1, ts=now, env="staging", source="stage", is_reachable=False)
    letter = DeadLetter(
        v=1,
        id="redis:main:reports:17-0",
        ts=now - HOUR,
        service="bridge",
        reason="the entry has no field `event`",
        origin="redis:main:reports:17-0",
        body='{"jobId":"17","who":"?"}',
        sha256="",
        length=24,
    )
    for topic, key, value in (
        (home.topics.sources, b"main", encode(well)),
        (home.topics.sources, b"stage", encode(away)),
        (home.topics.deadletter, b"l", encode(letter)),
    ):
        await producer.send_and_wait(topic, value, key=key)
    await producer.stop()
    home.producers.remove(producer)


async def recent(data: Path, kafka: str) -> AsyncGenerator[House]:
    """A running logsvc that has stored it."""
    async with house(data, kafka, f"t{uuid.uuid4().hex[:10]}.", **SETTINGS) as home:
        await home.start()
        await home.ready()
        now = int(time.time() * 1000)
        await home.produce(events(home, now))
        await write_beside(home, now)

        async def is_known() -> bool:
            system = await home.json("/api/v1/system")
            is_read = system["all_dead_letters"]["count"] == 1 and len(system["sources"]) == 2 and bool(system["gaps"])
            return is_read and await home.all_stored()

        await eventually(is_known, what="the recent past stored")
        for service, version, at in (
            ("shop", "2026.11.3", now - 2 * HOUR - 4 * MINUTE),
            ("shop", "2026.11.2", now - 30 * HOUR),
        ):
            mark = {"env": "prod", "service": service, "version": version, "by": "CI", "ts": rfc3339(at)}
            answer = await home.post("/api/v1/markers", mark, authorization=f"Bearer {TOKEN}")
            assert answer.is_success, answer.text
        try:
            yield home
        finally:
            await home.stop()
            await home.delete_topics()
