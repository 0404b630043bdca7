"""Lines of a job's log -> records. BullMQ keeps no time for a line, and no level: see levels.py."""

from bridge.redaction import redact
from bridge.sources.bullmq.logs.levels import level_of
from bridge.sources.bullmq.memory import JobMemory
from bridge.sources.bullmq.translate import Place
from tocsin.events import VERSION, LogLine

LINE_BYTES = 16 * 1024


def message_of(line: str) -> str:
    """What is told of a line."""
    return redact.text(line, LINE_BYTES)


def records(
    place: Place,
    epoch: int,
    job_id: str,
    job: JobMemory,
    lines: list[str],
    ts: int,
    *,
    first: int,
    attempt: int,
    backfill: bool,
    rebuilt: bool = False,
) -> list[LogLine]:
    """Records of lines, the first of which is number `first` of the job's log."""
    name = redact.identifier(job_id)
    life = f"{name}:{job.added_at}"
    return [
        LogLine(
            v=VERSION,
            id=place.identity(epoch, f"l:{life}:{number}"),
            ts=ts,
            level=level_of(line),
            message=message_of(line),
            env=place.env,
            source=place.source,
            queue=place.queue,
            epoch=epoch,
            job_id=name,
            job_name=job.name,
            added_at=job.added_at,
            attempt=attempt,
            line=number,
            trace_id=job.trace_id,
            backfill=backfill,
            rebuilt=rebuilt,
        )
        for number, line in enumerate(lines, first)
    ]
