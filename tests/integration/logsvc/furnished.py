"""A logsvc with a known past, which the tests of one module ask: starting one costs seconds, asking it does not."""

import asyncio
import uuid
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from tests.eventually import eventually
from tests.integration.logsvc.house import House, house
from tocsin.events import DeadLetter, JobEvent, Level, LogLine, QueueSnapshot, SchedulerSnapshot, SourceSnapshot, encode

MINUTE = 60_000
HOUR = 60 * MINUTE
T0 = 1_795_003_200_000 - HOUR
"""An hour before a full hour and six hours before a day's end, in 2026; the past is of the two hours before."""

LOST = 17
WAITS = {"event": "waiting-children", "state": "waiting-children"}
ROWS = 122 * 5 + 3 + 2 + 1
TOKEN = "a-service-token-of-the-tests"


def job(home: House, number: int, at: int, **fields: Any) -> list[JobEvent]:
    """A job that waits for a second, runs for `number` ms in its second attempt, and ends as `ends` says."""
    ends: str = fields.pop("ends", "completed")
    error: str = fields.pop("error", "connect ECONNREFUSED 10.0.0.1:5432")
    failure = {"error": error, "error_type": "Error", "fingerprint": fields.pop("fingerprint", "f-refused")}
    same: dict[str, Any] = {"job_id": str(number), "added_at": at, "job_name": "charge", "max_attempts": 2} | fields
    told: list[dict[str, Any]] = [
        {"event": "added", "state": "waiting", "data": f'{{"order":"ord-{number}","card":"visa"}}'},
        {"event": "active", "state": "active", "attempt": 1, "wait_ms": 1000},
        {"event": "delayed", "state": "retrying", "attempt": 1, "stack": ["at charge (pay.js)"], **failure},
        {"event": "active", "state": "active", "attempt": 2},
        {"event": ends, "state": ends, "attempt": 2, "run_ms": number, **(failure if ends == "failed" else {})},
    ]
    return [
        home.event(0, ts=at + step, stream_id=f"{at + step}-{number}", **{"queue": "orders", **same, **one})
        for step, one in enumerate(told)
    ]


def past(home: House) -> list[Any]:
    """120 jobs, one a minute, every fourth failed; some lines, one of a service; a gap; snapshots."""
    records: list[Any] = []
    for number in range(120):
        ends = "completed" if number % 4 else "failed"
        records += job(home, number, T0 - number * MINUTE, ends=ends)
    records += job(home, 900, T0 - MINUTE, ends="failed", queue="mail", error="Bounced: <b>", fingerprint="f-bounced")
    records += job(home, 901, T0 - 2 * MINUTE, queue="mail", parent="bull:orders:7", scheduler="nightly")
    records.append(home.event(0, ts=T0 - 7 * MINUTE, job_id="7", queue="orders", id="w", **WAITS))
    records += [
        LogLine(
            v=1,
            id=f"line-{n}",
            ts=T0 - 7 * MINUTE + n,
            env="prod",
            source="main",
            queue="orders",
            job_id="7",
            added_at=T0 - 7 * MINUTE,
            line=n,
            level=Level.WARN if n == 1 else Level.INFO,
            message=("=cmd()", "Card 4711 declined", 'a "b",\nc')[n],
        )
        for n in range(3)
    ]
    records.append(LogLine(v=1, id="own", ts=T0 - 90 * MINUTE, service="bridge", message="queues_found"))
    records.append(home.event(0, ts=T0 - 30 * MINUTE, job_id="", event="gap", lost=LOST, id="g1", queue="orders"))
    records.append(
        QueueSnapshot(v=1, ts=T0, env="prod", source="main", queue="orders", waiting=3, workers=2, overdue=4)
    )
    late: dict[str, Any] = {"is_overdue": True, "overdue_seconds": 130.0}
    schedules: dict[str, dict[str, Any]] = {"hourly": {"every": MINUTE, **late}, "nightly": {"pattern": "0 3 * * *"}}
    for scheduler, fields in schedules.items():
        for ts, due in ((T0 - HOUR, T0 - 50 * MINUTE), (T0, T0 + 10 * MINUTE)):
            records.append(
                SchedulerSnapshot(
                    v=1, ts=ts, env="prod", source="main", queue="mail", scheduler=scheduler, next_run=due, **fields
                )
            )
    return records


async def write_beside(home: House) -> None:
    """A source's snapshot and a dead letter, whose topics are not keyed by queue."""
    producer = await home.producer()
    source = SourceSnapshot(v=1, ts=T0, env="prod", source="main", ping_ms=0.4, policy="allkeys-lru", evicted_keys=3)
    letter = DeadLetter(
        v=1, id="l", ts=T0, service="bridge", reason="no event", origin="redis:x", body="{", sha256="", length=1
    )
    await producer.send_and_wait(home.topics.sources, encode(source), key=b"main")
    await producer.send_and_wait(home.topics.deadletter, encode(letter), key=b"l")
    await producer.stop()
    home.producers.remove(producer)


async def furnished(data: Path, kafka: str) -> AsyncGenerator[House]:
    """A running logsvc in which the past is stored and known."""
    async with house(data, kafka, f"t{uuid.uuid4().hex[:10]}.", TOCSIN_SERVICE_TOKEN=TOKEN) as home:
        await home.start()
        await home.ready()
        records = past(home)
        await asyncio.gather(home.produce(records), write_beside(home))
        await home.stored(ROWS)

        async def is_known() -> bool:
            return (await home.json("/api/v1/system"))["coverage"]["events_lost"] == LOST

        await eventually(is_known, what="what the history covers known")
        try:
            yield home
        finally:
            await home.stop()
            await home.delete_topics()
