"""What the bridge makes of one job's life, of its queue and of its stream: the source of the golden samples.

`python -m tests.contract.produced` writes them anew. Do so only when the contract is to change: what older releases
wrote is still in Kafka.
"""

import json
from pathlib import Path
from typing import Any

import msgspec

from bridge.sources.bullmq.discovery import Missed
from bridge.sources.bullmq.enrich import FIELDS, JobHash, parse
from bridge.sources.bullmq.gone import queue_gone
from bridge.sources.bullmq.memory import QueueMemory
from bridge.sources.bullmq.reconcile.open_jobs import OpenJob
from bridge.sources.bullmq.reconcile.standing import Correction, reconciled
from bridge.sources.bullmq.snapshots import queues, repeat, server
from bridge.sources.bullmq.stream import Position, Reading
from bridge.sources.bullmq.translate import Place, gap, stream_reset, translate
from tests.unit.bridge.entries import entry_of
from tocsin.events import VERSION, JobEvent, SourceSnapshot, State, encode

SAMPLES = Path(__file__).parent / "samples"
PLACE = Place("prod", "main", "emails")
START = 1_795_330_800_000
ADDED = {
    "name": "welcome",
    "timestamp": str(START),
    "opts": json.dumps(
        {
            "attempts": 3,
            "backoff": {"type": "fixed", "delay": 5000},
            "tm": json.dumps({"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}),
        }
    ),
    "parentKey": "bull:orders:77",
    "rjk": "nightly-digest",
    "data": json.dumps({"to": "ada@example.com", "password": "hunter2"}),
}
SMTP_421 = "Error: SMTP 421 try again later\n    at send (/app/mailer.js:41:11)\n    at async run (/app/worker.js:9:5)"
SMTP_550 = "no such mailbox: <script>alert(1)</script> – Ñandú 🦜"
ACTIVE = {**ADDED, "ats": "1"}
RETRIED = {**ACTIVE, "atm": "1", "failedReason": "SMTP 421 try again later", "stacktrace": json.dumps([SMTP_421])}
DEAD = {
    **RETRIED,
    "ats": "2",
    "atm": "2",
    "finishedOn": str(START + 9000),
    "failedReason": SMTP_550,
    "stacktrace": json.dumps([SMTP_421, f"UnrecoverableError: {SMTP_550}\n    at send (/app/mailer.js:44:11)"]),
    "pb": "mailer-7c9f",
}

INFO = b"""\
# Server
redis_version:7.2.4
server_name:valkey
valkey_version:9.1.2
# Clients
connected_clients:41
maxclients:10000
blocked_clients:12
# Memory
used_memory:1073741824
maxmemory:2147483648
maxmemory_policy:allkeys-lru
# Persistence
loading:0
rdb_last_save_time:1795330000
rdb_last_bgsave_status:ok
aof_enabled:1
aof_last_write_status:ok
# Stats
evicted_keys:7
instantaneous_ops_per_sec:5120
# Replication
role:master
"""


class Life:
    """One queue's stream, told batch by batch with one memory. Times are milliseconds after START."""

    def __init__(self, position: Position | None = None) -> None:
        self._memory = QueueMemory()
        self._position = position or Position(pos=1)

    def tell(self, at: int, fields: dict[str, str], job: dict[str, str] | None) -> JobEvent:
        """One entry, read with the hash as it is then; None = it is gone. As in the bridge, data is read once."""
        if job is not None and fields.get("jobId", "") in self._memory:
            job = {name: value for name, value in job.items() if name != "data"}
        entry = entry_of(f"{START + at}-0", fields)
        reading = Reading([entry], self._position)
        hashes: dict[str, JobHash | None] = {fields["jobId"]: _hash(job)} if "jobId" in fields else {}
        [event] = translate(PLACE, reading, [entry], hashes, self._memory).events
        return event


def _hash(fields: dict[str, str] | None) -> JobHash | None:
    if fields is None:
        return None
    values = [fields[name].encode() if name in fields else None for name in (*FIELDS, "data")]
    return parse([values, int("returnvalue" in fields)])


def produced() -> dict[str, msgspec.Struct]:
    """Records by the name of their sample."""
    return {**_events(), **_notices(), **_snapshots(), **_schedulers(), **_sources()}


def _events() -> dict[str, JobEvent]:
    life, job = Life(), {"jobId": "4711"}
    told = {
        "added": life.tell(0, {"event": "added", **job, "name": "welcome"}, ADDED),
        "waiting": life.tell(0, {"event": "waiting", **job}, ADDED),
        "active": life.tell(140, {"event": "active", **job, "prev": "waiting"}, {**ACTIVE, "pb": "mailer-7c9f"}),
        "progress": life.tell(150, {"event": "progress", **job, "data": '{"sent":1,"of":2}'}, ADDED),
        "retrying": life.tell(390, {"event": "delayed", **job, "delay": str(START + 5390)}, RETRIED),
        "again": life.tell(5390, {"event": "waiting", **job, "prev": "delayed"}, RETRIED),
        "once more": life.tell(5400, {"event": "active", **job, "prev": "waiting"}, {**RETRIED, "ats": "2"}),
        "failed-finally": life.tell(9000, {"event": "failed", **job, "failedReason": SMTP_550, "prev": "active"}, DEAD),
        "removed": life.tell(9200, {"event": "removed", **job, "prev": "failed"}, None),
    }
    other, completed = Life(), {"jobId": "4712"}
    other.tell(10, {"event": "added", **completed, "name": "welcome"}, ADDED)
    other.tell(20, {"event": "active", **completed, "prev": "waiting"}, ACTIVE)
    done = {**ACTIVE, "atm": "1", "finishedOn": str(START + 700), "returnvalue": "{}"}
    answer = {"event": "completed", "returnvalue": '{"messageId":"<1@example.com>"}', "prev": "active"}
    told["completed"] = other.tell(700, {**answer, **completed}, done)
    told["completed-and-removed"] = Life().tell(701, {**answer, "jobId": "4713"}, None)
    told["paused-queue"] = other.tell(9300, {"event": "paused"}, None)
    stalled = Life()
    stalled.tell(10, {"event": "active", "jobId": "4714", "prev": "waiting"}, ACTIVE)
    told["stalled"] = stalled.tell(30_000, {"event": "stalled", "jobId": "4714"}, ACTIVE)
    past = Life(Position(pos=1, baseline_id=f"{START + 1}-0"))
    boom = {"event": "failed", "jobId": "12", "failedReason": "boom", "prev": "active"}
    told["backfill"] = past.tell(0, boom, {**ACTIVE, "atm": "1", "failedReason": "boom", "finishedOn": str(START)})
    return {f"job_event.{kind}": event for kind, event in told.items() if kind not in ("again", "once more")}


def _notices() -> dict[str, JobEvent]:
    position = Position(f"{START + 19_000}-2", 90_211)
    lost = Reading([], position, lost=1204, lost_from=f"{START + 9300}-0", lost_to=f"{START + 19_000}-3")
    reset = Reading([], Position(epoch=2), is_reset=True)
    waiting = OpenJob(State.DELAYED, "digest", START, scheduler="nightly-digest")
    replaced = Correction(
        State.REMOVED,
        "replaced by its scheduler, drained or cleaned: neither its hash nor any list of the queue holds it",
    )
    return {
        "job_event.reconciled": reconciled(PLACE, 1, "repeat:nightly-digest:1", waiting, replaced, START + 20_000),
        "job_event.gap": gap(PLACE, lost, START + 19_000),
        "job_event.gone": queue_gone(PLACE, 2, Missed(START + 40_000, START + 50_000), START + 50_500),
        "job_event.stream-reset": stream_reset(PLACE, reset, START + 30_000),
    }


def _snapshots() -> dict[str, msgspec.Struct]:
    counts: list[Any] = [12, 0, 4, 3, 2, 1, 1000, 7, None, None, b"4711", 2, b"50", 400]
    looks = queues.Looks(START - 12_500, queues.Active("4711", "welcome", START - 61_000, is_locked=False))
    made: dict[str, msgspec.Struct] = {}
    for kind, paused, workers in (("full", b"1", 2), ("no-workers", None, 0), ("workers-unknown", None, None)):
        replies = [[paused, b"10000", b"bullmq:6.7.0", b"20", b"50", b"1000"], *counts]
        one = queues.snapshot(PLACE, replies, START, looks, workers=workers, queues=312)
        assert one is not None
        one.completed_per_minute, one.failed_per_minute, one.last_event_at = 118, 2, START - 40
        made[f"queue_snapshot.{kind}"] = one
    return made


def _schedulers() -> dict[str, msgspec.Struct]:
    """hash fields in the order of repeat.FIELDS."""
    cron = [b"digest", b"0 3 * * *", None, b"Europe/Lisbon", b"41", b"100", b"1795300000000", b"1799999999000"]
    told = {
        "cron": (b"nightly-digest", START + 72_000_000, [*cron, b'{"to":"all","password":"hunter2"}']),
        "every": (b"poll", START + 60_000, [b"poll", None, b"60000", None, b"7", None, None, None, None]),
        "overdue": (b"stuck", START - 90_000, [b"stuck", None, b"60000", None, b"8", None, None, None, None]),
        "legacy": (b"mail::1799999999000:Europe/Lisbon:0 9 * * *", START + 9_000, [None] * len(repeat.FIELDS)),
    }
    made: dict[str, msgspec.Struct] = {}
    for kind, (raw, next_run, values) in told.items():
        one = repeat.snapshot(PLACE, raw, next_run, values, START)
        assert one is not None
        made[f"scheduler_snapshot.{kind}"] = one
        made["job_event.scheduler-gone"] = repeat.scheduler_gone(one, 1, START + 60_000)
    return made


def _sources() -> dict[str, msgspec.Struct]:
    away = SourceSnapshot(v=VERSION, ts=START, env="prod", source="main", queues=312, is_reachable=False)
    seen = SourceSnapshot(v=VERSION, ts=START, env="prod", source="main", queues=312, ping_ms=0.41)
    server.fill(seen, [server.parse_info(INFO)])
    return {"source_snapshot.full": seen, "source_snapshot.away": away}


if __name__ == "__main__":
    for name, record in produced().items():
        text = json.dumps(json.loads(encode(record)), indent=2, ensure_ascii=False)
        (SAMPLES / f"{name}.json").write_text(f"{text}\n")
