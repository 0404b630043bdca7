"""Cursors as records of the compacted topic: keys, and what a partition's newest values say. Pure.

Keys: `site:source:queue` a queue's stream position; `site:source:queue:<job id>` how far a job's log was relayed;
`site:source:` the source's last complete scan (a queue has a name, so the key is free); `site:source:queue:` its jobs
that have not ended (a job has an id), and `site:source:queue::<n>` more of them; `site:source:queue::ended` and
`::open` that places in the logs of such jobs were given up (logs/tail.py).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import structlog

from bridge.sources.bullmq.logs.place import LogPlace
from bridge.sources.bullmq.reconcile.open_jobs import OpenJobs
from bridge.sources.bullmq.stream import Gap, Position
from tocsin.events import VERSION, BadRecord, Cursor, LogCursor, OpenCursor, ScanCursor, decode, encode

log = structlog.get_logger("bridge.cursors")


@dataclass(slots=True)
class Restored:
    """What the cursors of one partition say of one source.

    log_places: queue -> job id -> how far its log was relayed. open_pages: the last further page of a queue's open jobs
    that there is, believed or not; no queue without one. scanned_ms: None also when the scan covered other
    queues. past_epoch: see ScanCursor. damaged: queues whose position is there and cannot be read; "" = the scan.
    """

    positions: dict[str, Position] = field(default_factory=dict[str, Position])
    log_places: dict[str, dict[str, LogPlace]] = field(default_factory=dict[str, dict[str, LogPlace]])
    open_jobs: dict[str, OpenCursor] = field(default_factory=dict[str, OpenCursor])
    open_pages: dict[str, int] = field(default_factory=dict[str, int])
    scanned_ms: int | None = None
    past_epoch: int = 0
    damaged: set[str] = field(default_factory=set[str])


def queue_cursor(site: str, source: str, queue: str, position: Position, ts: int) -> tuple[bytes, bytes]:
    """Key and value of a queue's position."""
    value = Cursor(
        v=VERSION,
        ts=ts,
        site=site,
        source=source,
        queue=queue,
        last_id=position.last_id,
        pos=position.pos,
        epoch=position.epoch,
        baseline_id=position.baseline_id,
        is_unread=position.is_first_contact,
        gaps=[(gap.start_ms, gap.end_ms) for gap in position.gaps],
        is_gone=position.is_gone,
        jobs_added=position.jobs_added,
        is_paused=position.is_paused,
    )
    return f"{site}:{source}:{queue}".encode(), encode(value)


def log_cursor(
    site: str, source: str, queue: str, job_id: str, place: LogPlace | None, ts: int
) -> tuple[bytes, bytes | None]:
    """Key and value of how far a job's log was relayed; None = a tombstone, the log is gone or given up."""
    value = None if place is None else encode(LogCursor(v=VERSION, ts=ts, lines=place.lines, last=place.last))
    return f"{site}:{source}:{queue}:{job_id}".encode(), value


def open_cursor(
    site: str, source: str, queue: str, position: Position, jobs: OpenJobs | None, ts: int
) -> tuple[bytes, bytes | None]:
    """Key and value of a queue's jobs that have not ended, as of a position; None = a tombstone."""
    if jobs is None:
        return f"{site}:{source}:{queue}:".encode(), None
    return next(open_cursors(site, source, queue, position, jobs, ts))


def open_cursors(
    site: str, source: str, queue: str, position: Position, jobs: OpenJobs, ts: int
) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of all of them, the most important first: of the next ones, what is of another `ts` is void."""
    last_id, pos, epoch = position.last_id, position.pos, position.epoch
    for page, (stored, orphans) in enumerate(jobs.stored()):
        value = OpenCursor(v=VERSION, ts=ts, last_id=last_id, pos=pos, epoch=epoch, jobs=stored, orphans=orphans)
        yield f"{site}:{source}:{queue}:{f':{page}' if page else ''}".encode(), encode(value)


def no_open_pages(site: str, source: str, queue: str, last: int) -> Iterator[tuple[bytes, None]]:
    """Keys and values of the tombstones of a queue's further pages of open jobs."""
    for page in range(1, last + 1):
        yield f"{site}:{source}:{queue}::{page}".encode(), None


def no_queue_cursor(site: str, source: str, queue: str) -> tuple[bytes, None]:
    """Key and value of the tombstone of a queue's position."""
    return f"{site}:{source}:{queue}".encode(), None


def scan_cursor(site: str, source: str, scope: str, scanned_ms: int, past_epoch: int) -> tuple[bytes, bytes]:
    """Key and value of a source's last complete scan."""
    value = ScanCursor(v=VERSION, ts=scanned_ms, scope=scope, past_epoch=past_epoch)
    return f"{site}:{source}:".encode(), encode(value)


def other_sites(site: str, source: str, values: Mapping[bytes, bytes]) -> set[str]:
    """The other sites that have cursors of a source of this name."""
    keys = [key.decode(errors="replace").split(":", 2) for key in values]
    return {key[0] for key in keys if len(key) > 2 and key[1] == source and key[0] != site}


def restore(site: str, source: str, scope: str, values: Mapping[bytes, bytes]) -> Restored:
    """Pick one source's cursors out of a partition's newest values. An unreadable one is logged and left out."""
    restored = Restored()
    head = f"{site}:{source}:"
    pages: dict[str, list[OpenCursor]] = {}
    for raw_key, value in values.items():
        key = raw_key.decode(errors="replace")
        if not key.startswith(head):
            continue
        queue, colon, job_id = key[len(head) :].partition(":")
        try:
            if not queue:
                scan = decode(ScanCursor, value)
                restored.scanned_ms = scan.ts if scan.ts and scan.scope == scope else None
                restored.past_epoch = scan.past_epoch
            elif colon and not job_id:
                restored.open_jobs[queue] = decode(OpenCursor, value)
            elif _is_page(job_id):
                restored.open_pages[queue] = max(int(job_id[1:]), restored.open_pages.get(queue, 0))
                pages.setdefault(queue, []).append(decode(OpenCursor, value))
            elif colon:
                told = decode(LogCursor, value)
                place = LogPlace(told.lines, told.last, told.lines)
                restored.log_places.setdefault(queue, {})[job_id] = place
            else:
                cursor = decode(Cursor, value)
                restored.positions[queue] = Position(
                    cursor.last_id,
                    cursor.pos,
                    cursor.epoch,
                    cursor.baseline_id,
                    cursor.is_unread,
                    tuple(Gap(*times) for times in cursor.gaps),
                    cursor.is_gone,
                    cursor.jobs_added,
                    cursor.is_paused,
                )
        except BadRecord as error:
            if not colon:
                restored.damaged.add(queue)
            log.error("cursor_unreadable", key=key, error=str(error))
    for queue, more in pages.items():
        if (first := restored.open_jobs.get(queue)) is not None:
            for page in more:
                if (page.ts, page.pos, page.epoch) == (first.ts, first.pos, first.epoch):
                    first.jobs += page.jobs
                    first.orphans += page.orphans
    return restored


def _is_page(job_id: str) -> bool:
    return job_id[:1] == ":" and job_id[1:].isdecimal()
